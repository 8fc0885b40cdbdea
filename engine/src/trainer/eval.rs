//! How good a brain is: bits per byte, recall by language, number of facts and distance, notes, and replies to fixed lines.
//!
//! Runs the packed model through [`Session`], as the companion does: the brain writes its own notes, answers greedily, and
//! "restart" goes through the bytes of a memory file with only the lifelong heads kept. Values come from names that
//! training never drew. A recall counts only if the reply holds the value; "never told" only if the reply admits it.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Serialize;

use crate::{
    checkpoint::Brain,
    data::{
        facts::{Fact, HELD_OUT_FACTS, Lang, Side, topic, wordings},
        sources::{self, AuthoredKind, Doc, Sources},
        words,
    },
    error::TrainError,
    rng::Rng,
    sampler::SamplerOptions,
    session::{Memory, Session, SessionOptions},
    tokenizer::chat_format,
    topics::is_admission,
};

/// What to measure.
#[derive(Debug, Clone)]
pub struct EvalOptions {
    /// The authored text (wordings of facts, fixed talk).
    pub shipped_text: PathBuf,
    /// Folders whose every file is scored; also the text between telling and asking.
    pub data: Vec<PathBuf>,
    /// Seed of lives and values.
    pub seed: u64,
    /// Lives of each row of the recall table.
    pub lives: usize,
    /// Tokens scored of each set and language.
    pub tokens_per_set: usize,
}

impl Default for EvalOptions {
    fn default() -> Self {
        Self {
            shipped_text: PathBuf::new(),
            data: Vec::new(),
            seed: 0,
            lives: 8,
            tokens_per_set: 8000,
        }
    }
}

/// Right answers and questions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Score {
    /// Right.
    pub right: usize,
    /// Asked.
    pub n: usize,
}

impl Score {
    fn count(&mut self, right: bool) {
        self.right += usize::from(right);
        self.n += 1;
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.n == 0 {
            return write!(f, "–");
        }
        write!(f, "{:.0} % ({}/{})", 100.0 * self.right as f64 / self.n as f64, self.right, self.n)
    }
}

/// One row of the recall table.
#[derive(Debug, Clone, Serialize)]
pub struct RecallRow {
    /// `en` or `ja`.
    pub lang: String,
    /// Facts told.
    pub facts: usize,
    /// `trained` or `held-out`: which wordings tell and ask.
    pub wording: String,
    /// Notes that the brain wrote itself and that say what was told.
    pub notes: Score,
    /// Asked right after telling.
    pub right_after: Score,
    /// Asked after the text between.
    pub later: Score,
    /// Asked after the memory went through its file and only the lifelong heads were kept.
    pub restart: Score,
    /// Changed facts: the new value, after restart.
    pub changed: Score,
    /// Never told, after restart: admitted.
    pub never_told: Score,
}

/// Everything measured.
#[derive(Debug, Clone, Serialize)]
pub struct EvalReport {
    /// Model id.
    pub model_id: String,
    /// Bits per byte by `set/lang`.
    pub bits_per_byte: BTreeMap<String, f64>,
    /// Tokens between telling and `later`.
    pub distance_tokens: usize,
    /// Recall.
    pub recall: Vec<RecallRow>,
    /// Turns of everyday talk in which a note was written, by language.
    pub false_notes: BTreeMap<String, Score>,
    /// Replies to fixed lines, each in a fresh talk, by language.
    pub replies: Vec<(String, String, String)>,
}

/// Fixed lines.
const PROMPTS: [(&str, &[&str]); 2] = [
    (
        "en",
        &[
            "Hello!",
            "Good morning",
            "How are you today?",
            "What's your name?",
            "Who are you?",
            "Tell me a story.",
            "Tell me a story about a cat.",
            "I'm tired.",
            "I had a bad day at work.",
            "I passed my exam!",
            "What do you like?",
            "Can you help me?",
            "It's raining outside.",
            "What sound does a cow make?",
            "What colour is the sky?",
            "Do you remember me?",
            "I'm hungry",
            "Goodnight",
            "You are cute",
            "Thank you!",
        ],
    ),
    (
        "ja",
        &[
            "こんにちは",
            "おはよう",
            "元気？",
            "名前は？",
            "きみはだれ？",
            "おはなしして",
            "ねこのおはなしして",
            "疲れたよ",
            "今日は仕事で失敗した",
            "試験に合格した！",
            "何が好き？",
            "手伝ってくれる？",
            "外は雨だよ",
            "牛はなんて鳴く？",
            "空は何色？",
            "わたしのこと覚えてる？",
            "おなかすいた",
            "おやすみ",
            "かわいいね",
            "ありがとう",
        ],
    ),
];

/// Measures a brain.
///
/// # Errors
/// Text that cannot be read.
pub fn evaluate(brain: Arc<Brain>, opts: &EvalOptions) -> Result<EvalReport, TrainError> {
    let authored = sources::read(std::slice::from_ref(&opts.shipped_text))?;
    let public = if opts.data.is_empty() { Sources::default() } else { sources::read(&opts.data)? };
    let filler = filler(&brain, &authored, &public, opts.seed);
    let mut recall = Vec::new();
    for lang in Lang::ALL {
        for (facts, side) in
            [(1, Side::Train), (4, Side::Train), (8, Side::Train), (4, Side::HeldOut)]
        {
            recall.push(recall_row(&brain, &authored, &filler, lang, facts, side, opts));
        }
    }
    Ok(EvalReport {
        model_id: brain.id.clone(),
        bits_per_byte: bits_per_byte(&brain, &public, opts.tokens_per_set),
        distance_tokens: filler.values().map(Vec::len).min().unwrap_or(0),
        recall,
        false_notes: false_notes(&brain, &authored, opts.seed),
        replies: replies(&brain),
    })
}

fn talk(brain: &Arc<Brain>, memory: Memory) -> Session {
    let options =
        SessionOptions { seed: 1, sampler: SamplerOptions::greedy(), max_reply_tokens: 160 };
    Session::new(brain.clone(), memory, options)
}

fn fresh(brain: &Arc<Brain>) -> Session {
    talk(brain, Memory::new(brain))
}

fn say(session: &mut Session, text: &str) -> crate::session::Reply {
    session.reply(text, &mut |_| std::ops::ControlFlow::Continue(()))
}

/// About 1,000 tokens of talk by language: public chat if there is any, else the authored questions.
fn filler(
    brain: &Arc<Brain>,
    authored: &Sources,
    public: &Sources,
    seed: u64,
) -> BTreeMap<Lang, Vec<u32>> {
    const TOKENS: usize = 1000;
    let tok = &brain.tokenizer;
    Lang::ALL
        .into_iter()
        .map(|lang| {
            let mut rng = Rng::keyed(seed, &[3]);
            let mut ids = Vec::new();
            let talks: Vec<&Vec<sources::Line>> = public
                .docs
                .iter()
                .filter(|d| d.lang == lang)
                .filter_map(|d| if let Doc::Talk(lines) = &d.doc { Some(lines) } else { None })
                .chain(
                    authored
                        .authored
                        .iter()
                        .filter(|a| a.lang == lang && a.kind == AuthoredKind::Question)
                        .map(|a| &a.lines),
                )
                .collect();
            while ids.len() < TOKENS && !talks.is_empty() {
                for line in talks[rng.below(talks.len())] {
                    let text = line.text.replace("{me}", words::default_name(lang));
                    ids.extend(if line.companion {
                        chat_format::remark(tok, line.mood, &text)
                    } else {
                        chat_format::user_turn(tok, &text)
                    });
                }
            }
            ids.truncate(TOKENS);
            (lang, ids)
        })
        .collect()
}

struct Told<'a> {
    fact: &'a Fact,
    value: String,
    old: Option<String>,
}

fn recall_row(
    brain: &Arc<Brain>,
    authored: &Sources,
    filler: &BTreeMap<Lang, Vec<u32>>,
    lang: Lang,
    n_facts: usize,
    side: Side,
    opts: &EvalOptions,
) -> RecallRow {
    let wording = if side == Side::Train { "trained" } else { "held-out" };
    let mut row = RecallRow {
        lang: lang.tag().into(),
        facts: n_facts,
        wording: wording.into(),
        notes: Score::default(),
        right_after: Score::default(),
        later: Score::default(),
        restart: Score::default(),
        changed: Score::default(),
        never_told: Score::default(),
    };
    let lives = if n_facts == 1 { opts.lives * 2 } else { opts.lives };
    for life in 0..lives {
        let mut rng =
            Rng::keyed(opts.seed, &[lang as u64, n_facts as u64, side as u64, life as u64]);
        let mut pool: Vec<&Fact> = authored
            .facts
            .facts(lang)
            .iter()
            .filter(|f| !HELD_OUT_FACTS.contains(&f.fact.as_str()))
            .collect();
        let mut session = fresh(brain);
        let mut told: Vec<Told<'_>> = Vec::new();
        for _ in 0..n_facts.min(pool.len()) {
            let fact = pool.swap_remove(rng.below(pool.len()));
            let value = value_of(fact, lang, &mut rng);
            tell(&mut session, fact, &fact.teach, &value, lang, side, &mut rng, &mut row.notes);
            told.push(Told { fact, value, old: None });
        }
        ask_all(&session, &told, lang, side, &mut rng.clone(), &mut row.right_after, None);
        session.feed(filler.get(&lang).map_or(&[], Vec::as_slice));
        session.feed(&[crate::tokenizer::special::END]);
        ask_all(&session, &told, lang, side, &mut rng.clone(), &mut row.later, None);
        // A quarter of the facts change (at least one where there are several), then quit and return.
        for item in told.iter_mut().take(n_facts / 4) {
            let value = value_of(item.fact, lang, &mut rng);
            tell(
                &mut session,
                item.fact,
                &item.fact.overwrite,
                &value,
                lang,
                side,
                &mut rng,
                &mut row.notes,
            );
            item.old = Some(std::mem::replace(&mut item.value, value));
        }
        let bytes = session.memory().to_bytes();
        let Ok(mut memory) = Memory::from_bytes(&bytes, brain, Path::new("memory")) else {
            continue;
        };
        memory.forget_talk();
        let session = talk(brain, memory);
        ask_all(
            &session,
            &told,
            lang,
            side,
            &mut rng.clone(),
            &mut row.restart,
            Some(&mut row.changed),
        );
        for _ in 0..n_facts.clamp(2, 4) {
            if pool.is_empty() {
                break;
            }
            let fact = pool.swap_remove(rng.below(pool.len()));
            let reply = session.probe_topic(&question(fact, lang, side, &mut rng));
            row.never_told.count(is_admission(&reply.text));
        }
    }
    row
}

/// A value that training did not draw: an invented name where any name fits, else a listed value.
fn value_of(fact: &Fact, lang: Lang, rng: &mut Rng) -> String {
    if fact.is_name() {
        return words::name(lang, Side::HeldOut, rng);
    }
    let values = fact.values_of(Side::HeldOut);
    values.get(rng.below(values.len())).cloned().unwrap_or_default()
}

fn filled(text: &str, lang: Lang) -> String {
    text.replace("{me}", words::default_name(lang))
}

fn question(fact: &Fact, lang: Lang, side: Side, rng: &mut Rng) -> String {
    let asks = wordings(&fact.ask, side);
    filled(asks[rng.below(asks.len())], lang)
}

fn tell(
    session: &mut Session,
    fact: &Fact,
    all: &[String],
    value: &str,
    lang: Lang,
    side: Side,
    rng: &mut Rng,
    notes: &mut Score,
) {
    let slot = format!("{{{}}}", fact.fact);
    let usable: Vec<String> =
        all.iter().filter(|w| w.contains(&slot) && w.matches('{').count() <= 2).cloned().collect();
    let some = wordings(if usable.is_empty() { all } else { &usable }, side);
    let text = filled(&some[rng.below(some.len())].replace(&slot, value), lang);
    let reply = say(session, &text);
    let topic = topic(&fact.fact, lang).unwrap_or_default();
    let wanted = match lang {
        Lang::En => format!("your {topic} is {value}."),
        Lang::Ja => format!("きみの{topic}は{value}。"),
    };
    notes.count(reply.notes.contains(&wanted));
}

fn ask_all(
    session: &Session,
    told: &[Told<'_>],
    lang: Lang,
    side: Side,
    rng: &mut Rng,
    score: &mut Score,
    mut changed: Option<&mut Score>,
) {
    for item in told {
        let reply = session.probe_topic(&question(item.fact, lang, side, rng));
        let right = reply.text.contains(&item.value) && !is_admission(&reply.text);
        score.count(right);
        if let (Some(changed), Some(old)) = (changed.as_deref_mut(), &item.old) {
            changed.count(
                right && (!reply.text.contains(old.as_str()) || item.value.contains(old.as_str())),
            );
        }
    }
}

/// Everyday lines (authored questions, wishes for stories, trap cases): a note in the answer is a false one.
fn false_notes(brain: &Arc<Brain>, authored: &Sources, seed: u64) -> BTreeMap<String, Score> {
    let mut out: BTreeMap<String, Score> = BTreeMap::new();
    for lang in Lang::ALL {
        let mut lines: Vec<String> = authored
            .authored
            .iter()
            .filter(|a| a.lang == lang)
            .filter(|a| match a.kind {
                AuthoredKind::Question | AuthoredKind::Story => true,
                AuthoredKind::NoteCase => a.notes.as_ref().is_some_and(Vec::is_empty),
                _ => false,
            })
            .filter_map(|a| a.lines.iter().find(|l| !l.companion))
            .map(|l| filled(&l.text, lang))
            .filter(|t| !t.contains('{'))
            .collect();
        let mut rng = Rng::keyed(seed, &[5]);
        let mut session = fresh(brain);
        let score = out.entry(lang.tag().to_owned()).or_default();
        for _ in 0..150.min(lines.len()) {
            let line = lines.swap_remove(rng.below(lines.len()));
            score.count(!say(&mut session, &line).notes.is_empty());
        }
    }
    out
}

fn bits_per_byte(
    brain: &Arc<Brain>,
    public: &Sources,
    tokens_per_set: usize,
) -> BTreeMap<String, f64> {
    let tok = &brain.tokenizer;
    let mut sums: BTreeMap<String, (f64, usize, usize)> = BTreeMap::new();
    for doc in &public.docs {
        let key = format!("{}/{}", doc.set, doc.lang.tag());
        let sum = sums.entry(key).or_default();
        if sum.2 >= tokens_per_set {
            continue;
        }
        let ids = match &doc.doc {
            Doc::Text(text) => chat_format::document(tok, text),
            Doc::Talk(lines) => lines
                .iter()
                .flat_map(|l| {
                    if l.companion {
                        chat_format::remark(tok, l.mood, &l.text)
                    } else {
                        chat_format::user_turn(tok, &l.text)
                    }
                })
                .collect(),
        };
        sum.0 += fresh(brain).score(&ids).iter().map(|n| f64::from(*n)).sum::<f64>();
        sum.1 += ids.iter().skip(1).map(|id| tok.token_bytes(*id).len()).sum::<usize>();
        sum.2 += ids.len();
    }
    sums.into_iter()
        .map(|(set, (nats, bytes, _))| (set, nats / std::f64::consts::LN_2 / bytes.max(1) as f64))
        .collect()
}

fn replies(brain: &Arc<Brain>) -> Vec<(String, String, String)> {
    let mut out = Vec::new();
    for (lang, prompts) in PROMPTS {
        for prompt in prompts {
            let reply = say(&mut fresh(brain), prompt);
            out.push((lang.to_owned(), (*prompt).to_owned(), reply.text));
        }
    }
    out
}

impl fmt::Display for EvalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "brain {}\n", self.model_id)?;
        if self.bits_per_byte.is_empty() {
            writeln!(f, "bits per byte: no text was given (--data DIR)")?;
        } else {
            writeln!(f, "| set | bits per byte |\n|---|---:|")?;
            for (set, bits) in &self.bits_per_byte {
                writeln!(f, "| {set} | {bits:.3} |")?;
            }
        }
        writeln!(
            f,
            "\nRecall with self-written notes; \"later\" is {} tokens on; \"restart\" keeps only the lifelong heads.\n",
            self.distance_tokens
        )?;
        writeln!(
            f,
            "| | facts | wording | right notes | right after | later | restart | changed | never told |\n|---|---:|---|---|---|---|---|---|---|"
        )?;
        for r in &self.recall {
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                r.lang,
                r.facts,
                r.wording,
                r.notes,
                r.right_after,
                r.later,
                r.restart,
                r.changed,
                r.never_told
            )?;
        }
        for (lang, score) in &self.false_notes {
            writeln!(f, "\nfalse notes in everyday turns, {lang}: {score}")?;
        }
        writeln!(f, "\n| | said | reply |\n|---|---|---|")?;
        for (lang, prompt, reply) in &self.replies {
            writeln!(f, "| {lang} | {prompt} | {} |", reply.replace('\n', " "))?;
        }
        Ok(())
    }
}
