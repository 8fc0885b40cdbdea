//! The brain as the game sees it: a thread, two channels, plain data.
pub mod protocol;
