//! The companion: a mascot on the desktop whose brain is the `engine` crate.

pub mod brain;
pub mod i18n;

#[cfg(feature = "window")]
pub mod about_panel;
#[cfg(feature = "window")]
pub mod controls;
#[cfg(feature = "window")]
pub mod dialogue;
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
