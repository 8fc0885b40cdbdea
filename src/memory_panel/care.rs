//! Export, import and reset of the memory. Reset wants a word typed; an import asks once more.
//!
//! In: clicks. Out: wishes.

use bevy_egui::egui::Ui;

use super::Wish;
use crate::{
    i18n::Locale,
    theme::widgets::{caption, danger_button, plain_button, text_field, title},
};

/// What stands in the fields.
#[derive(Debug, Clone, Default)]
pub(super) struct CareFields {
    export_path: String,
    import_path: String,
    typed: String,
    resetting: bool,
    importing: bool,
}

pub(super) fn show(
    ui: &mut Ui,
    locale: &Locale,
    fields: &mut CareFields,
    busy: bool,
    wishes: &mut Vec<Wish>,
) {
    title(ui, &locale.text("memory-care"));
    ui.add_enabled_ui(!busy, |ui| {
        export(ui, locale, fields, wishes);
        ui.add_space(4.0);
        import(ui, locale, fields, wishes);
        ui.add_space(4.0);
        reset(ui, locale, fields, wishes);
    });
}

fn export(ui: &mut Ui, locale: &Locale, fields: &mut CareFields, wishes: &mut Vec<Wish>) {
    caption(ui, &locale.text("memory-export-hint"));
    if fields.export_path.is_empty() {
        fields.export_path = default_path();
    }
    path_row(ui, &mut fields.export_path, &locale.text("memory-export"))
        .then(|| wishes.push(Wish::Export(fields.export_path.trim().to_owned())));
}

fn import(ui: &mut Ui, locale: &Locale, fields: &mut CareFields, wishes: &mut Vec<Wish>) {
    caption(ui, &locale.text("memory-import-hint"));
    if path_row(ui, &mut fields.import_path, &locale.text("memory-import")) {
        fields.importing = true;
    }
    if !fields.importing {
        return;
    }
    caption(ui, &locale.text("memory-import-sure"));
    ui.horizontal(|ui| {
        if danger_button(ui, &locale.text("memory-import-yes")).clicked() {
            wishes.push(Wish::Import(fields.import_path.trim().to_owned()));
            fields.importing = false;
        }
        if plain_button(ui, &locale.text("cancel")).clicked() {
            fields.importing = false;
        }
    });
}

fn reset(ui: &mut Ui, locale: &Locale, fields: &mut CareFields, wishes: &mut Vec<Wish>) {
    if !fields.resetting {
        caption(ui, &locale.text("memory-reset-hint"));
        fields.resetting = plain_button(ui, &locale.text("memory-reset")).clicked();
        return;
    }
    let word = locale.text("memory-reset-word");
    caption(ui, &locale.with("memory-reset-type", [("word", word.as_str().into())]));
    text_field(ui, &mut fields.typed, ui.available_width(), 40);
    ui.horizontal(|ui| {
        let confirmed = fields.typed.trim().eq_ignore_ascii_case(&word);
        ui.add_enabled_ui(confirmed, |ui| {
            if danger_button(ui, &locale.text("memory-reset-yes")).clicked() {
                wishes.push(Wish::Reset);
                fields.resetting = false;
                fields.typed.clear();
            }
        });
        if plain_button(ui, &locale.text("cancel")).clicked() {
            fields.resetting = false;
            fields.typed.clear();
        }
    });
}

/// A field for a path and its button; true when pressed with a path in it.
fn path_row(ui: &mut Ui, path: &mut String, label: &str) -> bool {
    ui.horizontal(|ui| {
        let field = ui.available_width() - 112.0;
        text_field(ui, path, field.max(80.0), 1000);
        let mut pressed = false;
        ui.add_enabled_ui(!path.trim().is_empty(), |ui| {
            pressed = plain_button(ui, label).clicked()
        });
        pressed
    })
    .inner
}

fn default_path() -> String {
    let home = std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE"));
    let folder = home.map(std::path::PathBuf::from).unwrap_or_default();
    folder.join("my.companion").display().to_string()
}
