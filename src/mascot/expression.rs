//! Moods and behaviours → faces and postures: the tables of the acting, one row a feeling.
//!
//! A row changes a resting pose; motion over time (waving, hopping, talking) is in [`super::motion`].

use super::{
    behavior::Behavior,
    mood::Mood,
    pose::{Joint, Mouth, Pop, Pose},
};
use crate::brain::protocol::MoodTag;

use Joint::*;

/// The resting pose for a slow mood.
pub fn resting(mood: &Mood) -> Pose {
    let mouth = if mood.pleasure < -0.15 { Mouth::Rest } else { Mouth::Smile };
    let mut pose = Pose { mouth, ..Pose::default() };
    set(
        &mut pose,
        &[
            (EyeOpen, (0.97 + 0.12 * mood.energy).clamp(0.72, 1.05)),
            (Blush, 0.5 + 0.25 * mood.pleasure.max(0.0) + 0.15 * mood.closeness),
            (EarLeft, -0.06 * mood.pleasure),
            (EarRight, -0.06 * mood.pleasure),
            (Tail, 0.08 * mood.pleasure),
            (BrowRaise, 0.2 * mood.pleasure),
        ],
    );
    pose
}

/// Joints and their values over a pose.
fn set(pose: &mut Pose, values: &[(Joint, f32)]) {
    for (joint, value) in values {
        pose[*joint] = *value;
    }
}

fn crest(pose: &mut Pose, left: i8, middle: i8, right: i8) {
    set(
        pose,
        &[(PlumeLeft, left.into()), (PlumeMiddle, middle.into()), (PlumeRight, right.into())],
    );
}

fn ears(pose: &mut Pose, droop: f32) {
    set(pose, &[(EarLeft, droop), (EarRight, droop)]);
}

fn brows(pose: &mut Pose, raise: f32, tilt: f32) {
    set(pose, &[(BrowRaise, raise), (BrowTilt, tilt)]);
}

/// The face of a mood that was just felt. `since`: seconds ago; the strongest form comes first.
pub fn feel(pose: &mut Pose, tag: MoodTag, since: f32) -> Option<Pop> {
    let fresh = since < 2.8;
    match tag {
        MoodTag::Calm => None,
        MoodTag::Happy => {
            crest(pose, 1, 0, 1);
            brows(pose, 0.8, 0.1);
            ears(pose, -0.06);
            set(pose, &[(Blush, 0.9), (EyeSmile, if fresh { 1.0 } else { 0.5 }), (Tail, 0.2)]);
            if fresh {
                pose[EyeOpen] = 0.0;
            }
            pose.mouth = if fresh { Mouth::Grin } else { Mouth::Smile };
            Some(Pop::Note)
        }
        MoodTag::Excited => {
            crest(pose, 1, 1, 1);
            brows(pose, 1.3, 0.0);
            ears(pose, -0.16);
            set(pose, &[(EyeOpen, 1.12), (Pupil, 1.25), (Blush, 0.85), (Tail, 0.3)]);
            set(pose, &[(ArmLeft, 0.8), (ArmRight, 0.8)]);
            pose.mouth = Mouth::Grin;
            Some(Pop::Sparkle)
        }
        MoodTag::Curious => {
            crest(pose, 0, 1, 0);
            brows(pose, 1.0, 0.25);
            set(pose, &[(EyeOpen, 1.1), (Pupil, 1.25), (HeadTilt, 0.11)]);
            set(pose, &[(EarLeft, -0.16), (EarRight, 0.16)]);
            pose.mouth = if fresh { Mouth::O } else { Mouth::U };
            Some(Pop::Question)
        }
        MoodTag::Shy => {
            crest(pose, -1, 0, -1);
            brows(pose, 0.2, 0.7);
            ears(pose, 0.2);
            set(pose, &[(EyeOpen, 0.72), (LidTilt, 0.12), (Blush, 1.0), (HeadTilt, -0.08)]);
            set(pose, &[(LookX, -0.6), (LookY, 0.7), (ArmLeft, -0.5), (ArmRight, -0.5)]);
            pose.mouth = Mouth::Wobble;
            None
        }
        MoodTag::Proud => {
            crest(pose, 0, 1, 0);
            brows(pose, 0.5, -0.7);
            ears(pose, -0.1);
            set(pose, &[(EyeOpen, if fresh { 0.0 } else { 0.7 }), (EyeSmile, 0.75)]);
            set(pose, &[(HeadDrop, -3.0), (LookY, -0.35), (Blush, 0.75), (Squash, -0.03)]);
            pose.mouth = Mouth::Cat;
            Some(Pop::Sparkle)
        }
        MoodTag::Silly => {
            crest(pose, 1, -1, 1);
            brows(pose, 0.9, -0.1);
            set(pose, &[(Wink, if fresh { 1.0 } else { 0.0 }), (HeadTilt, 0.15), (Blush, 0.8)]);
            set(pose, &[(EarLeft, -0.12), (EarRight, 0.3), (EyeOpen, 1.05)]);
            pose.mouth = Mouth::Cat;
            Some(Pop::Note)
        }
        MoodTag::Sleepy => {
            crest(pose, -1, -1, -1);
            brows(pose, -0.4, 0.25);
            ears(pose, 0.24);
            set(pose, &[(EyeOpen, 0.45), (HeadDrop, 3.5), (HeadTilt, 0.06), (Blush, 0.5)]);
            set(pose, &[(EyeSmile, 0.35), (LidTilt, 0.3)]);
            pose.mouth = Mouth::Rest;
            Some(Pop::Z)
        }
        MoodTag::Worried => {
            crest(pose, -1, 0, -1);
            brows(pose, 0.6, 1.0);
            ears(pose, 0.3);
            set(pose, &[(EyeOpen, 1.02), (LidTilt, 0.2), (Pupil, 0.82), (Blush, 0.35)]);
            set(pose, &[(ArmLeft, -0.4), (ArmRight, -0.4)]);
            pose.mouth = Mouth::Wobble;
            Some(Pop::Sweat)
        }
        MoodTag::Sad => {
            crest(pose, -1, -1, -1);
            brows(pose, 0.0, 1.0);
            ears(pose, 0.46);
            set(pose, &[(EyeOpen, 0.8), (LidTilt, 0.34), (Pupil, 1.1), (Blush, 0.35)]);
            set(pose, &[(LookY, 0.6), (HeadDrop, 4.0), (Tail, -0.3), (Squash, 0.03)]);
            pose.mouth = if since < 5.0 { Mouth::Sad } else { Mouth::Pout };
            None
        }
    }
}

/// The posture of what it does, over the face it makes.
pub fn act(pose: &mut Pose, behavior: Behavior, since: f32) -> Option<Pop> {
    match behavior {
        Behavior::Idle => None,
        Behavior::Listen => {
            crest(pose, 0, 1, 0);
            brows(pose, 0.8, 0.1);
            ears(pose, -0.17);
            set(pose, &[(HeadTilt, 0.09), (Pupil, 1.15), (EyeOpen, 1.06), (Squash, -0.02)]);
            pose.mouth = Mouth::Smile;
            None
        }
        Behavior::Think => {
            let turn = (since * 0.9) as i32 % 3;
            crest(pose, turn_of(turn, 0), turn_of(turn, 1), turn_of(turn, 2));
            brows(pose, 0.7, if turn == 1 { -0.4 } else { 0.3 });
            set(pose, &[(HeadTilt, -0.08), (LookX, 0.65), (LookY, -0.85), (ArmLeft, -0.55)]);
            set(pose, &[(EarLeft, 0.08), (EarRight, -0.1)]);
            pose.mouth = Mouth::Rest;
            Some(Pop::Dot)
        }
        Behavior::Talk => {
            pose[BrowRaise] += 0.3;
            None
        }
        Behavior::Doze | Behavior::Sleep => {
            crest(pose, -1, -1, -1);
            brows(pose, -0.3, 0.2);
            ears(pose, 0.3);
            let deep = behavior == Behavior::Sleep;
            set(
                pose,
                &[
                    (EyeOpen, if deep { 0.0 } else { 0.36 }),
                    (EyeSmile, if deep { 0.0 } else { 0.35 }),
                ],
            );
            set(pose, &[(HeadDrop, if deep { 8.0 } else { 4.0 }), (HeadTilt, 0.1)]);
            set(pose, &[(Squash, if deep { 0.06 } else { 0.02 }), (Tail, -0.35), (Blush, 0.6)]);
            set(pose, &[(LookX, 0.1), (LookY, 0.5)]);
            pose.mouth = Mouth::Rest;
            deep.then_some(Pop::Z)
        }
        Behavior::Petted => {
            crest(pose, -1, 0, -1);
            brows(pose, 0.5, 0.3);
            ears(pose, 0.32);
            set(pose, &[(EyeOpen, 0.0), (EyeSmile, 1.0), (Blush, 1.0), (Squash, 0.045)]);
            set(pose, &[(HeadDrop, 3.0), (Tail, 0.25)]);
            pose.mouth = Mouth::Cat;
            Some(Pop::Heart)
        }
        Behavior::Tickled => {
            crest(pose, 1, 0, 1);
            brows(pose, 1.0, 0.4);
            set(pose, &[(EyeOpen, 0.0), (EyeSmile, 1.0), (Blush, 1.0)]);
            set(pose, &[(ArmLeft, 0.5), (ArmRight, 0.5)]);
            pose.mouth = Mouth::Grin;
            Some(Pop::Note)
        }
        Behavior::Poked => {
            crest(pose, 1, 1, 1);
            brows(pose, 0.9, 0.0);
            set(pose, &[(EyeOpen, if since < 0.18 { 0.0 } else { 1.1 }), (EyeSmile, 0.0)]);
            ears(pose, -0.12);
            pose.mouth = Mouth::U;
            Some(Pop::Bang)
        }
        Behavior::Held => {
            crest(pose, 1, 1, 1);
            brows(pose, 1.1, 0.5);
            ears(pose, 0.2);
            set(pose, &[(Hang, 1.0), (Dangle, 1.0), (Squash, -0.08), (EyeOpen, 1.12)]);
            set(pose, &[(Pupil, 0.85), (ArmLeft, 0.75), (ArmRight, 0.75), (Tail, -0.2)]);
            pose.mouth = Mouth::O;
            None
        }
        Behavior::Landing => {
            brows(pose, 0.4, 0.2);
            set(pose, &[(EyeOpen, if since < 0.3 { 0.0 } else { 1.0 }), (ArmLeft, 0.6)]);
            set(pose, &[(ArmRight, 0.6), (EyeSmile, 0.8)]);
            pose.mouth = if since < 0.35 { Mouth::U } else { Mouth::Smile };
            None
        }
        Behavior::Wave => {
            crest(pose, 1, 0, 1);
            brows(pose, 1.0, 0.0);
            set(pose, &[(HeadTilt, -0.08), (EyeSmile, 0.6), (Blush, 0.85)]);
            pose.mouth = Mouth::Grin;
            None
        }
        Behavior::Celebrate => {
            crest(pose, 1, 1, 1);
            brows(pose, 1.0, 0.0);
            ears(pose, -0.1);
            set(pose, &[(EyeOpen, 0.0), (EyeSmile, 1.0), (Blush, 1.0)]);
            set(pose, &[(ArmLeft, 2.0), (ArmRight, 2.0), (Tail, 0.3)]);
            pose.mouth = Mouth::Grin;
            Some(Pop::Sparkle)
        }
        Behavior::Remember => {
            crest(pose, 0, 1, 0);
            brows(pose, 1.1, 0.0);
            ears(pose, -0.12);
            set(pose, &[(LookX, -0.3), (LookY, -0.8), (EyeOpen, 1.1), (Pupil, 1.2)]);
            pose.mouth = if since < 0.8 { Mouth::U } else { Mouth::Smile };
            Some(Pop::Sparkle)
        }
        Behavior::Startled => {
            crest(pose, 1, 1, 1);
            brows(pose, 1.4, 0.3);
            ears(pose, -0.2);
            set(pose, &[(EyeOpen, 1.15), (Pupil, 0.7), (Squash, -0.05)]);
            pose.mouth = Mouth::O;
            Some(Pop::Exclaim)
        }
        Behavior::Trouble => {
            crest(pose, -1, 0, -1);
            brows(pose, 0.4, 0.9);
            ears(pose, 0.28);
            set(pose, &[(Sign, 1.0), (ArmLeft, -0.55), (ArmRight, -0.55), (LidTilt, 0.2)]);
            pose.mouth = Mouth::Wobble;
            Some(Pop::Sweat)
        }
        Behavior::Yawn => {
            crest(pose, -1, -1, -1);
            brows(pose, 0.6, 0.5);
            ears(pose, 0.2);
            let wide = (0.4..1.6).contains(&since);
            set(pose, &[(EyeOpen, if wide { 0.0 } else { 0.5 }), (HeadDrop, -2.0)]);
            pose.mouth = if wide { Mouth::A } else { Mouth::Rest };
            None
        }
        Behavior::Hum => {
            set(pose, &[(EyeOpen, 0.0), (EyeSmile, 0.8), (BrowRaise, 0.6)]);
            pose.mouth = Mouth::U;
            Some(Pop::Note)
        }
        Behavior::Stretch => {
            crest(pose, 1, 1, 1);
            set(pose, &[(EyeOpen, 0.0), (EyeSmile, 0.5), (Squash, -0.07)]);
            set(pose, &[(ArmLeft, 2.2), (ArmRight, 2.2), (Tail, 0.3)]);
            pose.mouth = Mouth::Cat;
            None
        }
    }
}

/// One plume up, one level, one down, taking turns: it thinks in -1, 0, +1.
fn turn_of(turn: i32, plume: i32) -> i8 {
    ((turn + plume) % 3 - 1) as i8
}
