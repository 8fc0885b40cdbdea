//! Where things are in the mascot window. Logical pixels from its upper left corner, y down.

use bevy::prelude::*;

use super::body;

/// Size of the mascot window: room for the bubble above the figure.
pub const WINDOW_SIZE: UVec2 = UVec2::new(360, 520);
/// Logical pixels of a unit of the drawing at size 1.
const UNIT: f32 = 0.8;
/// Resting place of the feet.
const FEET: Vec2 = Vec2::new(180.0, 494.0);
/// Smallest and largest figure that fits the window.
pub const SCALES: (f32, f32) = (0.5, 1.2);

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
        let scale = scale.clamp(SCALES.0, SCALES.1);
        let unit = UNIT * scale;
        let corner = FEET - body::FEET * unit;
        let figure_rect = Rect::from_corners(corner, corner + body::CANVAS * unit);
        let size = WINDOW_SIZE.as_vec2();
        let bubble_floor = figure_rect.min.y + 14.0 * unit;
        Self {
            figure_rect,
            mouth_anchor: corner + vec2(160.0, 14.0) * unit,
            bubble_area: Rect::new(4.0, 4.0, size.x - 4.0, bubble_floor),
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

    /// A rectangle of the drawing in the window.
    pub fn to_window(&self, rect: Rect) -> Rect {
        let unit = self.unit();
        let corner = self.figure_rect.min;
        Rect::from_corners(corner + rect.min * unit, corner + rect.max * unit)
    }
}

impl Default for MascotLayout {
    fn default() -> Self {
        Self::for_scale(1.0)
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
            assert!(layout.to_drawing(layout.figure_rect.max).distance(body::CANVAS) < 0.01);
            let all = layout.to_window(Rect::from_corners(Vec2::ZERO, body::CANVAS));
            assert!(all.min.distance(layout.figure_rect.min) < 0.01);
        }
    }
}
