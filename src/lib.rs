//! The companion: a mascot on the desktop whose brain is the `engine` crate.

pub mod brain;
pub mod i18n;
pub mod modes;
pub mod options;
pub mod paths;
pub mod persona;

#[cfg(feature = "window")]
pub mod about_panel;
#[cfg(feature = "window")]
pub mod controls;
#[cfg(feature = "window")]
pub mod dialogue;
#[cfg(feature = "window")]
pub mod game;
#[cfg(feature = "window")]
pub mod mascot;
#[cfg(feature = "window")]
pub mod memory_panel;
#[cfg(feature = "window")]
pub mod onboarding;
#[cfg(feature = "window")]
pub mod persona_panel;
#[cfg(feature = "window")]
pub mod settings;
#[cfg(feature = "window")]
pub mod theme;
#[cfg(feature = "window")]
pub mod window;

/// The mascot on the desktop; where no display can be opened, the companion in this terminal, after a line that says why.
///
/// # Errors
/// If neither can be started.
#[cfg(not(feature = "window"))]
pub fn run_window(options: &options::Options, places: &paths::Places) -> anyhow::Result<()> {
    eprintln!("This build has no window; here is the companion in the terminal.");
    modes::start_log();
    modes::chat::run(options, places)
}

#[cfg(feature = "window")]
pub use game::run_window;
