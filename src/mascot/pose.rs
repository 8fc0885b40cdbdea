//! A pose: every number that decides what is drawn. Made by [`super::life`], read by [`super::rig`].

use serde::Deserialize;

/// What can move. Angles are in radians, lengths in units of the drawing; 0 is the drawing at rest unless it says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Joint {
    /// Upward, for hops.
    Lift,
    /// Above 0 low and wide, below 0 stretched; a share of the height.
    Squash,
    /// The whole figure to the right, around its feet, or around the scruff while it hangs.
    Sway,
    /// 1 while it hangs from the scruff.
    Hang,
    /// To the right.
    HeadTilt,
    /// Down.
    HeadDrop,
    /// Gaze and face, -1 (left) to 1 (right).
    LookX,
    /// Gaze and face, -1 (up) to 1 (down).
    LookY,
    /// Outward and down; below 0 pricked up.
    EarLeft,
    /// As the left one.
    EarRight,
    /// Up.
    Tail,
    /// Outward and up; below 0 inward, toward the belly.
    ArmLeft,
    /// As the left one.
    ArmRight,
    /// Legs hanging down, 0 to 1.
    Dangle,
    /// Crest: -1 down, 0 level, 1 up.
    PlumeLeft,
    /// As the left one.
    PlumeMiddle,
    /// As the left one.
    PlumeRight,
    /// End of the scarf, to the right.
    Scarf,
    /// 0 closed, 1 open, 1.15 wide.
    EyeOpen,
    /// Closed eyes: 0 sleeping (curved down), 1 laughing (curved up). Also lifts the lower lid.
    EyeSmile,
    /// The right eye winks, 0 to 1.
    Wink,
    /// Outer corners of the lids: above 0 down (sad), below 0 up (cross).
    LidTilt,
    /// Width of the pupil, 1 at rest.
    Pupil,
    /// Brows up.
    BrowRaise,
    /// Inner ends up (worried) above 0, down (determined) below.
    BrowTilt,
    /// 0 none, 0.6 at rest, 1 strong.
    Blush,
    /// The little sign of trouble, 0 hidden, 1 held up.
    Sign,
    /// Height of the open mouth, 1 at rest.
    Voice,
}

impl Joint {
    /// How many there are.
    pub const COUNT: usize = Self::Voice as usize + 1;
}

/// Which mouth is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Mouth {
    #[default]
    Smile,
    Rest,
    Cat,
    Grin,
    A,
    I,
    U,
    E,
    O,
    Wobble,
    Pout,
    Sad,
}

impl Mouth {
    /// All mouths.
    pub const ALL: [Self; 12] = [
        Self::Smile,
        Self::Rest,
        Self::Cat,
        Self::Grin,
        Self::A,
        Self::I,
        Self::U,
        Self::E,
        Self::O,
        Self::Wobble,
        Self::Pout,
        Self::Sad,
    ];
}

/// What pops up beside the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Pop {
    Heart,
    Note,
    Z,
    Question,
    Exclaim,
    Sparkle,
    Sweat,
    Dot,
    Bang,
}

impl Pop {
    /// All pop-ups.
    pub const ALL: [Self; 9] = [
        Self::Heart,
        Self::Note,
        Self::Z,
        Self::Question,
        Self::Exclaim,
        Self::Sparkle,
        Self::Sweat,
        Self::Dot,
        Self::Bang,
    ];
}

/// Everything that is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pose {
    /// One number a [`Joint`].
    pub joints: [f32; Joint::COUNT],
    /// The mouth.
    pub mouth: Mouth,
    /// The pop-up, and its age in seconds.
    pub pop: Option<(Pop, f32)>,
    /// How brightly each bead shines, 0 to 1.
    pub beads: [f32; 12],
}

impl Default for Pose {
    fn default() -> Self {
        let mut pose =
            Self { joints: [0.0; Joint::COUNT], mouth: Mouth::Smile, pop: None, beads: [0.0; 12] };
        pose[Joint::EyeOpen] = 1.0;
        pose[Joint::Pupil] = 1.0;
        pose[Joint::Blush] = 0.6;
        pose[Joint::Voice] = 1.0;
        pose
    }
}

impl std::ops::Index<Joint> for Pose {
    type Output = f32;
    fn index(&self, joint: Joint) -> &f32 {
        &self.joints[joint as usize]
    }
}

impl std::ops::IndexMut<Joint> for Pose {
    fn index_mut(&mut self, joint: Joint) -> &mut f32 {
        &mut self.joints[joint as usize]
    }
}
