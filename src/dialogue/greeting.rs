//! A short greeting when the brain is ready, by the time of day.
//!
//! These are lines of the interface from `lines.ftl`, not words of the model; the bubble marks them by its teal line
//! and they are not kept in the transcript. In: the brain's `Ready`. Out: [`ShowLine`], a wave.

use bevy::prelude::*;

use super::{
    Transcript,
    bubble::ShowLine,
    clock::local,
    seams::{BrainNews, Cue, PlayCue},
    transcript::now_unix_s,
};
use crate::{brain::protocol::BrainEvent, controls::Manners, i18n::Locale, settings::Settings};

pub(super) fn plugin(app: &mut App) {
    app.add_systems(Update, greet_once);
}

fn greet_once(
    mut news: MessageReader<BrainNews>,
    settings: Res<Settings>,
    manners: Res<Manners>,
    locale: Res<Locale>,
    talk: Res<Transcript>,
    mut lines: MessageWriter<ShowLine>,
    mut cues: MessageWriter<PlayCue>,
    mut greeted: Local<bool>,
) {
    let ready = news.read().any(|n| matches!(n.0, BrainEvent::Ready { turn: None, .. }));
    if !ready || std::mem::replace(&mut *greeted, true) {
        return;
    }
    let free =
        settings.welcomed && !settings.quiet && !manners.is_quiet() && talk.pending().is_none();
    if free {
        let key = key_of_hour(local(now_unix_s()).hour());
        lines.write(ShowLine { topic: "greeting", text: locale.text(key), choices: Vec::new() });
        cues.write(PlayCue(Cue::Wave));
    }
}

/// Key of the greeting for an hour, 0 to 23.
fn key_of_hour(hour: i8) -> &'static str {
    match hour {
        5..=10 => "greeting-morning",
        11..=17 => "greeting-day",
        18..=22 => "greeting-evening",
        _ => "greeting-night",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hour_has_a_greeting_in_both_languages() {
        use crate::brain::protocol::Language;
        for language in [Language::English, Language::Japanese] {
            let locale = Locale::new(language);
            assert!((0..24).all(|hour| locale.has(key_of_hour(hour))));
        }
    }
}
