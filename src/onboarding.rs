//! First run: three short bubbles with buttons, then the chat page. Shown again when asked for in the settings.
//!
//! In: [`Settings::welcomed`]. Out: [`ShowLine`] and, at the end, the chat page with a notice on how to begin.
//! Does not wait for the brain: the figure greets before the model is loaded.

use bevy::prelude::*;

use crate::{
    controls::UserCommand,
    dialogue::{
        Line, Speaker, Transcript,
        bubble::{Bubble, LineAnswered, ShowLine},
        panel::{OpenPanel, Tab},
        seams::{Cue, PlayCue},
    },
    i18n::Locale,
    settings::Settings,
};

/// The steps, in order: topic of the line and keys of its answers; the key of the line is the topic itself.
const STEPS: [(&str, &[&str]); 3] = [
    ("welcome-hello", &["welcome-yes", "welcome-not-now"]),
    ("welcome-privacy", &["welcome-fine"]),
    ("welcome-gestures", &["welcome-got-it"]),
];

/// Adds the systems of this file.
pub fn plugin(app: &mut App) {
    app.add_systems(Update, (begin, go_on).chain());
}

/// Says the first line whenever the welcome is due and nothing else is said.
fn begin(
    settings: Res<Settings>,
    bubble: Res<Bubble>,
    locale: Res<Locale>,
    mut lines: MessageWriter<ShowLine>,
    mut cues: MessageWriter<PlayCue>,
    mut begun: Local<bool>,
) {
    if settings.welcomed {
        *begun = false;
    } else if !*begun && !bubble.is_open() {
        *begun = true;
        lines.write(step(0, &locale));
        cues.write(PlayCue(Cue::Wave));
    }
}

fn go_on(
    mut answers: MessageReader<LineAnswered>,
    locale: Res<Locale>,
    mut settings: ResMut<Settings>,
    mut talk: ResMut<Transcript>,
    mut lines: MessageWriter<ShowLine>,
    mut pages: MessageWriter<OpenPanel>,
    mut commands: MessageWriter<UserCommand>,
) {
    for answer in answers.read() {
        let Some(at) = STEPS.iter().position(|(topic, _)| *topic == answer.topic) else { continue };
        match (at, answer.index) {
            (0, 1) => {
                settings.welcomed = true;
                commands.write(UserCommand::Hide);
            }
            (at, _) if at + 1 < STEPS.len() => _ = lines.write(step(at + 1, &locale)),
            _ => {
                settings.welcomed = true;
                talk.push(Line::now(Speaker::Interface, locale.text("welcome-begin")));
                pages.write(OpenPanel(Tab::Chat));
            }
        }
    }
}

fn step(at: usize, locale: &Locale) -> ShowLine {
    let (topic, choices) = STEPS[at];
    let choices = choices.iter().map(|key| locale.text(key)).collect();
    ShowLine { topic, text: locale.text(topic), choices }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::brain::protocol::Language;

    fn welcome_app() -> App {
        let mut app = App::new();
        app.init_resource::<Settings>()
            .init_resource::<Bubble>()
            .init_resource::<Transcript>()
            .insert_resource(Locale::new(Language::English))
            .add_message::<ShowLine>()
            .add_message::<LineAnswered>()
            .add_message::<OpenPanel>()
            .add_message::<UserCommand>()
            .add_message::<PlayCue>();
        plugin(&mut app);
        app.update();
        app
    }

    /// Answers the newest line and returns the topic of the next.
    fn answer(app: &mut App, topic: &'static str, index: usize) -> Option<&'static str> {
        app.world_mut().resource_mut::<Messages<ShowLine>>().clear();
        app.world_mut().write_message(LineAnswered { topic, index });
        app.update();
        app.world_mut().resource_mut::<Messages<ShowLine>>().drain().next().map(|l| l.topic)
    }

    #[test]
    fn three_answers_lead_to_the_chat() {
        let mut app = welcome_app();
        assert_eq!(answer(&mut app, "welcome-hello", 0), Some("welcome-privacy"));
        assert_eq!(answer(&mut app, "welcome-privacy", 0), Some("welcome-gestures"));
        assert_eq!(answer(&mut app, "welcome-gestures", 0), None);
        assert!(app.world().resource::<Settings>().welcomed);
        assert!(!app.world().resource::<Messages<OpenPanel>>().is_empty());
    }

    #[test]
    fn not_now_hides_and_is_not_asked_again() {
        let mut app = welcome_app();
        assert_eq!(answer(&mut app, "welcome-hello", 1), None);
        assert!(app.world().resource::<Settings>().welcomed);
        let mut commands = app.world_mut().resource_mut::<Messages<UserCommand>>();
        assert_eq!(commands.drain().collect::<Vec<_>>(), [UserCommand::Hide]);
    }

    #[test]
    fn every_step_has_its_words_in_both_languages() {
        for language in [Language::English, Language::Japanese] {
            let locale = Locale::new(language);
            for (topic, choices) in STEPS {
                assert!(locale.has(topic) && choices.iter().all(|key| locale.has(key)));
            }
        }
    }
}
