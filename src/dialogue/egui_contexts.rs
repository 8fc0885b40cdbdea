//! Care for every egui context: our fonts and style when it is new or the text size changed, and quiet frames.
//!
//! In: contexts as they appear (mascot window, panel window). Out: the same, dressed.

use std::collections::HashMap;

use bevy::prelude::*;
use bevy_egui::{EguiContext, EguiInput, EguiPreUpdateSet, egui};

use crate::{settings::Settings, theme};

/// On a context that has its fonts: from the pass after they were set, drawing is safe.
#[derive(Debug, Component)]
pub struct Dressed;

pub(super) fn plugin(app: &mut App) {
    app.add_systems(
        PreUpdate,
        drop_stale_modifiers
            .after(EguiPreUpdateSet::ProcessInput)
            .before(EguiPreUpdateSet::BeginPass),
    )
    .add_systems(First, dress_contexts);
}

fn dress_contexts(
    mut commands: Commands,
    mut contexts: Query<(Entity, &mut EguiContext, Has<Dressed>)>,
    settings: Res<Settings>,
    mut text_scale: Local<f32>,
) {
    let scale_changed = *text_scale != settings.text_scale;
    *text_scale = settings.text_scale;
    for (entity, mut context, dressed) in &mut contexts {
        if !dressed {
            context.get_mut().set_fonts(theme::fonts());
            commands.entity(entity).insert(Dressed);
        }
        if !dressed || scale_changed {
            theme::dress(context.get_mut(), settings.text_scale);
        }
    }
}

/// bevy_egui 0.42 reports the modifier keys every frame; egui answers any event with another frame, so an idle
/// program would never rest. Only changes pass.
fn drop_stale_modifiers(
    mut inputs: Query<(Entity, &mut EguiInput)>,
    mut last: Local<HashMap<Entity, egui::Modifiers>>,
) {
    last.retain(|entity, _| inputs.contains(*entity));
    for (entity, mut input) in &mut inputs {
        input.0.events.retain(|event| match event {
            egui::Event::ModifiersChanged(now) => last.insert(entity, *now) != Some(*now),
            _ => true,
        });
    }
}
