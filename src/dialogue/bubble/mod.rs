//! Speech bubble: the companion's words, letter by letter, in the mascot window.
//!
//! In: the newest reply of the [`Transcript`], [`ShowLine`]. Out: [`LineAnswered`], [`StopReply`](super::StopReply),
//! an order to open the chat page. Keeps no history; how it looks is `draw`'s and `paint`'s matter.

mod buttons;
mod draw;
mod fit;
pub mod line_break;
mod paint;
mod sheet;
pub mod typewriter;

use bevy::prelude::*;
use bevy_egui::EguiPrimaryContextPass;

use self::typewriter::Typewriter;
use super::{LineState, Transcript, flow::FlowSystems};
use crate::brain::protocol::TurnId;

/// Order: say a line of the interface (never the model's), if need be with answers to choose from.
/// It waits for no one: a reply of the brain takes its place.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct ShowLine {
    /// Comes back with the answer.
    pub topic: &'static str,
    /// The words, already in the chosen language.
    pub text: String,
    /// Labels of the answers; none: the line leaves by itself.
    pub choices: Vec<String>,
}

/// Fact: the person chose an answer of a [`ShowLine`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
pub struct LineAnswered {
    /// Topic of the line.
    pub topic: &'static str,
    /// Which choice.
    pub index: usize,
}

/// Where the words come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Reply(TurnId),
    Interface(&'static str),
}

/// What the bubble says now.
#[derive(Debug, Clone)]
struct Words {
    source: Source,
    text: String,
    state: LineState,
    /// What the model noted with these words.
    note: Option<String>,
    private: bool,
    choices: Vec<String>,
    typewriter: Typewriter,
    /// Seconds since the words began.
    age_s: f32,
    /// Every letter that fits is on the screen.
    all_shown: bool,
    /// Seconds until they leave; counts from the moment everything is shown.
    left_s: Option<f32>,
}

impl Words {
    fn new(source: Source) -> Self {
        Self {
            source,
            text: String::new(),
            state: LineState::Streaming,
            note: None,
            private: false,
            choices: Vec::new(),
            typewriter: Typewriter::default(),
            age_s: 0.0,
            all_shown: false,
            left_s: None,
        }
    }
}

/// The bubble; empty most of the time.
#[derive(Debug, Clone, Default, Resource)]
pub struct Bubble {
    words: Option<Words>,
    closed: Option<TurnId>,
}

impl Bubble {
    /// True while there is something to show: the mascot window should be drawn at least ten times a second.
    pub fn is_open(&self) -> bool {
        self.words.is_some()
    }

    /// True while letters appear: thirty frames a second look right. Not while the bubble waits for an answer.
    pub fn is_typing(&self) -> bool {
        self.words.as_ref().is_some_and(|w| !w.all_shown || w.state == LineState::Streaming)
    }

    fn close(&mut self) {
        if let Some(Words { source: Source::Reply(turn), .. }) = self.words.take() {
            self.closed = Some(turn);
        }
    }
}

/// Seconds that `n_chars` characters stay after the last one appeared.
fn stay_s(n_chars: usize) -> f32 {
    (2.5 + 0.06 * n_chars as f32).clamp(3.0, 12.0)
}

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Bubble>()
        .add_message::<ShowLine>()
        .add_message::<LineAnswered>()
        .add_systems(Update, (take_lines, follow_reply).chain().after(FlowSystems))
        .add_systems(EguiPrimaryContextPass, draw::draw_bubble);
}

fn take_lines(
    mut lines: MessageReader<ShowLine>,
    mut bubble: ResMut<Bubble>,
    talk: Res<Transcript>,
) {
    for line in lines.read().filter(|_| talk.pending().is_none()) {
        bubble.words = Some(Words {
            text: line.text.clone(),
            choices: line.choices.clone(),
            state: LineState::Done,
            ..Words::new(Source::Interface(line.topic))
        });
    }
}

fn follow_reply(mut bubble: ResMut<Bubble>, talk: Res<Transcript>) {
    if let Some(turn) = talk.pending()
        && bubble.closed != Some(turn)
        && bubble.words.as_ref().is_none_or(|w| w.source != Source::Reply(turn))
    {
        bubble.words = Some(Words::new(Source::Reply(turn)));
    }
    if !talk.is_changed() {
        return;
    }
    let Some(words) = &mut bubble.words else { return };
    let Source::Reply(turn) = words.source else { return };
    match talk.reply(turn) {
        Some(line) => {
            words.text.clone_from(&line.text);
            words.state = line.state;
            words.private = line.private;
            words.note = line.remembered.last().cloned();
        }
        None => bubble.words = None, // stopped before a word came, or another persona
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_long_enough_to_be_read_and_not_for_ever() {
        assert_eq!(stay_s(2), 3.0);
        assert!((stay_s(50) - 5.5).abs() < 1e-5);
        assert_eq!(stay_s(900), 12.0);
    }

    fn bubble_app() -> App {
        let mut app = App::new();
        app.init_resource::<Bubble>()
            .init_resource::<Transcript>()
            .add_message::<ShowLine>()
            .add_systems(Update, (take_lines, follow_reply).chain());
        app
    }

    fn words(app: &App) -> Option<String> {
        app.world().resource::<Bubble>().words.as_ref().map(|w| w.text.clone())
    }

    #[test]
    fn a_reply_takes_the_place_of_a_greeting() {
        let mut app = bubble_app();
        app.world_mut().write_message(ShowLine { topic: "hi", text: "Hi".into(), choices: vec![] });
        app.update();
        assert_eq!(words(&app).as_deref(), Some("Hi"));
        let mut talk = app.world_mut().resource_mut::<Transcript>();
        talk.begin(TurnId(1), "you".into(), false);
        talk.reply_mut(TurnId(1)).unwrap().text.push_str("I am");
        app.update();
        assert_eq!(words(&app).as_deref(), Some("I am"));
    }

    #[test]
    fn a_closed_reply_stays_closed() {
        let mut app = bubble_app();
        app.world_mut().resource_mut::<Transcript>().begin(TurnId(1), "a".into(), false);
        app.update();
        app.world_mut().resource_mut::<Bubble>().close();
        app.update();
        assert_eq!(words(&app), None);
    }

    #[test]
    fn a_reply_stopped_before_its_first_word_closes() {
        let mut app = bubble_app();
        app.world_mut().resource_mut::<Transcript>().begin(TurnId(1), "a".into(), false);
        app.update();
        app.world_mut().resource_mut::<Transcript>().end(TurnId(1), LineState::Stopped);
        app.update();
        assert_eq!(words(&app), None);
    }
}
