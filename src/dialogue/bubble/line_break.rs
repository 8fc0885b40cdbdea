//! Where lines of a bubble end: English words stay whole, Japanese follows kinsoku, a character is never split.
//!
//! In: a text and a function that measures a piece of it. Out: byte ranges, one a line, without the blanks at the
//! ends. Pure; knows no font and no screen.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// Must not begin a line.
const NO_START: &str = "、。，．・：；？！ヽヾゝゞ々〻ー」』）］｝〉》】〕〟’”…‥〜～♪♥゛゜\
    ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶｧｨｩｪｫｬｭｮｯｰ｡｣､･ﾞﾟ,.:;!?)]}%";
/// Must not end a line.
const NO_END: &str = "「『（［｛〈《【〔〝‘“｢([{￥＄";
/// Two of the same stay together.
const PAIRED: &str = "…‥―—ー〜～";

/// Splits `text` into lines no wider than `max_width`. `measure` gives the width of a piece, in the same unit.
///
/// A piece that has no legal break and is too wide is broken between characters; a line break in the text always ends a line.
pub fn break_lines(
    text: &str,
    max_width: f32,
    measure: &mut dyn FnMut(&str) -> f32,
) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut line: Option<Range<usize>> = None;
    let mut width = 0.0;
    for chunk in chunks(text) {
        let ink = trimmed(text, &chunk);
        let forced = text[chunk.clone()].ends_with('\n');
        let chunk_width = measure(&text[chunk.clone()]);
        if width + measure(&text[ink.clone()]) > max_width
            && let Some(full) = line.take()
        {
            lines.push(trimmed(text, &full));
            width = 0.0;
        }
        if line.is_none() && measure(&text[ink.clone()]) > max_width {
            let (whole, rest) = split_wide(text, ink, max_width, measure);
            lines.extend(whole);
            width = measure(&text[rest.start..chunk.end]);
            line = Some(rest.start..chunk.end);
        } else {
            width += chunk_width;
            line = Some(line.map_or(chunk.start, |l| l.start)..chunk.end);
        }
        if forced && let Some(full) = line.take() {
            lines.push(trimmed(text, &full));
            width = 0.0;
        }
    }
    if let Some(rest) = line {
        lines.push(trimmed(text, &rest));
    }
    while lines.last().is_some_and(Range::is_empty) {
        lines.pop();
    }
    lines
}

/// How many bytes of a text that still grows can no longer move to another line: all but its last unbreakable piece.
pub fn settled_len(text: &str) -> usize {
    chunks(text).pop().map_or(0, |last| last.start)
}

/// Pieces between legal breaks, in order; they cover the text.
fn chunks(text: &str) -> Vec<Range<usize>> {
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut before: Option<&str> = None;
    for (at, grapheme) in text.grapheme_indices(true) {
        if before.is_some_and(|b| may_break(b, grapheme)) {
            chunks.push(start..at);
            start = at;
        }
        before = Some(grapheme);
    }
    if start < text.len() {
        chunks.push(start..text.len());
    }
    chunks
}

fn may_break(before: &str, after: &str) -> bool {
    let (Some(b), Some(a)) = (before.chars().next_back(), after.chars().next()) else {
        return false;
    };
    if b == '\n' {
        return true;
    }
    if a.is_whitespace() || NO_START.contains(a) || NO_END.contains(b) {
        return false;
    }
    if a == b && PAIRED.contains(a) {
        return false;
    }
    b.is_whitespace() || is_wide(a) || is_wide(b) || matches!(b, '-' | '/')
}

/// Written without blanks between words: a line may end at either side.
fn is_wide(c: char) -> bool {
    matches!(u32::from(c), 0x2E80..=0x9FFF | 0xF900..=0xFAFF | 0xFE30..=0xFE4F | 0xFF00..=0xFFEF | 0x1F000..=0x3FFFF)
        || "…‥―—♪★☆♥♡".contains(c)
}

/// The range without blanks at either end.
fn trimmed(text: &str, range: &Range<usize>) -> Range<usize> {
    let piece = &text[range.clone()];
    let end = range.start + piece.trim_end().len();
    let start = end - text[range.start..end].trim_start().len();
    start..end
}

/// Breaks one too wide piece between characters: the full lines and what is left.
fn split_wide(
    text: &str,
    piece: Range<usize>,
    max_width: f32,
    measure: &mut dyn FnMut(&str) -> f32,
) -> (Vec<Range<usize>>, Range<usize>) {
    let mut lines = Vec::new();
    let mut start = piece.start;
    let mut width = 0.0;
    for (at, grapheme) in text[piece.clone()].grapheme_indices(true) {
        let at = piece.start + at;
        let grapheme_width = measure(grapheme);
        if width + grapheme_width > max_width && at > start {
            lines.push(start..at);
            start = at;
            width = 0.0;
        }
        width += grapheme_width;
    }
    (lines, start..piece.end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_segmentation::UnicodeSegmentation;

    use super::*;

    /// Two columns a wide character, one for the others.
    fn columns(piece: &str) -> f32 {
        piece.graphemes(true).map(|g| if g.chars().any(is_wide) { 2.0 } else { 1.0 }).sum()
    }

    fn check(text: &str, columns_wide: f32, expected: &[&str]) {
        let lines = break_lines(text, columns_wide, &mut columns);
        let got: Vec<_> = lines.into_iter().map(|l| &text[l]).collect();
        assert_eq!(got, expected);
    }

    #[test]
    fn english_words_stay_whole() {
        check("the quick brown fox", 10.0, &["the quick", "brown fox"]);
    }

    #[test]
    fn japanese_breaks_anywhere() {
        check("今日は天気", 6.0, &["今日は", "天気"]);
    }

    #[test]
    fn a_full_stop_never_begins_a_line() {
        check("今日は晴。明日も", 8.0, &["今日は", "晴。明日", "も"]);
    }

    #[test]
    fn small_kana_and_long_vowels_never_begin_a_line() {
        check("とてもちょっと", 8.0, &["とても", "ちょっと"]);
        check("あのケーキ", 6.0, &["あの", "ケーキ"]);
    }

    #[test]
    fn an_opening_bracket_never_ends_a_line() {
        check("これは「猫」だ", 8.0, &["これは", "「猫」だ"]);
    }

    #[test]
    fn closing_marks_stay_together() {
        check("本当に？！」と", 8.0, &["本当", "に？！」", "と"]);
    }

    #[test]
    fn dots_come_in_pairs() {
        check("えっと……そう", 8.0, &["えっ", "と……そ", "う"]);
    }

    #[test]
    fn mixed_text_keeps_latin_words() {
        check("ぼくはMikaだよ", 8.0, &["ぼくは", "Mikaだよ"]);
        check("Rustで書いた", 8.0, &["Rustで書", "いた"]);
    }

    #[test]
    fn an_address_breaks_at_slashes() {
        check(
            "see https://example.org/a/long/path",
            12.0,
            &["see https://", "example.org/", "a/long/path"],
        );
    }

    #[test]
    fn a_too_long_word_is_cut() {
        check("aaaaaaaaaa b", 4.0, &["aaaa", "aaaa", "aa b"]);
    }

    #[test]
    fn line_breaks_count_and_blanks_vanish() {
        check("one \n two\n\nthree\n", 9.0, &["one", "two", "", "three"]);
    }

    #[test]
    fn a_family_is_one_character() {
        check("ああ👨‍👩‍👧あ", 4.0, &["ああ", "👨‍👩‍👧あ"]);
    }

    #[test]
    fn nothing_gives_no_line() {
        check("", 4.0, &[]);
        check("  ", 4.0, &[]);
    }

    #[test]
    fn a_growing_text_settles_up_to_its_last_piece() {
        for (text, settled) in [("the qui", "the "), ("the ", ""), ("今日は晴", "今日は"), ("", "")]
        {
            assert_eq!(settled_len(text), settled.len(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn lines_keep_every_character_in_order(text in "[a-z あ-ん。、「」ー漢字!\n👍]{0,60}", wide in 4.0_f32..30.0) {
            let lines = break_lines(&text, wide, &mut columns);
            let kept: String = lines.iter().flat_map(|l| text[l.clone()].chars()).filter(|c| !c.is_whitespace()).collect();
            let all: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            prop_assert_eq!(kept, all);
            for line in &lines {
                prop_assert!(columns(&text[line.clone()]) <= wide.max(2.0));
            }
        }

        #[test]
        fn settled_lines_never_change(text in "[a-z あ-ん。、「」ー漢字]{0,40}", cut in 0_usize..40, wide in 8.0_f32..30.0) {
            let cut = text.char_indices().nth(cut).map_or(text.len(), |(i, _)| i);
            let settled = settled_len(&text[..cut]);
            let start = |lines: &[Range<usize>], at: usize| lines.iter().filter(|l| l.start <= at).map(|l| l.start).next_back();
            let early = break_lines(&text[..cut], wide, &mut columns);
            let late = break_lines(&text, wide, &mut columns);
            for (at, c) in text[..settled].char_indices().filter(|(_, c)| !c.is_whitespace()) {
                prop_assert_eq!(start(&early, at), start(&late, at), "{} at {}", c, at);
            }
        }
    }
}
