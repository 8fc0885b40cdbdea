//! The brain inside the game: a resource to send requests, a message for each event, and the wake-up of a sleeping loop.

use bevy::{
    prelude::*,
    winit::{EventLoopProxyWrapper, WinitUserEvent},
};

use crossbeam_channel::Sender;

use super::{
    BrainHandle, BrainSetup,
    protocol::{BrainEvent, BrainRequest, TurnId},
};
use crate::persona::{journal::Journal, slots::SlotFolder};

/// Events taken over in one frame.
const PER_FRAME: usize = 64;
/// Lines of the journal that the chat shows from earlier runs.
const HISTORY_LINES: usize = 200;

/// A line of an earlier run, from the journal of the save slot.
#[derive(Debug, Clone, PartialEq)]
pub struct PastLine {
    /// True: the person said it; false: the companion.
    pub by_person: bool,
    /// The words.
    pub text: String,
    /// Seconds since 1970.
    pub unix_s: i64,
}

/// The recent part of the journal, oldest first; set anew when the persona changes.
#[derive(Debug, Clone, Default, Resource)]
pub struct History(pub Vec<PastLine>);

/// News from the brain, one message an event.
#[derive(Debug, Clone, Message)]
pub struct BrainNews(pub BrainEvent);

/// What the brain needs to start; taken once the window's loop runs.
#[derive(Debug, Resource)]
pub struct BrainStart(pub BrainSetup);

/// The way to the brain.
#[derive(Debug, Default, Resource)]
pub struct BrainLink {
    handle: Option<BrainHandle>,
    /// Where requests go when there is no thread behind (tests of the interface).
    outbox: Option<Sender<BrainRequest>>,
    last: u64,
    /// The newest turn that was cancelled.
    pub cancelled: Option<TurnId>,
}

impl BrainLink {
    /// A link that only hands requests over to `outbox`.
    pub fn new(outbox: Sender<BrainRequest>) -> Self {
        Self { outbox: Some(outbox), ..Self::default() }
    }

    /// A link to a brain that runs already.
    pub fn to_brain(handle: BrainHandle) -> Self {
        Self { handle: Some(handle), ..Self::default() }
    }

    /// A number for the next request.
    pub fn next_turn(&mut self) -> TurnId {
        self.last += 1;
        TurnId(self.last)
    }

    /// Hands over a request; never waits.
    pub fn send(&mut self, request: BrainRequest) {
        let taken = match (&self.handle, &self.outbox) {
            (Some(handle), _) => handle.send(request),
            (None, Some(outbox)) => outbox.try_send(request).is_ok(),
            (None, None) => false,
        };
        if !taken {
            warn!("the brain takes no more requests");
        }
    }

    /// `turn` and everything older stops between two tokens.
    pub fn cancel(&mut self, turn: TurnId) {
        self.cancelled = self.cancelled.max(Some(turn));
        if let Some(handle) = &self.handle {
            handle.cancel(turn);
        }
    }
}

/// Adds the systems of this file.
pub fn plugin(app: &mut App) {
    app.init_resource::<BrainLink>()
        .init_resource::<History>()
        .add_message::<BrainNews>()
        .add_systems(PreStartup, start)
        .add_systems(PreUpdate, drain)
        .add_systems(Last, quit_with_app);
}

fn start(
    start: Option<Res<BrainStart>>,
    proxy: Option<Res<EventLoopProxyWrapper>>,
    mut link: ResMut<BrainLink>,
    mut history: ResMut<History>,
    mut news: MessageWriter<BrainNews>,
) {
    let Some(start) = start else { return };
    history.0 = past_lines(&start.0, &start.0.slot);
    let waker = proxy.map(|proxy| {
        let proxy = (**proxy).clone();
        Box::new(move || {
            let _ = proxy.send_event(WinitUserEvent::WakeUp);
        }) as super::Waker
    });
    match BrainHandle::start(start.0.clone(), waker) {
        Ok(handle) => {
            crate::modes::save_on_signals(&handle, &[2, 15, 1]);
            link.handle = Some(handle);
        }
        Err(error) => {
            let text = format!("no thread for the brain: {error}");
            news.write(BrainNews(BrainEvent::Failed { turn: None, text }));
        }
    }
}

fn past_lines(setup: &BrainSetup, slot: &str) -> Vec<PastLine> {
    let known = SlotFolder::new(&setup.saves).list().into_iter().any(|(name, _)| name == slot);
    if !known {
        return Vec::new();
    }
    let lines = Journal::in_slot(&setup.saves.join(slot)).recent(HISTORY_LINES);
    lines
        .into_iter()
        .filter(|e| !e.text.is_empty()) // a dictated note is no line of the talk
        .map(|e| PastLine { by_person: e.by_person, text: e.text, unix_s: e.unix_s })
        .collect()
}

fn drain(
    link: Res<BrainLink>,
    setup: Option<Res<BrainStart>>,
    proxy: Option<Res<EventLoopProxyWrapper>>,
    mut history: ResMut<History>,
    mut news: MessageWriter<BrainNews>,
) {
    let Some(handle) = &link.handle else { return };
    let mut n_events = 0;
    for event in std::iter::from_fn(|| handle.try_recv()).take(PER_FRAME) {
        n_events += 1;
        if let (BrainEvent::Ready { turn: Some(_), info }, Some(setup)) = (&event, &setup) {
            history.0 = past_lines(&setup.0, &info.persona);
        }
        news.write(BrainNews(event));
    }
    if let (PER_FRAME, Some(proxy)) = (n_events, proxy) {
        // More may wait, and its wake-up is used up.
        let _ = proxy.send_event(WinitUserEvent::WakeUp);
    }
}

/// Saves before the program ends.
fn quit_with_app(mut exits: MessageReader<AppExit>, mut link: ResMut<BrainLink>) {
    if exits.read().count() > 0
        && let Some(mut handle) = link.handle.take()
    {
        handle.cancel(TurnId(u64::MAX));
        handle.quit();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::brain::scripted;

    fn brain_app(reply: &str) -> App {
        let brain = scripted::start(vec![reply.to_owned()], Duration::ZERO).expect("thread");
        let mut app = App::new();
        app.add_plugins((MinimalPlugins, plugin)).insert_resource(BrainLink::to_brain(brain));
        app
    }

    /// Updates until `n` events were heard, for a few seconds at most; each frame's events in a list of its own.
    fn frames(app: &mut App, n: usize) -> Vec<Vec<BrainEvent>> {
        let mut frames = Vec::new();
        let mut n_heard = 0;
        for _ in 0..5000 {
            app.update();
            let mut news = app.world_mut().resource_mut::<Messages<BrainNews>>();
            let frame: Vec<BrainEvent> = news.drain().map(|news| news.0).collect();
            n_heard += frame.len();
            frames.push(frame);
            if n_heard >= n {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        frames
    }

    #[test]
    fn events_become_messages_a_bounded_number_a_frame() {
        let mut app = brain_app(&"a".repeat(300));
        let mut link = app.world_mut().resource_mut::<BrainLink>();
        let turn = link.next_turn();
        link.send(BrainRequest::Say { turn, text: "hello".into(), learn: true });
        std::thread::sleep(Duration::from_millis(50));
        // Ready, mood, 300 letters, finished.
        let frames = frames(&mut app, 303);
        assert!(frames.iter().all(|frame| frame.len() <= PER_FRAME));
        let last = frames.concat().pop();
        assert!(matches!(last, Some(BrainEvent::Finished { turn: t, .. }) if t == turn));
        assert_eq!(frames.concat().len(), 303);
    }

    #[test]
    fn the_thread_has_ended_when_the_app_has() {
        let mut app = brain_app("");
        app.update();
        app.world_mut().write_message(AppExit::Success);
        app.update();
        assert!(app.world().resource::<BrainLink>().handle.is_none());
    }

    #[test]
    fn cancelling_an_older_turn_later_changes_nothing() {
        let mut link = BrainLink::default();
        let (first, second) = (link.next_turn(), link.next_turn());
        link.cancel(second);
        link.cancel(first);
        assert_eq!(link.cancelled, Some(second));
    }
}
