//! The settings file: JSON with a version, written to a temporary name and renamed.
//!
//! Every value stands alone: a missing one has its default, an unknown or unreadable one is a warning and the rest
//! still counts. A file that is no JSON at all is kept beside the new one as `settings.json.bad`.

use std::{io::Write, path::Path};

use anyhow::Context;
use serde_json::{Map, Value};

use super::Settings;

/// Version this program writes. Older ones are read key by key; a newer one too, with a warning.
pub const VERSION: u32 = 1;

/// The settings in `path` and what was wrong with the file. No file is no fault.
pub fn load(path: &Path) -> (Settings, Vec<String>) {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return (Settings::default(), Vec::new());
        }
        Err(error) => {
            return (
                Settings::default(),
                vec![format!("{} cannot be read: {error}", path.display())],
            );
        }
    };
    match serde_json::from_str::<Map<String, Value>>(&text) {
        Ok(typed) => merge(typed),
        Err(error) => {
            let kept = path.with_extension("json.bad");
            let moved = std::fs::rename(path, &kept).is_ok();
            let place = if moved { format!(", kept as {}", kept.display()) } else { String::new() };
            (Settings::default(), vec![format!("{} is damaged{place}: {error}", path.display())])
        }
    }
}

fn merge(typed: Map<String, Value>) -> (Settings, Vec<String>) {
    let mut settings = Settings::default();
    let mut warnings = Vec::new();
    if typed.get("version").and_then(Value::as_u64).is_some_and(|v| v > u64::from(VERSION)) {
        warnings.push("the file was written by a newer version".to_owned());
    }
    for (key, value) in typed {
        let Ok(Value::Object(mut all)) = serde_json::to_value(&settings) else { continue };
        if all.insert(key.clone(), value).is_none() {
            warnings.push(format!("unknown key {key:?}"));
            continue;
        }
        match serde_json::from_value(Value::Object(all)) {
            Ok(merged) => settings = merged,
            Err(error) => warnings.push(format!("{key:?} has no such value: {error}")),
        }
    }
    (settings.checked(), warnings)
}

/// Writes `settings` to `path`, making its folder when missing. A crash leaves the old file or the new one.
pub fn save(path: &Path, settings: &Settings) -> anyhow::Result<()> {
    let folder = path.parent().context("the settings file has no folder")?;
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec_pretty(settings)?)?;
    file.write_all(b"\n")?;
    file.as_file().sync_all()?;
    file.persist(path).with_context(|| format!("writing {}", path.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{BubbleLevel, LanguageChoice, PanelPlace};

    /// Loads `text` as a settings file: the settings and the number of warnings.
    fn check(text: &str) -> (Settings, usize) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.json");
        std::fs::write(&path, text).unwrap();
        let (settings, warnings) = load(&path);
        (settings, warnings.len())
    }

    #[test]
    fn comes_back_as_saved() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/settings.json");
        let settings = Settings {
            language: LanguageChoice::Japanese,
            text_scale: 1.5,
            bubble: BubbleLevel::Symbol,
            panel: Some(PanelPlace { size: [500.0, 700.0], corner: Some([10, -20]) }),
            ..Settings::default()
        };
        save(&path, &settings).unwrap();
        save(&path, &settings).unwrap();
        assert_eq!(load(&path), (settings, vec![]));
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn no_file_is_the_default() {
        assert_eq!(load(Path::new("/nowhere/settings.json")), (Settings::default(), vec![]));
    }

    #[test]
    fn missing_keys_have_their_default() {
        let (settings, warnings) = check(r#"{"version":1,"quiet":true}"#);
        assert_eq!((settings, warnings), (Settings { quiet: true, ..Settings::default() }, 0));
    }

    #[test]
    fn unknown_and_wrong_values_warn_and_the_rest_counts() {
        let (settings, warnings) =
            check(r#"{"tail":"long","bubble":"huge","reduced_motion":true}"#);
        assert_eq!(warnings, 2);
        assert!(settings.reduced_motion);
    }

    #[test]
    fn numbers_are_kept_in_range() {
        assert_eq!(check(r#"{"text_scale":99.0}"#).0.text_scale, 2.0);
    }

    #[test]
    fn a_damaged_file_is_kept_and_the_default_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings.json");
        std::fs::write(&path, "{\"quiet\": tr").unwrap();
        let (settings, warnings) = load(&path);
        assert_eq!((settings, warnings.len()), (Settings::default(), 1));
        assert!(dir.path().join("settings.json.bad").exists());
    }

    #[test]
    fn a_newer_file_is_read_with_a_warning() {
        let (settings, warnings) = check(r#"{"version":9,"quiet":true}"#);
        assert!(settings.quiet);
        assert_eq!((settings.version, warnings), (VERSION, 1));
    }
}
