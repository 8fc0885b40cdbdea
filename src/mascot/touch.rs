//! Hands: stroking, poking, carrying, the menu and the double click.
//!
//! In: the pointer, in the window and on the whole desktop. Out: behaviour, [`Touched`], [`MenuRequested`], [`OpenChat`],
//! the window's place. Clicks beside the figure never come here: the window does not take them.

use bevy::{
    input::{ButtonState, mouse::MouseButtonInput},
    prelude::*,
    window::{PrimaryWindow, WindowPosition},
};
use bevy_egui::input::EguiWantsInput;

use super::{
    AnimateSystems, Behavior, InteractiveRects, Mascot, MascotLayout, MenuRequested, OpenChat,
    TouchKind, Touched, Zone, sprites::Figure, stroke::StrokeWatch,
};
use crate::window::{self, SavePlace, Silhouette, platform};

/// Two clicks within this many seconds open the chat.
const DOUBLE_CLICK_S: f32 = 0.4;
/// A press that moves farther than this many pixels picks it up.
const DRAG_PX: f32 = 5.0;

/// What the pointer is doing.
#[derive(Debug, Default, Resource)]
pub struct Pointer {
    /// Pressed on the figure.
    press: Option<Press>,
    last_click: f32,
    /// Releases since the press: a slow update may hold both halves of a double click.
    releases: usize,
    /// Where the pointer was over the figure in this update, units of the drawing.
    over: Option<Vec2>,
}

#[derive(Debug, Clone, Copy)]
struct Press {
    /// Global cursor at the press, physical pixels.
    from: Vec2,
    /// Place of the window at the press, physical pixels.
    window: IVec2,
    /// Global cursor a moment ago, physical pixels.
    last: Vec2,
    carrying: bool,
    zone: Zone,
}

/// Adds the systems of this file.
pub fn plugin(app: &mut App) {
    app.init_resource::<Pointer>().add_systems(
        Update,
        (watch_cursor, feel_hover, press, carry, feel_strokes).chain().before(AnimateSystems),
    );
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
    let cursor = match (platform::global_cursor(), window.position) {
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

/// Whether the pointer is over the figure itself: not beside it, not over something that is drawn on top.
fn feel_hover(
    windows: Query<&Window, With<PrimaryWindow>>,
    layout: Res<MascotLayout>,
    silhouette: Res<Silhouette>,
    egui: Option<Res<EguiWantsInput>>,
    rects: Res<InteractiveRects>,
    mut pointer: ResMut<Pointer>,
) {
    let taken = egui.is_some_and(|e| e.wants_any_pointer_input());
    let at = windows.single().ok().and_then(Window::cursor_position);
    pointer.over = at
        .filter(|at| !taken && !rects.0.iter().any(|r| r.contains(*at)))
        .map(|at| layout.to_drawing(at))
        .filter(|at| silhouette.0.iter().any(|r| r.contains(*at)));
}

fn press(
    buttons: Res<ButtonInput<MouseButton>>,
    figure: Option<Res<Figure>>,
    windows: Query<&Window, With<PrimaryWindow>>,
    mut pointer: ResMut<Pointer>,
    mut mascot: ResMut<Mascot>,
    mut menus: MessageWriter<MenuRequested>,
) {
    let (Ok(window), Some(over)) = (windows.single(), pointer.over) else { return };
    if buttons.just_pressed(MouseButton::Right)
        && let Some(at) = window.cursor_position()
    {
        mascot.life.stir();
        menus.write(MenuRequested { at });
    }
    if buttons.just_pressed(MouseButton::Left) {
        mascot.life.stir();
        let zone = figure.and_then(|f| f.zone_at(over)).unwrap_or(Zone::Belly);
        // Where neither place is known the window cannot be carried, but clicks still count.
        let from = global_cursor(window).or(window.physical_cursor_position()).unwrap_or_default();
        let at = if let WindowPosition::At(at) = window.position { at } else { IVec2::ZERO };
        pointer.press = Some(Press { from, window: at, last: from, carrying: false, zone });
    }
}

/// Carries the figure while the button is held, and ends in a click or a landing.
fn carry(
    buttons: Res<ButtonInput<MouseButton>>,
    mut events: MessageReader<MouseButtonInput>,
    time: Res<Time<Real>>,
    layout: Res<MascotLayout>,
    mut windows: Query<&mut Window, With<PrimaryWindow>>,
    mut pointer: ResMut<Pointer>,
    mut mascot: ResMut<Mascot>,
    mut chats: MessageWriter<OpenChat>,
    mut places: MessageWriter<SavePlace>,
    mut touches: MessageWriter<Touched>,
) {
    let left_up =
        |e: &&MouseButtonInput| e.button == MouseButton::Left && e.state == ButtonState::Released;
    let releases = events.read().filter(left_up).count();
    let (Ok(mut window), Some(mut press)) = (windows.single_mut(), pointer.press) else { return };
    pointer.releases += releases;
    let zone = press.zone;
    if buttons.pressed(MouseButton::Left) {
        let Some(global) = global_cursor(&window) else { return };
        let known = matches!(window.position, WindowPosition::At(_));
        if !press.carrying && known && global.distance(press.from) > DRAG_PX {
            press.carrying = true;
            mascot.life.act(Behavior::Held);
            touches.write(Touched { zone, kind: TouchKind::PickUp });
        }
        if press.carrying {
            let pixels = window.scale_factor() * layout.unit();
            let speed = (global - press.last) / time.delta_secs().max(0.008) / pixels;
            let smooth = mascot.held_speed.unwrap_or_default().lerp(speed, 0.4);
            mascot.held_speed = Some(smooth);
            let to = WindowPosition::At(press.window + (global - press.from).as_ivec2());
            if window.position != to {
                window.position = to;
            }
        }
        press.last = global;
        pointer.press = Some(press);
        return;
    }
    pointer.press = None;
    let clicks = std::mem::take(&mut pointer.releases);
    let now = time.elapsed_secs();
    if press.carrying {
        mascot.held_speed = None;
        mascot.life.let_go();
        touches.write(Touched { zone, kind: TouchKind::PutDown });
        if let (WindowPosition::At(at), Some(screen)) = (window.position, platform::screen_size()) {
            let on = window::clamp_place(at, screen, layout.figure_rect, window.scale_factor());
            if on != at {
                window.position = WindowPosition::At(on);
            }
        }
        places.write(SavePlace);
    } else if clicks > 1 || now - pointer.last_click < DOUBLE_CLICK_S {
        pointer.last_click = f32::MIN;
        chats.write(OpenChat);
    } else {
        pointer.last_click = now;
        mascot.life.act(Behavior::Poked);
        touches.write(Touched { zone, kind: TouchKind::Poke });
    }
}

fn feel_strokes(
    time: Res<Time<Real>>,
    figure: Option<Res<Figure>>,
    pointer: Res<Pointer>,
    mut mascot: ResMut<Mascot>,
    mut touches: MessageWriter<Touched>,
    mut watch: Local<StrokeWatch>,
) {
    let over = pointer.over.filter(|_| pointer.press.is_none());
    if watch.see(over, time.elapsed_secs())
        && let Some(at) = over
    {
        let zone = figure.and_then(|f| f.zone_at(at)).unwrap_or(Zone::Head);
        mascot.life.be_stroked(zone);
        touches.write(Touched { zone, kind: TouchKind::Stroke });
    }
}
