//! The thread that owns the engine: reads requests, moves the memory, saves it, sends news.
//!
//! The only file of the game that names `engine`. A panic inside becomes a message, and the work goes on from the last
//! memory on disk. The memory is written before an exchange counts as finished.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use engine::{
    checkpoint::{Brain, BrainOptions},
    sampler::SamplerOptions,
    session::{Memory, MemoryRing, Reply, ReplyPart, Session, SessionOptions},
    topics::{self, Lang},
};

use super::{
    BrainSetup, BrainSide, bundle,
    protocol::{BrainEvent, BrainInfo, BrainRequest, Language, MoodTag, ReplyStats, TurnId},
};
use crate::persona::{
    journal::Entry,
    slots::{Identity, OpenSlot, SlotFolder},
};

/// Pieces of a reply go out at most this often.
const DELTA_INTERVAL: Duration = Duration::from_millis(50);
/// Longest reply in tokens: a story of some 150 words.
const MAX_REPLY_TOKENS: usize = 256;
/// Restarts after panics before the thread gives up.
const MAX_RESTARTS: usize = 5;
/// Facts that the memory panel asks for.
const ASKED: [&str; 16] = [
    "name",
    "nickname",
    "birthday",
    "age",
    "city",
    "job",
    "food",
    "drink",
    "color",
    "hobby",
    "dog_name",
    "cat_name",
    "friend_name",
    "allergy",
    "dream",
    "weekend_plan",
];

/// Serves requests until `Quit` or until nobody listens.
pub(super) fn run(setup: &BrainSetup, side: &BrainSide) {
    let mut slot = setup.slot.clone();
    let mut answers: Option<TurnId> = None;
    for _ in 0..=MAX_RESTARTS {
        let outcome =
            catch_unwind(AssertUnwindSafe(|| serve(setup, side, &mut slot, &mut answers)));
        match outcome {
            Ok(()) => return,
            Err(panic) => {
                let text = panic_text(&*panic);
                tracing::error!("the brain's thread panicked: {text}");
                let text = format!(
                    "Something went wrong inside ({text}). I go on from what I last saved."
                );
                side.send(BrainEvent::Failed { turn: answers.take(), text });
            }
        }
    }
    let text = "The brain stopped too often; please start the program again.".to_owned();
    side.send(BrainEvent::Failed { turn: None, text });
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "no message".into())
}

/// One life of the thread: opens the slot, then answers. `open_turn` is the request being worked on.
fn serve(setup: &BrainSetup, side: &BrainSide, slot: &mut String, open_turn: &mut Option<TurnId>) {
    let mut worker = open_or_tell(setup, side, slot, None);
    while let Ok(request) = side.requests.recv() {
        if let BrainRequest::SwitchPersona { turn, slot: next } = request {
            *open_turn = Some(turn);
            if let Some(Err(error)) = worker.as_ref().map(Worker::save) {
                side.send(BrainEvent::Failed { turn: Some(turn), text: format!("{error:#}") });
                continue;
            }
            // Lets go of the slot's lock.
            drop(worker.take());
            let before = std::mem::replace(slot, next);
            worker = open_or_tell(setup, side, slot, Some(turn));
            if worker.is_none() {
                *slot = before;
                worker = open_or_tell(setup, side, slot, None);
            }
            *open_turn = None;
            continue;
        }
        if matches!(request, BrainRequest::Quit) {
            break;
        }
        let turn = turn_of(&request);
        *open_turn = turn;
        let outcome = match &mut worker {
            Some(worker) => worker.answer(request, side),
            None => Err(anyhow::anyhow!(
                "there is no brain to answer with; see the first message for what to do"
            )),
        };
        if let Err(error) = outcome {
            side.send(BrainEvent::Failed { turn, text: format!("{error:#}") });
        }
        *open_turn = None;
    }
    if let Some(Err(error)) = worker.as_ref().map(Worker::save) {
        tracing::error!("{error:#}");
        side.send(BrainEvent::Failed { turn: None, text: format!("{error:#}") });
    }
}

fn open_or_tell(
    setup: &BrainSetup,
    side: &BrainSide,
    slot: &str,
    turn: Option<TurnId>,
) -> Option<Worker> {
    match Worker::open(setup, side, slot) {
        Ok(worker) => {
            side.send(BrainEvent::Ready { turn, info: worker.info() });
            Some(worker)
        }
        Err(error) => {
            side.send(BrainEvent::Failed { turn, text: format!("{error:#}") });
            None
        }
    }
}

fn turn_of(request: &BrainRequest) -> Option<TurnId> {
    match request {
        BrainRequest::Say { turn, .. }
        | BrainRequest::Read { turn, .. }
        | BrainRequest::Probe { turn, .. }
        | BrainRequest::Recall { turn, .. }
        | BrainRequest::WriteNote { turn, .. }
        | BrainRequest::Info { turn }
        | BrainRequest::Save { turn }
        | BrainRequest::Reset { turn }
        | BrainRequest::Export { turn, .. }
        | BrainRequest::Import { turn, .. }
        | BrainRequest::SwitchPersona { turn, .. } => Some(*turn),
        BrainRequest::Quit => None,
    }
}

/// An open slot with a talk in it.
struct Worker {
    slot: OpenSlot,
    ring: MemoryRing,
    session: Session,
    /// The copy that a private talk goes on with; thrown away by the first request that is not private.
    private: Option<Session>,
    threads: usize,
}

impl Worker {
    fn open(setup: &BrainSetup, side: &BrainSide, slot: &str) -> anyhow::Result<Self> {
        let slot = SlotFolder::new(&setup.saves).open(slot, setup.language)?;
        let dir = setup.model.as_ref().map_err(|text| anyhow::anyhow!("{text}"))?;
        let options = BrainOptions { threads: setup.threads, isa: None };
        let brain = Brain::load(dir, &options).with_context(|| {
            format!("the brain in {} cannot be used; put a whole one there or name another with --model DIR", dir.display())
        })?;
        let brain = Arc::new(brain);
        tracing::info!("brain {} on {}", brain.id, brain.model.isa().name());
        let ring = MemoryRing::open(&slot.dir);
        let (memory, notices) = ring.load_newest(&brain)?;
        for text in notices {
            side.send(BrainEvent::Notice { text });
        }
        let fresh = memory.is_none();
        let memory = memory.unwrap_or_else(|| Memory::new(&brain));
        let sampler =
            SamplerOptions { temperature: setup.temperature, ..SamplerOptions::default() };
        let options =
            SessionOptions { seed: setup.seed, sampler, max_reply_tokens: MAX_REPLY_TOKENS };
        let session = Session::new(brain, memory, options);
        let mut worker = Self { slot, ring, session, private: None, threads: setup.threads };
        if fresh {
            worker.begin_life()?;
        }
        Ok(worker)
    }

    /// A new memory learns the companion's own name, unless it is the one that the brain grew up with.
    fn begin_life(&mut self) -> anyhow::Result<()> {
        let name = self.slot.identity.companion_name.clone();
        if !["Tete", "テテ"].contains(&name.as_str()) {
            self.session.write_note(&format!("your companion's name is {name}."));
            self.session.write_note(&format!("きみの相棒の名前は{name}。"));
        }
        self.save()?;
        Ok(())
    }

    fn save(&self) -> anyhow::Result<PathBuf> {
        self.ring.save(self.session.memory()).with_context(|| {
            format!(
                "the memory could not be written in {}; is the disk full? Nothing older was lost",
                self.slot.dir.display()
            )
        })
    }

    fn info(&self) -> BrainInfo {
        let (brain, memory) = (self.session.brain(), self.session.memory());
        BrainInfo {
            model_id: brain.id.clone(),
            n_params: brain.config.n_params(),
            memory_bytes: memory.to_bytes().len() as u64,
            tokens_read: memory.tokens_read,
            notes_written: memory.notes_written,
            threads: self.threads,
            isa: brain.model.isa().name().to_owned(),
            device: "cpu".to_owned(),
            persona: self.slot.name.clone(),
            companion_name: self.slot.identity.companion_name.clone(),
            heads: memory.head_norms(),
        }
    }

    fn answer(&mut self, request: BrainRequest, side: &BrainSide) -> anyhow::Result<()> {
        if !matches!(request, BrainRequest::Say { learn: false, .. } | BrainRequest::Info { .. }) {
            self.private = None;
        }
        match request {
            BrainRequest::Say { turn, text, learn } => self.say(turn, &text, learn, side)?,
            BrainRequest::Read { turn, text } => {
                let start = Instant::now();
                let tokens = self.session.read(&text, &mut |_, _| side.flow(turn));
                self.save()?;
                side.send(BrainEvent::ReadDone { turn, tokens, took: start.elapsed() });
            }
            BrainRequest::Probe { turn, text } => {
                let start = Instant::now();
                let reply = self.ask_a_copy(&text, turn, side);
                let mood = mood_tag(reply.mood);
                side.send(BrainEvent::Probed {
                    turn,
                    reply: reply.text,
                    mood,
                    took: start.elapsed(),
                });
            }
            BrainRequest::Recall { turn, language } => self.recall(turn, language, side),
            BrainRequest::WriteNote { turn, note } => {
                let written = self.session.write_note(&note);
                anyhow::ensure!(
                    written,
                    "{note:?} is not a note: say \"your … is ….\" or 「きみの…は…。」"
                );
                let path = self.save()?;
                side.send(BrainEvent::Saved { turn, path, info: self.info() });
            }
            BrainRequest::Info { turn } => {
                side.send(BrainEvent::Info { turn, info: self.info() });
            }
            BrainRequest::Save { turn } => {
                let path = self.save()?;
                side.send(BrainEvent::Saved { turn, path, info: self.info() });
            }
            BrainRequest::Reset { turn } => {
                let fresh = Memory::new(self.session.brain());
                let before = std::mem::replace(self.session.memory_mut(), fresh);
                if let Err(error) = self.begin_life() {
                    *self.session.memory_mut() = before;
                    return Err(error);
                }
                let path = self.ring.current_path();
                side.send(BrainEvent::Saved { turn, path, info: self.info() });
            }
            BrainRequest::Export { turn, path } => {
                self.export(&path)?;
                side.send(BrainEvent::Saved { turn, path, info: self.info() });
            }
            BrainRequest::Import { turn, path } => {
                self.import(&path)?;
                let path = self.ring.current_path();
                side.send(BrainEvent::Saved { turn, path, info: self.info() });
            }
            BrainRequest::SwitchPersona { .. } | BrainRequest::Quit => {}
        }
        Ok(())
    }

    /// Reads a line, answers it in pieces, saves, and only then counts it as finished.
    fn say(
        &mut self,
        turn: TurnId,
        text: &str,
        learn: bool,
        side: &BrainSide,
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        let mut first_token = None;
        let mut pending = String::new();
        let mut last_sent: Option<Instant> = None;
        let mut on_part = |part: ReplyPart<'_>| {
            match part {
                ReplyPart::Mood(idx) => {
                    side.send(BrainEvent::Mood { turn, mood: mood_tag(idx) });
                }
                ReplyPart::Note(text) => {
                    side.send(BrainEvent::Remembered { turn, text: text.to_owned() });
                }
                ReplyPart::Text(piece) => {
                    if !piece.is_empty() && first_token.is_none() {
                        first_token = Some(start.elapsed());
                    }
                    pending.push_str(piece);
                    let due = last_sent.is_none_or(|at| at.elapsed() >= DELTA_INTERVAL);
                    if due && !pending.is_empty() {
                        side.send(BrainEvent::Delta { turn, text: std::mem::take(&mut pending) });
                        last_sent = Some(Instant::now());
                    }
                }
            }
            side.flow(turn)
        };
        let reply = if learn {
            self.session.reply(text, &mut on_part)
        } else {
            let copy = self.private.get_or_insert_with(|| self.session.fork());
            copy.reply(text, &mut on_part)
        };
        if !pending.is_empty() {
            side.send(BrainEvent::Delta { turn, text: pending });
        }
        if learn {
            self.save()?;
            let told = Entry::now(true, text);
            let answered = Entry { notes: reply.notes.clone(), ..Entry::now(false, &reply.text) };
            if let Err(error) = self.slot.journal.append(&[told, answered]) {
                side.send(BrainEvent::Notice {
                    text: format!("the journal could not be written: {error}"),
                });
            }
        }
        let stats = ReplyStats {
            prompt_tokens: reply.prompt_tokens,
            reply_tokens: reply.reply_tokens,
            first_token: first_token.unwrap_or_else(|| start.elapsed()),
            total: start.elapsed(),
            cancelled: reply.cancelled,
        };
        side.send(BrainEvent::Finished { turn, reply: reply.text, stats });
        Ok(())
    }

    /// The likeliest answer of a copy of the memory. The memory stays as it is, to the byte.
    fn ask_a_copy(&self, question: &str, turn: TurnId, side: &BrainSide) -> Reply {
        let mut copy = self.session.fork();
        copy.sampler_mut().set_options(SamplerOptions::greedy());
        copy.reply(question, &mut |_| side.flow(turn))
    }

    /// Asks a copy of the memory what it knows.
    fn recall(&self, turn: TurnId, language: Language, side: &BrainSide) {
        let lang = if language == Language::Japanese { Lang::Ja } else { Lang::En };
        for fact in ASKED {
            let Some(topic) = topics::topic(fact, lang) else { continue };
            let reply = self.ask_a_copy(&topics::question(topic, lang), turn, side);
            if reply.cancelled {
                break;
            }
            let known = !topics::is_admission(&reply.text) && !reply.text.is_empty();
            let (topic, answer, confidence) = (fact.to_owned(), reply.text, reply.confidence);
            side.send(BrainEvent::Recalled { turn, topic, answer, known, confidence });
        }
        side.send(BrainEvent::RecallDone { turn });
    }

    fn export(&self, path: &Path) -> anyhow::Result<()> {
        let identity = std::fs::read(self.slot.dir.join("identity.json"))
            .context("cannot read the identity")?;
        let journal = std::fs::read(self.slot.dir.join("journal.jsonl")).unwrap_or_default();
        let memory = self.session.memory().to_bytes();
        bundle::write(
            path,
            &[
                ("identity.json", identity),
                ("journal.jsonl", journal),
                ("memory.safetensors", memory),
            ],
        )
    }

    /// Takes over an exported companion; the memory before it stays in the ring.
    fn import(&mut self, path: &Path) -> anyhow::Result<()> {
        let files = bundle::read(path)?;
        let file = |name: &str| files.iter().find(|f| f.0 == name).map(|f| f.1.as_slice());
        let memory = file("memory.safetensors")
            .with_context(|| format!("{}: no memory in it", path.display()))?;
        let memory = Memory::from_bytes(memory, self.session.brain(), path)?;
        let identity = file("identity.json")
            .with_context(|| format!("{}: no identity in it", path.display()))?;
        let identity = Identity::from_json(identity)
            .with_context(|| format!("{}: its identity", path.display()))?;
        self.save()?;
        let before = std::mem::replace(self.session.memory_mut(), memory);
        if let Err(error) = self.save() {
            *self.session.memory_mut() = before;
            return Err(error);
        }
        self.slot.set_identity(identity)?;
        self.slot
            .journal
            .replace(file("journal.jsonl").unwrap_or_default())
            .context("cannot write the journal")
    }
}

fn mood_tag(idx: usize) -> MoodTag {
    MoodTag::ALL.get(idx).copied().unwrap_or_default()
}
