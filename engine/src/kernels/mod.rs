//! Slices in, slices out; no tensors, no models, no files.
//!
//! [`ternary`] multiplies packed ternary matrices with int8 vectors (integers, the same on every instruction set);
//! [`float`] is the f32 arithmetic around it; `training` the fused operations of the trainer (feature `train`).

pub(crate) mod float;
pub mod isa;
pub mod pack;
mod scalar;
pub mod ternary;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(all(feature = "train", target_arch = "x86_64"))]
mod matmul_avx2;
#[cfg(feature = "train")]
pub mod training;

pub use float::PreActivation;
pub use isa::Isa;
