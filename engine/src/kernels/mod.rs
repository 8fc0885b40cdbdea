//! Slices in, slices out; no tensors, no models, no files.

#[cfg(feature = "train")]
pub mod training;
