//! Personas: who the companion is in each save slot.

pub mod journal;
pub mod slots;
