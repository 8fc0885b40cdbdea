//! Files of text → documents: talks with roles and moods, or plain text. Cleans as it reads.
//!
//! Reads `.jsonl`, `.jsonl.zst` and `.txt` below the given folders, by the fields a line has, not by file name.
//! A line of an unknown form is skipped; what a set may contribute at most is in [`limit`].

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::facts::{FactBook, HELD_OUT_FACTS, Lang, hash};
use crate::{error::TrainError, tokenizer::special};

/// One line of a talk.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Said by the companion, else by the person.
    pub companion: bool,
    /// `0..10`, see [`special::MOOD_NAMES`]. Of no meaning for the person.
    pub mood: usize,
    /// What is said. Authored text may hold `{placeholders}`.
    pub text: String,
}

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub enum Doc {
    /// Running text.
    Text(String),
    /// A talk.
    Talk(Vec<Line>),
}

/// A document and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceDoc {
    /// File stem of the set.
    pub set: String,
    /// Language.
    pub lang: Lang,
    /// Hash of what it was cut from (a work, a whole chat): its pieces stay on one side of the held-out split.
    pub key: u64,
    /// The document.
    pub doc: Doc,
}

/// An authored piece with placeholders, kept for the generator of lives.
#[derive(Debug, Clone)]
pub struct Authored {
    /// Language.
    pub lang: Lang,
    /// Facts that must be known before it starts.
    pub needs: Vec<String>,
    /// The lines; authored lives are one long talk.
    pub lines: Vec<Line>,
    /// `(line, fact)`: from this line on the fact has a new value.
    pub changes: Vec<(usize, String)>,
    /// For note cases: the facts that the only user line states (may be none: a trap).
    pub notes: Option<Vec<(String, String)>>,
    /// What it is.
    pub kind: AuthoredKind,
    /// Kept for the evaluation: one piece in 25, and every piece about a fact that training never teaches.
    pub held_out: bool,
}

/// Kinds of authored pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names of SPEC.md")]
pub enum AuthoredKind {
    Dialogue,
    Life,
    NoteCase,
    Story,
    Question,
    Remark,
}

/// One authored piece in this many is held out.
const AUTHORED_HELD_OUT_OF: u64 = 25;
/// Most documents of one set that end in the same answer.
const SAME_ANSWER: usize = 30;

/// Everything read from the folders.
#[derive(Debug, Default)]
pub struct Sources {
    /// Public sets.
    pub docs: Vec<SourceDoc>,
    /// Authored pieces.
    pub authored: Vec<Authored>,
    /// Wordings of facts.
    pub facts: FactBook,
    /// Training pieces by language and kind: positions in `authored`.
    by_kind: BTreeMap<(Lang, AuthoredKind), Vec<usize>>,
    /// How often each answer was taken, to cap the repeats.
    answers: HashMap<u64, usize>,
}

impl Sources {
    /// Training pieces of a kind.
    pub fn pieces(&self, lang: Lang, kind: AuthoredKind) -> &[usize] {
        self.by_kind.get(&(lang, kind)).map_or(&[], Vec::as_slice)
    }

    /// Indexes the authored pieces; call it once after reading.
    fn finish(&mut self) {
        for (i, piece) in self.authored.iter().enumerate().filter(|(_, p)| !p.held_out) {
            self.by_kind.entry((piece.lang, piece.kind)).or_default().push(i);
        }
        self.answers = HashMap::new();
    }
}

/// Words that keep a document out: subjects that a companion for everybody has no business with, and slurs of old books.
/// Latin entries match at the start of a word, those with `$` a whole word.
const BLOCKED: [&str; 66] = [
    "tobacco",
    "cigar",
    "smoking",
    "smoker",
    "whisky",
    "whiskey",
    "vodka",
    "beer$",
    "beers$",
    "wine$",
    "liquor",
    "alcohol",
    "drunk",
    "casino",
    "gambl",
    "poker$",
    "sexy",
    "sexual",
    "porn",
    "rape$",
    "raped$",
    "rapist",
    "suicide",
    "murder",
    "nigger",
    "negro",
    "gypsy",
    "gypsies",
    "tinder$",
    "heroin$",
    "cocaine",
    "terroris",
    "trump$",
    "nazi",
    "hitler",
    "タバコ",
    "煙草",
    "たばこ",
    "喫煙",
    "お酒",
    "ビール",
    "ワイン",
    "焼酎",
    "日本酒",
    "ウイスキー",
    "居酒屋",
    "飲み会",
    "酔っ",
    "パチンコ",
    "競馬",
    "ギャンブル",
    "婚活",
    "出会い系",
    "マッチングアプリ",
    "セックス",
    "性的",
    "自殺",
    "殺人",
    "戦死",
    "土人",
    "きちがい",
    "気ちがい",
    "狂人",
    "めくら",
    "乞食",
    "コロナ",
];

fn blocked(text: &str) -> bool {
    let lower = text.to_lowercase();
    let letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
    BLOCKED.iter().filter(|entry| entry.is_ascii() || !lower.is_ascii()).any(|entry| {
        let word = entry.trim_end_matches('$');
        lower.match_indices(word).any(|(at, _)| {
            let inside = letter(lower[..at].chars().next_back());
            let whole = word.len() < entry.len();
            let goes_on = whole && letter(lower[at + word.len()..].chars().next());
            !word.is_ascii() || !(inside || goes_on)
        })
    })
}

/// Most documents that a set may give, so that no narrow set drowns the others.
fn limit(set: &str) -> usize {
    match set {
        s if s.starts_with("schema-guided") => 1500,
        s if s.starts_with("asdc") || s.starts_with("taskmaster") => 0,
        s if s.starts_with("jaquad") => 3000,
        s if s.starts_with("topical-chat") => 800,
        s if s.starts_with("microsoft-chitchat") => 8000,
        s if s.starts_with("tatoeba") => 60_000,
        s if s.starts_with("gutenberg") => 4000,
        "aozora-children" => 0, // the `simple` part is enough for a small model
        _ => usize::MAX,
    }
}

/// Reads all files below `dirs`, in name order.
///
/// # Errors
/// A folder that cannot be read, or nothing usable in any of them.
pub fn read(dirs: &[PathBuf]) -> Result<Sources, TrainError> {
    let mut files = Vec::new();
    for dir in dirs {
        list(dir, &mut files).map_err(|e| TrainError::Data(format!("{}: {e}", dir.display())))?;
    }
    files.sort();
    let mut sources = Sources::default();
    for file in &files {
        read_file(file, &mut sources)
            .map_err(|e| TrainError::Data(format!("{}: {e}", file.display())))?;
    }
    sources.finish();
    if sources.docs.is_empty() && sources.authored.is_empty() {
        let names: Vec<_> = dirs.iter().map(|d| d.display().to_string()).collect();
        return Err(TrainError::Data(format!(
            "no .jsonl, .jsonl.zst or .txt with text in {}",
            names.join(", ")
        )));
    }
    Ok(sources)
}

fn list(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = [".jsonl", ".jsonl.zst", ".txt"].iter().any(|e| name.ends_with(e));
        if path.is_dir() {
            list(&path, files)?;
        } else if text && !name.contains("LICENSE") {
            files.push(path);
        }
    }
    Ok(())
}

fn read_file(path: &Path, out: &mut Sources) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let set = name.split('.').next().unwrap_or_default().to_owned();
    if limit(&set) == 0 {
        return Ok(());
    }
    let file = std::fs::File::open(path)?;
    let reader: Box<dyn Read> =
        if name.ends_with(".zst") { Box::new(zstd::Decoder::new(file)?) } else { Box::new(file) };
    if name.ends_with(".txt") {
        let mut text = String::new();
        BufReader::new(reader).read_to_string(&mut text)?;
        // Blank lines part the paragraphs of a text file; a long file is judged by its parts.
        for (i, part) in text.split("\n\n\n").enumerate() {
            add_text(&set, part, hash(&format!("{name} {i}")), out);
        }
        return Ok(());
    }
    let first = out.docs.len();
    for line in BufReader::new(reader).lines() {
        let line = line?;
        let Ok(value) = serde_json::from_str::<Value>(&line) else { continue };
        add_line(&set, value, out);
        if out.docs.len() - first >= limit(&set) {
            break;
        }
    }
    Ok(())
}

/// Sorts a line by its fields.
fn add_line(set: &str, value: Value, out: &mut Sources) {
    let lang = match value["lang"].as_str() {
        Some("ja") => Some(Lang::Ja),
        Some("en") => Some(Lang::En),
        _ => None,
    };
    if let (Some(lang), Some(kind)) = (lang, value["kind"].as_str()) {
        match kind {
            "fact" => out.facts.add(lang, value),
            _ => out.authored.extend(authored(lang, kind, &value)),
        }
        return;
    }
    if let Some(turns) = value["turns"].as_array() {
        return add_turns(set, turns, out);
    }
    if let (Some(ja), Some(en)) = (value["ja"].as_str(), value["en"].as_str()) {
        return add_pair(set, ja, en, hash(en), out);
    }
    if let (Some(q), Some(a)) = (value["instruction"].as_str(), value["response"].as_str()) {
        let context = value["context"].as_str().unwrap_or_default();
        let longest = if Lang::of(a) == Lang::Ja { 160 } else { 400 };
        let list = a.lines().count() > 4;
        if context.is_empty() && !list && a.chars().count() <= longest && q.chars().count() <= 200 {
            add_question(set, q, a, out);
        }
        return;
    }
    if let (Some(q), Some(a)) = (value["q"].as_str(), value["a"].as_str()) {
        let kind = value["personality"].as_str().unwrap_or("friendly");
        if ["friendly", "caring", "enthusiastic"].contains(&kind) && !about_a_bot(a) {
            add_question(set, q, &spoken(a), out);
        }
        return;
    }
    let title = value["title"].as_str().unwrap_or_default();
    if let Some(sections) = value["sections"].as_array() {
        let key = hash(title);
        for section in sections.iter().filter_map(Value::as_str) {
            add_text(set, &section.replace(['\n', '\r'], " "), key, out);
        }
        return;
    }
    if let Some(context) = value["context"].as_str() {
        if context.chars().count() <= 160 {
            add_text(set, context, hash(title), out);
        }
        return;
    }
    if let Some(text) = value["text"].as_str() {
        let key = if title.is_empty() { hash(text) } else { hash(title) };
        match request(title, text, key) {
            Some((ask, lang)) if !blocked(text) => {
                let story = unwrapped(text);
                let doc =
                    Doc::Talk(vec![user(&ask), Line { companion: true, mood: 1, text: story }]);
                out.docs.push(SourceDoc { set: set.to_owned(), lang, key, doc });
            }
            _ => add_text(set, text, key, out),
        }
    }
}

/// What the mascot could not say of itself: it has a name, a face and a body.
fn about_a_bot(answer: &str) -> bool {
    let lower = answer.to_lowercase();
    [
        "bot", "computer", "program", "digital", "virtual", "name", " body", " face", "my looks",
        "a boss", "assist", "software", "code",
    ]
    .iter()
    .any(|w| lower.contains(w))
}

/// A bare Japanese word as an answer becomes a sentence.
fn spoken(answer: &str) -> String {
    let bare = Lang::of(answer) == Lang::Ja
        && answer.chars().count() <= 20
        && !answer.ends_with(['。', '！', '？', '」', 'よ', 'ね']);
    if bare { format!("{answer}だよ。") } else { answer.to_owned() }
}

/// Things that short stories are about, for the wish that a story answers.
const HEROES: [&str; 56] = [
    "cat",
    "dog",
    "bird",
    "rabbit",
    "bunny",
    "bear",
    "mouse",
    "fox",
    "lion",
    "frog",
    "duck",
    "fish",
    "horse",
    "elephant",
    "monkey",
    "turtle",
    "squirrel",
    "dragon",
    "robot",
    "princess",
    "prince",
    "king",
    "queen",
    "fairy",
    "farmer",
    "baby",
    "tree",
    "flower",
    "car",
    "truck",
    "train",
    "boat",
    "ship",
    "ball",
    "kite",
    "doll",
    "toy",
    "cake",
    "apple",
    "hat",
    "moon",
    "star",
    "cloud",
    "rain",
    "snow",
    "river",
    "forest",
    "castle",
    "garden",
    "park",
    "beach",
    "puppy",
    "kitten",
    "bee",
    "butterfly",
    "ant",
];

/// The wish that a short story answers: two short stories in five are told on request, with their title if they have one.
fn request(title: &str, text: &str, key: u64) -> Option<(String, Lang)> {
    let lang = Lang::of(text);
    let longest = if lang == Lang::Ja { 450 } else { 900 };
    // The second hash keeps the choice apart from the held-out split, which looks at the key itself.
    let roll = hash(&key.to_string()) % 10;
    if roll >= 4
        || text.chars().count() > longest
        || text.chars().count() < 120
        || title.chars().count() > 40
    {
        return None;
    }
    if lang == Lang::Ja {
        return (!title.is_empty() && !title.contains(['、', '。'])).then(|| {
            (
                if roll.is_multiple_of(2) {
                    format!("「{title}」のおはなしして。")
                } else {
                    "おはなしを聞かせて。".to_owned()
                },
                lang,
            )
        });
    }
    let start: String = text.chars().take(160).collect::<String>().to_lowercase();
    let words: Vec<&str> = start.split(|c: char| !c.is_alphabetic()).collect();
    let hero =
        HEROES.iter().filter_map(|h| words.iter().position(|w| w == h).map(|at| (at, h))).min();
    let ask = match (roll, hero) {
        (0, _) => "Tell me a story.".to_owned(),
        (_, Some((_, hero))) => {
            let article = if hero.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
            match roll {
                1 => format!("Tell me a story about {article} {hero}."),
                2 => format!("tell me a story about {article} {hero}"),
                _ => format!("Do you know a story about {article} {hero}?"),
            }
        }
        (_, None) if !title.is_empty() && title.is_ascii() => {
            format!("Tell me the story \"{title}\".")
        }
        (2, None) => "Can you tell me a short story?".to_owned(),
        (_, None) => return None,
    };
    Some((ask, lang))
}

/// Joins lines that were broken at a fixed width: in English text, a line that does not end a sentence.
fn unwrapped(text: &str) -> String {
    if Lang::of(text) == Lang::Ja {
        return text.trim().to_owned();
    }
    let mut out = String::new();
    for line in text.lines().map(str::trim).filter(|l| !l.is_empty()) {
        if !out.is_empty() {
            let whole =
                out.ends_with(['.', '!', '?', '"', '”', '’', '\'', ':', ';', ')', '*', '-']);
            out.push(if whole { '\n' } else { ' ' });
        }
        out.push_str(line);
    }
    out
}

/// Running text, cut at paragraph ends into pieces of up to about 900 characters.
fn add_text(set: &str, text: &str, key: u64, out: &mut Sources) {
    let lang = Lang::of(text);
    let text = unwrapped(text);
    // Old spelling in katakana, and contents pages, teach a small model nothing useful.
    let odd = |p: &str| {
        p.contains(['ヲ', '※'])
            || p.starts_with(|c: char| c.is_ascii_lowercase())
            || p.contains("CHAPTER")
            || p.contains("Gutenberg")
            || blocked(p)
    };
    let (target, most) = if lang == Lang::Ja { (400, 900) } else { (900, 2000) };
    let mut piece = String::new();
    let flush = |piece: &mut String, out: &mut Sources| {
        let p = piece.trim();
        let n = p.chars().count();
        if (40..=most).contains(&n) && !odd(p) {
            out.docs.push(SourceDoc {
                set: set.to_owned(),
                lang,
                key,
                doc: Doc::Text(p.to_owned()),
            });
        }
        piece.clear();
    };
    for paragraph in
        text.lines().map(|l| l.trim_matches([' ', '\u{3000}', '\t'])).filter(|l| !l.is_empty())
    {
        piece.push_str(paragraph);
        piece.push('\n');
        if piece.chars().count() >= target {
            flush(&mut piece, out);
        }
    }
    flush(&mut piece, out);
}

/// Short sentences in one language, one in eight with its translation asked for.
fn add_pair(set: &str, ja: &str, en: &str, key: u64, out: &mut Sources) {
    if blocked(ja) || blocked(en) {
        return;
    }
    let (lang, doc) = match hash(&key.to_string()) % 16 {
        0 => (
            Lang::En,
            talk(&[(false, &format!("How do you say this in Japanese? {en}")), (true, ja)]),
        ),
        1 => (Lang::Ja, talk(&[(false, &format!("英語でなんて言う？「{ja}」")), (true, en)])),
        n if n % 2 == 0 => (Lang::En, Doc::Text(en.to_owned())),
        _ => (Lang::Ja, Doc::Text(ja.to_owned())),
    };
    out.docs.push(SourceDoc { set: set.to_owned(), lang, key, doc });
}

fn add_question(set: &str, q: &str, a: &str, out: &mut Sources) {
    if blocked(q) || blocked(a) || a.trim().is_empty() {
        return;
    }
    let taken = out.answers.entry(hash(a) ^ hash(set)).or_default();
    *taken += 1;
    if *taken <= SAME_ANSWER {
        let doc = talk(&[(false, q), (true, a)]);
        out.docs.push(SourceDoc { set: set.to_owned(), lang: Lang::of(a), key: hash(q), doc });
    }
}

/// One line of a chat between strangers, made fit for the companion: no names, no typed laughter.
/// `None` if a name or a blank for one is left in it.
fn chat_line(text: &str) -> Option<String> {
    let mut text = text.replace("(笑)", "").replace("（笑）", "").replace("[wonder]", "");
    // `<AB>さん`: the marks that stand for the speakers' names.
    while let Some(at) = text.find('<') {
        let end = at + text[at..].find('>')?;
        let rest = text[end + 1..].strip_prefix("さん")?.to_owned();
        text = format!("{}そちら{rest}", &text[..at]);
    }
    let text = text.trim().trim_end_matches('笑').trim_end_matches('w').trim();
    let unclean = text.is_empty()
        || text.contains(['[', ']', '〇', '○', '◯', '＜', '@', '{', '}'])
        || text.contains("http");
    (!unclean).then(|| text.to_owned())
}

/// A chat between two people: windows of up to ten turns, the second speaker as the companion.
fn add_turns(set: &str, turns: &[Value], out: &mut Sources) {
    let lines: Vec<(String, Option<String>)> = turns
        .iter()
        .filter_map(|t| {
            // Pairs of speaker and text, or texts of two speakers in turn.
            let Some(pair) = t.as_array() else {
                return Some((String::new(), chat_line(t.as_str()?)));
            };
            Some((pair.first()?.as_str()?.to_owned(), chat_line(pair.last()?.as_str()?)))
        })
        .enumerate()
        .map(|(i, (who, text))| (if who.is_empty() { (i % 2).to_string() } else { who }, text))
        .collect();
    let key =
        hash(&lines.iter().take(6).filter_map(|l| l.1.as_deref()).collect::<Vec<_>>().join("\n"));
    let start = if lines.len() > 12 { 4 } else { 0 }; // the stiff greeting of strangers
    for window in lines.get(start..).unwrap_or_default().chunks(10).filter(|w| w.len() >= 2) {
        let me = &window[0].0;
        let mut talk: Vec<Line> = Vec::new();
        let mut whole = true;
        for (who, text) in window {
            let Some(text) = text else {
                whole = false;
                break;
            };
            let companion = who != me;
            match talk.last_mut() {
                Some(last) if last.companion == companion => {
                    last.text.push('\n');
                    last.text.push_str(text);
                }
                _ => talk.push(Line { companion, mood: mood_of(text), text: text.clone() }),
            }
        }
        if !talk.last().is_some_and(|l| l.companion) {
            talk.pop();
        }
        let short = talk.iter().all(|l| l.text.chars().count() <= 240);
        let all: String = talk.iter().map(|l| l.text.as_str()).collect();
        if whole && short && talk.len() >= 2 && !blocked(&all) {
            out.docs.push(SourceDoc {
                set: set.to_owned(),
                lang: Lang::of(&all),
                key,
                doc: Doc::Talk(talk),
            });
        }
    }
}

fn talk(lines: &[(bool, &str)]) -> Doc {
    let line = |(companion, text): &(bool, &str)| Line {
        companion: *companion,
        mood: mood_of(text),
        text: (*text).to_owned(),
    };
    Doc::Talk(lines.iter().map(line).collect())
}

/// A plausible mood of a line from a set that names none.
fn mood_of(text: &str) -> usize {
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    if has(&["sorry", "Sorry", "ごめん", "残念", "つらい", "心配", "大変です"]) {
        8
    } else if has(&["Haha", "haha", "joke", "はは", "笑"]) {
        6
    } else if has(&["Good night", "goodnight", "Goodnight", "おやすみ", "眠い", "ねむい"])
    {
        7
    } else if has(&["Wow", "wow", "amazing", "awesome", "すごい", "わあ", "やった"]) {
        2
    } else if has(&["!", "！", "うれし", "嬉し", "楽し"]) {
        1
    } else if has(&["?", "？"]) {
        3
    } else {
        0
    }
}

fn mood_idx(name: &str) -> usize {
    special::MOOD_NAMES.iter().position(|m| m.trim_matches(['<', '>']) == name).unwrap_or(0)
}

/// Turns of the authored files: `["u", text]` or `["c", mood, text]`.
fn authored_lines(turns: &Value) -> Vec<Line> {
    let line = |t: &Value| {
        let parts: Vec<&str> = t.as_array()?.iter().filter_map(Value::as_str).collect();
        match parts.as_slice() {
            ["u", text] => Some(Line { companion: false, mood: 0, text: (*text).to_owned() }),
            ["c", mood, text] => {
                Some(Line { companion: true, mood: mood_idx(mood), text: (*text).to_owned() })
            }
            _ => None,
        }
    };
    turns.as_array().map(|t| t.iter().filter_map(line).collect()).unwrap_or_default()
}

fn strings(v: &Value) -> Vec<String> {
    v.as_array()
        .map(|a| a.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        .unwrap_or_default()
}

fn user(text: &str) -> Line {
    Line { companion: false, mood: 0, text: text.to_owned() }
}

/// The authored pieces of a line: one for each wording of a question or of a wish for a story.
fn authored(lang: Lang, kind: &str, v: &Value) -> Vec<Authored> {
    let whole = v.to_string();
    let id = v["text"].as_str().map_or_else(|| hash(&whole), hash);
    let held_out = id.is_multiple_of(AUTHORED_HELD_OUT_OF)
        || HELD_OUT_FACTS.iter().any(|f| whole.contains(&format!("{{{f}}}")));
    let piece = |kind, lines: Vec<Line>| Authored {
        lang,
        needs: strings(&v["needs"]),
        lines,
        changes: vec![],
        notes: None,
        kind,
        held_out,
    };
    let mooded = |v: &Value| -> Option<Line> {
        let pair = v.as_array()?;
        Some(Line {
            companion: true,
            mood: mood_idx(pair.first()?.as_str()?),
            text: pair.last()?.as_str()?.to_owned(),
        })
    };
    match kind {
        "dialogue" => vec![piece(AuthoredKind::Dialogue, authored_lines(&v["turns"]))],
        "life" => {
            let (mut lines, mut starts) = (Vec::new(), Vec::new());
            for day in v["days"].as_array().into_iter().flatten() {
                starts.push(lines.len());
                lines.extend(authored_lines(&day["turns"]));
            }
            let change = |c: &Value| {
                let (day, turn) = (c[0].as_u64()? as usize, c[1].as_u64()? as usize);
                Some((starts.get(day)? + turn, c[2].as_str()?.to_owned()))
            };
            let changes = v["changes"]
                .as_array()
                .map(|c| c.iter().filter_map(change).collect())
                .unwrap_or_default();
            vec![Authored { changes, ..piece(AuthoredKind::Life, lines) }]
        }
        "note_case" => {
            let mut lines = Vec::new();
            match &v["before"] {
                Value::String(before) => {
                    lines.push(Line { companion: true, mood: 3, text: before.clone() })
                }
                other => lines.extend(mooded(other)),
            }
            let Some(said) = v["user"].as_str() else { return vec![] };
            lines.push(user(said));
            lines.extend(mooded(&v["reply"]));
            let note = |n: &Value| Some((n[0].as_str()?.to_owned(), n[1].as_str()?.to_owned()));
            let notes = v["notes"]
                .as_array()
                .map(|n| n.iter().filter_map(note).collect())
                .unwrap_or_default();
            vec![Authored { notes: Some(notes), ..piece(AuthoredKind::NoteCase, lines) }]
        }
        "story" => {
            let Some(text) = v["text"].as_str() else { return vec![] };
            let told = Line { companion: true, mood: 1, text: text.to_owned() };
            strings(&v["ask"])
                .iter()
                .map(|ask| piece(AuthoredKind::Story, vec![user(ask), told.clone()]))
                .collect()
        }
        "qa" => {
            let answers: Vec<Line> =
                v["a"].as_array().into_iter().flatten().filter_map(mooded).collect();
            let Some(first) = answers.first() else { return vec![] };
            let ask = |(i, q): (usize, &String)| {
                piece(
                    AuthoredKind::Question,
                    vec![user(q), answers.get(i % answers.len()).unwrap_or(first).clone()],
                )
            };
            strings(&v["q"]).iter().enumerate().map(ask).collect()
        }
        "remark" => v["c"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(mooded)
            .map(|l| piece(AuthoredKind::Remark, vec![l]))
            .collect(),
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_lines(lines: &[&str]) -> Sources {
        let mut out = Sources::default();
        for line in lines {
            add_line("test", serde_json::from_str(line).expect("json"), &mut out);
        }
        out
    }

    #[test]
    fn known_forms_become_documents() {
        let out = read_lines(&[
            r#"{"text":"Once there was a small snail who liked to climb very high walls."}"#,
            r#"{"id":1,"who":["A","B"],"turns":[["A","こんにちは、はじめまして"],["B","こんにちは"],["A","また明日"]]}"#,
            r#"{"instruction":"What is a cow?","context":"","response":"A big animal."}"#,
            r#"{"q":"Hi","a":"Hello!","personality":"friendly"}"#,
            r#"{"q":"Hi","a":"I'm a bot.","personality":"friendly"}"#,
            r#"{"text":"She lit a cigarette and looked out of the window for a long while."}"#,
        ]);
        assert_eq!(out.docs.len(), 4);
        let Doc::Talk(chat) = &out.docs[1].doc else { panic!("a talk") };
        assert_eq!(chat.len(), 2, "ends with the companion");
        assert_eq!(out.docs[1].lang, Lang::Ja);
    }

    #[test]
    fn authored_forms_keep_their_placeholders() {
        let out = read_lines(&[
            r#"{"kind":"dialogue","lang":"en","needs":["name"],"tells":[],"turns":[["u","hi"],["c","happy","Hi {name}!"]]}"#,
            r#"{"kind":"note_case","lang":"en","user":"{name} here","notes":[["name","{name}"]],"reply":["happy","Hi {name}!"]}"#,
            r#"{"kind":"life","lang":"ja","user":"x","days":[{"gap":"a","turns":[["u","a"],["c","calm","b"]]},{"gap":"b","turns":[["u","c"],["c","sad","d"]]}],"changes":[[1,0,"job"]]}"#,
            r#"{"kind":"story","lang":"en","title":"t","ask":["a","b"],"text":"c"}"#,
        ]);
        assert_eq!(out.authored.len(), 5);
        assert_eq!(out.authored[0].lines[1].mood, 1);
        assert_eq!(out.authored[1].notes.as_ref().map(Vec::len), Some(1));
        assert_eq!(out.authored[2].changes, [(2, "job".to_owned())]);
    }
}
