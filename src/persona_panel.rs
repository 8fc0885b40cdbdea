//! The Personas page: who lives here, switching, making and deleting.
//!
//! In: [`SlotList`]. Out: a request to the brain to switch; slots made and deleted through the list.

use bevy::prelude::*;
use bevy_egui::egui::{Align, Layout, RichText, Ui};

use crate::{
    brain::protocol::BrainRequest,
    dialogue::{
        Transcript,
        panel::{PanelPass, PanelUi, Tab, TabSystems, tab_is},
        seams::BrainLink,
    },
    i18n::Locale,
    memory_panel::KnownBrain,
    theme::{
        PAPER, PLUM, TEAL_PALE, glyphs,
        widgets::{
            caption, danger_button, link_button, plain_button, primary_button, text_field,
            tinted_card, title, warning,
        },
    },
};

/// One save slot as the page shows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SlotSummary {
    /// Name of its folder.
    pub slot: String,
    /// Name the companion bears in it.
    pub companion_name: String,
    /// When it was last used, seconds since 1970; none: never.
    pub last_used_unix_s: Option<i64>,
}

/// Where the save slots are kept; `persona/slots.rs` provides it.
pub trait Slots: Send + Sync {
    /// All slots, in the order they are shown.
    fn list(&self) -> Vec<SlotSummary>;
    /// Makes a slot for a companion of this name; returns the slot's name or why not.
    fn create(&mut self, companion_name: &str) -> Result<String, String>;
    /// Deletes a slot with everything in it, or says why not.
    fn delete(&mut self, slot: &str) -> Result<(), String>;
}

/// The save slots.
#[derive(Resource)]
pub struct SlotList(pub Box<dyn Slots>);

#[derive(Debug, Default, Resource)]
struct PersonaPage {
    /// Read anew when the page opens and after each change.
    slots: Option<Vec<SlotSummary>>,
    new_name: String,
    deleting: Option<String>,
    trouble: Option<String>,
}

enum Wish {
    Switch(String),
    Create(String),
    Delete(String),
}

/// Adds the systems of this file.
pub fn plugin(app: &mut App) {
    app.init_resource::<PersonaPage>()
        .add_systems(PanelPass, show_personas.run_if(tab_is(Tab::Personas)).after(TabSystems))
        .add_systems(Update, forget_list.run_if(not(tab_is(Tab::Personas))));
}

/// The list is read again when the page is opened next.
fn forget_list(mut page: ResMut<PersonaPage>) {
    if page.slots.is_some() {
        *page = PersonaPage::default();
    }
}

fn show_personas(
    mut panel: PanelUi,
    locale: Res<Locale>,
    known: Res<KnownBrain>,
    mut page: ResMut<PersonaPage>,
    slots: Option<ResMut<SlotList>>,
    link: Option<ResMut<BrainLink>>,
    mut talk: ResMut<Transcript>,
) {
    let page = page.bypass_change_detection();
    let (Some(mut slots), Some(mut link)) = (slots, link) else { return };
    let listed = page.slots.get_or_insert_with(|| slots.0.list()).clone();
    let active = known.info.as_ref().map_or("", |i| i.persona.as_str());
    let mut wish = None;
    panel.page("personas", |ui| {
        if let Some(trouble) = &page.trouble {
            warning(ui, trouble);
        }
        for slot in &listed {
            let fill = if slot.slot == active { TEAL_PALE } else { PAPER };
            tinted_card(ui, fill, |ui| {
                entry(ui, &locale, slot, active, &mut page.deleting, &mut wish);
            });
        }
        tinted_card(ui, PAPER, |ui| newcomer(ui, &locale, &mut page.new_name, &mut wish));
    });
    let outcome = match wish {
        Some(Wish::Switch(slot)) => {
            let turn = link.next_turn();
            link.cancel(turn);
            let turn = link.next_turn();
            talk.restore(Vec::new());
            link.send(BrainRequest::SwitchPersona { turn, slot });
            Ok(())
        }
        Some(Wish::Create(name)) => slots.0.create(&name).map(|_| page.new_name.clear()),
        Some(Wish::Delete(slot)) => slots.0.delete(&slot),
        None => return,
    };
    page.trouble = outcome.err();
    page.slots = None;
}

fn entry(
    ui: &mut Ui,
    locale: &Locale,
    slot: &SlotSummary,
    active: &str,
    deleting: &mut Option<String>,
    wish: &mut Option<Wish>,
) {
    let here = slot.slot == active;
    ui.horizontal(|ui| {
        let name = glyphs::drawable(ui.ctx(), &slot.companion_name).into_owned();
        title(ui, &name);
        caption(ui, &slot.slot);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if here {
                caption(ui, &locale.text("persona-here"));
            } else if plain_button(ui, &locale.text("persona-switch")).clicked() {
                *wish = Some(Wish::Switch(slot.slot.clone()));
            }
        });
    });
    if here {
        return;
    }
    if deleting.as_ref() == Some(&slot.slot) {
        ui.label(RichText::new(locale.text("persona-delete-sure")).color(PLUM));
        ui.horizontal(|ui| {
            if danger_button(ui, &locale.text("persona-delete-yes")).clicked() {
                *wish = Some(Wish::Delete(slot.slot.clone()));
                *deleting = None;
            }
            if plain_button(ui, &locale.text("cancel")).clicked() {
                *deleting = None;
            }
        });
    } else if link_button(ui, &locale.text("persona-delete")).clicked() {
        *deleting = Some(slot.slot.clone());
    }
}

fn newcomer(ui: &mut Ui, locale: &Locale, name: &mut String, wish: &mut Option<Wish>) {
    title(ui, &locale.text("persona-new"));
    caption(ui, &locale.text("persona-new-hint"));
    ui.horizontal(|ui| {
        let field = (ui.available_width() - 120.0).max(80.0);
        text_field(ui, name, field, 24);
        ui.add_enabled_ui(!name.trim().is_empty(), |ui| {
            if primary_button(ui, &locale.text("persona-create")).clicked() {
                *wish = Some(Wish::Create(name.trim().to_owned()));
            }
        });
    });
}
