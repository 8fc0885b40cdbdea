//! What was said, in order: lines of the person and of the companion, bounded.
//!
//! In: lines as they are said and pieces of replies. Out: the resource [`Transcript`], which the chat page draws.
//! The journal on disk belongs to the save slot; [`Transcript::restore`] takes its recent part.

use std::{
    collections::VecDeque,
    time::{SystemTime, UNIX_EPOCH},
};

use bevy::prelude::*;

use crate::brain::protocol::{MoodTag, TurnId};

/// Lines kept for the chat page; older ones leave it (the journal and the memory keep theirs).
const MAX_LINES: usize = 400;

/// Who said a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The person.
    You,
    /// The companion's brain.
    Companion,
    /// The program itself: notices and the short lines said unasked. Never shown as the model's words.
    Interface,
}

/// How far a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub enum LineState {
    #[default]
    Done,
    /// The reply is still coming.
    Streaming,
    /// The person stopped it; what was said so far stays.
    Stopped,
    /// It could not be answered; the text says why.
    Failed,
}

/// One line of the talk.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Who said it.
    pub speaker: Speaker,
    /// The words.
    pub text: String,
    /// Seconds since 1970.
    pub unix_s: i64,
    /// Turn it belongs to; none for lines of earlier runs and of the interface.
    pub turn: Option<TurnId>,
    /// How far it is.
    pub state: LineState,
    /// Notes the model wrote with it.
    pub remembered: Vec<String>,
    /// Mood of a reply.
    pub mood: MoodTag,
    /// Said in a private talk: nothing of it is kept.
    pub private: bool,
}

impl Line {
    /// A finished line said now.
    pub fn now(speaker: Speaker, text: impl Into<String>) -> Self {
        Self {
            speaker,
            text: text.into(),
            unix_s: now_unix_s(),
            turn: None,
            state: LineState::Done,
            remembered: Vec::new(),
            mood: MoodTag::Calm,
            private: false,
        }
    }
}

/// The talk of the active persona.
#[derive(Debug, Clone, Default, Resource)]
pub struct Transcript {
    lines: VecDeque<Line>,
    pending: Option<TurnId>,
}

impl Transcript {
    /// All lines, oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &Line> + ExactSizeIterator {
        self.lines.iter()
    }

    /// The turn whose reply is awaited or coming.
    pub fn pending(&self) -> Option<TurnId> {
        self.pending
    }

    /// Adds a line; the oldest leaves when there are too many.
    pub fn push(&mut self, line: Line) {
        self.lines.push_back(line);
        while self.lines.len() > MAX_LINES {
            self.lines.pop_front();
        }
    }

    /// Begins a turn: the person's line and an empty reply that waits.
    pub fn begin(&mut self, turn: TurnId, text: String, private: bool) {
        self.push(Line { turn: Some(turn), private, ..Line::now(Speaker::You, text) });
        self.push(Line {
            turn: Some(turn),
            private,
            state: LineState::Streaming,
            ..Line::now(Speaker::Companion, "")
        });
        self.pending = Some(turn);
    }

    /// The reply of `turn` if it is the one awaited; replies of older turns are not wanted any more.
    pub fn reply_mut(&mut self, turn: TurnId) -> Option<&mut Line> {
        (self.pending == Some(turn)).then(|| self.line_mut(turn)).flatten()
    }

    /// The companion's line of `turn`.
    pub fn reply(&self, turn: TurnId) -> Option<&Line> {
        self.lines.iter().rev().find(|l| l.turn == Some(turn) && l.speaker == Speaker::Companion)
    }

    /// Ends the awaited reply with `state`; an empty stopped reply leaves the list.
    pub fn end(&mut self, turn: TurnId, state: LineState) {
        let Some(line) = self.reply_mut(turn) else { return };
        line.state = state;
        if line.text.is_empty() && state != LineState::Failed {
            self.lines.retain(|l| l.turn != Some(turn) || l.speaker != Speaker::Companion);
        }
        self.pending = None;
    }

    /// The newest thing the person said, to say it again.
    pub fn last_said(&self) -> Option<&Line> {
        self.lines.iter().rev().find(|l| l.speaker == Speaker::You)
    }

    /// Puts the lines of earlier runs in place of everything (start, another persona).
    pub fn restore(&mut self, earlier: Vec<Line>) {
        self.pending = None;
        self.lines.clear();
        earlier.into_iter().for_each(|line| self.push(line));
    }

    fn line_mut(&mut self, turn: TurnId) -> Option<&mut Line> {
        self.lines
            .iter_mut()
            .rev()
            .find(|l| l.turn == Some(turn) && l.speaker == Speaker::Companion)
    }
}

/// Seconds since 1970.
pub fn now_unix_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_grows_and_ends() {
        let mut talk = Transcript::default();
        talk.begin(TurnId(1), "hi".into(), false);
        talk.reply_mut(TurnId(1)).unwrap().text.push_str("hello");
        talk.end(TurnId(1), LineState::Done);
        let last = talk.lines().next_back().unwrap();
        assert_eq!((last.text.as_str(), last.state), ("hello", LineState::Done));
        assert_eq!(talk.pending(), None);
    }

    #[test]
    fn an_older_turn_is_ignored() {
        let mut talk = Transcript::default();
        talk.begin(TurnId(1), "hi".into(), false);
        talk.end(TurnId(1), LineState::Stopped);
        talk.begin(TurnId(2), "you".into(), false);
        assert!(talk.reply_mut(TurnId(1)).is_none());
        assert_eq!(talk.lines().len(), 3, "the stopped empty reply is gone");
    }

    #[test]
    fn it_is_bounded() {
        let mut talk = Transcript::default();
        for n in 0..2 * MAX_LINES {
            talk.push(Line::now(Speaker::You, n.to_string()));
        }
        assert_eq!(talk.lines().len(), MAX_LINES);
    }
}
