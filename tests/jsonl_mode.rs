//! The real program over pipes, with a brain of random weights: what it answers, what it keeps, what it refuses.
//!
//! Every test has its own saves and its own brain in a temporary folder. The brain talks noise; only counts, bytes and
//! messages are looked at.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
};

use engine::{
    checkpoint,
    model::{ModelConfig, param_specs},
    rng::Rng,
    tokenizer::Tokenizer,
};
use serde_json::{Value, json};

/// Writes a nano model folder of random weights.
fn export_brain(dir: &Path, seed: u64) {
    let cfg = ModelConfig { vocab_size: 512, ..ModelConfig::preset("nano").expect("nano") };
    let specs = param_specs(&cfg);
    let params = |name: &str| {
        let spec = specs.iter().position(|s| s.name == name).expect("a name of the list");
        let len: usize = specs[spec].shape.iter().product();
        let mut rng = Rng::keyed(seed, &[spec as u64]);
        let around = if name.ends_with("norm") { 1.0 } else { 0.0 };
        (0..len).map(|_| around + 0.1 * rng.normal() as f32).collect()
    };
    let tokenizer = Tokenizer::bytes_only(cfg.vocab_size).expect("tokenizer");
    checkpoint::export(dir, &cfg, &tokenizer, &params, &BTreeMap::new()).expect("export");
}

/// A temporary folder with `brain/` in it and `saves/` to come.
struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("folder");
        export_brain(&dir.path().join("brain"), 7);
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn memory(&self) -> PathBuf {
        self.path("saves/tete/memory.safetensors")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_companion"));
        command.args(args).arg("--saves").arg(self.path("saves"));
        command.arg("--model").arg(self.path("brain")).args(["--seed", "1", "--threads", "1"]);
        command.env("COMPANION_ASSETS", concat!(env!("CARGO_MANIFEST_DIR"), "/assets"));
        command.env("LANG", "C").env_remove("LC_ALL").env_remove("LANGUAGE").env_remove("RUST_LOG");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().expect("the program runs")
    }

    fn talk(&self) -> Talk {
        let mut command = self.command(&["--chat", "--jsonl"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the program runs");
        let input = child.stdin.take().expect("piped");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Talk { child, input, output }
    }
}

/// A running `--chat --jsonl`. Dropping it is a `kill -9`.
struct Talk {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Talk {
    fn ask_raw(&mut self, line: &[u8]) -> Value {
        self.input.write_all(line).expect("input");
        self.input.write_all(b"\n").expect("input");
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("output");
        serde_json::from_str(&answer).unwrap_or_else(|e| panic!("{answer:?}: {e}"))
    }

    fn ask(&mut self, order: &Value) -> Value {
        let answer = self.ask_raw(order.to_string().as_bytes());
        assert!(answer.get("error").is_none(), "{order}: {answer}");
        answer
    }

    fn tokens_read(&mut self) -> u64 {
        self.ask(&json!({ "info": true }))["tokens_read"].as_u64().expect("a number")
    }

    /// Closes the input and waits: the ordinary end.
    fn end(mut self) {
        drop(std::mem::replace(&mut self.input, no_input()));
        assert!(self.child.wait().expect("ended").success());
    }
}

/// The input of a program that has ended at once, to put in the place of one that is to be closed.
fn no_input() -> ChildStdin {
    let mut child = Command::new(env!("CARGO_BIN_EXE_companion"))
        .arg("--version")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the program runs");
    let input = child.stdin.take().expect("piped");
    child.wait().expect("ended");
    input
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_order_has_its_answer() {
    let home = Home::new();
    let mut talk = home.talk();
    let info = talk.ask(&json!({ "info": true }));
    for key in ["model_id", "parameters", "memory_bytes", "tokens_read", "threads", "isa", "device"]
    {
        assert!(!info[key].is_null(), "{key}: {info}");
    }
    let said = talk.ask(&json!({ "say": "hello" }));
    assert!(said["reply"].is_string());
    // `<u>`, a space, five bytes, `<b>`.
    assert_eq!(said["prompt_tokens"], 8);
    for key in ["reply_tokens", "first_token_ms", "ms"] {
        assert!(said[key].as_f64().is_some_and(|x| x > 0.0), "{key}: {said}");
    }
    let read = talk.ask(&json!({ "read": "a b c" }));
    assert!(read["tokens"].as_u64().is_some_and(|n| n >= 7) && read["ms"].is_number(), "{read}");
    assert!(talk.ask(&json!({ "probe": "who?" }))["reply"].is_string());
    assert!(talk.ask(&json!({ "save": true }))["saved"].is_string());
    assert!(talk.ask(&json!({ "note": "your name is Mia." }))["saved"].is_string());
    assert_eq!(talk.ask(&json!({ "info": true }))["notes_written"], 1);
    assert!(
        talk.ask(&json!({ "recall": "en" }))["recalled"].as_array().is_some_and(|r| r.len() > 10)
    );
    assert!(talk.ask(&json!({ "sleep": true }))["slept"].is_object());
    talk.ask(&json!({ "reset": true }));
    assert_eq!(talk.tokens_read(), 0);
    talk.end();
}

#[test]
fn bad_input_is_told_and_the_talk_goes_on() {
    let home = Home::new();
    let mut talk = home.talk();
    let long = [b"{\"say\":\"", "x".repeat(17 << 20).as_bytes(), b"\"}"].concat();
    let lines: [&[u8]; 9] = [
        b"hello",
        b"[]",
        b"{}",
        b"{\"say\":3}",
        b"{\"say\":\"a\",\"read\":\"b\"}",
        b"{\"fly\":true}",
        b"{\"say\":\"\xff\"}",
        b"{\"note\":\"no note\"}",
        &long,
    ];
    for line in lines {
        let answer = talk.ask_raw(line);
        let start = String::from_utf8_lossy(&line[..line.len().min(40)]);
        assert!(answer["error"].as_str().is_some_and(|e| !e.is_empty()), "{start}: {answer}");
    }
    assert_eq!(talk.tokens_read(), 0);
    talk.ask(&json!({ "say": "still there?" }));
    talk.end();
}

#[test]
fn the_memory_file_has_one_size_and_a_probe_changes_no_byte() {
    let home = Home::new();
    let mut talk = home.talk();
    let n_bytes = talk.ask(&json!({ "info": true }))["memory_bytes"].as_u64().expect("a number");
    let size = || fs::metadata(home.memory()).expect("memory").len();
    assert_eq!(size(), n_bytes);
    talk.ask(&json!({ "say": "My name is Mia." }));
    assert_eq!(size(), n_bytes);
    talk.ask(&json!({ "read": "word ".repeat(500) }));
    assert_eq!(size(), n_bytes);
    let before = fs::read(home.memory()).expect("memory");
    talk.ask(&json!({ "probe": "What is my name?" }));
    talk.ask(&json!({ "say": "a secret", "private": true }));
    talk.ask(&json!({ "recall": "ja" }));
    assert!(fs::read(home.memory()).expect("memory") == before);
    talk.ask(&json!({ "save": true }));
    assert!(fs::read(home.memory()).expect("memory") == before, "nothing was learned meanwhile");
    talk.ask(&json!({ "reset": true }));
    assert_eq!(size(), n_bytes);
}

#[test]
fn a_sleep_tells_what_it_did_and_keeps_the_size() {
    let home = Home::new();
    let mut talk = home.talk();
    let nothing = talk.ask(&json!({ "sleep": true }));
    assert_eq!((&nothing["slept"]["notes"], &nothing["slept"]["steps"]), (&json!(0), &json!(0)));
    talk.ask(&json!({ "note": "your name is Mia." }));
    talk.ask(&json!({ "note": "your name is Bo." }));
    talk.ask(&json!({ "note": "きみの犬の名前はポチ。" }));
    let size = fs::metadata(home.memory()).expect("memory").len();
    let read = talk.tokens_read();
    let slept = talk.ask(&json!({ "sleep": true }))["slept"].clone();
    // A brain of noise knows nothing by heart, so it tries all night.
    assert_eq!((&slept["notes"], &slept["unknown"]), (&json!(2), &json!(12)), "{slept}");
    assert!(slept["steps"].as_u64().is_some_and(|n| n > 0), "{slept}");
    let number = |key: &str| slept[key].as_u64().expect(key);
    assert!(number("known_after") >= number("known_before"), "{slept}");
    assert!(number("admitted_after") + 1 >= number("admitted_before"), "{slept}");
    assert_eq!(fs::metadata(home.memory()).expect("memory").len(), size);
    assert_eq!(talk.tokens_read(), read, "a sleep reads nothing");
    let diary = fs::read(home.path("saves/tete/sleep.json")).expect("diary");
    let diary: Value = serde_json::from_slice(&diary).expect("JSON");
    assert_eq!((&diary["notes"], &diary["summary"]), (&json!(3), &slept));
    // A brain of noise may not manage to forget; then nothing is changed.
    let before = fs::read(home.memory()).expect("memory");
    let forgot = talk.ask_raw(br#"{"forget":"dog_name"}"#);
    if forgot["error"].is_string() {
        assert!(fs::read(home.memory()).expect("memory") == before, "{forgot}");
    } else {
        assert!(forgot["saved"].is_string(), "{forgot}");
    }
    talk.end();
}

#[test]
fn a_kill_right_after_the_reply_loses_nothing() {
    let home = Home::new();
    let mut talk = home.talk();
    talk.ask(&json!({ "say": "My name is Mia." }));
    let read = talk.tokens_read();
    let on_disk = fs::read(home.memory()).expect("memory");
    assert!(read > 10);
    drop(talk);
    let mut talk = home.talk();
    let info = talk.ask(&json!({ "info": true }));
    assert_eq!(info["tokens_read"], read);
    assert!(info.get("notices").is_none(), "{info}");
    assert!(fs::read(home.memory()).expect("memory") == on_disk);
}

#[test]
fn the_same_seed_gives_the_same_talk() {
    let replies = || {
        let home = Home::new();
        let mut talk = home.talk();
        ["hello", "きみはだれ？"].map(|text| talk.ask(&json!({ "say": text }))["reply"].clone())
    };
    assert_eq!(replies(), replies());
}

/// Tells two things, ends, lets `damage` at the memory file, starts again: the older memory is used and said so, and
/// what was damaged is still there under another name.
fn check_damage(name: &str, damage: impl Fn(&mut Vec<u8>)) {
    let home = Home::new();
    let mut talk = home.talk();
    talk.ask(&json!({ "say": "first" }));
    let older = talk.tokens_read();
    talk.ask(&json!({ "say": "second" }));
    talk.end();
    let mut bytes = fs::read(home.memory()).expect("memory");
    damage(&mut bytes);
    fs::write(home.memory(), &bytes).expect("damage");
    let mut talk = home.talk();
    let info = talk.ask(&json!({ "info": true }));
    let notices = info["notices"].as_array().unwrap_or_else(|| panic!("{name}: no notice: {info}"));
    assert!(notices.len() >= 2, "{name}: what was refused and what is used: {info}");
    assert_eq!(info["tokens_read"], older, "{name}: {info}");
    talk.ask(&json!({ "say": "third" }));
    let slot = fs::read_dir(home.path("saves/tete")).expect("slot");
    let is_kept = slot.flatten().any(|e| fs::read(e.path()).is_ok_and(|kept| kept == bytes));
    assert!(is_kept, "{name}: the damaged file is gone");
    assert!(talk.ask(&json!({ "info": true })).get("notices").is_none(), "{name}: told once");
}

#[test]
fn a_damaged_memory_is_refused_and_an_older_one_used() {
    check_damage("cut", |bytes| bytes.truncate(bytes.len() / 2));
    check_damage("empty", Vec::clear);
    check_damage("bit", |bytes| *bytes.last_mut().expect("bytes") ^= 1);
    check_damage("header", |bytes| bytes[20] ^= 1);
    check_damage("nan", |bytes| {
        let at = bytes.len() - 4;
        bytes[at..].copy_from_slice(&f32::NAN.to_le_bytes());
    });
}

#[test]
fn a_memory_of_another_brain_is_kept_and_found_again() {
    let home = Home::new();
    let mut talk = home.talk();
    talk.ask(&json!({ "say": "hello" }));
    let read = talk.tokens_read();
    talk.end();
    fs::rename(home.path("brain"), home.path("first")).expect("rename");
    export_brain(&home.path("brain"), 8);
    let mut talk = home.talk();
    let info = talk.ask(&json!({ "info": true }));
    assert_eq!(info["tokens_read"], 0);
    assert!(info["notices"].to_string().contains("another brain"), "{info}");
    talk.end();
    fs::rename(home.path("brain"), home.path("second")).expect("rename");
    fs::rename(home.path("first"), home.path("brain")).expect("rename");
    assert_eq!(home.talk().tokens_read(), read);
}

#[test]
fn a_companion_travels_in_one_file() {
    let home = Home::new();
    let file = home.path("tete.companion");
    let mut talk = home.talk();
    talk.ask(&json!({ "say": "hello" }));
    let read = talk.tokens_read();
    talk.ask(&json!({ "export": file }));
    talk.ask(&json!({ "persona": "momo" }));
    let fresh = fs::read(home.path("saves/momo/memory.safetensors")).expect("memory");
    let whole = fs::read(&file).expect("file");
    fs::write(home.path("cut.companion"), &whole[..whole.len() - 9]).expect("cut");
    for bad in ["cut.companion", "missing.companion", "brain/config.json"] {
        let answer = talk.ask_raw(json!({ "import": home.path(bad) }).to_string().as_bytes());
        assert!(answer["error"].is_string(), "{bad}: {answer}");
        assert!(fs::read(home.path("saves/momo/memory.safetensors")).expect("memory") == fresh);
    }
    talk.ask(&json!({ "import": file }));
    let info = talk.ask(&json!({ "info": true }));
    assert_eq!((&info["tokens_read"], &info["persona"]), (&json!(read), &json!("momo")));
    assert_eq!(info["companion_name"], "Tete");
    let onto =
        talk.ask_raw(json!({ "export": home.path("brain/config.json") }).to_string().as_bytes());
    assert!(onto["error"].is_string(), "another file is not overwritten: {onto}");
    let bad = talk.ask_raw(br#"{"persona":"../out"}"#);
    assert!(bad["error"].is_string(), "{bad}");
    assert_eq!(talk.ask(&json!({ "info": true }))["persona"], "momo", "the slot before goes on");
    talk.end();
}

#[test]
fn a_new_brain_learns_the_notes_of_the_journal_again() {
    let home = Home::new();
    let mut talk = home.talk();
    talk.ask(&json!({ "say": "hello" }));
    talk.end();
    let journal = home.path("saves/tete/journal.jsonl");
    let mut lines = fs::read_to_string(&journal).expect("journal");
    for name in ["Mia", "Ken"] {
        let line = json!({ "unix_s": 1, "by_person": false, "text": name, "notes": [format!("your name is {name}.")] });
        lines.push_str(&format!("{line}\n"));
    }
    fs::write(&journal, lines).expect("journal");
    fs::remove_dir_all(home.path("brain")).expect("old brain");
    export_brain(&home.path("brain"), 8);
    let mut talk = home.talk();
    let info = talk.ask(&json!({ "info": true }));
    // The last note of the topic, once.
    assert_eq!(info["notes_written"], 1, "{info}");
    talk.end();
}

#[test]
fn an_import_that_a_crash_interrupted_is_finished_at_the_next_start() {
    let home = Home::new();
    let file = home.path("tete.companion");
    let mut talk = home.talk();
    talk.ask(&json!({ "say": "hello" }));
    let read = talk.tokens_read();
    talk.ask(&json!({ "export": file }));
    talk.ask(&json!({ "reset": true }));
    talk.end();
    let slot = home.path("saves/tete");
    assert!(!slot.join("journal.jsonl").exists(), "a reset puts the journal aside");
    // What a crash leaves: the copy of the bundle, and nothing else of the import.
    fs::copy(&file, slot.join("import.pending")).expect("copy");
    let mut talk = home.talk();
    assert_eq!(talk.tokens_read(), read);
    talk.end();
    assert!(!slot.join("import.pending").exists());
    assert!(fs::read_to_string(slot.join("journal.jsonl")).expect("journal").contains("hello"));
    fs::write(slot.join("import.pending"), "COMPANION 1\nrubbish").expect("damage");
    let mut talk = home.talk();
    assert_eq!(talk.tokens_read(), read, "a damaged one changes nothing");
    talk.end();
    assert!(slot.join("import.refused").exists() && !slot.join("import.pending").exists());
}

#[test]
#[cfg(unix)]
fn sigterm_saves_and_ends_well() {
    let home = Home::new();
    let mut talk = home.talk();
    talk.ask(&json!({ "say": "hello" }));
    let read = talk.tokens_read();
    let pid = talk.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
    assert_eq!(talk.child.wait().expect("ended").code(), Some(0));
    assert_eq!(home.talk().tokens_read(), read);
}

#[test]
fn two_at_once_in_one_slot_are_refused() {
    let home = Home::new();
    let mut talk = home.talk();
    talk.ask(&json!({ "info": true }));
    let second = home.run(&["--say", "hello"]);
    assert_eq!(second.status.code(), Some(1));
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(told.contains("already running") && told.contains("--persona"), "{told}");
    assert_eq!(home.run(&["--say", "hello", "--persona", "other"]).status.code(), Some(0));
}

#[test]
fn say_and_chat_speak_and_save() {
    let home = Home::new();
    let said = home.run(&["--say", "hello"]);
    assert!(said.status.success() && said.stdout.len() > 1 && said.stdout.ends_with(b"\n"));
    let read = {
        let mut talk = home.talk();
        let read = talk.tokens_read();
        talk.end();
        read
    };
    assert!(read > 0);
    let mut command = home.command(&["--chat"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program runs");
    let lines = b"hello\n/info\n/what\n/private\nsecret\n/note nothing\n/memory\n/save\n/quit\n";
    child.stdin.take().expect("piped").write_all(lines).expect("input");
    let output = child.wait_with_output().expect("ended");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    for part in
        ["parameters", "/help shows", "nothing is kept", "is not a note", "bytes)", "See you."]
    {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(home.talk().tokens_read() > read);
}

#[test]
fn without_a_brain_it_says_what_to_do() {
    let home = Home::new();
    fs::remove_file(home.path("brain/model.safetensors")).expect("remove");
    for args in [&["--say", "hello"][..], &["--chat", "--jsonl"], &["--chat"]] {
        let output = home.run(args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("--model DIR"), "{told}");
    }
}

#[test]
fn wrong_usage_is_code_two() {
    let home = Home::new();
    for args in [&["--chat", "--train"][..], &["--jsonl"], &["--train"], &["--what"]] {
        assert_eq!(home.run(args).status.code(), Some(2), "{args:?}");
    }
}
