//! Body and pose → where every part is drawn. Pure arithmetic, used by the window, the click region and the tests.
//!
//! Everything is in units of the drawing, y down; a positive angle turns clockwise.

use bevy::math::{Affine2, Mat2, Vec2, vec2};

use super::{
    body::{Body, Bone, Role},
    pose::{Joint, Pop, Pose},
};

/// Pop-ups of one kind that may be seen at once.
pub const COPIES: usize = 3;

/// A part in its place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placed {
    /// From the part's drawing at rest to the posed figure.
    pub at: Affine2,
    /// 0 clear, 1 solid.
    pub alpha: f32,
    /// In front of the face although listed before it.
    pub front: bool,
}

/// Where each bone carries what hangs on it, in the order of [`Body::bones`].
pub fn bones(body: &Body, pose: &Pose) -> Vec<Affine2> {
    let mut all: Vec<Affine2> = Vec::with_capacity(body.bones.len());
    for b in &body.bones {
        let parent = b.parent.map_or(Affine2::IDENTITY, |i| all[i]);
        all.push(parent * local(b.bone, b.pivot, body, pose));
    }
    all
}

/// A part in its place, or nothing when it is not seen. `copy` counts the pop-ups of one kind.
pub fn place(
    body: &Body,
    part: usize,
    copy: usize,
    bones: &[Affine2],
    pose: &Pose,
) -> Option<Placed> {
    let part = &body.parts[part];
    let at = bones[part.bone] * Affine2::from_translation(part.at);
    let plain = Placed { at, alpha: 1.0, front: false };
    if copy > 0 && !matches!(part.role, Role::Pop(_)) {
        return None;
    }
    match part.role {
        Role::Plain | Role::Eye(_) => Some(plain),
        Role::Shadow => {
            let height = pose[Joint::Lift] / 70.0 + pose[Joint::Hang];
            let alpha = (1.0 - height).clamp(0.0, 1.0);
            (alpha > 0.01).then_some(Placed { alpha, ..plain })
        }
        Role::Mouth(mouth) => (mouth == pose.mouth).then_some(plain),
        Role::Pop(pop) => {
            let (shown, age) = pose.pop?;
            let (mark, alpha) = (shown == pop).then(|| pop_mark(pop, age, copy))??;
            let pivot = body.bones[part.bone].pivot;
            let center = if pop == Pop::Sweat { vec2(271.0, 118.0) } else { pivot };
            // Drawn near the head for the eye that draws, shown clear of the ear.
            let aside = if pop == Pop::Sweat { Vec2::ZERO } else { vec2(14.0, -8.0) };
            let mark = Affine2::from_translation(aside) * around(center, mark);
            Some(Placed { at: bones[part.bone] * mark, alpha, front: true })
        }
        Role::Bead(i) => {
            let glow = pose.beads[i % pose.beads.len()];
            let grow = Affine2::from_scale(Vec2::splat(1.0 + 0.35 * glow));
            Some(Placed { at: at * around(vec2(160.0, 286.0), grow), ..plain })
        }
        Role::Blush => Some(Placed { alpha: pose[Joint::Blush].clamp(0.0, 1.0), ..plain }),
        Role::Arm => {
            let left = body.bones[part.bone].bone == Bone::ArmLeft;
            let joint = if left { Joint::ArmLeft } else { Joint::ArmRight };
            Some(Placed { front: pose[joint] > 0.8, ..plain })
        }
        Role::Sign => {
            let alpha = pose[Joint::Sign].clamp(0.0, 1.0);
            (alpha > 0.02).then_some(Placed { alpha, front: true, ..plain })
        }
    }
}

/// `change` with `center` as its origin.
fn around(center: Vec2, change: Affine2) -> Affine2 {
    Affine2::from_translation(center) * change * Affine2::from_translation(-center)
}

/// What a bone does to itself.
fn local(bone: Bone, pivot: Vec2, body: &Body, pose: &Pose) -> Affine2 {
    let p = |joint: Joint| pose[joint];
    let look = vec2(p(Joint::LookX), p(Joint::LookY));
    let turn = |angle: f32| around(pivot, Affine2::from_angle(angle));
    let shift = Affine2::from_translation;
    let moved = |by: Vec2, angle: f32| shift(by) * turn(angle);
    let scaled = |scale: Vec2| around(pivot, Affine2::from_scale(scale));
    match bone {
        Bone::Ground | Bone::Scarf => Affine2::IDENTITY,
        Bone::PopUp => shift(vec2(look.x * 2.0, -p(Joint::Lift) * 0.6)),
        Bone::Root => {
            let center = pivot.lerp(body.scruff, p(Joint::Hang).clamp(0.0, 1.0));
            shift(vec2(0.0, -p(Joint::Lift))) * around(center, Affine2::from_angle(p(Joint::Sway)))
        }
        Bone::Body => {
            let s = p(Joint::Squash).clamp(-0.3, 0.35);
            scaled(vec2(1.0 + 0.6 * s, 1.0 - s))
        }
        Bone::Tail => turn(-p(Joint::Tail)),
        Bone::FootLeft => moved(vec2(0.0, 11.0 * p(Joint::Dangle)), 0.12 * p(Joint::Dangle)),
        Bone::FootRight => moved(vec2(0.0, 11.0 * p(Joint::Dangle)), -0.12 * p(Joint::Dangle)),
        Bone::Beads => shift(vec2(p(Joint::Scarf) * 2.0, 0.0)),
        Bone::Pendant => turn(-0.8 * p(Joint::Scarf) - 0.5 * p(Joint::Sway)),
        Bone::Sign => shift(vec2(0.0, 34.0 * (1.0 - p(Joint::Sign)))),
        Bone::ArmLeft => reach(pivot, p(Joint::ArmLeft), 1.0),
        Bone::ArmRight => reach(pivot, p(Joint::ArmRight), -1.0),
        Bone::ScarfTail => turn(-p(Joint::Scarf)),
        Bone::Head => {
            moved(vec2(look.x * 2.0, look.y * 1.5 + p(Joint::HeadDrop)), p(Joint::HeadTilt))
        }
        // The head is a ball: what is in front moves with the look, what is behind against it.
        Bone::Face => {
            let narrow = vec2(1.0 - 0.03 * look.x.abs(), 1.0 - 0.02 * look.y.abs());
            shift(look * vec2(6.5, 5.0)) * scaled(narrow)
        }
        Bone::EarLeft => moved(look * vec2(-2.5, -2.0), -p(Joint::EarLeft)),
        Bone::EarRight => moved(look * vec2(-2.5, -2.0), p(Joint::EarRight)),
        Bone::PlumeLeft => moved(-look * 0.8, 0.42 * p(Joint::PlumeLeft)),
        Bone::PlumeRight => moved(-look * 0.8, -0.42 * p(Joint::PlumeRight)),
        Bone::PlumeMiddle => {
            let up = p(Joint::PlumeMiddle);
            let tall = if up > 0.0 { 0.14 } else { 0.26 } * up;
            let lean = -0.7 * p(Joint::HeadTilt) - 0.4 * p(Joint::Scarf);
            shift(look * vec2(1.0, 0.5)) * turn(lean) * scaled(vec2(1.0 - 0.4 * tall, 1.0 + tall))
        }
        Bone::Star => moved(look * vec2(2.5, 2.0), -0.3 * p(Joint::HeadTilt)),
        Bone::EyeLeft => scaled(vec2(1.0 + 0.05 * look.x, 1.0)),
        Bone::EyeRight => scaled(vec2(1.0 - 0.05 * look.x, 1.0)),
        Bone::BrowLeft => moved(vec2(0.0, -6.0 * p(Joint::BrowRaise)), -0.36 * p(Joint::BrowTilt)),
        Bone::BrowRight => moved(vec2(0.0, -6.0 * p(Joint::BrowRaise)), 0.36 * p(Joint::BrowTilt)),
        Bone::Muzzle => shift(look * vec2(2.5, 2.0)),
        Bone::Mouth => scaled(vec2(1.0, p(Joint::Voice).clamp(0.4, 1.4))),
    }
}

/// An arm turned outward by `angle`; high up it reaches farther out, past the cheek. `side`: 1 left, -1 right.
fn reach(pivot: Vec2, angle: f32, side: f32) -> Affine2 {
    let up = ((angle - 0.7) / 1.3).clamp(0.0, 1.0);
    Affine2::from_translation(vec2(-16.0 * side, -4.0) * up)
        * around(pivot, Affine2::from_angle(angle * side))
        * around(pivot, Affine2::from_scale(vec2(1.0 + 0.1 * up, 1.0 + 0.3 * up)))
}

/// Place (around the pop-up's middle) and alpha of one of a kind, `age` seconds after it came.
fn pop_mark(pop: Pop, age: f32, copy: usize) -> Option<(Affine2, f32)> {
    let mark = |by: Vec2, angle: f32, size: f32| Affine2 {
        matrix2: Mat2::from_angle(angle) * size,
        translation: by,
    };
    let n = copy as f32;
    match pop {
        Pop::Heart | Pop::Note | Pop::Z => {
            let (period, growth) = if pop == Pop::Z { (3.6, 0.55) } else { (1.9, 0.2) };
            let copies = if pop == Pop::Z { 3.0 } else { 2.0 };
            let own = age - n * period / copies;
            let t = (own / period).fract();
            if own < 0.0 || n >= copies {
                return None;
            }
            let alpha = (t * 6.0).min((1.0 - t) * 3.0).clamp(0.0, 1.0);
            let sway = (t * 5.0 + n * 2.1).sin();
            let by = if pop == Pop::Z {
                vec2(-20.0 + 30.0 * t + 3.0 * sway, 26.0 - 62.0 * t)
            } else {
                vec2(5.0 * sway - 6.0 * (n - 0.5), 18.0 - 46.0 * t)
            };
            let size = (0.85 + growth * t) * (0.5 + 0.5 * (t * 7.0).min(1.0));
            Some((mark(by, 0.16 * sway, size), alpha))
        }
        Pop::Dot => {
            let wave = (age * 4.2 - n * 0.9).sin().max(0.0);
            let size = pop_in(age - n * 0.12);
            Some((mark(vec2((n - 1.0) * 19.0 - 4.0, -8.0 * wave), 0.0, 1.2 * size), 1.0))
        }
        _ if copy > 0 => None,
        Pop::Sweat => {
            let slide = (age * 0.5).fract();
            Some((mark(vec2(0.0, 9.0 * slide), 0.0, 1.2 * pop_in(age)), 1.0 - 0.5 * slide))
        }
        Pop::Question | Pop::Exclaim | Pop::Sparkle | Pop::Bang => {
            let wiggle = 0.12 * (age * 5.0).sin() * (-age).exp();
            let twinkle = if pop == Pop::Sparkle { 0.10 * (age * 6.0).sin() } else { 0.0 };
            Some((mark(Vec2::ZERO, wiggle, 1.2 * pop_in(age) * (1.0 + twinkle)), 1.0))
        }
    }
}

/// Grows from nothing, a little past 1, then rests at 1.
fn pop_in(age: f32) -> f32 {
    let t = (age / 0.32).clamp(0.0, 1.0);
    let back = 1.0 - (1.0 - t).powi(3) * (1.0 + 2.6 * t);
    back.max(0.0) + 0.25 * (t * std::f32::consts::PI).sin() * t
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mascot::{body, pose::Mouth};

    #[test]
    fn the_pose_at_rest_is_the_drawing() {
        let body = body::tests::tete();
        for (bone, at) in body.bones.iter().zip(bones(&body, &Pose::default())) {
            if bone.bone == Bone::Sign {
                continue; // hidden at rest, below its place
            }
            let p = at.transform_point2(vec2(100.0, 100.0));
            assert!(p.distance(vec2(100.0, 100.0)) < 1e-3, "{p}");
        }
    }

    #[test]
    fn one_mouth_is_seen_and_only_the_wanted_pop_up() {
        let body = body::tests::tete();
        for mouth in Mouth::ALL {
            for pop in Pop::ALL.map(Some).into_iter().chain([None]) {
                let pose = Pose { mouth, pop: pop.map(|p| (p, 1.0)), ..Pose::default() };
                let bones = bones(&body, &pose);
                let seen = |wanted: &dyn Fn(Role) -> bool| {
                    (0..body.parts.len())
                        .filter(|i| wanted(body.parts[*i].role))
                        .filter(|i| place(&body, *i, 0, &bones, &pose).is_some())
                        .count()
                };
                assert_eq!(seen(&|r| matches!(r, Role::Mouth(_))), 1);
                assert_eq!(seen(&|r| matches!(r, Role::Pop(_))), usize::from(pop.is_some()));
            }
        }
    }

    #[test]
    fn a_raised_arm_comes_to_the_front() {
        let body = body::tests::tete();
        let front = |joint: Joint, raised: f32| -> usize {
            let mut pose = Pose::default();
            pose[joint] = raised;
            let bones = bones(&body, &pose);
            (0..body.parts.len())
                .filter_map(|i| place(&body, i, 0, &bones, &pose))
                .filter(|p| p.front)
                .count()
        };
        assert_eq!((front(Joint::ArmLeft, 0.1), front(Joint::ArmRight, 2.0)), (0, 1));
        assert_eq!((front(Joint::ArmLeft, 2.0), front(Joint::ArmRight, 0.1)), (1, 0));
    }
}
