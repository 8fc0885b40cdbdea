//! Kernels for AArch64. Nothing here checks the processor: [`super::Kernels`] does.

pub(super) mod neon;
