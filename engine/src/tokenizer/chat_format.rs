//! Turns, notes and documents as token ids.
//!
//! A turn is `<u> text <b> [<m> note </m>]* <mood> reply <end>`, a document `<doc> text <end>`, an unprompted remark
//! `<b> <mood> text <end>`. In: text and a tokenizer. Out: ids, and the reverse for replies. Holds no state.
//!
//! Two rules keep the tokens of a word the same wherever it stands, so that the memory can find it again:
//! text that starts with an ASCII letter or digit gets one space in front ([`text_ids`]), and the value in a note or an
//! answer goes through the tokenizer by itself ([`valued_ids`]).

use super::{TokenId, Tokenizer, special};

/// Longest note in tokens, English form.
pub const MAX_NOTE_TOKENS_EN: usize = 24;
/// Longest note in tokens, Japanese form.
pub const MAX_NOTE_TOKENS_JA: usize = 40;

/// Ids of a text: trimmed, with one space in front if it starts with an ASCII letter or digit.
pub fn text_ids(tokenizer: &Tokenizer, text: &str) -> Vec<TokenId> {
    let text = text.trim();
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        tokenizer.encode(&format!(" {text}"))
    } else {
        tokenizer.encode(text)
    }
}

/// Text of ids, without the space that [`text_ids`] puts in front; reserved ids give nothing.
pub fn ids_text(tokenizer: &Tokenizer, ids: &[TokenId]) -> String {
    let mut text = tokenizer.decode(ids);
    if text.starts_with(' ') {
        text.remove(0);
    }
    text
}

/// Ids of `before value after`, each of the three encoded by itself, so that the value has the same tokens everywhere.
///
/// White space at the end of `before` moves to the front of the value as one space (English); without it the value
/// follows directly (Japanese). An empty `before` makes the value the start of a text, see [`text_ids`].
pub fn valued_ids(tokenizer: &Tokenizer, before: &str, value: &str, after: &str) -> Vec<TokenId> {
    let value = value.trim();
    let head = before.trim_end();
    let mut ids = text_ids(tokenizer, head);
    if head.trim_start().is_empty() {
        ids.extend(text_ids(tokenizer, value));
    } else if head.len() < before.len() {
        ids.extend(tokenizer.encode(&format!(" {value}")));
    } else {
        ids.extend(tokenizer.encode(value));
    }
    ids.extend(tokenizer.encode(after.trim_end()));
    ids
}

/// `<u> text`, the part of a turn that the person says.
pub fn user_turn(tokenizer: &Tokenizer, text: &str) -> Vec<TokenId> {
    wrapped(special::USER, text_ids(tokenizer, text), None)
}

/// `<u> text <b>`: after it the companion speaks.
pub fn prompt(tokenizer: &Tokenizer, text: &str) -> Vec<TokenId> {
    wrapped(special::USER, text_ids(tokenizer, text), Some(special::BOT))
}

/// `<doc> text <end>`.
pub fn document(tokenizer: &Tokenizer, text: &str) -> Vec<TokenId> {
    wrapped(special::DOC, text_ids(tokenizer, text), Some(special::END))
}

/// `<mood> text <end>`: what follows `<b>` and the notes. `mood_idx`: `0..10`.
pub fn reply(tokenizer: &Tokenizer, mood_idx: usize, text: &str) -> Vec<TokenId> {
    reply_ids(mood_idx, text_ids(tokenizer, text))
}

/// [`reply`] for text that is already ids, such as those of [`valued_ids`].
pub fn reply_ids(mood_idx: usize, ids: Vec<TokenId>) -> Vec<TokenId> {
    wrapped(special::mood(mood_idx), ids, Some(special::END))
}

/// `<b> <mood> text <end>`: a remark that nobody asked for.
pub fn remark(tokenizer: &Tokenizer, mood_idx: usize, text: &str) -> Vec<TokenId> {
    wrapped(special::BOT, reply(tokenizer, mood_idx, text), None)
}

/// `<m> sentence </m>`; the value of a sentence of the note form is encoded by itself.
pub fn note(tokenizer: &Tokenizer, sentence: &str) -> Vec<TokenId> {
    let ids = match NoteSentence::parse(sentence) {
        Some(form) => form.ids(tokenizer),
        None => text_ids(tokenizer, sentence),
    };
    wrapped(special::NOTE, ids, Some(special::NOTE_END))
}

/// Whether `id` ends a reply: `<end>`, or a sign that the model went on to something else.
pub fn ends_reply(id: TokenId) -> bool {
    matches!(id, special::END | special::USER | special::DOC | special::PAD)
}

/// State of the lifelong gate after `id`: opened by `<m>`, closed by every other turn or note border.
pub fn gate_after(gate: bool, id: TokenId) -> bool {
    match id {
        special::NOTE => true,
        special::NOTE_END | special::USER | special::BOT | special::END | special::DOC => false,
        _ => gate,
    }
}

fn wrapped(open: TokenId, mut ids: Vec<TokenId>, close: Option<TokenId>) -> Vec<TokenId> {
    ids.insert(0, open);
    ids.extend(close);
    ids
}

/// The two forms of a note: `your {topic} is {value}.` and `きみの{topic}は{value}。`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the forms above name the fields")]
pub enum NoteSentence<'t> {
    English { topic: &'t str, value: &'t str },
    Japanese { topic: &'t str, value: &'t str },
}

impl<'t> NoteSentence<'t> {
    /// Reads a sentence of one of the two forms: `None` if it is not, or if topic or value is empty.
    ///
    /// The topic ends at the first ` is ` or `は` (`は` inside `はは` or before `の` is passed over if another one follows).
    /// A value holds no line break; a full stop may stand inside it.
    pub fn parse(sentence: &'t str) -> Option<Self> {
        let sentence = sentence.trim();
        if sentence.contains(char::is_control) {
            return None;
        }
        if let Some(rest) = sentence.strip_prefix("きみの") {
            let (topic, value) = split_topic_ja(rest.strip_suffix('。')?)?;
            return Some(Self::Japanese { topic, value });
        }
        let rest = sentence.strip_prefix("your ").or_else(|| sentence.strip_prefix("Your "))?;
        let (topic, value) = rest.strip_suffix('.')?.split_once(" is ")?;
        let (topic, value) = (topic.trim(), value.trim());
        is_filled(topic, value).then_some(Self::English { topic, value })
    }

    /// What the note is about.
    pub fn topic(&self) -> &'t str {
        match self {
            Self::English { topic, .. } | Self::Japanese { topic, .. } => topic,
        }
    }

    /// What is told about it.
    pub fn value(&self) -> &'t str {
        match self {
            Self::English { value, .. } | Self::Japanese { value, .. } => value,
        }
    }

    /// Most tokens a note of this form may have.
    pub fn max_tokens(&self) -> usize {
        match self {
            Self::English { .. } => MAX_NOTE_TOKENS_EN,
            Self::Japanese { .. } => MAX_NOTE_TOKENS_JA,
        }
    }

    /// Ids of the sentence without `<m>` and `</m>`.
    pub fn ids(&self, tokenizer: &Tokenizer) -> Vec<TokenId> {
        match self {
            Self::English { topic, value } => {
                valued_ids(tokenizer, &format!("your {topic} is "), value, ".")
            }
            Self::Japanese { topic, value } => {
                valued_ids(tokenizer, &format!("きみの{topic}は"), value, "。")
            }
        }
    }

    /// Ids of the answer in the note's own wording: `Your {topic} is {value}.` or `きみの{topic}は{value}だよ。`
    pub fn answer_ids(&self, tokenizer: &Tokenizer) -> Vec<TokenId> {
        match self {
            Self::English { topic, value } => {
                valued_ids(tokenizer, &format!("Your {topic} is "), value, ".")
            }
            Self::Japanese { topic, value } => {
                valued_ids(tokenizer, &format!("きみの{topic}は"), value, "だよ。")
            }
        }
    }
}

/// `{topic}は{value}` at the likeliest `は`: the first one with something on both sides, better if no `の` follows.
fn split_topic_ja(text: &str) -> Option<(&str, &str)> {
    let cuts =
        text.match_indices('は').map(|(at, wa)| (text[..at].trim(), text[at + wa.len()..].trim()));
    let filled = |cut: &(&str, &str)| is_filled(cut.0, cut.1);
    let mut good = cuts.clone().filter(filled).filter(|cut| !cut.1.starts_with('の'));
    good.next().or_else(|| cuts.clone().find(filled))
}

fn is_filled(topic: &str, value: &str) -> bool {
    let has_word = |text: &str| text.chars().any(char::is_alphanumeric);
    has_word(topic) && has_word(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes() -> Tokenizer {
        Tokenizer::bytes_only(320).expect("made")
    }

    #[test]
    fn one_space_in_front_of_latin_text_only() {
        let tokenizer = bytes();
        let check = |text: &str, inside: &str| {
            let ids = text_ids(&tokenizer, text);
            assert_eq!(tokenizer.decode(&ids), inside);
            assert_eq!(ids_text(&tokenizer, &ids), text.trim());
        };
        check("Mia", " Mia");
        check("  Mia \n", " Mia");
        check("3 cats", " 3 cats");
        check("きみ", "きみ");
        check("(hm)", "(hm)");
        check("", "");
    }

    #[test]
    fn a_value_has_the_same_tokens_everywhere() {
        let tokenizer = Tokenizer::train(
            (0..50).map(|_| " your name is Mia. Mia. Mia。 is Mia".to_owned()),
            384,
        )
        .expect("trains");
        let value = tokenizer.encode(" Mia");
        let has = |ids: Vec<TokenId>| ids.windows(value.len()).any(|w| w == value);
        assert!(has(note(&tokenizer, "your name is Mia.")));
        assert!(has(valued_ids(&tokenizer, "So it is ", "Mia", "!?")));
        assert!(has(valued_ids(&tokenizer, "", "Mia", "!")));
        assert_eq!(
            tokenizer.decode(&valued_ids(&tokenizer, "きみの名前は", "ミア", "だよ。")),
            "きみの名前はミアだよ。"
        );
    }

    #[test]
    fn notes_of_the_two_forms_are_read() {
        let check = |sentence: &str, expected: Option<(&str, &str)>| {
            let found = NoteSentence::parse(sentence);
            assert_eq!(found.map(|n| (n.topic(), n.value())), expected, "{sentence}");
        };
        check("your name is Mia.", Some(("name", "Mia")));
        check(" your dog's name is Dr. Bo.", Some(("dog's name", "Dr. Bo")));
        check("きみの名前はミアだ。", Some(("名前", "ミアだ")));
        check("きみの名前ははなこ。", Some(("名前", "はなこ")));
        check("きみの名前はのぞみ。", Some(("名前", "のぞみ")));
        check("きみのははのなまえはゆみ。", Some(("ははのなまえ", "ゆみ")));
        check("your name is .", None);
        check("your name is Mia", None);
        check("name is Mia.", None);
        check("きみの名前ミア。", None);
        check("きみのは は。", None);
        check("your name is a\nb.", None);
        check("", None);
    }

    #[test]
    fn turns_have_their_borders() {
        let tokenizer = bytes();
        let ids = prompt(&tokenizer, "<b> hi <m>");
        assert_eq!((ids[0], ids[ids.len() - 1]), (special::USER, special::BOT));
        assert_eq!(ids.iter().filter(|&&id| special::is_special(id)).count(), 2);
        let ids = remark(&tokenizer, 3, "look");
        assert_eq!(ids[..2], [special::BOT, special::mood(3)]);
        assert!(ends_reply(ids[ids.len() - 1]));
        let ids = note(&tokenizer, "your name is Mia.");
        assert_eq!((ids[0], ids[ids.len() - 1]), (special::NOTE, special::NOTE_END));
    }
}
