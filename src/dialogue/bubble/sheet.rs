//! One frame of the bubble: the words laid out for the room there is, then drawn.
//!
//! In: the words, the font, the area. Out: shapes and what was pressed.

use bevy_egui::egui::{self, Align2, FontId, Id, Pos2, Sense, Ui, UiBuilder, vec2};
use unicode_segmentation::UnicodeSegmentation;

use super::{
    Source, Words,
    draw::{Press, Surroundings, bubble_area, mouth, place},
    fit::{Fit, fit},
    line_break::{break_lines, settled_len},
    paint, stay_s,
};
use crate::{
    dialogue::LineState,
    i18n::Locale,
    settings::BubbleLevel,
    theme::{self, PLUM, PLUM_PALE, PLUM_SOFT, ROSE, TEAL, glyphs},
};

const MAX_WIDTH: f32 = 320.0;
const MIN_WIDTH: f32 = 96.0;
pub(super) const PADDING: egui::Vec2 = vec2(16.0, 11.0);
const FONT_SIZE: f32 = 15.5;
const LINE_HEIGHT: f32 = 1.5;
const MAX_LINES: usize = 3;

/// One frame's layout.
pub(super) struct Sheet {
    pub(super) ctx: egui::Context,
    pub(super) font: FontId,
    pub(super) text: String,
    pub(super) fit: Fit,
    /// Text width, logical pixels.
    width: f32,
    pub(super) symbol: bool,
}

impl Sheet {
    pub(super) fn lay_out(ctx: &egui::Context, words: &mut Words, around: &Surroundings) -> Self {
        let level = around.settings.bubble;
        let symbol = level == BubbleLevel::Symbol && words.choices.is_empty();
        let font = theme::font(FONT_SIZE * around.settings.text_scale);
        let text = match (symbol, words.text.is_empty()) {
            (true, false) => "♪".to_owned(),
            _ => glyphs::drawable(ctx, words.text.trim_end()).into_owned(),
        };
        let area = bubble_area(around);
        let room = area.width().min(MAX_WIDTH) - 2.0 * PADDING.x;
        let mut measure = |piece: &str| {
            ctx.fonts_mut(|f| piece.chars().map(|c| f.glyph_width(&font, c)).sum::<f32>())
        };
        let lines = break_lines(&text, room, &mut measure);
        let height = font.size * LINE_HEIGHT;
        let by_height = ((area.height() - 2.0 * PADDING.y - paint::TAIL) / height) as usize;
        let max_lines = match level {
            _ if !words.choices.is_empty() => 6, // a question must be read whole to be answered
            BubbleLevel::Full => by_height.clamp(1, MAX_LINES),
            _ => 1,
        };
        let said = byte_of_char(&text, &lines, words.typewriter.shown());
        let fit = fit(&text, lines, max_lines, said);
        let width = fit.lines.iter().map(|l| measure(&text[l.clone()])).fold(0.0, f32::max);
        let sheet = Self { ctx: ctx.clone(), font, text, fit, width, symbol };
        sheet.advance(words, around.time.delta_secs());
        sheet
    }

    /// Lets letters appear, then lets the time run in which the finished line stays.
    fn advance(&self, words: &mut Words, seconds: f32) {
        let streaming = words.state == LineState::Streaming;
        let end =
            if streaming && !self.fit.more { settled_len(&self.text) } else { self.text.len() };
        let available = self.fit.chars_before(&self.text, end);
        if self.symbol {
            words.typewriter.finish(available);
        }
        words.typewriter.advance(seconds, available);
        let all_shown = words.typewriter.shown() >= self.fit.n_chars(&self.text);
        words.all_shown = all_shown;
        if !streaming && all_shown && words.choices.is_empty() {
            let extra = if self.fit.more { 3.0 } else { 0.0 }; // time to reach for "more"
            let stay = stay_s(self.fit.n_chars(&self.text)) + extra;
            let left = words.left_s.get_or_insert(stay);
            *left -= seconds;
        } else {
            words.left_s = None;
        }
    }

    /// Draws everything; what was pressed, and the card's rectangle.
    pub(super) fn show(
        &self,
        words: &mut Words,
        around: &Surroundings,
    ) -> (Option<Press>, egui::Rect) {
        let area = bubble_area(around);
        let mouth = mouth(around);
        let size = self.card_size(words, around, area);
        let card = place(size, area, mouth);
        let layer = egui::LayerId::new(egui::Order::Middle, Id::new("bubble"));
        let frame = card.expand(24.0);
        let builder = UiBuilder::new().layer_id(layer).max_rect(frame);
        let mut ui = Ui::new(self.ctx.clone(), Id::new("bubble"), builder);
        ui.set_clip_rect(ui.ctx().viewport_rect());
        let fade_in = (words.age_s / 0.12).min(1.0);
        let fade_out = words.left_s.map_or(1.0, |left| (left / 0.25).clamp(0.0, 1.0));
        ui.set_opacity(fade_in * fade_out);
        let line = match (words.state, words.source, words.private) {
            (LineState::Failed, ..) => ROSE,
            (_, Source::Interface(_), _) => TEAL,
            (_, _, true) => PLUM_SOFT,
            _ => PLUM_PALE,
        };
        paint::card(ui.painter(), card, mouth, line);
        let body = ui.interact(card, Id::new("bubble card"), Sense::click());
        let hovered = self.ctx.pointer_latest_pos().is_some_and(|p| card.expand(6.0).contains(p));
        if hovered && let Some(left) = &mut words.left_s {
            *left = left.max(1.5); // pinned while the pointer rests on it
        }
        let mut press = None;
        if body.clicked() {
            press = Some(if words.left_s.is_none() { Press::Hurry } else { Press::More });
        }
        if words.text.is_empty() {
            let still = around.settings.reduced_motion;
            paint::dots(ui.painter(), card.center(), (!still).then_some(words.age_s));
        }
        let below = self.letters(&ui, card.min + PADDING, words.typewriter.shown());
        let below = self.note(&ui, below, words, around);
        self.choices(&mut ui, below, card, words, &mut press);
        self.edge_buttons(&mut ui, card, words, around, hovered, &mut press);
        (press, card)
    }

    fn card_size(&self, words: &Words, around: &Surroundings, area: egui::Rect) -> egui::Vec2 {
        let mut width = self.width;
        let mut height = self.fit.lines.len().max(1) as f32 * self.font.size * LINE_HEIGHT;
        if let Some(note) = note_text(words, &around.locale) {
            let small = theme::font(self.small());
            width = width.max(20.0 + self.line_width(&note, &small));
            height += self.small() * LINE_HEIGHT;
        }
        if !words.choices.is_empty() {
            let labels: f32 =
                words.choices.iter().map(|c| 36.0 + self.line_width(c, &self.font)).sum();
            width = width.max(labels);
            height += self.font.size + 26.0;
        }
        let size = vec2(width, height) + 2.0 * PADDING;
        let size = size.max(vec2(MIN_WIDTH, 0.0)).min(vec2(area.width().min(MAX_WIDTH), f32::MAX));
        if around.settings.reduced_motion || words.age_s < 0.05 {
            return size;
        }
        vec2(
            self.ctx.animate_value_with_time(Id::new("bubble width"), size.x, 0.1),
            self.ctx.animate_value_with_time(Id::new("bubble height"), size.y, 0.1),
        )
    }

    /// The shown letters; returns where the next thing goes.
    fn letters(&self, ui: &Ui, mut at: Pos2, mut n_chars: usize) -> Pos2 {
        let height = self.font.size * LINE_HEIGHT;
        for (i, line) in self.fit.lines.iter().enumerate() {
            let whole = &self.text[line.clone()];
            let mut shown: String = whole.graphemes(true).take(n_chars).collect();
            let complete = shown.len() == whole.len();
            n_chars = n_chars.saturating_sub(whole.graphemes(true).count());
            if complete && self.fit.dots && i + 1 == self.fit.lines.len() {
                shown.push('…');
            }
            let middle = at + vec2(0.0, height / 2.0);
            ui.painter().text(middle, Align2::LEFT_CENTER, shown, self.font.clone(), PLUM);
            at.y += height;
        }
        if self.fit.lines.is_empty() {
            at.y += height;
        }
        at
    }

    fn note(&self, ui: &Ui, mut at: Pos2, words: &Words, around: &Surroundings) -> Pos2 {
        let Some(note) = note_text(words, &around.locale) else { return at };
        let height = self.small() * LINE_HEIGHT;
        let middle = at + vec2(0.0, height / 2.0 + 1.0);
        paint::bead(ui.painter(), middle + vec2(6.0, 0.0), 5.0);
        let font = theme::font(self.small());
        let room = bubble_area(around).width().min(MAX_WIDTH) - 2.0 * PADDING.x - 20.0;
        let mut note = glyphs::drawable(&self.ctx, &note).into_owned();
        while note.chars().count() > 8 && self.line_width(&note, &font) > room {
            note.pop();
            note.pop();
            note.push('…');
        }
        ui.painter().text(middle + vec2(18.0, 0.0), Align2::LEFT_CENTER, note, font, PLUM_SOFT);
        at.y += height;
        at
    }

    pub(super) fn small(&self) -> f32 {
        self.font.size * 0.8
    }

    pub(super) fn line_width(&self, text: &str, font: &FontId) -> f32 {
        self.ctx.fonts_mut(|f| text.chars().map(|c| f.glyph_width(font, c)).sum())
    }
}

fn note_text(words: &Words, locale: &Locale) -> Option<String> {
    let note = words.note.as_ref()?.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(locale.with("bubble-remembered", [("note", note.into())]))
}

/// Byte offset in `text` after the first `n_chars` characters of its lines.
fn byte_of_char(text: &str, lines: &[std::ops::Range<usize>], mut n_chars: usize) -> usize {
    for line in lines {
        let count = text[line.clone()].graphemes(true).count();
        if n_chars <= count {
            let ahead: usize = text[line.clone()].graphemes(true).take(n_chars).map(str::len).sum();
            return line.start + ahead;
        }
        n_chars -= count;
    }
    lines.last().map_or(0, |l| l.end)
}
