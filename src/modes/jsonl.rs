//! `--chat --jsonl`: one JSON object a line in, one out. For scripts and tests.
//!
//! `say`, `read`, `probe`, `info`, `save`, `reset`, `note`, `recall`, `export`, `import`, `persona`. A line that cannot be
//! followed gives `{"error": …}`, and the next one is read. The memory is on disk before an answer is printed.

use std::{
    io::{BufRead, Read, Write},
    time::Duration,
};

use serde_json::{Value, json};

use super::{brain_setup, save_on_signals, start_brain};
use crate::{
    brain::{
        BrainHandle,
        protocol::{BrainEvent, BrainInfo, BrainRequest, Language, TurnId},
    },
    options::Options,
    paths::Places,
};

/// Longest line in bytes.
const MAX_LINE: u64 = 16 << 20;

/// Reads lines until the end of standard input, then saves.
///
/// # Errors
/// If the brain cannot be used, or standard output is closed.
pub fn run(options: &Options, places: &Places) -> anyhow::Result<()> {
    let (mut brain, _) = start_brain(brain_setup(options, places), None, &mut |text| {
        // A notice before the first answer, on the same channel, so that a script sees it.
        println!("{}", json!({ "notice": text }));
    })?;
    save_on_signals(&brain, &[15, 1]);
    let mut input = std::io::stdin().lock();
    let mut out = std::io::stdout();
    loop {
        let mut line = Vec::new();
        if input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            brain.quit();
            return Ok(());
        }
        let answer = if line.len() as u64 == MAX_LINE && line.last() != Some(&b'\n') {
            let mut rest = Vec::new();
            while input.by_ref().take(MAX_LINE).read_until(b'\n', &mut rest)? > 0
                && rest.last() != Some(&b'\n')
            {
                rest.clear();
            }
            Err(format!("a line may have at most {MAX_LINE} bytes"))
        } else if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        } else {
            follow(&mut brain, &line)
        };
        let answer = answer.unwrap_or_else(|text| json!({ "error": text }));
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
}

/// One line in, one object out.
fn follow(brain: &mut BrainHandle, line: &[u8]) -> Result<Value, String> {
    let value: Value =
        serde_json::from_slice(line).map_err(|e| format!("not a JSON object: {e}"))?;
    let object = value.as_object().ok_or("not a JSON object")?;
    let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
    let flag = |key: &str| object.get(key).and_then(Value::as_bool) == Some(true);
    let turn = brain.next_turn();
    let request = if let Some(text) = text("say") {
        BrainRequest::Say { turn, text, learn: !flag("private") }
    } else if let Some(text) = text("read") {
        BrainRequest::Read { turn, text }
    } else if let Some(text) = text("probe") {
        BrainRequest::Probe { turn, text }
    } else if let Some(note) = text("note") {
        BrainRequest::WriteNote { turn, note }
    } else if let Some(language) = text("recall") {
        let language = if language == "ja" { Language::Japanese } else { Language::English };
        BrainRequest::Recall { turn, language }
    } else if let Some(path) = text("export") {
        BrainRequest::Export { turn, path: path.into() }
    } else if let Some(path) = text("import") {
        BrainRequest::Import { turn, path: path.into() }
    } else if let Some(slot) = text("persona") {
        BrainRequest::SwitchPersona { turn, slot }
    } else if flag("info") {
        BrainRequest::Info { turn }
    } else if flag("save") {
        BrainRequest::Save { turn }
    } else if flag("reset") {
        BrainRequest::Reset { turn }
    } else {
        return Err("expected one of say, read, probe, note, recall, export, import, persona (text) or info, save, reset (true)".into());
    };
    if !brain.send(request) {
        return Err("the brain's thread is gone".into());
    }
    collect(brain, turn)
}

/// Waits for the end of a request and puts it into an object.
fn collect(brain: &BrainHandle, turn: TurnId) -> Result<Value, String> {
    let (mut notes, mut recalled, mut notices) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let mut answer = match brain.recv() {
            Some(BrainEvent::Remembered { text, .. }) => {
                notes.push(text);
                continue;
            }
            Some(BrainEvent::Notice { text }) => {
                notices.push(text);
                continue;
            }
            Some(BrainEvent::Recalled { topic, answer, known, confidence, .. }) => {
                recalled.push(json!({ "topic": topic, "answer": answer, "known": known, "confidence": confidence }));
                continue;
            }
            Some(BrainEvent::Finished { turn: t, reply, stats }) if t == turn => json!({
                "reply": reply,
                "prompt_tokens": stats.prompt_tokens,
                "reply_tokens": stats.reply_tokens,
                "first_token_ms": ms(stats.first_token),
                "ms": ms(stats.total),
            }),
            Some(BrainEvent::ReadDone { turn: t, tokens, took }) if t == turn => {
                json!({ "tokens": tokens, "ms": ms(took) })
            }
            Some(BrainEvent::Probed { turn: t, reply, took, .. }) if t == turn => {
                json!({ "reply": reply, "ms": ms(took) })
            }
            Some(BrainEvent::RecallDone { turn: t }) if t == turn => {
                json!({ "recalled": recalled })
            }
            Some(BrainEvent::Info { turn: t, info }) if t == turn => info_object(&info),
            Some(BrainEvent::Saved { turn: t, path, info }) if t == turn => {
                json!({ "saved": path.display().to_string(), "memory_bytes": info.memory_bytes })
            }
            Some(BrainEvent::Ready { turn: Some(t), info }) if t == turn => info_object(&info),
            Some(BrainEvent::Failed { turn: Some(t), text }) if t == turn => return Err(text),
            Some(BrainEvent::Failed { turn: None, text }) => return Err(text),
            Some(_) => continue,
            None => return Err("the brain's thread ended".into()),
        };
        if !notes.is_empty() {
            answer["notes"] = json!(notes);
        }
        if !notices.is_empty() {
            answer["notices"] = json!(notices);
        }
        return Ok(answer);
    }
}

fn info_object(info: &BrainInfo) -> Value {
    json!({
        "model_id": info.model_id,
        "parameters": info.n_params,
        "memory_bytes": info.memory_bytes,
        "tokens_read": info.tokens_read,
        "notes_written": info.notes_written,
        "threads": info.threads,
        "isa": info.isa,
        "device": info.device,
        "persona": info.persona,
        "companion_name": info.companion_name,
    })
}

fn ms(d: Duration) -> f64 {
    (d.as_secs_f64() * 1e6).round() / 1e3
}
