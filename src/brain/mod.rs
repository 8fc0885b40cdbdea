//! The brain as the program sees it: a thread, two channels, plain data.
//!
//! [`BrainHandle`] starts the thread and talks to it; the front ends (window, terminal, JSON lines) use nothing else.

mod bundle;
pub mod protocol;
pub mod scripted;
mod worker;

#[cfg(feature = "window")]
pub mod link;

use std::{
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use protocol::{BrainEvent, BrainRequest, Language, TurnId};

/// Requests that may wait; more are refused, so that no front end can run away.
const REQUEST_CAPACITY: usize = 8;
/// How long a program that must end waits for the last save.
pub const STOP_PATIENCE: Duration = Duration::from_secs(8);

/// What the thread needs to know.
#[derive(Debug, Clone)]
pub struct BrainSetup {
    /// Folder of the save slots.
    pub saves: PathBuf,
    /// Slot to open.
    pub slot: String,
    /// Model folder, or why there is none.
    pub model: Result<PathBuf, String>,
    /// Start of the random numbers.
    pub seed: u64,
    /// How freely words are chosen, 0 to 2.
    pub temperature: f32,
    /// Compute threads.
    pub threads: usize,
    /// Language of a new slot and of messages.
    pub language: Language,
}

/// Called whenever an event was sent, to wake a sleeping front end.
pub type Waker = Box<dyn Fn() + Send>;

/// The way to a running brain.
#[derive(Debug)]
pub struct BrainHandle {
    requests: Sender<BrainRequest>,
    events: Receiver<BrainEvent>,
    cancelled: Arc<AtomicU64>,
    last_turn: u64,
    thread: Option<JoinHandle<()>>,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
}

/// The thread's side of the channels.
pub(crate) struct BrainSide {
    pub(crate) requests: Receiver<BrainRequest>,
    events: Sender<BrainEvent>,
    cancelled: Arc<AtomicU64>,
    wake: Option<Waker>,
}

impl BrainSide {
    /// Sends an event; false if nobody listens any more.
    pub(crate) fn send(&self, event: BrainEvent) -> bool {
        let heard = self.events.send(event).is_ok();
        if let Some(wake) = &self.wake {
            wake();
        }
        heard
    }

    /// Whether `turn` was cancelled.
    pub(crate) fn is_cancelled(&self, turn: TurnId) -> bool {
        turn.0 <= self.cancelled.load(Ordering::Relaxed)
    }

    /// `Break` if `turn` was cancelled.
    pub(crate) fn flow(&self, turn: TurnId) -> ControlFlow<()> {
        if self.is_cancelled(turn) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl BrainHandle {
    /// Starts the brain's thread.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(setup: BrainSetup, wake: Option<Waker>) -> std::io::Result<Self> {
        Self::start_with(wake, move |side| worker::run(&setup, &side))
    }

    /// Starts any brain: `body` runs on the thread until it is told to quit.
    pub(crate) fn start_with(
        wake: Option<Waker>,
        body: impl FnOnce(BrainSide) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (requests, inbox) = bounded(REQUEST_CAPACITY);
        // Not bounded: a front end that stands still must not stop the brain before it has saved. What can gather is
        // small, as a reply has an end and the inbox is short.
        let (outbox, events) = unbounded();
        let cancelled = Arc::new(AtomicU64::new(0));
        let side =
            BrainSide { requests: inbox, events: outbox, cancelled: cancelled.clone(), wake };
        let (running, ended) = bounded(0);
        let thread = std::thread::Builder::new().name("brain".into()).spawn(move || {
            let _running: Sender<()> = running;
            body(side);
        })?;
        Ok(Self { requests, events, cancelled, last_turn: 0, thread: Some(thread), ended })
    }

    /// A number for the next request.
    pub fn next_turn(&mut self) -> TurnId {
        self.last_turn += 1;
        TurnId(self.last_turn)
    }

    /// Hands over a request without waiting; false if the inbox is full or the thread is gone.
    pub fn send(&self, request: BrainRequest) -> bool {
        self.requests.try_send(request).is_ok()
    }

    /// `turn` and everything older stops between two tokens.
    pub fn cancel(&self, turn: TurnId) {
        self.cancelled.fetch_max(turn.0, Ordering::Relaxed);
    }

    /// The next event, if there is one.
    pub fn try_recv(&self) -> Option<BrainEvent> {
        self.events.try_recv().ok()
    }

    /// Waits for the next event; `None` when the thread is gone or `timeout` has passed.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<BrainEvent> {
        self.events.recv_timeout(timeout).ok()
    }

    /// Waits for the next event, however long; `None` when the thread is gone.
    pub fn recv(&self) -> Option<BrainEvent> {
        self.events.recv().ok()
    }

    /// Whether the thread still runs. Events it sent before it ended may still wait.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// A second way to stop the brain, for a signal handler: stops the reply, saves, waits until the thread has ended,
    /// at most [`STOP_PATIENCE`].
    pub fn stopper(&self) -> impl Fn() + Send + Sync + use<> {
        let (requests, cancelled) = (self.requests.clone(), self.cancelled.clone());
        let ended = self.ended.clone();
        move || {
            cancelled.store(u64::MAX, Ordering::Relaxed);
            let _ = requests.send_timeout(BrainRequest::Quit, STOP_PATIENCE);
            let _ = ended.recv_timeout(STOP_PATIENCE);
        }
    }

    /// Saves and ends the thread. Waits for it.
    pub fn quit(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = self.requests.send_timeout(BrainRequest::Quit, Duration::from_secs(10));
            let _ = thread.join();
        }
    }
}

impl Drop for BrainHandle {
    fn drop(&mut self) {
        self.quit();
    }
}
