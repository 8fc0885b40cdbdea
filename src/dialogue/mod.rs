//! The talk: what the person says, what comes back, the bubble and the panel window that show it.
//!
//! In: [`SubmitUtterance`], [`StopReply`] and the brain's news. Out: [`ReplyDelta`], [`ReplyFinished`], cues for the
//! figure, the [`Transcript`]. Knows the brain only by its protocol.

pub mod bubble;
pub mod chat_page;
pub mod clock;
pub mod egui_contexts;
pub mod enter_rule;
pub mod flow;
pub mod greeting;
pub mod panel;
pub mod seams;
pub mod transcript;

use bevy::prelude::*;

use crate::brain::protocol::{ReplyStats, TurnId};

pub use transcript::{Line, LineState, Speaker, Transcript};

/// Order: say this to the companion. A reply that is still coming is stopped first.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct SubmitUtterance {
    /// The person's words.
    pub text: String,
    /// False: a private talk, nothing is kept.
    pub learn: bool,
}

/// Order: stop the reply that is coming.
#[derive(Debug, Clone, Copy, Default, PartialEq, Message)]
pub struct StopReply;

/// Fact: another piece of the reply is here.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ReplyDelta {
    /// The turn it belongs to.
    pub turn: TurnId,
    /// Whole characters.
    pub text: String,
}

/// Fact: the reply is over.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ReplyFinished {
    /// The turn it belongs to.
    pub turn: TurnId,
    /// How it went.
    pub state: LineState,
    /// Figures of the brain; none when the person stopped it or it failed.
    pub stats: Option<ReplyStats>,
}

/// Fact: the person is typing; the figure pricks up its ears.
#[derive(Debug, Clone, Copy, Default, PartialEq, Message)]
pub struct TypingNoticed;

/// Adds the talk without any drawing: transcript and flow.
pub fn flow_plugin(app: &mut App) {
    app.init_resource::<Transcript>()
        .add_message::<SubmitUtterance>()
        .add_message::<StopReply>()
        .add_message::<ReplyDelta>()
        .add_message::<ReplyFinished>()
        .add_message::<TypingNoticed>();
    flow::plugin(app);
}

/// Adds the talk with bubble and panel window.
pub fn plugin(app: &mut App) {
    flow_plugin(app);
    egui_contexts::plugin(app);
    bubble::plugin(app);
    panel::plugin(app);
    chat_page::plugin(app);
    greeting::plugin(app);
}
