//! Draws the bubble each frame: lays the words out, lets letters appear, takes clicks.
//!
//! In: [`Bubble`], where the mouth is, how much the person wants to see. Out: shapes, clicks, rectangles that take clicks.

use bevy::{ecs::system::SystemParam, prelude::*};
use bevy_egui::{
    EguiContext, PrimaryEguiContext,
    egui::{self, Align2, FontId, Id, Pos2, Sense, Ui, UiBuilder, vec2},
};
use unicode_segmentation::UnicodeSegmentation;

use super::{
    Bubble, LineAnswered, Source, Words,
    fit::{Fit, fit},
    line_break::{break_lines, settled_len},
    paint, stay_s,
};
use crate::{
    dialogue::{
        LineState, StopReply,
        egui_contexts::Dressed,
        panel::{OpenPanel, Tab},
        seams::{InteractiveRects, MascotLayout},
    },
    i18n::Locale,
    settings::{BubbleLevel, Settings},
    theme::{self, PAPER, PLUM, PLUM_PALE, PLUM_SOFT, ROSE, TEAL, glyphs},
};

const MAX_WIDTH: f32 = 320.0;
const MIN_WIDTH: f32 = 96.0;
const PADDING: egui::Vec2 = vec2(16.0, 11.0);
const FONT_SIZE: f32 = 15.5;
const LINE_HEIGHT: f32 = 1.5;
const MAX_LINES: usize = 3;

/// What the bubble looks at.
#[derive(SystemParam)]
pub(super) struct Surroundings<'w> {
    layout: Option<Res<'w, MascotLayout>>,
    settings: Res<'w, Settings>,
    locale: Res<'w, Locale>,
    time: Res<'w, Time<Real>>,
}

/// Where its clicks go.
#[derive(SystemParam)]
pub(super) struct Clicks<'w> {
    stop: MessageWriter<'w, StopReply>,
    open: MessageWriter<'w, OpenPanel>,
    answered: MessageWriter<'w, LineAnswered>,
}

/// What was pressed in this frame.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Press {
    Stop,
    Close,
    More,
    Hurry,
    Choice(usize),
}

pub(super) fn draw_bubble(
    mut contexts: Query<&mut EguiContext, (With<PrimaryEguiContext>, With<Dressed>)>,
    mut bubble: ResMut<Bubble>,
    around: Surroundings,
    rects: Option<ResMut<InteractiveRects>>,
    mut clicks: Clicks,
) {
    let Ok(mut context) = contexts.single_mut() else { return };
    let level = around.settings.bubble;
    if bubble.words.is_none() {
        return;
    }
    let Some(words) = &mut bubble.bypass_change_detection().words else { return };
    words.age_s += around.time.delta_secs();
    if level == BubbleLevel::None && words.choices.is_empty() {
        bubble.close();
        return;
    }
    let sheet = Sheet::lay_out(context.get_mut(), words, &around);
    let (press, card) = sheet.show(words, &around);
    if let Some(mut rects) = rects {
        rects.0.push(bevy_rect(card.expand(4.0)));
    }
    match press {
        Some(Press::Stop) => {
            clicks.stop.write(StopReply);
        }
        Some(Press::More) => {
            clicks.open.write(OpenPanel(Tab::Chat));
            bubble.close();
        }
        Some(Press::Choice(index)) => {
            if let Source::Interface(topic) = words.source {
                clicks.answered.write(LineAnswered { topic, index });
            }
            bubble.close();
        }
        Some(Press::Close) => bubble.close(),
        Some(Press::Hurry) => words.typewriter.hurried = true,
        None if words.left_s.is_some_and(|left| left <= 0.0) => bubble.close(),
        None => {}
    }
}

/// One frame's layout.
struct Sheet {
    ctx: egui::Context,
    font: FontId,
    text: String,
    fit: Fit,
    /// Text width, logical pixels.
    width: f32,
    symbol: bool,
}

impl Sheet {
    fn lay_out(ctx: &egui::Context, words: &mut Words, around: &Surroundings) -> Self {
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
    fn show(&self, words: &mut Words, around: &Surroundings) -> (Option<Press>, egui::Rect) {
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
        let mut note = glyphs::drawable(&self.ctx, &note).into_owned();
        while note.chars().count() > 8 && self.line_width(&note, &font) > MAX_WIDTH - 56.0 {
            note.pop();
            note.pop();
            note.push('…');
        }
        ui.painter().text(middle + vec2(18.0, 0.0), Align2::LEFT_CENTER, note, font, PLUM_SOFT);
        at.y += height;
        at
    }

    fn choices(
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
        let row = egui::Rect::from_min_max(at + vec2(0.0, 6.0), card.max - PADDING);
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
    fn edge_buttons(
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
                card.right_bottom() - vec2(size.x / 2.0 + 14.0, 1.0),
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

    fn small(&self) -> f32 {
        self.font.size * 0.8
    }

    fn line_width(&self, text: &str, font: &FontId) -> f32 {
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

fn bubble_area(around: &Surroundings) -> egui::Rect {
    let area =
        around.layout.as_ref().map_or(MascotLayout::default().bubble_area, |l| l.bubble_area);
    egui::Rect::from_min_max(egui_pos(area.min), egui_pos(area.max))
}

fn mouth(around: &Surroundings) -> Pos2 {
    egui_pos(
        around.layout.as_ref().map_or(MascotLayout::default().mouth_anchor, |l| l.mouth_anchor),
    )
}

/// The card as near to the mouth as the area allows, with room for the tail.
fn place(size: egui::Vec2, area: egui::Rect, mouth: Pos2) -> egui::Rect {
    let size = size.min(area.size() - vec2(0.0, paint::TAIL));
    let right = (area.right() - size.x).max(area.left());
    if mouth.y >= area.bottom() {
        let left = (mouth.x - size.x / 2.0).clamp(area.left(), right);
        let bottom = area.bottom() - paint::TAIL;
        return egui::Rect::from_min_size(Pos2::new(left, bottom - size.y), size);
    }
    let left =
        if mouth.x < area.center().x { area.left() + paint::TAIL } else { right - paint::TAIL };
    let top = (mouth.y - size.y / 2.0).clamp(area.top(), (area.bottom() - size.y).max(area.top()));
    egui::Rect::from_min_size(Pos2::new(left, top), size)
}

fn egui_pos(at: Vec2) -> Pos2 {
    Pos2::new(at.x, at.y)
}

fn bevy_rect(rect: egui::Rect) -> Rect {
    Rect::new(rect.min.x, rect.min.y, rect.max.x, rect.max.y)
}
