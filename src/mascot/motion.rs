//! Motion over time, added to a posture: breath, tail, hops, waves, speech, what the hand does to a hanging figure.
//!
//! In: the target pose, a clock. Out: the same pose with its moving parts set for this instant.

use bevy::math::Vec2;

use super::{
    behavior::Behavior,
    pose::{
        Joint::{self, *},
        Mouth, Pose,
    },
};
use crate::brain::protocol::MoodTag;

/// What a moment looks like to the curves.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// Seconds of life.
    pub time: f32,
    /// What it does.
    pub behavior: Behavior,
    /// Seconds since it began.
    pub since: f32,
    /// The mood on its face.
    pub mood: MoodTag,
    /// Speed of the hand that holds it, units a second, y down.
    pub hand: Vec2,
    /// How lively, -1 to 1.
    pub energy: f32,
}

/// Adds what moves by itself.
pub fn enliven(pose: &mut Pose, m: &Moment) {
    let t = m.time;
    let asleep = matches!(m.behavior, Behavior::Sleep | Behavior::Doze);
    let breath = (t * if asleep { 1.3 } else { 2.0 + 0.4 * m.energy }).sin();
    pose[Squash] += if asleep { 0.016 } else { 0.011 } * breath;
    pose[HeadDrop] += 1.2 * (t * 2.0 - 0.8).sin();
    pose[EarLeft] += 0.014 * (t * 1.7).sin();
    pose[EarRight] += 0.014 * (t * 1.7 + 1.0).sin();
    pose[Scarf] += 0.05 * (t * 1.2 + 0.6).sin();
    pose[ArmLeft] += 0.03 * breath;
    pose[ArmRight] += 0.03 * breath;
    let (reach, pace) = wag(m);
    pose[Tail] += reach * (t * pace).sin();
    match m.behavior {
        Behavior::Talk => speak(pose, t),
        Behavior::Wave => {
            pose[ArmLeft] = 2.15 + 0.35 * (m.since * 11.0).sin();
            pose[ArmRight] = 0.15;
        }
        Behavior::Celebrate => pose[Lift] += hop(m.since, 0.52, 24.0),
        Behavior::Petted => pose[HeadTilt] += 0.06 * (t * 5.2).sin(),
        Behavior::Tickled => {
            pose[Sway] += 0.035 * (t * 21.0).sin();
            pose[Squash] += 0.03 * (t * 17.0).sin();
        }
        Behavior::Hum => {
            pose[HeadTilt] += 0.09 * (m.since * 3.6).sin();
            pose[Sway] += 0.025 * (m.since * 3.6 - 0.5).sin();
        }
        Behavior::Poked => pose[Squash] += 0.05 * (1.0 - m.since / 0.35).max(0.0),
        Behavior::Startled => pose[Lift] += hop(m.since.min(0.42), 0.42, 16.0),
        Behavior::Doze => pose[HeadDrop] += 5.0 * nod(m.since),
        Behavior::Yawn => pose[Voice] = if m.since < 0.9 { 1.25 } else { 0.9 },
        Behavior::Held => {
            // It hangs from the scruff and lags behind the hand.
            pose[Sway] += (m.hand.x * 0.0011).clamp(-0.32, 0.32) + 0.03 * (t * 3.0).sin();
            pose[Squash] += (m.hand.y * 0.00012).clamp(-0.08, 0.08);
            pose[Dangle] += 0.1 * (t * 6.0).sin();
            pose[ArmLeft] += 0.12 * (t * 7.0).sin();
            pose[ArmRight] += 0.12 * (t * 7.0 + 2.0).sin();
        }
        _ => {}
    }
    if m.mood == MoodTag::Excited && matches!(m.behavior, Behavior::Idle | Behavior::Talk) {
        pose[Lift] += hop(t, 0.56, 9.0);
    }
}

/// Reach in radians and pace in radians a second of the tail.
fn wag(m: &Moment) -> (f32, f32) {
    match (m.behavior, m.mood) {
        (Behavior::Sleep | Behavior::Doze, _) => (0.02, 1.3),
        (Behavior::Petted | Behavior::Celebrate | Behavior::Wave, _) => (0.16, 8.5),
        (Behavior::Think, _) => (0.12, 1.7),
        (_, MoodTag::Excited) => (0.18, 9.0),
        (_, MoodTag::Happy | MoodTag::Silly | MoodTag::Proud) => (0.12, 5.0),
        (_, MoodTag::Sad | MoodTag::Worried) => (0.02, 1.0),
        _ => (0.06, 1.4 + 0.5 * m.energy),
    }
}

/// Height of a hop that takes `period` seconds, again and again.
fn hop(since: f32, period: f32, height: f32) -> f32 {
    let u = (since / period).fract();
    height * 4.0 * u * (1.0 - u)
}

/// Nodding off: sinks slowly, jerks up.
fn nod(since: f32) -> f32 {
    let u = (since / 3.4).fract();
    if u < 0.8 { u / 0.8 } else { 1.0 - (u - 0.8) / 0.2 }
}

/// Syllables of about an eighth of a second with rests; shapes and sizes vary, the same at every run.
fn speak(pose: &mut Pose, t: f32) {
    let pip = (t * 7.5) as u32;
    let mut h = pip.wrapping_mul(0x9E37_79B1);
    h ^= h >> 15;
    h = h.wrapping_mul(0x85EB_CA6B);
    let dice = (h >> 24) as u8;
    // A short rest now and then, as between words.
    let rest = pip.is_multiple_of(9) || dice < 24;
    pose.mouth = if rest {
        Mouth::Smile
    } else {
        match dice % 7 {
            0 | 1 => Mouth::A,
            2 => Mouth::I,
            3 => Mouth::U,
            4 | 5 => Mouth::E,
            _ => Mouth::O,
        }
    };
    pose[Voice] = 0.85 + 0.3 * f32::from(dice >> 4) / 15.0;
    pose[HeadTilt] += 0.03 * (t * 2.9).sin();
    pose[HeadDrop] += 1.3 * (t * 5.3).sin();
    pose[ArmRight] += 0.25 * (t * 1.9).sin().max(0.0);
}

/// Stiffness (1/s²) and damping (1/s) of a joint's spring.
pub fn spring_of(joint: usize) -> (f32, f32) {
    const STIFF: [(Joint, f32, f32); 18] = [
        (Squash, 190.0, 10.0),
        (Sway, 75.0, 5.5),
        (Lift, 900.0, 58.0),
        (LookX, 120.0, 20.0),
        (LookY, 120.0, 20.0),
        (HeadTilt, 70.0, 12.0),
        (HeadDrop, 130.0, 18.0),
        (EarLeft, 170.0, 11.0),
        (EarRight, 160.0, 10.5),
        (Tail, 90.0, 9.0),
        (PlumeLeft, 130.0, 10.0),
        (PlumeMiddle, 140.0, 9.0),
        (PlumeRight, 120.0, 9.5),
        (Scarf, 60.0, 5.0),
        (EyeOpen, 900.0, 60.0),
        (Hang, 300.0, 34.0),
        (ArmLeft, 200.0, 19.0),
        (ArmRight, 200.0, 19.0),
    ];
    STIFF
        .iter()
        .find(|(j, ..)| *j as usize == joint)
        .map_or((160.0, 22.0), |(_, stiffness, damping)| (*stiffness, *damping))
}
