//! Opens, remembers and closes the panel's window.
//!
//! In: [`OpenPanel`], the window manager's wish to close. Out: window and camera; the place goes into the settings.
//! The camera draws no world, only its egui context on the canvas color.

use bevy::{
    camera::{ClearColorConfig, RenderTarget, visibility::RenderLayers},
    prelude::*,
    window::{
        PresentMode, WindowCloseRequested, WindowMoved, WindowRef, WindowResized, WindowResolution,
    },
};
use bevy_egui::EguiSchedule;

use super::{OpenPanel, Panel, PanelContext, PanelPass, PanelWindow};
use crate::{
    dialogue::seams::OpenChat,
    i18n::Locale,
    settings::{PanelPlace, Settings},
    theme::CANVAS,
};

const SIZE: [f32; 2] = [440.0, 600.0];

pub(super) fn plugin(app: &mut App) {
    app.add_message::<OpenChat>()
        .add_systems(Update, (open_on_wish, title_in_language, remember_place).chain())
        .add_systems(PostUpdate, close_on_wish);
}

fn open_on_wish(
    mut commands: Commands,
    mut orders: MessageReader<OpenPanel>,
    mut chats: MessageReader<OpenChat>,
    mut windows: Query<&mut Window, With<PanelWindow>>,
    mut panel: ResMut<Panel>,
    settings: Res<Settings>,
    locale: Res<Locale>,
) {
    let chat = chats.read().count() > 0;
    let wish = orders.read().last().map(|o| o.0).or(chat.then_some(super::Tab::Chat));
    let Some(tab) = wish else { return };
    panel.tab = tab;
    match windows.single_mut() {
        Ok(mut window) => {
            window.set_minimized(false);
            window.focused = true;
        }
        Err(_) => spawn(&mut commands, &settings, &locale),
    }
}

fn spawn(commands: &mut Commands, settings: &Settings, locale: &Locale) {
    let place = settings.panel.unwrap_or(PanelPlace { size: SIZE, corner: None });
    let mut resolution = WindowResolution::default();
    resolution.set(place.size[0], place.size[1]);
    let mut window = Window {
        title: locale.text("panel-title"),
        name: Some("companion".to_owned()),
        resolution,
        present_mode: PresentMode::AutoNoVsync,
        resize_constraints: WindowResizeConstraints {
            min_width: 360.0,
            min_height: 420.0,
            ..default()
        },
        ..default()
    };
    if let Some([x, y]) = place.corner {
        window.position = WindowPosition::At(IVec2::new(x, y));
    }
    let window = commands.spawn((window, PanelWindow)).id();
    commands.spawn((
        Camera2d,
        Camera {
            clear_color: ClearColorConfig::Custom(Color::srgb_u8(
                CANVAS.r(),
                CANVAS.g(),
                CANVAS.b(),
            )),
            order: 10,
            ..default()
        },
        Msaa::Off,
        RenderTarget::Window(WindowRef::Entity(window)),
        RenderLayers::none(),
        EguiSchedule::new(PanelPass),
        PanelContext,
    ));
}

/// Takes the camera away with the window (Bevy itself closes the window in the same frame).
fn close_on_wish(
    mut commands: Commands,
    mut wishes: MessageReader<WindowCloseRequested>,
    windows: Query<Entity, With<PanelWindow>>,
    cameras: Query<Entity, With<PanelContext>>,
) {
    let wished = wishes.read().any(|w| windows.contains(w.window));
    if wished || (windows.is_empty() && !cameras.is_empty()) {
        cameras.iter().for_each(|camera| commands.entity(camera).despawn());
    }
}

fn title_in_language(locale: Res<Locale>, mut windows: Query<&mut Window, With<PanelWindow>>) {
    if locale.is_changed() {
        for mut window in &mut windows {
            window.title = locale.text("panel-title");
        }
    }
}

fn remember_place(
    mut moved: MessageReader<WindowMoved>,
    mut resized: MessageReader<WindowResized>,
    windows: Query<Entity, With<PanelWindow>>,
    mut settings: ResMut<Settings>,
) {
    let mut place = settings.panel.unwrap_or(PanelPlace { size: SIZE, corner: None });
    for news in moved.read().filter(|m| windows.contains(m.window)) {
        place.corner = Some([news.position.x, news.position.y]);
    }
    for news in resized.read().filter(|r| windows.contains(r.window) && r.width >= 100.0) {
        place.size = [news.width, news.height];
    }
    if !windows.is_empty() && settings.panel != Some(place) {
        settings.panel = Some(place);
    }
}
