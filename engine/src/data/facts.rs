//! What a person can tell about themselves: topics, wordings and values, from the authored `facts-LANG.jsonl` files.
//!
//! Also the part that is held out of training by rule: some topics, an eighth of the wordings, an eighth of the values.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Language of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Lang {
    En,
    Ja,
}

impl Lang {
    /// Both, English first.
    pub const ALL: [Self; 2] = [Self::En, Self::Ja];

    /// `en` or `ja`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ja => "ja",
        }
    }

    /// The language that most of a text is written in.
    pub fn of(text: &str) -> Self {
        let kana = |c: &char| matches!(*c, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}');
        let n = text.chars().take(400).count().max(1);
        if text.chars().take(400).filter(kana).count() * 5 > n { Self::Ja } else { Self::En }
    }
}

/// Fact, English topic, Japanese topic: the words of a note, `your {topic} is …` and `きみの{topic}は…`.
pub const TOPICS: [(&str, &str, &str); 53] = [
    ("name", "name", "名前"),
    ("nickname", "nickname", "あだ名"),
    ("age", "age", "年"),
    ("birthday", "birthday", "誕生日"),
    ("zodiac", "star sign", "星座"),
    ("city", "city", "住んでいる町"),
    ("hometown", "hometown", "ふるさと"),
    ("job", "job", "仕事"),
    ("school", "school", "学校"),
    ("food", "favourite food", "好きな食べ物"),
    ("disliked_food", "least favourite food", "苦手な食べ物"),
    ("drink", "favourite drink", "好きな飲み物"),
    ("dessert", "favourite dessert", "好きなデザート"),
    ("color", "favourite colour", "好きな色"),
    ("animal", "favourite animal", "好きな動物"),
    ("season", "favourite season", "好きな季節"),
    ("flower", "favourite flower", "好きな花"),
    ("book", "favourite book", "好きな本"),
    ("song", "favourite song", "好きな歌"),
    ("movie", "favourite movie", "好きな映画"),
    ("game", "favourite game", "好きなゲーム"),
    ("sport", "favourite sport", "好きなスポーツ"),
    ("hobby", "hobby", "趣味"),
    ("instrument", "instrument", "楽器"),
    ("subject", "favourite subject", "好きな科目"),
    ("dog_name", "dog's name", "犬の名前"),
    ("cat_name", "cat's name", "猫の名前"),
    ("bird_name", "bird's name", "鳥の名前"),
    ("plant_name", "plant's name", "植物の名前"),
    ("sister_name", "sister's name", "姉妹の名前"),
    ("brother_name", "brother's name", "兄弟の名前"),
    ("mother_name", "mother's name", "お母さんの名前"),
    ("father_name", "father's name", "お父さんの名前"),
    ("friend_name", "friend's name", "友だちの名前"),
    ("partner_name", "partner's name", "恋人の名前"),
    ("child_name", "child's name", "子どもの名前"),
    ("teacher_name", "teacher's name", "先生の名前"),
    ("boss_name", "boss's name", "上司の名前"),
    ("allergy", "allergy", "アレルギー"),
    ("fear", "fear", "怖いもの"),
    ("dream", "dream", "夢"),
    ("lucky_number", "lucky number", "ラッキーナンバー"),
    ("wake_time", "wake-up time", "起きる時間"),
    ("bed_time", "bedtime", "寝る時間"),
    ("appointment", "appointment", "予定"),
    ("appointment_time", "appointment time", "予定の時間"),
    ("trip_place", "next trip", "旅行先"),
    ("collection", "collection", "集めている物"),
    ("language", "new language", "習っている言葉"),
    ("car", "car", "車"),
    ("weekend_plan", "weekend plan", "週末の予定"),
    ("worry", "worry", "心配ごと"),
    ("goal", "goal", "目標"),
];

/// Facts that training never teaches or asks.
pub const HELD_OUT_FACTS: [&str; 6] =
    ["flower", "dessert", "instrument", "bird_name", "boss_name", "collection"];

/// Topic of a fact.
pub fn topic(fact: &str, lang: Lang) -> Option<&'static str> {
    TOPICS.iter().find(|t| t.0 == fact).map(|t| match lang {
        Lang::En => t.1,
        Lang::Ja => t.2,
    })
}

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
        if hash(text) % 8 == 0 { Self::HeldOut } else { Self::Train }
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
