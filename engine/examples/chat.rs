//! Talk to a model folder in the terminal: `cargo run -p bit-ttt-engine --example chat -- MODEL_DIR [MEMORY_DIR]`.
//!
//! The living example of the engine's façade: load a brain, open its memory, answer line by line, save after each.
//! Without MEMORY_DIR nothing is kept. Lines that start with `/note ` are written down as they are
//! (`/note your name is Mia.`), `/who` shows the size of the memory, an empty line or Ctrl-D ends.

#![allow(clippy::print_stdout, reason = "a terminal program")]

use std::{
    error::Error,
    io::{BufRead, Write},
    ops::ControlFlow,
    path::PathBuf,
    sync::Arc,
};

use engine::{
    checkpoint::{Brain, BrainOptions},
    session::{Memory, MemoryRing, ReplyPart, Session, SessionOptions},
    tokenizer::special,
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let model_dir = args.next().ok_or("usage: chat MODEL_DIR [MEMORY_DIR]")?;
    let ring = args.next().map(|dir| MemoryRing::open(&dir));

    let brain = Arc::new(Brain::load(&model_dir, &BrainOptions::default())?);
    println!("{} parameters, brain {}", brain.config.n_params(), brain.id);
    let memory = match &ring {
        Some(ring) => {
            let (memory, notices) = ring.load_newest(&brain)?;
            notices.iter().for_each(|notice| println!("({notice})"));
            memory
        }
        None => None,
    };
    let memory = memory.unwrap_or_else(|| Memory::new(&brain));
    let mut session = Session::new(brain, memory, SessionOptions::default());

    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.trim() {
            "" => break,
            "/who" => show_memory(&session),
            text => match text.strip_prefix("/note ") {
                Some(sentence) if session.write_note(sentence) => println!("(noted)"),
                Some(_) => println!("(a note reads: your … is ….)"),
                None => answer(&mut session, text)?,
            },
        }
        if let Some(ring) = &ring {
            ring.save(session.memory())?;
        }
    }
    Ok(())
}

/// Prints the reply while it is made.
fn answer(session: &mut Session, text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let mut written = Ok(());
    session.reply(text, &mut |part| {
        written = match part {
            ReplyPart::Mood(idx) => write!(out, "[{}] ", special::MOOD_NAMES[idx]),
            ReplyPart::Note(sentence) => writeln!(out, "(noted: {sentence})"),
            ReplyPart::Text(piece) => write!(out, "{piece}").and_then(|()| out.flush()),
        };
        // A closed pipe ends the reply.
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    written?;
    writeln!(out)
}

fn show_memory(session: &Session) {
    let memory = session.memory();
    println!("{} tokens read, {} notes written", memory.tokens_read, memory.notes_written);
    for (i, heads) in memory.head_norms().iter().enumerate() {
        let sizes: Vec<String> = heads
            .iter()
            .map(|&(is_lifelong, norm)| format!("{}{norm:.2}", if is_lifelong { "*" } else { "" }))
            .collect();
        println!("layer {i}: {}   (* lifelong)", sizes.join(" "));
    }
}
