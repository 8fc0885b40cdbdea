//! What is known by heart: what would be answered after a restart, when the talk of the moment is gone.

use super::{Session, note_parts};
use crate::topics::{self, Lang};

/// Longest answer that is waited for, in tokens.
const MAX_ANSWER: usize = 40;

impl Session {
    /// Whether the fact of a note would be known after a restart: the likeliest answer to the plain question holds the
    /// value. False for what is no note.
    pub fn knows_by_heart(&self, sentence: &str) -> bool {
        let Some((topic, value)) = note_parts(sentence) else { return false };
        let answer = self.by_heart(&topics::question(topic, Lang::of(sentence)));
        topics::holds(&answer, value) && !topics::is_admission(&answer)
    }

    /// The likeliest answer after a restart. This session stays as it is.
    pub fn by_heart(&self, question: &str) -> String {
        let mut copy = self.fork();
        copy.memory.forget_talk();
        copy.max_reply_tokens = MAX_ANSWER;
        copy.probe_topic(question).text
    }
}

/// Of each topic the last note, in the order in which they were written; what is no note is left out.
pub fn last_of_each_topic(notes: &[String]) -> Vec<String> {
    let mut last: Vec<(&str, &String)> = Vec::new();
    for note in notes {
        if let Some((topic, _)) = note_parts(note) {
            last.retain(|(t, _)| *t != topic);
            last.push((topic, note));
        }
    }
    last.into_iter().map(|(_, note)| note.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_note_of_a_topic_counts() {
        let notes = ["your name is Mia.", "nonsense", "your job is chef.", "your name is Bo."];
        let notes = notes.map(str::to_owned);
        assert_eq!(last_of_each_topic(&notes), ["your job is chef.", "your name is Bo."]);
    }
}
