//! One eye → SVG text: lids are curves that meet, the iris moves behind them.
//!
//! The drawing is a template; this file fills in `@lids@` (the opening), `@brim@`, `@lash@` and `@flick@` (upper lid),
//! `@lower@` and `@seam@` (lower lid and how strong it is), `@look@`, `@shine@` and `@pupil@`. Origin: middle of
//! the eye, y down.

use bevy::math::{Vec2, vec2};

use super::{
    body::{Body, Side},
    pose::{Joint, Pose},
};

/// Points along a lid.
const STEPS: usize = 20;

/// What an eye looks like, in steps fine enough for the eye that sees it; equal looks need no new painting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EyeLook {
    open: i16,
    smile: i16,
    tilt: i16,
    pupil: i16,
    look: [i16; 2],
}

impl EyeLook {
    /// The look of one of a pose's eyes.
    pub fn of(pose: &Pose, side: Side) -> Self {
        let step = |x: f32, n: f32| (x * n).round() as i16;
        let wink = if side == Side::Right { pose[Joint::Wink].clamp(0.0, 1.0) } else { 0.0 };
        Self {
            open: step(pose[Joint::EyeOpen].clamp(0.0, 1.15) * (1.0 - wink), 20.0),
            smile: step(pose[Joint::EyeSmile].max(wink).clamp(0.0, 1.0), 12.0),
            tilt: step(pose[Joint::LidTilt].clamp(-0.5, 0.5), 20.0),
            pupil: step(pose[Joint::Pupil].clamp(0.5, 1.5), 10.0),
            look: [
                step(pose[Joint::LookX].clamp(-1.0, 1.0), 9.0),
                step(pose[Joint::LookY].clamp(-1.0, 1.0), 9.0),
            ],
        }
    }

    /// The eye as SVG text.
    pub fn svg(&self, body: &Body, side: Side) -> String {
        let template = body
            .parts
            .iter()
            .find(|p| p.role == super::body::Role::Eye(side))
            .and_then(|p| body.art.get(&p.art))
            .map_or("", String::as_str);
        let lids = Lids::new(self, body.eye_radii, side);
        let look = vec2(self.look[0].into(), self.look[1].into()) / 9.0;
        let shift = look * body.eye_look;
        let pair = |v: Vec2| format!("{:.2} {:.2}", v.x, v.y);
        let pupil = f32::from(self.pupil) / 10.0;
        let seam = (lids.open * 2.0 - 0.2).clamp(0.0, 0.85);
        template
            .replace("@lids@", &path(&lids.opening(), true))
            .replace("@brim@", &path(&lids.upper, false))
            .replace("@lower@", &path(&lids.lower, false))
            .replace("@lash@", &path(&lids.lash(side), true))
            .replace("@flick@", &path(&lids.flick(side), true))
            .replace("@look@", &pair(shift))
            .replace("@shine@", &pair(shift * 0.45))
            .replace("@pupil@", &format!("{pupil:.2}"))
            .replace("@seam@", &format!("{seam:.2}"))
    }
}

/// The two lids as lines from left to right.
struct Lids {
    open: f32,
    upper: Vec<Vec2>,
    lower: Vec<Vec2>,
}

impl Lids {
    fn new(look: &EyeLook, radii: Vec2, side: Side) -> Self {
        let open = f32::from(look.open) / 20.0;
        let smile = f32::from(look.smile) / 12.0;
        let tilt = f32::from(look.tilt) / 20.0;
        let outward = if side == Side::Left { -1.0 } else { 1.0 };
        // Closed lids meet in a curve: hanging when asleep, arched when it laughs.
        let bend = 9.0 - 26.0 * smile;
        let sink = 3.0 + 3.0 * smile;
        let line = |upper: bool| {
            (0..=STEPS)
                .map(|i| {
                    let u = i as f32 / STEPS as f32 * 2.0 - 1.0;
                    let arch = (1.0 - u * u).max(0.0);
                    let closed = bend * arch + sink;
                    let round = radii.y * arch.sqrt();
                    let share = if upper {
                        (open - tilt * u * outward * open.min(1.0)).clamp(0.0, 1.15)
                    } else {
                        open.min(1.0) * (1.0 - 0.5 * smile)
                    };
                    let full = if upper { -round } else { round };
                    vec2(u * radii.x, closed + (full - closed) * share)
                })
                .collect::<Vec<_>>()
        };
        let (upper, mut lower) = (line(true), line(false));
        for (l, u) in lower.iter_mut().zip(&upper) {
            l.y = l.y.max(u.y);
        }
        Self { open, upper, lower }
    }

    fn opening(&self) -> Vec<Vec2> {
        self.upper.iter().chain(self.lower.iter().rev()).copied().collect()
    }

    /// The upper lash: a line that swells toward its middle.
    fn lash(&self, side: Side) -> Vec<Vec2> {
        let closed = 1.0 - self.open.clamp(0.0, 1.0);
        let n = self.upper.len();
        let (mut above, mut below) = (Vec::with_capacity(2 * n), Vec::with_capacity(n));
        for i in 0..n {
            let before = self.upper[i.saturating_sub(1)];
            let after = self.upper[(i + 1).min(n - 1)];
            let along = (after - before).normalize_or(Vec2::X);
            let up = vec2(along.y, -along.x);
            let u = i as f32 / (n - 1) as f32 * 2.0 - 1.0;
            let outer = if side == Side::Left { -u } else { u };
            let full = 2.5 + 0.6 * closed + 0.5 * outer * (1.0 - closed);
            let swell = full * (1.0 - u * u).max(0.0).powf(0.35) + 0.35;
            above.push(self.upper[i] + up * swell);
            below.push(self.upper[i] - up * swell);
        }
        above.extend(below.into_iter().rev());
        above
    }

    /// The small lash at the outer corner.
    fn flick(&self, side: Side) -> [Vec2; 3] {
        let closed = 1.0 - self.open.clamp(0.0, 1.0);
        let n = self.upper.len();
        let (outward, low, high) = match side {
            Side::Left => (-1.0, self.upper[2], self.upper[4]),
            Side::Right => (1.0, self.upper[n - 3], self.upper[n - 5]),
        };
        let reach = outward * 8.5 * (1.0 - 0.75 * closed);
        let rise = -4.5 * (1.0 - 0.9 * closed) + closed;
        [low + vec2(0.0, 1.0), low + vec2(reach, rise), high - vec2(0.0, 0.5)]
    }
}

/// Points → the `d` of an SVG path.
fn path(points: &[Vec2], close: bool) -> String {
    let mut d = String::with_capacity(points.len() * 14 + 2);
    for (i, p) in points.iter().enumerate() {
        d.push_str(if i == 0 { "M" } else { " L" });
        d.push_str(&format!("{:.2} {:.2}", p.x, p.y));
    }
    if close {
        d.push_str(" Z");
    }
    d
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mascot::{body, raster::Picture};

    #[test]
    fn every_eye_can_be_painted_and_lids_never_cross() {
        let body = body::tests::tete();
        for (open, smile, tilt) in
            [(0.0, 0.0, 0.0), (0.0, 1.0, 0.3), (0.5, 0.5, -0.4), (1.0, 0.0, 0.4), (1.15, 1.0, 0.0)]
        {
            let mut pose = Pose::default();
            pose[Joint::EyeOpen] = open;
            pose[Joint::EyeSmile] = smile;
            pose[Joint::LidTilt] = tilt;
            for side in [Side::Left, Side::Right] {
                let look = EyeLook::of(&pose, side);
                let svg = look.svg(&body, side);
                assert!(!svg.contains('@'), "a blank was left open");
                Picture::draw(&svg, 1.0).expect("an eye");
                let lids = Lids::new(&look, body.eye_radii, side);
                assert!(lids.upper.iter().zip(&lids.lower).all(|(u, l)| u.y <= l.y));
            }
        }
    }
}
