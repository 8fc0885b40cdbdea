//! One turn from the person's words to the last letter of the reply.
//!
//! In: [`SubmitUtterance`], [`StopReply`], the brain's events. Out: requests to the brain, changes of the
//! transcript, [`ReplyDelta`] and [`ReplyFinished`], cues for the figure. Draws nothing.

use bevy::{ecs::system::SystemParam, prelude::*};

use super::{
    Line, LineState, ReplyDelta, ReplyFinished, Speaker, StopReply, SubmitUtterance, Transcript,
    TypingNoticed,
    seams::{BrainLink, BrainNews, Cue, History, PlayCue},
};
use crate::brain::protocol::{BrainEvent, BrainRequest, TurnId};

/// Systems that move the talk on, before anything draws it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, SystemSet)]
pub struct FlowSystems;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(
        Update,
        (restore_history, stop_replies, submit_utterances, hear_the_brain, notice_typing)
            .chain()
            .in_set(FlowSystems),
    );
}

/// Lines of earlier runs take the place of what is shown, at the start and when the persona changes.
fn restore_history(history: Option<Res<History>>, mut talk: ResMut<Transcript>) {
    let Some(history) = history.filter(DetectChanges::is_changed) else { return };
    let earlier = history.0.iter().map(|past| Line {
        unix_s: past.unix_s,
        ..Line::now(
            if past.by_person { Speaker::You } else { Speaker::Companion },
            past.text.clone(),
        )
    });
    talk.restore(earlier.collect());
}

fn submit_utterances(
    mut said: MessageReader<SubmitUtterance>,
    mut talk: ResMut<Transcript>,
    link: Option<ResMut<BrainLink>>,
    mut news: News,
) {
    let Some(mut link) = link else { return };
    for utterance in said.read().filter(|u| !u.text.trim().is_empty()) {
        if let Some(older) = talk.pending() {
            stop(older, &mut talk, &mut link, &mut news);
        }
        let turn = link.next_turn();
        let text = utterance.text.trim().to_owned();
        talk.begin(turn, text.clone(), !utterance.learn);
        link.send(BrainRequest::Say { turn, text, learn: utterance.learn });
        news.cue(Cue::Think);
    }
}

fn stop_replies(
    mut orders: MessageReader<StopReply>,
    mut talk: ResMut<Transcript>,
    link: Option<ResMut<BrainLink>>,
    mut news: News,
) {
    let asked = orders.read().count() > 0;
    if let (true, Some(turn), Some(mut link)) = (asked, talk.pending(), link) {
        stop(turn, &mut talk, &mut link, &mut news);
    }
}

/// Stops at once on our side: what the brain still sends for `turn` is not wanted any more.
fn stop(turn: TurnId, talk: &mut Transcript, link: &mut BrainLink, news: &mut News) {
    link.cancel(turn);
    talk.end(turn, LineState::Stopped);
    news.cue(Cue::StopTalk);
    news.finished.write(ReplyFinished { turn, state: LineState::Stopped, stats: None });
}

fn hear_the_brain(
    mut events: MessageReader<BrainNews>,
    mut talk: ResMut<Transcript>,
    mut news: News,
) {
    for BrainNews(event) in events.read() {
        match event {
            BrainEvent::Mood { turn, mood } => {
                if let Some(line) = talk.reply_mut(*turn) {
                    line.mood = *mood;
                    news.cue(Cue::Mood(*mood));
                }
            }
            BrainEvent::Delta { turn, text } => take_delta(*turn, text, &mut talk, &mut news),
            BrainEvent::Remembered { turn, text } => {
                if let Some(line) = talk.reply_mut(*turn) {
                    line.remembered.push(text.clone());
                    news.cue(Cue::Remembered);
                }
            }
            BrainEvent::Finished { turn, reply, stats } => {
                let Some(line) = talk.reply_mut(*turn) else { continue };
                line.text.clone_from(reply);
                let state = if stats.cancelled { LineState::Stopped } else { LineState::Done };
                talk.end(*turn, state);
                news.cue(Cue::StopTalk);
                news.finished.write(ReplyFinished {
                    turn: *turn,
                    state,
                    stats: Some(stats.clone()),
                });
            }
            BrainEvent::Notice { text } => talk.push(Line::now(Speaker::Interface, text.clone())),
            BrainEvent::Failed { turn, text } => fail(*turn, text, &mut talk, &mut news),
            _ => {}
        }
    }
}

fn take_delta(turn: TurnId, text: &str, talk: &mut Transcript, news: &mut News) {
    let Some(line) = talk.reply_mut(turn) else { return };
    if line.text.is_empty() {
        news.cue(Cue::Talk);
    }
    line.text.push_str(text);
    news.deltas.write(ReplyDelta { turn, text: text.to_owned() });
}

/// A failed turn keeps its place in the talk and says why; trouble without a turn is a notice of its own.
/// A failed request of a panel (not the turn awaited) is that panel's to show.
fn fail(turn: Option<TurnId>, text: &str, talk: &mut Transcript, news: &mut News) {
    match turn {
        Some(turn) => {
            let Some(line) = talk.reply_mut(turn) else { return };
            if !line.text.is_empty() {
                line.text.push_str("\n\n");
            }
            line.text.push_str(text);
            talk.end(turn, LineState::Failed);
            news.finished.write(ReplyFinished { turn, state: LineState::Failed, stats: None });
        }
        None => {
            if let Some(turn) = talk.pending() {
                talk.end(turn, LineState::Failed);
                news.finished.write(ReplyFinished { turn, state: LineState::Failed, stats: None });
            }
            talk.push(Line::now(Speaker::Interface, text));
        }
    }
    news.cue(Cue::Trouble);
}

fn notice_typing(mut typed: MessageReader<TypingNoticed>, talk: Res<Transcript>, mut news: News) {
    if typed.read().count() > 0 && talk.pending().is_none() {
        news.cue(Cue::Listen);
    }
}

/// What the flow tells others.
#[derive(SystemParam)]
struct News<'w> {
    cues: MessageWriter<'w, PlayCue>,
    deltas: MessageWriter<'w, ReplyDelta>,
    finished: MessageWriter<'w, ReplyFinished>,
}

impl News<'_> {
    fn cue(&mut self, cue: Cue) {
        self.cues.write(PlayCue(cue));
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::Receiver;

    use super::*;
    use crate::brain::protocol::{MoodTag, ReplyStats};

    /// An app with the talk only, and the other end of its link.
    fn talking_app() -> (App, Receiver<BrainRequest>) {
        let (requests, inbox) = crossbeam_channel::bounded(8);
        let mut app = App::new();
        app.add_plugins(MinimalPlugins)
            .add_message::<BrainNews>()
            .add_message::<PlayCue>()
            .insert_resource(BrainLink::new(requests))
            .add_plugins(super::super::flow_plugin);
        (app, inbox)
    }

    fn say(app: &mut App, text: &str) -> TurnId {
        app.world_mut().write_message(SubmitUtterance { text: text.to_owned(), learn: true });
        app.update();
        app.world().resource::<Transcript>().pending().unwrap()
    }

    fn tell(app: &mut App, event: BrainEvent) {
        app.world_mut().write_message(BrainNews(event));
        app.update();
    }

    fn cues(app: &mut App) -> Vec<Cue> {
        app.world_mut().resource_mut::<Messages<PlayCue>>().drain().map(|c| c.0).collect()
    }

    fn last(app: &App) -> Line {
        app.world().resource::<Transcript>().lines().next_back().unwrap().clone()
    }

    fn delta(turn: TurnId, text: &str) -> BrainEvent {
        BrainEvent::Delta { turn, text: text.to_owned() }
    }

    #[test]
    fn a_turn_from_words_to_the_end() {
        let (mut app, inbox) = talking_app();
        let turn = say(&mut app, " hello ");
        assert!(matches!(inbox.try_recv().unwrap(),
            BrainRequest::Say { turn: t, text, learn: true } if t == turn && text == "hello"));
        assert_eq!(cues(&mut app), [Cue::Think]);
        tell(&mut app, BrainEvent::Mood { turn, mood: MoodTag::Happy });
        tell(&mut app, delta(turn, "Hi"));
        tell(&mut app, delta(turn, "!"));
        tell(&mut app, BrainEvent::Remembered { turn, text: "your name is Mia.".into() });
        let reply = "Hi!".to_owned();
        tell(&mut app, BrainEvent::Finished { turn, reply, stats: ReplyStats::default() });
        let line = last(&app);
        assert_eq!(
            (line.text.as_str(), line.state, line.mood),
            ("Hi!", LineState::Done, MoodTag::Happy)
        );
        assert_eq!(line.remembered, ["your name is Mia."]);
        assert_eq!(app.world().resource::<Transcript>().pending(), None);
    }

    #[test]
    fn cues_come_once_and_in_order() {
        let (mut app, _inbox) = talking_app();
        let turn = say(&mut app, "hello");
        for event in [
            BrainEvent::Mood { turn, mood: MoodTag::Shy },
            delta(turn, "a"),
            delta(turn, "b"),
            BrainEvent::Finished { turn, reply: "ab".into(), stats: ReplyStats::default() },
        ] {
            app.world_mut().write_message(BrainNews(event));
        }
        app.update();
        assert_eq!(cues(&mut app), [Cue::Think, Cue::Mood(MoodTag::Shy), Cue::Talk, Cue::StopTalk]);
    }

    #[test]
    fn stop_keeps_the_words_and_ignores_the_rest() {
        let (mut app, _inbox) = talking_app();
        let turn = say(&mut app, "a long story");
        tell(&mut app, delta(turn, "Once upon"));
        app.world_mut().write_message(StopReply);
        app.update();
        assert_eq!(app.world().resource::<BrainLink>().cancelled, Some(turn));
        assert_eq!(last(&app).state, LineState::Stopped, "in the same frame");
        tell(&mut app, delta(turn, " a time"));
        assert_eq!(last(&app).text, "Once upon");
        let next = say(&mut app, "and you?");
        assert!(next > turn);
    }

    #[test]
    fn a_new_line_stops_the_old_reply() {
        let (mut app, _inbox) = talking_app();
        let first = say(&mut app, "one");
        let second = say(&mut app, "two");
        assert_eq!(app.world().resource::<BrainLink>().cancelled, Some(first));
        tell(&mut app, delta(first, "late"));
        tell(&mut app, delta(second, "now"));
        assert_eq!(last(&app).text, "now");
    }

    #[test]
    fn failure_is_said_and_the_next_turn_works() {
        let (mut app, _inbox) = talking_app();
        let turn = say(&mut app, "hello");
        tell(&mut app, BrainEvent::Failed { turn: Some(turn), text: "no model".into() });
        assert_eq!((last(&app).text.as_str(), last(&app).state), ("no model", LineState::Failed));
        assert!(cues(&mut app).contains(&Cue::Trouble));
        say(&mut app, "again");
    }

    #[test]
    fn lines_of_earlier_runs_come_back_once() {
        let (mut app, _inbox) = talking_app();
        let past =
            super::super::seams::PastLine { by_person: true, text: "then".into(), unix_s: 5 };
        app.insert_resource(History(vec![past]));
        app.update();
        say(&mut app, "now");
        app.update();
        let talk = app.world().resource::<Transcript>();
        let texts: Vec<_> = talk.lines().map(|l| l.text.as_str()).collect();
        assert_eq!(texts, ["then", "now", ""]);
    }

    #[test]
    fn blank_lines_are_not_sent() {
        let (mut app, inbox) = talking_app();
        app.world_mut().write_message(SubmitUtterance { text: " \n".into(), learn: true });
        app.update();
        assert!(inbox.is_empty());
    }
}
