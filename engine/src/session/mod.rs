//! One talk with one memory: read what a person says, answer, learn while doing so.
//!
//! [`Session`] is the only thing at run time that changes: it owns a [`Memory`] and feeds it tokens, nothing else is
//! remembered between turns. In: text, or token ids. Out: a [`Reply`], piece by piece while it is made.
//! Where memories are kept is the business of [`MemoryRing`]; this file opens no files.
//!
//! A session rests at a turn border: every call ends with `<end>` fed, also when it was cancelled.

use std::{ops::ControlFlow, sync::Arc};

use crate::{
    checkpoint::Brain,
    sampler::{Choice, Sampler, SamplerOptions, SoftmaxSum},
    tokenizer::{
        TokenId,
        chat_format::{self, MAX_NOTE_TOKENS_JA, NoteSentence},
        special,
        text_stream::TextStream,
    },
};

mod heart;
mod memory;
mod quotation;
mod ring;

use quotation::Quotation;

pub use heart::last_of_each_topic;
pub use memory::{FORMAT_VERSION, MAX_FILE_BYTES, Memory};
pub use ring::{MemoryRing, SnapshotInfo};

/// Tokens read between two looks at whether to go on.
const READ_CHUNK: usize = 64;
/// A reply ends when it says the same 1 to this many tokens over and over.
const MAX_CIRCLE: usize = 8;
/// Most notes in one companion turn.
const MAX_NOTES_PER_TURN: usize = 4;

/// How a session answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SessionOptions {
    /// Start of the random numbers. Default 0.
    pub seed: u64,
    /// How freely tokens are chosen.
    pub sampler: SamplerOptions,
    /// Longest reply in tokens, notes not counted. Range 1–4096, default 160.
    pub max_reply_tokens: usize,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self { seed: 0, sampler: SamplerOptions::default(), max_reply_tokens: 160 }
    }
}

/// News while a reply is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyPart<'a> {
    /// Index of the mood, before the first text.
    Mood(usize),
    /// The companion noted this sentence about the person; its lifelong heads have learned it.
    Note(&'a str),
    /// The next piece of the reply: whole characters. Empty while the prompt is read, a note is made or a character is
    /// not complete: a chance to cancel.
    Text(&'a str),
}

/// A whole reply.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reply {
    /// What was said, as it was streamed.
    pub text: String,
    /// Index of the mood, `0..10`.
    pub mood: usize,
    /// Notes made in this turn, in order.
    pub notes: Vec<String>,
    /// Tokens read for this turn, turn marks included.
    pub prompt_tokens: usize,
    /// Tokens made: notes, mood and text, turn marks included.
    pub reply_tokens: usize,
    /// Whether the caller stopped it.
    pub cancelled: bool,
    /// Mean probability that the model gave its own text tokens. Range 0–1; 0 without text.
    pub confidence: f32,
}

/// A talk: a brain, a memory, and how to answer.
#[derive(Debug, Clone)]
pub struct Session {
    brain: Arc<Brain>,
    memory: Memory,
    sampler: Sampler,
    max_reply_tokens: usize,
    /// What may come after the last token fed; zeros before the first. `[V]`
    logits: Vec<f32>,
}

impl Session {
    /// Continues `memory`, which must belong to `brain`.
    ///
    /// A memory of another brain is replaced by a fresh one, and logged; [`Memory::from_bytes`] never lets one through.
    pub fn new(brain: Arc<Brain>, memory: Memory, opts: SessionOptions) -> Self {
        let memory = if memory.model_id() == brain.id {
            memory
        } else {
            tracing::error!("a memory of brain {} was given to {}", memory.model_id(), brain.id);
            Memory::new(&brain)
        };
        Self {
            sampler: Sampler::new(opts.sampler, opts.seed),
            max_reply_tokens: opts.max_reply_tokens.clamp(1, 4096),
            logits: vec![0.0; brain.config.vocab_size],
            memory,
            brain,
        }
    }

    /// The brain in use.
    pub fn brain(&self) -> &Arc<Brain> {
        &self.brain
    }

    /// What has been learned.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// What has been learned, to be changed from outside.
    pub fn memory_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// The sampler, to change its options or its random state.
    pub fn sampler_mut(&mut self) -> &mut Sampler {
        &mut self.sampler
    }

    /// An independent copy: same brain, a copy of the memory and of the random state.
    pub fn fork(&self) -> Session {
        self.clone()
    }

    /// Reads `user` as a turn of the person and answers it. `on_part` hears the reply as it is made; `Break` stops it
    /// between two tokens, also while `user` is still being read.
    ///
    /// The text is read whatever its length, in constant memory beyond its ids. What was read before a stop stays learned.
    pub fn reply(
        &mut self,
        user: &str,
        on_part: &mut dyn FnMut(ReplyPart<'_>) -> ControlFlow<()>,
    ) -> Reply {
        let prompt = chat_format::prompt(&self.brain.tokenizer, user);
        let mut keep_going = |_, _| on_part(ReplyPart::Text(""));
        let (prompt_tokens, flow) = self.feed_chunks(&prompt, &mut keep_going);
        let mut reply = Reply { prompt_tokens, ..Reply::default() };
        if flow.is_break() || self.write_notes(user, &mut reply, on_part).is_break() {
            reply.cancelled = true;
            self.end_reply(&mut reply);
            return reply;
        }
        self.speak(&mut reply, on_part);
        reply
    }

    /// Says something without being asked: `<b> <mood> text <end>`, without notes.
    pub fn remark(&mut self, on_part: &mut dyn FnMut(ReplyPart<'_>) -> ControlFlow<()>) -> Reply {
        self.feed(&[special::BOT]);
        let mut reply = Reply { prompt_tokens: 1, ..Reply::default() };
        self.speak(&mut reply, on_part);
        reply
    }

    /// Reads `text` as a turn of the person and says nothing: `<u> text <end>`.
    ///
    /// The session heads learn from every token, so the companion can talk about it for a while. The lifelong heads do
    /// not change at all, whatever the text says: they learn in notes only, and no text can open one.
    /// `keep_going` gets tokens read so far and tokens in all, every 64 tokens; `Break` stops. Returns the tokens read.
    pub fn read(
        &mut self,
        text: &str,
        keep_going: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> usize {
        let turn = chat_format::user_turn(&self.brain.tokenizer, text);
        let (n_read, _) = self.feed_chunks(&turn, keep_going);
        self.end_turn();
        n_read + 1
    }

    /// Writes a fact into the lifelong heads, as if the companion had noted it: `<b> <m> sentence </m> <end>`.
    ///
    /// Returns false and changes nothing if `sentence` is not of the form `your … is ….` or `きみの…は…。`, or longer than
    /// 40 tokens.
    pub fn write_note(&mut self, sentence: &str) -> bool {
        let Some(form) = NoteSentence::parse(sentence) else { return false };
        let ids = form.ids(&self.brain.tokenizer);
        if ids.len() > MAX_NOTE_TOKENS_JA {
            return false;
        }
        self.feed(&[special::BOT, special::NOTE]);
        self.feed(&ids);
        self.feed(&[special::NOTE_END]);
        self.memory.notes_written += 1;
        self.end_turn();
        true
    }

    /// The most likely answer to `question` on a copy of the memory; this session stays as it is.
    pub fn probe_topic(&self, question: &str) -> Reply {
        let mut copy = self.fork();
        copy.sampler.set_options(SamplerOptions::greedy());
        copy.reply(question, &mut |_| ControlFlow::Continue(()))
    }

    /// Feeds ids as they are, reserved ones included. Returns the logits after the last, `[V]`; those from before if
    /// `ids` is empty. Ids outside the vocabulary count as `<pad>`.
    ///
    /// For training tools and tests: a caller that feeds `<m>` opens the gate of the lifelong heads.
    pub fn feed(&mut self, ids: &[TokenId]) -> &[f32] {
        let n_vocab = self.brain.config.vocab_size as TokenId;
        for chunk in ids.chunks(READ_CHUNK) {
            if chunk.iter().all(|&id| id < n_vocab) {
                self.advance(chunk);
            } else {
                let known = |&id: &TokenId| if id < n_vocab { id } else { special::PAD };
                self.advance(&chunk.iter().map(known).collect::<Vec<_>>());
            }
        }
        &self.logits
    }

    /// Feeds `ids` and tells how surprising each was: entry `t` is `−ln p(ids[t + 1] | … ids[t])` in nats.
    /// `ids.len() − 1` entries.
    pub fn score(&mut self, ids: &[TokenId]) -> Vec<f32> {
        let mut out = Vec::with_capacity(ids.len());
        for pair in ids.windows(2) {
            let logits = self.feed(&pair[..1]);
            let next = logits.get(pair[1] as usize).copied().unwrap_or(f32::NEG_INFINITY);
            let sum = SoftmaxSum::of(logits.iter().copied());
            out.push(sum.map_or(f32::INFINITY, |sum| sum.nats(next)));
        }
        if let Some(last) = ids.last() {
            self.feed(&[*last]);
        }
        out
    }

    /// The only place where tokens reach the model. `ids`: at least one, all below `V`.
    fn advance(&mut self, ids: &[TokenId]) {
        let brain = Arc::clone(&self.brain);
        let hidden = brain.model.forward_tokens(ids, &mut self.memory.state);
        brain.model.logits(&hidden, &mut self.logits);
        self.memory.tokens_read += ids.len() as u64;
    }

    /// Feeds until done or stopped; tells the tokens fed.
    fn feed_chunks(
        &mut self,
        ids: &[TokenId],
        keep_going: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> (usize, ControlFlow<()>) {
        let mut n_fed = 0;
        for chunk in ids.chunks(READ_CHUNK) {
            if keep_going(n_fed, ids.len()).is_break() {
                return (n_fed, ControlFlow::Break(()));
            }
            self.feed(chunk);
            n_fed += chunk.len();
        }
        (n_fed, keep_going(n_fed, ids.len()))
    }

    fn end_reply(&mut self, reply: &mut Reply) {
        reply.reply_tokens += 1;
        self.end_turn();
    }

    fn end_turn(&mut self) {
        self.feed(&[special::END]);
        self.sampler.clear_recent();
        self.memory.updated = memory::unix_now();
    }

    /// Lets the model open notes; stands before the mood afterwards.
    ///
    /// A note is opened if `<m>` is more likely than all moods together: no chance is involved in what is learned.
    fn write_notes(
        &mut self,
        said: &str,
        reply: &mut Reply,
        on_part: &mut dyn FnMut(ReplyPart<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let quotation = Quotation::of(said);
        for _ in 0..MAX_NOTES_PER_TURN {
            let may = |id| id == special::NOTE || special::mood_idx(id).is_some();
            let note = SoftmaxSum::of((0..).zip(&self.logits).filter(|l| may(l.0)).map(|l| *l.1))
                .map_or(0.0, |sum| sum.probability(self.logits[special::NOTE as usize]));
            if note <= 0.5 {
                break;
            }
            let (n_tokens, sentence) = self.write_own_note(&quotation, on_part);
            reply.reply_tokens += n_tokens;
            let Some(sentence) = sentence else { break };
            let flow = on_part(ReplyPart::Note(&sentence));
            reply.notes.push(sentence);
            flow?;
        }
        on_part(ReplyPart::Text(""))
    }

    /// One note, the most likely one whose value the person said ([`Quotation`]). A note that is too long, stopped, or
    /// not of the form is closed, and what the lifelong heads learned in it is taken back. Returns tokens made and the
    /// sentence.
    fn write_own_note(
        &mut self,
        quotation: &Quotation,
        on_part: &mut dyn FnMut(ReplyPart<'_>) -> ControlFlow<()>,
    ) -> (usize, Option<String>) {
        let before = self.memory.lifelong_snapshot();
        self.feed(&[special::NOTE]);
        let (mut ids, mut bytes) = (Vec::new(), Vec::new());
        let mut is_closed = false;
        while ids.len() <= MAX_NOTE_TOKENS_JA && on_part(ReplyPart::Text("")).is_continue() {
            let tokenizer = &self.brain.tokenizer;
            let next = quotation.next(&bytes);
            let may_close = quotation.allows(&String::from_utf8_lossy(&bytes));
            let may = |id| match id {
                special::NOTE_END => may_close,
                _ => is_text(&self.brain, id) && next.allows(tokenizer.token_bytes(id)),
            };
            let Some(choice) = self.sampler.choose_greedy(&self.logits, may) else { break };
            if choice.id == special::NOTE_END {
                is_closed = true;
                break;
            }
            ids.push(choice.id);
            bytes.extend_from_slice(tokenizer.token_bytes(choice.id));
            self.feed(&[choice.id]);
        }
        self.feed(&[special::NOTE_END]);
        let sentence = chat_format::ids_text(&self.brain.tokenizer, &ids);
        let is_good = is_closed
            && NoteSentence::parse(&sentence).is_some_and(|form| ids.len() <= form.max_tokens());
        if is_good {
            self.memory.notes_written += 1;
        } else {
            self.memory.restore_lifelong(&before);
            tracing::debug!("note taken back: {sentence:?}");
        }
        (ids.len() + 2, is_good.then_some(sentence))
    }

    /// Mood and text, then the end of the turn. Stands right after `<b>` or a note.
    fn speak(
        &mut self,
        reply: &mut Reply,
        on_part: &mut dyn FnMut(ReplyPart<'_>) -> ControlFlow<()>,
    ) {
        let is_mood = |id| special::mood_idx(id).is_some();
        let mood = self.sampler.choose(&self.logits, is_mood).map_or(special::mood(0), |c| c.id);
        reply.mood = special::mood_idx(mood).unwrap_or(0);
        self.feed(&[mood]);
        reply.reply_tokens += 1;
        if on_part(ReplyPart::Mood(reply.mood)).is_break() {
            reply.cancelled = true;
            return self.end_reply(reply);
        }
        let mut stream = TextStream::new();
        let mut sum_of_p = 0.0;
        let mut n_text = 0;
        let mut said = Vec::new();
        while n_text < self.max_reply_tokens && !runs_in_circles(&said) {
            let Some(choice) = self.choose_text(!reply.text.trim().is_empty()) else { break };
            if chat_format::ends_reply(choice.id) {
                break;
            }
            self.sampler.accept(choice.id);
            self.feed(&[choice.id]);
            said.push(choice.id);
            sum_of_p += choice.probability;
            n_text += 1;
            let mut piece = stream.push_id(&self.brain.tokenizer, choice.id);
            if reply.text.is_empty() {
                piece.drain(..piece.len() - piece.trim_start().len());
            }
            reply.text.push_str(&piece);
            if on_part(ReplyPart::Text(&piece)).is_break() {
                reply.cancelled = true;
                break;
            }
        }
        // An unfinished character at the end is dropped: it was never shown.
        reply.reply_tokens += n_text;
        reply.confidence = sum_of_p / n_text.max(1) as f32;
        self.end_reply(reply);
    }

    /// The next text token, or one that ends the reply if `may_end`.
    fn choose_text(&mut self, may_end: bool) -> Option<Choice> {
        let brain = &self.brain;
        let may = |id| is_text(brain, id) || (may_end && chat_format::ends_reply(id));
        self.sampler.choose(&self.logits, may)
    }
}

/// Whether the last tokens are a short piece at least four times, and at least twelve tokens: nothing new will come.
fn runs_in_circles(said: &[TokenId]) -> bool {
    (1..=MAX_CIRCLE).any(|period| {
        let n = period * 4.max(12_usize.div_ceil(period));
        said.len() >= n && {
            let tail = &said[said.len() - n..];
            tail[period..] == tail[..n - period]
        }
    })
}

/// What a note is about, and what it says about it: `("name", "Mia")` of `your name is Mia.`
pub fn note_parts(sentence: &str) -> Option<(&str, &str)> {
    NoteSentence::parse(sentence).map(|note| (note.topic(), note.value()))
}

/// Whether `id` stands for bytes of text; filler ids of the vocabulary do not.
fn is_text(brain: &Brain, id: TokenId) -> bool {
    !brain.tokenizer.token_bytes(id).is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HeadKind, ModelConfig};

    fn session() -> Session {
        let cfg = ModelConfig {
            vocab_size: 320,
            d_model: 64,
            n_layers: 2,
            head_dim: 16,
            d_ff: 192,
            session_tau_max: vec![32.0, 256.0],
            n_lifelong_heads: 2,
            chunk_len: 16,
        };
        let brain = Arc::new(Brain::random(&cfg, 5));
        let memory = Memory::new(&brain);
        Session::new(brain, memory, SessionOptions { max_reply_tokens: 40, ..Default::default() })
    }

    fn lifelong(session: &Session) -> Vec<f32> {
        session.memory.heads(HeadKind::Lifelong).concat()
    }

    fn go_on(_: ReplyPart<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[test]
    fn a_note_that_is_no_note_is_taken_back() {
        let mut session = session();
        assert!(session.write_note("your name is Mia."));
        let before = lifelong(&session);
        session.feed(&chat_format::prompt(&session.brain.clone().tokenizer, "hello"));
        // Make the model want a note; what it then writes is noise.
        session.logits[special::NOTE as usize] = 1e6;
        let mut reply = Reply::default();
        let flow = session.write_notes("hello", &mut reply, &mut go_on);
        assert!(flow.is_continue() && reply.notes.is_empty() && reply.reply_tokens > 2);
        assert_eq!(lifelong(&session), before);
        assert!(!session.memory.state.note);
        assert_eq!(session.memory.notes_written, 1);
    }

    #[test]
    fn a_stop_inside_a_note_takes_it_back() {
        let mut session = session();
        session.feed(&[special::USER, special::BOT]);
        session.logits[special::NOTE as usize] = 1e6;
        let before = lifelong(&session);
        let mut polls = 0;
        let flow = session.write_notes("", &mut Reply::default(), &mut |_| {
            polls += 1;
            if polls > 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(flow.is_break());
        assert_eq!(lifelong(&session), before);
    }

    #[test]
    fn a_dictated_note_reaches_the_lifelong_heads() {
        let mut session = session();
        let fresh = lifelong(&session);
        for refused in ["", "hello", "your name is .", "your <m> name Mia.", &"x".repeat(500)] {
            assert!(!session.write_note(refused), "{refused}");
        }
        assert_eq!((session.memory.tokens_read, session.memory.notes_written), (0, 0));
        assert!(session.write_note("your name is Mia."));
        assert_ne!(lifelong(&session), fresh);
        assert!(session.write_note("きみの名前はミア。"));
        assert_eq!(session.memory.notes_written, 2);
    }

    #[test]
    fn replies_stream_what_they_return_and_are_never_empty() {
        let mut session = session();
        for i in 0..10 {
            let mut streamed = String::new();
            let mut moods = Vec::new();
            let reply = session.reply(&format!("hello {i}"), &mut |part| {
                match part {
                    ReplyPart::Text(piece) => streamed.push_str(piece),
                    ReplyPart::Mood(mood) => moods.push(mood),
                    ReplyPart::Note(_) => {}
                }
                ControlFlow::Continue(())
            });
            assert_eq!(streamed, reply.text);
            assert_eq!(moods, [reply.mood]);
            assert!(!reply.text.trim().is_empty() && !reply.cancelled);
            assert!((0.0..=1.0).contains(&reply.confidence) && reply.confidence > 0.0);
        }
    }

    #[test]
    fn a_stop_ends_the_turn_wherever_it_comes() {
        for stop_at in 0..30 {
            let mut session = session();
            let mut polls = 0;
            let reply = session.reply(&"long ".repeat(60), &mut |_| {
                polls += 1;
                if polls > stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert!(reply.cancelled, "stopped at {stop_at}");
            assert_eq!(polls, stop_at + 1);
            let fed = reply.prompt_tokens + reply.reply_tokens;
            assert_eq!(session.memory.tokens_read as usize, fed, "stopped at {stop_at}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_talk_and_a_probe_leaves_no_trace() {
        let (mut a, mut b) = (session(), session());
        let fresh = a.memory.to_bytes();
        let probed = a.probe_topic("what is my name?");
        assert_eq!(a.memory.to_bytes(), fresh);
        assert_eq!(a.probe_topic("what is my name?"), probed);
        for text in ["hi", "きみはだれ？", ""] {
            assert_eq!(a.reply(text, &mut go_on), b.reply(text, &mut go_on));
        }
        assert_eq!(a.logits, b.logits);
    }

    #[test]
    fn a_reply_that_runs_in_circles_is_seen() {
        assert!(!runs_in_circles(&[]) && !runs_in_circles(&[7; 11]));
        assert!(runs_in_circles(&[7; 12]) && runs_in_circles(&[1, 2, 3].repeat(4)));
        assert!(!runs_in_circles(&[1, 2, 3].repeat(3)));
        let mut said: Vec<TokenId> = (0..50).collect();
        assert!(!runs_in_circles(&said));
        said.extend([5, 6, 7, 8, 9, 10, 11, 12].repeat(4));
        assert!(runs_in_circles(&said));
    }

    #[test]
    fn a_remark_is_a_turn_of_its_own() {
        let mut session = session();
        let before = lifelong(&session);
        let reply = session.remark(&mut go_on);
        assert!(!reply.text.trim().is_empty() && reply.notes.is_empty());
        assert_eq!(session.memory.tokens_read as usize, 1 + reply.reply_tokens);
        assert_eq!(lifelong(&session), before);
    }

    #[test]
    fn scores_are_those_of_the_logits() {
        let mut session = session();
        let ids = chat_format::prompt(&session.brain.clone().tokenizer, "hello there");
        let nats = session.fork().score(&ids);
        assert_eq!(nats.len(), ids.len() - 1);
        for (t, nats) in nats.iter().enumerate() {
            let logits = session.feed(&ids[t..=t]);
            let sum: f64 = logits.iter().map(|x| f64::from(*x).exp()).sum();
            let expected = sum.ln() - f64::from(logits[ids[t + 1] as usize]);
            assert!((f64::from(*nats) - expected).abs() < 1e-3);
        }
        assert!(session.score(&[]).is_empty());
    }

    #[test]
    fn reading_tells_how_far_it_is_and_stops() {
        let mut session = session();
        let text = "word ".repeat(100);
        let mut heard = Vec::new();
        let n = session.read(&text, &mut |done, all| {
            heard.push((done, all));
            if done >= 128 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(n, 129);
        assert_eq!(heard.iter().map(|h| h.0).collect::<Vec<_>>(), [0, 64, 128]);
        assert_eq!(session.memory.tokens_read, 129);
    }
}
