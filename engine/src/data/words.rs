//! Small words of the generator of lives: names, invented topics, frames of sentences, and the noise of real typing.

use super::facts::{Lang, Side};
use crate::{rng::Rng, tokenizer::special};

fn pick<'a>(rng: &mut Rng, items: &[&'a str]) -> &'a str {
    items[rng.below(items.len())]
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
    special::MOOD_NAMES.iter().position(|m| *m == name).unwrap_or(0)
}

const NAMES_EN: [&str; 96] = [
    "Mia",
    "Noah",
    "Priya",
    "Kenji",
    "Olivia",
    "Liam",
    "Aisha",
    "Mateo",
    "Sofia",
    "Ethan",
    "Chloe",
    "Omar",
    "Hannah",
    "Lucas",
    "Yuki",
    "Nadia",
    "Oscar",
    "Ingrid",
    "Tomas",
    "Leila",
    "Felix",
    "Amara",
    "Hugo",
    "Clara",
    "Ravi",
    "Elena",
    "Jonas",
    "Maya",
    "Theo",
    "Zara",
    "Ivan",
    "Greta",
    "Samir",
    "Rosa",
    "Emil",
    "Freya",
    "Diego",
    "Anya",
    "Marcus",
    "Lena",
    "Kofi",
    "Bianca",
    "Arthur",
    "Mei",
    "Stefan",
    "Nora",
    "Julian",
    "Imani",
    "Pedro",
    "Sakura",
    "Walter",
    "Iris",
    "Dmitri",
    "Paula",
    "Hassan",
    "Vera",
    "Simon",
    "Tara",
    "Otto",
    "Layla",
    "Rufus",
    "Biscuit",
    "Pepper",
    "Luna",
    "Milo",
    "Coco",
    "Shadow",
    "Ginger",
    "Bruno",
    "Daisy",
    "Max",
    "Willow",
    "Rocky",
    "Hazel",
    "Ziggy",
    "Olive",
    "Waffles",
    "Nala",
    "Toby",
    "Ruby",
    "Dr Chen",
    "Mr Okafor",
    "Ms Lindqvist",
    "Mrs Patel",
    "Grandpa Joe",
    "Anna-Lena",
    "Jean-Luc",
    "O'Brien",
    "Van Dyke",
    "Bo",
    "Al",
    "Jo",
    "Ed",
    "Xiomara",
    "Siobhan",
    "Quentin",
];

const NAMES_JA: [&str; 96] = [
    "さくら",
    "ゆうた",
    "はると",
    "ひなた",
    "みお",
    "あおい",
    "けんじ",
    "たろう",
    "はなこ",
    "りく",
    "そら",
    "めい",
    "ゆい",
    "かける",
    "まこと",
    "なお",
    "田中",
    "佐藤",
    "鈴木",
    "高橋",
    "伊藤",
    "山本",
    "中村",
    "小林",
    "加藤",
    "吉田",
    "山田",
    "松本",
    "井上",
    "木村",
    "清水",
    "森",
    "健太",
    "美咲",
    "翔",
    "陽菜",
    "大輔",
    "直樹",
    "結衣",
    "蓮",
    "葵",
    "優斗",
    "千夏",
    "真由美",
    "拓也",
    "香織",
    "誠",
    "恵",
    "ポチ",
    "タマ",
    "ミケ",
    "クロ",
    "シロ",
    "モモ",
    "ハナ",
    "コタロウ",
    "レオ",
    "ソラ",
    "チョコ",
    "マロン",
    "きなこ",
    "あずき",
    "ごま",
    "だいふく",
    "マリア",
    "トム",
    "エミリー",
    "カルロス",
    "リサ",
    "アレックス",
    "ソフィア",
    "ダニエル",
    "ニーナ",
    "ルカ",
    "オリバー",
    "アンナ",
    "ピーター",
    "ジュン",
    "リン",
    "ハリー",
    "けいこ",
    "しんいち",
    "よしえ",
    "まさる",
    "のりこ",
    "ふみ",
    "たくみ",
    "いつき",
    "こはる",
    "つむぎ",
    "みらい",
    "ひかり",
    "あきら",
    "じろう",
    "ゆきの",
    "とも",
];

const SYLLABLES: [&str; 48] = [
    "ka", "mi", "lo", "ra", "ne", "to", "vi", "sa", "bu", "jo", "pe", "zu", "na", "ri", "ta", "el",
    "or", "an", "is", "ka", "do", "fi", "gu", "ha", "li", "mo", "nu", "pa", "qui", "ro", "se",
    "ti", "ul", "ve", "wa", "xi", "yo", "za", "be", "co", "da", "en", "fa", "go", "in", "ke", "la",
    "ma",
];

const KANA: [&str; 48] = [
    "カ", "ミ", "ロ", "ラ", "ネ", "ト", "ビ", "サ", "ブ", "ジョ", "ペ", "ズ", "ナ", "リ", "タ",
    "ル", "オ", "ン", "シ", "ド", "フィ", "グ", "ハ", "モ", "ヌ", "パ", "キュ", "セ", "ティ", "ユ",
    "ベ", "ワ", "ヨ", "ザ", "コ", "ダ", "エ", "ファ", "ゴ", "イ", "ケ", "マ", "ム", "メ", "ノ",
    "ピ", "チャ", "スー",
];

/// A name: from a list, or invented out of syllables. One spelling in eight is held out of training.
pub fn name(lang: Lang, side: Side, rng: &mut Rng) -> String {
    loop {
        let listed = rng.chance(0.45);
        let name = match (lang, listed) {
            (Lang::En, true) => pick(rng, &NAMES_EN).to_owned(),
            (Lang::Ja, true) => pick(rng, &NAMES_JA).to_owned(),
            (Lang::En, false) => {
                let n = 2 + rng.below(3);
                let word: String = (0..n).map(|_| pick(rng, &SYLLABLES)).collect();
                word[..1].to_uppercase() + &word[1..]
            }
            (Lang::Ja, false) => {
                let n = 2 + rng.below(3);
                let word: String = (0..n).map(|_| pick(rng, &KANA)).collect();
                if word.starts_with('ン') { format!("ア{word}") } else { word }
            }
        };
        if Side::of(&name) == side {
            return name;
        }
    }
}

const THINGS_EN: [&str; 40] = [
    "blue",
    "seven",
    "a red kite",
    "the old bridge",
    "apple pie",
    "42",
    "1987",
    "silver",
    "the piano",
    "a small boat",
    "chess",
    "next Friday",
    "green tea",
    "the night train",
    "clouds",
    "3 pm",
    "a paper lamp",
    "Mount Etna",
    "the sea",
    "pancakes",
    "number 19",
    "yellow boots",
    "Room 12",
    "a jar of buttons",
    "the second shelf",
    "mint",
    "rainy days",
    "5521",
    "a tin robot",
    "Oslo",
    "the library",
    "violet",
    "sixteen",
    "a wooden spoon",
    "the last page",
    "oranges",
    "Route 66",
    "a blue umbrella",
    "lemon cake",
    "0413",
];

const THINGS_JA: [&str; 40] = [
    "青",
    "七",
    "赤いたこ",
    "古い橋",
    "りんごのパイ",
    "42",
    "1987",
    "銀色",
    "ピアノ",
    "小さな船",
    "将棋",
    "来週の金曜",
    "緑茶",
    "夜行列車",
    "雲",
    "午後三時",
    "紙のランプ",
    "富士山",
    "海",
    "ホットケーキ",
    "19番",
    "黄色い長ぐつ",
    "12号室",
    "ボタンの瓶",
    "二番目の棚",
    "ミント",
    "雨の日",
    "5521",
    "ブリキのロボット",
    "オスロ",
    "図書館",
    "すみれ色",
    "十六",
    "木のスプーン",
    "最後のページ",
    "みかん",
    "国道一号",
    "青い傘",
    "レモンケーキ",
    "0413",
];

/// Any small thing, for topics that nobody has heard of.
pub fn thing(lang: Lang, rng: &mut Rng) -> String {
    if rng.chance(0.2) {
        return (100 + rng.below(9900)).to_string();
    }
    match lang {
        Lang::En => pick(rng, &THINGS_EN).to_owned(),
        Lang::Ja => pick(rng, &THINGS_JA).to_owned(),
    }
}

const OWNERS_EN: [&str; 18] = [
    "cousin",
    "neighbour",
    "rabbit",
    "bike",
    "hamster",
    "grandmother",
    "uncle",
    "aunt",
    "roommate",
    "goldfish",
    "team",
    "guitar",
    "boat",
    "robot",
    "horse",
    "doctor",
    "company",
    "street",
];
const OWNERS_JA: [&str; 18] = [
    "いとこ",
    "となりの人",
    "うさぎ",
    "自転車",
    "ハムスター",
    "おばあちゃん",
    "おじさん",
    "おばさん",
    "ルームメイト",
    "金魚",
    "チーム",
    "ギター",
    "船",
    "ロボット",
    "馬",
    "お医者さん",
    "会社",
    "通り",
];
const KINDS_EN: [&str; 20] = [
    "shop", "tea", "word", "number", "bridge", "park", "tree", "smell", "snack", "toy", "planet",
    "cheese", "café", "bus stop", "painting", "poem", "soup", "station", "cloud", "dinosaur",
];
const KINDS_JA: [&str; 20] = [
    "お店",
    "お茶",
    "言葉",
    "数字",
    "橋",
    "公園",
    "木",
    "におい",
    "おやつ",
    "おもちゃ",
    "惑星",
    "チーズ",
    "喫茶店",
    "バス停",
    "絵",
    "詩",
    "スープ",
    "駅",
    "雲",
    "恐竜",
];

/// A topic outside the authored facts, one in three with a word that does not exist.
pub fn invented_topic(lang: Lang, rng: &mut Rng) -> String {
    let word = if rng.chance(0.33) {
        name(lang, Side::Train, rng).to_lowercase()
    } else {
        pick(rng, if lang == Lang::En { &KINDS_EN } else { &KINDS_JA }).to_owned()
    };
    match (lang, rng.chance(0.5)) {
        (Lang::En, true) => format!("favourite {word}"),
        (Lang::En, false) => format!("{}'s name", pick(rng, &OWNERS_EN)),
        (Lang::Ja, true) => format!("好きな{word}"),
        (Lang::Ja, false) => format!("{}の名前", pick(rng, &OWNERS_JA)),
    }
}

/// A frame for telling `{topic}` and `{value}`.
pub fn tell_template(lang: Lang, change: bool, rng: &mut Rng) -> &'static str {
    match (lang, change) {
        (Lang::En, false) => pick(
            rng,
            &[
                "My {topic} is {value}.",
                "my {topic} is {value}",
                "{value} is my {topic}.",
                "About my {topic}: it's {value}.",
                "Did you know my {topic} is {value}?",
                "My {topic}? That's {value}.",
                "I want you to know that my {topic} is {value}.",
                "Please remember: my {topic} is {value}.",
                "So, {value}. That's my {topic}.",
                "You never asked, but my {topic} is {value}.",
            ],
        ),
        (Lang::En, true) => pick(
            rng,
            &[
                "My {topic} is {value} now.",
                "Actually, my {topic} is {value}.",
                "I was wrong, my {topic} is {value}.",
                "Update: my {topic} is {value} these days.",
                "My {topic} changed, it's {value}.",
            ],
        ),
        (Lang::Ja, false) => pick(
            rng,
            &[
                "私の{topic}は{value}だよ。",
                "{topic}は{value}。",
                "ぼくの{topic}は{value}なんだ。",
                "{value}っていうのが私の{topic}。",
                "{topic}のことだけど、{value}だよ。",
                "うちの{topic}、{value}なんだよね",
                "{topic}？{value}だよ。",
                "覚えておいて。{topic}は{value}。",
                "言ってなかったけど、{topic}は{value}です。",
                "俺の{topic}は{value}",
            ],
        ),
        (Lang::Ja, true) => pick(
            rng,
            &[
                "{topic}は今は{value}だよ。",
                "{topic}が変わって、{value}になった。",
                "ごめん、{topic}は{value}だった。",
                "最近、{topic}は{value}なんだ。",
                "ちがうよ、{topic}は{value}だよ。",
            ],
        ),
    }
}

/// A frame for asking for `{topic}`.
pub fn ask_template(lang: Lang, rng: &mut Rng) -> &'static str {
    match lang {
        Lang::En => pick(
            rng,
            &[
                "What is my {topic}?",
                "what's my {topic}",
                "Do you remember my {topic}?",
                "Do you know my {topic}?",
                "Tell me my {topic}.",
                "My {topic}, what was it again?",
                "Quick quiz: my {topic}?",
                "I forgot my own {topic}. Help?",
                "Can you tell me what my {topic} is?",
            ],
        ),
        Lang::Ja => pick(
            rng,
            &[
                "私の{topic}は？",
                "{topic}、覚えてる？",
                "ぼくの{topic}は何だっけ",
                "{topic}って何だった？",
                "俺の{topic}知ってる？",
                "{topic}を教えて。",
                "クイズです。私の{topic}は？",
                "ねえ、{topic}言える？",
                "わたしの{topic}、なんだったかな",
            ],
        ),
    }
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
    match lang {
        Lang::En => pick(
            rng,
            &[
                "... I don't know it yet.",
                "... you haven't told me yet.",
                "... I don't know that one yet. What is it?",
                "... I can't find it in my memory. Will you tell me?",
                "... that's still a secret to me.",
            ],
        ),
        Lang::Ja => pick(
            rng,
            &[
                "…まだ知らないんだ。",
                "…まだ聞いてないよ。",
                "…まだ知らないな。教えてくれる？",
                "…覚えの中にないみたい。教えて？",
                "…まだひみつのままだよ。",
            ],
        ),
    }
}

/// Opener of a confirmation; often none.
pub fn got_it(lang: Lang, rng: &mut Rng) -> &'static str {
    match lang {
        Lang::En => pick(rng, &["", "", "Got it, ", "Oh, ", "I see, ", "Noted: "]),
        Lang::Ja => pick(rng, &["", "", "わかった、", "なるほど、", "そっか、", "うん、"]),
    }
}

/// `Your …` behind an opener.
pub fn lower_first(text: &str) -> String {
    text.strip_prefix("Your ").map_or_else(|| text.to_owned(), |rest| format!("your {rest}"))
}

/// A confirmation without the value.
pub fn thanks(lang: Lang, rng: &mut Rng) -> String {
    match lang {
        Lang::En => pick(
            rng,
            &[
                "Thank you for telling me!",
                "I'll keep that.",
                "That's good to know.",
                "I'll remember.",
                "Oh, nice! Tell me more sometime.",
            ],
        ),
        Lang::Ja => pick(
            rng,
            &[
                "教えてくれてありがとう！",
                "ちゃんと覚えたよ。",
                "うん、覚えておくね。",
                "そうなんだ！いいね。",
                "へえ、もっと聞きたいな。",
            ],
        ),
    }
    .to_owned()
}

/// Openers, endings, case and slips, as people type. Control character U+0001 (a value's place) is never touched.
pub fn noise(lang: Lang, text: &str, rng: &mut Rng) -> String {
    let mut text = text.to_owned();
    match lang {
        Lang::En => {
            if rng.chance(0.25) {
                let rest = if text.starts_with("I ") || text.starts_with("I'") {
                    text
                } else {
                    lower_initial(&text)
                };
                let opener = pick(
                    rng,
                    &[
                        "hey, ",
                        "Oh, ",
                        "by the way, ",
                        "btw ",
                        "So, ",
                        "Well, ",
                        "ok so ",
                        "Guess what, ",
                        "hmm, ",
                        "one more thing: ",
                    ],
                );
                text = format!("{opener}{rest}");
            }
            if rng.chance(0.15) {
                text = text.to_lowercase();
            }
            if rng.chance(0.12) {
                text.push_str(pick(
                    rng,
                    &[
                        " lol",
                        " haha",
                        " :)",
                        " It's been a long day.",
                        " Anyway, how are you?",
                        " just so you know",
                        " That's all.",
                    ],
                ));
            } else if rng.chance(0.12) {
                text = text.trim_end_matches(['.', '!', '?']).to_owned();
            }
            if rng.chance(0.05) {
                text = slip(&text, rng);
            }
        }
        Lang::Ja => {
            if rng.chance(0.25) {
                let opener = pick(
                    rng,
                    &[
                        "ねえ、",
                        "あのね、",
                        "そういえば、",
                        "えっと、",
                        "ところで、",
                        "あ、",
                        "ちなみに、",
                        "聞いて、",
                    ],
                );
                text = format!("{opener}{text}");
            }
            if rng.chance(0.12) {
                let ends = text.ends_with(['。', '！', '？']);
                text.push_str(pick(
                    rng,
                    if ends {
                        &["今日は疲れたな。", "ふふ。", "それだけ。", "元気？"]
                    } else {
                        &["！", "〜", "笑", "…"]
                    },
                ));
            } else if rng.chance(0.12) {
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

/// Swaps two neighbouring letters.
fn slip(text: &str, rng: &mut Rng) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    if chars.len() > 6 {
        let i = 1 + rng.below(chars.len() - 3);
        if chars[i].is_ascii_lowercase() && chars[i + 1].is_ascii_lowercase() {
            chars.swap(i, i + 1);
        }
    }
    chars.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_to_their_side_and_noise_keeps_the_value() {
        let mut rng = Rng::new(3);
        for lang in Lang::ALL {
            for _ in 0..200 {
                assert_eq!(Side::of(&name(lang, Side::Train, &mut rng)), Side::Train);
                assert_eq!(Side::of(&name(lang, Side::HeldOut, &mut rng)), Side::HeldOut);
                assert!(noise(lang, "My dog is \u{1}.", &mut rng).contains('\u{1}'));
            }
        }
    }
}
