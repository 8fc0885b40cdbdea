//! The Chat page: history on top, the input field below.
//!
//! In: [`Transcript`], keyboard. Out: [`SubmitUtterance`], [`StopReply`].

mod history;
mod input;

use bevy::prelude::*;

use super::{
    StopReply, SubmitUtterance, Transcript, TypingNoticed,
    panel::{PanelPass, PanelUi, Tab, TabSystems, tab_is},
};
use crate::{i18n::Locale, settings::Settings};

pub use input::Draft;
use input::Order;

pub(super) fn plugin(app: &mut App) {
    app.init_resource::<Draft>()
        .add_systems(PanelPass, show_chat.run_if(tab_is(Tab::Chat)).after(TabSystems));
}

fn show_chat(
    mut panel: PanelUi,
    (locale, settings, time): (Res<Locale>, Res<Settings>, Res<Time<Real>>),
    talk: Res<Transcript>,
    mut draft: ResMut<Draft>,
    mut broken: Local<history::BrokenText>,
    mut said: MessageWriter<SubmitUtterance>,
    mut stopped: MessageWriter<StopReply>,
    mut typed: MessageWriter<TypingNoticed>,
) {
    let draft = draft.bypass_change_detection();
    let mut orders = Vec::new();
    panel.bare("chat", |ui| {
        let pending = talk.pending().is_some();
        input::show(ui, &locale, &settings, draft, pending, time.elapsed(), &mut orders);
        let learn = settings.learn && !draft.private;
        history::show(ui, &locale, &talk, &mut broken, &mut orders, learn);
    });
    for order in orders {
        match order {
            Order::Say { text, learn } => _ = said.write(SubmitUtterance { text, learn }),
            Order::Stop => _ = stopped.write(StopReply),
            Order::Typing => _ = typed.write(TypingNoticed),
        }
    }
}
