//! The small clocks of a living thing: blinks, glances, ear twitches, idle acts. Never in step, never regular.

use bevy::math::{Vec2, vec2};

use super::behavior::Behavior;

/// Seconds a blink takes, closing and opening.
pub const BLINK_S: f32 = 0.2;

/// A small generator of random numbers (xorshift), seeded.
#[derive(Debug, Clone, Copy)]
pub struct Dice(u64);

impl Dice {
    /// `seed` may be any number.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// From 0 up to 1.
    pub fn roll(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Between two numbers.
    pub fn between(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * self.roll()
    }
}

/// The clocks.
#[derive(Debug, Clone, Copy)]
pub struct Fidgets {
    dice: Dice,
    next_blink: f32,
    blink_age: f32,
    /// Blinks so far.
    pub blinks: u32,
    next_glance: f32,
    /// Where it looks when nothing draws its eyes, each -1 to 1.
    pub glance: Vec2,
    next_twitch: f32,
    /// How much each ear jumps, 1 to 0.
    pub twitch: [f32; 2],
    next_act: f32,
}

impl Fidgets {
    /// All clocks start apart.
    pub fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            next_blink: 1.2,
            blink_age: 1.0,
            blinks: 0,
            next_glance: 2.5,
            glance: Vec2::ZERO,
            next_twitch: 5.0,
            twitch: [0.0; 2],
            next_act: 20.0,
        }
    }

    /// How far the lids are closed by a blink, 0 to 1.
    pub fn blink(&self) -> f32 {
        let t = self.blink_age / BLINK_S;
        if t < 0.35 { t / 0.35 } else { ((1.0 - t) / 0.5).clamp(0.0, 1.0) }
    }

    /// Something small is moving right now.
    pub fn is_moving(&self) -> bool {
        self.blink_age < BLINK_S || self.twitch.iter().any(|t| *t > 0.0)
    }

    /// Seconds to the next thing worth a frame of its own.
    pub fn next(&self) -> f32 {
        self.next_blink.min(self.next_twitch).max(0.0)
    }

    /// Lets `dt` seconds pass; an idle act that is due comes back. `energy` of the mood, -1 to 1.
    pub fn pass(&mut self, dt: f32, awake: bool, idle: bool, energy: f32) -> Option<Behavior> {
        self.blink_age += dt;
        for t in &mut self.twitch {
            *t = (*t - dt * 3.5).max(0.0);
        }
        if !awake {
            return None;
        }
        self.next_blink -= dt;
        if self.next_blink < 0.0 {
            self.blinks += 1;
            self.blink_age = 0.0;
            // Now and then a second blink follows at once.
            let double = self.dice.roll() < 0.15;
            self.next_blink = if double { 0.32 } else { self.dice.between(2.5, 7.0) };
        }
        self.next_glance -= dt;
        if self.next_glance < 0.0 {
            self.next_glance = self.dice.between(2.5, 6.5);
            self.glance = if self.dice.roll() < 0.6 {
                vec2(self.dice.between(-0.8, 0.8), self.dice.between(-0.45, 0.5))
            } else {
                Vec2::ZERO
            };
        }
        self.next_twitch -= dt;
        if self.next_twitch < 0.0 {
            self.next_twitch = self.dice.between(5.0, 14.0);
            self.twitch[usize::from(self.dice.roll() < 0.5)] = 1.0;
        }
        self.next_act -= dt;
        if self.next_act > 0.0 || !idle {
            return None;
        }
        self.next_act = self.dice.between(22.0, 55.0);
        Some(match self.dice.roll() - 0.3 * energy {
            x if x < 0.2 => Behavior::Stretch,
            x if x < 0.65 => Behavior::Hum,
            _ => Behavior::Yawn,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_blinks_like_an_animal() {
        for seed in 0..20 {
            let mut f = Fidgets::new(seed);
            let mut closed = 0.0_f32;
            for _ in 0..1200 {
                f.pass(0.05, true, true, 0.0);
                assert!((0.0..=1.0).contains(&f.blink()));
                closed = closed.max(f.blink());
            }
            assert!((8..=26).contains(&f.blinks), "{} blinks in a minute", f.blinks);
            assert!(closed > 0.6);
        }
    }

    #[test]
    fn asleep_it_does_not_blink() {
        let mut f = Fidgets::new(1);
        (0..1000).for_each(|_| assert!(f.pass(0.1, false, true, 0.0).is_none()));
        assert_eq!(f.blinks, 0);
    }
}
