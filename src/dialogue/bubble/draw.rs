//! Draws the bubble each frame: lays the words out, lets letters appear, takes clicks.
//!
//! In: [`Bubble`], where the mouth is, how much the person wants to see. Out: shapes, clicks, rectangles that take clicks.

use bevy::{ecs::system::SystemParam, prelude::*};
use bevy_egui::{
    EguiContext, PrimaryEguiContext,
    egui::{self, Pos2, vec2},
};

use super::{Bubble, LineAnswered, Source, paint, sheet::Sheet};
use crate::{
    dialogue::{
        StopReply,
        egui_contexts::Dressed,
        panel::{OpenPanel, Tab},
        seams::{InteractiveRects, MascotLayout},
    },
    i18n::Locale,
    settings::{BubbleLevel, Settings},
};

/// What the bubble looks at.
#[derive(SystemParam)]
pub(super) struct Surroundings<'w> {
    pub(super) layout: Option<Res<'w, MascotLayout>>,
    pub(super) settings: Res<'w, Settings>,
    pub(super) locale: Res<'w, Locale>,
    pub(super) time: Res<'w, Time<Real>>,
}

/// Where its clicks go.
#[derive(SystemParam)]
pub(super) struct Clicks<'w> {
    stop: MessageWriter<'w, StopReply>,
    open: MessageWriter<'w, OpenPanel>,
    answered: MessageWriter<'w, LineAnswered>,
}

/// What was pressed in this frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Press {
    Stop,
    Close,
    More,
    Hurry,
    Choice(usize),
}

pub(super) fn draw_bubble(
    mut contexts: Query<&mut EguiContext, (With<PrimaryEguiContext>, With<Dressed>)>,
    mut bubble: ResMut<Bubble>,
    around: Surroundings,
    rects: Option<ResMut<InteractiveRects>>,
    mut clicks: Clicks,
) {
    let Ok(mut context) = contexts.single_mut() else { return };
    let level = around.settings.bubble;
    if bubble.words.is_none() {
        return;
    }
    let Some(words) = &mut bubble.bypass_change_detection().words else { return };
    words.age_s += around.time.delta_secs();
    if level == BubbleLevel::None && words.choices.is_empty() {
        bubble.close();
        return;
    }
    let sheet = Sheet::lay_out(context.get_mut(), words, &around);
    let (press, card) = sheet.show(words, &around);
    if let Some(mut rects) = rects {
        rects.0.push(bevy_rect(card.expand(4.0)));
    }
    match press {
        Some(Press::Stop) => {
            clicks.stop.write(StopReply);
        }
        Some(Press::More) => {
            clicks.open.write(OpenPanel(Tab::Chat));
            bubble.close();
        }
        Some(Press::Choice(index)) => {
            if let Source::Interface(topic) = words.source {
                clicks.answered.write(LineAnswered { topic, index });
            }
            bubble.close();
        }
        Some(Press::Close) => bubble.close(),
        Some(Press::Hurry) => words.typewriter.hurried = true,
        None if words.left_s.is_some_and(|left| left <= 0.0) => bubble.close(),
        None => {}
    }
}

pub(super) fn bubble_area(around: &Surroundings) -> egui::Rect {
    let area =
        around.layout.as_ref().map_or(MascotLayout::default().bubble_area, |l| l.bubble_area);
    egui::Rect::from_min_max(egui_pos(area.min), egui_pos(area.max))
}

pub(super) fn mouth(around: &Surroundings) -> Pos2 {
    egui_pos(
        around.layout.as_ref().map_or(MascotLayout::default().mouth_anchor, |l| l.mouth_anchor),
    )
}

/// The card as near to the mouth as the area allows, with room for the tail.
pub(super) fn place(size: egui::Vec2, area: egui::Rect, mouth: Pos2) -> egui::Rect {
    let size = size.min(area.size() - vec2(0.0, paint::TAIL));
    let right = (area.right() - size.x).max(area.left());
    if mouth.y >= area.bottom() {
        let left = (mouth.x - size.x / 2.0).clamp(area.left(), right);
        let bottom = area.bottom() - paint::TAIL;
        return egui::Rect::from_min_size(Pos2::new(left, bottom - size.y), size);
    }
    let left =
        if mouth.x < area.center().x { area.left() + paint::TAIL } else { right - paint::TAIL };
    let top = (mouth.y - size.y / 2.0).clamp(area.top(), (area.bottom() - size.y).max(area.top()));
    egui::Rect::from_min_size(Pos2::new(left, top), size)
}

fn egui_pos(at: Vec2) -> Pos2 {
    Pos2::new(at.x, at.y)
}

fn bevy_rect(rect: egui::Rect) -> Rect {
    Rect::new(rect.min.x, rect.min.y, rect.max.x, rect.max.y)
}
