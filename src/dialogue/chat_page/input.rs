//! The input field: one to five lines, conversion-safe Enter, Send that turns into Stop, private talk.
//!
//! In: keyboard and clicks. Out: orders. The unsent text lives in [`Draft`] and survives closing the window.

use std::time::Duration;

use bevy::prelude::*;
use bevy_egui::egui::{
    self, Align, CornerRadius, Event, Frame, Id, Key, Layout, Margin, Modifiers, RichText,
    ScrollArea, Sense, Stroke, TextEdit, Ui, Vec2, WidgetInfo, WidgetType, vec2,
};

use crate::{
    dialogue::enter_rule::{EnterMeans, EnterRule, KeyNews},
    i18n::Locale,
    settings::{SendKey, Settings},
    theme::{
        LILAC_PALE, LINE, PAPER, PLUM_SOFT, ROSE, TEAL,
        widgets::{caption, switch},
    },
};

/// Longer texts are for `Read`; a turn of this many characters is read in a few seconds.
const MAX_CHARS: usize = 4000;
const MAX_ROWS: f32 = 5.0;

/// What is typed and not sent yet.
#[derive(Debug, Clone, Default, Resource)]
pub struct Draft {
    /// The words.
    pub text: String,
    /// Private talk: nothing of it is kept or learned.
    pub private: bool,
    enter: EnterRule,
}

/// What the person wants from the chat page.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Order {
    Say {
        text: String,
        learn: bool,
    },
    Stop,
    /// The text changed; no order but a thing to notice.
    Typing,
}

pub(super) fn show(
    ui: &mut Ui,
    locale: &Locale,
    settings: &Settings,
    draft: &mut Draft,
    pending: bool,
    now: Duration,
    orders: &mut Vec<Order>,
) {
    let ground = if draft.private { LILAC_PALE } else { PAPER };
    let frame = Frame::new().fill(ground).stroke(Stroke::new(1.0, LINE)).inner_margin(Margin {
        left: 14,
        right: 14,
        top: 10,
        bottom: 12,
    });
    let panel = egui::Panel::bottom("chat input").frame(frame).show_separator_line(false);
    panel.show(ui, |ui| {
        let field = Id::new("chat field");
        if ui.memory(|m| m.focused().is_none()) {
            ui.memory_mut(|m| m.request_focus(field));
        }
        let focused = ui.memory(|m| m.has_focus(field));
        let send_pressed = focused && take_enter(ui, draft, settings.send_key, now);
        if pending && ui.input(|i| i.key_pressed(Key::Escape)) {
            orders.push(Order::Stop);
        }
        let clicked = field_row(ui, locale, draft, field, pending, orders);
        ui.add_space(2.0);
        foot_row(ui, locale, settings, draft);
        if clicked && pending {
            orders.push(Order::Stop);
        } else if (clicked || send_pressed) && !draft.text.trim().is_empty() {
            let text = std::mem::take(&mut draft.text);
            orders.push(Order::Say { text, learn: settings.learn && !draft.private });
            ui.memory_mut(|m| m.request_focus(field));
        }
    });
}

/// Reads the keyboard before the field does; true when the line is to be sent.
/// An Enter that sends or belongs to the input method never reaches the field.
fn take_enter(ui: &Ui, draft: &mut Draft, key: SendKey, now: Duration) -> bool {
    let ctrl_sends = key == SendKey::CtrlEnter;
    let news: Vec<_> = ui.input(|i| i.events.iter().filter_map(key_news).collect());
    let meanings = draft.enter.frame(now, &news, ctrl_sends);
    let mut next = meanings.iter();
    ui.input_mut(|i| {
        i.events.retain_mut(|event| match event {
            Event::Key { key: Key::Enter, pressed: true, modifiers, .. } => {
                *modifiers = Modifiers::NONE;
                next.next() == Some(&EnterMeans::NewLine)
            }
            Event::Text(text) => text != "\n" && text != "\r",
            _ => true,
        });
    });
    meanings.contains(&EnterMeans::Send)
}

fn key_news(event: &Event) -> Option<KeyNews> {
    match event {
        Event::Ime(egui::ImeEvent::Preedit { text, .. }) => Some(KeyNews::Preedit(text.clone())),
        Event::Ime(egui::ImeEvent::Commit(text)) if !text.is_empty() => Some(KeyNews::Commit),
        Event::Key { key: Key::Enter, pressed: true, modifiers, .. } => Some(KeyNews::Enter {
            shift: modifiers.shift,
            ctrl: modifiers.ctrl || modifiers.command,
        }),
        _ => None,
    }
}

/// Field and button; true when the button was clicked.
fn field_row(
    ui: &mut Ui,
    locale: &Locale,
    draft: &mut Draft,
    field: Id,
    pending: bool,
    orders: &mut Vec<Order>,
) -> bool {
    ui.horizontal_top(|ui| {
        let row_height = ui.text_style_height(&egui::TextStyle::Body);
        let width = ui.available_width() - 38.0 - ui.spacing().item_spacing.x;
        let tallest = row_height * MAX_ROWS + 18.0;
        ui.allocate_ui(vec2(width, row_height + 18.0), |ui| {
            ScrollArea::vertical().max_height(tallest).min_scrolled_height(tallest).show(
                ui,
                |ui| {
                    let hint = RichText::new(locale.text("chat-hint")).color(PLUM_SOFT);
                    let edit = TextEdit::multiline(&mut draft.text)
                        .id(field)
                        .hint_text(hint)
                        .desired_rows(1)
                        .desired_width(f32::INFINITY)
                        .char_limit(MAX_CHARS)
                        .margin(Margin::symmetric(12, 9));
                    if ui.add(edit).changed() {
                        orders.push(Order::Typing);
                    }
                },
            );
        });
        let ready = pending || !draft.text.trim().is_empty();
        send_button(ui, locale, pending, ready)
    })
    .inner
}

/// A round button: an arrow that sends, or a square that stops.
fn send_button(ui: &mut Ui, locale: &Locale, stop: bool, ready: bool) -> bool {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(38.0), Sense::click());
    let name = locale.text(if stop { "chat-stop" } else { "chat-send" });
    response.widget_info(|| WidgetInfo::labeled(WidgetType::Button, ready, &name));
    let color = if stop { ROSE } else { TEAL };
    let color = if ready { color } else { color.gamma_multiply(0.35) };
    let grown = if response.hovered() && ready { 19.0 } else { 18.0 };
    let center = rect.center();
    ui.painter().circle_filled(center, grown, color);
    if stop {
        let square = egui::Rect::from_center_size(center, Vec2::splat(12.0));
        ui.painter().rect_filled(square, CornerRadius::same(3), PAPER);
    } else {
        let stroke = Stroke::new(2.4, PAPER);
        let tip = center - vec2(0.0, 7.5);
        ui.painter().line_segment([tip, center + vec2(0.0, 7.5)], stroke);
        ui.painter().line_segment([tip, tip + vec2(-6.0, 6.0)], stroke);
        ui.painter().line_segment([tip, tip + vec2(6.0, 6.0)], stroke);
    }
    response.on_hover_text(name).clicked() && ready
}

fn foot_row(ui: &mut Ui, locale: &Locale, settings: &Settings, draft: &mut Draft) {
    ui.horizontal(|ui| {
        let name = locale.text("chat-private");
        if settings.learn {
            switch(ui, &mut draft.private, &name);
            caption(ui, &name).on_hover_text(locale.text("chat-private-hint"));
        } else {
            caption(ui, &locale.text("chat-learning-off"));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let keys = match settings.send_key {
                SendKey::Enter => locale.text("chat-keys-enter"),
                SendKey::CtrlEnter => locale.text("chat-keys-ctrl-enter"),
            };
            let font = egui::TextStyle::Small.resolve(ui.style());
            let width = ui.painter().layout_no_wrap(keys.clone(), font, PLUM_SOFT).size().x;
            if width < ui.available_width() {
                caption(ui, &keys);
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use bevy_egui::egui::{Context, ImeEvent, RawInput};

    use super::*;
    use crate::{brain::protocol::Language, theme};

    /// A chat page without a window.
    struct Page {
        ctx: Context,
        draft: Draft,
        settings: Settings,
        now: Duration,
    }

    impl Page {
        fn new() -> Self {
            let ctx = Context::default();
            ctx.set_fonts(theme::fonts());
            let mut page = Self {
                ctx,
                draft: Draft::default(),
                settings: Settings::default(),
                now: Duration::from_secs(1),
            };
            page.frame(&[], false); // the field takes the keyboard
            page
        }

        /// One frame, 200 ms after the last, with these events; the orders it gave.
        fn frame(&mut self, events: &[Event], pending: bool) -> Vec<Order> {
            self.now += Duration::from_millis(200);
            let locale = Locale::new(Language::English);
            let mut orders = Vec::new();
            let input = RawInput {
                events: events.to_vec(),
                time: Some(self.now.as_secs_f64()),
                focused: true,
                ..RawInput::default()
            };
            let Self { ctx, draft, settings, now } = self;
            let mut output = ctx.clone().run_ui(input, |ui| {
                show(ui, &locale, settings, draft, pending, *now, &mut orders);
            });
            output.textures_delta.clear(); // nothing is drawn
            orders.retain(|o| *o != Order::Typing);
            orders
        }
    }

    fn key(key: Key, modifiers: Modifiers) -> Event {
        Event::Key { key, physical_key: None, pressed: true, repeat: false, modifiers }
    }

    fn enter() -> Event {
        key(Key::Enter, Modifiers::NONE)
    }

    fn preedit(text: &str) -> Event {
        Event::Ime(ImeEvent::Preedit { text: text.to_owned(), active_range_chars: None })
    }

    fn said(text: &str) -> Vec<Order> {
        vec![Order::Say { text: text.to_owned(), learn: true }]
    }

    #[test]
    fn enter_sends_and_empties_the_field() {
        let mut page = Page::new();
        page.frame(&[Event::Text("hello".into())], false);
        assert_eq!(page.frame(&[enter()], false), said("hello"));
        assert_eq!(page.draft.text, "");
        assert_eq!(page.frame(&[enter()], false), [], "nothing to send");
    }

    #[test]
    fn shift_enter_makes_a_line_break() {
        let mut page = Page::new();
        page.frame(&[Event::Text("a".into())], false);
        assert_eq!(page.frame(&[key(Key::Enter, Modifiers::SHIFT)], false), []);
        page.frame(&[Event::Text("b".into())], false);
        assert_eq!(page.draft.text, "a\nb");
    }

    #[test]
    fn the_enter_that_ends_a_conversion_sends_nothing() {
        let mut page = Page::new();
        page.frame(&[preedit("にほんご")], false);
        page.frame(&[preedit("日本語")], false);
        let commit = Event::Ime(ImeEvent::Commit("日本語".into()));
        assert_eq!(page.frame(&[commit, enter()], false), []);
        assert_eq!(page.draft.text, "日本語");
        assert_eq!(page.frame(&[enter()], false), said("日本語"));
    }

    #[test]
    fn escape_stops_a_reply_and_only_then() {
        let mut page = Page::new();
        let escape = [key(Key::Escape, Modifiers::NONE)];
        assert_eq!(page.frame(&escape, true), [Order::Stop]);
        assert_eq!(page.frame(&escape, false), []);
    }

    #[test]
    fn a_private_talk_is_not_learned() {
        let mut page = Page::new();
        page.draft = Draft { text: "a secret".into(), private: true, ..Draft::default() };
        let orders = page.frame(&[enter()], false);
        assert_eq!(orders, [Order::Say { text: "a secret".into(), learn: false }]);
    }
}
