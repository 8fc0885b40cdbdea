//! How the figure feels in the long run: pleasure, energy, closeness. Talks and hands move it, time brings it home.
//!
//! It colours the resting face and the choice of idle acts. It never grows hungry and never blames anybody.

use crate::brain::protocol::MoodTag;

/// Seconds after which half of a feeling is gone.
const HALF_LIFE: f32 = 600.0;

/// A mood that changes slowly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mood {
    /// -1 to 1; at home 0.2.
    pub pleasure: f32,
    /// -1 to 1; at home 0.1, lower the longer nothing happens.
    pub energy: f32,
    /// 0 to 1; grows with care, does not fade while the program runs.
    pub closeness: f32,
}

impl Default for Mood {
    fn default() -> Self {
        Self { pleasure: 0.2, energy: 0.1, closeness: 0.3 }
    }
}

impl Mood {
    /// Lets `dt` seconds pass.
    pub fn pass(&mut self, dt: f32) {
        let keep = 0.5_f32.powf(dt.max(0.0) / HALF_LIFE);
        let home = Self::default();
        self.pleasure = home.pleasure + (self.pleasure - home.pleasure) * keep;
        self.energy = home.energy + (self.energy - home.energy) * keep;
    }

    /// A reply was said in this mood.
    pub fn hear(&mut self, tag: MoodTag) {
        let (pleasure, energy) = match tag {
            MoodTag::Calm => (0.02, -0.02),
            MoodTag::Happy | MoodTag::Proud => (0.15, 0.05),
            MoodTag::Excited | MoodTag::Silly => (0.15, 0.2),
            MoodTag::Curious => (0.05, 0.1),
            MoodTag::Shy => (0.05, 0.0),
            MoodTag::Sleepy => (0.0, -0.25),
            MoodTag::Worried => (-0.1, 0.05),
            MoodTag::Sad => (-0.2, -0.1),
        };
        self.shift(pleasure, energy, 0.01);
    }

    /// It was stroked.
    pub fn be_petted(&mut self) {
        self.shift(0.2, 0.05, 0.03);
    }

    /// It was carried about.
    pub fn be_carried(&mut self) {
        self.shift(0.02, 0.15, 0.005);
    }

    fn shift(&mut self, pleasure: f32, energy: f32, closeness: f32) {
        self.pleasure = (self.pleasure + pleasure).clamp(-1.0, 1.0);
        self.energy = (self.energy + energy).clamp(-1.0, 1.0);
        self.closeness = (self.closeness + closeness).clamp(0.0, 1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feelings_stay_in_range_and_fade() {
        let mut mood = Mood::default();
        for _ in 0..100 {
            mood.be_petted();
            mood.hear(MoodTag::Excited);
        }
        assert_eq!((mood.pleasure, mood.energy, mood.closeness), (1.0, 1.0, 1.0));
        mood.pass(600.0);
        assert!((mood.pleasure - 0.6).abs() < 1e-3);
        mood.pass(36_000.0);
        assert!((mood.pleasure - 0.2).abs() < 1e-3 && mood.closeness == 1.0);
    }
}
