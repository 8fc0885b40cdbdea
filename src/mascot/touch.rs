//! Touches: stroking, poking, dragging, the menu and the double click.

use bevy::{
    prelude::*,
    window::{PrimaryWindow, WindowPosition},
};
use bevy_egui::input::EguiWantsInput;

use super::{
    AnimateSystems, InteractiveRects, Mascot, MascotLayout, MenuRequested, OpenChat,
    animation::{Behavior, Pop},
};
use crate::window::{self, SavePlace, Silhouette, platform};

/// Two clicks within this time open the chat.
const DOUBLE_CLICK_S: f32 = 0.35;
/// A press that moves farther than this many pixels is a drag.
const DRAG_PX: f32 = 5.0;
/// A stroke: this many changes of direction within [`STROKE_S`].
const STROKE_TURNS: usize = 3;
const STROKE_S: f32 = 1.2;

/// What the pointer is doing.
#[derive(Debug, Default, Resource)]
pub struct Pointer {
    /// Pressed on the figure: global cursor and window place at that moment, in physical pixels.
    pressed: Option<(Vec2, IVec2)>,
    dragging: bool,
    last_click: f32,
    last_x: f32,
    direction: f32,
    turns: Vec<f32>,
    last_global: Vec2,
}

/// Adds the systems of this file.
pub fn plugin(app: &mut App) {
    app.init_resource::<Pointer>()
        .add_systems(Update, (watch_cursor, press_and_drag, stroke).chain().before(AnimateSystems));
}

/// The cursor in global physical pixels: from the window system where it tells, else from the window.
fn global_cursor(window: &Window) -> Option<Vec2> {
    platform::global_cursor().or_else(|| {
        let WindowPosition::At(at) = window.position else { return None };
        window.physical_cursor_position().map(|c| c + at.as_vec2())
    })
}

/// Tells the figure where the cursor is, also outside of its window.
fn watch_cursor(
    windows: Query<&Window, With<PrimaryWindow>>,
    layout: Res<MascotLayout>,
    mut mascot: ResMut<Mascot>,
    mut last: Local<Option<Vec2>>,
) {
    let Ok(window) = windows.single() else { return };
    let cursor = match (global_cursor(window), window.position) {
        (Some(global), WindowPosition::At(at)) => {
            Some((global - at.as_vec2()) / window.scale_factor())
        }
        _ => window.cursor_position(),
    };
    mascot.cursor = cursor.map(|c| layout.to_drawing(c));
    let near = cursor.is_some_and(|c| layout.figure_rect.inflate(40.0).contains(c));
    if near && cursor != *last {
        mascot.life.stir();
    }
    *last = cursor;
}

fn is_on_figure(silhouette: &Silhouette, layout: &MascotLayout, at: Vec2) -> bool {
    silhouette.0.iter().any(|r| r.contains(layout.to_drawing(at)))
}

fn press_and_drag(
    buttons: Res<ButtonInput<MouseButton>>,
    time: Res<Time<Real>>,
    layout: Res<MascotLayout>,
    silhouette: Res<Silhouette>,
    egui: Option<Res<EguiWantsInput>>,
    rects: Res<InteractiveRects>,
    mut windows: Query<&mut Window, With<PrimaryWindow>>,
    mut pointer: ResMut<Pointer>,
    mut mascot: ResMut<Mascot>,
    mut menus: MessageWriter<MenuRequested>,
    mut chats: MessageWriter<OpenChat>,
    mut places: MessageWriter<SavePlace>,
) {
    let Ok(mut window) = windows.single_mut() else { return };
    let now = time.elapsed_secs();
    let taken = egui.is_some_and(|e| e.wants_any_pointer_input());
    if let Some(at) = window.cursor_position() {
        let on_figure = is_on_figure(&silhouette, &layout, at)
            && !taken
            && !rects.0.iter().any(|r| r.contains(at));
        if on_figure && buttons.just_pressed(MouseButton::Right) {
            mascot.life.stir();
            menus.write(MenuRequested { at });
        }
        if on_figure
            && buttons.just_pressed(MouseButton::Left)
            && let (Some(global), WindowPosition::At(place)) =
                (global_cursor(&window), window.position)
        {
            pointer.pressed = Some((global, place));
            pointer.last_global = global;
            mascot.life.stir();
        }
    }
    let Some((grabbed, place)) = pointer.pressed else { return };
    if buttons.pressed(MouseButton::Left) {
        let Some(global) = global_cursor(&window) else { return };
        if !pointer.dragging && global.distance(grabbed) > DRAG_PX {
            pointer.dragging = true;
            mascot.life.act(Behavior::Held);
        }
        if pointer.dragging {
            let speed = (global - pointer.last_global) / time.delta_secs().max(0.008);
            let smooth = mascot.held_speed.unwrap_or_default().lerp(speed, 0.4);
            mascot.held_speed = Some(smooth);
            pointer.last_global = global;
            let to = place + (global - grabbed).as_ivec2();
            if window.position != WindowPosition::At(to) {
                window.position = WindowPosition::At(to);
            }
        }
        return;
    }
    pointer.pressed = None;
    if pointer.dragging {
        pointer.dragging = false;
        mascot.held_speed = None;
        mascot.life.act(Behavior::Landing);
        if let (WindowPosition::At(at), Some(screen)) = (window.position, platform::screen_size()) {
            let figure = layout.figure_rect;
            let scale = window.scale_factor();
            let clamped = window::clamp_place(at, screen, figure, scale);
            if clamped != at {
                window.position = WindowPosition::At(clamped);
            }
        }
        places.write(SavePlace);
    } else if now - pointer.last_click < DOUBLE_CLICK_S {
        pointer.last_click = 0.0;
        chats.write(OpenChat);
    } else {
        pointer.last_click = now;
        mascot.life.show(Pop::Spark, 0.8);
    }
}

/// Strokes over the head: changes of direction in a short time.
fn stroke(
    time: Res<Time<Real>>,
    layout: Res<MascotLayout>,
    windows: Query<&Window, With<PrimaryWindow>>,
    mut pointer: ResMut<Pointer>,
    mut mascot: ResMut<Mascot>,
) {
    let Ok(window) = windows.single() else { return };
    let Some(at) = window.cursor_position() else { return };
    if pointer.pressed.is_some() {
        return;
    }
    let on = layout.to_drawing(at);
    let zone = Rect::new(40.0, 30.0, 280.0, 235.0);
    let moved = on.x - pointer.last_x;
    if zone.contains(on) && moved.abs() > 3.0 {
        let direction = moved.signum();
        if direction != pointer.direction {
            pointer.direction = direction;
            pointer.turns.push(time.elapsed_secs());
        }
        pointer.last_x = on.x;
    } else if !zone.contains(on) {
        pointer.turns.clear();
        pointer.last_x = on.x;
    }
    let since = time.elapsed_secs() - STROKE_S;
    pointer.turns.retain(|t| *t > since);
    if pointer.turns.len() >= STROKE_TURNS {
        pointer.turns.clear();
        mascot.life.act(Behavior::Petted);
        mascot.life.feel(crate::brain::protocol::MoodTag::Happy);
    }
}
