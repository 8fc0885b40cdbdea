//! How good a brain is: bits per byte, recall by language, number of facts and distance, notes, and replies to fixed lines.
//!
//! Runs the packed model through [`Session`], as the companion does: the brain writes its own notes, answers greedily, and
//! "restart" goes through the bytes of a memory file with only the lifelong heads kept. Values come from names that
//! training never drew. A recall counts only if the reply holds exactly the value and is no admission; "never told" only
//! if the reply admits it. A night's sleep follows in the first lives of each row; the naps that the companion
//! takes behind its notes are left out, as they take long. Nothing here looks at the text of a note to answer: all recall is from fast weights.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

use rayon::prelude::*;
use serde::Serialize;

use crate::{
    checkpoint::Brain,
    data::{
        Dataset,
        facts::{Lang, Side},
        sources::{self, Authored, AuthoredKind, Doc, Line, Sources},
        words,
    },
    error::TrainError,
    rng::Rng,
    sampler::SamplerOptions,
    session::{Memory, Session, SessionOptions},
    sleep::Sleeper,
    tokenizer::{TokenId, chat_format, special},
};

mod language;
mod recall;

use language::{bits_per_byte, count_ngrams};
use recall::{Setting, Wording, recall_row};

/// What to measure.
#[derive(Debug, Clone)]
pub struct EvalOptions {
    /// The authored text (wordings of facts, fixed talk).
    pub shipped_text: PathBuf,
    /// Folders that are scored; also the text between telling and asking.
    pub data: Vec<PathBuf>,
    /// Score only the documents of `data` that training keeps out. Default: every file.
    pub held_out: bool,
    /// Seed of lives and values.
    pub seed: u64,
    /// Lives of each row of the recall table.
    pub lives: usize,
    /// Tokens scored of each set and language.
    pub tokens_per_set: usize,
    /// Tokens of talk between telling and asking. Default 1000.
    pub distance: usize,
}

impl Default for EvalOptions {
    fn default() -> Self {
        Self {
            shipped_text: PathBuf::new(),
            data: Vec::new(),
            held_out: false,
            seed: 0,
            lives: 8,
            tokens_per_set: 8000,
            distance: 1000,
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
    /// Which wordings tell and ask: `plain` ("my … is …"), `trained`, `held-out`, or `held-out topics` (facts that training
    /// never teaches, in any wording).
    pub wording: String,
    /// Notes that the brain wrote itself and that say what was told.
    pub notes: Score,
    /// Notes of telling turns that say anything else.
    pub other_notes: usize,
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
    /// Asked after a sleep behind the restart, over the notes ([`Sleeper::sleep`]).
    pub slept: Score,
    /// Never told, after that sleep: admitted.
    pub slept_never_told: Score,
}

/// Everything measured.
#[derive(Debug, Clone, Serialize)]
pub struct EvalReport {
    /// Model id.
    pub model_id: String,
    /// Bits per byte by `set/lang`; the authored text by kind, held-out pieces only.
    pub bits_per_byte: BTreeMap<String, f64>,
    /// The same of 3-grams and 4-grams counted on the training part of the same sets; only with `held_out`, and only
    /// for public sets.
    pub ngram_bits_per_byte: BTreeMap<String, [f64; 2]>,
    /// Tokens that the n-grams have counted.
    pub ngram_tokens: usize,
    /// Bytes scored for each entry of `bits_per_byte`.
    pub scored_bytes: BTreeMap<String, usize>,
    /// Tokens between telling and `later`.
    pub distance_tokens: usize,
    /// Recall.
    pub recall: Vec<RecallRow>,
    /// Turns of everyday talk in which a note was written, by language and whether training had the text.
    pub false_notes: BTreeMap<String, Score>,
    /// Largest change of a lifelong weight over the talk between telling and asking: 0 unless something is broken.
    pub lifelong_drift: f32,
    /// Bytes of the memory file.
    pub memory_bytes: usize,
    /// Replies to fixed lines, each in a fresh talk, greedy.
    pub replies: Vec<SampleReply>,
}

/// What a fresh companion answers to a line.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct SampleReply {
    pub lang: String,
    pub said: String,
    pub mood: String,
    pub notes: Vec<String>,
    pub reply: String,
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
            "hi",
            "I'm home!",
            "I can't sleep",
            "I'm so happy today",
            "My cat is sick",
            "I have a test tomorrow",
            "What are you doing?",
            "Are you a robot?",
            "Do you love me?",
            "Let's play a game",
            "Tell me a joke",
            "What is rain?",
            "Why do birds fly?",
            "Tell me a story about a robot",
            "A short bedtime story, please",
            "I feel lonely",
            "It's my birthday!",
            "I don't like you",
            "ok bye",
            "What can you remember?",
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
            "ただいま",
            "やっほー",
            "眠れない",
            "今日はすごくうれしいことがあった",
            "ねこが病気なんだ",
            "あしたテストなんだ",
            "何してるの？",
            "ロボットなの？",
            "わたしのこと好き？",
            "あそぼう",
            "おもしろいこと言って",
            "雨ってなに？",
            "鳥はどうして飛べるの？",
            "ロボットのおはなしして",
            "ねる前の短いおはなしをして",
            "さみしい",
            "今日は誕生日！",
            "きらい",
            "じゃあね",
            "どんなことを覚えていられる？",
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
    let filler = filler(&brain, &authored, &public, opts);
    let mut settings = Vec::new();
    for lang in Lang::ALL {
        for (n_facts, wording) in [
            (1, Wording::Plain),
            (4, Wording::Plain),
            (8, Wording::Plain),
            (16, Wording::Plain),
            (1, Wording::Trained),
            (4, Wording::Trained),
            (8, Wording::Trained),
            (16, Wording::Trained),
            (4, Wording::HeldOut),
            (4, Wording::HeldOutTopics),
        ] {
            settings.push(Setting { lang, n_facts, wording });
        }
    }
    // Rows side by side, each with a sleeper of one thread.
    let rows: Vec<(RecallRow, f32)> = settings
        .into_par_iter()
        .map(|setting| {
            let sleeper = brain.dir.as_deref().and_then(|dir| Sleeper::load(dir, 1).ok());
            let mut drift = 0.0;
            let sleeper = sleeper.as_ref();
            let row = recall_row(&brain, &authored, &filler, setting, opts, sleeper, &mut drift);
            (row, drift)
        })
        .collect();
    let lifelong_drift = rows.iter().fold(0.0, |most: f32, row| most.max(row.1));
    let recall = rows.into_iter().map(|row| row.0).collect();
    let reference = opts.held_out.then(|| count_ngrams(&brain, &public));
    let language = bits_per_byte(&brain, &authored, &public, reference.as_ref(), opts);
    Ok(EvalReport {
        model_id: brain.id.clone(),
        bits_per_byte: language.bits,
        ngram_bits_per_byte: language.ngram_bits,
        ngram_tokens: reference.map_or(0, |r| r.n_tokens()),
        scored_bytes: language.bytes,
        lifelong_drift,
        memory_bytes: Memory::new(&brain).to_bytes().len(),
        distance_tokens: filler.values().map(Vec::len).min().unwrap_or(0),
        recall,
        false_notes: false_notes(&brain, &authored, opts.seed),
        replies: replies(&brain),
    })
}

fn talk(brain: &Arc<Brain>, memory: Memory) -> Session {
    let options =
        SessionOptions { seed: 1, sampler: SamplerOptions::greedy(), ..SessionOptions::default() };
    Session::new(brain.clone(), memory, options)
}

fn fresh(brain: &Arc<Brain>) -> Session {
    talk(brain, Memory::new(brain))
}

fn say(session: &mut Session, text: &str) -> crate::session::Reply {
    session.reply(text, &mut |_| std::ops::ControlFlow::Continue(()))
}

fn filled(text: &str, lang: Lang) -> String {
    text.replace("{me}", words::default_name(lang))
}

/// Tokens of one talk, as the companion would have had it. `None` if a placeholder is left in it.
fn talk_ids(brain: &Brain, lang: Lang, lines: &[Line]) -> Option<Vec<TokenId>> {
    let tok = &brain.tokenizer;
    let mut ids = Vec::new();
    for line in lines {
        let text = filled(&line.text, lang);
        if text.contains('{') {
            return None;
        }
        ids.extend(if line.companion {
            chat_format::remark(tok, line.mood, &text)
        } else {
            chat_format::user_turn(tok, &text)
        });
    }
    Some(ids)
}

/// Talk by language to put between telling and asking: public chat if there is any (held-out chat if there is enough of
/// it), else the authored questions.
fn filler(
    brain: &Arc<Brain>,
    authored: &Sources,
    public: &Sources,
    opts: &EvalOptions,
) -> BTreeMap<Lang, Vec<TokenId>> {
    let by_lang = |lang: Lang| {
        let mut rng = Rng::keyed(opts.seed, &[3]);
        let talks = |held_out: bool| -> Vec<&Vec<Line>> {
            public
                .docs
                .iter()
                .filter(|d| d.lang == lang && (!held_out || Dataset::is_held_out(d)))
                .filter_map(|d| if let Doc::Talk(lines) = &d.doc { Some(lines) } else { None })
                .collect()
        };
        let mut pool = talks(true);
        if pool.len() < 50 {
            pool = talks(false);
        }
        let questions = authored.authored.iter();
        pool.extend(
            questions
                .filter(|a| a.lang == lang && a.kind == AuthoredKind::Question)
                .map(|a| &a.lines),
        );
        let mut ids = Vec::new();
        while ids.len() < opts.distance && !pool.is_empty() {
            let lines = pool[rng.below(pool.len())];
            ids.extend(talk_ids(brain, lang, lines).unwrap_or_else(|| vec![special::END]));
        }
        ids.truncate(opts.distance);
        (lang, ids)
    };
    Lang::ALL.into_iter().map(by_lang).collect()
}

/// Most turns of each kind in the count of false notes.
const EVERYDAY_TURNS: usize = 100;

/// Everyday lines (authored questions, wishes for stories, talk, trap cases) in which nothing is told: a note in the answer
/// is a false one. Held-out lines apart from those that training had.
fn false_notes(brain: &Arc<Brain>, authored: &Sources, seed: u64) -> BTreeMap<String, Score> {
    let mut out: BTreeMap<String, Score> = BTreeMap::new();
    for lang in Lang::ALL {
        for held_out in [true, false] {
            let tells_nothing = |a: &&Authored| {
                a.notes.as_ref().is_none_or(Vec::is_empty)
                    && a.kind != AuthoredKind::Life
                    && a.lines
                        .iter()
                        .all(|l| !filled(&l.text, lang).replace("{x}", "").contains('{'))
            };
            let mut lines: Vec<String> = authored
                .authored
                .iter()
                .filter(|a| a.lang == lang && a.held_out == held_out)
                .filter(tells_nothing)
                .flat_map(|a| a.lines.iter().filter(|l| !l.companion))
                .map(|l| l.text.clone())
                .collect();
            let mut rng = Rng::keyed(seed, &[5]);
            let mut session = fresh(brain);
            let side = if held_out { "held-out" } else { "trained" };
            let score = out.entry(format!("{}, {side} lines", lang.tag())).or_default();
            for _ in 0..EVERYDAY_TURNS.min(lines.len()) {
                let line = lines.swap_remove(rng.below(lines.len()));
                let name = words::name(lang, Side::HeldOut, &mut rng);
                let line = filled(&line, lang).replace("{x}", &name);
                score.count(!say(&mut session, &line).notes.is_empty());
            }
        }
    }
    out
}

fn replies(brain: &Arc<Brain>) -> Vec<SampleReply> {
    let mut out = Vec::new();
    for (lang, prompts) in PROMPTS {
        for said in prompts {
            let reply = say(&mut fresh(brain), said);
            out.push(SampleReply {
                lang: lang.to_owned(),
                said: (*said).to_owned(),
                mood: special::MOOD_NAMES
                    .get(reply.mood)
                    .map_or(String::new(), |m| m.trim_matches(['<', '>']).to_owned()),
                notes: reply.notes,
                reply: reply.text,
            });
        }
    }
    out
}

impl fmt::Display for EvalReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "brain {}\n", self.model_id)?;
        writeln!(
            f,
            "| set | bits per byte | bytes | 3-gram | 4-gram | less than the 4-gram |\n|---|---:|---:|---:|---:|---:|"
        )?;
        for (set, bits) in &self.bits_per_byte {
            let bytes = self.scored_bytes.get(set).copied().unwrap_or_default();
            write!(f, "| {set} | {bits:.3} | {bytes} |")?;
            match self.ngram_bits_per_byte.get(set) {
                Some([three, four]) => {
                    writeln!(
                        f,
                        " {three:.3} | {four:.3} | {:.1} % |",
                        100.0 * (1.0 - bits / four)
                    )?;
                }
                None => writeln!(f, " – | – | – |")?,
            }
        }
        writeln!(
            f,
            "\nRecall with self-written notes, without naps; \"later\" is {} tokens of talk on, \"restart\" after the memory file with only the lifelong heads kept, \"slept\" after a night's sleep behind that (fewer lives).\n",
            self.distance_tokens
        )?;
        writeln!(
            f,
            "| | facts | wording | right notes | other notes | right after | later | restart | changed | never told | slept | slept, never told |\n|---|---:|---|---|---:|---|---|---|---|---|---|---|"
        )?;
        for r in &self.recall {
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                r.lang,
                r.facts,
                r.wording,
                r.notes,
                r.other_notes,
                r.right_after,
                r.later,
                r.restart,
                r.changed,
                r.never_told,
                r.slept,
                r.slept_never_told
            )?;
        }
        writeln!(f)?;
        for (which, score) in &self.false_notes {
            writeln!(f, "false notes in everyday turns, {which}: {score}")?;
        }
        writeln!(
            f,
            "largest change of a lifelong weight over the talk between: {}; memory file: {} bytes",
            self.lifelong_drift, self.memory_bytes
        )?;
        writeln!(f, "\n| | said | mood | reply |\n|---|---|---|---|")?;
        for r in &self.replies {
            let notes: String = r.notes.iter().map(|n| format!("*({n})* ")).collect();
            let reply = r.reply.replace('\n', " ").replace('|', "/");
            writeln!(f, "| {} | {} | {} | {notes}{reply} |", r.lang, r.said, r.mood)?;
        }
        Ok(())
    }
}
