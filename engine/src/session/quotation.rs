//! The rule of a note that the companion writes by itself: its value is a quotation of what the person just said.
//!
//! In: the person's words, the note so far, a token. Out: whether the token may come next. Pure; the model still chooses
//! which words are noted, this only rules out words that nobody said. Letter case is not compared.

use crate::tokenizer::chat_format::NoteSentence;

/// Only this many bytes at the end of a long turn can be quoted.
const MAX_SAID_BYTES: usize = 4096;

/// What can be quoted.
#[derive(Debug, Clone)]
pub(super) struct Quotation {
    /// The person's words, ASCII letters in lower case.
    said: Vec<u8>,
}

/// What may follow one note, as far as it is written.
#[derive(Debug)]
pub(super) enum Next<'q> {
    /// The topic is still open: anything.
    Anything,
    /// The value: what stands in the person's words at one of `places`, or the full stop.
    Quoting {
        said: &'q [u8],
        /// Places by the byte that stands there.
        places: Vec<Vec<usize>>,
        /// Nothing of the value is written yet: the space before it belongs to the note.
        is_first: bool,
        /// The full stop of the note's language, where the value may end.
        stop: Option<&'static str>,
    },
}

impl Quotation {
    /// Of a turn of the person.
    pub(super) fn of(said: &str) -> Self {
        let mut start = said.len().saturating_sub(MAX_SAID_BYTES);
        while !said.is_char_boundary(start) {
            start += 1;
        }
        Self { said: said[start..].to_ascii_lowercase().into_bytes() }
    }

    /// What may follow `note`, the bytes written since `<m>`.
    pub(super) fn next(&self, note: &[u8]) -> Next<'_> {
        let Some((value, stop)) = open_value(note) else { return Next::Anything };
        let value = value.trim_ascii_start().to_ascii_lowercase();
        let said = &self.said;
        let mut places = vec![Vec::new(); 256];
        let mut may_stop = false;
        let quoted = |at: &usize| said[*at..].starts_with(&value) && begins_word(said, *at);
        for end in (0..said.len()).filter(quoted).map(|at| at + value.len()) {
            may_stop |= !value.is_empty() && ends_word(said, end);
            if let Some(byte) = said.get(end) {
                places[usize::from(*byte)].push(end);
            }
        }
        Next::Quoting { said, places, is_first: value.is_empty(), stop: may_stop.then_some(stop) }
    }

    /// Whether `sentence` is a note whose value was said.
    pub(super) fn allows(&self, sentence: &str) -> bool {
        NoteSentence::parse(sentence).is_some_and(|note| {
            let value = note.value().to_ascii_lowercase().into_bytes();
            let said = &self.said;
            (0..said.len()).any(|at| {
                said[at..].starts_with(&value)
                    && begins_word(said, at)
                    && ends_word(said, at + value.len())
            })
        })
    }
}

impl Next<'_> {
    /// Whether a token of these bytes may come next.
    pub(super) fn allows(&self, token: &[u8]) -> bool {
        let Self::Quoting { said, places, is_first, stop } = self else { return true };
        if stop.is_some_and(|stop| token == stop.as_bytes()) {
            return true;
        }
        let token = match token {
            [b' ', rest @ ..] if *is_first => rest,
            other => other,
        };
        let Some(first) = token.first() else { return false };
        let quotes = |at: &usize| {
            said.get(*at..at + token.len()).is_some_and(|s| s.eq_ignore_ascii_case(token))
        };
        !token.iter().all(u8::is_ascii_whitespace)
            && places[usize::from(first.to_ascii_lowercase())].iter().any(quotes)
    }
}

/// The value of a note that is being written, and the full stop that will end it.
fn open_value(note: &[u8]) -> Option<(&[u8], &'static str)> {
    let after = |head: &str, mark: &str| {
        let rest = note.strip_prefix(head.as_bytes())?;
        let at = rest.windows(mark.len()).position(|w| w == mark.as_bytes())?;
        Some(&rest[at + mark.len()..])
    };
    let english = note.trim_ascii_start();
    let n_blank = note.len() - english.len();
    if english.starts_with(b"your ") {
        let rest = &note[n_blank + 5..];
        let at = rest.windows(3).position(|w| w == b" is")?;
        let value = &rest[at + 3..];
        return (value.is_empty() || value[0] == b' ').then_some((value, "."));
    }
    after("きみの", "は").map(|value| (value, "。"))
}

/// A quotation does not begin inside a word of Latin letters, nor inside a character.
fn begins_word(said: &[u8], at: usize) -> bool {
    let inside = at > 0 && said[at - 1].is_ascii_alphanumeric() && said[at].is_ascii_alphanumeric();
    !inside && said.get(at).is_some_and(|b| b & 0xC0 != 0x80)
}

/// A quotation does not end inside a word of Latin letters, nor inside a character.
fn ends_word(said: &[u8], end: usize) -> bool {
    match said.get(end) {
        None => true,
        Some(next) => {
            let inside =
                end > 0 && said[end - 1].is_ascii_alphanumeric() && next.is_ascii_alphanumeric();
            !inside && next & 0xC0 != 0x80
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed<'t>(said: &str, note: &str, tokens: &[&'t str]) -> Vec<&'t str> {
        let quotation = Quotation::of(said);
        let next = quotation.next(note.as_bytes());
        tokens.iter().copied().filter(|t| next.allows(t.as_bytes())).collect()
    }

    #[test]
    fn a_topic_is_free_and_a_value_is_quoted() {
        let said = "Hey, my dog (Biscuit) is old";
        let tokens = [" Bis", " bis", " cuit", "cuit", " old", ".", " cat", " "];
        assert_eq!(allowed(said, " your dog", &tokens), tokens);
        assert_eq!(allowed(said, " your dog's name is", &tokens), [" Bis", " bis", " old"]);
        assert_eq!(allowed(said, " your dog's name is Bis", &tokens), ["cuit"]);
        assert_eq!(allowed(said, " your dog's name is Biscuit", &tokens), ["."]);
        let said = "うちの犬はポチだよ";
        let tokens = ["ポ", "チ", "ポチ", "だ", "。", "ミ"];
        assert_eq!(allowed(said, "きみの犬の名前は", &tokens), ["ポ", "チ", "ポチ", "だ"]);
        assert_eq!(allowed(said, "きみの犬の名前はポ", &tokens), ["チ", "。"]);
        assert_eq!(allowed(said, "きみの犬の名前はポチ", &tokens), ["だ", "。"]);
    }

    #[test]
    fn half_characters_go_on_but_do_not_end_a_value() {
        let quotation = Quotation::of("名前は蓮です");
        let bytes = "蓮".as_bytes();
        let mut note = "きみの名前は".as_bytes().to_vec();
        assert!(quotation.next(&note).allows(&bytes[..2]));
        note.extend(&bytes[..2]);
        assert!(quotation.next(&note).allows(&bytes[2..]));
        assert!(!quotation.next(&note).allows("。".as_bytes()));
    }

    #[test]
    fn what_nobody_said_is_no_note() {
        let quotation = Quotation::of("I am Mia, and I live in Cardiff.");
        assert!(quotation.allows("your name is Mia."));
        assert!(quotation.allows("your city is Cardiff."));
        assert!(!quotation.allows("your city is Card."));
        assert!(!quotation.allows("your name is Mio."));
        assert!(!quotation.allows("nothing of this form"));
        assert!(!Quotation::of("").allows("your name is Mia."));
    }

    #[test]
    fn only_the_end_of_a_very_long_turn_can_be_quoted() {
        let said = format!("Mia {} Ken", "あ".repeat(MAX_SAID_BYTES));
        let quotation = Quotation::of(&said);
        assert!(quotation.allows("your name is Ken.") && !quotation.allows("your name is Mia."));
    }
}
