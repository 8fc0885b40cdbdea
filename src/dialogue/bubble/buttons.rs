//! What can be pressed on the bubble: answers, the stop square or the cross, and "more".
//!
//! In: the sheet of this frame. Out: what was pressed.

use bevy_egui::egui::{self, Align2, Id, Pos2, Sense, Ui, UiBuilder, vec2};

use super::{
    Words,
    draw::{Press, Surroundings},
    paint,
    sheet::Sheet,
};
use crate::{
    dialogue::LineState,
    theme::{self, PAPER, PLUM, PLUM_SOFT, ROSE, TEAL},
};

impl Sheet {
    pub(super) fn choices(
        &self,
        ui: &mut Ui,
        at: Pos2,
        card: egui::Rect,
        words: &Words,
        press: &mut Option<Press>,
    ) {
        let shown = words.typewriter.shown() >= self.fit.n_chars(&self.text);
        if words.choices.is_empty() || !shown {
            return;
        }
        let row = egui::Rect::from_min_max(at + vec2(0.0, 6.0), card.max - super::sheet::PADDING);
        ui.scope_builder(UiBuilder::new().max_rect(row), |ui| {
            ui.horizontal(|ui| {
                for (index, label) in words.choices.iter().enumerate() {
                    let clicked = match index {
                        0 => theme::widgets::primary_button(ui, label),
                        _ => theme::widgets::plain_button(ui, label),
                    };
                    if clicked.clicked() {
                        *press = Some(Press::Choice(index));
                    }
                }
            });
        });
    }

    /// Stop or close on the upper right corner, "more" on the lower edge.
    pub(super) fn edge_buttons(
        &self,
        ui: &mut Ui,
        card: egui::Rect,
        words: &Words,
        around: &Surroundings,
        hovered: bool,
        press: &mut Option<Press>,
    ) {
        let streaming = words.state == LineState::Streaming;
        if streaming || (hovered && words.choices.is_empty()) {
            let center = card.right_top() + vec2(-8.0, 4.0);
            let hit = egui::Rect::from_center_size(center, egui::Vec2::splat(24.0));
            let button = ui.interact(hit, Id::new("bubble corner"), Sense::click());
            let ink = if streaming { ROSE } else { PLUM_SOFT };
            let fill = if button.hovered() { theme::ROSE_PALE } else { PAPER };
            paint::round_button(ui.painter(), center, fill, ink, streaming);
            if button.clicked() {
                *press = Some(if streaming { Press::Stop } else { Press::Close });
            }
        }
        if self.fit.more && !self.symbol {
            let label = around.locale.text("bubble-more");
            let font = theme::font(self.small());
            let size = vec2(self.line_width(&label, &font) + 22.0, self.small() + 10.0);
            let pill = egui::Rect::from_center_size(
                card.right_bottom() + vec2(-size.x / 2.0 - 14.0, 4.0),
                size,
            );
            let button = ui.interact(pill, Id::new("bubble more"), Sense::click());
            let fill = if button.hovered() { PLUM } else { TEAL };
            ui.painter().rect_filled(pill, size.y / 2.0, fill);
            ui.painter().text(pill.center(), Align2::CENTER_CENTER, label, font, PAPER);
            if button.clicked() {
                *press = Some(Press::More);
            }
        }
    }
}
