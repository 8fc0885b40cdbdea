//! Who may name whom, read from the sources: the table of ARCHITECTURE.md as a test.
//!
//! A failure prints file, line and rule. A new edge is a decision: change the table and this file together, with the reason.
//! Only the text before a file's test module counts, comments do not.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A source file, its path relative to the root with `/`, and its lines without comments and tests.
struct Source {
    path: String,
    lines: Vec<String>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All `.rs` files below a folder of the root.
fn sources(folder: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(dir) = folders.pop() {
        for entry in fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(source(&path));
            }
        }
    }
    assert!(!found.is_empty(), "{folder}: no sources");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn source(path: &Path) -> Source {
    let text = fs::read_to_string(path).expect("source");
    let shown = path.strip_prefix(root()).expect("below the root");
    let path = shown.components().map(|c| c.as_os_str().to_string_lossy()).collect::<Vec<_>>();
    let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().lines();
    let lines = code.map(|line| line.split("//").next().unwrap_or_default().to_owned()).collect();
    Source { path: path.join("/"), lines: spell_out_imports(lines) }
}

/// Adds to each line of a grouped import the whole paths that end in it: `use a::{b, c::d};` also reads `a::b a::c::d`.
fn spell_out_imports(mut lines: Vec<String>) -> Vec<String> {
    let mut inside = false;
    let (mut path, mut groups) = (String::new(), Vec::new());
    for line in &mut lines {
        let code = line.trim();
        let rest = match code.find("use ") {
            _ if inside => code.to_owned(),
            Some(at) if at == 0 || code.starts_with("pub") => {
                inside = true;
                path.clear();
                groups.clear();
                code[at + 4..].to_owned()
            }
            _ => continue,
        };
        for c in rest.chars() {
            match c {
                '{' => groups.push(path.clone()),
                ',' | '}' | ';' => {
                    line.push(' ');
                    line.push_str(&path);
                    path = groups.last().cloned().unwrap_or_default();
                    if c == '}' {
                        groups.pop();
                    }
                    inside = c != ';';
                }
                ' ' => {}
                c => path.push(c),
            }
            if !inside {
                break;
            }
        }
    }
    lines
}

/// Whether `word` stands in `line` with no letter, digit or `_` before it.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
    })
}

/// Single names that are fine by design where the rest of their module is not, with the reason.
const FINE: [(&str, &str); 3] = [
    // The rows of text implement the trait through which a training step asks for its next segment.
    ("engine/src/data/mod.rs", "crate::trainer::SegmentSource"),
    // The gate of the lifelong heads opens and shuts with the control tokens of a note: one rule, written down once.
    ("engine/src/model/packed.rs", "crate::tokenizer::chat_format"),
    ("engine/src/model/trainable.rs", "crate::tokenizer::special"),
];

/// No file of `folder` may name one of `words`, but those that `exempt` accepts and the names in [`FINE`].
fn forbid(folder: &str, words: &[&str], exempt: impl Fn(&str) -> bool, rule: &str) {
    let mut found = Vec::new();
    for source in sources(folder).iter().filter(|s| !exempt(&s.path)) {
        for (i, line) in source.lines.iter().enumerate() {
            let fine = FINE.iter().filter(|(path, _)| *path == source.path);
            let line = fine.fold(line.clone(), |line, (_, name)| line.replace(name, ""));
            for word in words.iter().filter(|word| names(&line, word)) {
                found.push(format!("{}:{}: names {word}", source.path, i + 1));
            }
        }
    }
    assert!(found.is_empty(), "{rule}\n{}", found.join("\n"));
}

#[test]
fn grouped_imports_are_read_whole() {
    let lines = ["use crate::{", "    a::{b, c as d},", "    e,", "};", "let x = {f};"];
    let lines = spell_out_imports(lines.map(str::to_owned).to_vec());
    for (i, path) in [(1, "crate::a::b"), (1, "crate::a::cas"), (2, "crate::e")] {
        assert!(names(&lines[i], path), "{path}: {:?}", lines[i]);
    }
    assert!(!names(&lines[4], "crate::f"), "{:?}", lines[4]);
}

#[test]
fn the_game_knows_the_engine_in_the_worker_and_the_tools_only() {
    let may = ["src/modes/train.rs", "src/modes/eval.rs", "src/modes/bench.rs"];
    let exempt = |path: &str| path.starts_with("src/brain/worker/") || may.contains(&path);
    forbid(
        "src",
        &["engine::", "candle"],
        exempt,
        "the game talks to the engine through the brain thread",
    );
}

#[test]
fn the_worker_uses_the_facade_only() {
    let inner =
        ["engine::kernels", "engine::nn", "engine::data", "engine::trainer", "engine::tokenizer"];
    let exempt = |path: &str| !path.starts_with("src/brain/worker/");
    forbid(
        "src/brain",
        &inner,
        exempt,
        "the worker sees brains, sessions and memories, not their parts",
    );
}

#[test]
fn the_protocol_is_plain_data() {
    let words = ["bevy", "engine::", "crate::", "super::", "crossbeam", "candle"];
    let exempt = |path: &str| path != "src/brain/protocol.rs";
    forbid("src/brain", &words, exempt, "the protocol is plain data");
}

#[test]
fn bevy_stays_in_the_window() {
    for folder in ["src/modes", "src/persona"] {
        forbid(
            folder,
            &["bevy::", "bevy_egui::"],
            |_| false,
            "modes and slots run without a window",
        );
    }
    let exempt = |path: &str| path == "src/brain/link.rs";
    forbid("src/brain", &["bevy::", "bevy_egui::"], exempt, "only the link knows the game loop");
}

#[test]
fn the_engine_knows_nothing_above_it() {
    forbid("engine/src", &["bevy", "companion::"], |_| false, "the engine is a library by itself");
}

#[test]
fn kernels_take_slices_and_numbers() {
    // The small constants of the formulas (`NORM_EPS` …) are the only thing of `model` that kernels read: they are
    // written down once, beside the formulas.
    let words = [
        "candle",
        "Tensor",
        "ModelConfig",
        "crate::model::packed",
        "crate::model::trainable",
        "crate::session",
        "crate::tokenizer",
        "crate::checkpoint",
        "std::fs",
    ];
    forbid(
        "engine/src/kernels",
        &words,
        |_| false,
        "kernels know slices, lengths and the processor",
    );
}

#[test]
fn engine_arrows_point_one_way() {
    let rule = "see the dependency table of ARCHITECTURE.md";
    let none = |_: &str| false;
    forbid(
        "engine/src/nn",
        &["crate::tokenizer", "crate::sampler", "crate::session", "crate::data", "std::fs"],
        none,
        rule,
    );
    forbid(
        "engine/src/model",
        &["crate::session", "crate::checkpoint", "crate::data", "crate::trainer", "std::fs"],
        none,
        rule,
    );
    forbid(
        "engine/src/model",
        &[
            "crate::tokenizer::chat_format",
            "crate::tokenizer::special",
            "crate::tokenizer::Tokenizer",
        ],
        none,
        rule,
    );
    let words = ["crate::model", "crate::session", "crate::checkpoint", "crate::kernels"];
    forbid("engine/src", &words, |path| path != "engine/src/sampler.rs", rule);
    forbid(
        "engine/src/tokenizer",
        &["crate::model", "crate::session", "crate::checkpoint", "crate::kernels", "crate::data"],
        none,
        rule,
    );
    forbid(
        "engine/src/session",
        &["crate::trainer", "crate::data", "crate::nn", "candle"],
        none,
        rule,
    );
    forbid(
        "engine/src/checkpoint",
        &["crate::session", "crate::trainer", "crate::data", "candle"],
        none,
        rule,
    );
    forbid("engine/src/data", &["crate::trainer", "crate::session", "crate::nn"], none, rule);
}

#[test]
fn unsafe_lives_in_the_kernels_and_the_platform_file() {
    let may =
        |path: &str| path.starts_with("engine/src/kernels/") || path == "src/window/platform.rs";
    for folder in ["src", "engine/src"] {
        forbid(
            folder,
            &["unsafe {", "unsafe fn", "unsafe impl"],
            may,
            "unsafe lives in two places",
        );
    }
}

#[test]
fn plugins_know_each_other_by_messages() {
    // The bubble and the panels reach the figure and the brain through one file.
    let exempt = |path: &str| path == "src/dialogue/seams.rs";
    let words = ["crate::mascot", "crate::window", "crate::brain::link", "crate::brain::worker"];
    for folder in ["src/dialogue", "src/memory_panel", "src/settings"] {
        forbid(
            folder,
            &words,
            exempt,
            "the interface reaches figure and brain through dialogue/seams.rs",
        );
    }
    let words =
        ["crate::dialogue", "crate::memory_panel", "crate::persona_panel", "crate::brain::worker"];
    forbid("src/mascot", &words, |_| false, "the figure acts on cues and knows no talk");
}

#[test]
fn every_file_says_what_it_is() {
    for folder in ["src", "engine/src", "tests", "engine/tests", "engine/examples", "examples"] {
        if !root().join(folder).is_dir() {
            println!("skipped: {folder} is not there");
            continue;
        }
        for source in sources(folder) {
            let text = fs::read_to_string(root().join(&source.path)).expect("source");
            assert!(text.starts_with("//! "), "{}: no module documentation on top", source.path);
        }
    }
}

#[test]
fn nothing_is_left_to_do_or_called_utils() {
    for folder in ["src", "engine/src"] {
        forbid(folder, &["todo!", "unimplemented!", "dbg!"], |_| false, "finished code only");
        for source in sources(folder) {
            for bad in ["utils", "helpers", "common", "manager", "misc", "types"] {
                let is_bad = source.path.split('/').any(|part| part.trim_end_matches(".rs") == bad);
                assert!(!is_bad, "{}: a name that says nothing", source.path);
            }
        }
    }
}
