//! `--chat --jsonl`: one JSON object a line in, one out. For scripts and tests.
//!
//! `say`, `read`, `probe`, `info`, `save`, `sleep`, `reset`, `note`, `forget`, `recall`, `export`, `import`, `persona`. A line that cannot be
//! followed gives `{"error": …}`, and the next one is read. The memory is on disk before an answer is printed.

use std::{
    io::{BufRead, Read, Write},
    time::Duration,
};

use serde_json::{Map, Value, json};

use super::{brain_setup, save_on_signals, start_brain};
use crate::{
    brain::{
        BrainHandle,
        protocol::{BrainEvent, BrainInfo, BrainRequest, Language, TurnId},
    },
    options::Options,
    paths::Places,
};

/// For messages about what cannot be followed.
const ORDERS: &str = "say, read, probe, note, forget, export, import, persona (text), recall (en or ja), info, save, sleep, reset (true)";
/// Longest line in bytes.
const MAX_LINE: u64 = 16 << 20;

/// Reads lines until the end of standard input, then saves.
///
/// # Errors
/// If the brain cannot be used, or standard output is closed.
pub fn run(options: &Options, places: &Places) -> anyhow::Result<()> {
    // Told with the first answer: a script may count on one line out for one line in.
    let mut notices = Vec::new();
    let (mut brain, _) = start_brain(brain_setup(options, places), None, &mut |text| {
        eprintln!("{text}");
        notices.push(text.to_owned());
    })?;
    save_on_signals(&brain, &[15, 1, 2]);
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
            follow(&mut brain, &line, &mut notices)
        };
        let mut answer = answer.unwrap_or_else(|text| json!({ "error": text }));
        if !notices.is_empty() {
            answer["notices"] = json!(std::mem::take(&mut notices));
        }
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
}

/// One line in, one object out.
fn follow(
    brain: &mut BrainHandle,
    line: &[u8],
    notices: &mut Vec<String>,
) -> Result<Value, String> {
    let value: Value =
        serde_json::from_slice(line).map_err(|e| format!("not a JSON object: {e}"))?;
    let object = value.as_object().ok_or("not a JSON object")?;
    let turn = brain.next_turn();
    let request = request(turn, object)?;
    if !brain.send(request) {
        return Err("the brain's thread is gone".into());
    }
    collect(brain, turn, notices)
}

/// What one object asks for: exactly one order; `say` may have `private` beside it.
fn request(turn: TurnId, object: &Map<String, Value>) -> Result<BrainRequest, String> {
    let mut orders = object.iter().filter(|(key, _)| *key != "private");
    let (Some((order, value)), None) = (orders.next(), orders.next()) else {
        return Err(format!("one order a line: {ORDERS}"));
    };
    let learn = match object.get("private") {
        None | Some(Value::Bool(false)) => true,
        Some(Value::Bool(true)) if order == "say" => false,
        _ => return Err("private: true or false, beside say".into()),
    };
    let is_flag = matches!(order.as_str(), "info" | "save" | "sleep" | "reset");
    let text = match value {
        Value::String(text) if !is_flag => text.clone(),
        Value::Bool(true) if is_flag => String::new(),
        _ => return Err(format!("{order}: not the value it takes; {ORDERS}")),
    };
    Ok(match order.as_str() {
        "say" => BrainRequest::Say { turn, text, learn },
        "read" => BrainRequest::Read { turn, text },
        "probe" => BrainRequest::Probe { turn, text },
        "note" => BrainRequest::WriteNote { turn, note: text },
        "forget" => BrainRequest::Forget { turn, topic: text },
        "recall" => {
            let language = match text.as_str() {
                "en" => Language::English,
                "ja" => Language::Japanese,
                _ => return Err("recall: en or ja".into()),
            };
            BrainRequest::Recall { turn, language }
        }
        "export" => BrainRequest::Export { turn, path: text.into() },
        "import" => BrainRequest::Import { turn, path: text.into() },
        "persona" => BrainRequest::SwitchPersona { turn, slot: text },
        "info" => BrainRequest::Info { turn },
        "save" => BrainRequest::Save { turn },
        "sleep" => BrainRequest::Sleep { turn },
        "reset" => BrainRequest::Reset { turn },
        _ => return Err(format!("{order}: unknown; {ORDERS}")),
    })
}

/// Waits for the end of a request and puts it into an object.
fn collect(brain: &BrainHandle, turn: TurnId, notices: &mut Vec<String>) -> Result<Value, String> {
    let (mut notes, mut recalled) = (Vec::new(), Vec::new());
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
            Some(BrainEvent::Slept { turn: Some(t), summary, .. }) if t == turn => {
                json!({ "slept": summary })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, is_good: bool) {
        let value: Value = serde_json::from_str(line).expect("JSON");
        let found = request(TurnId(1), value.as_object().expect("object"));
        assert_eq!(found.is_ok(), is_good, "{line}: {found:?}");
    }

    #[test]
    fn orders_are_followed_one_a_line() {
        check(r#"{"say":"hello"}"#, true);
        check(r#"{"say":"hello","private":true}"#, true);
        check(r#"{"read":"a","private":true}"#, false);
        check(r#"{"say":"hello","read":"b"}"#, false);
        check(r#"{"say":5}"#, false);
        check(r#"{"say":null}"#, false);
        check(r#"{"info":true}"#, true);
        check(r#"{"info":false}"#, false);
        check(r#"{"info":"yes"}"#, false);
        check(r#"{"recall":"ja"}"#, true);
        check(r#"{"recall":"fr"}"#, false);
        check(r#"{"sing":"la"}"#, false);
        check("{}", false);
    }

    #[test]
    fn lines_that_are_no_objects_are_errors_and_the_next_is_followed() {
        let mut brain =
            crate::brain::scripted::start(vec!["Hi.".into()], Duration::ZERO).expect("thread");
        let mut notices = Vec::new();
        for line in [&b"hello"[..], b"[1]", b"{\"say\":\"a\"", b"\xff\xfe", b"3", b"null"] {
            assert!(follow(&mut brain, line, &mut notices).is_err());
        }
        let answer = follow(&mut brain, br#"{"say":"hello"}"#, &mut notices).expect("answer");
        assert_eq!(answer["reply"], "Hi.");
    }
}
