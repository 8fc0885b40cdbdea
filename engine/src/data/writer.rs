//! Writes turns as tokens with loss weights.
//!
//! Weights below 1 are realised by sampling: a token scores 1 with that probability, else 0, so that the output head
//! works on a third of the positions only. Values in notes and companion turns are encoded by themselves.

use crate::{
    rng::Rng,
    tokenizer::{TokenId, Tokenizer, chat_format, special},
};

/// Loss weight of the first token of a value that must be recalled, and of the first word of an admission.
pub const ANSWER: f32 = 5.0;
/// Weight of a value that was told in the turn before.
pub(super) const ECHO: f32 = 2.0;
/// Weight of a value inside a note, and of the decision to open one.
pub(super) const NOTE_VALUE: f32 = 3.0;
/// Share of scored tokens in what the person says.
pub(super) const PERSON: f64 = 0.25;

/// A companion line with its values marked: text pieces alternate with values.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    /// Plain text; white space at its end belongs to the value behind it.
    Text(String),
    /// A value and its loss weight.
    Value(String, f32),
}

/// Tokens and, for each, the weight of predicting *it*.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    tok: &'a Tokenizer,
    /// Tokens so far.
    pub(super) ids: Vec<TokenId>,
    /// Weight of predicting each token.
    pub(super) weights: Vec<f32>,
    /// Source of the sampling of weights.
    pub(super) rng: Rng,
}

impl<'a> Writer<'a> {
    /// Nothing written yet.
    pub(super) fn new(tok: &'a Tokenizer, rng: Rng) -> Self {
        Self { tok, ids: Vec::new(), weights: Vec::new(), rng }
    }

    fn push(&mut self, ids: &[TokenId], weight: f64) {
        for id in ids {
            self.ids.push(*id);
            let w = if weight >= 1.0 {
                weight as f32
            } else {
                f32::from(u8::from(self.rng.chance(weight)))
            };
            self.weights.push(w);
        }
    }

    /// `<u> text`; `values` found in the text are not scored, as nobody could predict them.
    pub(super) fn person(&mut self, text: &str, values: &[String]) {
        self.push(&[special::USER], 0.0);
        let ids = chat_format::text_ids(self.tok, text);
        let shift = usize::from(text.trim().starts_with(|c: char| c.is_ascii_alphanumeric()));
        let spans: Vec<(usize, usize)> = values
            .iter()
            .filter(|v| !v.is_empty())
            .flat_map(|v| {
                text.trim().match_indices(v.as_str()).map(move |(at, _)| (at, at + v.len()))
            })
            .map(|(a, b)| (a + shift, b + shift))
            .collect();
        let mut at = 0;
        for id in ids {
            let end = at + self.tok.token_bytes(id).len();
            let told = spans.iter().any(|(a, b)| at < *b && end > *a);
            self.push(&[id], if told { 0.0 } else { PERSON });
            at = end;
        }
    }

    /// `<b>`: the companion's turn begins.
    pub(super) fn companion(&mut self) {
        self.push(&[special::BOT], 0.0);
    }

    /// `<m> your {topic} is {value}. </m>` in the language of the two words.
    pub(super) fn note(&mut self, sentence: &str) {
        let Some(form) = chat_format::NoteSentence::parse(sentence) else { return };
        self.push(&[special::NOTE], f64::from(NOTE_VALUE));
        let ids = form.ids(self.tok);
        let (head, tail) = note_parts(&form, self.tok);
        for (i, id) in ids.iter().enumerate() {
            let value = i >= head && i < ids.len() - tail;
            self.push(&[*id], if value { f64::from(NOTE_VALUE) } else { 1.0 });
        }
        self.push(&[special::NOTE_END], 1.0);
    }

    /// `<mood> pieces <end>`; plain text scores with `weight`.
    pub(super) fn reply(&mut self, mood: usize, pieces: &[Piece], weight: f64) {
        self.push(&[special::mood(mood)], 1.0);
        let mut head = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => {
                    let first = self.ids.last().is_some_and(|id| special::is_special(*id));
                    let ids = if first {
                        chat_format::text_ids(self.tok, text.trim_end())
                    } else {
                        self.tok.encode(text.trim_end())
                    };
                    self.push(&ids, weight);
                    head.clone_from(text);
                }
                Piece::Value(value, w) => {
                    let first = self.ids.last().is_some_and(|id| special::is_special(*id));
                    let spaced = !first && head.ends_with(' ');
                    let ids = if first {
                        chat_format::text_ids(self.tok, value)
                    } else if spaced {
                        self.tok.encode(&format!(" {}", value.trim()))
                    } else {
                        self.tok.encode(value.trim())
                    };
                    self.push(&ids, f64::from(*w));
                    head.clear();
                }
            }
        }
        self.push(&[special::END], weight.max(0.5));
    }

    /// `head` with `weight`, then `rest` whose first token weighs [`ANSWER`]: an admission after its topic.
    pub(super) fn admission(&mut self, mood: usize, head: &str, rest: &str) {
        self.push(&[special::mood(mood)], 1.0);
        let ids = chat_format::text_ids(self.tok, head);
        self.push(&ids, 1.0);
        let rest = self.tok.encode(rest);
        for (i, id) in rest.iter().enumerate() {
            self.push(&[*id], if i == 0 { f64::from(ANSWER) } else { 1.0 });
        }
        self.push(&[special::END], 1.0);
    }

    /// `<doc> text <end>` of ids made before.
    pub(super) fn raw(&mut self, ids: &[TokenId], weights: impl Fn(usize) -> f64) {
        for (i, id) in ids.iter().enumerate() {
            self.push(&[*id], weights(i));
        }
    }
}

/// How many tokens of a note stand before and behind its value.
fn note_parts(form: &chat_format::NoteSentence<'_>, tok: &Tokenizer) -> (usize, usize) {
    let (head, tail) = match form {
        chat_format::NoteSentence::English { topic, .. } => (format!("your {topic} is"), "."),
        chat_format::NoteSentence::Japanese { topic, .. } => (format!("きみの{topic}は"), "。"),
    };
    (chat_format::text_ids(tok, &head).len(), tok.encode(tail).len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_the_same_tokens_in_note_and_answer_and_is_not_scored_when_told() {
        let tok = Tokenizer::bytes_only(320).expect("tokenizer");
        let mut w = Writer::new(&tok, Rng::new(1));
        w.person("my dog is called Pochi!", &["Pochi".into()]);
        let told: Vec<f32> = w.weights.clone();
        assert!(told[told.len() - 6..told.len() - 1].iter().all(|w| *w == 0.0), "{told:?}");
        w.companion();
        w.note("your dog's name is Pochi.");
        let note: Vec<u32> = w
            .ids
            .iter()
            .zip(&w.weights)
            .skip(1)
            .filter(|(id, w)| **w == NOTE_VALUE && **id >= 32)
            .map(|(id, _)| *id)
            .collect();
        let start = w.ids.len();
        w.reply(
            1,
            &[
                Piece::Text("Your dog's name is ".into()),
                Piece::Value("Pochi".into(), ANSWER),
                Piece::Text(".".into()),
            ],
            1.0,
        );
        let answer: Vec<u32> = w.ids[start..]
            .iter()
            .zip(&w.weights[start..])
            .filter(|(_, w)| **w == ANSWER)
            .map(|(id, _)| *id)
            .collect();
        assert_eq!(note, answer);
        assert_eq!(tok.decode(&answer), " Pochi");
        assert_eq!(w.ids.last(), Some(&special::END));
    }
}
