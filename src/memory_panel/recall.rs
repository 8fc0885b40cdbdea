//! "What I remember": each answer of the memory with how sure it is, and a way to correct it.
//!
//! In: the answers. Out: wishes to ask again or to write a note.

use bevy_egui::egui::{Align, CornerRadius, Frame, Layout, Margin, RichText, Ui};

use super::{MemoryPage, Recollection, Wish, correction::note_of};
use crate::{
    i18n::Locale,
    theme::{
        CANVAS, PLUM, TEAL, glyphs,
        widgets::{caption, link_button, meter, plain_button, primary_button, text_field, title},
    },
};

pub(super) fn show(ui: &mut Ui, locale: &Locale, page: &mut MemoryPage, wishes: &mut Vec<Wish>) {
    ui.horizontal(|ui| {
        title(ui, &locale.text("memory-remember"));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if page.asking.is_some() {
                ui.spinner();
            } else if link_button(ui, &locale.text("memory-ask-again")).clicked() {
                wishes.push(Wish::AskAgain);
            }
        });
    });
    caption(ui, &locale.text("memory-remember-hint"));
    let running = page.asking.as_ref().map(|(_, items)| items.clone());
    let shown = running
        .filter(|items| items.len() > page.items.len())
        .unwrap_or_else(|| page.items.clone());
    let (told, untold): (Vec<_>, Vec<_>) = shown.into_iter().partition(|item| item.known);
    if told.is_empty() && page.asking.is_none() {
        ui.label(RichText::new(locale.text("memory-nothing")).color(PLUM));
    }
    for item in &told {
        row(ui, locale, item, page, wishes);
    }
    if !untold.is_empty() {
        let names: Vec<_> = untold.iter().map(|i| topic_name(&i.topic, locale)).collect();
        let list = names.join(&locale.text("list-comma"));
        caption(ui, &locale.with("memory-untold", [("topics", list.into())]));
    }
}

fn row(
    ui: &mut Ui,
    locale: &Locale,
    item: &Recollection,
    page: &mut MemoryPage,
    wishes: &mut Vec<Wish>,
) {
    let frame = Frame::new()
        .fill(CANVAS)
        .corner_radius(CornerRadius::same(10))
        .inner_margin(Margin::symmetric(12, 8));
    frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 4.0;
        let answer = glyphs::drawable(ui.ctx(), &item.answer).into_owned();
        ui.label(RichText::new(answer).color(PLUM));
        ui.horizontal(|ui| {
            ui.spacing_mut().interact_size.y = 20.0;
            ui.spacing_mut().button_padding.y = 0.0;
            meter(ui, item.confidence, 72.0, TEAL);
            caption(ui, &percent_text(item.confidence, locale));
            caption(ui, &topic_name(&item.topic, locale));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let open = page.correcting.as_ref().is_some_and(|(topic, _)| *topic == item.topic);
                if open {
                    return;
                }
                if link_button(ui, &locale.text("memory-wrong")).clicked() {
                    page.correcting = Some((item.topic.clone(), note_of(&item.answer)));
                }
                let busy = page.awaited.is_some();
                if !busy && link_button(ui, &locale.text("memory-forget")).clicked() {
                    wishes.push(Wish::Forget(item.topic.clone()));
                }
            });
        });
        correction(ui, locale, item, page, wishes);
    });
}

fn correction(
    ui: &mut Ui,
    locale: &Locale,
    item: &Recollection,
    page: &mut MemoryPage,
    wishes: &mut Vec<Wish>,
) {
    let Some((topic, note)) = &mut page.correcting else { return };
    if *topic != item.topic {
        return;
    }
    caption(ui, &locale.text("memory-correct-hint"));
    text_field(ui, note, ui.available_width(), 80);
    let (mut write, mut cancel) = (false, false);
    ui.horizontal(|ui| {
        let changed = note.trim() != note_of(&item.answer) && !note.trim().is_empty();
        ui.add_enabled_ui(changed, |ui| {
            write = primary_button(ui, &locale.text("memory-correct")).clicked()
        });
        cancel = plain_button(ui, &locale.text("cancel")).clicked();
    });
    if write {
        wishes.push(Wish::Write(note.trim().to_owned()));
    }
    if write || cancel {
        page.correcting = None;
    }
}

fn percent_text(confidence: f32, locale: &Locale) -> String {
    let percent = format!("{:.0}", confidence.clamp(0.0, 1.0) * 100.0);
    locale.with("memory-sure", [("percent", percent.into())])
}

/// The topic in the words of the interface; a topic it does not know is shown as it is, without its underscores.
fn topic_name(topic: &str, locale: &Locale) -> String {
    let key = format!("topic-{}", topic.replace('_', "-"));
    if locale.has(&key) { locale.text(&key) } else { topic.replace('_', " ") }
}
