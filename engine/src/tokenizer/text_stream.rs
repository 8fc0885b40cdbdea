//! Token bytes to text for the screen, piece by piece, without ever splitting a character.
//!
//! In: the bytes of each token as it is made. Out: the text that is complete so far. Bytes that can never become UTF-8
//! turn into U+FFFD at once; the start of an unfinished character waits for the next token.

use super::{TokenId, Tokenizer};

/// Holds back the unfinished end of a byte stream.
#[derive(Debug, Clone, Default)]
pub struct TextStream {
    /// At most three bytes: the start of a character.
    waiting: Vec<u8>,
}

impl TextStream {
    /// An empty stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes; returns the whole characters that are now complete, possibly none.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.waiting.extend_from_slice(bytes);
        let mut text = String::new();
        let mut kept = 0;
        let mut chunks = self.waiting.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let bad = chunk.invalid();
            if bad.is_empty() {
                continue;
            }
            if chunks.peek().is_none() && is_start_of_char(bad) {
                kept = bad.len();
            } else {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        self.waiting.drain(..self.waiting.len() - kept);
        text
    }

    /// [`TextStream::push`] with the bytes of token `id`.
    pub fn push_id(&mut self, tokenizer: &Tokenizer, id: TokenId) -> String {
        self.push(tokenizer.token_bytes(id))
    }

    /// What is left when nothing more comes: nothing, or one U+FFFD for an unfinished character.
    pub fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.waiting).into_owned();
        self.waiting.clear();
        text
    }
}

/// Whether more bytes could make `bytes`, an invalid piece, a character.
fn is_start_of_char(bytes: &[u8]) -> bool {
    matches!(std::str::from_utf8(bytes), Err(e) if e.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(bytes: &[&[u8]], pieces: &[&str], end: &str) {
        let mut stream = TextStream::new();
        let found: Vec<String> = bytes.iter().map(|b| stream.push(b)).collect();
        assert_eq!(found, pieces);
        assert_eq!(stream.finish(), end);
    }

    #[test]
    fn holds_back_half_a_kana() {
        check(&[&[227], &[129], &[130]], &["", "", "あ"], "");
    }

    #[test]
    fn holds_back_part_of_an_emoji_and_gives_the_rest() {
        check(&[&[b'a', 0xf0, 0x9f], &[0x98, 0x80, b'b']], &["a", "😀b"], "");
    }

    #[test]
    fn replaces_bytes_that_are_no_text() {
        check(&[&[0xff], &[0xe3, b'x']], &["\u{fffd}", "\u{fffd}x"], "");
        check(&[&[0xe3, 0x81]], &[""], "\u{fffd}");
        check(&[&[0x80, 0x80]], &["\u{fffd}\u{fffd}"], "");
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_text(text in "\\PC{0,30}", cut in 1_usize..5) {
            let mut stream = TextStream::new();
            let mut out: String = text.as_bytes().chunks(cut).map(|b| stream.push(b)).collect();
            out.push_str(&stream.finish());
            prop_assert_eq!(out, text);
        }

        #[test]
        fn any_bytes_end_as_the_lossy_text(bytes in prop::collection::vec(any::<u8>(), 0..40), cut in 1_usize..5) {
            let mut stream = TextStream::new();
            let mut out: String = bytes.chunks(cut).map(|b| stream.push(b)).collect();
            out.push_str(&stream.finish());
            prop_assert_eq!(out, String::from_utf8_lossy(&bytes));
        }
    }
}
