//! A brain that reads its replies from a list: for tests of the front ends only, never shown to a person.

use std::{collections::VecDeque, path::Path, time::Duration};

use super::{
    BrainHandle, BrainSide,
    protocol::{BrainEvent, BrainInfo, BrainRequest, MoodTag, ReplyStats, SleepSummary, TurnId},
};

/// As [`start`], with one reply a line of a file; empty lines and lines that start with `#` are passed over.
///
/// # Errors
/// If the file cannot be read or the system gives no thread.
pub fn start_from_file(path: &Path, pause: Duration) -> std::io::Result<BrainHandle> {
    let text = std::fs::read_to_string(path)?;
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    start(lines.map(str::to_owned).collect(), pause)
}

/// Starts a scripted brain that answers each line with the next of `replies`, letter by letter, `pause` apart.
///
/// # Errors
/// If the system gives no thread.
pub fn start(replies: Vec<String>, pause: Duration) -> std::io::Result<BrainHandle> {
    BrainHandle::start_with(None, move |side| run(&side, replies.into(), pause))
}

fn run(side: &BrainSide, mut replies: VecDeque<String>, pause: Duration) {
    let mut info = BrainInfo { persona: "scripted".into(), ..BrainInfo::default() };
    side.send(BrainEvent::Ready { turn: None, info: info.clone() });
    while let Ok(request) = side.requests.recv() {
        match request {
            BrainRequest::Quit => return,
            BrainRequest::Say { turn, .. } => {
                say(side, turn, &replies.pop_front().unwrap_or_default(), pause)
            }
            BrainRequest::Info { turn } => {
                side.send(BrainEvent::Info { turn, info: info.clone() });
            }
            BrainRequest::Save { turn } | BrainRequest::Reset { turn } => {
                side.send(BrainEvent::Saved { turn, path: "scripted".into(), info: info.clone() });
            }
            BrainRequest::Sleep { turn } => {
                let (turn, info) = (Some(turn), info.clone());
                side.send(BrainEvent::Slept { turn, summary: SleepSummary::default(), info });
            }
            BrainRequest::Read { turn, text } => {
                side.send(BrainEvent::ReadDone { turn, tokens: text.len(), took: Duration::ZERO });
            }
            BrainRequest::Recall { turn, .. } => {
                side.send(BrainEvent::RecallDone { turn });
            }
            BrainRequest::SwitchPersona { turn, slot } => {
                info.persona = slot;
                side.send(BrainEvent::Ready { turn: Some(turn), info: info.clone() });
            }
            BrainRequest::Probe { turn, .. }
            | BrainRequest::Forget { turn, .. }
            | BrainRequest::WriteNote { turn, .. }
            | BrainRequest::Export { turn, .. }
            | BrainRequest::Import { turn, .. } => {
                side.send(BrainEvent::Failed {
                    turn: Some(turn),
                    text: "not in the script".into(),
                });
            }
        }
    }
}

fn say(side: &BrainSide, turn: TurnId, reply: &str, pause: Duration) {
    side.send(BrainEvent::Mood { turn, mood: MoodTag::Happy });
    let mut said = String::new();
    for letter in reply.chars() {
        if side.is_cancelled(turn) {
            break;
        }
        std::thread::sleep(pause);
        said.push(letter);
        side.send(BrainEvent::Delta { turn, text: letter.to_string() });
    }
    let stats = ReplyStats { cancelled: said != reply, ..ReplyStats::default() };
    side.send(BrainEvent::Finished { turn, reply: said, stats });
}
