//! What the person can choose, with ranges and defaults. The file is [`store`]'s matter, the page [`panel`]'s.
//!
//! In: the file at start, the page while running. Out: the resource [`Settings`]; other parts read it and react to
//! its change. A change is on disk half a second later.

pub mod panel;
pub mod store;

use std::{path::PathBuf, time::Duration};

use bevy::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{
    brain::protocol::Language,
    i18n::{self, Locale},
};

/// Language of the interface; `System` follows `LANG`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum LanguageChoice {
    #[default]
    System,
    English,
    Japanese,
}

/// How much the bubble shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BubbleLevel {
    /// Up to three lines.
    #[default]
    Full,
    /// The first line only.
    Line,
    /// Only dots while thinking and a note while talking; the words are in the chat window.
    Symbol,
    /// No bubble.
    None,
}

/// Which key sends the line in the chat window; the other one makes a new line, as Shift+Enter always does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names say it")]
pub enum SendKey {
    #[default]
    Enter,
    CtrlEnter,
}

/// Size of the panel window in logical pixels and its place in physical ones.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PanelPlace {
    /// Width and height, logical pixels.
    pub size: [f32; 2],
    /// Left upper corner on the desktop, physical pixels; none where the system does not tell.
    pub corner: Option<[i32; 2]>,
}

/// All choices.
#[derive(Debug, Clone, PartialEq, Resource, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Form of the file, [`store::VERSION`].
    pub version: u32,
    /// Language of the interface. Default: the system's.
    pub language: LanguageChoice,
    /// Size of all text, 0.8 to 2.0. Default 1.0.
    pub text_scale: f32,
    /// Size of the figure, 0.5 to 2.0. Default 1.0.
    pub figure_scale: f32,
    /// How much the bubble shows. Default: everything.
    pub bubble: BubbleLevel,
    /// Never speaks unasked. Default off. (For one hour only: the right-click menu.)
    pub quiet: bool,
    /// Only the eyes move. Default off.
    pub reduced_motion: bool,
    /// Whether talks are learned from; off makes every talk private. Default on.
    pub learn: bool,
    /// Key that sends. Default Enter.
    pub send_key: SendKey,
    /// The first-run cards were seen. Default no.
    pub welcomed: bool,
    /// Where the panel was last. Default: the system decides, 440 x 600.
    pub panel: Option<PanelPlace>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: store::VERSION,
            language: LanguageChoice::System,
            text_scale: 1.0,
            figure_scale: 1.0,
            bubble: BubbleLevel::Full,
            quiet: false,
            reduced_motion: false,
            learn: true,
            send_key: SendKey::Enter,
            welcomed: false,
            panel: None,
        }
    }
}

impl Settings {
    /// The same with every number inside its range.
    pub fn checked(mut self) -> Self {
        let within = |x: f32, lo: f32, hi: f32| {
            if x.is_finite() { x.clamp(lo, hi) } else { 1_f32.clamp(lo, hi) }
        };
        self.version = store::VERSION;
        self.text_scale = within(self.text_scale, 0.8, 2.0);
        self.figure_scale = within(self.figure_scale, 0.5, 2.0);
        if let Some(place) = &mut self.panel {
            place.size[0] = within(place.size[0], 360.0, 4000.0);
            place.size[1] = within(place.size[1], 420.0, 4000.0);
        }
        self
    }

    /// The language meant by the choice.
    pub fn language(&self) -> Language {
        match self.language {
            LanguageChoice::System => i18n::system_language(),
            LanguageChoice::English => Language::English,
            LanguageChoice::Japanese => Language::Japanese,
        }
    }
}

/// The settings file. Without this resource nothing is read or written (tests, examples).
#[derive(Debug, Clone, Resource)]
pub struct SettingsFile(pub PathBuf);

const SAVE_DELAY: Duration = Duration::from_millis(500);

/// Adds the systems of this file.
pub fn plugin(app: &mut App) {
    let (settings, warnings) = match app.world().get_resource::<SettingsFile>() {
        Some(file) => store::load(&file.0),
        None => (Settings::default(), Vec::new()),
    };
    for warning in warnings {
        warn!("settings: {warning}");
    }
    app.insert_resource(Locale::new(settings.language()))
        .insert_resource(settings)
        .add_systems(Update, (switch_language, save_changes))
        .add_systems(bevy::app::Last, save_on_exit);
    panel::plugin(app);
}

fn switch_language(settings: Res<Settings>, mut locale: ResMut<Locale>) {
    if settings.is_changed() && settings.language() != locale.language() {
        locale.set(settings.language());
    }
}

fn save_changes(
    settings: Res<Settings>,
    file: Option<Res<SettingsFile>>,
    time: Res<Time<Real>>,
    mut due: Local<Option<Duration>>,
) {
    let Some(file) = file else { return };
    if settings.is_changed() && !settings.is_added() {
        *due = Some(time.elapsed() + SAVE_DELAY);
    }
    if due.is_some_and(|at| time.elapsed() >= at) {
        *due = None;
        write(&file, &settings);
    }
}

fn save_on_exit(
    mut exits: MessageReader<AppExit>,
    settings: Res<Settings>,
    file: Option<Res<SettingsFile>>,
) {
    if exits.read().last().is_some()
        && let Some(file) = file
    {
        write(&file, &settings);
    }
}

fn write(file: &SettingsFile, settings: &Settings) {
    if let Err(error) = store::save(&file.0, settings) {
        warn!("settings not saved: {error:#}");
    }
}
