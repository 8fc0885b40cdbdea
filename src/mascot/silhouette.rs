//! Which part of the window is the figure: coarse rectangles from the posed parts, for the click region and for hands.
//!
//! In units of the drawing; parts are looked at through small masks, so that a pose costs little.

use bevy::math::{Affine2, Rect, Vec2, vec2};

use super::{
    body::{Body, Role},
    pose::Pose,
    raster::Picture,
    rig,
};

/// Side of a cell, units of the drawing.
const CELL: f32 = 6.0;
/// Cells around the canvas, so that a swaying figure stays inside.
const MARGIN: f32 = 48.0;

/// The solid points of every part, at rest.
#[derive(Debug, Clone, Default)]
pub struct Masks(Vec<Vec<Vec2>>);

impl Masks {
    /// Looks at every part of a body once.
    pub fn of(body: &Body, pictures: &[Option<Picture>]) -> Self {
        let points = body.parts.iter().zip(pictures).map(|(part, picture)| {
            let solid = !matches!(part.role, Role::Shadow | Role::Pop(_) | Role::Blush);
            picture.as_ref().filter(|_| solid).map(solid_points).unwrap_or_default()
        });
        Self(points.collect())
    }
}

fn solid_points(picture: &Picture) -> Vec<Vec2> {
    let (w, h) = (picture.pixels.width(), picture.pixels.height());
    let scale = vec2(w as f32, h as f32) / picture.size;
    let step = (CELL * 0.5 * scale.x).max(1.0) as usize;
    let mut points = Vec::new();
    for y in (0..h).step_by(step) {
        for x in (0..w).step_by(step) {
            if picture.pixels.pixel(x, y).is_some_and(|p| p.alpha() > 100) {
                points.push(picture.corner + vec2(x as f32, y as f32) / scale);
            }
        }
    }
    points
}

/// The figure in a pose as rectangles, top to bottom.
pub fn rects(body: &Body, masks: &Masks, bones: &[Affine2], pose: &Pose) -> Vec<Rect> {
    let size = body.canvas + 2.0 * MARGIN;
    let (w, h) = ((size.x / CELL).ceil() as usize, (size.y / CELL).ceil() as usize);
    let mut cells = vec![false; w * h];
    for (i, points) in masks.0.iter().enumerate() {
        let Some(placed) = rig::place(body, i, 0, bones, pose) else { continue };
        for p in points {
            let at = (placed.at.transform_point2(*p) + MARGIN) / CELL;
            if at.x >= 0.0 && at.y >= 0.0 && (at.x as usize) < w && (at.y as usize) < h {
                cells[at.y as usize * w + at.x as usize] = true;
            }
        }
    }
    let mut rects: Vec<Rect> = Vec::new();
    for y in 0..h {
        let mut x = 0;
        while x < w {
            if !cells[y * w + x] {
                x += 1;
                continue;
            }
            let start = x;
            while x < w && cells[y * w + x] {
                x += 1;
            }
            let min = vec2(start as f32, y as f32) * CELL - MARGIN;
            let max = vec2(x as f32, (y + 1) as f32) * CELL - MARGIN;
            // A run with the same ends as the one above makes that one taller.
            let above = rects
                .iter_mut()
                .rev()
                .take(24)
                .find(|r| r.max.y == min.y && r.min.x == min.x && r.max.x == max.x);
            match above {
                Some(above) => above.max.y = max.y,
                None => rects.push(Rect::from_corners(min, max)),
            }
        }
    }
    rects
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mascot::{body, pictures::paint_all, pose::Joint};

    #[test]
    fn the_figure_is_hit_and_the_corners_are_free() {
        let body = body::tests::tete();
        let masks = Masks::of(&body, &paint_all(&body, 0.6).expect("pictures"));
        let hits = |pose: &Pose, p: Vec2| {
            let all = rects(&body, &masks, &rig::bones(&body, pose), pose);
            assert!((10..160).contains(&all.len()), "{} rectangles", all.len());
            all.iter().any(|r| r.contains(p))
        };
        let mut pose = Pose::default();
        assert!(hits(&pose, vec2(160.0, 160.0)) && hits(&pose, vec2(160.0, 300.0)));
        for free in [vec2(4.0, 4.0), vec2(4.0, 340.0), vec2(20.0, 250.0), vec2(310.0, 60.0)] {
            assert!(!hits(&pose, free), "{free}");
        }
        let hand = vec2(68.0, 240.0);
        pose[Joint::ArmLeft] = 1.4;
        assert!(hits(&pose, hand), "a raised hand can be clicked");
    }
}
