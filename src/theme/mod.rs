//! Look of everything drawn with egui: colors, fonts, text sizes.
//!
//! In: an egui context. Out: the same context with our fonts and style. Widgets made of these colors are in
//! [`widgets`]. Nothing here knows a message, a setting or a window.

pub mod glyphs;
pub mod widgets;

use std::sync::Arc;

use bevy_egui::egui::{
    self, Color32, CornerRadius, FontData, FontDefinitions, FontFamily, FontId, FontTweak, Margin,
    Shadow, Stroke, TextStyle, Vec2,
};

/// Cards, bubbles, input fields.
pub const PAPER: Color32 = Color32::from_rgb(0xFF, 0xFC, 0xF7);
/// Ground of the panel.
pub const CANVAS: Color32 = Color32::from_rgb(0xF8, 0xF1, 0xE9);
/// Hairlines between things.
pub const LINE: Color32 = Color32::from_rgb(0xE9, 0xDD, 0xD3);
/// Text and the mascot's outline; 9.6:1 on paper.
pub const PLUM: Color32 = Color32::from_rgb(0x4A, 0x2F, 0x4E);
/// Secondary text; 5.2:1 on paper.
pub const PLUM_SOFT: Color32 = Color32::from_rgb(0x7B, 0x62, 0x7E);
/// Border of the speech bubble, disabled controls.
pub const PLUM_PALE: Color32 = Color32::from_rgb(0xC9, 0xB6, 0xC6);
/// The one strong accent: what can be pressed; white on it 4.9:1.
pub const TEAL: Color32 = Color32::from_rgb(0x1C, 0x7C, 0x80);
/// Ground of the person's own bubbles and of chosen things.
pub const TEAL_PALE: Color32 = Color32::from_rgb(0xDA, 0xEE, 0xEB);
/// Stop, delete, trouble; white on it 4.6:1.
pub const ROSE: Color32 = Color32::from_rgb(0xC9, 0x43, 0x66);
/// Ground of warnings.
pub const ROSE_PALE: Color32 = Color32::from_rgb(0xFB, 0xE6, 0xE7);
/// Ground of a private talk.
pub const LILAC_PALE: Color32 = Color32::from_rgb(0xEC, 0xE4, 0xF3);
/// Beads and lifelong heads.
pub const APRICOT: Color32 = Color32::from_rgb(0xF0, 0xA3, 0x63);

const ROUNDED: &[u8] = include_bytes!("../../assets/fonts/MPLUSRounded1c-Medium-companion.ttf");
const MARU: &[u8] = include_bytes!("../../assets/fonts/ZenMaruGothic-Medium-companion.ttf");
const EMOJI: &[u8] = include_bytes!("../../assets/fonts/NotoEmoji-Medium-companion.ttf");

/// Our fonts in the order of fallback: rounded, the kanji it lacks, one-color emoji.
pub fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::empty();
    let emoji = FontData::from_static(EMOJI).tweak(FontTweak {
        scale: 0.95,
        y_offset_factor: 0.04,
        ..FontTweak::default()
    });
    for (name, data) in [
        ("rounded", FontData::from_static(ROUNDED)),
        ("maru", FontData::from_static(MARU)),
        ("emoji", emoji),
    ] {
        fonts.font_data.insert(name.to_owned(), Arc::new(data));
        for family in [FontFamily::Proportional, FontFamily::Monospace] {
            fonts.families.entry(family).or_default().push(name.to_owned());
        }
    }
    fonts
}

/// A font of `size` logical pixels.
pub fn font(size: f32) -> FontId {
    FontId::proportional(size)
}

/// Gives `ctx` our fonts, colors and sizes. `text_scale`: 0.8 to 2.0, 1.0 is normal.
pub fn dress(ctx: &egui::Context, text_scale: f32) {
    ctx.set_theme(egui::Theme::Light);
    ctx.all_styles_mut(|style| {
        for (text_style, size) in [
            (TextStyle::Heading, 19.0),
            (TextStyle::Body, 15.0),
            (TextStyle::Button, 15.0),
            (TextStyle::Monospace, 13.5),
            (TextStyle::Small, 12.5),
        ] {
            style.text_styles.insert(text_style, font(size * text_scale));
        }
        style.spacing.item_spacing = Vec2::new(8.0, 8.0);
        style.spacing.button_padding = Vec2::new(14.0, 7.0);
        style.spacing.interact_size = Vec2::new(36.0, 30.0);
        style.spacing.menu_margin = Margin::same(6);
        style.spacing.slider_width = 150.0;
        style.spacing.scroll.floating = true;
        style.interaction.selectable_labels = false;
        style.animation_time = 0.12;
        paint(&mut style.visuals);
    });
}

fn paint(visuals: &mut egui::Visuals) {
    *visuals = egui::Visuals::light();
    visuals.override_text_color = None;
    visuals.panel_fill = CANVAS;
    visuals.window_fill = PAPER;
    visuals.extreme_bg_color = PAPER;
    visuals.text_edit_bg_color = Some(PAPER);
    visuals.faint_bg_color = CANVAS;
    visuals.hyperlink_color = TEAL;
    visuals.warn_fg_color = ROSE;
    visuals.error_fg_color = ROSE;
    visuals.weak_text_color = Some(PLUM_SOFT);
    visuals.window_stroke = Stroke::new(1.0, LINE);
    visuals.window_corner_radius = CornerRadius::same(14);
    visuals.menu_corner_radius = CornerRadius::same(12);
    visuals.popup_shadow = soft_shadow();
    visuals.window_shadow = soft_shadow();
    visuals.selection.bg_fill = Color32::from_rgb(0xBF, 0xE3, 0xDF);
    visuals.selection.stroke = Stroke::new(1.5, TEAL);
    visuals.text_cursor.stroke = Stroke::new(2.0, TEAL);
    visuals.text_cursor.blink = false; // each blink would be two frames of an idle program
    visuals.slider_trailing_fill = true;
    visuals.disabled_alpha = 0.45;
    let widgets = &mut visuals.widgets;
    for (state, fill, line, text) in [
        (&mut widgets.noninteractive, CANVAS, LINE, PLUM),
        (&mut widgets.inactive, PAPER, LINE, PLUM),
        (&mut widgets.hovered, Color32::WHITE, TEAL, PLUM),
        (&mut widgets.active, TEAL_PALE, TEAL, PLUM),
        (&mut widgets.open, TEAL_PALE, TEAL, PLUM),
    ] {
        state.bg_fill = fill;
        state.weak_bg_fill = fill;
        state.bg_stroke = Stroke::new(1.0, line);
        state.fg_stroke = Stroke::new(1.5, text);
        state.corner_radius = CornerRadius::same(10);
        state.expansion = 0.0;
    }
    widgets.inactive.bg_fill = LINE; // rails of sliders and check boxes must stand out from paper
}

/// Shadow under bubbles and pop-ups.
pub fn soft_shadow() -> Shadow {
    Shadow { offset: [0, 3], blur: 12, spread: 0, color: PLUM.gamma_multiply(0.22) }
}
