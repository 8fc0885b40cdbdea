//! The figure on the desktop: draws the pose that [`animation::Life`] gives, and turns touches into behaviour.
//!
//! In: [`PlayCue`]. Out: [`MenuRequested`], [`OpenChat`], [`MascotLayout`]. Knows nothing of the brain but moods.

pub mod animation;
pub mod body;
pub mod touch;

use bevy::{prelude::*, sprite::Anchor, window::PrimaryWindow};

use crate::{brain::protocol::MoodTag, settings::Settings};
use animation::{Behavior, Eyes, Life, Mouth, Pop, Pose, Stimulus};
use body::{Bone, CANVAS};

/// Size of the mascot window in logical pixels: room for the bubble above the figure.
pub const WINDOW_SIZE: UVec2 = UVec2::new(360, 520);
/// Logical pixels of a unit of the drawing at size 1.
const UNIT: f32 = 0.8;
/// Pixels of the images for each logical pixel, so that they stay sharp when squashed or on a fine screen.
const SHARPNESS: f32 = 2.0;
/// Resting place of the feet, from the window's upper left corner in logical pixels.
const FEET: Vec2 = Vec2::new(180.0, 492.0);

/// What the figure should act out.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Cue {
    Listen,
    Think,
    Talk,
    StopTalk,
    Mood(MoodTag),
    Remembered,
    Trouble,
    Wave,
}

/// Asks the figure to act.
#[derive(Debug, Clone, Message)]
pub struct PlayCue(pub Cue);

/// The person asked for the menu at this place of the mascot window, logical pixels.
#[derive(Debug, Clone, Message)]
pub struct MenuRequested {
    /// Where.
    pub at: Vec2,
}

/// The person wants to talk (double click).
#[derive(Debug, Clone, Default, Message)]
pub struct OpenChat;

/// Where things are in the mascot window, logical pixels.
#[derive(Debug, Clone, Resource)]
pub struct MascotLayout {
    /// The figure.
    pub figure_rect: Rect,
    /// Where the bubble's tail points.
    pub mouth_anchor: Vec2,
    /// Where the bubble may be.
    pub bubble_area: Rect,
    /// Size of the figure, 1.0 is normal.
    pub scale: f32,
}

impl MascotLayout {
    /// The layout for a size of the figure, 0.5 to 1.2.
    pub fn for_scale(scale: f32) -> Self {
        let unit = UNIT * scale;
        let corner = FEET - Bone::Ground.pivot() * unit;
        let figure_rect = Rect::from_corners(corner, corner + CANVAS * unit);
        Self {
            figure_rect,
            mouth_anchor: corner + vec2(160.0, 26.0) * unit,
            bubble_area: Rect::new(
                4.0,
                4.0,
                WINDOW_SIZE.x as f32 - 4.0,
                figure_rect.min.y + 20.0 * unit,
            ),
            scale,
        }
    }

    /// Logical pixels of a unit of the drawing.
    pub fn unit(&self) -> f32 {
        UNIT * self.scale
    }

    /// A point of the window in units of the drawing.
    pub fn to_drawing(&self, at: Vec2) -> Vec2 {
        (at - self.figure_rect.min) / self.unit()
    }
}

impl Default for MascotLayout {
    fn default() -> Self {
        Self::for_scale(1.0)
    }
}

/// Parts of the mascot window, beside the figure, that take clicks; filled anew every frame.
#[derive(Debug, Clone, Default, Resource)]
pub struct InteractiveRects(pub Vec<Rect>);

/// The drawing of the body, as text.
#[derive(Debug, Clone, Resource)]
pub struct BodyDrawing(pub String);

/// The living figure.
#[derive(Debug, Resource)]
pub struct Mascot {
    /// Clocks, springs, behaviour.
    pub life: Life,
    /// Speed of the window while it is held, drawing units a second.
    pub held_speed: Option<Vec2>,
    /// Cursor in drawing units, if known.
    pub cursor: Option<Vec2>,
}

/// Marks a layer's sprite.
#[derive(Debug, Component)]
struct Layer(&'static str);

/// Position of the systems that draw the pose.
#[derive(Debug, Clone, PartialEq, Eq, Hash, SystemSet)]
pub struct AnimateSystems;

/// Adds the figure.
pub fn plugin(app: &mut App) {
    let scale =
        app.world().get_resource::<Settings>().map_or(1.0, |s| s.figure_scale).clamp(0.5, 1.2);
    let seed = std::process::id().into();
    app.add_message::<PlayCue>()
        .add_message::<MenuRequested>()
        .add_message::<OpenChat>()
        .insert_resource(MascotLayout::for_scale(scale))
        .init_resource::<InteractiveRects>()
        .insert_resource(Mascot { life: Life::new(seed), held_speed: None, cursor: None })
        .add_systems(Startup, spawn_figure)
        .add_systems(First, clear_rects)
        .add_systems(
            Update,
            (follow_settings, play_cues, advance_pose).chain().in_set(AnimateSystems),
        );
    touch::plugin(app);
}

fn clear_rects(mut rects: ResMut<InteractiveRects>) {
    rects.0.clear();
}

fn spawn_figure(
    mut commands: Commands,
    drawing: Res<BodyDrawing>,
    mut images: ResMut<Assets<Image>>,
) {
    commands.spawn((Camera2d, Msaa::Off));
    let layers = match body::rasterize(&drawing.0, UNIT * SHARPNESS) {
        Ok(layers) => layers,
        Err(text) => {
            error!("{text}");
            return;
        }
    };
    let mut bones: Vec<(Bone, Entity)> = Vec::new();
    for bone in Bone::ALL {
        let entity = commands.spawn((bone, Transform::default(), Visibility::default())).id();
        if let Some(parent) = bone.parent()
            && let Some((_, parent)) = bones.iter().find(|(b, _)| *b == parent)
        {
            commands.entity(*parent).add_child(entity);
        }
        bones.push((bone, entity));
    }
    for (z, layer) in layers.into_iter().enumerate() {
        let offset = flip(layer.center - layer.bone.pivot());
        let sprite =
            Sprite { image: images.add(layer.image), custom_size: Some(layer.size), ..default() };
        let part = commands
            .spawn((
                Layer(layer.id),
                sprite,
                Anchor::CENTER,
                Transform::from_translation(offset.extend(z as f32 * 0.01)),
            ))
            .id();
        if let Some((_, bone)) = bones.iter().find(|(b, _)| *b == layer.bone) {
            commands.entity(*bone).add_child(part);
        }
    }
}

/// The drawing's y runs down, the world's up.
fn flip(v: Vec2) -> Vec2 {
    vec2(v.x, -v.y)
}

fn follow_settings(settings: Option<Res<Settings>>, mut layout: ResMut<MascotLayout>) {
    if let Some(settings) = settings {
        let scale = settings.figure_scale.clamp(0.5, 1.2);
        if (scale - layout.scale).abs() > 1e-3 {
            *layout = MascotLayout::for_scale(scale);
        }
    }
}

fn play_cues(mut cues: MessageReader<PlayCue>, mut mascot: ResMut<Mascot>) {
    for PlayCue(cue) in cues.read() {
        let life = &mut mascot.life;
        life.stir();
        match cue {
            Cue::Listen => life.act(Behavior::Listen),
            Cue::Think => life.act(Behavior::Think),
            Cue::Talk => life.act(Behavior::Talk),
            Cue::StopTalk => {
                if matches!(life.behavior(), Behavior::Talk | Behavior::Think | Behavior::Listen) {
                    life.act(Behavior::Idle);
                }
            }
            Cue::Mood(mood) => life.feel(*mood),
            Cue::Remembered => life.show(Pop::Spark, 4.0),
            Cue::Trouble => life.act(Behavior::Trouble),
            Cue::Wave => life.act(Behavior::Wave),
        }
    }
}

fn advance_pose(
    time: Res<Time>,
    settings: Option<Res<Settings>>,
    layout: Res<MascotLayout>,
    mut mascot: ResMut<Mascot>,
    windows: Query<&Window, With<PrimaryWindow>>,
    mut bones: Query<(&Bone, &mut Transform), Without<Layer>>,
    mut layers: Query<(&Layer, &mut Transform, &mut Visibility, &mut Sprite), Without<Bone>>,
    mut rest: Local<Option<Vec<(&'static str, Vec3)>>>,
) {
    let stimulus = Stimulus {
        cursor: mascot.cursor.map(|c| c - vec2(160.0, 165.0)),
        held_speed: mascot.held_speed,
        reduced_motion: settings.is_some_and(|s| s.reduced_motion),
    };
    let pose = mascot.life.advance(time.delta_secs(), stimulus);
    let size = windows.single().map_or(WINDOW_SIZE.as_vec2(), |w| vec2(w.width(), w.height()));
    let held = mascot.life.behavior() == Behavior::Held;
    for (bone, mut transform) in &mut bones {
        *transform = bone_transform(*bone, &pose, &layout, size, held);
    }
    let rest =
        rest.get_or_insert_with(|| layers.iter().map(|(l, t, ..)| (l.0, t.translation)).collect());
    for (layer, mut transform, mut visibility, mut sprite) in &mut layers {
        let shown = is_shown(layer.0, &pose);
        let wanted = if shown { Visibility::Inherited } else { Visibility::Hidden };
        if *visibility != wanted {
            *visibility = wanted;
        }
        let Some((_, home)) = rest.iter().find(|(id, _)| *id == layer.0) else { continue };
        transform.translation = *home + layer_offset(layer.0, &pose).extend(0.0);
        if layer.0 == "shadow" {
            let fade = (1.0 - pose.lift / 60.0).clamp(0.3, 1.0) * if held { 0.0 } else { 1.0 };
            sprite.color = Color::WHITE.with_alpha(fade);
        }
    }
}

/// Where a bone is, relative to its parent (or to the middle of the window).
fn bone_transform(
    bone: Bone,
    pose: &Pose,
    layout: &MascotLayout,
    window: Vec2,
    held: bool,
) -> Transform {
    let base = bone.parent().map_or_else(
        || {
            let unit = layout.unit();
            let at = layout.figure_rect.min + bone.pivot() * unit - window / 2.0;
            Transform::from_translation(flip(at).extend(0.0))
                .with_scale(Vec2::splat(unit).extend(1.0))
        },
        |parent| Transform::from_translation(flip(bone.pivot() - parent.pivot()).extend(0.0)),
    );
    let turned = |angle: f32| base.with_rotation(Quat::from_rotation_z(angle));
    match bone {
        Bone::Ground | Bone::Pop => base,
        Bone::Body => {
            // Held by the scruff it swings around its neck, else around its feet.
            let swing = if held { rotated_about(vec2(0.0, 130.0), pose.sway) } else { Vec2::ZERO };
            let lift = vec2(0.0, pose.lift) + swing;
            Transform { translation: base.translation + lift.extend(0.0), ..turned(-pose.sway) }
                .with_scale(vec3(1.0 + pose.squash * 0.6, 1.0 - pose.squash, 1.0))
        }
        Bone::Head => Transform {
            translation: base.translation - Vec3::Y * pose.head_drop,
            ..turned(-pose.head_tilt)
        },
        Bone::Tail => turned(pose.tail),
        Bone::ArmLeft => turned(-pose.arms[0]),
        Bone::ArmRight => turned(-pose.arms[1]),
        Bone::EarLeft => turned(pose.ears[0]),
        Bone::EarRight => turned(-pose.ears[1]),
        Bone::Tuft => turned(pose.tuft),
    }
}

/// Shift of the origin when everything turns by `-angle` around `center`.
fn rotated_about(center: Vec2, angle: f32) -> Vec2 {
    center - Vec2::from_angle(-angle).rotate(center)
}

fn is_shown(id: &str, pose: &Pose) -> bool {
    match id {
        "eye_l_open" | "eye_r_open" => pose.eyes == Eyes::Open,
        "eye_l_closed" | "eye_r_closed" => pose.eyes == Eyes::Closed,
        "eye_l_happy" | "eye_r_happy" => pose.eyes == Eyes::Happy,
        "mouth_smile" => pose.mouth == Mouth::Smile,
        "mouth_open" => pose.mouth == Mouth::Open,
        "mouth_o" => pose.mouth == Mouth::O,
        "mouth_sad" => pose.mouth == Mouth::Sad,
        "pop_heart" => pose.pop == Pop::Heart,
        "pop_zz" => pose.pop == Pop::Sleep,
        "pop_dot_1" => pose.pop == Pop::Dots,
        "pop_dot_2" => pose.pop == Pop::Dots && pose.pop_phase > 0.25,
        "pop_dot_3" => pose.pop == Pop::Dots && pose.pop_phase > 0.5,
        "pop_spark" => pose.pop == Pop::Spark,
        "pop_sweat" => pose.pop == Pop::Sweat,
        _ => true,
    }
}

/// Shift of a layer on its bone, in drawing units (y up).
fn layer_offset(id: &str, pose: &Pose) -> Vec2 {
    let look = flip(pose.gaze);
    match id {
        "eye_l_open" | "eye_r_open" => look * vec2(3.2, 2.6),
        "brows" => look * 1.6 + vec2(0.0, pose.brows),
        "nose" | "blush" => look * 1.4,
        _ if id.starts_with("mouth") => look * 1.6,
        _ if id.starts_with("eye") => look * 1.6,
        "pop_heart" | "pop_zz" | "pop_spark" => vec2(0.0, 10.0 * pose.pop_phase),
        _ => Vec2::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_fits_the_window_at_every_size() {
        for scale in [0.5, 0.8, 1.0, 1.2] {
            let layout = MascotLayout::for_scale(scale);
            let window = Rect::from_corners(Vec2::ZERO, WINDOW_SIZE.as_vec2());
            assert!(
                window.contains(layout.figure_rect.min) && window.contains(layout.figure_rect.max),
                "{scale}"
            );
            assert!(layout.bubble_area.height() > 80.0, "{scale}");
            assert!(layout.to_drawing(layout.figure_rect.max).distance(CANVAS) < 0.01);
        }
    }

    #[test]
    fn one_pair_of_eyes_and_one_mouth_are_shown() {
        for eyes in [Eyes::Open, Eyes::Closed, Eyes::Happy] {
            for mouth in [Mouth::Smile, Mouth::Open, Mouth::O, Mouth::Sad] {
                let pose = Pose { eyes, mouth, ..Pose::default() };
                let shown = |prefix: &str| {
                    body::LAYERS
                        .iter()
                        .filter(|l| l.0.starts_with(prefix) && is_shown(l.0, &pose))
                        .count()
                };
                assert_eq!(
                    (shown("eye_l"), shown("eye_r"), shown("mouth"), shown("pop")),
                    (1, 1, 1, 0)
                );
            }
        }
    }
}
