//! Draws the pose: one sprite a part, placed by [`rig`], pictures painted for the window's scale.
//!
//! In: [`BodyFolder`], the pose, [`Necklace`], [`MascotLayout`]. Out: sprites, and the figure's [`Silhouette`].

use std::path::PathBuf;

use bevy::{
    camera::visibility::NoFrustumCulling, math::Affine2, prelude::*, sprite::Anchor,
    transform::TransformSystems, window::PrimaryWindow,
};

use super::{
    AnimateSystems, Mascot, MascotLayout, WINDOW_SIZE,
    body::{Body, Role, Side, Zone},
    eye::EyeLook,
    necklace::Necklace,
    pictures::{paint_all, source_of},
    raster::Picture,
    rig::{self, COPIES, Placed},
    silhouette::{self, Masks},
};
use crate::window::Silhouette;

/// Pixels of the pictures for each pixel of the screen, so that turned parts stay sharp.
const SHARPNESS: f32 = 1.6;
/// Seconds between two looks at the silhouette.
const LOOK_EVERY_S: f32 = 0.25;

/// Folder of the body that is worn, with `body.ron` and `parts/`.
#[derive(Debug, Clone, Resource)]
pub struct BodyFolder(pub PathBuf);

/// The body in its pictures. Missing if it could not be read: then the companion has a bubble but no figure.
#[derive(Debug, Resource)]
pub struct Figure {
    /// The body.
    pub body: Body,
    /// Where its bones are now.
    pub bones: Vec<Affine2>,
    masks: Masks,
    /// Place and size of each part's picture, in units of the drawing.
    boxes: Vec<Rect>,
    images: Vec<Handle<Image>>,
    /// Pixels a unit.
    painted_at: f32,
    eyes: [(usize, Side, EyeLook); 2],
}

impl Figure {
    /// Which zone a point of the drawing touches in the present pose.
    pub fn zone_at(&self, at: Vec2) -> Option<Zone> {
        self.body.touch.iter().rev().find_map(|t| {
            let local = self.bones.get(t.bone)?.inverse().transform_point2(at);
            (((local - t.center) / t.radii).length_squared() <= 1.0).then_some(t.zone)
        })
    }
}

/// A sprite: part and copy.
#[derive(Debug, Component)]
struct Layer {
    part: usize,
    copy: usize,
}

/// Adds the systems of this file.
pub fn plugin(app: &mut App) {
    app.init_resource::<Silhouette>()
        .add_systems(Startup, dress)
        .add_systems(
            Update,
            (paint_for_scale, paint_eyes, look_at_silhouette).chain().after(AnimateSystems),
        )
        .add_systems(PostUpdate, place_layers.after(TransformSystems::Propagate));
}

fn dress(mut commands: Commands, folder: Res<BodyFolder>, mut images: ResMut<Assets<Image>>) {
    commands.spawn((Camera2d, Msaa::Off));
    let body = match Body::load(&folder.0) {
        Ok(body) => body,
        Err(error) => {
            error!("no figure: {error:#}");
            return;
        }
    };
    let images: Vec<Handle<Image>> =
        (0..body.parts.len()).map(|_| images.add(Image::default())).collect();
    for (part, _) in body.parts.iter().enumerate() {
        let copies = if matches!(body.parts[part].role, Role::Pop(_)) { COPIES } else { 1 };
        for copy in 0..copies {
            commands.spawn((
                Layer { part, copy },
                Sprite { image: images[source_of(&body, part)].clone(), ..default() },
                Anchor::CENTER,
                Visibility::Hidden,
                NoFrustumCulling,
            ));
        }
    }
    let eye = |side| {
        let part = body.parts.iter().position(|p| p.role == Role::Eye(side)).unwrap_or(0);
        (part, side, EyeLook::default())
    };
    let eyes = [eye(Side::Left), eye(Side::Right)];
    let boxes = vec![Rect::default(); body.parts.len()];
    let (bones, masks) = (Vec::new(), Masks::default());
    commands.insert_resource(Figure { body, bones, masks, boxes, images, painted_at: 0.0, eyes });
}

fn box_of(picture: &Picture) -> Rect {
    Rect::from_corners(picture.corner, picture.corner + picture.size)
}

/// Paints everything anew when the figure's size or the screen's scale has changed.
fn paint_for_scale(
    figure: Option<ResMut<Figure>>,
    layout: Res<MascotLayout>,
    windows: Query<&Window, With<PrimaryWindow>>,
    mut images: ResMut<Assets<Image>>,
) {
    let Some(mut figure) = figure else { return };
    let screen = windows.single().map_or(1.0, Window::scale_factor);
    let wanted = layout.unit() * screen * SHARPNESS;
    if (wanted - figure.painted_at).abs() < 1e-3 {
        return;
    }
    let figure = &mut *figure;
    figure.painted_at = wanted;
    let pictures = match paint_all(&figure.body, wanted) {
        Ok(pictures) => pictures,
        Err(error) => {
            error!("the figure cannot be painted: {error:#}");
            return;
        }
    };
    for (i, picture) in pictures.iter().enumerate() {
        let shown = picture.as_ref().or(pictures[source_of(&figure.body, i)].as_ref());
        figure.boxes[i] = shown.map(box_of).unwrap_or_default();
        if let Some(picture) = picture {
            let _ = images.insert(figure.images[i].id(), picture.to_image());
        }
    }
    figure.masks = Masks::of(&figure.body, &pictures);
    for eye in &mut figure.eyes {
        eye.2 = EyeLook::default();
    }
}

/// Paints an eye anew when its look has changed.
fn paint_eyes(
    figure: Option<ResMut<Figure>>,
    mascot: Res<Mascot>,
    mut images: ResMut<Assets<Image>>,
) {
    let Some(mut figure) = figure else { return };
    let figure = &mut *figure;
    for (part, side, seen) in &mut figure.eyes {
        let look = EyeLook::of(&mascot.pose, *side);
        if look == *seen {
            continue;
        }
        *seen = look;
        match Picture::draw(&look.svg(&figure.body, *side), figure.painted_at) {
            Ok(picture) => {
                figure.boxes[*part] = box_of(&picture);
                let _ = images.insert(figure.images[*part].id(), picture.to_image());
            }
            Err(error) => warn!("an eye cannot be painted: {error:#}"),
        }
    }
}

fn look_at_silhouette(
    figure: Option<ResMut<Figure>>,
    mascot: Res<Mascot>,
    time: Res<Time<Real>>,
    mut silhouette: ResMut<Silhouette>,
    mut last: Local<f32>,
) {
    let Some(mut figure) = figure else { return };
    figure.bones = rig::bones(&figure.body, &mascot.pose);
    let now = time.elapsed_secs();
    if now - *last > LOOK_EVERY_S || silhouette.0.is_empty() {
        *last = now;
        let rects = silhouette::rects(&figure.body, &figure.masks, &figure.bones, &mascot.pose);
        if rects != silhouette.0 {
            silhouette.0 = rects;
        }
    }
}

fn place_layers(
    figure: Option<Res<Figure>>,
    mascot: Res<Mascot>,
    necklace: Res<Necklace>,
    layout: Res<MascotLayout>,
    windows: Query<&Window, With<PrimaryWindow>>,
    mut layers: Query<(&Layer, &mut GlobalTransform, &mut Visibility, &mut Sprite)>,
) {
    let Some(figure) = figure else { return };
    let window = windows.single().map_or(WINDOW_SIZE.as_vec2(), |w| vec2(w.width(), w.height()));
    for (layer, mut transform, mut visibility, mut sprite) in &mut layers {
        let placed = rig::place(&figure.body, layer.part, layer.copy, &figure.bones, &mascot.pose);
        let wanted = if placed.is_some() { Visibility::Inherited } else { Visibility::Hidden };
        if *visibility != wanted {
            *visibility = wanted;
        }
        let Some(placed) = placed else { continue };
        let picture = figure.boxes[layer.part];
        *transform = on_screen(&placed, picture, layer, &layout, window);
        let color = match figure.body.parts[layer.part].role {
            Role::Bead(i) => necklace.color(i),
            _ => Color::WHITE,
        };
        let color = color.with_alpha(placed.alpha);
        if sprite.color != color {
            sprite.color = color;
        }
        if sprite.custom_size != Some(picture.size()) {
            sprite.custom_size = Some(picture.size());
        }
    }
}

/// The drawing's y runs down and starts at the figure's corner, the world's up from the window's middle.
fn on_screen(
    placed: &Placed,
    picture: Rect,
    layer: &Layer,
    layout: &MascotLayout,
    window: Vec2,
) -> GlobalTransform {
    let unit = layout.unit();
    let m = placed.at.matrix2;
    let center = placed.at.transform_point2(picture.center());
    let at = layout.figure_rect.min + center * unit - window / 2.0;
    let z = layer.part as f32 * 0.01 + layer.copy as f32 * 0.001;
    let z = if placed.front { z + 1.0 } else { z };
    let matrix = Mat3::from_cols(
        vec3(m.x_axis.x, -m.x_axis.y, 0.0) * unit,
        vec3(-m.y_axis.x, m.y_axis.y, 0.0) * unit,
        Vec3::Z,
    );
    GlobalTransform::from(bevy::math::Affine3A::from_mat3_translation(matrix, vec3(at.x, -at.y, z)))
}
