//! The row of tabs on top of the panel.
//!
//! In: the page that is shown. Out: the page that was clicked, and the room left for it.

use bevy::prelude::*;
use bevy_egui::{
    EguiContext,
    egui::{
        self, Align2, CornerRadius, Frame, Id, LayerId, Margin, Sense, Stroke, Ui, UiBuilder,
        WidgetInfo, WidgetType, vec2,
    },
};

use super::{Panel, PanelContext, PanelPass, Tab, TabSystems};
use crate::{
    dialogue::egui_contexts::Dressed,
    i18n::Locale,
    theme::{self, CANVAS, LINE, PAPER, PLUM, PLUM_SOFT, TEAL},
};

pub(super) fn plugin(app: &mut App) {
    app.add_systems(PanelPass, draw_tabs.in_set(TabSystems));
}

fn draw_tabs(
    mut contexts: Query<&mut EguiContext, (With<PanelContext>, With<Dressed>)>,
    mut panel: ResMut<Panel>,
    locale: Res<Locale>,
) {
    let Ok(mut context) = contexts.single_mut() else { return };
    let ctx = context.get_mut();
    let builder = UiBuilder::new().layer_id(LayerId::background()).max_rect(ctx.viewport_rect());
    let mut root = Ui::new(ctx.clone(), Id::new("panel root"), builder);
    root.painter().rect_filled(ctx.viewport_rect(), CornerRadius::ZERO, CANVAS);
    let bar = Frame::new().inner_margin(Margin { left: 14, right: 14, top: 12, bottom: 10 });
    let shown = egui::Panel::top("panel tabs")
        .frame(bar)
        .show_separator_line(false)
        .show(&mut root, |ui| row(ui, &mut panel.tab, &locale));
    let mut body = ctx.viewport_rect();
    body.min.y = shown.response.rect.bottom();
    panel.body = body;
}

fn row(ui: &mut Ui, tab: &mut Tab, locale: &Locale) {
    let font = egui::TextStyle::Body.resolve(ui.style());
    let height = font.size + 18.0;
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
    ui.painter().rect(
        rect,
        CornerRadius::same(14),
        PAPER,
        Stroke::new(1.0, LINE),
        egui::StrokeKind::Inside,
    );
    let labels = Tab::ALL.map(|t| (t, locale.text(name(t))));
    let widths = labels.clone().map(|(_, label)| {
        ui.ctx().fonts_mut(|f| label.chars().map(|c| f.glyph_width(&font, c)).sum::<f32>())
    });
    let inner = rect.shrink(4.0);
    let total: f32 = widths.iter().sum();
    let squeeze = ((inner.width() - 50.0) / total).min(1.0);
    let spare = (inner.width() - total * squeeze).max(0.0) / Tab::ALL.len() as f32;
    let mut left = inner.left();
    for ((this, label), width) in labels.into_iter().zip(widths) {
        let place = egui::Rect::from_min_size(
            egui::pos2(left, inner.top()),
            vec2(width * squeeze + spare, inner.height()),
        );
        left = place.right();
        let response = ui.interact(place, ui.id().with(&label), Sense::click());
        response
            .widget_info(|| WidgetInfo::selected(WidgetType::Button, true, this == *tab, &label));
        let chosen = this == *tab;
        if chosen {
            ui.painter().rect_filled(place, CornerRadius::same(11), TEAL);
        }
        let ink = match (chosen, response.hovered() || response.has_focus()) {
            (true, _) => PAPER,
            (false, true) => PLUM,
            (false, false) => PLUM_SOFT,
        };
        let font = theme::font(font.size * squeeze);
        ui.painter().text(place.center(), Align2::CENTER_CENTER, label, font, ink);
        if response.clicked() {
            *tab = this;
        }
    }
}

fn name(tab: Tab) -> &'static str {
    match tab {
        Tab::Chat => "tab-chat",
        Tab::Memory => "tab-memory",
        Tab::Personas => "tab-personas",
        Tab::Settings => "tab-settings",
        Tab::About => "tab-about",
    }
}
