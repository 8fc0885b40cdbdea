//! The Chat page: history on top, the input field below.
//!
//! In: [`Transcript`], keyboard. Out: [`SubmitUtterance`](super::SubmitUtterance), [`StopReply`](super::StopReply).

mod history;
mod input;

use bevy::prelude::*;

use super::{
    Transcript,
    panel::{PanelPass, PanelUi, Tab, TabSystems, tab_is},
};
use crate::{i18n::Locale, settings::Settings};

pub use input::Draft;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Draft>()
        .add_systems(PanelPass, show_chat.run_if(tab_is(Tab::Chat)).after(TabSystems));
}

fn show_chat(
    mut panel: PanelUi,
    locale: Res<Locale>,
    settings: Res<Settings>,
    talk: Res<Transcript>,
    mut draft: ResMut<Draft>,
    mut orders: input::Orders,
    mut broken: Local<history::BrokenText>,
    time: Res<Time<Real>>,
) {
    let draft = draft.bypass_change_detection();
    panel.bare("chat", |ui| {
        let pending = talk.pending().is_some();
        input::show(ui, &locale, &settings, draft, pending, time.elapsed(), &mut orders);
        history::show(
            ui,
            &locale,
            &talk,
            &mut broken,
            &mut orders,
            settings.learn && !draft.private,
        );
    });
}
