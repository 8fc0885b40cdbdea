//! The thread that owns the engine: reads requests, moves the memory, saves it, sends news.
//!
//! With `bed` the only part of the game that names `engine`. A panic inside becomes a message, and the work goes on from the last
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
    session::{Memory, MemoryRing, Reply, ReplyPart, Session, SessionOptions, note_parts},
    topics::{self, Lang},
};

#[cfg(feature = "train")]
mod bed;

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
/// Restarts in a row after panics before the thread gives up.
const MAX_RESTARTS: usize = 5;
/// A life this long counts as sound: a panic after it begins a new row.
const SOUND_LIFE: Duration = Duration::from_secs(600);
/// Copy of a bundle in the slot while its files are taken over.
const PENDING_IMPORT: &str = "import.pending";
/// Most notes that a new brain takes over from the journal, the newest ones.
const MAX_REBORN_NOTES: usize = 200;
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
    let mut restarts = 0;
    while restarts <= MAX_RESTARTS {
        let born = Instant::now();
        let outcome =
            catch_unwind(AssertUnwindSafe(|| serve(setup, side, &mut slot, &mut answers)));
        match outcome {
            Ok(()) => return,
            Err(panic) => {
                let text = panic_text(&*panic);
                tracing::error!("the brain's thread panicked: {text}");
                restarts = if born.elapsed() >= SOUND_LIFE { 1 } else { restarts + 1 };
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
    while let Some(request) = next_request(worker.as_mut(), side) {
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
    if let Some(worker) = &mut worker {
        worker.last_night();
    }
    if let Some(Err(error)) = worker.as_ref().map(Worker::save) {
        tracing::error!("{error:#}");
        side.send(BrainEvent::Failed { turn: None, text: format!("{error:#}") });
    }
}

/// Waits for a request; `None` when nobody can send one any more. A companion that has not slept over its newest notes
/// does so when it is quiet for a while.
fn next_request(worker: Option<&mut Worker>, side: &BrainSide) -> Option<BrainRequest> {
    #[cfg(feature = "train")]
    if let Some(worker) = worker
        && worker.is_tired()
    {
        match side.requests.recv_timeout(bed::QUIET) {
            Ok(request) => return Some(request),
            Err(crossbeam_channel::RecvTimeoutError::Disconnected) => return None,
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => {
                if let Err(error) = worker.night(None, side) {
                    side.send(BrainEvent::Notice { text: format!("{error:#}") });
                }
            }
        }
    }
    #[cfg(not(feature = "train"))]
    let _ = worker;
    side.requests.recv().ok()
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
        | BrainRequest::Forget { turn, .. }
        | BrainRequest::Info { turn }
        | BrainRequest::Save { turn }
        | BrainRequest::Sleep { turn }
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
    #[cfg(feature = "train")]
    bed: bed::Bed,
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
        let mut worker = Self {
            #[cfg(feature = "train")]
            bed: bed::Bed::in_slot(&slot.dir, setup.threads),
            slot,
            ring,
            session,
            private: None,
            threads: setup.threads,
        };
        if fresh {
            worker.begin_life()?;
            worker.take_over_notes(setup.language, side)?;
        }
        worker.finish_import(side);
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

    /// A memory belongs to one brain. When there is a new brain (or no copy of the memory can be read), the fresh memory
    /// learns the notes of the journal again, of each topic the last one; the memory of the old brain stays where it is.
    fn take_over_notes(&mut self, language: Language, side: &BrainSide) -> anyhow::Result<()> {
        let all = self.slot.journal.notes();
        let mut notes: Vec<(&str, &str)> = Vec::new(); // topic, sentence
        for note in all.iter().rev() {
            if let Some((topic, _)) = note_parts(note)
                && notes.len() < MAX_REBORN_NOTES
                && !notes.iter().any(|n| n.0 == topic)
            {
                notes.push((topic, note));
            }
        }
        if notes.is_empty() {
            return Ok(());
        }
        for (_, note) in notes.iter().rev() {
            self.session.write_note(note);
        }
        self.save()?;
        let knows = |(topic, note): &&(&str, &str)| {
            let question = topics::question(topic, Lang::of(note));
            let value = note_parts(note).map_or("", |n| n.1);
            self.session.probe_topic(&question).text.contains(value)
        };
        let (n, known) = (notes.len(), notes.iter().filter(knows).count());
        let text = match language {
            Language::English => format!(
                "My memory began anew. I learned {n} notes of our journal again; asked, I recall {known} of them."
            ),
            Language::Japanese => format!(
                "おぼえるところが新しくなったよ。日記のメモを{n}こ、おぼえなおした。聞かれて言えたのは{known}こ。"
            ),
        };
        side.send(BrainEvent::Notice { text });
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
            #[cfg(feature = "train")]
            last_sleep: self.bed.last(),
            #[cfg(not(feature = "train"))]
            last_sleep: super::protocol::SleepSummary::default(),
        }
    }

    /// Whether there are notes that no whole sleep has gone over.
    #[cfg(feature = "train")]
    fn is_tired(&self) -> bool {
        self.bed.is_tired(self.slot.journal.notes().len())
    }

    /// Sleeps over the whole journal until it is done or a request comes in.
    #[cfg(feature = "train")]
    fn night(&mut self, turn: Option<TurnId>, side: &BrainSide) -> anyhow::Result<()> {
        let notes = self.slot.journal.notes();
        let go_on = &mut || match turn {
            Some(turn) => !side.is_cancelled(turn),
            None => side.requests.is_empty(),
        };
        let summary = self.bed.night(&mut self.session, &notes, go_on).unwrap_or_default();
        if summary.kept {
            self.save()?;
        }
        if turn.is_some() || summary.steps > 0 {
            side.send(BrainEvent::Slept { turn, summary, info: self.info() });
        }
        Ok(())
    }

    #[cfg(not(feature = "train"))]
    fn night(&mut self, _: Option<TurnId>, _: &BrainSide) -> anyhow::Result<()> {
        anyhow::bail!("this build has no sleep; build with --features train")
    }

    /// Unlearns a topic in both languages; the journal's notes of it no longer count. What was said stays in the chat
    /// history, and older copies of the memory in the ring.
    #[cfg(feature = "train")]
    fn forget(&mut self, topic: &str, turn: TurnId, side: &BrainSide) -> anyhow::Result<()> {
        let all = self.slot.journal.notes();
        let words: Vec<(Lang, String)> = match Lang::ALL.map(|lang| topics::topic(topic, lang)) {
            [Some(en), Some(ja)] => vec![(Lang::En, en.to_owned()), (Lang::Ja, ja.to_owned())],
            _ => vec![(Lang::of(topic), topic.trim().to_owned())],
        };
        let is_of = |note: &str| {
            note_parts(note).is_some_and(|(t, _)| words.iter().any(|(_, word)| word == t))
        };
        let (gone, stay): (Vec<String>, Vec<String>) = all.into_iter().partition(|n| is_of(n));
        let before = self.session.memory().clone();
        let go_on = &mut || side.flow(turn);
        let mut done = true;
        for (lang, word) in &words {
            done = done && self.bed.forget(&mut self.session, &stay, *lang, word, go_on);
        }
        if done {
            // The talk of the moment may hold it too.
            self.session.memory_mut().forget_talk();
        }
        if !done || self.save().is_err() {
            *self.session.memory_mut() = before;
            anyhow::bail!("I could not forget {topic}; nothing was changed");
        }
        let entry = Entry { forgotten: gone, ..Entry::now(false, "") };
        self.slot.journal.append(&[entry]).context("the journal could not be written")?;
        Ok(())
    }

    #[cfg(not(feature = "train"))]
    fn forget(&mut self, _: &str, _: TurnId, _: &BrainSide) -> anyhow::Result<()> {
        anyhow::bail!("this build cannot forget; build with --features train")
    }

    /// The sleep at the end of the program, if there is something to sleep over. What it keeps is saved by the caller.
    fn last_night(&mut self) {
        #[cfg(feature = "train")]
        if self.is_tired() {
            let notes = self.slot.journal.notes();
            let until = Instant::now() + bed::LAST_NIGHT;
            self.bed.night(&mut self.session, &notes, &mut || until > Instant::now());
        }
    }

    /// A moment of sleep behind a new note; the reply is out and saved before.
    fn nap(&mut self) {
        #[cfg(feature = "train")]
        if self.bed.nap(&mut self.session, &self.slot.journal.notes())
            && let Err(error) = self.save()
        {
            tracing::error!("{error:#}");
        }
    }

    fn answer(&mut self, request: BrainRequest, side: &BrainSide) -> anyhow::Result<()> {
        #[cfg(test)]
        if matches!(&request, BrainRequest::Say { text, .. } if text == tests::PANIC) {
            // As a fault in the middle of a reply would: the session has changed, the file has not.
            self.session.read("half a thought", &mut |_, _| side.flow(TurnId(u64::MAX)));
            panic!("asked to");
        }
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
                let entry = Entry { notes: vec![note], ..Entry::now(false, "") };
                if let Err(error) = self.slot.journal.append(&[entry]) {
                    side.send(BrainEvent::Notice {
                        text: format!("the journal could not be written: {error}"),
                    });
                }
                side.send(BrainEvent::Saved { turn, path, info: self.info() });
                self.nap();
            }
            BrainRequest::Forget { turn, topic } => {
                self.forget(&topic, turn, side)?;
                let path = self.ring.current_path();
                side.send(BrainEvent::Saved { turn, path, info: self.info() });
                // What stands near the forgotten may have suffered.
                self.nap();
            }
            BrainRequest::Sleep { turn } => self.night(Some(turn), side)?,
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
                if let Err(error) = self.slot.journal.set_aside() {
                    let text = format!("the journal of before could not be put aside: {error}");
                    side.send(BrainEvent::Notice { text });
                }
                #[cfg(feature = "train")]
                self.bed.begin_anew();
                let path = self.ring.current_path();
                side.send(BrainEvent::Saved { turn, path, info: self.info() });
            }
            BrainRequest::Export { turn, path } => {
                self.export(&path)?;
                side.send(BrainEvent::Saved { turn, path, info: self.info() });
            }
            BrainRequest::Import { turn, path } => {
                self.import(&path)?;
                #[cfg(feature = "train")]
                self.bed.begin_anew();
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
        if learn && !reply.notes.is_empty() {
            self.nap();
        }
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
    ///
    /// A copy of the file waits in the slot until all of it is in place, so that a crash between two files is mended at
    /// the next start.
    fn import(&mut self, path: &Path) -> anyhow::Result<()> {
        let pending = self.slot.dir.join(PENDING_IMPORT);
        let (memory, identity, journal) = self.check_import(path)?;
        self.save()?;
        bundle::copy(path, &pending)?;
        if let Err(error) = self.take_memory(memory) {
            // Nothing was taken over, so nothing is to be finished later.
            let _ = std::fs::remove_file(&pending);
            return Err(error);
        }
        self.take_rest(identity, &journal, &pending)
    }

    /// Finishes an import that a crash interrupted.
    fn finish_import(&mut self, side: &BrainSide) {
        let pending = self.slot.dir.join(PENDING_IMPORT);
        if !pending.is_file() {
            return;
        }
        let outcome = match self.check_import(&pending) {
            // A disk that refuses now may not next time: the file stays.
            Ok((memory, identity, journal)) => self
                .take_memory(memory)
                .and_then(|()| self.take_rest(identity, &journal, &pending))
                .map_err(|e| format!("an interrupted import is not finished yet: {e:#}")),
            Err(error) => {
                let aside = pending.with_extension("refused");
                let _ = std::fs::rename(&pending, &aside);
                let aside = aside.display();
                Err(format!(
                    "an interrupted import is given up: {error:#}; its file is now {aside}"
                ))
            }
        };
        if let Err(text) = outcome {
            side.send(BrainEvent::Notice { text });
        }
    }

    fn check_import(&self, path: &Path) -> anyhow::Result<(Memory, Identity, Vec<u8>)> {
        let files = bundle::read(path)?;
        let file = |name: &str| files.iter().find(|f| f.0 == name).map(|f| f.1.as_slice());
        let memory = file("memory.safetensors")
            .with_context(|| format!("{}: no memory in it", path.display()))?;
        let memory = Memory::from_bytes(memory, self.session.brain(), path)?;
        let identity = file("identity.json")
            .with_context(|| format!("{}: no identity in it", path.display()))?;
        let identity = Identity::from_json(identity)
            .with_context(|| format!("{}: its identity", path.display()))?;
        Ok((memory, identity, file("journal.jsonl").unwrap_or_default().to_vec()))
    }

    /// The memory of a bundle, on disk; or the one of before, if the disk refuses.
    fn take_memory(&mut self, memory: Memory) -> anyhow::Result<()> {
        let before = std::mem::replace(self.session.memory_mut(), memory);
        if let Err(error) = self.save() {
            *self.session.memory_mut() = before;
            return Err(error);
        }
        Ok(())
    }

    /// What else is in a bundle; the import is finished then.
    fn take_rest(
        &mut self,
        identity: Identity,
        journal: &[u8],
        pending: &Path,
    ) -> anyhow::Result<()> {
        self.slot.set_identity(identity)?;
        self.slot.journal.replace(journal).context("cannot write the journal")?;
        std::fs::remove_file(pending)
            .with_context(|| format!("cannot remove {}", pending.display()))
    }
}

fn mood_tag(idx: usize) -> MoodTag {
    MoodTag::ALL.get(idx).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use engine::{
        checkpoint,
        model::{ModelConfig, param_specs},
        rng::Rng,
        tokenizer::Tokenizer,
    };

    use super::*;
    use crate::brain::BrainHandle;

    /// A line that makes the thread panic.
    pub(super) const PANIC: &str = "panic, please";

    /// A brain of random weights on its thread, in a folder of its own, ready.
    fn brain() -> (BrainHandle, tempfile::TempDir) {
        let dir = tempfile::tempdir().expect("folder");
        let cfg = ModelConfig { vocab_size: 512, ..ModelConfig::preset("nano").expect("nano") };
        let specs = param_specs(&cfg);
        let params = |name: &str| {
            let spec = specs.iter().find(|s| s.name == name).expect("a name of the list");
            let mut rng = Rng::keyed(3, &[spec.name.len() as u64]);
            let around = if name.ends_with("norm") { 1.0 } else { 0.0 };
            (0..spec.shape.iter().product()).map(|_| around + 0.1 * rng.normal() as f32).collect()
        };
        let tokenizer = Tokenizer::bytes_only(cfg.vocab_size).expect("tokenizer");
        let model = dir.path().join("brain");
        checkpoint::export(&model, &cfg, &tokenizer, &params, &BTreeMap::new()).expect("export");
        let setup = BrainSetup {
            saves: dir.path().join("saves"),
            slot: "tete".into(),
            model: Ok(model),
            seed: 1,
            temperature: 0.7,
            threads: 1,
            language: Language::English,
        };
        let brain = BrainHandle::start(setup, None).expect("thread");
        assert!(matches!(next(&brain), BrainEvent::Ready { turn: None, .. }));
        (brain, dir)
    }

    fn next(brain: &BrainHandle) -> BrainEvent {
        brain.recv_timeout(Duration::from_secs(60)).expect("an event in time")
    }

    /// Hands over a request and hears its events, the finishing one last.
    fn ask(brain: &mut BrainHandle, request: impl Fn(TurnId) -> BrainRequest) -> Vec<BrainEvent> {
        let turn = brain.next_turn();
        assert!(brain.send(request(turn)));
        hear(brain, turn)
    }

    fn hear(brain: &BrainHandle, turn: TurnId) -> Vec<BrainEvent> {
        let mut heard = Vec::new();
        loop {
            let event = next(brain);
            assert_eq!(event.turn(), Some(turn), "{event:?}");
            let goes_on = matches!(
                event,
                BrainEvent::Mood { .. }
                    | BrainEvent::Delta { .. }
                    | BrainEvent::Remembered { .. }
                    | BrainEvent::Recalled { .. }
            );
            heard.push(event);
            if !goes_on {
                return heard;
            }
        }
    }

    fn say(text: &str) -> impl Fn(TurnId) -> BrainRequest {
        move |turn| BrainRequest::Say { turn, text: text.to_owned(), learn: true }
    }

    fn tokens_read(brain: &mut BrainHandle) -> u64 {
        match &ask(brain, |turn| BrainRequest::Info { turn })[..] {
            [BrainEvent::Info { info, .. }] => info.tokens_read,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_panic_is_told_and_the_last_saved_memory_goes_on() {
        let (mut brain, _dir) = brain();
        ask(&mut brain, say("hello"));
        let saved = tokens_read(&mut brain);
        for _ in 0..2 {
            let heard = ask(&mut brain, say(PANIC));
            assert!(
                matches!(&heard[..], [BrainEvent::Failed { text, .. }] if text.contains("asked to"))
            );
            assert!(matches!(next(&brain), BrainEvent::Ready { turn: None, .. }));
            assert_eq!(tokens_read(&mut brain), saved);
        }
        assert!(matches!(ask(&mut brain, say("again")).pop(), Some(BrainEvent::Finished { .. })));
    }

    #[test]
    fn pieces_come_at_most_twenty_a_second_and_make_the_reply() {
        let (mut brain, _dir) = brain();
        let heard = ask(&mut brain, say("hello"));
        let Some(BrainEvent::Finished { reply, stats, .. }) = heard.last() else {
            panic!("{heard:?}")
        };
        let pieces: Vec<&str> = heard
            .iter()
            .filter_map(|e| {
                if let BrainEvent::Delta { text, .. } = e { Some(text.as_str()) } else { None }
            })
            .collect();
        assert_eq!(pieces.concat(), *reply);
        let most = stats.total.as_millis() / DELTA_INTERVAL.as_millis() + 2;
        assert!(pieces.len() as u128 <= most, "{} pieces in {:?}", pieces.len(), stats.total);
    }

    #[test]
    fn a_cancelled_reading_keeps_what_was_read() {
        let (mut brain, _dir) = brain();
        let turn = brain.next_turn();
        brain.send(BrainRequest::Read { turn, text: "word ".repeat(100_000) });
        std::thread::sleep(Duration::from_millis(50));
        brain.cancel(turn);
        let Some(BrainEvent::ReadDone { tokens, .. }) = hear(&brain, turn).pop() else { panic!() };
        assert!((1..400_000).contains(&tokens), "{tokens}");
        assert_eq!(tokens_read(&mut brain), tokens as u64);
    }

    #[test]
    fn a_private_talk_goes_on_by_itself_and_leaves_nothing() {
        let (mut brain, dir) = brain();
        let memory =
            || std::fs::read(dir.path().join("saves/tete/memory.safetensors")).expect("memory");
        let before = memory();
        let private = |text: &'static str| {
            move |turn| BrainRequest::Say { turn, text: text.to_owned(), learn: false }
        };
        let reply = |events: Vec<BrainEvent>| match events.last() {
            Some(BrainEvent::Finished { reply, .. }) => reply.clone(),
            other => panic!("{other:?}"),
        };
        let first = reply(ask(&mut brain, private("a secret")));
        let second = reply(ask(&mut brain, private("a secret")));
        assert_ne!(first, second, "the second line follows the first");
        ask(&mut brain, |turn| BrainRequest::Save { turn });
        assert!(memory() == before);
        let journal =
            std::fs::read(dir.path().join("saves/tete/journal.jsonl")).unwrap_or_default();
        assert!(journal.is_empty());
    }
}
