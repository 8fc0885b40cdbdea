//! How the figure moves: pure arithmetic from time and what happens to a [`Pose`]. No Bevy systems, so it can be tested.
//!
//! Springs follow targets; breathing, blinking and glances run on their own clocks and never in step.

use bevy::math::{Vec2, vec2};

use crate::brain::protocol::MoodTag;

/// Longest step of the springs in seconds; longer pauses are not caught up with.
const MAX_STEP: f32 = 0.05;
/// Calm seconds until it dozes off.
pub const SLEEPY_AFTER: f32 = 240.0;

/// What the figure is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Behavior {
    #[default]
    Idle,
    Listen,
    Think,
    Talk,
    Petted,
    Held,
    Landing,
    Wave,
    Sleep,
    Trouble,
}

/// Which eyes are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Eyes {
    #[default]
    Open,
    Closed,
    Happy,
}

/// Which mouth is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Mouth {
    #[default]
    Smile,
    Open,
    O,
    Sad,
}

/// What pops up beside the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Pop {
    #[default]
    None,
    Heart,
    Sleep,
    Dots,
    Spark,
    Sweat,
}

/// Everything that is drawn, in SVG units and radians.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Pose {
    /// Squash of the body: above 0 it is low and wide.
    pub squash: f32,
    /// Sway of the whole figure around its feet (or its scruff while held).
    pub sway: f32,
    /// Upward, for hops.
    pub lift: f32,
    pub head_tilt: f32,
    pub head_drop: f32,
    pub ears: [f32; 2],
    pub tail: f32,
    pub arms: [f32; 2],
    pub tuft: f32,
    pub gaze: Vec2,
    pub brows: f32,
    pub eyes: Eyes,
    pub mouth: Mouth,
    pub pop: Pop,
    /// Phase of the pop-up, 0 to 1 and again.
    pub pop_phase: f32,
}

/// What the world does to the figure in one step.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stimulus {
    /// Cursor relative to the face in SVG units, if it is known.
    pub cursor: Option<Vec2>,
    /// Speed of the window while held, SVG units a second.
    pub held_speed: Option<Vec2>,
    /// Only the eyes move.
    pub reduced_motion: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Spring {
    at: f32,
    speed: f32,
}

impl Spring {
    /// Moves toward `target`; `stiffness` in 1/s².
    fn step(&mut self, target: f32, stiffness: f32, damping: f32, dt: f32) -> f32 {
        self.speed += ((target - self.at) * stiffness - self.speed * damping) * dt;
        self.at += self.speed * dt;
        self.at
    }
}

/// A living figure: clocks, springs and what it does.
#[derive(Debug, Clone)]
pub struct Life {
    seed: u64,
    time: f32,
    behavior: Behavior,
    /// Seconds in this behaviour.
    since: f32,
    mood: MoodTag,
    mood_left: f32,
    next_blink: f32,
    blink_left: f32,
    blinks: u32,
    next_glance: f32,
    glance: Vec2,
    next_twitch: f32,
    twitch: [f32; 2],
    calm_for: f32,
    pop: Pop,
    pop_left: f32,
    squash: Spring,
    sway: Spring,
    head: Spring,
    ears: [Spring; 2],
    tail: Spring,
    arms: [Spring; 2],
    gaze: [Spring; 2],
}

impl Life {
    /// A figure that has just woken.
    pub fn new(seed: u64) -> Self {
        Self {
            seed: seed | 1,
            time: 0.0,
            behavior: Behavior::Idle,
            since: 0.0,
            mood: MoodTag::Calm,
            mood_left: 0.0,
            next_blink: 1.2,
            blink_left: 0.0,
            blinks: 0,
            next_glance: 3.0,
            glance: Vec2::ZERO,
            next_twitch: 5.0,
            twitch: [0.0; 2],
            calm_for: 0.0,
            pop: Pop::None,
            pop_left: 0.0,
            squash: Spring::default(),
            sway: Spring::default(),
            head: Spring::default(),
            ears: [Spring::default(); 2],
            tail: Spring::default(),
            arms: [Spring::default(); 2],
            gaze: [Spring::default(); 2],
        }
    }

    /// What it does now.
    pub fn behavior(&self) -> Behavior {
        self.behavior
    }

    /// Blinks so far.
    pub fn blinks(&self) -> u32 {
        self.blinks
    }

    /// Starts a behaviour.
    pub fn act(&mut self, behavior: Behavior) {
        if self.behavior != behavior {
            if behavior == Behavior::Landing {
                self.squash.speed = 4.5;
            }
            self.behavior = behavior;
            self.since = 0.0;
        }
        self.calm_for = 0.0;
    }

    /// The mood of the moment; it fades after a while.
    pub fn feel(&mut self, mood: MoodTag) {
        self.mood = mood;
        self.mood_left = 14.0;
        match mood {
            MoodTag::Happy | MoodTag::Excited | MoodTag::Proud => self.squash.speed += 2.2,
            MoodTag::Worried => self.show(Pop::Sweat, 3.0),
            _ => {}
        }
    }

    /// Shows a pop-up for some seconds.
    pub fn show(&mut self, pop: Pop, seconds: f32) {
        self.pop = pop;
        self.pop_left = seconds;
    }

    /// Somebody is there: not the time to sleep.
    pub fn stir(&mut self) {
        self.calm_for = 0.0;
        if self.behavior == Behavior::Sleep {
            self.act(Behavior::Idle);
            self.squash.speed = -2.0;
        }
    }

    /// Frames a second that look right now.
    pub fn pace_hz(&self) -> f32 {
        let moving = self.squash.speed.abs() > 0.15 || self.sway.speed.abs() > 0.15;
        match self.behavior {
            Behavior::Held
            | Behavior::Landing
            | Behavior::Petted
            | Behavior::Wave
            | Behavior::Talk => 30.0,
            _ if moving => 30.0,
            Behavior::Sleep => 1.4,
            Behavior::Think | Behavior::Listen => 15.0,
            Behavior::Idle | Behavior::Trouble => 10.0,
        }
    }

    fn random(&mut self) -> f32 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Lives through `dt` seconds.
    pub fn advance(&mut self, dt: f32, stimulus: Stimulus) -> Pose {
        let dt = dt.clamp(0.0, 2.0);
        self.time += dt;
        self.since += dt;
        self.calm_for += dt;
        self.mood_left -= dt;
        self.pop_left -= dt;
        if self.mood_left < 0.0 {
            self.mood = MoodTag::Calm;
        }
        if self.pop_left < 0.0 {
            self.pop = Pop::None;
        }
        self.move_on();
        self.tick_clocks(dt);
        self.pose(dt.min(MAX_STEP), stimulus)
    }

    /// Behaviours that end by themselves.
    fn move_on(&mut self) {
        let ends = match self.behavior {
            Behavior::Landing => self.since > 0.7,
            Behavior::Wave => self.since > 1.8,
            Behavior::Petted => self.since > 1.6,
            Behavior::Listen => self.since > 20.0,
            Behavior::Talk | Behavior::Think => self.since > 120.0,
            Behavior::Trouble => self.since > 12.0,
            Behavior::Idle | Behavior::Held | Behavior::Sleep => false,
        };
        if ends {
            self.behavior = Behavior::Idle;
            self.since = 0.0;
        }
        if self.behavior == Behavior::Idle && self.calm_for > SLEEPY_AFTER {
            self.behavior = Behavior::Sleep;
            self.since = 0.0;
        }
    }

    fn tick_clocks(&mut self, dt: f32) {
        self.next_blink -= dt;
        self.blink_left -= dt;
        if self.next_blink < 0.0 && self.behavior != Behavior::Sleep {
            self.blinks += 1;
            self.blink_left = 0.14;
            // Now and then a second blink follows at once.
            self.next_blink = if self.random() < 0.15 { 0.3 } else { 2.5 + 4.5 * self.random() };
        }
        self.next_glance -= dt;
        if self.next_glance < 0.0 {
            self.next_glance = 2.0 + 5.0 * self.random();
            let away = self.random() < 0.6;
            self.glance = if away {
                vec2(self.random() * 2.0 - 1.0, self.random() - 0.5)
            } else {
                Vec2::ZERO
            };
        }
        self.next_twitch -= dt;
        if self.next_twitch < 0.0 {
            self.next_twitch = 4.0 + 9.0 * self.random();
            let ear = usize::from(self.random() < 0.5);
            self.twitch[ear] = 1.0;
        }
        for t in &mut self.twitch {
            *t = (*t - dt * 4.0).max(0.0);
        }
    }

    fn pose(&mut self, dt: f32, s: Stimulus) -> Pose {
        let t = self.time;
        let b = self.behavior;
        let still = if s.reduced_motion { 0.0 } else { 1.0 };
        let asleep = b == Behavior::Sleep;
        let breath = (t * if asleep { 1.3 } else { 2.1 }).sin();

        // Where it wants to look.
        let toward = match (s.cursor, b) {
            (_, Behavior::Think) => vec2(-0.7, -0.8),
            (Some(c), _) if c.length() < 700.0 => c.clamp_length_max(160.0) / 160.0,
            _ => self.glance,
        };
        let gaze = vec2(
            self.gaze[0].step(toward.x, 90.0, 17.0, dt),
            self.gaze[1].step(toward.y, 90.0, 17.0, dt),
        );

        let held = s.held_speed.unwrap_or_default();
        let sway_to = if b == Behavior::Held { (held.x * 0.0012).clamp(-0.55, 0.55) } else { 0.0 };
        let sway = self.sway.step(sway_to, 70.0, 5.0, dt);
        let squash_to = match b {
            Behavior::Held => -0.10,
            Behavior::Petted => 0.05,
            Behavior::Listen => -0.02,
            _ => 0.0,
        };
        let squash = self.squash.step(squash_to, 160.0, 9.0, dt).clamp(-0.25, 0.3) * still;

        let tilt_to = match b {
            Behavior::Listen => 0.09,
            Behavior::Think => -0.07,
            Behavior::Petted => 0.05 * (t * 5.0).sin(),
            Behavior::Sleep => 0.10,
            Behavior::Talk => 0.035 * (t * 3.1).sin(),
            _ => gaze.x * 0.05,
        };
        let head = self.head.step(tilt_to, 60.0, 12.0, dt) * still;

        let (droop, perk) = match self.mood {
            MoodTag::Sad | MoodTag::Worried | MoodTag::Shy => (0.22, 0.0),
            MoodTag::Sleepy => (0.18, 0.0),
            MoodTag::Curious | MoodTag::Excited => (0.0, 0.10),
            _ => (0.0, 0.0),
        };
        let ear_to = match b {
            Behavior::Petted => 0.28,
            Behavior::Listen => -0.12,
            Behavior::Sleep => 0.25,
            Behavior::Held => 0.15,
            _ => droop - perk,
        };
        let mut ears = [0.0; 2];
        for (i, ear) in ears.iter_mut().enumerate() {
            let jump = self.twitch[i] * 0.25;
            *ear = (self.ears[i].step(ear_to, 120.0, 11.0, dt)
                + jump
                + 0.015 * (t * 1.7 + i as f32).sin())
                * still;
        }

        let wag = match (b, self.mood) {
            (Behavior::Petted, _) | (_, MoodTag::Excited) => 0.22 * (t * 9.0).sin(),
            (_, MoodTag::Happy | MoodTag::Silly | MoodTag::Proud) => 0.14 * (t * 5.0).sin(),
            (Behavior::Think, _) => 0.10 * (t * 1.6).sin(),
            (Behavior::Sleep, _) => 0.0,
            _ => 0.06 * (t * 1.3).sin(),
        };
        let tail = self.tail.step(wag, 90.0, 10.0, dt) * still - sway * 0.5;

        let (left_to, right_to) = match b {
            Behavior::Held => (0.9, -0.9),
            Behavior::Wave => (0.0, -2.3 + 0.35 * (t * 10.0).sin()),
            Behavior::Think => (0.0, -0.9),
            _ if matches!(self.mood, MoodTag::Excited) => (0.6, -0.6),
            _ => (0.03 * breath, -0.03 * breath),
        };
        let arms = [
            self.arms[0].step(left_to, 110.0, 13.0, dt) * still,
            self.arms[1].step(right_to, 110.0, 13.0, dt) * still,
        ];

        let hop = if matches!(self.mood, MoodTag::Excited) && b != Behavior::Held {
            (t * 6.0).sin().abs() * 9.0
        } else {
            0.0
        };
        Pose {
            squash: squash + 0.010 * breath * still,
            sway: sway * still,
            lift: hop * still,
            head_tilt: head,
            head_drop: (1.3 * (t * 2.1 - 0.7).sin() + if asleep { 5.0 } else { 0.0 }) * still,
            ears,
            tail,
            arms,
            tuft: (0.05 * (t * 1.9 + 0.5).sin() - sway * 0.4 - head * 0.5) * still,
            gaze,
            brows: self.brows(),
            eyes: self.eyes(),
            mouth: self.mouth(),
            pop: self.visible_pop(),
            pop_phase: (t * 0.8).fract(),
        }
    }

    fn eyes(&self) -> Eyes {
        match self.behavior {
            Behavior::Petted => Eyes::Happy,
            Behavior::Sleep => Eyes::Closed,
            _ if self.blink_left > 0.0 => Eyes::Closed,
            Behavior::Idle | Behavior::Wave
                if matches!(self.mood, MoodTag::Happy | MoodTag::Proud) && self.mood_left > 9.0 =>
            {
                Eyes::Happy
            }
            _ => Eyes::Open,
        }
    }

    fn mouth(&self) -> Mouth {
        match self.behavior {
            // Syllables of about a fifth of a second, with rests, never quite regular.
            Behavior::Talk => match ((self.time * 8.0) as u32).wrapping_mul(2_654_435_761) >> 30 {
                0 => Mouth::Smile,
                1 => Mouth::O,
                _ => Mouth::Open,
            },
            Behavior::Held => Mouth::O,
            Behavior::Petted | Behavior::Wave => Mouth::Open,
            Behavior::Trouble => Mouth::Sad,
            _ => match self.mood {
                MoodTag::Sad | MoodTag::Worried => Mouth::Sad,
                MoodTag::Excited => Mouth::Open,
                MoodTag::Curious if self.mood_left > 10.0 => Mouth::O,
                _ => Mouth::Smile,
            },
        }
    }

    fn brows(&self) -> f32 {
        match (self.behavior, self.mood) {
            (Behavior::Think, _) => 4.0,
            (Behavior::Listen, _) => 3.0,
            (_, MoodTag::Sad | MoodTag::Worried) => -3.0,
            (_, MoodTag::Curious | MoodTag::Excited) => 4.0,
            _ => 0.0,
        }
    }

    fn visible_pop(&self) -> Pop {
        match self.behavior {
            Behavior::Think => Pop::Dots,
            Behavior::Sleep => Pop::Sleep,
            Behavior::Petted => Pop::Heart,
            Behavior::Trouble => Pop::Sweat,
            _ => self.pop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(life: &mut Life, seconds: f32, stimulus: Stimulus) -> Pose {
        let mut pose = Pose::default();
        for _ in 0..(seconds / 0.05) as usize {
            pose = life.advance(0.05, stimulus);
            let numbers = [
                pose.squash,
                pose.sway,
                pose.head_tilt,
                pose.tail,
                pose.arms[0],
                pose.arms[1],
                pose.gaze.x,
                pose.gaze.y,
            ];
            assert!(numbers.iter().all(|n| n.is_finite() && n.abs() < 4.0), "{pose:?}");
        }
        pose
    }

    #[test]
    fn it_blinks_like_an_animal() {
        let mut life = Life::new(3);
        live(&mut life, 60.0, Stimulus::default());
        assert!((8..=30).contains(&life.blinks()), "{} blinks in a minute", life.blinks());
    }

    #[test]
    fn it_dozes_off_and_wakes_when_somebody_comes() {
        let mut life = Life::new(3);
        live(&mut life, SLEEPY_AFTER + 5.0, Stimulus::default());
        assert_eq!(life.behavior(), Behavior::Sleep);
        assert!(life.pace_hz() <= 1.5);
        life.stir();
        assert_eq!(life.behavior(), Behavior::Idle);
    }

    #[test]
    fn behaviours_end_by_themselves() {
        for b in [
            Behavior::Petted,
            Behavior::Wave,
            Behavior::Landing,
            Behavior::Listen,
            Behavior::Trouble,
            Behavior::Talk,
            Behavior::Think,
        ] {
            let mut life = Life::new(1);
            life.act(b);
            live(&mut life, 125.0, Stimulus::default());
            assert_eq!(life.behavior(), Behavior::Idle, "{b:?}");
        }
    }

    #[test]
    fn a_squash_settles_and_the_idle_pace_is_low() {
        let mut life = Life::new(1);
        life.act(Behavior::Landing);
        live(&mut life, 4.0, Stimulus::default());
        let pose = life.advance(0.05, Stimulus::default());
        assert!(pose.squash.abs() < 0.03, "{}", pose.squash);
        assert!(life.pace_hz() <= 12.0);
    }

    #[test]
    fn eyes_follow_the_cursor_and_reduced_motion_moves_nothing_else() {
        let mut life = Life::new(1);
        let right =
            Stimulus { cursor: Some(vec2(300.0, 0.0)), reduced_motion: true, ..Default::default() };
        let pose = live(&mut life, 2.0, right);
        assert!(pose.gaze.x > 0.8);
        assert_eq!((pose.squash, pose.sway, pose.head_tilt, pose.lift), (0.0, 0.0, 0.0, 0.0));
    }
}
