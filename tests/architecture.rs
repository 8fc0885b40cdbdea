//! Who may name whom, read from the sources: the table of ARCHITECTURE.md as a test.
//!
//! A failure prints file, line and rule. A new edge is a decision: change the table and this file together, with the reason.
//! Only the text before a file's `#[cfg(test)]` counts, comments do not.

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
    let code = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    let lines = code.map(|line| line.split("//").next().unwrap_or_default().to_owned()).collect();
    Source { path: path.join("/"), lines }
}

/// Whether `word` stands in `line` with no letter, digit or `_` before it.
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
    })
}

/// No file of `folder` may name one of `words`, but those that `exempt` accepts.
fn forbid(folder: &str, words: &[&str], exempt: impl Fn(&str) -> bool, rule: &str) {
    let mut found = Vec::new();
    for source in sources(folder).iter().filter(|s| !exempt(&s.path)) {
        for (i, line) in source.lines.iter().enumerate() {
            for word in words.iter().filter(|word| names(line, word)) {
                found.push(format!("{}:{}: names {word}", source.path, i + 1));
            }
        }
    }
    assert!(found.is_empty(), "{rule}\n{}", found.join("\n"));
}

#[test]
fn the_game_knows_the_engine_in_the_worker_and_the_tools_only() {
    let may =
        ["src/brain/worker.rs", "src/modes/train.rs", "src/modes/eval.rs", "src/modes/bench.rs"];
    let exempt = |path: &str| may.contains(&path);
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
    let exempt = |path: &str| path != "src/brain/worker.rs";
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
    forbid("src/brain", &words, exempt, "the protocol knows the standard library only");
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
    // The marker trait of a resource is all that the brain's front door may take from Bevy.
    let exempt = |path: &str| path == "src/brain/link.rs";
    forbid(
        "src/brain",
        &["bevy::winit", "bevy_egui::", "bevy::app"],
        exempt,
        "only the link knows the game loop",
    );
}

#[test]
fn the_engine_knows_nothing_above_it() {
    forbid("engine/src", &["bevy", "companion::"], |_| false, "the engine is a library by itself");
}

#[test]
fn kernels_take_slices_and_numbers() {
    let words = [
        "candle",
        "Tensor",
        "ModelConfig",
        "crate::model",
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
