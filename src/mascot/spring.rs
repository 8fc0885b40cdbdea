//! A damped spring, stepped finely enough to stay calm however long a frame was.

/// Longest single step, seconds; the stiffest spring of the figure is stable up to about three times this.
const FINE_STEP: f32 = 1.0 / 60.0;
/// Longest pause that is caught up with, seconds.
const LONGEST: f32 = 0.3;

/// Where something is and how fast it moves.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spring {
    /// Place, in the unit of the target.
    pub at: f32,
    /// Speed, that unit a second.
    pub speed: f32,
}

impl Spring {
    /// Moves toward `target` for `dt` seconds. `stiffness` in 1/s²; `damping` in 1/s: twice the root of the
    /// stiffness does not overshoot, half of that swings a few times.
    pub fn step(&mut self, target: f32, stiffness: f32, damping: f32, dt: f32) -> f32 {
        let dt = dt.clamp(0.0, LONGEST);
        let n = (dt / FINE_STEP).ceil().max(1.0);
        for _ in 0..n as u32 {
            let h = dt / n;
            self.speed += ((target - self.at) * stiffness - self.speed * damping) * h;
            self.at += self.speed * h;
        }
        if !self.at.is_finite() || !self.speed.is_finite() {
            *self = Self { at: if target.is_finite() { target } else { 0.0 }, speed: 0.0 };
        }
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_arrives_at_any_frame_rate() {
        for dt in [0.004_f32, 0.016, 0.1, 5.0] {
            let mut spring = Spring::default();
            for _ in 0..(20.0 / dt.min(0.3)) as usize {
                assert!(spring.step(1.0, 420.0, 14.0, dt).abs() < 3.0);
            }
            assert!((spring.at - 1.0).abs() < 1e-3, "{dt}: {}", spring.at);
        }
    }

    #[test]
    fn a_number_that_is_none_does_not_stay() {
        let mut spring = Spring { at: f32::NAN, speed: 1.0 };
        assert_eq!(spring.step(0.5, 100.0, 10.0, 0.1), 0.5);
    }
}
