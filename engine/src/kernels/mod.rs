//! Slices in, slices out; no tensors, no models, no files.

#[cfg(all(feature = "train", target_arch = "x86_64"))]
mod matmul_avx2;
#[cfg(feature = "train")]
pub mod training;
