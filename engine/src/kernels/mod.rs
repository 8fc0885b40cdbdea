//! Slices in, slices out; no tensors, no models, no files.
//!
//! [`Kernels`] is the table of the packed model's kernels for one instruction set. `training` holds the arithmetic of the
//! differentiable twin.
#![allow(unsafe_code, reason = "calls into functions with target features that were detected")]

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(feature = "train")]
pub(crate) mod float;
mod isa;
#[cfg(all(feature = "train", target_arch = "x86_64"))]
mod matmul_avx2;
pub mod pack;
mod pool;
pub mod scalar;
#[cfg(feature = "train")]
pub mod training;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(feature = "train")]
pub use float::PreActivation;
pub use isa::{ISA_VARIABLE, Isa};
pub use pool::Pool;

use crate::model::CONV_WIDTH;

/// The kernels of one instruction set that this processor has.
#[derive(Debug, Clone, Copy)]
pub struct Kernels {
    isa: Isa,
}

/// Runs a kernel: AVX2 spelling for AVX2 and AVX-512, scalar text otherwise.
macro_rules! float_kernel {
    ($self:ident, $name:ident($($arg:expr),*)) => {{
        #[cfg(target_arch = "x86_64")]
        if matches!($self.isa, Isa::Avx2 | Isa::Avx512) {
            // SAFETY: `Kernels::new` checked that this processor has AVX2 and FMA.
            return unsafe { x86_64::avx2::$name($($arg),*) };
        }
        scalar::$name::<false>($($arg),*)
    }};
}

impl Kernels {
    /// The kernels of `isa`.
    ///
    /// # Errors
    /// A sentence, if this processor lacks it.
    pub fn new(isa: Isa) -> Result<Self, String> {
        Isa::parse(isa.name()).map(|isa| Self { isa })
    }

    /// The kernels of [`Isa::active`].
    pub fn active() -> Self {
        Self { isa: Isa::active() }
    }

    /// Instruction set of these kernels.
    pub fn isa(self) -> Isa {
        self.isa
    }

    /// Ternary product of whole tile groups with `n` columns, exact.
    ///
    /// # Shapes
    /// `w` groups of tiles ([`pack::tile`]), `x [n, in]`, `sums [n]` the sum of each column, `out [groups, n, 32]`.
    ///
    /// # Panics
    /// If the slices do not fit each other.
    pub fn tiles(self, w: &[u8], x: &[i8], sums: &[i32], out: &mut [i32]) {
        match self.isa {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Kernels::new` checked the features.
            Isa::Avx2 => unsafe { x86_64::avx2::tiles(w, x, sums, out) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::Avx512 => unsafe { x86_64::avx512::tiles(w, x, sums, out) },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: as above.
            Isa::Neon => unsafe { aarch64::neon::tiles(w, x, sums, out) },
            _ => scalar::tiles(w, x, sums, out),
        }
    }

    /// Product of int8 rows with 14-bit activations (absolute values up to [`scalar::HEAD_ACT_MAX`]): the exact sums
    /// as `f32`.
    ///
    /// # Shapes
    /// `w [out, in]`, `x [in]`, `out [out]`; `in` a multiple of 32, at most 16384.
    ///
    /// # Panics
    /// If the slices do not fit each other.
    pub fn gemv_i8(self, w: &[i8], x: &[i16], out: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        if matches!(self.isa, Isa::Avx2 | Isa::Avx512) {
            // SAFETY: `Kernels::new` checked the features.
            return unsafe { x86_64::avx2::gemv_i8(w, x, out) };
        }
        scalar::gemv_i8(w, x, out);
    }

    /// `out = RMSNorm(x) ⊙ gain`, all `[C]`.
    pub fn rms_norm(self, x: &[f32], gain: &[f32], out: &mut [f32]) {
        float_kernel!(self, rms_norm(x, gain, out))
    }

    /// RMSNorm with gain and rounding to int8, after `relu²` where `squared_relu`. `x [C]` is overwritten.
    ///
    /// Returns the size of one step and the sum of `q [C]`. `C` is a multiple of 8.
    pub fn norm_quantize(
        self,
        x: &mut [f32],
        gain: &[f32],
        squared_relu: bool,
        q: &mut [i8],
    ) -> (f32, i32) {
        float_kernel!(self, norm_quantize(x, gain, squared_relu, q))
    }

    /// Causal depthwise convolution and SiLU of one token: `taps [4, W]`, `rows` four inputs `[W]` oldest first,
    /// `out [W]`.
    pub fn conv_silu(self, taps: &[f32], rows: [&[f32]; CONV_WIDTH], out: &mut [f32]) {
        float_kernel!(self, conv_silu(taps, rows, out))
    }

    /// `x / sqrt(‖x‖² + eps)` in place.
    pub fn l2_normalize(self, x: &mut [f32]) {
        float_kernel!(self, l2_normalize(x))
    }

    /// One token of one head: `S ← α S + kᵀ η (v − α k S)`, `o = q S`.
    ///
    /// # Shapes
    /// `[q, k, v]` and `o` `[D]`, `(η, α)`, `state [D, D]`; `D` a multiple of 16.
    pub fn ttt_step(self, qkv: [&[f32]; 3], gates: (f32, f32), state: &mut [f32], o: &mut [f32]) {
        float_kernel!(self, ttt_step(qkv, gates, state, o))
    }

    /// `RMSNorm_head(o) · gain ⊙ SiLU(g)`: `o`, `g`, `out` `[H·D]`, `gain [D]`.
    pub fn head_norm_gate(self, o: &[f32], g: &[f32], gain: &[f32], out: &mut [f32]) {
        float_kernel!(self, head_norm_gate(o, g, gain, out))
    }

    /// `out = w · x + bias` in `f32`: `w [out, in]`.
    pub fn gemv_f32(self, w: &[f32], bias: &[f32], x: &[f32], out: &mut [f32]) {
        float_kernel!(self, gemv_f32(w, bias, x, out))
    }

    /// Multiply-adds of bytes done from registers only, for measuring the ceiling; `None` where there is no such loop.
    pub fn dot_peak(self, rounds: usize) -> Option<(u64, i32)> {
        #[cfg(target_arch = "x86_64")]
        if matches!(self.isa, Isa::Avx2 | Isa::Avx512) {
            // SAFETY: `Kernels::new` checked the features.
            return Some(unsafe { x86_64::avx2::dot_peak(rounds) });
        }
        let _ = rounds;
        None
    }
}
