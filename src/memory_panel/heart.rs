//! "Heart": the fast weights as they are: their size on disk, which never changes, and how far each head has moved.
//!
//! In: [`BrainInfo`]. Out: the wish that it sleeps.

use bevy_egui::egui::{CornerRadius, RichText, Sense, Ui, vec2};

use super::Wish;
use crate::{
    brain::protocol::{BrainInfo, SleepSummary},
    i18n::Locale,
    theme::{
        APRICOT, LINE, PLUM, TEAL,
        widgets::{caption, plain_button, row, title},
    },
};

pub(super) fn show(
    ui: &mut Ui,
    locale: &Locale,
    info: Option<&BrainInfo>,
    busy: bool,
    wishes: &mut Vec<Wish>,
) {
    title(ui, &locale.text("memory-heart"));
    let Some(info) = info else {
        caption(ui, &locale.text("memory-not-ready"));
        return;
    };
    let bytes = grouped(info.memory_bytes);
    let text = locale.with("memory-bytes", [("bytes", bytes.into())]);
    ui.label(
        RichText::new(text)
            .size(ui.style().text_styles[&bevy_egui::egui::TextStyle::Heading].size)
            .color(TEAL),
    );
    caption(ui, &locale.text("memory-bytes-hint"));
    strip(ui, locale, &info.heads);
    let value = |ui: &mut Ui, name: &str, value: String| {
        row(ui, name, "", |ui| ui.label(RichText::new(value).color(PLUM)));
    };
    value(ui, &locale.text("memory-tokens"), grouped(info.tokens_read));
    value(ui, &locale.text("memory-notes"), grouped(info.notes_written));
    let id: String = info.model_id.chars().take(12).collect();
    value(ui, &locale.text("memory-brain"), id);
    sleep(ui, locale, &info.last_sleep);
    ui.add_enabled_ui(!busy, |ui| {
        if plain_button(ui, &locale.text("memory-sleep")).clicked() {
            wishes.push(Wish::Sleep);
        }
    });
}

/// What came of the last whole sleep.
fn sleep(ui: &mut Ui, locale: &Locale, last: &SleepSummary) {
    if last.notes == 0 {
        caption(ui, &locale.text("memory-no-sleep"));
        return;
    }
    let known = [
        ("before", last.known_before.into()),
        ("after", last.known_after.into()),
        ("all", last.notes.into()),
    ];
    caption(ui, &locale.with("memory-last-sleep", known));
    let admitted = [
        ("before", last.admitted_before.into()),
        ("after", last.admitted_after.into()),
        ("all", last.unknown.into()),
    ];
    caption(ui, &locale.with("memory-last-sleep-unknown", admitted));
}

/// One row a layer, one cell a head; the fuller the color, the more the head holds.
fn strip(ui: &mut Ui, locale: &Locale, heads: &[Vec<(bool, f32)>]) {
    let n_heads = heads.iter().map(Vec::len).max().unwrap_or(0);
    if n_heads == 0 {
        return;
    }
    let loudest = heads.iter().flatten().map(|h| h.1).fold(f32::MIN_POSITIVE, f32::max);
    let cell = ((ui.available_width() + 3.0) / n_heads as f32 - 3.0).clamp(4.0, 80.0);
    ui.add_space(2.0);
    ui.spacing_mut().item_spacing.y = 6.0;
    for (layer_idx, layer) in heads.iter().enumerate() {
        let size = vec2(ui.available_width(), 12.0);
        let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
        for (head_idx, (lifelong, norm)) in layer.iter().enumerate() {
            let left = rect.left() + head_idx as f32 * (cell + 3.0);
            let place = bevy_egui::egui::Rect::from_min_size(
                bevy_egui::egui::pos2(left, rect.top()),
                vec2(cell, rect.height()),
            );
            let color = if *lifelong { APRICOT } else { TEAL };
            let full = (norm / loudest).clamp(0.0, 1.0).sqrt();
            ui.painter().rect_filled(place, CornerRadius::same(4), LINE.lerp_to_gamma(color, full));
        }
        response.on_hover_ui(|ui| {
            let norms: Vec<_> = layer.iter().map(|h| format!("{:.2}", h.1)).collect();
            caption(
                ui,
                &format!("{} {}: {}", locale.text("memory-layer"), layer_idx + 1, norms.join("  ")),
            );
        });
    }
    ui.horizontal(|ui| {
        for (color, name) in [
            (TEAL, locale.text("memory-session-heads")),
            (APRICOT, locale.text("memory-lifelong-heads")),
        ] {
            let (dot, _) = ui.allocate_exact_size(vec2(10.0, 10.0), Sense::hover());
            ui.painter().circle_filled(dot.center(), 5.0, color);
            caption(ui, &name);
        }
    });
}

/// `1234567` → `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!([grouped(7), grouped(1234), grouped(1_234_567)], ["7", "1,234", "1,234,567"]);
    }
}
