//! A line from the person to the last letter of the reply, with the scripted brain: order of the events, stopping, the
//! end of the thread. With the window feature also through the game's link into the transcript.

use std::time::{Duration, Instant};

use companion::brain::{
    BrainHandle, BrainSetup,
    protocol::{BrainEvent, BrainRequest, Language, TurnId},
    scripted,
};

const PATIENCE: Duration = Duration::from_secs(10);

fn say(brain: &mut BrainHandle, text: &str) -> TurnId {
    let turn = brain.next_turn();
    assert!(brain.send(BrainRequest::Say { turn, text: text.to_owned(), learn: true }));
    turn
}

/// Events of one turn up to its end.
fn hear(brain: &BrainHandle, turn: TurnId) -> Vec<BrainEvent> {
    let mut heard = Vec::new();
    loop {
        let event = brain.recv_timeout(PATIENCE).expect("an event in time");
        if event.turn() != Some(turn) {
            continue;
        }
        heard.push(event.clone());
        if matches!(event, BrainEvent::Finished { .. } | BrainEvent::Failed { .. }) {
            return heard;
        }
    }
}

#[test]
fn a_reply_comes_as_mood_pieces_end() {
    let lines = vec!["Hello!".to_owned(), "こんにちは".to_owned()];
    let mut brain = scripted::start(lines, Duration::ZERO).expect("thread");
    for expected in ["Hello!", "こんにちは"] {
        let turn = say(&mut brain, "hi");
        let heard = hear(&brain, turn);
        assert!(matches!(heard[0], BrainEvent::Mood { .. }), "{heard:?}");
        let pieces = heard.iter().filter_map(|event| match event {
            BrainEvent::Delta { text, .. } => Some(text.as_str()),
            _ => None,
        });
        assert_eq!(pieces.collect::<String>(), expected);
        let last = heard.last().expect("events");
        assert!(
            matches!(last, BrainEvent::Finished { reply, stats, .. } if reply == expected && !stats.cancelled)
        );
    }
}

#[test]
fn a_stopped_reply_ends_at_once_and_the_next_is_whole() {
    let lines = vec!["long ".repeat(1000), "short".to_owned()];
    let mut brain = scripted::start(lines, Duration::from_millis(5)).expect("thread");
    let turn = say(&mut brain, "a story");
    while !matches!(brain.recv_timeout(PATIENCE), Some(BrainEvent::Delta { .. })) {}
    let start = Instant::now();
    brain.cancel(turn);
    let heard = hear(&brain, turn);
    assert!(start.elapsed() < Duration::from_millis(150), "{:?}", start.elapsed());
    assert!(matches!(heard.last(), Some(BrainEvent::Finished { stats, .. }) if stats.cancelled));
    let turn = say(&mut brain, "again");
    let heard = hear(&brain, turn);
    assert!(matches!(heard.last(), Some(BrainEvent::Finished { reply, .. }) if reply == "short"));
}

#[test]
fn lines_can_come_from_a_file() {
    let dir = tempfile::tempdir().expect("folder");
    let path = dir.path().join("script.txt");
    std::fs::write(&path, "# greeting\nHello!\n\nBye.\n").expect("script");
    let mut brain = scripted::start_from_file(&path, Duration::ZERO).expect("thread");
    for expected in ["Hello!", "Bye."] {
        let turn = say(&mut brain, "…");
        let heard = hear(&brain, turn);
        assert!(
            matches!(heard.last(), Some(BrainEvent::Finished { reply, .. }) if reply == expected)
        );
    }
}

#[test]
fn without_a_model_every_request_is_answered_with_what_to_do() {
    let dir = tempfile::tempdir().expect("folder");
    let setup = BrainSetup {
        saves: dir.path().to_owned(),
        slot: "tete".into(),
        model: Err("no brain in assets/brain; say which with --model DIR".into()),
        seed: 0,
        temperature: 0.7,
        threads: 1,
        language: Language::English,
    };
    let mut brain = BrainHandle::start(setup, None).expect("thread");
    let first = brain.recv_timeout(PATIENCE).expect("an event");
    assert!(
        matches!(&first, BrainEvent::Failed { turn: None, text } if text.contains("--model")),
        "{first:?}"
    );
    for _ in 0..3 {
        let turn = say(&mut brain, "hello?");
        assert!(matches!(hear(&brain, turn)[..], [BrainEvent::Failed { .. }]));
    }
    assert!(brain.is_running());
    brain.quit();
    assert!(!brain.is_running());
}

#[cfg(feature = "window")]
#[test]
fn words_go_through_the_game_into_the_transcript() {
    use bevy::prelude::*;
    use companion::{
        brain::link::{self, BrainLink},
        dialogue::{self, LineState, Speaker, SubmitUtterance, Transcript, seams::PlayCue},
    };

    let brain = scripted::start(vec!["Hello, you!".to_owned()], Duration::ZERO).expect("thread");
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, link::plugin, dialogue::flow_plugin))
        .add_message::<PlayCue>()
        .insert_resource(BrainLink::to_brain(brain));
    app.update();
    app.world_mut().write_message(SubmitUtterance { text: "hi".into(), learn: true });
    let start = Instant::now();
    loop {
        app.update();
        let last = app.world().resource::<Transcript>().lines().next_back().cloned();
        if let Some(line) = last
            && line.state == LineState::Done
            && line.text == "Hello, you!"
        {
            assert_eq!(line.speaker, Speaker::Companion);
            break;
        }
        assert!(start.elapsed() < PATIENCE, "no reply in time");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(app.world().resource::<Transcript>().pending(), None);
}
