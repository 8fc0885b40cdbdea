//! The companion: a mascot on the desktop whose brain is the `engine` crate.

pub mod brain;
