//! Keeps empty boxes out of the text: what the fonts lack is replaced or left out before it is drawn.
//!
//! In: a text and a question "is there a glyph for this character". Out: the text to draw.
//! Emoji lose what only fonts in color can join (skin tones, joiners); an unknown emoji vanishes, an unknown letter
//! becomes 〓, the mark Japanese printers put where a type is missing.

use std::borrow::Cow;

use bevy_egui::egui;
use unicode_segmentation::UnicodeSegmentation;

/// `text` as our fonts can draw it.
pub fn drawable<'a>(ctx: &egui::Context, text: &'a str) -> Cow<'a, str> {
    ctx.fonts_mut(|fonts| {
        // Not `has_glyph`: it says no for every character of the face that holds the replacement mark.
        let mut font = fonts.fonts.font(&egui::FontFamily::Proportional);
        let known = font.characters();
        replace_missing(text, &mut |c| known.contains_key(&c))
    })
}

/// `text` without characters for which `has` says no.
pub fn replace_missing<'a>(text: &'a str, has: &mut dyn FnMut(char) -> bool) -> Cow<'a, str> {
    if text.chars().all(|c| c == '\n' || (c != '\t' && !is_joiner(c) && has(c))) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for grapheme in text.graphemes(true) {
        for c in grapheme.chars() {
            match c {
                '\n' => out.push(c),
                '\t' => out.push(' '),
                c if is_joiner(c) => {}
                c if has(c) => out.push(c),
                c => out.extend(stand_in(c)),
            }
            if is_emoji(c) {
                break; // the rest of the cluster only colors or joins it
            }
        }
    }
    Cow::Owned(out)
}

fn stand_in(c: char) -> Option<char> {
    Some(match c {
        '\u{2002}'..='\u{200A}' | '\u{202F}' => ' ',
        '\u{2011}' | '\u{2012}' => '-',
        '―' | '⸺' => '—',
        '～' => '〜',
        '•' | '◦' | '▪' => '・',
        '✓' | '✔' => '○',
        c if c.is_alphanumeric() => '〓',
        _ => return None,
    })
}

fn is_joiner(c: char) -> bool {
    matches!(u32::from(c), 0x200B..=0x200F | 0x2060 | 0xFE00..=0xFE0F | 0xFEFF | 0x1F3FB..=0x1F3FF)
        || (c.is_control() && c != '\n' && c != '\t')
}

fn is_emoji(c: char) -> bool {
    matches!(u32::from(c), 0x1F000..=0x1FAFF | 0x2600..=0x27BF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let mut has = |c: char| c.is_ascii() || "あ漢〓・😀👍❤".contains(c);
        assert_eq!(replace_missing(text, &mut has), expected);
    }

    #[test]
    fn our_fonts_hold_every_character_of_the_interface() {
        let ctx = egui::Context::default();
        ctx.set_fonts(crate::theme::fonts());
        let files = [
            include_str!("../../assets/locales/en/ui.ftl"),
            include_str!("../../assets/locales/en/lines.ftl"),
            include_str!("../../assets/locales/ja/ui.ftl"),
            include_str!("../../assets/locales/ja/lines.ftl"),
            "亜腕弌熙纊黑①㈱～♪★☆♥→←※…「」ヴゎéñßЖΩ😀🐶🍙☁💤",
        ];
        let mut output = ctx.run_ui(egui::RawInput::default(), |ui| {
            for text in files {
                for c in text.chars() {
                    let one = c.to_string();
                    assert_eq!(drawable(ui.ctx(), &one), one);
                }
            }
            assert_eq!(drawable(ui.ctx(), "a𠮟🫠b"), "a〓b");
        });
        output.textures_delta.clear(); // nothing is drawn
    }

    #[test]
    fn plain_text_is_untouched() {
        check("hi あ漢\n", "hi あ漢\n");
    }

    #[test]
    fn known_emoji_lose_their_tone_and_selector() {
        check("👍🏽!❤\u{FE0F}", "👍!❤");
    }

    #[test]
    fn unknown_emoji_and_flags_vanish() {
        check("a🪿b🇯🇵", "ab");
    }

    #[test]
    fn a_joined_family_shows_its_first_known_member() {
        check("😀\u{200D}🪿", "😀");
    }

    #[test]
    fn unknown_letters_are_marked() {
        check("あ𠮟", "あ〓");
    }

    #[test]
    fn near_relatives_stand_in() {
        check("•\ta\u{2011}b", "・ a-b");
    }
}
