//! A body: `body.ron` and the texts of its drawings, checked. Knows no pixels and no Bevy world.
//!
//! Coordinates are those of the drawings' common canvas, y down. Parts are listed back to front.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use anyhow::{Context, ensure};
use bevy::math::{Vec2, vec2};
use serde::Deserialize;

use super::pose::{Mouth, Pop};

/// Size of the canvas that all bodies are drawn on.
pub const CANVAS: Vec2 = Vec2::new(320.0, 360.0);
/// Where the feet stand on it.
pub const FEET: Vec2 = Vec2::new(160.0, 340.0);

/// What turns together; what each does is in [`super::rig`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Bone {
    Ground,
    Root,
    Body,
    Tail,
    FootLeft,
    FootRight,
    Beads,
    Pendant,
    Sign,
    ArmLeft,
    ArmRight,
    Scarf,
    ScarfTail,
    Head,
    EarLeft,
    EarRight,
    PlumeLeft,
    PlumeRight,
    PlumeMiddle,
    Star,
    Face,
    EyeLeft,
    EyeRight,
    BrowLeft,
    BrowRight,
    Muzzle,
    Mouth,
    PopUp,
}

/// A side of the figure, as the person sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Side {
    Left,
    Right,
}

/// What a part is for, beyond being seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Role {
    /// Always drawn.
    #[default]
    Plain,
    /// Fades with height.
    Shadow,
    /// Painted anew when the eye moves; its drawing is a template, see [`super::eye`].
    Eye(Side),
    /// Drawn while this mouth is made.
    Mouth(Mouth),
    /// Drawn while this pops up.
    Pop(Pop),
    /// Bead of the memory, 0 to 11; tinted.
    Bead(usize),
    /// Fades with the mood.
    Blush,
    /// In front of the head while it is raised.
    Arm,
    /// Only in trouble.
    Sign,
}

/// A place that feels a hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Zone {
    Head,
    Cheek,
    Belly,
    Hand,
    Tail,
}

#[derive(Debug, Deserialize)]
struct RawBone {
    #[serde(default)]
    parent: Option<Bone>,
    pivot: (f32, f32),
}

#[derive(Debug, Deserialize)]
struct RawPart {
    art: String,
    bone: Bone,
    #[serde(default)]
    role: Role,
    #[serde(default)]
    at: (f32, f32),
}

#[derive(Debug, Deserialize)]
struct RawTouch {
    zone: Zone,
    bone: Bone,
    center: (f32, f32),
    radii: (f32, f32),
}

#[derive(Debug, Deserialize)]
struct RawEye {
    radii: (f32, f32),
    look: (f32, f32),
}

#[derive(Debug, Deserialize)]
struct RawBody {
    version: u32,
    name: String,
    canvas: (f32, f32),
    bones: BTreeMap<Bone, RawBone>,
    parts: Vec<RawPart>,
    touch: Vec<RawTouch>,
    scruff: (f32, f32),
    eye: RawEye,
}

/// A joint of the skeleton.
#[derive(Debug, Clone, Copy)]
pub struct Joining {
    /// Its name.
    pub bone: Bone,
    /// Index of what it hangs on, always smaller than its own.
    pub parent: Option<usize>,
    /// The point it turns around.
    pub pivot: Vec2,
}

/// A layer of the figure.
#[derive(Debug, Clone)]
pub struct Part {
    /// Name of its drawing.
    pub art: String,
    /// Index of its bone in [`Body::bones`].
    pub bone: usize,
    /// What it is for.
    pub role: Role,
    /// Shift of its drawing.
    pub at: Vec2,
}

/// An ellipse that feels a hand.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Touch {
    pub zone: Zone,
    pub bone: usize,
    pub center: Vec2,
    pub radii: Vec2,
}

/// A body, checked.
#[derive(Debug, Clone)]
pub struct Body {
    /// Its name.
    pub name: String,
    /// Size of the canvas.
    pub canvas: Vec2,
    /// Parents before children.
    pub bones: Vec<Joining>,
    /// Back to front.
    pub parts: Vec<Part>,
    /// First match wins from the end.
    pub touch: Vec<Touch>,
    /// Where it is held.
    pub scruff: Vec2,
    /// Half width and half height of an open eye.
    pub eye_radii: Vec2,
    /// How far the iris moves.
    pub eye_look: Vec2,
    /// Drawings by name, SVG text.
    pub art: HashMap<String, String>,
}

impl Body {
    /// Reads `body.ron` and `parts/*.svg` of a body's folder.
    ///
    /// # Errors
    /// A file that is missing or cannot be read, or a body that is not complete: the message names it.
    pub fn load(dir: &Path) -> anyhow::Result<Self> {
        let file = dir.join("body.ron");
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        Self::parse(&text, |art| {
            let path = dir.join("parts").join(format!("{art}.svg"));
            std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))
        })
        .with_context(|| format!("the body in {}", dir.display()))
    }

    /// The body that `text` describes; `art` finds a drawing by its name.
    fn parse(text: &str, art: impl Fn(&str) -> anyhow::Result<String>) -> anyhow::Result<Self> {
        let options = ron::Options::default()
            .with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
        let raw: RawBody = options.from_str(text)?;
        ensure!(raw.version == 1, "version {} is not known here", raw.version);
        let bones = in_order(&raw.bones)?;
        let index = |bone: Bone| {
            bones
                .iter()
                .position(|b| b.bone == bone)
                .with_context(|| format!("the bone {bone:?} is missing"))
        };
        let mut parts = Vec::new();
        let mut drawings = HashMap::new();
        for part in raw.parts {
            ensure!(
                part.art.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
                "the name {:?} of a drawing may have letters, digits and _ only",
                part.art
            );
            if !drawings.contains_key(&part.art) {
                drawings.insert(part.art.clone(), art(&part.art)?);
            }
            let (bone, at) = (index(part.bone)?, part.at.into());
            parts.push(Part { art: part.art, bone, role: part.role, at });
        }
        let touch = raw
            .touch
            .iter()
            .map(|t| {
                Ok(Touch {
                    zone: t.zone,
                    bone: index(t.bone)?,
                    center: t.center.into(),
                    radii: t.radii.into(),
                })
            })
            .collect::<anyhow::Result<_>>()?;
        let body = Self {
            name: raw.name,
            canvas: raw.canvas.into(),
            bones,
            parts,
            touch,
            scruff: raw.scruff.into(),
            eye_radii: raw.eye.radii.into(),
            eye_look: raw.eye.look.into(),
            art: drawings,
        };
        body.check()?;
        Ok(body)
    }

    fn check(&self) -> anyhow::Result<()> {
        let has = |role: Role| self.parts.iter().any(|p| p.role == role);
        for mouth in Mouth::ALL {
            ensure!(has(Role::Mouth(mouth)), "the mouth {mouth:?} is missing");
        }
        for pop in Pop::ALL {
            ensure!(has(Role::Pop(pop)), "the pop-up {pop:?} is missing");
        }
        for bead in 0..12 {
            ensure!(has(Role::Bead(bead)), "bead {bead} is missing");
        }
        ensure!(has(Role::Eye(Side::Left)) && has(Role::Eye(Side::Right)), "an eye is missing");
        ensure!(self.canvas == CANVAS, "the canvas is not {} x {}", CANVAS.x, CANVAS.y);
        let room = self.canvas + 200.0;
        for b in &self.bones {
            let inside = b.pivot.cmpge(Vec2::splat(-200.0)).all() && b.pivot.cmple(room).all();
            ensure!(inside, "the pivot of {:?} is far off the canvas", b.bone);
        }
        ensure!(self.eye_radii.cmpgt(vec2(1.0, 1.0)).all(), "the eyes are too small");
        Ok(())
    }
}

/// Parents before children; refuses rings and bones that hang on nothing.
fn in_order(raw: &BTreeMap<Bone, RawBone>) -> anyhow::Result<Vec<Joining>> {
    let mut bones: Vec<Joining> = Vec::new();
    while bones.len() < raw.len() {
        let before = bones.len();
        for (bone, r) in raw {
            if bones.iter().any(|b| b.bone == *bone) {
                continue;
            }
            let parent = match r.parent {
                None => None,
                Some(p) => match bones.iter().position(|b| b.bone == p) {
                    Some(i) => Some(i),
                    None => continue,
                },
            };
            bones.push(Joining { bone: *bone, parent, pivot: r.pivot.into() });
        }
        ensure!(bones.len() > before, "bones hang on each other in a ring or on a missing bone");
    }
    Ok(bones)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The body that ships.
    pub(in crate::mascot) fn tete() -> Body {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/bodies/tete");
        Body::load(&dir).expect("the shipped body is complete")
    }

    #[test]
    fn the_shipped_body_is_complete_and_credited() {
        let body = tete();
        assert_eq!(body.name, "Tete");
        assert!(body.parts.len() >= 50);
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/bodies/tete");
        assert!(dir.join("CREDITS.md").exists());
        let used: Vec<String> = body.art.keys().map(|a| format!("{a}.svg")).collect();
        for file in std::fs::read_dir(dir.join("parts")).expect("parts") {
            let name = file.expect("file").file_name().to_string_lossy().into_owned();
            assert!(used.contains(&name), "{name} is not used by body.ron");
        }
    }

    fn refused(change: impl Fn(String) -> String, says: &str) {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/bodies/tete");
        let text = std::fs::read_to_string(dir.join("body.ron")).expect("body.ron");
        let error = Body::parse(&change(text), |_| Ok(String::new())).expect_err(says);
        assert!(format!("{error:#}").contains(says), "{error:#}");
    }

    #[test]
    fn incomplete_bodies_are_refused_by_name() {
        refused(|t| t.replace("version: 1", "version: 9"), "version 9");
        refused(|t| t.replace("role: Mouth(Grin)", "role: Plain"), "mouth Grin");
        refused(|t| t.replace("Head: (parent: Body", "Head: (parent: EarLeft"), "ring");
        refused(|t| t.replace("art: \"tail\"", "art: \"../tail\""), "letters");
    }
}
