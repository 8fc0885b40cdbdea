//! Stand-ins for what other plugins provide, under the names they will have there.
//!
//! This file goes away at the merge: replace each item by `pub use` of the real one and nothing else changes.
//! Figure: [`Cue`], [`PlayCue`], [`MenuRequested`], [`OpenChat`], [`MascotLayout`], [`InteractiveRects`] (whoever owns it
//! empties it in `First`). Brain: [`BrainNews`], [`BrainLink`], [`PastLine`], [`History`]. Besides these the interface reads
//! two resources if they are there: `settings::SettingsFile` before its plugin is added, and `persona_panel::SlotList`.

use bevy::prelude::*;
use crossbeam_channel::Sender;

use crate::brain::protocol::{BrainEvent, BrainRequest, MoodTag, TurnId};

/// What the figure should act out.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Cue {
    Listen,
    Think,
    Talk,
    StopTalk,
    Mood(MoodTag),
    Remembered,
    Trouble,
    Wave,
}

/// Asks the figure to act.
#[derive(Debug, Clone, Message)]
pub struct PlayCue(pub Cue);

/// The person asked for the menu at this place of the mascot window, logical pixels.
#[derive(Debug, Clone, Message)]
pub struct MenuRequested {
    /// Where.
    pub at: Vec2,
}

/// The person wants to talk (double click).
#[derive(Debug, Clone, Default, Message)]
pub struct OpenChat;

/// Where things are in the mascot window, logical pixels.
#[derive(Debug, Clone, Resource)]
pub struct MascotLayout {
    /// The figure.
    pub figure_rect: Rect,
    /// Where the bubble's tail points.
    pub mouth_anchor: Vec2,
    /// Where the bubble may be.
    pub bubble_area: Rect,
    /// Size of the figure, 1.0 is normal.
    pub scale: f32,
}

impl Default for MascotLayout {
    fn default() -> Self {
        Self {
            figure_rect: Rect::new(50.0, 180.0, 310.0, 500.0),
            mouth_anchor: Vec2::new(180.0, 300.0),
            bubble_area: Rect::new(4.0, 4.0, 356.0, 176.0),
            scale: 1.0,
        }
    }
}

/// Parts of the mascot window, beside the figure, that take clicks; filled anew every frame.
#[derive(Debug, Clone, Default, Resource)]
pub struct InteractiveRects(pub Vec<Rect>);

/// A line of an earlier run, from the journal of the save slot.
#[derive(Debug, Clone, PartialEq)]
pub struct PastLine {
    /// True: the person said it; false: the companion.
    pub by_person: bool,
    /// The words.
    pub text: String,
    /// Seconds since 1970.
    pub unix_s: i64,
}

/// The recent part of the journal, oldest first; set anew when the persona changes.
#[derive(Debug, Clone, Default, Resource)]
pub struct History(pub Vec<PastLine>);

/// News from the brain, one message an event.
#[derive(Debug, Clone, Message)]
pub struct BrainNews(pub BrainEvent);

/// The way to the brain.
#[derive(Debug, Resource)]
pub struct BrainLink {
    requests: Sender<BrainRequest>,
    last: u64,
    /// The newest turn that was cancelled.
    pub cancelled: Option<TurnId>,
}

impl BrainLink {
    /// A link that sends into `requests`.
    pub fn new(requests: Sender<BrainRequest>) -> Self {
        Self { requests, last: 0, cancelled: None }
    }

    /// A number for the next request.
    pub fn next_turn(&mut self) -> TurnId {
        self.last += 1;
        TurnId(self.last)
    }

    /// Hands over a request; never waits.
    pub fn send(&mut self, request: BrainRequest) {
        let _ = self.requests.try_send(request);
    }

    /// Everything up to `turn` stops between two tokens.
    pub fn cancel(&mut self, turn: TurnId) {
        self.cancelled = Some(turn);
    }
}
