//! Kernels for x86-64. Nothing here checks the processor: [`super::Kernels`] does.

pub(super) mod avx2;
pub(super) mod avx512;
