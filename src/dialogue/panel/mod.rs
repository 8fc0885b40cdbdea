//! The panel: one ordinary window with the pages Chat, Memory, Personas, Settings and About.
//!
//! In: [`OpenPanel`]. Out: the window, its egui context and the row of tabs; each page draws itself in [`PanelPass`]
//! through [`PanelUi`]. The window is made when wanted and gone when closed.

mod tabs;
mod window;

use bevy::{
    ecs::{schedule::ScheduleLabel, system::SystemParam},
    prelude::*,
};
use bevy_egui::{EguiContext, egui};

use super::egui_contexts::Dressed;

/// A page of the panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Tab {
    #[default]
    Chat,
    Memory,
    Personas,
    Settings,
    About,
}

impl Tab {
    /// In the order of the row.
    pub const ALL: [Self; 5] =
        [Self::Chat, Self::Memory, Self::Personas, Self::Settings, Self::About];
}

/// Order: show this page; the window is opened or brought to the front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
pub struct OpenPanel(pub Tab);

/// The schedule in which the panel's pages draw themselves.
#[derive(Debug, Clone, PartialEq, Eq, Hash, ScheduleLabel)]
pub struct PanelPass;

/// On the panel's camera, which carries its egui context.
#[derive(Debug, Component)]
pub struct PanelContext;

/// On the panel's window.
#[derive(Debug, Component)]
pub struct PanelWindow;

/// Which page is shown and where.
#[derive(Debug, Resource)]
pub struct Panel {
    /// The page.
    pub tab: Tab,
    /// Room for the page, logical pixels.
    body: egui::Rect,
}

/// Systems that draw the row of tabs, before any page.
#[derive(Debug, Clone, PartialEq, Eq, Hash, SystemSet)]
pub struct TabSystems;

/// What a page draws with.
#[derive(SystemParam)]
pub struct PanelUi<'w, 's> {
    context: Query<'w, 's, &'static mut EguiContext, (With<PanelContext>, With<Dressed>)>,
    panel: Res<'w, Panel>,
}

impl PanelUi<'_, '_> {
    /// Draws on the whole room of the page. Nothing happens while the window is closed.
    pub fn bare(&mut self, id: &str, add: impl FnOnce(&mut egui::Ui)) {
        let Ok(mut context) = self.context.single_mut() else { return };
        let builder =
            egui::UiBuilder::new().layer_id(egui::LayerId::background()).max_rect(self.panel.body);
        add(&mut egui::Ui::new(context.get_mut().clone(), egui::Id::new(id), builder));
    }

    /// Draws a scrolling column of cards.
    pub fn page(&mut self, id: &str, add: impl FnOnce(&mut egui::Ui)) {
        self.bare(id, |ui| {
            egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                let margin = egui::Margin { left: 16, right: 16, top: 4, bottom: 18 };
                egui::Frame::new().inner_margin(margin).show(ui, |ui| {
                    ui.set_width(ui.available_width());
                    ui.spacing_mut().item_spacing.y = 10.0;
                    add(ui);
                });
            });
        });
    }
}

/// Run condition of a page: it is the one that is shown.
pub fn tab_is(tab: Tab) -> impl Fn(Res<Panel>) -> bool + Clone {
    move |panel: Res<Panel>| panel.tab == tab
}

pub(super) fn plugin(app: &mut App) {
    app.insert_resource(Panel { tab: Tab::Chat, body: egui::Rect::ZERO })
        .add_message::<OpenPanel>()
        .init_schedule(PanelPass);
    window::plugin(app);
    tabs::plugin(app);
}
