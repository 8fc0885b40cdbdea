//! `--say TEXT`: one line, one reply, saved.

use std::io::Write;

use super::{brain_setup, save_on_signals, start_brain};
use crate::{
    brain::protocol::{BrainEvent, BrainRequest},
    options::Options,
    paths::Places,
};

/// Says `text`, prints the reply as it comes, saves.
///
/// # Errors
/// If the brain cannot be used, or standard output is closed.
pub fn run(options: &Options, places: &Places, text: &str) -> anyhow::Result<()> {
    let (mut brain, _) =
        start_brain(brain_setup(options, places), None, &mut |text| eprintln!("{text}"))?;
    save_on_signals(&brain, &[15, 1, 2]);
    let turn = brain.next_turn();
    brain.send(BrainRequest::Say { turn, text: text.to_owned(), learn: true });
    let mut out = std::io::stdout();
    loop {
        match brain.recv() {
            Some(BrainEvent::Delta { text, .. }) => {
                write!(out, "{text}")?;
                out.flush()?;
            }
            Some(BrainEvent::Finished { .. }) => {
                writeln!(out)?;
                return Ok(());
            }
            Some(BrainEvent::Notice { text }) => eprintln!("{text}"),
            Some(BrainEvent::Failed { text, .. }) => anyhow::bail!(text),
            Some(_) => {}
            None => anyhow::bail!("the brain's thread ended"),
        }
    }
}
