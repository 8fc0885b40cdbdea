//! The figure on the desktop: what happens to it goes into [`life::Life`], the pose that comes out is drawn.
//!
//! In: [`PlayCue`], hands, [`necklace::Necklace`]. Out: [`MenuRequested`], [`OpenChat`], [`Touched`], [`MascotLayout`].
//! Knows nothing of the brain but moods.

pub mod behavior;
pub mod body;
pub mod expression;
pub mod eye;
pub mod fidget;
pub mod layout;
pub mod life;
pub mod mood;
pub mod motion;
pub mod necklace;
pub mod pictures;
pub mod pose;
pub mod raster;
pub mod rig;
pub mod silhouette;
pub mod spring;
pub mod sprites;
pub mod stroke;
pub mod touch;

#[cfg(test)]
mod sheet;

use bevy::prelude::*;

use crate::{brain::protocol::MoodTag, settings::Settings};
pub use behavior::Behavior;
pub use body::Zone;
pub use layout::{MascotLayout, WINDOW_SIZE};
use life::{Life, Stimulus};
use necklace::Necklace;
use pose::Pose;

/// Middle of the face, in units of the drawing: what the eyes look from.
const FACE: Vec2 = Vec2::new(160.0, 165.0);

/// What the figure should act out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cue {
    /// The person is writing.
    Listen,
    /// The brain is at work.
    Think,
    /// Letters appear.
    Talk,
    /// Nothing more is said.
    StopTalk,
    /// The reply's mood.
    Mood(MoodTag),
    /// Something was learned: a bead lights up.
    Remembered,
    /// Something failed.
    Trouble,
    /// Hello or goodbye.
    Wave,
    /// Joy, for a job well done.
    Celebrate,
}

/// Asks the figure to act.
#[derive(Debug, Clone, Message)]
pub struct PlayCue(pub Cue);

/// How a hand touched it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TouchKind {
    /// A click.
    Poke,
    /// To and fro.
    Stroke,
    /// Picked up.
    PickUp,
    /// Put down.
    PutDown,
}

/// A hand touched the figure.
#[derive(Debug, Clone, Copy, Message)]
pub struct Touched {
    /// Where.
    pub zone: Zone,
    /// How.
    pub kind: TouchKind,
}

/// The person asked for the menu at this place of the mascot window, logical pixels.
#[derive(Debug, Clone, Message)]
pub struct MenuRequested {
    /// Where.
    pub at: Vec2,
}

/// The person wants to talk (double click).
#[derive(Debug, Clone, Default, Message)]
pub struct OpenChat;

/// Parts of the mascot window, beside the figure, that take clicks; filled anew every frame.
#[derive(Debug, Clone, Default, Resource)]
pub struct InteractiveRects(pub Vec<Rect>);

/// The living figure.
#[derive(Debug, Resource)]
pub struct Mascot {
    /// Clocks, springs, behaviour.
    pub life: Life,
    /// Speed of the hand that holds it, drawing units a second, y down.
    pub held_speed: Option<Vec2>,
    /// Cursor in drawing units, if known.
    pub cursor: Option<Vec2>,
    /// What is drawn now.
    pub pose: Pose,
}

impl Mascot {
    /// A figure that has just woken.
    pub fn new(seed: u64) -> Self {
        Self { life: Life::new(seed), held_speed: None, cursor: None, pose: Pose::default() }
    }
}

/// Position of the systems that make the pose.
#[derive(Debug, Clone, PartialEq, Eq, Hash, SystemSet)]
pub struct AnimateSystems;

/// Adds the figure. [`sprites::BodyFolder`] says which body.
pub fn plugin(app: &mut App) {
    logic(app);
    sprites::plugin(app);
    touch::plugin(app);
}

/// Everything that needs neither window nor pictures.
fn logic(app: &mut App) {
    let scale = app.world().get_resource::<Settings>().map_or(1.0, |s| s.figure_scale);
    app.add_message::<PlayCue>()
        .add_message::<MenuRequested>()
        .add_message::<OpenChat>()
        .add_message::<Touched>()
        .insert_resource(MascotLayout::for_scale(scale))
        .init_resource::<InteractiveRects>()
        .init_resource::<Necklace>()
        .insert_resource(Mascot::new(std::process::id().into()))
        .add_systems(First, clear_rects)
        .add_systems(
            Update,
            (follow_settings, play_cues, advance_pose).chain().in_set(AnimateSystems),
        );
}

fn clear_rects(mut rects: ResMut<InteractiveRects>) {
    rects.0.clear();
}

fn follow_settings(settings: Option<Res<Settings>>, mut layout: ResMut<MascotLayout>) {
    if let Some(settings) = settings {
        let wanted = settings.figure_scale.clamp(layout::SCALES.0, layout::SCALES.1);
        if (wanted - layout.scale).abs() > 1e-3 {
            *layout = MascotLayout::for_scale(wanted);
        }
    }
}

fn play_cues(
    mut cues: MessageReader<PlayCue>,
    mut mascot: ResMut<Mascot>,
    mut necklace: ResMut<Necklace>,
) {
    for PlayCue(cue) in cues.read() {
        let life = &mut mascot.life;
        match cue {
            Cue::Listen => life.act(Behavior::Listen),
            Cue::Think => life.act(Behavior::Think),
            Cue::Talk => life.act(Behavior::Talk),
            Cue::StopTalk => life.fall_silent(),
            Cue::Mood(mood) => life.feel(*mood),
            Cue::Remembered => {
                necklace.notes += 1;
                life.light_bead(necklace.newest().unwrap_or_default());
            }
            Cue::Trouble => life.act(Behavior::Trouble),
            Cue::Wave => life.act(Behavior::Wave),
            Cue::Celebrate => life.act(Behavior::Celebrate),
        }
    }
}

fn advance_pose(time: Res<Time>, settings: Option<Res<Settings>>, mut mascot: ResMut<Mascot>) {
    let stimulus = Stimulus {
        cursor: mascot.cursor.map(|c| c - FACE),
        held_speed: mascot.held_speed,
        reduced_motion: settings.is_some_and(|s| s.reduced_motion),
    };
    mascot.pose = mascot.life.advance(time.delta_secs(), stimulus);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bevy::time::TimeUpdateStrategy;

    use super::*;

    #[test]
    fn cues_are_acted_out_and_notes_light_beads() {
        let mut app = App::new();
        app.add_plugins(MinimalPlugins);
        app.insert_resource(TimeUpdateStrategy::ManualDuration(Duration::from_millis(50)));
        logic(&mut app);
        let check = |app: &mut App, cue: Cue, behavior: Behavior| {
            app.world_mut().write_message(PlayCue(cue));
            app.update();
            assert_eq!(app.world().resource::<Mascot>().life.behavior(), behavior, "{cue:?}");
        };
        check(&mut app, Cue::Listen, Behavior::Listen);
        check(&mut app, Cue::Think, Behavior::Think);
        check(&mut app, Cue::Mood(MoodTag::Happy), Behavior::Think);
        check(&mut app, Cue::Talk, Behavior::Talk);
        check(&mut app, Cue::Remembered, Behavior::Remember);
        assert_eq!(app.world().resource::<Necklace>().notes, 1);
        for _ in 0..60 {
            app.update();
        }
        check(&mut app, Cue::StopTalk, Behavior::Idle);
        check(&mut app, Cue::Trouble, Behavior::Trouble);
    }
}
