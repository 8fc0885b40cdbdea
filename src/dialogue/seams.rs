//! What the dialogue takes from other plugins, in one place: the figure's messages and the way to the brain.

pub use crate::{
    brain::link::{BrainLink, BrainNews, History, PastLine},
    mascot::{Cue, InteractiveRects, MascotLayout, MenuRequested, OpenChat, PlayCue},
};
