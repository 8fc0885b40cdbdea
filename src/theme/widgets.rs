//! The few widgets all panels share: cards, buttons with a meaning, a switch, a meter, a row of choices.
//!
//! In: an egui `Ui`. Out: what was pressed. They hold no state.

use bevy_egui::egui::{
    self, Align, Button, Color32, CornerRadius, Frame, InnerResponse, Layout, Margin, Response,
    RichText, Sense, Stroke, TextEdit, Ui, Vec2, WidgetInfo, WidgetType,
};

use super::{LINE, PAPER, PLUM, PLUM_SOFT, ROSE, ROSE_PALE, TEAL, TEAL_PALE};

/// A rounded sheet on the canvas, as wide as there is room.
pub fn card<R>(ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> InnerResponse<R> {
    tinted_card(ui, PAPER, add)
}

/// A card on another ground color.
pub fn tinted_card<R>(
    ui: &mut Ui,
    fill: Color32,
    add: impl FnOnce(&mut Ui) -> R,
) -> InnerResponse<R> {
    Frame::new()
        .fill(fill)
        .stroke(Stroke::new(1.0, LINE))
        .corner_radius(CornerRadius::same(14))
        .inner_margin(Margin::symmetric(16, 14))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            add(ui)
        })
}

/// Title of a card.
pub fn title(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).heading().color(PLUM));
}

/// Small explaining text, wrapped.
pub fn caption(ui: &mut Ui, text: &str) -> Response {
    ui.label(RichText::new(text).small().color(PLUM_SOFT))
}

/// The main thing to do here.
pub fn primary_button(ui: &mut Ui, text: &str) -> Response {
    filled_button(ui, text, TEAL, Color32::WHITE)
}

/// Something that removes or stops.
pub fn danger_button(ui: &mut Ui, text: &str) -> Response {
    filled_button(ui, text, ROSE, Color32::WHITE)
}

/// Any other button.
pub fn plain_button(ui: &mut Ui, text: &str) -> Response {
    ui.add(Button::new(RichText::new(text).color(PLUM)))
}

/// A field for one line, `width` logical pixels wide.
pub fn text_field(ui: &mut Ui, text: &mut String, width: f32, max_chars: usize) -> Response {
    let field = TextEdit::singleline(text).margin(Margin::symmetric(12, 8)).char_limit(max_chars);
    ui.add(field.desired_width(width))
}

/// A button that looks like a link: for actions that are seldom needed.
pub fn link_button(ui: &mut Ui, text: &str) -> Response {
    ui.add(Button::new(RichText::new(text).small().color(TEAL)).frame(false))
        .on_hover_cursor(egui::CursorIcon::PointingHand)
}

fn filled_button(ui: &mut Ui, text: &str, fill: Color32, ink: Color32) -> Response {
    let (fill, ink) = if ui.is_enabled() { (fill, ink) } else { (LINE, PLUM) };
    let label = RichText::new(text).color(ink);
    ui.add(Button::new(label).fill(fill).stroke(Stroke::NONE))
}

/// A line in rose that says what went wrong.
pub fn warning(ui: &mut Ui, text: &str) {
    Frame::new()
        .fill(ROSE_PALE)
        .corner_radius(CornerRadius::same(10))
        .inner_margin(Margin::symmetric(12, 8))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.label(RichText::new(text).color(PLUM));
        });
}

/// A row with a name on the left and a control on the right.
pub fn row<R>(ui: &mut Ui, name: &str, hint: &str, control: impl FnOnce(&mut Ui) -> R) -> R {
    let inner = ui.horizontal(|ui| {
        ui.label(RichText::new(name).color(PLUM));
        ui.with_layout(Layout::right_to_left(Align::Center), control).inner
    });
    if !hint.is_empty() {
        caption(ui, hint);
    }
    inner.inner
}

/// An on-off switch. `name` is what assistive technology reads.
pub fn switch(ui: &mut Ui, on: &mut bool, name: &str) -> Response {
    let (rect, mut response) = ui.allocate_exact_size(Vec2::new(42.0, 24.0), Sense::click());
    if response.clicked() {
        *on = !*on;
        response.mark_changed();
    }
    response.widget_info(|| WidgetInfo::selected(WidgetType::Checkbox, ui.is_enabled(), *on, name));
    if ui.is_rect_visible(rect) {
        let along = ui.ctx().animate_bool_responsive(response.id, *on);
        let ground = super::PLUM_PALE.lerp_to_gamma(TEAL, along);
        ui.painter().rect_filled(rect, CornerRadius::same(12), ground);
        let x = egui::lerp((rect.left() + 12.0)..=(rect.right() - 12.0), along);
        ui.painter().circle_filled(egui::pos2(x, rect.center().y), 9.0, PAPER);
    }
    response
}

/// One choice out of a few, side by side. Returns true when the choice changed.
pub fn choices<T: PartialEq + Copy>(ui: &mut Ui, chosen: &mut T, all: &[(T, String)]) -> bool {
    let before = *chosen;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = Vec2::splat(6.0);
        ui.spacing_mut().button_padding = Vec2::new(12.0, 5.0);
        for (value, name) in all {
            let on = *value == *chosen;
            let (fill, line, ink) =
                if on { (TEAL_PALE, TEAL, TEAL) } else { (PAPER, LINE, PLUM_SOFT) };
            let button = Button::new(RichText::new(name).color(ink))
                .fill(fill)
                .stroke(Stroke::new(if on { 1.5 } else { 1.0 }, line))
                .corner_radius(CornerRadius::same(15));
            if ui.add(button).clicked() {
                *chosen = *value;
            }
        }
    });
    before != *chosen
}

/// A bar filled to `part` (0 to 1), `width` logical pixels long.
pub fn meter(ui: &mut Ui, part: f32, width: f32, color: Color32) -> Response {
    let (rect, response) = ui.allocate_exact_size(Vec2::new(width, 8.0), Sense::hover());
    let radius = CornerRadius::same(4);
    ui.painter().rect_filled(rect, radius, LINE);
    let mut filled = rect;
    filled.set_width(rect.width() * part.clamp(0.0, 1.0));
    if filled.width() >= 1.0 {
        ui.painter().rect_filled(filled, radius, color);
    }
    response
}
