//! f32 arithmetic that inference and training share: dot products, gates, norms, and one step of the fast weights.
//!
//! Every loop is compiled twice, for the baseline and for AVX2 + FMA, and chosen at run time. Slices in, slices out.
#![allow(unsafe_code, reason = "calls into functions with target features")]

use crate::model::{CONV_WIDTH, HEAD_NORM_EPS, NORM_EPS, QK_NORM_EPS, QUANT_EPS};

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

/// What [`norm_quantize_i8`] does to its input before the normalisation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PreActivation {
    /// Nothing.
    None,
    /// `relu(x)²`.
    SquaredRelu,
}

dispatched! {
    /// `out = p(x) · rsqrt(mean(p(x)²) + 1e-6) ⊙ gain`, all of length `C`.
    pub(crate) fn rms_norm(x: &[f32], gain: &[f32], pre: PreActivation, out: &mut [f32]) {
        match pre {
            PreActivation::None => out.copy_from_slice(x),
            PreActivation::SquaredRelu => {
                for (o, v) in out.iter_mut().zip(x) {
                    let r = v.max(0.0);
                    *o = r * r;
                }
            }
        }
        let r = 1.0 / (dot::<FMA>(out, out) / out.len() as f32 + NORM_EPS).sqrt();
        for (o, g) in out.iter_mut().zip(gain) {
            *o = *o * r * g;
        }
    }
}

/// `max(absmax(x), 1e-5)`.
pub(crate) fn absmax(x: &[f32]) -> f32 {
    x.iter().fold(0f32, |m, v| m.max(v.abs())).max(QUANT_EPS)
}

dispatched! {
    /// `out = round(x · 127 / absmax)`, half away from zero; `absmax` as [`absmax`] gives it.
    pub(crate) fn quantize_i8(x: &[f32], absmax: f32, out: &mut [i8]) {
        let s = 127.0 / absmax;
        for (o, v) in out.iter_mut().zip(x) {
            *o = (v * s).round() as i8;
        }
    }
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
    /// Causal depthwise convolution and SiLU of one token: `out[c] = silu(Σ_j w[c, j] · z_{t−3+j}[c])`.
    ///
    /// `tail [3, N]` holds the three inputs before, oldest first, and moves on by one; `taps [4, N]`; `z`, `out` `[N]`.
    pub(crate) fn conv_silu_step(z: &[f32], tail: &mut [f32], taps: &[f32], out: &mut [f32]) {
        let n = z.len();
        out.fill(0.0);
        for j in 0..CONV_WIDTH {
            let x = if j < CONV_WIDTH - 1 { &tail[j * n..(j + 1) * n] } else { z };
            for ((o, w), x) in out.iter_mut().zip(&taps[j * n..(j + 1) * n]).zip(x) {
                *o = madd::<FMA>(*w, *x, *o);
            }
        }
        for o in out.iter_mut() {
            *o *= sigmoid_fast::<FMA>(*o);
        }
        tail.copy_within(n.., 0);
        tail[2 * n..].copy_from_slice(z);
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

dispatched! {
    fn ttt_step_of<const D: usize>(q: &[f32], k: &[f32], v: &[f32], eta: f32, alpha: f32, state: &mut [f32], o: &mut [f32]) {
        let first = |x: &'_ [f32]| -> [f32; D] { x.as_chunks::<D>().0[0] };
        let (_, out) = step_head::<FMA, D>((&first(q), &first(k), &first(v)), (eta, alpha), state);
        o.copy_from_slice(&out);
    }
}

dispatched! {
    /// `out[r] = scale[r] · Σ_c w[r, c] · x[c]`: int8 rows with a scale each times f32, the output head. `w [R, C]`, `x [C]`.
    pub(crate) fn gemv_i8_f32(w: &[i8], scale: &[f32], x: &[f32], out: &mut [f32]) {
        for ((row, scale), out) in w.chunks_exact(x.len()).zip(scale).zip(out) {
            let mut acc = [0f32; 32];
            let ((row, row_rest), (x, x_rest)) = (row.as_chunks::<32>(), x.as_chunks::<32>());
            for (row, x) in row.iter().zip(x) {
                for l in 0..32 {
                    acc[l] = madd::<FMA>(f32::from(row[l]), x[l], acc[l]);
                }
            }
            let mut sum: f32 = row_rest.iter().zip(x_rest).map(|(a, b)| f32::from(*a) * b).sum();
            for width in [16, 8, 4, 2, 1] {
                for l in 0..width {
                    acc[l] += acc[l + width];
                }
            }
            sum += acc[0];
            *out = sum * scale;
        }
    }
}

dispatched! {
    /// `out[r] = Σ_c w[r, c] · x[c] + bias[r]` in f32, for the few rows of the gate head.
    pub(crate) fn gemv_f32(w: &[f32], x: &[f32], bias: &[f32], out: &mut [f32]) {
        for ((row, bias), out) in w.chunks_exact(x.len()).zip(bias).zip(out) {
            *out = dot::<FMA>(row, x) + bias;
        }
    }
}

/// One token of one head: `S ← α S + kᵀ η (v − α k S)`, `o = q S`.
///
/// # Shapes
/// `q`, `k`, `v`, `o` `[D]`, `state [D, D]`; `D` one of 16, 32, 48, 64, 96, 128, or any other (slower).
///
/// # Panics
/// If a length disagrees.
pub(crate) fn ttt_step(
    (q, k, v): (&[f32], &[f32], &[f32]),
    (eta, alpha): (f32, f32),
    state: &mut [f32],
    o: &mut [f32],
) {
    assert!(
        q.len() == o.len()
            && k.len() == o.len()
            && v.len() == o.len()
            && state.len() == o.len() * o.len()
    );
    match o.len() {
        16 => ttt_step_of::<16>(q, k, v, eta, alpha, state, o),
        32 => ttt_step_of::<32>(q, k, v, eta, alpha, state, o),
        48 => ttt_step_of::<48>(q, k, v, eta, alpha, state, o),
        64 => ttt_step_of::<64>(q, k, v, eta, alpha, state, o),
        96 => ttt_step_of::<96>(q, k, v, eta, alpha, state, o),
        128 => ttt_step_of::<128>(q, k, v, eta, alpha, state, o),
        _ => ttt_step_scalar((q, k, v), (eta, alpha), state, o),
    }
}

/// [`ttt_step`] as the formula reads: the slow twin.
pub(crate) fn ttt_step_scalar(
    (q, k, v): (&[f32], &[f32], &[f32]),
    (eta, alpha): (f32, f32),
    state: &mut [f32],
    o: &mut [f32],
) {
    let d = o.len();
    for j in 0..d {
        let read: f32 = (0..d).map(|i| k[i] * state[i * d + j]).sum();
        let u = eta * (v[j] - alpha * read);
        for i in 0..d {
            state[i * d + j] = alpha * state[i * d + j] + k[i] * u;
        }
        o[j] = (0..d).map(|i| q[i] * state[i * d + j]).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn fast_weight_step_equals_the_formula() {
        let mut rng = Rng::new(1);
        for d in [16, 32, 48, 64, 96, 128] {
            let mut noise = |n: usize| (0..n).map(|_| rng.unit() as f32 - 0.5).collect::<Vec<_>>();
            let (mut fast, mut slow) = (noise(d * d), vec![]);
            slow.clone_from(&fast);
            for (eta, alpha) in [(0.7, 0.9), (0.0, 1.0), (1.0, 1.0), (0.0, 0.5)] {
                let (q, k, v) = (noise(d), noise(d), noise(d));
                let (mut a, mut b) = (vec![0.0; d], vec![0.0; d]);
                ttt_step((&q, &k, &v), (eta, alpha), &mut fast, &mut a);
                ttt_step_scalar((&q, &k, &v), (eta, alpha), &mut slow, &mut b);
                let diff = |x: &[f32], y: &[f32]| {
                    x.iter().zip(y).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
                };
                assert!(diff(&a, &b) < 1e-4 && diff(&fast, &slow) < 1e-4, "{d}");
            }
        }
    }
}
