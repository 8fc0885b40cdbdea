//! The Settings page of the panel window. What is changed here counts at once.
//!
//! In: [`Settings`]. Out: the same resource, touched only when something changed.

use bevy::prelude::*;
use bevy_egui::egui::{self, Slider, Ui};

use super::{BubbleLevel, LanguageChoice, SendKey, Settings};
use crate::{
    dialogue::panel::{PanelPass, PanelUi, Tab, TabSystems, tab_is},
    i18n::Locale,
    theme::widgets::{caption, card, choices, row, switch, title},
};

pub(super) fn plugin(app: &mut App) {
    app.add_systems(PanelPass, show_settings.run_if(tab_is(Tab::Settings)).after(TabSystems));
}

fn show_settings(mut panel: PanelUi, locale: Res<Locale>, mut settings: ResMut<Settings>) {
    let mut edited = settings.clone();
    panel.page("settings", |ui| {
        card(ui, |ui| general(ui, &locale, &mut edited));
        card(ui, |ui| look(ui, &locale, &mut edited));
        card(ui, |ui| manners(ui, &locale, &mut edited));
    });
    settings.set_if_neq(edited);
}

fn general(ui: &mut Ui, locale: &Locale, settings: &mut Settings) {
    title(ui, &locale.text("settings-general"));
    ui.label(locale.text("settings-language"));
    choices(
        ui,
        &mut settings.language,
        &[
            (LanguageChoice::System, locale.text("settings-language-system")),
            (LanguageChoice::English, "English".to_owned()),
            (LanguageChoice::Japanese, "日本語".to_owned()),
        ],
    );
    ui.add_space(4.0);
    ui.label(locale.text("settings-send-key"));
    choices(
        ui,
        &mut settings.send_key,
        &[
            (SendKey::Enter, locale.text("settings-send-enter")),
            (SendKey::CtrlEnter, locale.text("settings-send-ctrl-enter")),
        ],
    );
}

fn look(ui: &mut Ui, locale: &Locale, settings: &mut Settings) {
    title(ui, &locale.text("settings-look"));
    percent(ui, &locale.text("settings-figure-size"), &mut settings.figure_scale, 0.5..=2.0);
    percent(ui, &locale.text("settings-text-size"), &mut settings.text_scale, 0.8..=2.0);
    ui.add_space(4.0);
    ui.label(locale.text("settings-bubble"));
    choices(
        ui,
        &mut settings.bubble,
        &[
            (BubbleLevel::Full, locale.text("settings-bubble-full")),
            (BubbleLevel::Line, locale.text("settings-bubble-line")),
            (BubbleLevel::Symbol, locale.text("settings-bubble-symbol")),
            (BubbleLevel::None, locale.text("settings-bubble-none")),
        ],
    );
    ui.add_space(4.0);
    let name = locale.text("settings-reduced-motion");
    let hint = locale.text("settings-reduced-motion-hint");
    row(ui, &name, &hint, |ui| switch(ui, &mut settings.reduced_motion, &name));
}

fn manners(ui: &mut Ui, locale: &Locale, settings: &mut Settings) {
    title(ui, &locale.text("settings-manners"));
    let name = locale.text("settings-quiet");
    let hint = locale.text("settings-quiet-hint");
    row(ui, &name, &hint, |ui| switch(ui, &mut settings.quiet, &name));
    let name = locale.text("settings-learn");
    let hint = locale.text("settings-learn-hint");
    row(ui, &name, &hint, |ui| switch(ui, &mut settings.learn, &name));
    if ui.button(locale.text("settings-welcome-again")).clicked() {
        settings.welcomed = false;
    }
    caption(ui, &locale.text("settings-welcome-hint"));
}

/// A slider that reads in percent and applies when let go, so that the page does not move under the pointer.
fn percent(ui: &mut Ui, name: &str, value: &mut f32, range: std::ops::RangeInclusive<f32>) {
    row(ui, name, "", |ui| {
        let id = ui.id().with(name);
        let mut shown = ui.data(|d| d.get_temp::<f32>(id)).unwrap_or(*value);
        let slider = Slider::new(&mut shown, range)
            .step_by(0.05)
            .custom_formatter(|x, _| format!("{:.0} %", x * 100.0))
            .custom_parser(|text| {
                let number = text.trim().trim_end_matches('%').trim().parse::<f64>().ok()?;
                Some(number / 100.0)
            });
        let response = ui.add(slider);
        if response.dragged() {
            ui.data_mut(|d| d.insert_temp(id, shown));
        } else {
            ui.data_mut(|d| d.remove::<f32>(id));
            *value = shown;
        }
        response.widget_info(|| egui::WidgetInfo::slider(true, f64::from(shown), name));
    });
}
