//! Words of the interface in the chosen language.
//!
//! In: `assets/locales/<tag>/{ui,lines}.ftl`, built into the program. Out: [`Locale`], a resource that finds a text
//! by its key. A key that is missing falls back to English, then to the key itself, and is logged once a call.
//! What the companion answers is never found here: only labels, help and the short lines said unasked.

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use unic_langid::{LanguageIdentifier, langid};

use crate::brain::protocol::Language;

const ENGLISH: LanguageIdentifier = langid!("en");
const JAPANESE: LanguageIdentifier = langid!("ja");

/// Sources of one language: interface, and lines that the mascot says unasked.
fn sources(language: Language) -> [&'static str; 2] {
    match language {
        Language::English => [
            include_str!("../assets/locales/en/ui.ftl"),
            include_str!("../assets/locales/en/lines.ftl"),
        ],
        Language::Japanese => [
            include_str!("../assets/locales/ja/ui.ftl"),
            include_str!("../assets/locales/ja/lines.ftl"),
        ],
    }
}

/// The active language and its texts; change it with [`Locale::set`].
#[cfg_attr(feature = "window", derive(bevy::prelude::Resource))]
pub struct Locale {
    language: Language,
    active: FluentBundle<FluentResource>,
    english: FluentBundle<FluentResource>,
}

impl Default for Locale {
    fn default() -> Self {
        Self::new(system_language())
    }
}

impl Locale {
    /// The texts of `language`.
    pub fn new(language: Language) -> Self {
        Self { language, active: bundle(language), english: bundle(Language::English) }
    }

    /// The active language.
    pub fn language(&self) -> Language {
        self.language
    }

    /// Switches the language at once.
    pub fn set(&mut self, language: Language) {
        self.language = language;
        self.active = bundle(language);
    }

    /// The text of `key`.
    pub fn text(&self, key: &str) -> String {
        self.find(key, None)
    }

    /// The text of `key` with its `{ $name }` places filled.
    pub fn with<'a>(
        &self,
        key: &str,
        args: impl IntoIterator<Item = (&'a str, FluentValue<'a>)>,
    ) -> String {
        let args: FluentArgs<'_> = args.into_iter().collect();
        self.find(key, Some(&args))
    }

    /// Whether the active language itself has `key`.
    pub fn has(&self, key: &str) -> bool {
        self.active.has_message(key)
    }

    fn find(&self, key: &str, args: Option<&FluentArgs<'_>>) -> String {
        for bundle in [&self.active, &self.english] {
            let Some(pattern) = bundle.get_message(key).and_then(|m| m.value()) else { continue };
            let mut errors = Vec::new();
            let text = bundle.format_pattern(pattern, args, &mut errors).into_owned();
            if !errors.is_empty() {
                tracing::warn!(key, ?errors, "text with an unfilled place");
            }
            return text;
        }
        tracing::warn!(key, "no such text");
        key.to_owned()
    }
}

fn bundle(language: Language) -> FluentBundle<FluentResource> {
    let tag = match language {
        Language::English => ENGLISH,
        Language::Japanese => JAPANESE,
    };
    let mut bundle = FluentBundle::new_concurrent(vec![tag]);
    bundle.set_use_isolating(false); // the marks would show as boxes in fonts without them
    for source in sources(language) {
        let resource =
            FluentResource::try_new(source.to_owned()).unwrap_or_else(|(part, errors)| {
                tracing::error!(?errors, "locale file has errors");
                part
            });
        if let Err(errors) = bundle.add_resource(resource) {
            tracing::error!(?errors, "locale file repeats a key");
        }
    }
    bundle
}

/// Language named by `LC_ALL`, `LC_MESSAGES` or `LANG`, the first of them that is set.
pub fn system_language() -> Language {
    let tag = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    language_of(tag.as_deref().unwrap_or_default())
}

/// `ja`, `ja_JP.UTF-8` … are Japanese, all else is English.
pub fn language_of(tag: &str) -> Language {
    if tag.to_ascii_lowercase().starts_with("ja") { Language::Japanese } else { Language::English }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Key → names of its places, in order.
    fn keys(language: Language) -> BTreeMap<String, Vec<String>> {
        let mut found = BTreeMap::<String, Vec<String>>::new();
        let mut key = String::new();
        for line in sources(language).iter().flat_map(|s| s.lines()) {
            if line.starts_with(|c: char| c.is_ascii_alphabetic())
                && let Some((name, _)) = line.split_once('=')
            {
                key = name.trim().to_owned();
                assert!(found.insert(key.clone(), Vec::new()).is_none(), "{key} twice");
            }
            for place in line.split('$').skip(1) {
                let end = place.find(|c: char| !c.is_alphanumeric() && c != '_');
                let places = found.get_mut(&key).unwrap();
                places.push(place[..end.unwrap_or(place.len())].to_owned());
                places.sort();
                places.dedup();
            }
        }
        found
    }

    #[test]
    fn both_languages_have_the_same_keys_and_places() {
        let (en, ja) = (keys(Language::English), keys(Language::Japanese));
        assert!(en.len() > 60);
        assert_eq!(en, ja);
    }

    #[test]
    fn every_file_parses_and_fills() {
        for language in [Language::English, Language::Japanese] {
            for source in sources(language) {
                assert!(FluentResource::try_new(source.to_owned()).is_ok());
            }
            let locale = Locale::new(language);
            for (key, places) in keys(language) {
                let args = places.iter().map(|p| (p.as_str(), FluentValue::from(3)));
                let text = locale.with(&key, args);
                assert!(!text.trim().is_empty() && !text.contains("{$"), "{key}: {text}");
            }
        }
    }

    #[test]
    fn every_key_named_in_the_sources_exists() {
        let known = keys(Language::English);
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut folders = vec![root];
        let mut seen = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.ends_with("i18n.rs") {
                    continue;
                } else if let Ok(source) = std::fs::read_to_string(&path) {
                    for call in ["locale.text(\"", "locale.with(\"", ".say(\""] {
                        for rest in source.split(call).skip(1) {
                            let key = rest.split('"').next().unwrap();
                            assert!(known.contains_key(key), "{key} in {}", path.display());
                            seen += 1;
                        }
                    }
                }
            }
        }
        assert!(seen > 20);
    }

    #[test]
    fn languages_are_told_apart() {
        assert_eq!(language_of("ja_JP.UTF-8"), Language::Japanese);
        assert_eq!(language_of("en_US.UTF-8"), Language::English);
        assert_eq!(language_of("C"), Language::English);
    }

    #[test]
    fn switches_while_running() {
        let mut locale = Locale::new(Language::English);
        let english = locale.text("chat-send");
        locale.set(Language::Japanese);
        assert_ne!(locale.text("chat-send"), english);
        assert_eq!(locale.text("no-such-key"), "no-such-key");
    }
}
