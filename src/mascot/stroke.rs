//! Tells strokes from mere passing by: changes of direction within a short time over one place.

use bevy::math::Vec2;

/// A stroke: this many changes of direction ...
const TURNS: usize = 3;
/// ... within this many seconds.
const WITHIN_S: f32 = 1.2;
/// Movements shorter than this do not count, units of the drawing.
const SHORTEST: f32 = 4.0;

/// A hand's path over the figure.
#[derive(Debug, Clone, Default)]
pub struct StrokeWatch {
    from: Option<Vec2>,
    direction: Vec2,
    turns: Vec<f32>,
}

impl StrokeWatch {
    /// The hand is at `at` (none: not on the figure) at `now` seconds; true when a stroke is complete.
    pub fn see(&mut self, at: Option<Vec2>, now: f32) -> bool {
        self.turns.retain(|t| now - t < WITHIN_S);
        let Some(at) = at else {
            *self = Self::default();
            return false;
        };
        let Some(from) = self.from else {
            self.from = Some(at);
            return false;
        };
        let step = at - from;
        if step.length() < SHORTEST {
            return false;
        }
        self.from = Some(at);
        let direction = step.normalize();
        if direction.dot(self.direction) < -0.2 {
            self.turns.push(now);
        }
        self.direction = direction;
        let done = self.turns.len() >= TURNS;
        if done {
            self.turns.clear();
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bevy::math::vec2;

    fn strokes(step: f32, pause: f32) -> usize {
        let mut watch = StrokeWatch::default();
        (0..40)
            .filter(|i| {
                let there = i / 4 % 2 == 0;
                let x = (i % 4) as f32 * step;
                let x = if there { x } else { 3.0 * step - x };
                watch.see(Some(vec2(x, 0.0)), *i as f32 * pause)
            })
            .count()
    }

    #[test]
    fn to_and_fro_is_a_stroke_and_passing_by_is_not() {
        assert!(strokes(10.0, 0.05) >= 2);
        assert_eq!(strokes(10.0, 0.5), 0, "too slow");
        assert_eq!(strokes(0.5, 0.05), 0, "a trembling hand");
        let mut watch = StrokeWatch::default();
        assert!(!(0..100).any(|i| watch.see(Some(vec2(i as f32 * 5.0, 0.0)), i as f32 * 0.02)));
    }
}
