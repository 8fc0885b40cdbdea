//! Which part of a long text the bubble shows: whole sentences if they fill enough of it, else a cut with dots.
//!
//! In: a text, its lines, how many lines there is room for. Out: [`Fit`]. Pure.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// The part that is shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fit {
    /// Lines as byte ranges of the text.
    pub(super) lines: Vec<Range<usize>>,
    /// There is more than is shown.
    pub(super) more: bool,
    /// The last line ends in the middle of a sentence: draw `…` after it.
    pub(super) dots: bool,
}

impl Fit {
    /// Characters (grapheme clusters) of `text` that are shown.
    pub(super) fn n_chars(&self, text: &str) -> usize {
        self.lines.iter().map(|l| text[l.clone()].graphemes(true).count()).sum()
    }

    /// Characters of the shown lines that begin before byte `end`.
    pub(super) fn chars_before(&self, text: &str, end: usize) -> usize {
        let within =
            |l: &Range<usize>| text[l.start..l.end.min(end).max(l.start)].graphemes(true).count();
        self.lines.iter().map(within).sum()
    }
}

/// Chooses from `lines` of `text` what `max_lines` can show. Bytes before `said` are on screen already and stay.
pub(super) fn fit(text: &str, mut lines: Vec<Range<usize>>, max_lines: usize, said: usize) -> Fit {
    if lines.len() <= max_lines {
        return Fit { lines, more: false, dots: false };
    }
    lines.truncate(max_lines);
    let whole = lines.last().map_or(0, |l| l.end);
    let enough = whole / 3;
    if let Some(end) = sentence_end(&text[..whole]).filter(|end| *end >= said.max(enough)) {
        lines.retain(|l| l.start < end);
        if let Some(last) = lines.last_mut() {
            last.end = end.min(last.end);
        }
        return Fit { lines, more: true, dots: false };
    }
    if let Some(last) = lines.last_mut()
        && let Some((at, _)) = text[last.clone()].grapheme_indices(true).next_back()
    {
        last.end = last.start + at; // room for the dots
    }
    Fit { lines, more: true, dots: true }
}

/// Byte after the last sentence that ends within `text`.
fn sentence_end(text: &str) -> Option<usize> {
    let mut end = None;
    let mut after_stop = false;
    for (at, c) in text.char_indices() {
        match c {
            '。' | '！' | '？' => {
                after_stop = true;
                end = Some(at + c.len_utf8());
            }
            '.' | '!' | '?' => {
                after_stop = true;
                let next = text[at + 1..].chars().next();
                if next.is_none_or(char::is_whitespace) {
                    end = Some(at + 1);
                }
            }
            '」' | '』' | '）' | '"' | '”' | ')' if after_stop => {
                end = Some(at + c.len_utf8())
            }
            _ => after_stop = false,
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::super::line_break::break_lines;
    use super::*;

    fn check(text: &str, columns: f32, said: usize, expected: &[&str], dots: bool) {
        let lines = break_lines(text, columns, &mut |s| s.graphemes(true).count() as f32);
        let fit = fit(text, lines, 2, said);
        let got: Vec<_> = fit.lines.iter().map(|l| &text[l.clone()]).collect();
        assert_eq!((got.as_slice(), fit.dots), (expected, dots));
    }

    #[test]
    fn what_fits_is_shown_whole() {
        check("今日は晴。明日も", 5.0, 0, &["今日は晴。", "明日も"], false);
    }

    #[test]
    fn a_long_text_ends_at_a_sentence() {
        check(
            "今日は晴。明日も晴れるかな。どうかな。",
            8.0,
            0,
            &["今日は晴。明日も", "晴れるかな。"],
            false,
        );
        check("It rains. It is a very very long day.", 12.0, 0, &["It rains."], false);
    }

    #[test]
    fn a_long_sentence_ends_with_dots() {
        check("あいうえおかきくけこさしすせそ", 5.0, 0, &["あいうえお", "かきくけ"], true);
    }

    #[test]
    fn what_was_said_is_not_taken_back() {
        check(
            "今日は晴。あいうえおかきくけこさし",
            7.0,
            24,
            &["今日は晴。あい", "うえおかきく"],
            true,
        );
    }
}
