//! The mascot's window: transparent, borderless, on top, where it was left; its pace; which clicks it takes.

pub mod pace;
pub mod platform;

use std::path::PathBuf;

use bevy::{
    prelude::*,
    window::{
        CompositeAlphaMode, PresentMode, PrimaryWindow, RawHandleWrapper, WindowLevel,
        WindowPosition, WindowResolution,
    },
};
use serde::{Deserialize, Serialize};

use crate::mascot::{InteractiveRects, MascotLayout, WINDOW_SIZE};

/// Where the place of the window is kept.
#[derive(Debug, Clone, Resource)]
pub struct WindowStore(pub PathBuf);

/// Rectangles of the posed figure that take clicks, in units of the drawing; kept by the figure.
#[derive(Debug, Clone, Default, Resource)]
pub struct Silhouette(pub Vec<Rect>);

/// The window came to rest: keep its place.
#[derive(Debug, Clone, Default, Message)]
pub struct SavePlace;

/// Place of the window's upper left corner in physical pixels of the whole desktop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    version: u32,
    x: i32,
    y: i32,
}

/// The window as it is opened.
pub fn mascot_window(store: &WindowStore) -> Window {
    let place =
        std::fs::read_to_string(&store.0).ok().and_then(|text| ron::from_str::<Place>(&text).ok());
    let screen = platform::screen_size();
    let layout = MascotLayout::default();
    let wanted = match (place, screen) {
        (Some(p), Some(screen)) => {
            Some(clamp_place(IVec2::new(p.x, p.y), screen, layout.figure_rect, 1.0))
        }
        (Some(p), None) => Some(IVec2::new(p.x, p.y)),
        (None, Some(screen)) => Some(screen - WINDOW_SIZE.as_ivec2() - IVec2::new(40, 48)),
        (None, None) => None,
    };
    Window {
        title: "companion".into(),
        name: Some("companion".into()),
        resolution: WindowResolution::new(WINDOW_SIZE.x, WINDOW_SIZE.y),
        position: wanted.map_or(WindowPosition::Automatic, WindowPosition::At),
        resizable: false,
        decorations: false,
        transparent: true,
        focused: false,
        skip_taskbar: true,
        // `Auto` lands on a transparent mode wherever the surface has one and never asks for what it lacks.
        composite_alpha_mode: CompositeAlphaMode::Auto,
        present_mode: PresentMode::AutoNoVsync,
        // Raised later: on X11 the request is lost when it comes before the window is mapped.
        window_level: WindowLevel::Normal,
        ..default()
    }
}

/// The nearest place at which the whole figure is on the screen; `figure` in logical pixels of the window.
pub fn clamp_place(at: IVec2, screen: IVec2, figure: Rect, scale: f32) -> IVec2 {
    let (min, max) =
        ((figure.min * scale).floor().as_ivec2(), (figure.max * scale).ceil().as_ivec2());
    let room = (screen - max).max(-min);
    at.clamp(-min, room)
}

/// Adds the systems of this file.
pub fn plugin(app: &mut App) {
    app.add_message::<SavePlace>()
        .insert_resource(ClearColor(Color::NONE))
        .add_systems(Update, (raise_once_mapped, save_place))
        .add_systems(Last, shape_input);
    pace::plugin(app);
}

/// Some updates after the start the window is mapped: now it may go on top and leave the taskbar.
fn raise_once_mapped(
    mut windows: Query<(&mut Window, &RawHandleWrapper), With<PrimaryWindow>>,
    mut updates: Local<u32>,
) {
    *updates += 1;
    if *updates == 8
        && let Ok((mut window, handle)) = windows.single_mut()
    {
        window.window_level = WindowLevel::AlwaysOnTop;
        platform::skip_taskbar(handle.get_window_handle());
    }
}

fn save_place(
    mut messages: MessageReader<SavePlace>,
    windows: Query<&Window, With<PrimaryWindow>>,
    store: Option<Res<WindowStore>>,
) {
    if messages.read().count() == 0 {
        return;
    }
    let (Ok(window), Some(store)) = (windows.single(), store) else { return };
    let WindowPosition::At(at) = window.position else { return };
    let place = Place { version: 1, x: at.x, y: at.y };
    let write = || -> anyhow::Result<()> {
        let dir = store.0.parent().unwrap_or(std::path::Path::new("."));
        std::fs::create_dir_all(dir)?;
        let file = tempfile::NamedTempFile::new_in(dir)?;
        std::fs::write(file.path(), ron::to_string(&place)?)?;
        file.persist(&store.0)?;
        Ok(())
    };
    if let Err(error) = write() {
        warn!("the place of the window was not kept: {error}");
    }
}

/// Gives the window system the rectangles that take clicks; everything else goes to the window beneath.
fn shape_input(
    windows: Query<(&Window, &RawHandleWrapper), With<PrimaryWindow>>,
    silhouette: Res<Silhouette>,
    layout: Res<MascotLayout>,
    rects: Res<InteractiveRects>,
    time: Res<Time<Real>>,
    mut last: Local<(Vec<[i32; 4]>, f32)>,
) {
    let Ok((window, handle)) = windows.single() else { return };
    let scale = window.scale_factor();
    let figure = silhouette.0.iter().map(|r| layout.to_window(*r));
    let physical = |r: Rect| {
        let (min, size) =
            ((r.min * scale).floor().as_ivec2(), (r.size() * scale).ceil().as_ivec2());
        [min.x, min.y, size.x, size.y]
    };
    let wanted: Vec<[i32; 4]> = figure.chain(rects.0.iter().copied()).map(physical).collect();
    // Winit sets a full region of its own when the window is resized or raised: ours is renewed now and then.
    let due = time.elapsed_secs() - last.1 > 2.0;
    if wanted != last.0 || due {
        platform::set_input_region(handle.get_window_handle(), &wanted);
        *last = (wanted, time.elapsed_secs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_is_always_brought_back_onto_the_screen() {
        let figure = MascotLayout::default().figure_rect;
        let screen = IVec2::new(1280, 800);
        for at in [IVec2::new(-5000, -5000), IVec2::new(9000, 9000), IVec2::new(100, 100)] {
            let to = clamp_place(at, screen, figure, 1.0);
            let on = |p: Vec2| (0.0..=1280.0).contains(&p.x) && (0.0..=800.0).contains(&p.y);
            assert!(on(to.as_vec2() + figure.min) && on(to.as_vec2() + figure.max), "{at} → {to}");
        }
        assert_eq!(clamp_place(IVec2::new(100, 100), screen, figure, 1.0), IVec2::new(100, 100));
    }
}
