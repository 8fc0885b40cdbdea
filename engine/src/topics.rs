//! What the companion can be told about a person: the words of notes and questions, in both languages.
//!
//! The same words in training, in notes and in questions of the memory panel: the small memory finds a value by them.

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

/// Topic of a fact.
pub fn topic(fact: &str, lang: Lang) -> Option<&'static str> {
    TOPICS.iter().find(|t| t.0 == fact).map(|t| match lang {
        Lang::En => t.1,
        Lang::Ja => t.2,
    })
}

/// A plain question for a topic.
pub fn question(topic: &str, lang: Lang) -> String {
    match lang {
        Lang::En => format!("What is my {topic}?"),
        Lang::Ja => format!("私の{topic}は？"),
    }
}

/// Words of an admission that something was never told.
const ADMISSIONS: [&str; 24] = [
    "don't know",
    "do not know",
    "don't think i know",
    "haven't told",
    "not told me",
    "never told",
    "nobody told",
    "haven't heard",
    "can't find",
    "can't remember",
    "in my memory yet",
    "isn't in here",
    "not in here",
    "still a secret",
    "知らない",
    "聞いてない",
    "聞いたことない",
    "教わってない",
    "わからない",
    "分からない",
    "思い出せない",
    "の中にない",
    "ひみつのまま",
    "まだないよ",
];

/// Whether an answer admits that the thing was never told: it says so, or it breaks off where the value would stand.
pub fn is_admission(answer: &str) -> bool {
    let answer = answer.trim().to_lowercase().replace('’', "'");
    ADMISSIONS.iter().any(|a| answer.contains(a))
        || answer.ends_with('…')
        || answer.ends_with("...")
        || answer.is_empty()
}

/// Whether `text` holds `value` as whole words: no letter, digit or katakana continues it on either side.
pub fn holds(text: &str, value: &str) -> bool {
    let kind = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => 1,
        'ァ'..='ー' => 2,
        _ => 0,
    };
    let joined = |a: Option<char>, b: Option<char>| match (a, b) {
        (Some(a), Some(b)) => kind(a) != 0 && kind(a) == kind(b),
        _ => false,
    };
    !value.is_empty()
        && text.match_indices(value).any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + value.len()..]);
            !joined(before.chars().next_back(), value.chars().next())
                && !joined(value.chars().next_back(), after.chars().next())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_admission_is_told_from_an_answer_that_hesitates() {
        for text in
            ["Your name... I don't know it yet.", "きみの名前は…まだ聞いてないよ。", "Your name..."]
        {
            assert!(is_admission(text), "{text}");
        }
        for text in
            ["きみの猫は…リチャ、だよね。", "You don't like liver.", "Your dream... a boat."]
        {
            assert!(!is_admission(text), "{text}");
        }
    }

    #[test]
    fn a_recall_needs_the_whole_value() {
        for (text, value) in [
            ("Your dog's name is Bo.", "Bo"),
            ("きみの犬の名前はポチだよ。", "ポチ"),
            ("It's 7.", "7"),
        ] {
            assert!(holds(text, value), "{text}");
        }
        for (text, value) in [
            ("Your dog's name is Bob.", "Bo"),
            ("きみの犬の名前はポチタだよ。", "ポチ"),
            ("It's 17.", "7"),
            ("", ""),
        ] {
            assert!(!holds(text, value), "{text}");
        }
    }
}
