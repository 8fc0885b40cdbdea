//! Conversion-safe Enter: tells the Enter that sends a line from the one that ends an input-method conversion.
//!
//! In: what happened at the keyboard, in order, with its time. Out: send, new line, or nothing.
//! Rule: Enter does nothing while a preedit is shown, in the frame of a commit, and 50 ms after one.

use std::time::Duration;

/// An Enter this soon after a commit still belongs to the conversion.
const AFTER_COMMIT: Duration = Duration::from_millis(50);

/// What happened at the keyboard.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the fields are explained at the variant")]
pub enum KeyNews {
    /// The input method shows this unfinished text; empty: none any more.
    Preedit(String),
    /// The input method put finished text into the field.
    Commit,
    /// Enter, with its modifiers.
    Enter { shift: bool, ctrl: bool },
}

/// What an Enter means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnterMeans {
    /// It belongs to the input method.
    Nothing,
    /// Put a line break into the text.
    NewLine,
    /// Send the text.
    Send,
}

/// Memory of the rule between frames.
#[derive(Debug, Clone, Default)]
pub struct EnterRule {
    composing: bool,
    committed_at: Option<Duration>,
}

impl EnterRule {
    /// True while the input method shows unfinished text.
    pub fn is_composing(&self) -> bool {
        self.composing
    }

    /// Takes the news of one frame at time `now` and says what each Enter in it means, in order.
    /// `ctrl_sends`: plain Enter makes a new line and Ctrl+Enter sends; else the other way round. Shift+Enter never sends.
    pub fn frame(&mut self, now: Duration, news: &[KeyNews], ctrl_sends: bool) -> Vec<EnterMeans> {
        // A commit anywhere in the frame guards the whole frame: X11 may deliver the key before the commit.
        let was_composing = self.composing;
        if news.contains(&KeyNews::Commit) {
            self.committed_at = Some(now);
        }
        let guarded = self.committed_at.is_some_and(|at| now.saturating_sub(at) < AFTER_COMMIT);
        let mut meanings = Vec::new();
        for event in news {
            match event {
                KeyNews::Preedit(text) => self.composing = !text.is_empty(),
                KeyNews::Commit => self.composing = false,
                KeyNews::Enter { shift, ctrl } => {
                    let busy = guarded || self.composing || was_composing;
                    meanings.push(match (busy, shift, *ctrl == ctrl_sends) {
                        (true, ..) => EnterMeans::Nothing,
                        (_, false, true) => EnterMeans::Send,
                        _ => EnterMeans::NewLine,
                    });
                }
            }
        }
        meanings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTER: KeyNews = KeyNews::Enter { shift: false, ctrl: false };

    fn preedit(text: &str) -> KeyNews {
        KeyNews::Preedit(text.to_owned())
    }

    /// Runs frames of (milliseconds, news) and collects what the Enters meant.
    fn check(ctrl_sends: bool, frames: &[(u64, &[KeyNews])], expected: &[EnterMeans]) {
        let mut rule = EnterRule::default();
        let got: Vec<_> = frames
            .iter()
            .flat_map(|(ms, news)| rule.frame(Duration::from_millis(*ms), news, ctrl_sends))
            .collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn plain_enter_sends() {
        check(false, &[(0, &[ENTER])], &[EnterMeans::Send]);
    }

    #[test]
    fn shift_enter_is_a_new_line() {
        let shifted = KeyNews::Enter { shift: true, ctrl: false };
        for ctrl_sends in [false, true] {
            check(ctrl_sends, &[(0, std::slice::from_ref(&shifted))], &[EnterMeans::NewLine]);
        }
    }

    #[test]
    fn ctrl_enter_sends_when_chosen() {
        let with_ctrl = KeyNews::Enter { shift: false, ctrl: true };
        check(true, &[(0, &[ENTER]), (9, &[with_ctrl])], &[EnterMeans::NewLine, EnterMeans::Send]);
    }

    #[test]
    fn enter_while_composing_does_nothing() {
        check(false, &[(0, &[preedit("にほん")]), (500, &[ENTER])], &[EnterMeans::Nothing]);
    }

    #[test]
    fn first_enter_commits_second_sends() {
        check(
            false,
            &[
                (0, &[preedit("日本語")]),
                (300, &[preedit(""), KeyNews::Commit, ENTER]),
                (700, &[ENTER]),
            ],
            &[EnterMeans::Nothing, EnterMeans::Send],
        );
    }

    #[test]
    fn the_key_may_come_before_its_commit() {
        check(
            false,
            &[(0, &[preedit("あ")]), (10, &[ENTER, KeyNews::Commit])],
            &[EnterMeans::Nothing],
        );
        check(false, &[(0, &[ENTER, KeyNews::Commit])], &[EnterMeans::Nothing]);
    }

    #[test]
    fn the_key_may_come_a_little_after_its_commit() {
        check(
            false,
            &[(0, &[KeyNews::Commit]), (49, &[ENTER]), (50, &[ENTER])],
            &[EnterMeans::Nothing, EnterMeans::Send],
        );
    }

    #[test]
    fn a_preedit_that_ends_in_the_same_frame_still_guards() {
        check(false, &[(0, &[preedit("あ")]), (90, &[preedit(""), ENTER])], &[EnterMeans::Nothing]);
    }
}
