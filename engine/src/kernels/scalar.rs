//! The kernels in plain Rust: the meaning that every other spelling must have.
//!
//! Integer products are exact. The loops over `f32` take `FMA` as a constant; the instruction set modules compile the
//! same text again with their features switched on, so only rounding differs between them.

use super::pack::{TILE_BYTES, TILE_COLS, TILE_ROWS};
use crate::model::{CONV_WIDTH, HEAD_NORM_EPS, NORM_EPS, QK_NORM_EPS, QUANT_EPS};

/// Largest absolute value of an activation of the output head. With it, sums over eight lanes of up to 16384 products with
/// int8 stay below 2^31.
pub const HEAD_ACT_MAX: f32 = 8191.0;

/// Fast weights below this are zero.
const TINY: f32 = 1e-30;

/// Reference product of packed rows `[out, in/4]` with `x [in]`: `out[r] = Σ w[r, c] · x[c]`.
pub fn gemv_t2_i8(packed: &[u8], x: &[i8], out: &mut [i32]) {
    for (row, out) in packed.chunks_exact(x.len() / 4).zip(out) {
        let codes =
            row.iter().flat_map(|byte| (0..4).map(move |i| i32::from((byte >> (2 * i)) & 3) - 1));
        *out = codes.zip(x).map(|(w, x)| w * i32::from(*x)).sum();
    }
}

/// Product of tiles `[groups, blocks, 128]` with `n` columns of activations.
///
/// `x` is `[n, in]`, `sums [n]` the sum of each, `out` `[groups, n, 32]`.
pub(super) fn tiles(w: &[u8], x: &[i8], sums: &[i32], out: &mut [i32]) {
    let (n, n_in) = (sums.len(), x.len() / sums.len().max(1));
    for (group, out) in
        w.chunks_exact(n_in * TILE_ROWS / 4).zip(out.chunks_exact_mut(n * TILE_ROWS))
    {
        for ((x, sum), out) in x.chunks_exact(n_in).zip(sums).zip(out.chunks_exact_mut(TILE_ROWS)) {
            out.fill(-sum);
            for (tile, x) in
                group.as_chunks::<TILE_BYTES>().0.iter().zip(x.as_chunks::<TILE_COLS>().0)
            {
                for (quad, out) in tile.as_chunks::<4>().0.iter().zip(out.iter_mut()) {
                    for (c, byte) in quad.iter().enumerate() {
                        for s in 0..4 {
                            *out += i32::from((byte >> (2 * s)) & 3) * i32::from(x[4 * s + c]);
                        }
                    }
                }
            }
        }
    }
}

/// Product of int8 rows `[out, in]` with 14-bit activations `x [in]`, as `f32` of the exact sum.
pub(super) fn gemv_i8(w: &[i8], x: &[i16], out: &mut [f32]) {
    for (row, out) in w.chunks_exact(x.len()).zip(out) {
        let sum: i64 =
            row.iter().zip(x).map(|(w, x)| i64::from(i32::from(*w) * i32::from(*x))).sum();
        *out = sum as f32;
    }
}

/// `a · b + c`, fused where `FMA`.
#[inline(always)]
pub(super) fn madd<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Dot product with sixteen running sums, so that it vectorizes and its order of additions is fixed.
#[inline(always)]
pub(super) fn dot<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
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

/// `e^x` for `x ≤ 0` by range reduction and a degree-6 polynomial: relative error below 3e-7, vectorizes.
#[inline(always)]
fn exp_fast<const FMA: bool>(x: f32) -> f32 {
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

#[inline(always)]
fn sigmoid_fast<const FMA: bool>(x: f32) -> f32 {
    let e = exp_fast::<FMA>(-x.abs());
    let s = 1.0 / (1.0 + e);
    if x >= 0.0 { s } else { e * s }
}

/// `1 / (1 + e^-x)`.
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// `ln(1 + e^x)` without overflow.
pub fn softplus(x: f32) -> f32 {
    if x > 20.0 { x } else { x.exp().ln_1p() }
}

/// `out = x · rsqrt(mean(x²) + eps) · gain`.
#[inline(always)]
pub(super) fn rms_norm<const FMA: bool>(x: &[f32], gain: &[f32], out: &mut [f32]) {
    let r = 1.0 / (dot::<FMA>(x, x) / x.len() as f32 + NORM_EPS).sqrt();
    for ((o, x), g) in out.iter_mut().zip(x).zip(gain) {
        *o = x * r * g;
    }
}

/// RMSNorm with gain in place of `x` (after `relu²` where `squared_relu`), rounded to int8 steps.
///
/// Returns `(1 / s, Σ q)` with `q = round(h · s)`, `s = 127 / max(absmax(h), eps)`.
#[inline(always)]
pub(super) fn norm_quantize<const FMA: bool>(
    x: &mut [f32],
    gain: &[f32],
    squared_relu: bool,
    q: &mut [i8],
) -> (f32, i32) {
    if squared_relu {
        for v in x.iter_mut() {
            let r = v.max(0.0);
            *v = r * r;
        }
    }
    let r = 1.0 / (dot::<FMA>(x, x) / x.len() as f32 + NORM_EPS).sqrt();
    // Eight running maxima, as one would chain every comparison.
    let mut absmax = [0f32; 8];
    for (x, g) in x.as_chunks_mut::<8>().0.iter_mut().zip(gain.as_chunks::<8>().0) {
        for l in 0..8 {
            x[l] = x[l] * r * g[l];
            absmax[l] = absmax[l].max(x[l].abs());
        }
    }
    let absmax = absmax.iter().fold(QUANT_EPS, |a, b| a.max(*b));
    let s = 127.0 / absmax;
    let mut sum = 0;
    for (q, v) in q.iter_mut().zip(x.iter()) {
        let step = (*v * s).round() as i32;
        *q = step as i8;
        sum += step;
    }
    (absmax / 127.0, sum)
}

/// Causal depthwise convolution and SiLU of one token. `taps [4, W]`, `rows` the four inputs, oldest first, `out [W]`.
#[inline(always)]
pub(super) fn conv_silu<const FMA: bool>(
    taps: &[f32],
    rows: [&[f32]; CONV_WIDTH],
    out: &mut [f32],
) {
    let w = out.len();
    let [r0, r1, r2, r3] = rows.map(|r| &r[..w]);
    let (t0, taps) = taps.split_at(w);
    let (t1, taps) = taps.split_at(w);
    let (t2, t3) = taps.split_at(w);
    let t3 = &t3[..w];
    for i in 0..w {
        let p = t0[i] * r0[i];
        let p = madd::<FMA>(t1[i], r1[i], p);
        let p = madd::<FMA>(t2[i], r2[i], p);
        let p = madd::<FMA>(t3[i], r3[i], p);
        out[i] = p * sigmoid_fast::<FMA>(p);
    }
}

/// `x / sqrt(‖x‖² + eps)` in place.
#[inline(always)]
pub(super) fn l2_normalize<const FMA: bool>(x: &mut [f32]) {
    let r = 1.0 / (dot::<FMA>(x, x) + QK_NORM_EPS).sqrt();
    for v in x {
        *v *= r;
    }
}

/// One token of one head: `S ← α S + kᵀ η (v − α k S)`, `o = q S`.
///
/// `q`, `k`, `v`, `o` are `[D]`, `state` `[D, D]`, rows by key. With `η = 0` and `α = 1` the state keeps every bit.
/// Columns are independent, so they are worked on in strips that fit the registers.
#[inline(always)]
pub(super) fn ttt_step<const FMA: bool>(
    qkv: [&[f32]; 3],
    (eta, alpha): (f32, f32),
    state: &mut [f32],
    o: &mut [f32],
) {
    let d = o.len();
    let mut col = 0;
    while col + 32 <= d {
        ttt_strip::<FMA, 32>(qkv, eta, alpha, state, col, o);
        col += 32;
    }
    while col + 16 <= d {
        ttt_strip::<FMA, 16>(qkv, eta, alpha, state, col, o);
        col += 16;
    }
}

#[inline(always)]
fn ttt_strip<const FMA: bool, const W: usize>(
    [q, k, v]: [&[f32]; 3],
    eta: f32,
    alpha: f32,
    state: &mut [f32],
    col: usize,
    o: &mut [f32],
) {
    let d = o.len();
    if eta == 0.0 && alpha == 1.0 {
        let out = read_strip::<FMA, W>(q, state, d, col);
        return o[col..col + W].copy_from_slice(&out);
    }
    let mut u = [0f32; W];
    if eta != 0.0 {
        let read = read_strip::<FMA, W>(k, state, d, col);
        for (u, (v, read)) in u.iter_mut().zip(v[col..col + W].iter().zip(&read)) {
            *u = eta * (v - alpha * read);
        }
    }
    let mut out = [0f32; W];
    for ((row, k), q) in state.chunks_exact_mut(d).zip(k).zip(q) {
        let Some(s) = row[col..].first_chunk_mut::<W>() else { continue };
        for j in 0..W {
            // What has decayed to nothing becomes zero: denormal numbers would make every later token slow.
            let moved = madd::<FMA>(*k, u[j], alpha * s[j]);
            s[j] = if moved.abs() < TINY { 0.0 } else { moved };
            out[j] = madd::<FMA>(*q, s[j], out[j]);
        }
    }
    o[col..col + W].copy_from_slice(&out);
}

/// Columns `col..col + W` of `x · S`, `x [D]`.
#[inline(always)]
fn read_strip<const FMA: bool, const W: usize>(
    x: &[f32],
    state: &[f32],
    d: usize,
    col: usize,
) -> [f32; W] {
    let mut out = [0f32; W];
    for (row, x) in state.chunks_exact(d).zip(x) {
        let Some(s) = row[col..].first_chunk::<W>() else { continue };
        for j in 0..W {
            out[j] = madd::<FMA>(*x, s[j], out[j]);
        }
    }
    out
}

/// `RMSNorm_head(o) · gain ⊙ SiLU(g)` of one token: `o`, `g`, `out` `[H·D]`, `gain [D]`.
#[inline(always)]
pub(super) fn head_norm_gate<const FMA: bool>(o: &[f32], g: &[f32], gain: &[f32], out: &mut [f32]) {
    let d = gain.len();
    for ((o, g), out) in o.chunks_exact(d).zip(g.chunks_exact(d)).zip(out.chunks_exact_mut(d)) {
        let r = 1.0 / (dot::<FMA>(o, o) / d as f32 + HEAD_NORM_EPS).sqrt();
        for j in 0..d {
            out[j] = o[j] * r * gain[j] * g[j] * sigmoid_fast::<FMA>(g[j]);
        }
    }
}

/// `out[r] = w[r] · x + bias[r]`, `w [out, in]` in `f32`.
#[inline(always)]
pub(super) fn gemv_f32<const FMA: bool>(w: &[f32], bias: &[f32], x: &[f32], out: &mut [f32]) {
    for ((row, b), o) in w.chunks_exact(x.len()).zip(bias).zip(out) {
        *o = dot::<FMA>(row, x) + b;
    }
}
