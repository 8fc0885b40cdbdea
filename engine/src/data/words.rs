//! Small words of the generator of lives: names, invented topics, frames of sentences, and the noise of real typing.
//!
//! The lists themselves are text, `wording-en.txt` and `wording-ja.txt`, so that they can be read and extended as text.

use std::{collections::BTreeMap, sync::LazyLock};

use super::facts::{Lang, Side};
use crate::{rng::Rng, tokenizer::special};

/// Entries by section.
type Book = BTreeMap<&'static str, Vec<&'static str>>;

static EN: LazyLock<Book> = LazyLock::new(|| parse(include_str!("wording-en.txt")));
static JA: LazyLock<Book> = LazyLock::new(|| parse(include_str!("wording-ja.txt")));

fn parse(text: &'static str) -> Book {
    let mut book = Book::new();
    let mut section = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = Some(name);
        } else if let (Some(name), false) = (section, line.is_empty()) {
            book.entry(name).or_default().push(line);
        }
    }
    book
}

/// Entries of a section; empty if there is no such section.
pub fn list(lang: Lang, section: &str) -> &'static [&'static str] {
    let book = if lang == Lang::En { &EN } else { &JA };
    book.get(section).map_or(&[], Vec::as_slice)
}

/// One entry of a section.
pub fn one_of(lang: Lang, section: &str, rng: &mut Rng) -> &'static str {
    let items = list(lang, section);
    items.get(rng.below(items.len())).copied().unwrap_or_default()
}

/// `mood: text` → its parts.
pub fn mooded(entry: &str) -> (usize, &str) {
    entry.split_once(": ").map_or((0, entry), |(name, text)| (mood(name), text))
}

/// The name the companion has unless the person gave it another.
pub fn default_name(lang: Lang) -> &'static str {
    match lang {
        Lang::En => "Tete",
        Lang::Ja => "テテ",
    }
}

/// Mostly the default name, else any.
pub fn companion_name(lang: Lang, rng: &mut Rng) -> String {
    if rng.chance(0.7) { default_name(lang).to_owned() } else { name(lang, Side::Train, rng) }
}

/// Index of a mood by name; calm if unknown.
pub fn mood(name: &str) -> usize {
    special::MOOD_NAMES.iter().position(|m| m.trim_matches(['<', '>']) == name).unwrap_or(0)
}

/// A name: from a list, or invented out of syllables. One spelling in eight is held out of training.
pub fn name(lang: Lang, side: Side, rng: &mut Rng) -> String {
    loop {
        // Names cross the border of languages now and then.
        let other = if lang == Lang::En { Lang::Ja } else { Lang::En };
        let from = if rng.chance(0.06) { other } else { lang };
        let name = if rng.chance(0.45) {
            one_of(from, "names", rng).to_owned()
        } else {
            let n = 2 + rng.below(3);
            let word: String = (0..n).map(|_| one_of(from, "syllables", rng)).collect();
            match word.chars().next() {
                Some('ン' | 'ッ' | 'ー') => format!("ア{word}"),
                Some(first) => first.to_uppercase().chain(word.chars().skip(1)).collect(),
                None => continue,
            }
        };
        if Side::of(&name) == side {
            return name;
        }
    }
}

/// Any small thing, for topics that nobody has heard of.
pub fn thing(lang: Lang, rng: &mut Rng) -> String {
    match rng.below(10) {
        0 | 1 => (100 + rng.below(9900)).to_string(),
        2 => format!("{}{}", char::from(b'A' + rng.below(26) as u8), 1 + rng.below(99)),
        _ => one_of(lang, "things", rng).to_owned(),
    }
}

/// A topic outside the authored facts, one in three of the favourites with a word that does not exist.
pub fn invented_topic(lang: Lang, rng: &mut Rng) -> String {
    loop {
        let roll = rng.unit();
        let topic = if roll < 0.4 {
            let word = if rng.chance(0.33) {
                name(lang, Side::Train, rng).to_lowercase()
            } else {
                one_of(lang, "kinds", rng).to_owned()
            };
            if lang == Lang::En { format!("favourite {word}") } else { format!("好きな{word}") }
        } else if roll < 0.75 {
            let owner = one_of(lang, "owners", rng);
            if lang == Lang::En { format!("{owner}'s name") } else { format!("{owner}の名前") }
        } else {
            one_of(lang, "things_of_mine", rng).to_owned()
        };
        // The form of a note ends its topic at these.
        if !topic.contains('は') && !topic.contains(" is ") {
            return topic;
        }
    }
}

/// What is said of a topic in the words of its family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It is told for the first time.
    Tell,
    /// It is told anew, with another value.
    Change,
    /// It is asked for.
    Ask,
    /// It is said of somebody else, with the companion's answer behind ` => `.
    Trap,
}

/// A frame that fits a family of topics, with everything but `{value}` and `{n}` filled in: favourites ("I love
/// {value} more than any other {kind}"), names of others ("we named our {owner} {value}"), and all else. `None` where the
/// family has no such frame.
pub fn family_frame(
    lang: Lang,
    topic: &str,
    act: Act,
    side: Side,
    rng: &mut Rng,
) -> Option<String> {
    let (family, word) = family(lang, topic);
    let act = match act {
        Act::Tell => "tell",
        Act::Change => "change",
        Act::Ask => "ask",
        Act::Trap => "trap",
    };
    let (name, slot) = match family {
        Family::Favourite => ("favourite", "{kind}"),
        Family::Owner => ("owner", "{owner}"),
        Family::Thing => ("thing", "{topic}"),
    };
    let frame = one_side(lang, &format!("{act}_{name}"), side, rng);
    (!frame.is_empty()).then(|| frame.replace(slot, word))
}

/// Topics that are said in the same form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// "favourite …".
    Favourite,
    /// "…'s name".
    Owner,
    /// All else.
    Thing,
}

/// The family of a topic, and the word in it that is its own.
pub fn family(lang: Lang, topic: &str) -> (Family, &str) {
    let (kind, owner) = match lang {
        Lang::En => (topic.strip_prefix("favourite "), topic.strip_suffix("'s name")),
        Lang::Ja => (topic.strip_prefix("好きな"), topic.strip_suffix("の名前")),
    };
    match (kind, owner) {
        (Some(kind), _) => (Family::Favourite, kind),
        (_, Some(owner)) => (Family::Owner, owner),
        _ => (Family::Thing, topic),
    }
}

/// A frame for telling `{topic}` and `{value}`.
pub fn tell_template(lang: Lang, side: Side, change: bool, rng: &mut Rng) -> &'static str {
    one_side(lang, if change { "change" } else { "tell" }, side, rng)
}

/// A frame for asking for `{topic}`.
pub fn ask_template(lang: Lang, side: Side, rng: &mut Rng) -> &'static str {
    one_side(lang, "ask", side, rng)
}

fn one_side(lang: Lang, section: &str, side: Side, rng: &mut Rng) -> &'static str {
    let some: Vec<&str> =
        list(lang, section).iter().copied().filter(|t| Side::of(t) == side).collect();
    some.get(rng.below(some.len())).copied().unwrap_or_else(|| one_of(lang, section, rng))
}

/// What stands before and behind the value in the canonical answer, in the wording of the note.
pub fn canonical(lang: Lang, topic: &str) -> (String, String) {
    match lang {
        Lang::En => (format!("Your {topic} is "), ".".into()),
        Lang::Ja => (format!("きみの{topic}は"), "だよ。".into()),
    }
}

/// An admission behind the topic: it begins where the value would stand.
pub fn admission(lang: Lang, rng: &mut Rng) -> &'static str {
    one_of(lang, "admission", rng)
}

/// Opener of a confirmation; often none. Ends with what parts it from the next word.
pub fn got_it(lang: Lang, rng: &mut Rng) -> String {
    if rng.chance(0.35) {
        return String::new();
    }
    let opener = one_of(lang, "got_it", rng);
    if lang == Lang::En { format!("{opener} ") } else { opener.to_owned() }
}

/// `Your …` behind an opener.
pub fn lower_first(text: &str) -> String {
    text.strip_prefix("Your ").map_or_else(|| text.to_owned(), |rest| format!("your {rest}"))
}

/// A confirmation without the value.
pub fn thanks(lang: Lang, rng: &mut Rng) -> &'static str {
    one_of(lang, "thanks", rng)
}

/// Other sentences before and after, so that a fact or a question hides in a longer turn: none, one, or several.
pub fn beside(lang: Lang, text: &str, p: f64, rng: &mut Rng) -> String {
    let mut out = text.to_owned();
    let gap = if lang == Lang::En { " " } else { "" };
    let ended = |t: &str| t.ends_with(['.', '!', '?', '。', '！', '？', '…', ')']);
    for _ in 0..3 {
        if !rng.chance(p) {
            break;
        }
        let other = one_of(lang, "beside", rng);
        if rng.chance(0.6) || !ended(&out) {
            out = format!("{other}{gap}{out}");
        } else {
            out = format!("{out}{gap}{other}");
        }
    }
    out
}

/// Openers, endings, case and slips, as people type. Control character U+0001 (a value's place) is never touched.
pub fn noise(lang: Lang, text: &str, rng: &mut Rng) -> String {
    let mut text = text.to_owned();
    match lang {
        Lang::En => {
            if rng.chance(0.25) {
                let keeps = text.starts_with("I ") || text.starts_with("I'");
                let rest = if keeps { text } else { lower_initial(&text) };
                text = format!("{} {rest}", one_of(lang, "open", rng));
            }
            if rng.chance(0.15) {
                text = text.to_lowercase();
            }
            if rng.chance(0.12) {
                let close = one_of(lang, "close", rng);
                let stuck = close.starts_with(['.', '!']);
                if stuck {
                    text = text.trim_end_matches(['.', '!', '?']).to_owned();
                } else {
                    if close.starts_with(char::is_uppercase)
                        && !text.ends_with(['.', '!', '?', '\u{1}'])
                    {
                        text.push('.');
                    }
                    text.push(' ');
                }
                text.push_str(close);
            } else if rng.chance(0.12) {
                text = text.trim_end_matches(['.', '!', '?']).to_owned();
            }
            if rng.chance(0.06) {
                text = slip(&text, rng);
            }
        }
        Lang::Ja => {
            if rng.chance(0.25) {
                text = format!("{}{text}", one_of(lang, "open", rng));
            }
            if rng.chance(0.12) {
                if text.ends_with(['。', '！', '？']) {
                    text.push_str(one_of(lang, "close", rng));
                } else if !text.ends_with('…') {
                    text.push_str(["！", "〜", "笑", "…", "w"][rng.below(5)]);
                }
            } else if rng.chance(0.15) {
                text = text.trim_end_matches(['。', '！']).to_owned();
            }
        }
    }
    text
}

fn lower_initial(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |c| c.to_lowercase().chain(chars).collect())
}

/// Swaps or doubles a letter.
fn slip(text: &str, rng: &mut Rng) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    if chars.len() > 6 {
        let i = 1 + rng.below(chars.len() - 3);
        if chars[i].is_ascii_lowercase() && chars[i + 1].is_ascii_lowercase() {
            match rng.below(3) {
                0 => chars.swap(i, i + 1),
                1 => chars.insert(i, chars[i]),
                _ => drop(chars.remove(i)),
            }
        }
    }
    chars.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::chat_format::NoteSentence;

    #[test]
    fn names_keep_to_their_side_and_noise_keeps_the_value() {
        let mut rng = Rng::new(3);
        for lang in Lang::ALL {
            for _ in 0..200 {
                assert_eq!(Side::of(&name(lang, Side::Train, &mut rng)), Side::Train);
                assert_eq!(Side::of(&name(lang, Side::HeldOut, &mut rng)), Side::HeldOut);
                let text = noise(lang, "My dog is \u{1}.", &mut rng);
                assert!(beside(lang, &text, 0.9, &mut rng).contains('\u{1}'));
            }
        }
    }

    #[test]
    fn families_are_seen_from_the_topic() {
        let mut rng = Rng::new(7);
        let mut frame = |lang, topic, act| family_frame(lang, topic, act, Side::Train, &mut rng);
        let told = frame(Lang::En, "favourite tea", Act::Tell).expect("a frame");
        assert!(told.contains("tea") && !told.contains("favourite tea {"), "{told}");
        let asked = frame(Lang::Ja, "うさぎの名前", Act::Ask).expect("a frame");
        assert!(asked.contains("うさぎ") && !asked.contains("{owner}"), "{asked}");
        assert!(frame(Lang::En, "shoe size", Act::Change).expect("a frame").contains("shoe size"));
        assert_eq!(frame(Lang::En, "shoe size", Act::Trap), None);
    }

    #[test]
    fn invented_topics_fit_the_form_of_a_note() {
        let mut rng = Rng::new(5);
        for lang in Lang::ALL {
            for _ in 0..500 {
                let topic = invented_topic(lang, &mut rng);
                let sentence = match lang {
                    Lang::En => format!("your {topic} is Mia."),
                    Lang::Ja => format!("きみの{topic}はミア。"),
                };
                assert_eq!(
                    NoteSentence::parse(&sentence).map(|n| n.topic().to_owned()),
                    Some(topic),
                    "{sentence}"
                );
            }
        }
    }

    #[test]
    fn both_lists_hold_every_section_in_the_right_form() {
        assert_eq!(EN.keys().collect::<Vec<_>>(), JA.keys().collect::<Vec<_>>());
        for lang in Lang::ALL {
            for frame in list(lang, "tell").iter().chain(list(lang, "change")) {
                assert!(frame.contains("{topic}") && frame.contains("{value}"), "{frame}");
            }
            assert!(
                list(lang, "ask").iter().all(|f| f.contains("{topic}") && !f.contains("{value}"))
            );
            assert!(list(lang, "trap").iter().all(|f| f.split(" => ").count() == 2));
            for (family, slot) in
                [("favourite", "{kind}"), ("owner", "{owner}"), ("thing", "{topic}")]
            {
                for (act, told) in [("tell", true), ("change", true), ("ask", false)] {
                    let frames = list(lang, &format!("{act}_{family}"));
                    assert!(frames.len() >= 20, "{act}_{family}");
                    for f in frames {
                        assert!(f.contains(slot) && f.contains("{value}") == told, "{f}");
                    }
                }
                for f in list(lang, &format!("trap_{family}")) {
                    assert!(f.contains(slot) && f.split(" => ").count() == 2, "{f}");
                }
            }
            let named = ["rename", "renamed", "my_name"];
            assert!(named.iter().flat_map(|s| list(lang, s)).all(|f| f.contains("{n}")));
            let all: Vec<_> = list(lang, "names").to_vec();
            let mut once = all.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), all.len(), "a name stands twice in {}", lang.tag());
        }
    }
}
