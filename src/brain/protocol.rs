//! What the game and the brain thread say to each other: plain data, no engine types, no Bevy types.
//!
//! The front ends (mascot window, terminal, JSON lines) send [`BrainRequest`]s and read [`BrainEvent`]s.
//! Cancelling is a number: a request older than the cancelled [`TurnId`] stops between two tokens.

use std::{path::PathBuf, time::Duration};

/// Counts requests; a reply carries the number of its request. Larger is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TurnId(pub u64);

/// Mood of a companion turn, chosen by the model as the first token of its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub enum MoodTag {
    #[default]
    Calm,
    Happy,
    Excited,
    Curious,
    Shy,
    Proud,
    Silly,
    Sleepy,
    Worried,
    Sad,
}

/// Language of the interface and of the questions that the memory panel asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Language {
    #[default]
    English,
    Japanese,
}

/// An order to the brain thread. Every order but `Quit` is answered by exactly one finishing event with its `turn`.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields are explained at the variant")]
pub enum BrainRequest {
    /// The person said `text`: read it (learning), answer in pieces, save, then finish with [`BrainEvent::Finished`].
    /// `learn == false` is a private talk: answered on a copy of the memory, nothing is kept or written.
    Say { turn: TurnId, text: String, learn: bool },
    /// Read `text` and learn from it without answering. Finishes with [`BrainEvent::ReadDone`].
    Read { turn: TurnId, text: String },
    /// Answer `text` on a copy of the memory. Finishes with [`BrainEvent::Probed`].
    Probe { turn: TurnId, text: String },
    /// Ask a copy of the memory what it knows about the person. One [`BrainEvent::Recalled`] a topic, then [`BrainEvent::RecallDone`].
    Recall { turn: TurnId, language: Language },
    /// Write a fact through the note API (correct, dictate): `note` is one sentence such as `your name is Mia.`
    WriteNote { turn: TurnId, note: String },
    /// Finishes with [`BrainEvent::Info`].
    Info { turn: TurnId },
    /// Forget one fact about the person: `topic` is a fact name such as `dog_name`, or the words of a note's topic.
    /// Finishes with [`BrainEvent::Saved`] when the companion, asked by heart, no longer knows it; else nothing is changed.
    Forget { turn: TurnId, topic: String },
    /// Go over all notes of the journal in a sleep now. Finishes with [`BrainEvent::Slept`].
    Sleep { turn: TurnId },
    /// Write the memory now. Finishes with [`BrainEvent::Saved`].
    Save { turn: TurnId },
    /// Forget everything; an older copy stays in the ring. Finishes with [`BrainEvent::Saved`].
    Reset { turn: TurnId },
    /// Write one portable file with everything of the active persona. Finishes with [`BrainEvent::Saved`].
    Export { turn: TurnId, path: PathBuf },
    /// Replace the active persona's memory by an exported file; the old one stays in the ring. Finishes with [`BrainEvent::Saved`].
    Import { turn: TurnId, path: PathBuf },
    /// Save, then continue with another persona slot (made when missing). Finishes with [`BrainEvent::Ready`].
    SwitchPersona { turn: TurnId, slot: String },
    /// Save and end the thread.
    Quit,
}

/// Facts about the running brain, for panels and `info`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BrainInfo {
    /// Hash of the model's tensors, hex.
    pub model_id: String,
    /// Parameters of the model.
    pub n_params: usize,
    /// Size of the memory file in bytes: the same number for the whole life.
    pub memory_bytes: u64,
    /// Tokens read in this life.
    pub tokens_read: u64,
    /// Notes written in this life.
    pub notes_written: u64,
    /// Compute threads.
    pub threads: usize,
    /// Instruction set of the kernels in use.
    pub isa: String,
    /// `cpu` or the name of a GPU.
    pub device: String,
    /// Active persona slot.
    pub persona: String,
    /// Name the companion bears in this slot.
    pub companion_name: String,
    /// For each layer and head: kind (`true` lifelong) and size `‖S‖` of the fast weights.
    pub heads: Vec<Vec<(bool, f32)>>,
    /// The last whole sleep; all zero if there was none.
    pub last_sleep: SleepSummary,
}

/// What a sleep did: what the companion knew by heart before and after, asked on a copy of its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct SleepSummary {
    /// Topics that its notes tell.
    pub notes: usize,
    /// Of those, known before.
    pub known_before: usize,
    /// Of those, known after.
    pub known_after: usize,
    /// Questions about what it was never told.
    pub unknown: usize,
    /// Of those, admitted before.
    pub admitted_before: usize,
    /// Of those, admitted after.
    pub admitted_after: usize,
    /// Gradient steps of the lifelong fast weights.
    pub steps: usize,
    /// Something got better and nothing worse; otherwise the memory of before was kept.
    pub kept: bool,
}

/// How a reply ended.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReplyStats {
    /// Tokens read for this turn.
    pub prompt_tokens: usize,
    /// Tokens written.
    pub reply_tokens: usize,
    /// From the request to the first visible character.
    pub first_token: Duration,
    /// From the request to the end, saving included.
    pub total: Duration,
    /// Stopped by the person; what was said so far stays.
    pub cancelled: bool,
}

/// News from the brain thread.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the fields are explained at the variant")]
pub enum BrainEvent {
    /// The brain is loaded and its memory is open. `turn` is set when it answers a `SwitchPersona`.
    Ready {
        turn: Option<TurnId>,
        info: BrainInfo,
    },
    /// The mood of the coming reply; sent before the first `Delta`.
    Mood {
        turn: TurnId,
        mood: MoodTag,
    },
    /// The next piece of the reply: whole characters, at most 20 pieces a second.
    Delta {
        turn: TurnId,
        text: String,
    },
    /// The model wrote a note about the person; `text` is the note's sentence.
    Remembered {
        turn: TurnId,
        text: String,
    },
    /// The reply is complete and the memory is on disk. `reply` is the whole text.
    Finished {
        turn: TurnId,
        reply: String,
        stats: ReplyStats,
    },
    ReadDone {
        turn: TurnId,
        tokens: usize,
        took: Duration,
    },
    Probed {
        turn: TurnId,
        reply: String,
        mood: MoodTag,
        took: Duration,
    },
    /// One thing the memory says when asked. `topic` is a fact name such as `dog_name`; `known == false`: it says it was never told.
    /// `confidence` is the mean probability of the answer's tokens, 0 to 1.
    Recalled {
        turn: TurnId,
        topic: String,
        answer: String,
        known: bool,
        confidence: f32,
    },
    RecallDone {
        turn: TurnId,
    },
    /// A sleep is over and the memory on disk. `turn` is set when it was asked for; the others come by themselves.
    Slept {
        turn: Option<TurnId>,
        summary: SleepSummary,
        info: BrainInfo,
    },
    Info {
        turn: TurnId,
        info: BrainInfo,
    },
    /// Memory written (or replaced); `path` is the file.
    Saved {
        turn: TurnId,
        path: PathBuf,
        info: BrainInfo,
    },
    /// Something the person should know although things go on, for example that an older memory was opened.
    Notice {
        text: String,
    },
    /// The request failed (`turn`) or the brain cannot run (`None`); the text says what to do.
    Failed {
        turn: Option<TurnId>,
        text: String,
    },
}

impl BrainEvent {
    /// The request that this is about, if it is about one.
    pub fn turn(&self) -> Option<TurnId> {
        match self {
            Self::Ready { turn, .. } | Self::Failed { turn, .. } | Self::Slept { turn, .. } => {
                *turn
            }
            Self::Notice { .. } => None,
            Self::Mood { turn, .. }
            | Self::Delta { turn, .. }
            | Self::Remembered { turn, .. }
            | Self::Finished { turn, .. }
            | Self::ReadDone { turn, .. }
            | Self::Probed { turn, .. }
            | Self::Recalled { turn, .. }
            | Self::RecallDone { turn }
            | Self::Info { turn, .. }
            | Self::Saved { turn, .. } => Some(*turn),
        }
    }
}

impl MoodTag {
    /// All moods, in the order of their tokens.
    pub const ALL: [Self; 10] = [
        Self::Calm,
        Self::Happy,
        Self::Excited,
        Self::Curious,
        Self::Shy,
        Self::Proud,
        Self::Silly,
        Self::Sleepy,
        Self::Worried,
        Self::Sad,
    ];
}
