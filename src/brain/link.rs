//! The brain inside the game: starts the thread, hands requests over, turns its events into messages.
//!
//! In: the resource [`BrainSetup`] (without it nothing starts) and calls on [`BrainLink`]. Out: [`BrainNews`], at most
//! [`MAX_NEWS_PER_FRAME`] a frame. A sleeping event loop is woken whenever the thread has sent something.
//! On the last frame, and on SIGTERM, the memory is saved before the program ends. Opens no windows, draws nothing.

use bevy::{
    prelude::*,
    winit::{EventLoopProxyWrapper, WinitUserEvent},
};
use crossbeam_channel::Sender;

use super::{
    BrainHandle, BrainSetup, Waker,
    protocol::{BrainEvent, BrainRequest, TurnId},
};

/// Events that become messages in one frame; the rest waits for the next.
pub const MAX_NEWS_PER_FRAME: usize = 64;

/// News from the brain, one message an event.
#[derive(Debug, Clone, Message)]
pub struct BrainNews(pub BrainEvent);

/// The way to the brain.
#[derive(Debug, Resource)]
pub struct BrainLink {
    way: Way,
    last: u64,
    /// The newest turn that was cancelled.
    pub cancelled: Option<TurnId>,
}

#[derive(Debug)]
enum Way {
    Brain(BrainHandle),
    Channel(Sender<BrainRequest>),
}

impl BrainLink {
    /// A link that sends into `requests`: for tests of one plugin without a brain.
    pub fn new(requests: Sender<BrainRequest>) -> Self {
        Self { way: Way::Channel(requests), last: 0, cancelled: None }
    }

    /// A link to a running brain, whose events become [`BrainNews`].
    pub fn to_brain(brain: BrainHandle) -> Self {
        Self { way: Way::Brain(brain), last: 0, cancelled: None }
    }

    /// A number for the next request.
    pub fn next_turn(&mut self) -> TurnId {
        self.last += 1;
        TurnId(self.last)
    }

    /// Hands over a request; never waits. What cannot be handed over (the thread is far behind, or gone) is lost and logged.
    pub fn send(&mut self, request: BrainRequest) {
        let is_sent = match &self.way {
            Way::Brain(brain) => brain.send(request),
            Way::Channel(requests) => requests.try_send(request).is_ok(),
        };
        if !is_sent {
            warn!("the brain takes no more requests for now");
        }
    }

    /// Everything up to `turn` stops between two tokens.
    pub fn cancel(&mut self, turn: TurnId) {
        self.cancelled = self.cancelled.max(Some(turn));
        if let Way::Brain(brain) = &self.way {
            brain.cancel(turn);
        }
    }
}

/// Starts the brain of the resource [`BrainSetup`], unless a [`BrainLink`] is there already.
pub fn plugin(app: &mut App) {
    app.add_message::<BrainNews>()
        .add_systems(PreStartup, start.run_if(not(resource_exists::<BrainLink>)))
        .add_systems(PreUpdate, drain_brain_events.run_if(resource_exists::<BrainLink>))
        .add_systems(Last, save_before_exit.run_if(resource_exists::<BrainLink>));
}

fn start(
    setup: Option<Res<BrainSetup>>,
    event_loop: Option<Res<EventLoopProxyWrapper>>,
    mut news: MessageWriter<BrainNews>,
    mut commands: Commands,
) {
    let Some(setup) = setup else { return };
    let proxy = event_loop.map(|event_loop| (**event_loop).clone());
    let wake = proxy.map(|proxy| -> Waker {
        Box::new(move || {
            // The loop is gone when the program ends: nobody is left to be woken.
            let _ = proxy.send_event(WinitUserEvent::WakeUp);
        })
    });
    match BrainHandle::start(setup.clone(), wake) {
        Ok(brain) => {
            save_on_signals(&brain);
            commands.insert_resource(BrainLink::to_brain(brain));
        }
        Err(error) => {
            let text = format!("the system gives no thread for the brain: {error}");
            news.write(BrainNews(BrainEvent::Failed { turn: None, text }));
        }
    }
}

#[cfg(not(test))]
fn save_on_signals(brain: &BrainHandle) {
    crate::modes::save_on_signals(brain, &[15, 1, 2]);
}

#[cfg(test)]
fn save_on_signals(_: &BrainHandle) {}

fn drain_brain_events(
    link: Res<BrainLink>,
    event_loop: Option<Res<EventLoopProxyWrapper>>,
    mut news: MessageWriter<BrainNews>,
) {
    let Way::Brain(brain) = &link.way else { return };
    for _ in 0..MAX_NEWS_PER_FRAME {
        let Some(event) = brain.try_recv() else { return };
        news.write(BrainNews(event));
    }
    // More may wait, and its wake-up call is used up.
    if let Some(event_loop) = event_loop {
        let _ = event_loop.send_event(WinitUserEvent::WakeUp);
    }
}

/// Stops a reply that still runs, saves, and waits for the thread.
fn save_before_exit(mut exits: MessageReader<AppExit>, mut link: ResMut<BrainLink>) {
    if exits.read().count() == 0 {
        return;
    }
    if let Way::Brain(brain) = &mut link.way {
        brain.cancel(TurnId(u64::MAX));
        brain.quit();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::brain::scripted;

    /// Updates until `n` messages were seen; tells them and the most that one frame brought.
    fn hear(app: &mut App, n: usize) -> (Vec<BrainEvent>, usize) {
        let (mut heard, mut most) = (Vec::new(), 0);
        for _ in 0..2000 {
            app.world_mut().resource_mut::<Messages<BrainNews>>().clear();
            app.update();
            let messages =
                app.world_mut().resource_mut::<Messages<BrainNews>>().drain().collect::<Vec<_>>();
            most = most.max(messages.len());
            heard.extend(messages.into_iter().map(|news| news.0));
            if heard.len() >= n {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        (heard, most)
    }

    fn brain_app(reply: &str) -> App {
        let brain = scripted::start(vec![reply.to_owned()], Duration::ZERO).expect("thread");
        let mut app = App::new();
        app.add_plugins((MinimalPlugins, plugin)).insert_resource(BrainLink::to_brain(brain));
        app
    }

    #[test]
    fn events_become_messages_a_bounded_number_a_frame() {
        let mut app = brain_app(&"a".repeat(300));
        let mut link = app.world_mut().resource_mut::<BrainLink>();
        let turn = link.next_turn();
        link.send(BrainRequest::Say { turn, text: "hello".into(), learn: true });
        std::thread::sleep(Duration::from_millis(50));
        let (heard, most) = hear(&mut app, 303);
        assert_eq!(heard.len(), 303, "ready, mood, 300 letters, finished");
        assert!(most <= MAX_NEWS_PER_FRAME, "{most}");
        assert!(matches!(&heard[302], BrainEvent::Finished { turn: t, .. } if *t == turn));
    }

    #[test]
    fn leaving_ends_the_thread() {
        let mut app = brain_app("");
        app.world_mut().write_message(AppExit::Success);
        app.update();
        let link = app.world().resource::<BrainLink>();
        assert!(matches!(&link.way, Way::Brain(brain) if !brain.is_running()));
    }

    #[test]
    fn without_a_setup_nothing_starts() {
        let mut app = App::new();
        app.add_plugins((MinimalPlugins, plugin));
        app.update();
        assert!(!app.world().contains_resource::<BrainLink>());
    }
}
