//! The living figure: what happens to it goes in, a pose comes out. Pure, seeded, without Bevy's world.
//!
//! A posture (tables in [`super::expression`]) plus motion (curves in [`super::motion`]) is the target that springs follow.

use bevy::math::{Vec2, vec2};

use super::{
    behavior::{Behavior, Doing},
    body::Zone,
    expression,
    fidget::Fidgets,
    mood::Mood,
    motion::{self, Moment},
    pose::{Joint, Pose},
    spring::Spring,
};
use crate::brain::protocol::MoodTag;

/// Calm seconds until it nods off.
pub const SLEEPY_AFTER: f32 = 240.0;
/// Seconds a mood stays on the face.
const FELT_FOR: f32 = 14.0;
/// Seconds a mood's pop-up is seen.
const POP_FOR: f32 = 3.5;
/// Updates a second when nothing moves but breath and tail.
const CALM_HZ: f32 = 8.0;

/// What the world does to the figure in one step.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stimulus {
    /// Cursor relative to the face in units of the drawing, if it is known.
    pub cursor: Option<Vec2>,
    /// Speed of the hand that holds it, units a second.
    pub held_speed: Option<Vec2>,
    /// Only the face changes, and blinks.
    pub reduced_motion: bool,
}

/// A living figure.
#[derive(Debug, Clone)]
pub struct Life {
    time: f32,
    doing: Doing,
    mood: Mood,
    felt: MoodTag,
    felt_for: f32,
    fidgets: Fidgets,
    calm_for: f32,
    beads: [f32; 12],
    springs: [Spring; Joint::COUNT],
}

impl Life {
    /// A figure that has just woken.
    pub fn new(seed: u64) -> Self {
        let rest = Pose::default();
        Self {
            time: 0.0,
            doing: Doing::default(),
            mood: Mood::default(),
            felt: MoodTag::Calm,
            felt_for: f32::MAX / 4.0,
            fidgets: Fidgets::new(seed),
            calm_for: 0.0,
            beads: [0.0; 12],
            springs: rest.joints.map(|at| Spring { at, speed: 0.0 }),
        }
    }

    /// What it does now.
    pub fn behavior(&self) -> Behavior {
        self.doing.behavior()
    }

    /// How it feels in the long run.
    pub fn mood(&self) -> &Mood {
        &self.mood
    }

    /// Blinks so far.
    pub fn blinks(&self) -> u32 {
        self.fidgets.blinks
    }

    /// Begins a behaviour, unless something stronger is going on.
    pub fn act(&mut self, behavior: Behavior) {
        self.wake();
        if self.doing.begin(behavior) {
            self.kick(behavior);
        }
    }

    /// Lets go of it: what was held lands.
    pub fn let_go(&mut self) {
        self.doing.end(Behavior::Held);
        self.act(Behavior::Landing);
        self.mood.be_carried();
    }

    /// Ends a talk: back to nothing in particular.
    pub fn fall_silent(&mut self) {
        if matches!(self.doing.base(), Behavior::Talk | Behavior::Think | Behavior::Listen) {
            self.doing.begin(Behavior::Idle);
        }
    }

    /// The mood of the moment; it fades after a while.
    pub fn feel(&mut self, tag: MoodTag) {
        self.wake();
        self.mood.hear(tag);
        self.felt = tag;
        self.felt_for = 0.0;
        match tag {
            MoodTag::Happy | MoodTag::Proud => self.push(Joint::Squash, 1.8),
            MoodTag::Excited | MoodTag::Silly => self.push(Joint::Squash, 2.6),
            _ => {}
        }
    }

    /// A hand stroked or tickled it.
    pub fn be_stroked(&mut self, zone: Zone) {
        self.mood.be_petted();
        self.act(match zone {
            Zone::Head | Zone::Cheek => Behavior::Petted,
            Zone::Belly | Zone::Hand | Zone::Tail => Behavior::Tickled,
        });
    }

    /// Bead `i` (0 to 11) lights up: something new was learned.
    pub fn light_bead(&mut self, i: usize) {
        self.beads[i % 12] = 1.6;
        self.act(Behavior::Remember);
    }

    /// Somebody is there: not the time to sleep.
    pub fn stir(&mut self) {
        if self.doing.base() == Behavior::Sleep && self.doing.behavior() == Behavior::Sleep {
            self.wake();
            self.act(Behavior::Startled);
        }
        self.wake();
    }

    fn wake(&mut self) {
        self.calm_for = 0.0;
        if matches!(self.doing.base(), Behavior::Sleep | Behavior::Doze) {
            self.doing.begin(Behavior::Idle);
        }
    }

    fn push(&mut self, joint: Joint, speed: f32) {
        self.springs[joint as usize].speed += speed;
    }

    fn kick(&mut self, behavior: Behavior) {
        match behavior {
            Behavior::Landing => {
                self.push(Joint::Squash, 4.6);
                self.push(Joint::EarLeft, 3.0);
                self.push(Joint::EarRight, 3.0);
            }
            Behavior::Poked | Behavior::Startled => self.push(Joint::Squash, 1.6),
            Behavior::Celebrate | Behavior::Wave => self.push(Joint::Squash, 1.4),
            _ => {}
        }
    }

    /// Updates a second that look right now.
    pub fn pace_hz(&self) -> f32 {
        let fast = |joint: Joint, speed: f32| self.springs[joint as usize].speed.abs() > speed;
        let bouncing = fast(Joint::Squash, 0.12) || fast(Joint::Sway, 0.15);
        let looking = fast(Joint::LookX, 0.5) || fast(Joint::LookY, 0.5);
        let moving = looking || self.fidgets.is_moving() || fast(Joint::HeadTilt, 0.12);
        match self.behavior() {
            Behavior::Held | Behavior::Landing => 60.0,
            Behavior::Sleep if !bouncing => 1.4,
            Behavior::Idle | Behavior::Doze | Behavior::Trouble | Behavior::Listen => {
                match (bouncing || self.felt_for < 3.0, moving) {
                    (true, _) => 30.0,
                    (false, true) => 16.0,
                    (false, false) => CALM_HZ,
                }
            }
            Behavior::Think => 20.0,
            Behavior::Yawn | Behavior::Hum | Behavior::Stretch => 15.0,
            _ => 30.0,
        }
    }

    /// Seconds until the loop should wake again: the pace, or sooner when a blink is due.
    pub fn next_wake(&self) -> f32 {
        let period = 1.0 / self.pace_hz();
        if self.behavior() == Behavior::Sleep {
            return period;
        }
        period.min(self.fidgets.next().max(0.016))
    }

    /// Lives through `dt` seconds.
    pub fn advance(&mut self, dt: f32, stimulus: Stimulus) -> Pose {
        let dt = if dt.is_finite() { dt.clamp(0.0, 2.0) } else { 0.0 };
        self.time += dt;
        self.felt_for += dt;
        self.calm_for += dt;
        self.mood.pass(dt);
        self.doing.pass(dt);
        if self.felt_for > FELT_FOR {
            self.felt = MoodTag::Calm;
        }
        let now = self.behavior();
        if now != Behavior::Idle && now.is_lasting() && !matches!(now, Behavior::Doze) {
            self.calm_for = self.calm_for.min(1.0);
        }
        if now == Behavior::Idle && self.calm_for > SLEEPY_AFTER {
            self.doing.begin(Behavior::Doze);
        }
        let idle = now == Behavior::Idle && self.felt == MoodTag::Calm && !stimulus.reduced_motion;
        let awake = now != Behavior::Sleep;
        if let Some(fidget) = self.fidgets.pass(dt, awake, idle, self.mood.energy) {
            self.doing.begin(fidget);
        }
        for bead in &mut self.beads {
            *bead = (*bead - dt * 0.8).max(0.0);
        }
        let target = self.target(stimulus);
        self.follow(target, dt, stimulus.reduced_motion)
    }

    fn target(&self, stimulus: Stimulus) -> Pose {
        let mut pose = expression::resting(&self.mood);
        self.gaze(&mut pose, stimulus.cursor);
        let felt = expression::feel(&mut pose, self.felt, self.felt_for);
        let (behavior, since) = (self.behavior(), self.doing.since());
        let acted = expression::act(&mut pose, behavior, since);
        pose.pop = acted.map(|p| (p, since)).or_else(|| {
            felt.filter(|_| self.felt_for < POP_FOR || self.felt == MoodTag::Sleepy)
                .map(|p| (p, self.felt_for))
        });
        let moment = Moment {
            time: self.time,
            behavior,
            since,
            mood: self.felt,
            hand: stimulus.held_speed.unwrap_or_default(),
            energy: self.mood.energy,
        };
        motion::enliven(&mut pose, &moment);
        for (ear, jump) in [Joint::EarLeft, Joint::EarRight].into_iter().zip(self.fidgets.twitch) {
            pose[ear] += 0.32 * jump * (jump * 14.0).sin().abs();
        }
        pose.beads = self.beads;
        pose
    }

    /// Eyes and face follow the cursor when it is near; else they wander.
    fn gaze(&self, pose: &mut Pose, cursor: Option<Vec2>) {
        let near = cursor.filter(|c| c.length() < 900.0);
        let toward = match near {
            Some(c) => {
                let far = c / vec2(230.0, 190.0);
                far / (1.0 + far.length_squared() * 0.6).sqrt() * 1.1
            }
            None => self.fidgets.glance,
        };
        let toward = toward + self.fidgets.glance * 0.15;
        pose[Joint::LookX] = toward.x.clamp(-1.0, 1.0);
        pose[Joint::LookY] = toward.y.clamp(-1.0, 1.0);
        pose[Joint::HeadTilt] = pose[Joint::LookX] * 0.05;
        if let Some(c) = near.filter(|c| c.length() < 190.0) {
            pose[Joint::Pupil] = 1.12;
            pose[Joint::Sway] += c.x * 0.00018;
        }
    }

    /// The springs go after the target; loose parts lag behind what they hang on.
    fn follow(&mut self, target: Pose, dt: f32, reduced_motion: bool) -> Pose {
        let mut pose = target;
        let drag = |s: &Self, joint: Joint| s.springs[joint as usize].speed;
        let (sway, lift, tilt) =
            (drag(self, Joint::Sway), drag(self, Joint::Lift), drag(self, Joint::HeadTilt));
        let loose = [
            (Joint::EarLeft, 0.0012 * lift + 0.06 * (sway + tilt)),
            (Joint::EarRight, 0.0012 * lift - 0.06 * (sway + tilt)),
            (Joint::Tail, -0.0010 * lift + 0.10 * sway),
            (Joint::Scarf, -0.22 * sway - 0.1 * tilt),
            (Joint::PlumeMiddle, -0.004 * lift),
        ];
        for (joint, pull) in loose {
            pose[joint] += pull.clamp(-0.5, 0.5);
        }
        for (i, at) in pose.joints.iter_mut().enumerate() {
            let (stiffness, damping) = motion::spring_of(i);
            *at = self.springs[i].step(*at, stiffness, damping, dt);
        }
        let open = pose[Joint::EyeOpen] * (1.0 - self.fidgets.blink());
        pose[Joint::EyeOpen] = open.clamp(0.0, 1.15);
        if reduced_motion {
            let rest = Pose::default();
            for joint in STILL {
                pose[joint] = rest[joint];
            }
        }
        pose
    }
}

/// Joints that rest when motion is reduced.
const STILL: [Joint; 14] = [
    Joint::Lift,
    Joint::Squash,
    Joint::Sway,
    Joint::HeadTilt,
    Joint::HeadDrop,
    Joint::EarLeft,
    Joint::EarRight,
    Joint::Tail,
    Joint::ArmLeft,
    Joint::ArmRight,
    Joint::Dangle,
    Joint::Scarf,
    Joint::Hang,
    Joint::Voice,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mascot::pose::Pop;

    fn live(life: &mut Life, seconds: f32, stimulus: Stimulus) -> Pose {
        let mut pose = Pose::default();
        for _ in 0..(seconds / 0.05) as usize {
            pose = life.advance(0.05, stimulus);
            let calm = pose.joints.iter().enumerate().all(|(i, n)| {
                n.is_finite() && n.abs() < if i == Joint::Lift as usize { 40.0 } else { 14.0 }
            });
            assert!(calm, "{:?}: {pose:?}", life.behavior());
        }
        pose
    }

    #[test]
    fn nothing_it_goes_through_breaks_a_spring() {
        let mut life = Life::new(9);
        for tag in MoodTag::ALL {
            for behavior in Behavior::ALL {
                life.feel(tag);
                life.act(behavior);
                let hand = Some(vec2(4000.0, -3000.0));
                live(&mut life, 1.0, Stimulus { held_speed: hand, ..Default::default() });
                life.let_go();
                for dt in [0.0, 2.0, 1e9, f32::NAN, -1.0] {
                    assert!(life.advance(dt, Stimulus::default())[Joint::Squash].is_finite());
                }
            }
        }
    }

    #[test]
    fn it_nods_off_and_wakes_when_somebody_comes() {
        let mut life = Life::new(3);
        live(&mut life, SLEEPY_AFTER + 60.0, Stimulus::default());
        assert_eq!(life.behavior(), Behavior::Sleep);
        let pose = live(&mut life, 3.0, Stimulus::default());
        assert!(pose[Joint::EyeOpen] < 0.05 && life.pace_hz() <= 1.5);
        life.stir();
        assert_eq!(life.behavior(), Behavior::Startled);
        live(&mut life, 5.0, Stimulus::default());
        assert_ne!(life.behavior(), Behavior::Sleep);
    }

    #[test]
    fn a_calm_minute_needs_few_updates() {
        let mut life = Life::new(5);
        let (mut updates, mut time) = (0, 0.0);
        while time < 120.0 {
            let dt = life.next_wake();
            life.advance(dt, Stimulus::default());
            time += dt;
            updates += 1;
        }
        assert!(updates <= 11 * 120, "{} a second", updates as f32 / 120.0);
    }

    #[test]
    fn a_landing_settles() {
        let mut life = Life::new(1);
        life.act(Behavior::Held);
        live(&mut life, 1.0, Stimulus::default());
        life.let_go();
        let squashed = live(&mut life, 0.2, Stimulus::default())[Joint::Squash];
        assert!(squashed > 0.05, "{squashed}");
        assert!(live(&mut life, 5.0, Stimulus::default())[Joint::Squash].abs() < 0.04);
    }

    #[test]
    fn eyes_follow_the_cursor_and_reduced_motion_moves_nothing_else() {
        let mut life = Life::new(1);
        let right =
            Stimulus { cursor: Some(vec2(400.0, 0.0)), reduced_motion: true, ..Default::default() };
        let pose = live(&mut life, 2.0, right);
        assert!(pose[Joint::LookX] > 0.7);
        for joint in STILL {
            assert_eq!(pose[joint], Pose::default()[joint], "{joint:?}");
        }
    }

    #[test]
    fn a_talk_goes_through_its_states() {
        let mut life = Life::new(1);
        life.act(Behavior::Listen);
        life.act(Behavior::Think);
        assert_eq!(live(&mut life, 0.5, Stimulus::default()).pop.map(|p| p.0), Some(Pop::Dot));
        life.feel(MoodTag::Happy);
        life.act(Behavior::Talk);
        let mut mouths = std::collections::HashSet::new();
        (0..60).for_each(|_| {
            mouths.insert(life.advance(0.05, Stimulus::default()).mouth);
        });
        assert!(mouths.len() >= 4, "{mouths:?}");
        life.light_bead(3);
        assert!(life.advance(0.05, Stimulus::default()).beads[3] > 0.9);
        life.fall_silent();
        live(&mut life, 3.0, Stimulus::default());
        assert_eq!(life.behavior(), Behavior::Idle);
    }
}
