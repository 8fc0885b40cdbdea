//! The history: bubbles left and right, day separators, what was remembered, copy and retry.
//!
//! In: [`Transcript`]. Out: clicks as orders. Only lines in view are laid out anew; broken texts are cached.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use bevy_egui::egui::{
    self, Color32, CornerRadius, Galley, RichText, ScrollArea, Sense, Stroke, StrokeKind,
    TextStyle, Ui, Vec2, vec2,
};

use super::input::Order;
use crate::{
    dialogue::{
        Line, LineState, Speaker, Transcript,
        bubble::line_break::break_lines,
        clock::{day_name, local, time_of_day},
        transcript::now_unix_s,
    },
    i18n::Locale,
    theme::{
        APRICOT, LILAC_PALE, LINE, PAPER, PLUM, PLUM_SOFT, ROSE, ROSE_PALE, TEAL_PALE, glyphs,
        widgets::{caption, link_button},
    },
};

const PADDING: Vec2 = vec2(14.0, 10.0);
const MARGIN: f32 = 16.0;

/// Texts with their line breaks put in, by text, width and size.
#[derive(Default)]
pub(super) struct BrokenText(HashMap<u64, String>);

impl BrokenText {
    /// `text` laid out for lines of `width` logical pixels.
    fn galley(
        &mut self,
        ui: &Ui,
        text: &str,
        style: TextStyle,
        width: f32,
        color: Color32,
    ) -> Arc<Galley> {
        let font = style.resolve(ui.style());
        let mut hasher = DefaultHasher::new();
        (text, width.to_bits(), font.size.to_bits()).hash(&mut hasher);
        if self.0.len() > 1000 {
            self.0.clear();
        }
        let broken = self.0.entry(hasher.finish()).or_insert_with(|| {
            let text = glyphs::drawable(ui.ctx(), text);
            let lines = ui.ctx().fonts_mut(|fonts| {
                break_lines(&text, width, &mut |s| {
                    s.chars().map(|c| fonts.glyph_width(&font, c)).sum()
                })
            });
            let lines: Vec<_> = lines.into_iter().map(|l| &text[l]).collect();
            lines.join("\n")
        });
        ui.painter().layout_no_wrap(broken.clone(), font, color)
    }
}

pub(super) fn show(
    ui: &mut Ui,
    locale: &Locale,
    talk: &Transcript,
    broken: &mut BrokenText,
    orders: &mut Vec<Order>,
    learn: bool,
) {
    if talk.lines().len() == 0 {
        ui.vertical_centered(|ui| {
            ui.add_space(ui.available_height() * 0.36);
            ui.label(RichText::new(locale.text("chat-empty")).color(PLUM));
            caption(ui, &locale.text("chat-empty-hint"));
        });
        return;
    }
    let today = local(now_unix_s()).date();
    let n_lines = talk.lines().len();
    ScrollArea::vertical().auto_shrink(false).stick_to_bottom(true).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 4.0;
        ui.add_space(6.0);
        let mut day = None;
        for (i, line) in talk.lines().enumerate() {
            let at = local(line.unix_s);
            if day != Some(at.date()) {
                day = Some(at.date());
                separator(ui, &day_name(at.date(), today, locale));
            }
            match line.speaker {
                Speaker::Interface => notice(ui, &line.text),
                _ => {
                    let area = bubble(ui, line, broken, locale);
                    let last = i + 1 == n_lines;
                    foot(
                        ui,
                        line,
                        area,
                        last,
                        &time_of_day(&at),
                        talk,
                        locale,
                        broken,
                        orders,
                        learn,
                    );
                }
            }
        }
        ui.add_space(10.0);
    });
}

fn separator(ui: &mut Ui, day: &str) {
    ui.add_space(6.0);
    ui.vertical_centered(|ui| caption(ui, day));
    ui.add_space(2.0);
}

fn notice(ui: &mut Ui, text: &str) {
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        ui.add_space(MARGIN * 2.0);
        ui.vertical(|ui| {
            ui.set_max_width(ui.available_width() - MARGIN * 2.0);
            let text = glyphs::drawable(ui.ctx(), text).into_owned();
            ui.label(RichText::new(text).small().color(PLUM_SOFT));
        });
    });
    ui.add_space(4.0);
}

/// One line as a bubble; returns its rectangle.
fn bubble(ui: &mut Ui, line: &Line, broken: &mut BrokenText, locale: &Locale) -> egui::Rect {
    let mine = line.speaker == Speaker::You;
    let room = ui.available_width();
    let text_width = ((room - 2.0 * MARGIN) * 0.82).min(460.0) - 2.0 * PADDING.x;
    let waiting = line.text.is_empty() && line.state == LineState::Streaming;
    let text = match (waiting, line.state) {
        (true, _) => locale.text("chat-thinking"),
        (_, LineState::Streaming) => format!("{} ▍", line.text),
        (_, LineState::Stopped) => format!("{}…", line.text),
        _ => line.text.clone(),
    };
    let ink = if waiting { PLUM_SOFT } else { PLUM };
    let galley = broken.galley(ui, &text, TextStyle::Body, text_width, ink);
    let size = galley.size() + 2.0 * PADDING;
    let (row, _) = ui.allocate_exact_size(vec2(room, size.y), Sense::hover());
    let left = if mine { row.right() - MARGIN - size.x } else { row.left() + MARGIN };
    let rect = egui::Rect::from_min_size(egui::pos2(left, row.top()), size);
    if ui.is_rect_visible(rect) {
        let (fill, edge) = match (line.state, line.private, mine) {
            (LineState::Failed, ..) => (ROSE_PALE, ROSE),
            (_, true, _) => (LILAC_PALE, LINE),
            (_, _, true) => (TEAL_PALE, TEAL_PALE),
            _ => (PAPER, LINE),
        };
        let mut radius = CornerRadius::same(16);
        *(if mine { &mut radius.se } else { &mut radius.sw }) = 5;
        ui.painter().rect(rect, radius, fill, Stroke::new(1.0, edge), StrokeKind::Inside);
        ui.painter().galley(rect.min + PADDING, galley, ink);
    }
    rect
}

/// A bead and the note that the model wrote.
fn remembered(ui: &mut Ui, note: &str, broken: &mut BrokenText, locale: &Locale) {
    let note = note.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = locale.with("bubble-remembered", [("note", note.into())]);
    let indent = MARGIN + 20.0;
    let room = ui.available_width();
    let galley = broken.galley(ui, &text, TextStyle::Small, room - indent - MARGIN, PLUM_SOFT);
    let (row, _) = ui.allocate_exact_size(vec2(room, galley.size().y + 4.0), Sense::hover());
    let first_middle = galley.size().y / galley.rows.len().max(1) as f32 / 2.0 + 2.0;
    let bead = row.left_top() + vec2(MARGIN + 9.0, first_middle);
    ui.painter().circle(bead, 4.5, APRICOT, Stroke::new(1.0, PLUM_SOFT));
    ui.painter().galley(row.left_top() + vec2(indent, 2.0), galley, PLUM_SOFT);
}

/// Under a bubble: what was remembered, the time, and what can be done.
fn foot(
    ui: &mut Ui,
    line: &Line,
    area: egui::Rect,
    last: bool,
    time: &str,
    talk: &Transcript,
    locale: &Locale,
    broken: &mut BrokenText,
    orders: &mut Vec<Order>,
    learn: bool,
) {
    line.remembered.iter().for_each(|note| remembered(ui, note, broken, locale));
    let layout = match line.speaker {
        Speaker::You => egui::Layout::right_to_left(egui::Align::Center),
        _ => egui::Layout::left_to_right(egui::Align::Center),
    };
    let row_height = ui.text_style_height(&egui::TextStyle::Small) + 6.0;
    let size = vec2(ui.available_width(), row_height);
    ui.allocate_ui_with_layout(size, layout, |ui| {
        ui.spacing_mut().button_padding = vec2(2.0, 0.0);
        ui.spacing_mut().interact_size.y = row_height;
        ui.add_space(MARGIN + 4.0);
        caption(ui, time);
        if line.state == LineState::Stopped {
            caption(ui, &locale.text("chat-stopped"));
        }
        let near = area.expand2(vec2(40.0, 26.0));
        let hovered = ui.ctx().pointer_latest_pos().is_some_and(|p| near.contains(p));
        if line.state == LineState::Streaming || !(hovered || last) {
            return;
        }
        if link_button(ui, &locale.text("chat-copy")).clicked() {
            ui.ctx().copy_text(line.text.clone());
        }
        if last
            && line.speaker == Speaker::Companion
            && let Some(said) = talk.last_said()
            && link_button(ui, &locale.text("chat-retry")).clicked()
        {
            orders.push(Order::Say { text: said.text.clone(), learn: learn && !said.private });
        }
    });
}
