//! All pictures of a body at one size.

use anyhow::Context;

use super::{
    body::{Body, Role},
    eye::EyeLook,
    pose::Pose,
    raster::Picture,
};

/// A picture a part, with `scale` pixels a unit; parts with the same drawing after the first get none and share it,
/// see [`source_of`].
///
/// # Errors
/// A drawing that cannot be read: the message names it.
pub fn paint_all(body: &Body, scale: f32) -> anyhow::Result<Vec<Option<Picture>>> {
    let pose = Pose::default();
    (0..body.parts.len())
        .map(|i| {
            if source_of(body, i) != i {
                return Ok(None);
            }
            let part = &body.parts[i];
            let picture = match part.role {
                Role::Eye(side) => Picture::draw(&EyeLook::of(&pose, side).svg(body, side), scale),
                _ => Picture::draw(body.art.get(&part.art).map_or("", String::as_str), scale),
            };
            picture.map(Some).with_context(|| format!("the drawing {}.svg", part.art))
        })
        .collect()
}

/// The part whose picture part `i` shows: itself, or the first bead for all beads.
pub fn source_of(body: &Body, i: usize) -> usize {
    let part = &body.parts[i];
    if matches!(part.role, Role::Eye(_)) {
        return i;
    }
    body.parts.iter().position(|p| p.art == part.art).unwrap_or(i)
}
