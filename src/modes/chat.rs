//! `--chat`: the same companion in a terminal. Same brain, same memory, same saves.

use std::{
    io::{IsTerminal, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustyline::{DefaultEditor, error::ReadlineError};

use super::{brain_setup, save_on_signals, start_brain};
use crate::{
    brain::{
        BrainHandle,
        protocol::{BrainEvent, BrainInfo, BrainRequest, Language, TurnId},
    },
    i18n,
    options::Options,
    paths::Places,
};

const HELP: &str = "\
/memory        what I remember          /info          about my brain
/private       private talk on or off   /save          write my memory now
/note TEXT     dictate a note, such as: your dog's name is Pochi.
/forget TOPIC  unlearn one thing, such as: dog's name
/sleep         go over all my notes until I know them by heart
/persona NAME  another companion        /reset         forget everything (asks first)
/export FILE   all of me in one file    /import FILE   become what a file holds
/help  /quit   Ctrl+C stops a reply     Ctrl+D ends
";

/// Talks until the person leaves.
///
/// # Errors
/// If the brain cannot be used, or the terminal is gone.
pub fn run(options: &Options, places: &Places) -> anyhow::Result<()> {
    let setup = brain_setup(options, places);
    let japanese = setup.language == Language::Japanese;
    let (mut brain, info) = start_brain(setup, None, &mut |text| eprintln!("{text}"))?;
    save_on_signals(&brain, &[15, 1]);
    let stop = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    let _ = signal_hook::flag::register(2, stop.clone());
    greet(&info, japanese);
    let mut editor = DefaultEditor::new()?;
    let mut private = false;
    let mut name = info.companion_name;
    loop {
        let prompt = if private { "(private) > " } else { "> " };
        let line = match editor.readline(prompt) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        };
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        let _ = editor.add_history_entry(line);
        stop.store(false, Ordering::Relaxed);
        let turn = brain.next_turn();
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        let request = match command {
            "/quit" | "/exit" => break,
            "/help" => {
                print!("{HELP}");
                continue;
            }
            "/private" => {
                private = !private;
                println!(
                    "{}",
                    if private {
                        "Private talk: nothing is kept or learned."
                    } else {
                        "I learn from our talk again."
                    }
                );
                continue;
            }
            "/memory" => BrainRequest::Recall { turn, language: i18n::system_language() },
            "/info" => BrainRequest::Info { turn },
            "/save" => BrainRequest::Save { turn },
            "/sleep" => BrainRequest::Sleep { turn },
            "/forget" => BrainRequest::Forget { turn, topic: rest.to_owned() },
            "/note" => BrainRequest::WriteNote { turn, note: rest.to_owned() },
            "/persona" => BrainRequest::SwitchPersona { turn, slot: rest.to_owned() },
            "/export" => BrainRequest::Export { turn, path: rest.into() },
            "/import" => BrainRequest::Import { turn, path: rest.into() },
            "/reset" => match editor.readline("Forget everything? Type yes: ") {
                Ok(answer) if answer.trim() == "yes" => BrainRequest::Reset { turn },
                _ => continue,
            },
            _ if command.starts_with('/') => {
                println!("{command}? /help shows what I know.");
                continue;
            }
            _ => BrainRequest::Say { turn, text: line.to_owned(), learn: !private },
        };
        let speaks = matches!(request, BrainRequest::Say { .. });
        if !brain.send(request) {
            anyhow::bail!("the brain's thread has ended; please start the program again");
        }
        if speaks {
            print!("{name}: ");
        }
        if let Some(new_name) = hear(&brain, turn, &stop)? {
            name = new_name;
        }
    }
    brain.quit();
    println!("{}", if japanese { "またね。" } else { "See you." });
    Ok(())
}

fn greet(info: &BrainInfo, japanese: bool) {
    if !std::io::stdin().is_terminal() {
        return;
    }
    let name = &info.companion_name;
    if japanese {
        println!("{name}がいます。話しかけてください。/help で使い方、Ctrl+D で終わります。");
    } else {
        println!("{name} is here. Say something; /help shows more, Ctrl+D ends.");
    }
}

/// Prints what comes until the request is over. Returns the name of a companion that was switched to.
fn hear(brain: &BrainHandle, turn: TurnId, stop: &AtomicBool) -> anyhow::Result<Option<String>> {
    let mut out = std::io::stdout();
    let mut notes = Vec::new();
    loop {
        if stop.swap(false, Ordering::Relaxed) {
            brain.cancel(turn);
        }
        let Some(event) = brain.recv_timeout(Duration::from_millis(50)) else {
            anyhow::ensure!(
                brain.is_running(),
                "the brain's thread has ended; please start the program again"
            );
            continue;
        };
        if event.turn().is_some_and(|t| t != turn) {
            continue;
        }
        match event {
            BrainEvent::Delta { text, .. } => {
                write!(out, "{text}")?;
                out.flush()?;
            }
            BrainEvent::Remembered { text, .. } => notes.push(text),
            BrainEvent::Notice { text } => eprintln!("{text}"),
            BrainEvent::Recalled { answer, known: true, confidence, .. } => {
                writeln!(out, "  {answer}  ({:.0} %)", confidence * 100.0)?;
            }
            BrainEvent::Finished { stats, .. } => {
                writeln!(out, "{}", if stats.cancelled { " …" } else { "" })?;
                for note in notes {
                    writeln!(out, "  ● {note}")?;
                }
                return Ok(None);
            }
            BrainEvent::Saved { path, info, .. } => {
                writeln!(out, "{} ({} bytes)", path.display(), info.memory_bytes)?;
                return Ok(None);
            }
            BrainEvent::Info { info, .. } => {
                writeln!(
                    out,
                    "brain {} ({:.1} M parameters, {} on {}), memory {} bytes, {} tokens read, {} notes",
                    info.model_id,
                    info.n_params as f64 / 1e6,
                    info.isa,
                    info.device,
                    info.memory_bytes,
                    info.tokens_read,
                    info.notes_written
                )?;
                return Ok(None);
            }
            BrainEvent::Slept { turn: Some(_), summary, .. } => {
                writeln!(
                    out,
                    "{} of {} notes by heart, {} before; {} of {} unknown things admitted, {} before{}",
                    summary.known_after,
                    summary.notes,
                    summary.known_before,
                    summary.admitted_after,
                    summary.unknown,
                    summary.admitted_before,
                    if summary.kept || summary.steps == 0 { "" } else { " (nothing was kept)" },
                )?;
                return Ok(None);
            }
            BrainEvent::Ready { turn: Some(_), info } => {
                writeln!(out, "{} is here.", info.companion_name)?;
                return Ok(Some(info.companion_name));
            }
            BrainEvent::Failed { text, .. } => {
                writeln!(out, "{text}")?;
                return Ok(None);
            }
            BrainEvent::RecallDone { .. }
            | BrainEvent::ReadDone { .. }
            | BrainEvent::Probed { .. } => return Ok(None),
            // `Ready` without a turn: the thread has started again by itself.
            BrainEvent::Mood { .. }
            | BrainEvent::Recalled { .. }
            | BrainEvent::Slept { turn: None, .. }
            | BrainEvent::Ready { turn: None, .. } => {}
        }
    }
}
