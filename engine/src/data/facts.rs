//! What a person can tell about themselves: topics, wordings and values, from the authored `facts-LANG.jsonl` files.
//!
//! Also the part that is held out of training by rule: some topics, an eighth of the wordings, an eighth of the values.

use std::collections::BTreeMap;

use serde::Deserialize;

pub use crate::topics::{Lang, TOPICS, topic};

/// Facts that training never teaches or asks.
pub const HELD_OUT_FACTS: [&str; 6] =
    ["flower", "dessert", "instrument", "bird_name", "boss_name", "collection"];

/// A line with its mood, as written in the authored files.
pub type MoodLine = (String, String);

/// Wordings of one fact in one language.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs, reason = "the fields of the authored files, described in their SPEC.md")]
pub struct Fact {
    pub fact: String,
    pub teach: Vec<String>,
    #[serde(default)]
    pub teach_short: Vec<String>,
    #[serde(default)]
    pub teach_short_after: Vec<String>,
    #[serde(default)]
    pub overwrite: Vec<String>,
    pub ask: Vec<String>,
    pub answer: Vec<MoodLine>,
    pub echo: Vec<MoodLine>,
    pub unknown: Vec<MoodLine>,
    pub values: Vec<serde_json::Value>,
}

/// Which side of the split a wording or a value is drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Seen in training.
    Train,
    /// Only in the evaluation.
    HeldOut,
}

impl Side {
    /// Side of a text, by its spelling alone: one of eight is held out.
    pub fn of(text: &str) -> Self {
        if hash(text).is_multiple_of(8) { Self::HeldOut } else { Self::Train }
    }
}

/// FNV-1a, for splits that must never move.
pub fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3))
}

/// All facts by language and name.
#[derive(Debug, Default)]
pub struct FactBook {
    by_lang: BTreeMap<Lang, Vec<Fact>>,
}

impl FactBook {
    /// Adds a line of a `facts-LANG.jsonl` file; lines of other kinds are ignored.
    pub fn add(&mut self, lang: Lang, line: serde_json::Value) {
        if let Ok(fact) = serde_json::from_value::<Fact>(line) {
            self.by_lang.entry(lang).or_default().push(fact);
        }
    }

    /// Facts of a language.
    pub fn facts(&self, lang: Lang) -> &[Fact] {
        self.by_lang.get(&lang).map_or(&[], Vec::as_slice)
    }

    /// One fact.
    pub fn get(&self, lang: Lang, fact: &str) -> Option<&Fact> {
        self.facts(lang).iter().find(|f| f.fact == fact)
    }
}

impl Fact {
    /// Values of one side, as text.
    pub fn values_of(&self, side: Side) -> Vec<String> {
        let text = |v: &serde_json::Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        let all: Vec<String> = self.values.iter().map(text).collect();
        let some: Vec<String> = all.iter().filter(|v| Side::of(v) == side).cloned().collect();
        if some.is_empty() { all } else { some }
    }

    /// Whether its value is a name, so that any invented word will do.
    pub fn is_name(&self) -> bool {
        self.fact == "name" || self.fact == "nickname" || self.fact.ends_with("_name")
    }
}

/// Wordings of one side; all of them where that side has none.
pub fn wordings(all: &[String], side: Side) -> Vec<&String> {
    let some: Vec<&String> = all.iter().filter(|w| Side::of(w) == side).collect();
    if some.is_empty() { all.iter().collect() } else { some }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_unique_and_fit_the_note_form() {
        for lang in Lang::ALL {
            let mut all: Vec<_> = TOPICS.iter().filter_map(|t| topic(t.0, lang)).collect();
            assert_eq!(all.len(), 53);
            assert!(all.iter().all(|t| !t.contains(" is ") && !t.contains('は')), "{all:?}");
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), 53);
        }
        assert!(HELD_OUT_FACTS.iter().all(|f| topic(f, Lang::En).is_some()));
    }

    #[test]
    fn language_is_seen_from_the_letters() {
        assert_eq!(Lang::of("Hello テテ, how are you today my friend?"), Lang::En);
        assert_eq!(Lang::of("きょうはいい天気だね。OK!"), Lang::Ja);
    }
}
