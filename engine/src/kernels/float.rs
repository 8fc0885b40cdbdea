//! f32 arithmetic of the trainer: dot products, gates, norms, and one step of the fast weights.
//!
//! Every loop is compiled twice, for the baseline and for AVX2 + FMA, and chosen at run time. Slices in, slices out.
#![allow(unsafe_code, reason = "calls into functions with target features")]

use crate::model::{HEAD_NORM_EPS, QK_NORM_EPS};

#[cfg(target_arch = "x86_64")]
pub(crate) fn has_fma() -> bool {
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
}

/// Defines a function that runs `$body` with AVX2 + FMA where the processor has them, else as compiled for the baseline.
/// Inside the body `FMA` is a constant: whether fused multiply-add is an instruction.
macro_rules! dispatched {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<const $cg:ident: usize>)? ($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $(#[$meta])*
        $vis fn $name $(<const $cg: usize>)? ($($arg: $ty),*) {
            #[inline(always)]
            fn generic<const FMA: bool $(, const $cg: usize)?>($($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn fast $(<const $cg: usize>)? ($($arg: $ty),*) {
                    generic::<true $(, $cg)?>($($arg),*)
                }
                if $crate::kernels::float::has_fma() {
                    // SAFETY: the features that `fast` needs were detected on this processor.
                    return unsafe { fast $(::<$cg>)? ($($arg),*) };
                }
            }
            generic::<false $(, $cg)?>($($arg),*)
        }
    };
}

pub(crate) use dispatched;

/// `a · b + c`, fused where `FMA`.
#[inline(always)]
pub(crate) fn madd<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Dot product with sixteen running sums, so that it vectorises and its order of additions is fixed.
#[inline(always)]
pub(crate) fn dot<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
    let mut acc = [[0f32; 8]; 2];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (x, y) in a.iter().zip(b) {
        for (half, acc) in acc.iter_mut().enumerate() {
            for l in 0..8 {
                acc[l] = madd::<FMA>(x[half * 8 + l], y[half * 8 + l], acc[l]);
            }
        }
    }
    let [mut low, high] = acc;
    for l in 0..8 {
        low[l] += high[l];
    }
    for width in [4, 2, 1] {
        for l in 0..width {
            low[l] += low[l + width];
        }
    }
    for (x, y) in a_rest.iter().zip(b_rest) {
        low[0] = madd::<FMA>(*x, *y, low[0]);
    }
    low[0]
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// [`sigmoid`] by [`exp_fast`]: absolute error below 1e-6, vectorises.
#[inline(always)]
pub(crate) fn sigmoid_fast<const FMA: bool>(x: f32) -> f32 {
    let e = exp_fast::<FMA>(-x.abs());
    let s = 1.0 / (1.0 + e);
    if x >= 0.0 { s } else { e * s }
}

/// `e^x` for `x ≤ 0` by range reduction and a degree-6 polynomial: relative error below 3e-7, vectorises.
#[inline(always)]
pub(crate) fn exp_fast<const FMA: bool>(x: f32) -> f32 {
    let x = x.max(-87.0);
    let n = (x * std::f32::consts::LOG2_E + 0.5).floor();
    let r = madd::<FMA>(-n, 0.693_359_4, x);
    let r = madd::<FMA>(n, 2.121_944_4e-4, r);
    let mut p = 1.987_569_1e-4;
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        p = madd::<FMA>(p, r, c);
    }
    let p = madd::<FMA>(p, r * r, r) + 1.0;
    f32::from_bits((p.to_bits() as i32 + ((n as i32) << 23)) as u32)
}

/// `x.round()` (halves away from zero) without a call, so that it vectorises.
#[inline(always)]
pub(crate) fn round_fast(x: f32) -> f32 {
    // The largest number below a half: adding a whole half would lift 0.49999997 to 1.
    (x + 0.499_999_97_f32.copysign(x)).trunc()
}

/// `ln(1 + e^x)` without overflow.
#[inline(always)]
pub(crate) fn softplus(x: f32) -> f32 {
    if x > 20.0 { x } else { x.exp().ln_1p() }
}

/// Step size η and decay α of a head from its gate outputs `e`, `a`: `tau_max` for a session head, `None` for a lifelong one.
///
/// Session: `η = σ(e)`, `α = exp(−softplus(a) − 1/tau_max)`. Lifelong: `η = clip(1.2·σ(e) − 0.1, 0, 1)`, `α = 1`.
///
/// Source: MEMORY.md §1.3.
pub(crate) fn gate_values(tau_max: Option<f32>, e: f32, a: f32) -> (f32, f32) {
    match tau_max {
        Some(tau) => (sigmoid(e), (-softplus(a) - 1.0 / tau).exp()),
        None => ((1.2 * sigmoid(e) - 0.1).clamp(0.0, 1.0), 1.0),
    }
}

/// One token of one head: moves the state, returns `u = η (v − α k S)` and `o = q S`.
#[inline(always)]
pub(crate) fn step_head<const FMA: bool, const D: usize>(
    (q, k, v): (&[f32; D], &[f32; D], &[f32; D]),
    (eta, alpha): (f32, f32),
    state: &mut [f32],
) -> ([f32; D], [f32; D]) {
    let (mut u, mut out) = ([0f32; D], [0f32; D]);
    let rows = state.as_chunks_mut::<D>().0;
    if eta != 0.0 {
        let mut read = [0f32; D];
        for (s, k) in rows.iter().zip(k) {
            for j in 0..D {
                read[j] = madd::<FMA>(*k, s[j], read[j]);
            }
        }
        for j in 0..D {
            u[j] = eta * (v[j] - alpha * read[j]);
        }
    } else if alpha == 1.0 {
        // A closed lifelong gate: nothing moves, not even by rounding.
        for (s, q) in rows.iter().zip(q) {
            for j in 0..D {
                out[j] = madd::<FMA>(*q, s[j], out[j]);
            }
        }
        return (u, out);
    }
    for ((s, k), q) in rows.iter_mut().zip(k).zip(q) {
        for j in 0..D {
            s[j] = madd::<FMA>(*k, u[j], alpha * s[j]);
            out[j] = madd::<FMA>(*q, s[j], out[j]);
        }
    }
    (u, out)
}

/// What the normalisation in `training` does to its input before the normalisation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PreActivation {
    /// Nothing.
    None,
    /// `relu(x)²`.
    SquaredRelu,
}

dispatched! {
    /// `x ← x / sqrt(‖x‖² + 1e-6)` for every row of width `d`.
    pub(crate) fn l2_normalize_rows(x: &mut [f32], d: usize) {
        for row in x.chunks_exact_mut(d) {
            let r = 1.0 / (dot::<FMA>(row, row) + QK_NORM_EPS).sqrt();
            for v in row {
                *v *= r;
            }
        }
    }
}

dispatched! {
    /// `RMSNorm_head(o; eps 1e-2) · gain ⊙ SiLU(g)` for every row of width `gain.len()`.
    pub(crate) fn head_norm_gate_rows(o: &[f32], g: &[f32], gain: &[f32], out: &mut [f32]) {
        let d = gain.len();
        for ((o, g), out) in o.chunks_exact(d).zip(g.chunks_exact(d)).zip(out.chunks_exact_mut(d)) {
            let r = 1.0 / (dot::<FMA>(o, o) / d as f32 + HEAD_NORM_EPS).sqrt();
            for j in 0..d {
                out[j] = o[j] * r * gain[j] * g[j] * sigmoid_fast::<FMA>(g[j]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_rounding_is_rounding() {
        let mut all: Vec<f32> = (-40_000..40_000).map(|i| i as f32 / 256.0).collect();
        let near: Vec<f32> = all.iter().flat_map(|x| [x.next_up(), x.next_down()]).collect();
        all.extend(near);
        all.extend([0.499_999_97, -0.499_999_97, 0.0, -0.0, 127.0, -127.5]);
        for x in all {
            assert_eq!(round_fast(x), x.round(), "{x:?}");
        }
    }
}
