//! The game: which plugins there are, and the start of the window.

use bevy::{
    app::{TaskPoolOptions, TaskPoolPlugin},
    log::LogPlugin,
    prelude::*,
    render::{
        RenderPlugin,
        settings::{PowerPreference, RenderCreation, WgpuSettings},
    },
};

use crate::{
    about_panel,
    brain::{
        link::{self, BrainNews, BrainStart},
        protocol::BrainEvent,
    },
    controls, dialogue,
    mascot::{self, necklace::Necklace, sprites::BodyFolder},
    memory_panel, modes, onboarding,
    options::Options,
    paths::Places,
    persona::slots::SlotFolder,
    persona_panel::{self, SlotList},
    settings::{self, SettingsFile},
    window::{self, WindowStore, platform},
};

/// Everything that makes the companion, for an app that has Bevy's own plugins.
#[derive(Debug)]
pub struct CompanionPlugin;

impl Plugin for CompanionPlugin {
    fn build(&self, app: &mut App) {
        app.add_plugins((
            settings::plugin,
            link::plugin,
            mascot::plugin,
            window::plugin,
            dialogue::plugin,
            memory_panel::plugin,
            persona_panel::plugin,
            about_panel::plugin,
            controls::plugin,
            onboarding::plugin,
        ))
        .add_systems(Update, count_notes);
    }
}

/// The beads on the figure's string show how many notes the memory holds.
fn count_notes(mut news: MessageReader<BrainNews>, mut necklace: ResMut<Necklace>) {
    for BrainNews(event) in news.read() {
        if let BrainEvent::Ready { info, .. }
        | BrainEvent::Info { info, .. }
        | BrainEvent::Saved { info, .. } = event
            && necklace.notes != info.notes_written
        {
            necklace.notes = info.notes_written;
        }
    }
}

/// The mascot on the desktop; where no display can be opened, the companion in this terminal, after a line that says why.
///
/// # Errors
/// If neither can be started.
pub fn run_window(options: &Options, places: &Places) -> anyhow::Result<()> {
    if let Err(why) = platform::check_display().and_then(|()| platform::check_graphics()) {
        eprintln!("companion: {why}; here is the companion in the terminal instead.");
        modes::start_log();
        return modes::chat::run(options, places);
    }
    let store = WindowStore(places.window_file());
    let mut app = App::new();
    app.add_plugins(
        DefaultPlugins
            .set(WindowPlugin { primary_window: Some(window::mascot_window(&store)), ..default() })
            .set(TaskPoolPlugin { task_pool_options: TaskPoolOptions::with_num_threads(2) })
            .set(LogPlugin {
                filter: "warn,companion=info,wgpu=error,naga=error".into(),
                ..default()
            })
            .set(RenderPlugin {
                render_creation: RenderCreation::Automatic(Box::new(WgpuSettings {
                    power_preference: PowerPreference::LowPower,
                    ..default()
                })),
                ..default()
            }),
    )
    .add_plugins(bevy_egui::EguiPlugin::default())
    .insert_resource(SettingsFile(places.settings_file()))
    .insert_resource(store)
    .insert_resource(BodyFolder(places.assets.join("bodies/tete")))
    .insert_resource(SlotList(Box::new(SlotFolder::new(&places.saves))))
    .insert_resource(BrainStart(modes::brain_setup(options, places)))
    .add_plugins(CompanionPlugin);
    match app.run() {
        AppExit::Success => Ok(()),
        AppExit::Error(code) => anyhow::bail!("the window ended with code {code}"),
    }
}
