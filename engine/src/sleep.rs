//! Sleep: the lifelong heads take gradient steps on everything that was noted, together.
//!
//! While awake a note is read once, and each of its tokens is one small step of gradient descent (the delta rule).
//! Notes that come later push earlier ones aside, the more the more alike their topics are. In a sleep the lifelong fast
//! weights of all layers move down the gradient of the whole model's loss on questions about the notes, on questions
//! about topics that were never told, and on the companion's own replies to everyday lines, which must stay as they
//! are. Before and after, the companion is asked by heart; a sleep that made anything worse is undone.
//!
//! Nothing but the lifelong fast weights changes: same size, same file. The notes come from the caller (the journal).
//! Source: Sun et al. 2024 (test-time training); the objective is our own.

use std::ops::ControlFlow;

use crate::{
    data::words,
    error::LoadError,
    model::{
        ModelConfig,
        gradient::{Frozen, Scored},
    },
    rng::Rng,
    session::{Session, last_of_each_topic, note_parts},
    tokenizer::{
        TokenId, Tokenizer,
        chat_format::{self, NoteSentence},
        special,
    },
    topics::{self, Lang, TOPICS},
};

/// Questions about the topic in each step of forgetting it.
const FORGET_ROWS: usize = 4;
/// Longest row in tokens; longer questions are left out.
const MAX_ROW: usize = 64;
/// Pull towards the weights before the sleep, per step and unit of rate.
const PULL: f32 = 0.02;
/// Loss weights: a value, the word that admits, the topic that is read back, a word of an everyday reply.
const VALUE: f32 = 3.0;
const ADMIT: f32 = 3.0;
const TOPIC: f32 = 0.5;
const EVERYDAY: f32 = 0.5;
/// Everyday lines whose replies must stay.
const EVERYDAY_EN: [&str; 4] = ["Hello!", "I'm tired.", "What's your name?", "It's raining."];
const EVERYDAY_JA: [&str; 4] = ["こんにちは", "疲れたよ", "名前は？", "雨だね"];

/// What a sleep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SleepReport {
    /// Topics that the notes tell.
    pub notes: usize,
    /// Of those, known by heart before and after.
    pub known: (usize, usize),
    /// Questions about topics that no note tells.
    pub unknown: usize,
    /// Of those, admitted before and after.
    pub admitted: (usize, usize),
    /// Gradient steps made.
    pub steps: usize,
    /// Steps were made and nothing was kept, as nothing got better or something got worse.
    pub undone: bool,
}

/// How long a sleep is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SleepOptions {
    /// Notes that it goes over, the newest ones.
    pub max_notes: usize,
    /// Gradient steps at most.
    pub max_steps: usize,
    /// Steps between two looks at what is known by heart.
    pub look_every: usize,
    /// Most notes in a step.
    pub notes_a_step: usize,
    /// Questions about what was never told in a step, and twice as many before and after.
    pub unknown_a_step: usize,
    /// Step size of Adam at the start; fast weights are of the order of 0.1.
    pub rate: f32,
}

impl SleepOptions {
    /// A night: until everything is known, or little more can be had.
    pub const NIGHT: Self = Self {
        max_notes: 64,
        max_steps: 48,
        look_every: 8,
        notes_a_step: 12,
        unknown_a_step: 6,
        rate: 0.02,
    };
    /// A moment behind a new note.
    pub const NAP: Self = Self {
        max_notes: 12,
        max_steps: 12,
        look_every: 4,
        notes_a_step: 6,
        unknown_a_step: 3,
        rate: 0.02,
    };
}

/// The weights of a brain, laid out for gradients of its memory. Made once; some tens of megabytes for a small brain.
#[derive(Debug)]
pub struct Sleeper {
    config: ModelConfig,
    frozen: Frozen,
    /// Threads of its own, so that a game beside it keeps its cores.
    pool: rayon::ThreadPool,
}

/// A row of a step: tokens, and the weight of predicting each.
#[derive(Debug, Clone)]
struct Row {
    ids: Vec<TokenId>,
    weights: Vec<f32>,
}

impl Sleeper {
    /// From the model folder that the brain was loaded from, with this many threads.
    ///
    /// # Errors
    /// As `Brain::load`, or if the system gives no threads.
    pub fn load(dir: &std::path::Path, threads: usize) -> Result<Self, LoadError> {
        let weights = crate::checkpoint::full_precision(dir)?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build();
        let pool = pool.map_err(|e| LoadError::Io {
            path: dir.to_owned(),
            source: std::io::Error::other(e),
        })?;
        let config = weights.config.clone();
        let frozen = pool.install(|| Frozen::new(weights.config, weights.tensors));
        Ok(Self { config, frozen, pool })
    }

    /// Sleeps over `notes` (of each topic the last one counts). `keep_going` hears before every step and every question;
    /// on `Break` the best state so far is kept. The talk that is going on is not touched.
    ///
    /// Kept is a state that knows more notes than before and admits at most one of the other questions less, or that
    /// knows as many and admits more.
    pub fn sleep(
        &self,
        session: &mut Session,
        notes: &[String],
        opts: SleepOptions,
        keep_going: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> SleepReport {
        let mut notes = last_of_each_topic(notes);
        notes.drain(..notes.len().saturating_sub(opts.max_notes));
        let mut report = SleepReport { notes: notes.len(), ..SleepReport::default() };
        if notes.is_empty() || session.brain().config != self.config {
            return report;
        }
        let unknown = untold(&notes, 2 * opts.unknown_a_step);
        report.unknown = unknown.len();
        let Some(first) = look(session, &notes, &unknown, keep_going) else { return report };
        report.known = (first.n_known(), first.n_known());
        report.admitted = (first.admitted, first.admitted);
        let done = |known, admitted| known == notes.len() && admitted == unknown.len();
        if done(report.known.0, report.admitted.0) {
            return report;
        }
        let everyday = everyday_rows(session, &languages(&notes));
        let mut rng = Rng::keyed(session.memory().tokens_read, &[session.memory().notes_written]);
        let start = session.memory().lifelong_snapshot();
        let mut adam = Adam::new(start.len());
        let (mut now, mut best, mut known) = (start.clone(), start.clone(), first.known);
        let mut better = false;
        while report.steps < opts.max_steps && keep_going().is_continue() {
            let mut rows = rows(session, &notes, &known, opts, &mut rng);
            rows.extend(everyday.iter().cloned());
            let (_, grad) = self.gradient(session, &rows);
            let left = 1.0 - report.steps as f32 / opts.max_steps as f32;
            adam.step(&mut now, &grad, &start, opts.rate * left.max(0.1));
            session.memory_mut().restore_lifelong(&now);
            report.steps += 1;
            if !report.steps.is_multiple_of(opts.look_every) {
                continue;
            }
            let Some(seen) = look(session, &notes, &unknown, keep_going) else { break };
            let (n, admitted) = (seen.n_known(), seen.admitted);
            let more = n > report.known.1 && admitted + 1 >= report.admitted.0;
            if more || (n == report.known.1 && admitted > report.admitted.1) {
                (report.known.1, report.admitted.1) = (n, admitted);
                best.clone_from(&now);
                better = true;
            }
            if done(n, admitted) {
                break;
            }
            known = seen.known;
        }
        session.memory_mut().restore_lifelong(&best);
        report.undone = report.steps > 0 && !better;
        for (note, _) in notes.iter().zip(&known).filter(|n| !n.1) {
            tracing::debug!("not by heart: {note}");
        }
        report
    }

    /// Unlearns what is noted of `topic` (in the words of notes in `lang`): steps towards the admission, beside the notes
    /// that stay. `notes` are those that stay; notes of the topic among them are left out. Returns whether the topic is
    /// now admitted by heart and no fewer notes are known; if not, the memory is as it was.
    ///
    /// The talk that is going on is not touched: who wants it gone as well calls `Memory::forget_talk`.
    pub fn forget(
        &self,
        session: &mut Session,
        notes: &[String],
        lang: Lang,
        topic: &str,
        keep_going: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> bool {
        let opts = SleepOptions { max_steps: 40, look_every: 4, ..SleepOptions::NIGHT };
        let of_topic = |note: &String| note_parts(note).is_some_and(|n| n.0 == topic);
        let mut notes = last_of_each_topic(notes);
        notes.retain(|note| !of_topic(note));
        notes.drain(..notes.len().saturating_sub(opts.max_notes));
        let question = topics::question(topic, lang);
        let admits = |session: &Session| topics::is_admission(&session.by_heart(&question));
        if admits(session) {
            return true;
        }
        let n_known =
            |session: &Session| notes.iter().filter(|n| session.knows_by_heart(n)).count();
        let known_before = n_known(session);
        // Also where no other note is left: everyday replies must stay.
        let everyday = everyday_rows(session, &[lang]);
        let mut rng = Rng::keyed(session.memory().tokens_read, &[0xF06]);
        let start = session.memory().lifelong_snapshot();
        let (mut now, mut adam) = (start.clone(), Adam::new(start.len()));
        for step in 1..=opts.max_steps {
            if keep_going().is_break() {
                break;
            }
            let tokenizer = &session.brain().tokenizer;
            let mut rows: Vec<Row> =
                (0..FORGET_ROWS).map(|_| untold_row(tokenizer, lang, topic, &mut rng)).collect();
            rows.extend(self::rows(session, &notes, &[], opts, &mut rng));
            rows.extend(everyday.iter().cloned());
            let (_, grad) = self.gradient(session, &rows);
            adam.step(&mut now, &grad, &start, opts.rate);
            session.memory_mut().restore_lifelong(&now);
            let look = step.is_multiple_of(opts.look_every);
            if look && admits(session) && n_known(session) >= known_before {
                return true;
            }
        }
        session.memory_mut().restore_lifelong(&start);
        false
    }

    /// The mean loss of `rows`, each read after a restart, and its gradient for the lifelong heads of all layers.
    fn gradient(&self, session: &Session, rows: &[Row]) -> (f64, Vec<f32>) {
        let cfg = &self.config;
        let tokens = rows.iter().map(|r| r.ids.len()).max().unwrap_or(1).saturating_sub(1).max(1);
        let (mut ids, mut positions) = (Vec::new(), Vec::new());
        let (mut targets, mut weights) = (Vec::new(), Vec::new());
        for (b, row) in rows.iter().enumerate() {
            for t in 0..tokens {
                ids.push(row.ids.get(t).copied().unwrap_or(special::PAD));
                if let (Some(next), Some(w)) = (row.ids.get(t + 1), row.weights.get(t + 1))
                    && *w > 0.0
                {
                    positions.push((b * tokens + t) as u32);
                    targets.push(*next);
                    weights.push(*w);
                }
            }
        }
        let mut memory = session.memory().clone();
        memory.forget_talk();
        let fast: Vec<&[f32]> = memory.state.layers.iter().map(|l| l.fast.as_slice()).collect();
        let scored = Scored { positions: &positions, targets: &targets, weights: &weights };
        let (loss, grad) =
            self.pool.install(|| self.frozen.state_gradient(&ids, tokens, &fast, scored));
        let border = cfg.n_session_heads() * cfg.head_dim * cfg.head_dim;
        (loss, grad.iter().flat_map(|layer| layer[border..].iter().copied()).collect())
    }
}

/// What a look found.
struct Seen {
    known: Vec<bool>,
    admitted: usize,
}

impl Seen {
    fn n_known(&self) -> usize {
        self.known.iter().filter(|k| **k).count()
    }
}

/// Which notes are known by heart, and how many of the other questions are admitted. `None` if it was stopped.
fn look(
    session: &Session,
    notes: &[String],
    unknown: &[String],
    keep_going: &mut dyn FnMut() -> ControlFlow<()>,
) -> Option<Seen> {
    let mut seen = Seen { known: Vec::with_capacity(notes.len()), admitted: 0 };
    for note in notes {
        keep_going().is_continue().then_some(())?;
        seen.known.push(session.knows_by_heart(note));
    }
    for question in unknown {
        keep_going().is_continue().then_some(())?;
        seen.admitted += usize::from(topics::is_admission(&session.by_heart(question)));
    }
    Some(seen)
}

/// Questions of one step, with the answers that are wanted. Notes that are not known come first.
fn rows(
    session: &Session,
    notes: &[String],
    known: &[bool],
    opts: SleepOptions,
    rng: &mut Rng,
) -> Vec<Row> {
    let tokenizer = &session.brain().tokenizer;
    let mut order: Vec<usize> = (0..notes.len()).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, rng.below(i + 1));
    }
    order.sort_by_key(|i| known.get(*i).copied().unwrap_or(false));
    let mut rows: Vec<Row> = order
        .iter()
        .take(opts.notes_a_step)
        .filter_map(|i| told_row(tokenizer, &notes[*i], rng))
        .collect();
    let topics = untold_topics(notes);
    for _ in 0..opts.unknown_a_step.min(topics.len()) {
        let (lang, topic) = &topics[rng.below(topics.len())];
        rows.push(untold_row(tokenizer, *lang, topic, rng));
    }
    rows.retain(|row| row.ids.len() <= MAX_ROW);
    rows
}

/// A question in one of the training's plain wordings.
fn question(lang: Lang, topic: &str, rng: &mut Rng) -> String {
    let section = if rng.chance(0.5) { "plain_ask" } else { "ask" };
    match rng.below(3) {
        0 => topics::question(topic, lang),
        _ => words::one_of(lang, section, rng).replace("{topic}", topic),
    }
}

/// `<u> question <b> <mood>`, not scored. The mood is drawn: what is answered must not hang on it.
fn asked(tokenizer: &Tokenizer, question: &str, rng: &mut Rng) -> Row {
    let mut ids = chat_format::prompt(tokenizer, question);
    ids.push(special::mood(rng.below(4)));
    let weights = vec![0.0; ids.len()];
    Row { ids, weights }
}

/// A question about a note, and its answer in the note's own wording.
fn told_row(tokenizer: &Tokenizer, note: &str, rng: &mut Rng) -> Option<Row> {
    let form = NoteSentence::parse(note)?;
    let lang = Lang::of(note);
    let mut row = asked(tokenizer, &question(lang, form.topic(), rng), rng);
    let answer = form.answer_ids(tokenizer);
    let (before, after) = words::canonical(lang, form.topic());
    let head = chat_format::text_ids(tokenizer, before.trim_end()).len();
    let tail = tokenizer.encode(&after).len();
    for (i, id) in answer.iter().enumerate() {
        let value = i >= head && i + tail < answer.len();
        row.ids.push(*id);
        row.weights.push(if value { VALUE } else { TOPIC });
    }
    row.ids.push(special::END);
    row.weights.push(TOPIC);
    Some(row)
}

/// A question about what was never told, and the admission.
fn untold_row(tokenizer: &Tokenizer, lang: Lang, topic: &str, rng: &mut Rng) -> Row {
    let mut row = asked(tokenizer, &question(lang, topic, rng), rng);
    let (before, _) = words::canonical(lang, topic);
    let head = before.trim_end().trim_end_matches(" is");
    let head = chat_format::text_ids(tokenizer, head);
    row.weights.extend(vec![TOPIC; head.len()]);
    row.ids.extend(head);
    let rest = tokenizer.encode(words::admission(lang, rng));
    // What is decided is whether to admit; the words behind that are free.
    row.weights.extend((0..rest.len()).map(|i| if i == 0 { ADMIT } else { 0.0 }));
    row.ids.extend(rest);
    row
}

/// The replies to everyday lines as they are now.
fn everyday_rows(session: &Session, langs: &[Lang]) -> Vec<Row> {
    let mut copy = session.fork();
    copy.memory_mut().forget_talk();
    let tokenizer = &session.brain().tokenizer;
    let lines = langs.iter().flat_map(|lang| match lang {
        Lang::En => EVERYDAY_EN,
        Lang::Ja => EVERYDAY_JA,
    });
    lines
        .map(|line| {
            let reply = copy.probe_topic(line);
            let mut ids = chat_format::prompt(tokenizer, line);
            let silent = ids.len();
            ids.extend(chat_format::reply(tokenizer, reply.mood, &reply.text));
            ids.truncate(MAX_ROW);
            let weights = (0..ids.len()).map(|i| if i < silent { 0.0 } else { EVERYDAY }).collect();
            Row { ids, weights }
        })
        .collect()
}

fn languages(notes: &[String]) -> Vec<Lang> {
    Lang::ALL.into_iter().filter(|lang| notes.iter().any(|n| Lang::of(n) == *lang)).collect()
}

/// Topics that no note tells, in the languages of the notes.
fn untold_topics(notes: &[String]) -> Vec<(Lang, &'static str)> {
    let told: Vec<&str> = notes.iter().filter_map(|n| note_parts(n)).map(|n| n.0).collect();
    languages(notes)
        .into_iter()
        .flat_map(|lang| TOPICS.map(|t| (lang, if lang == Lang::En { t.1 } else { t.2 })))
        .filter(|(_, topic)| !told.contains(topic))
        .collect()
}

/// Some questions about them, spread over the list.
fn untold(notes: &[String], n: usize) -> Vec<String> {
    let topics = untold_topics(notes);
    let step = (topics.len() / n.max(1)).max(1);
    topics.iter().step_by(step).take(n).map(|(l, t)| topics::question(t, *l)).collect()
}

/// Adam over the lifelong heads, with a pull towards where they were.
struct Adam {
    m: Vec<f32>,
    v: Vec<f32>,
    steps: i32,
}

impl Adam {
    fn new(n: usize) -> Self {
        Self { m: vec![0.0; n], v: vec![0.0; n], steps: 0 }
    }

    fn step(&mut self, weights: &mut [f32], grad: &[f32], start: &[f32], rate: f32) {
        const BETA: (f32, f32, f32) = (0.9, 0.98, 1e-8);
        self.steps += 1;
        let (c1, c2) = (1.0 - BETA.0.powi(self.steps), 1.0 - BETA.1.powi(self.steps));
        let moments = self.m.iter_mut().zip(&mut self.v);
        for (((w, g), s), (m, v)) in weights.iter_mut().zip(grad).zip(start).zip(moments) {
            *m = BETA.0 * *m + (1.0 - BETA.0) * g;
            *v = BETA.1 * *v + (1.0 - BETA.1) * g * g;
            let step = *m / c1 / ((*v / c2).sqrt() + BETA.2);
            *w -= rate * (step + PULL * (*w - s));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use candle_core::Device;

    use super::*;
    use crate::{
        checkpoint::Brain,
        model::{HeadKind, trainable::TrainableModel},
        session::{Memory, SessionOptions},
    };

    fn config() -> ModelConfig {
        ModelConfig { vocab_size: 320, n_layers: 2, ..ModelConfig::preset("nano").expect("nano") }
    }

    fn session() -> Session {
        let brain = Arc::new(Brain::random(&config(), 5));
        let memory = Memory::new(&brain);
        Session::new(brain, memory, SessionOptions::default())
    }

    fn sleeper() -> Sleeper {
        let model = TrainableModel::new(&config(), 4, &Device::Cpu).expect("model");
        let numbers = |v: &candle_core::Var| v.flatten_all().and_then(|v| v.to_vec1::<f32>());
        let params: BTreeMap<String, Vec<f32>> = model
            .params()
            .iter()
            .map(|(name, var)| (name.clone(), numbers(var).expect("numbers")))
            .collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("pool");
        Sleeper { config: config(), frozen: Frozen::new(config(), params), pool }
    }

    fn notes() -> Vec<String> {
        ["your name is Mia.", "your dog's name is Pochi."].map(str::to_owned).to_vec()
    }

    #[test]
    fn steps_down_the_gradient_make_the_notes_likelier() {
        let (sleeper, mut session) = (sleeper(), session());
        notes().iter().for_each(|n| assert!(session.write_note(n)));
        let rows: Vec<Row> = notes()
            .iter()
            .filter_map(|n| told_row(&session.brain().tokenizer, n, &mut Rng::new(3)))
            .collect();
        let loss = |session: &Session| sleeper.gradient(session, &rows).0;
        let before = loss(&session);
        let start = session.memory().lifelong_snapshot();
        let (mut now, mut adam) = (start.clone(), Adam::new(start.len()));
        for _ in 0..20 {
            let (_, grad) = sleeper.gradient(&session, &rows);
            adam.step(&mut now, &grad, &start, 0.02);
            session.memory_mut().restore_lifelong(&now);
        }
        let after = loss(&session);
        assert!(after < 0.95 * before, "{before} {after}");
    }

    #[test]
    fn a_sleep_that_helps_nothing_is_undone_and_the_talk_is_not_touched() {
        // The weights of the sleeper are not those of the brain, so its steps are noise.
        let (sleeper, mut session) = (sleeper(), session());
        notes().iter().for_each(|n| assert!(session.write_note(n)));
        session.read("and then we went home", &mut |_, _| ControlFlow::Continue(()));
        let before = session.memory().to_bytes();
        let mut polls = 0;
        let report = sleeper.sleep(&mut session, &notes(), SleepOptions::NAP, &mut || {
            polls += 1;
            ControlFlow::Continue(())
        });
        assert_eq!((report.notes, report.unknown, report.steps), (2, 6, 12));
        assert!(report.known.1 >= report.known.0 && report.admitted.1 >= report.admitted.0);
        if report.undone {
            assert_eq!(session.memory().to_bytes(), before);
        }
        // Stopped anywhere, it leaves a memory that is whole.
        for stop_at in [1, 5, 9, 20] {
            let (mut session, mut asked) = (session.fork(), 0);
            let talk = session.memory().heads(HeadKind::Session).concat();
            sleeper.sleep(&mut session, &notes(), SleepOptions::NAP, &mut || {
                asked += 1;
                if asked >= stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert!(session.memory().is_finite());
            assert_eq!(session.memory().heads(HeadKind::Session).concat(), talk);
        }
        assert!(polls > 20);
        let before = session.memory().to_bytes();
        let gone = sleeper
            .forget(&mut session, &notes(), Lang::En, "name", &mut || ControlFlow::Continue(()));
        assert!(gone || session.memory().to_bytes() == before);
        let nothing = sleeper
            .sleep(&mut session, &[], SleepOptions::NIGHT, &mut || ControlFlow::Continue(()));
        assert_eq!(nothing, SleepReport::default());
    }

    #[test]
    fn an_admission_is_scored_where_it_is_decided() {
        let tokenizer = Tokenizer::bytes_only(320).expect("tokenizer");
        let mut rng = Rng::new(1);
        for (lang, topic) in [(Lang::En, "dog's name"), (Lang::Ja, "犬の名前")] {
            let row = untold_row(&tokenizer, lang, topic, &mut rng);
            assert_eq!(row.ids.len(), row.weights.len());
            let at = row.weights.iter().position(|w| *w == ADMIT).expect("decided");
            let said = tokenizer.decode(&row.ids[..at]);
            assert!(said.trim_end().ends_with(topic) || said.ends_with('は'), "{said}");
            assert!(row.weights[at + 1..].iter().all(|w| *w == 0.0));
        }
        let told = told_row(&tokenizer, "your name is Mia.", &mut rng).expect("a note");
        let value: Vec<TokenId> = told
            .ids
            .iter()
            .zip(&told.weights)
            .filter(|(_, w)| **w == VALUE)
            .map(|(id, _)| *id)
            .collect();
        assert_eq!(tokenizer.decode(&value), " Mia");
        assert_eq!(untold(&notes(), 6).len(), 6);
    }
}
