//! The About page: versions and figures that the person can check; a copy of them holds no word of any talk.
//!
//! In: [`KnownBrain`], the frame counter. Out: text for the clipboard.

use std::{collections::VecDeque, time::Duration};

use bevy::prelude::*;
use bevy_egui::egui::{RichText, Ui};

use crate::{
    dialogue::panel::{PanelPass, PanelUi, Tab, TabSystems, tab_is},
    i18n::Locale,
    memory_panel::{KnownBrain, grouped},
    theme::{
        PLUM,
        widgets::{caption, card, plain_button, row, title},
    },
};

/// Times of the updates of the last five seconds.
#[derive(Debug, Default, Resource)]
struct UpdateTimes(VecDeque<Duration>);

const WINDOW: Duration = Duration::from_secs(5);

/// Adds the systems of this file.
pub fn plugin(app: &mut App) {
    app.init_resource::<UpdateTimes>()
        .add_systems(First, count_update)
        .add_systems(PanelPass, show_about.run_if(tab_is(Tab::About)).after(TabSystems));
}

fn count_update(time: Res<Time<Real>>, mut times: ResMut<UpdateTimes>) {
    let now = time.elapsed();
    times.0.push_back(now);
    while times.0.front().is_some_and(|t| now.saturating_sub(*t) > WINDOW) {
        times.0.pop_front();
    }
}

fn show_about(
    mut panel: PanelUi,
    locale: Res<Locale>,
    known: Res<KnownBrain>,
    times: Res<UpdateTimes>,
) {
    let per_second = times.0.len() as f32 / WINDOW.as_secs_f32();
    let facts = facts(&locale, &known, per_second);
    panel.page("about", |ui| {
        card(ui, |ui| {
            title(ui, &locale.text("about-title"));
            caption(ui, &locale.text("about-text"));
            ui.add_space(4.0);
            for (name, value) in &facts {
                row(ui, name, "", |ui| ui.label(RichText::new(value).color(PLUM)));
            }
            ui.add_space(4.0);
            copy_button(ui, &locale, &facts);
        });
        card(ui, |ui| {
            title(ui, &locale.text("about-licenses"));
            caption(ui, &locale.text("about-licenses-text"));
        });
    });
}

fn copy_button(ui: &mut Ui, locale: &Locale, facts: &[(String, String)]) {
    if plain_button(ui, &locale.text("about-copy")).clicked() {
        let lines: Vec<_> = facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        ui.ctx().copy_text(lines.join("\n"));
    }
    caption(ui, &locale.text("about-copy-hint"));
}

fn facts(locale: &Locale, known: &KnownBrain, per_second: f32) -> Vec<(String, String)> {
    let mut facts = vec![(locale.text("about-version"), env!("CARGO_PKG_VERSION").to_owned())];
    let mut add = |key: &str, value: String| facts.push((locale.text(key), value));
    if let Some(info) = &known.info {
        add("about-model", info.model_id.chars().take(16).collect());
        add("about-params", grouped(info.n_params as u64));
        add("about-device", format!("{} · {}", info.device, info.isa));
        add("about-threads", info.threads.to_string());
        add("about-memory", format!("{} B", grouped(info.memory_bytes)));
    }
    if let Some(stats) = &known.last_reply {
        add("about-first-token", format!("{} ms", stats.first_token.as_millis()));
        let rate = stats.reply_tokens as f32 / stats.total.as_secs_f32().max(1e-3);
        add("about-rate", format!("{rate:.0}"));
    }
    add("about-updates", format!("{per_second:.1}"));
    facts
}
