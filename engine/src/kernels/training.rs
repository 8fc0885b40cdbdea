//! Arithmetic of the fused training operations: slices in, slices out, forward and backward.
//!
//! Used by the custom operations of `nn`; each has a slow twin there (the plain candle composition).
//! Work is split over rows or over (batch, head) pairs in fixed blocks, so results do not depend on the
//! number of threads. Every loop is compiled twice, for the baseline and for AVX2 + FMA, and chosen at run time.
#![allow(unsafe_code, reason = "calls into functions with target features and the gemm crate")]

use rayon::prelude::*;

pub use super::float::PreActivation;
#[cfg(target_arch = "x86_64")]
use super::float::has_fma;
use super::float::{
    dispatched, dot, exp_fast, gate_values, head_norm_gate_rows, l2_normalize_rows, madd,
    round_fast, sigmoid, sigmoid_fast, softplus, step_head,
};

use crate::model::{CONV_WIDTH, HEAD_NORM_EPS, NORM_EPS, QK_NORM_EPS, QUANT_EPS};

/// Rows that one task works on; fixed, so that partial sums are added in the same order on every machine.
const ROW_BLOCK: usize = 64;
/// Tokens between two kept states in the backward pass of the scan.
const STATE_STRIDE: usize = 16;

/// Taps `[D, 4]` as `[4, D]`.
fn transposed_taps(conv: &[f32]) -> Vec<f32> {
    let d = conv.len() / CONV_WIDTH;
    (0..conv.len()).map(|n| conv[n % d * CONV_WIDTH + n / d]).collect()
}

/// Row `at` of `[tail | z]`: the `D` channels that start the two slices.
#[inline(always)]
fn conv_input<'a>(z: &'a [f32], tail: &'a [f32], stride: usize, at: usize, d: usize) -> &'a [f32] {
    let keep = CONV_WIDTH - 1;
    if at < keep {
        &tail[at * stride..at * stride + d]
    } else {
        &z[(at - keep) * stride..(at - keep) * stride + d]
    }
}

/// Layout of a matrix operand of [`matmul`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Layout {
    /// Row-major as named.
    Plain,
    /// The transpose of a row-major matrix.
    Transposed,
}

/// `dst = a · b`, or `dst += a · b` with `add`; `a` is `[m, k]`, `b` is `[k, n]`, `dst` is `[m, n]` row-major.
///
/// # Panics
/// If a slice length disagrees with the sizes.
pub fn matmul(
    dst: &mut [f32],
    (m, n, k): (usize, usize, usize),
    (a, a_layout): (&[f32], Layout),
    (b, b_layout): (&[f32], Layout),
    add: bool,
) {
    assert_eq!(dst.len(), m * n);
    assert_eq!(a.len(), m * k);
    assert_eq!(b.len(), k * n);
    #[cfg(target_arch = "x86_64")]
    if own_product() {
        // SAFETY: AVX2 and FMA were detected.
        return unsafe {
            super::matmul_avx2::matmul(dst, (m, n, k), (a, a_layout), (b, b_layout), add)
        };
    }
    matmul_portable(dst, (m, n, k), (a, a_layout), (b, b_layout), add);
}

/// Whether our own product runs: it needs AVX2 and FMA; where AVX-512 is, the `gemm` crate's is the faster one.
#[cfg(target_arch = "x86_64")]
fn own_product() -> bool {
    has_fma() && !std::arch::is_x86_feature_detected!("avx512f")
}

/// A right-hand matrix `[k, n]` laid out once for many products.
#[derive(Debug)]
pub struct Packed {
    k: usize,
    n: usize,
    data: Vec<f32>,
}

impl Packed {
    /// Lays out `b`.
    ///
    /// # Panics
    /// If its length is not `k · n`.
    pub fn new((b, layout): (&[f32], Layout), k: usize, n: usize) -> Self {
        assert_eq!(b.len(), k * n);
        #[cfg(target_arch = "x86_64")]
        if own_product() {
            return Self { k, n, data: super::matmul_avx2::pack((b, layout), (k, n)) };
        }
        let data = match layout {
            Layout::Plain => b.to_vec(),
            Layout::Transposed => (0..k * n).map(|i| b[i % n * k + i / n]).collect(),
        };
        Self { k, n, data }
    }

    /// `dst = a · b`, or `dst += a · b` with `add`; `a` is `[m, k]`, `dst` `[m, n]`.
    ///
    /// # Panics
    /// If a slice length disagrees with the sizes.
    pub fn product(&self, dst: &mut [f32], m: usize, (a, a_layout): (&[f32], Layout), add: bool) {
        let (k, n) = (self.k, self.n);
        assert!(dst.len() == m * n && a.len() == m * k);
        #[cfg(target_arch = "x86_64")]
        if own_product() {
            // SAFETY: AVX2 and FMA were detected.
            return unsafe {
                super::matmul_avx2::matmul_packed(dst, (m, n, k), (a, a_layout), &self.data, add)
            };
        }
        matmul_portable(dst, (m, n, k), (a, a_layout), (&self.data, Layout::Plain), add);
    }
}

/// [`matmul`] through the `gemm` crate, for every processor.
pub fn matmul_portable(
    dst: &mut [f32],
    (m, n, k): (usize, usize, usize),
    (a, a_layout): (&[f32], Layout),
    (b, b_layout): (&[f32], Layout),
    add: bool,
) {
    assert!(dst.len() == m * n && a.len() == m * k && b.len() == k * n);
    let strides = |layout, rows: usize, cols: usize| match layout {
        Layout::Plain => (1, cols as isize),
        Layout::Transposed => (rows as isize, 1),
    };
    let (a_cs, a_rs) = strides(a_layout, m, k);
    let (b_cs, b_rs) = strides(b_layout, k, n);
    let threads = rayon::current_num_threads();
    let parallelism =
        if threads > 1 { gemm::Parallelism::Rayon(threads) } else { gemm::Parallelism::None };
    // SAFETY: the three slices have exactly the lengths that the sizes and strides reach (asserted above),
    // and `dst` is borrowed mutably, so it does not overlap `a` or `b`.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst.as_mut_ptr(),
            1,
            n as isize,
            add,
            a.as_ptr(),
            a_cs,
            a_rs,
            b.as_ptr(),
            b_cs,
            b_rs,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

dispatched! {
    fn norm_quantize_rows(x: &[f32], gain: &[f32], pre: PreActivation, quantize: bool, out: &mut [f32]) {
        let c = gain.len();
        for (x, out) in x.chunks_exact(c).zip(out.chunks_exact_mut(c)) {
            match pre {
                PreActivation::None => out.copy_from_slice(x),
                PreActivation::SquaredRelu => {
                    for (o, v) in out.iter_mut().zip(x) {
                        let r = v.max(0.0);
                        *o = r * r;
                    }
                }
            }
            let r = 1.0 / (dot::<FMA>(out, out) / c as f32 + NORM_EPS).sqrt();
            let mut absmax = 0f32;
            for (o, g) in out.iter_mut().zip(gain) {
                *o = *o * r * g;
                absmax = absmax.max(o.abs());
            }
            if quantize {
                let s = 127.0 / absmax.max(QUANT_EPS);
                let inv = absmax.max(QUANT_EPS) / 127.0;
                for o in out.iter_mut() {
                    *o = round_fast(*o * s) * inv;
                }
            }
        }
    }
}

/// RMSNorm with gain, then int8 rounding per row (straight-through), in one pass.
///
/// `out[n, c] = round(h · s) / s`, `h = p(x) · rsqrt(mean(p(x)²) + eps) · gain`, `s = 127 / max(absmax(h), eps)`.
///
/// # Shapes
/// `x`, result `[N, C]`, `gain [C]`. Source: MEMORY.md §1.2 (BitNet b1.58 activations).
pub fn norm_quantize(x: &[f32], gain: &[f32], pre: PreActivation, quantize: bool) -> Vec<f32> {
    let mut out = vec![0f32; x.len()];
    let block = ROW_BLOCK * gain.len();
    out.par_chunks_mut(block)
        .zip(x.par_chunks(block))
        .for_each(|(out, x)| norm_quantize_rows(x, gain, pre, quantize, out));
    out
}

dispatched! {
    fn norm_quantize_backward_rows(x: &[f32], gain: &[f32], pre: PreActivation, grad: &[f32], dx: &mut [f32], dgain: &mut [f32]) {
        let c = gain.len();
        let mut p = vec![0f32; c];
        for ((x, grad), dx) in x.chunks_exact(c).zip(grad.chunks_exact(c)).zip(dx.chunks_exact_mut(c)) {
            match pre {
                PreActivation::None => p.copy_from_slice(x),
                PreActivation::SquaredRelu => {
                    for (p, v) in p.iter_mut().zip(x) {
                        let r = v.max(0.0);
                        *p = r * r;
                    }
                }
            }
            let r = 1.0 / (dot::<FMA>(&p, &p) / c as f32 + NORM_EPS).sqrt();
            // dx holds g ⊙ gain for a moment
            for i in 0..c {
                dgain[i] = madd::<FMA>(grad[i], p[i] * r, dgain[i]);
                dx[i] = grad[i] * gain[i];
            }
            let mean = dot::<FMA>(dx, &p) * r / c as f32;
            for i in 0..c {
                dx[i] = r * (dx[i] - p[i] * r * mean);
            }
            if pre == PreActivation::SquaredRelu {
                for i in 0..c {
                    dx[i] *= 2.0 * x[i].max(0.0);
                }
            }
        }
    }
}

/// Gradient of [`norm_quantize`]: `(dx, dgain)`; the rounding passes the gradient through unchanged.
pub fn norm_quantize_backward(
    x: &[f32],
    gain: &[f32],
    pre: PreActivation,
    grad: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let c = gain.len();
    let mut dx = vec![0f32; x.len()];
    let block = ROW_BLOCK * c;
    let partial: Vec<Vec<f32>> = dx
        .par_chunks_mut(block)
        .zip(x.par_chunks(block).zip(grad.par_chunks(block)))
        .map(|(dx, (x, grad))| {
            let mut dgain = vec![0f32; c];
            norm_quantize_backward_rows(x, gain, pre, grad, dx, &mut dgain);
            dgain
        })
        .collect();
    (dx, sum_rows(&partial, c))
}

fn sum_rows(rows: &[Vec<f32>], len: usize) -> Vec<f32> {
    let mut sum = vec![0f32; len];
    for row in rows {
        for (s, r) in sum.iter_mut().zip(row) {
            *s += r;
        }
    }
    sum
}

dispatched! {
    fn ternarize_values(w: &[f32], gamma: f32, out: &mut [f32]) {
        for (o, v) in out.iter_mut().zip(w) {
            *o = round_fast(v / gamma).clamp(-1.0, 1.0) * gamma;
        }
    }
}

/// `clip(round(W / γ), −1, 1) · γ` with one absmean `γ` for each of `parts` equal blocks of rows.
pub fn ternarize(w: &[f32], parts: usize) -> Vec<f32> {
    let mut out = vec![0f32; w.len()];
    let len = w.len() / parts;
    out.par_chunks_mut(len)
        .zip(w.par_chunks(len))
        .for_each(|(out, w)| ternarize_values(w, absmean(w), out));
    out
}

/// `max(mean |w|, 1e-5)`, summed in f64.
pub fn absmean(w: &[f32]) -> f32 {
    let sum: f64 = w.iter().map(|v| f64::from(v.abs())).sum();
    ((sum / w.len().max(1) as f64) as f32).max(QUANT_EPS)
}

/// Sizes of a [`scan`] call.
#[derive(Clone, Copy, Debug)]
pub struct ScanShape<'a> {
    /// Batch rows.
    pub batch: usize,
    /// Tokens of the segment.
    pub tokens: usize,
    /// Session heads, first.
    pub session_tau_max: &'a [f32],
    /// Lifelong heads, last.
    pub lifelong: usize,
    /// Head width.
    pub head_dim: usize,
}

impl ScanShape<'_> {
    fn heads(&self) -> usize {
        self.session_tau_max.len() + self.lifelong
    }
    fn width(&self) -> usize {
        self.heads() * self.head_dim
    }
}

/// Inputs of a [`scan`]: `z [B,T,3·H·D]` (q, k, v before the convolution), `conv [3·H·D, 4]`, `gates [B,T,2H]` (e, a),
/// `mask [B,T,H]` (factor on η: the note flag), `state [B,H,D,D]`, `tail [B,3,3·H·D]`.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "shapes are above")]
pub struct ScanInput<'a> {
    pub z: &'a [f32],
    pub conv: &'a [f32],
    pub gates: &'a [f32],
    pub mask: &'a [f32],
    pub state: &'a [f32],
    pub tail: &'a [f32],
}

/// Gradients of a [`scan`] with respect to `z`, `conv`, `gates` and the state before it `[B,H,D,D]`.
#[derive(Debug)]
#[allow(missing_docs, reason = "named as the inputs")]
pub struct ScanGradients {
    pub dz: Vec<f32>,
    pub dconv: Vec<f32>,
    pub dgates: Vec<f32>,
    pub dstate: Vec<f32>,
}

/// One head of one batch row, unpacked to contiguous `[T, D]` blocks.
struct HeadInput {
    q: Vec<f32>,
    k: Vec<f32>,
    v: Vec<f32>,
    eta: Vec<f32>,
    alpha: Vec<f32>,
    /// The mask is 0: η is 0 whatever the gate says, and the gate gets no gradient.
    closed: Vec<bool>,
}

/// `(∂η/∂e, ∂α/∂a)`; `upstream_eta` decides whether a clipped gate may come back (MEMORY.md §1.4).
fn gate_slopes(shape: &ScanShape<'_>, h: usize, e: f32, a: f32, upstream_eta: f32) -> (f32, f32) {
    let s = sigmoid(e);
    match shape.session_tau_max.get(h) {
        Some(tau) => {
            let alpha = (-softplus(a) - 1.0 / tau).exp();
            (s * (1.0 - s), -sigmoid(a) * alpha)
        }
        None => {
            let y = 1.2 * s - 0.1;
            // A step of gradient descent moves y by −upstream: outwards when y is clipped low and upstream > 0.
            let outwards = (y < 0.0 && upstream_eta > 0.0) || (y > 1.0 && upstream_eta < 0.0);
            (if outwards { 0.0 } else { 1.2 * s * (1.0 - s) }, 0.0)
        }
    }
}

dispatched! {
    /// Causal depthwise convolution and SiLU of `D` channels: `pre` and `out` are `[T, D]`.
    fn conv_silu(z: &[f32], stride: usize, tail: &[f32], conv: &[f32], pre: &mut [f32], out: &mut [f32]) {
        let d = conv.len() / CONV_WIDTH;
        let taps = transposed_taps(conv);
        for (t, (pre, out)) in pre.chunks_exact_mut(d).zip(out.chunks_exact_mut(d)).enumerate() {
            pre.fill(0.0);
            for j in 0..CONV_WIDTH {
                let x = conv_input(z, tail, stride, t + j, d);
                for ((p, tap), x) in pre.iter_mut().zip(&taps[j * d..(j + 1) * d]).zip(x) {
                    *p = madd::<FMA>(*tap, *x, *p);
                }
            }
            for (o, p) in out.iter_mut().zip(pre.iter()) {
                *o = *p * sigmoid_fast::<FMA>(*p);
            }
        }
    }
}

dispatched! {
    /// Runs `S ← α S + kᵀ η (v − α k S)`, `o = q S` over `[T, D]` rows; writes `o`, and `S` before every stride of
    /// tokens into `kept` when it is not empty.
    fn scan_head<const D: usize>(input: &HeadInput, state: &mut [f32], o: &mut [f32], kept: &mut [f32]) {
        for t in 0..input.eta.len() {
            if !kept.is_empty() && t.is_multiple_of(STATE_STRIDE) {
                let at = t / STATE_STRIDE * D * D;
                kept[at..at + D * D].copy_from_slice(state);
            }
            let (_, out) = step_at::<FMA, D>(input, t, state);
            o[t * D..(t + 1) * D].copy_from_slice(&out);
        }
    }
}

/// [`step_head`] for token `t`.
#[inline(always)]
fn step_at<const FMA: bool, const D: usize>(
    input: &HeadInput,
    t: usize,
    state: &mut [f32],
) -> ([f32; D], [f32; D]) {
    let rows = (row::<D>(&input.q, t), row::<D>(&input.k, t), row::<D>(&input.v, t));
    step_head::<FMA, D>(rows, (input.eta[t], input.alpha[t]), state)
}

/// Row `t` of `[T, D]`.
#[inline(always)]
fn row<const D: usize>(x: &[f32], t: usize) -> &[f32; D] {
    &x.as_chunks::<D>().0[t]
}

/// Gradients of one head, all `[T, D]` or `[T]`, zero at the start.
struct HeadGradients<'a> {
    dq: &'a mut [f32],
    dk: &'a mut [f32],
    dv: &'a mut [f32],
    deta: &'a mut [f32],
    dalpha: &'a mut [f32],
    /// `[D, D]`: of the state before the first token.
    dstate: &'a mut [f32],
}

dispatched! {
    /// Back-propagation through [`scan_head`], recomputing the states of one stride at a time from `kept`.
    fn scan_head_backward<const D: usize>(input: &HeadInput, kept: &[f32], grad_o: &[f32], out: &mut HeadGradients<'_>) {
        let tokens = input.eta.len();
        let mut ds = vec![[0f32; D]; D];
        let mut states = vec![0f32; (STATE_STRIDE + 1) * D * D];
        let mut us = [[0f32; D]; STATE_STRIDE];
        for block in (0..tokens.div_ceil(STATE_STRIDE)).rev() {
            let first = block * STATE_STRIDE;
            let n = STATE_STRIDE.min(tokens - first);
            states[..D * D].copy_from_slice(&kept[block * D * D..(block + 1) * D * D]);
            for i in 0..n {
                states.copy_within(i * D * D..(i + 1) * D * D, (i + 1) * D * D);
                (us[i], _) = step_at::<FMA, D>(input, first + i, &mut states[(i + 1) * D * D..(i + 2) * D * D]);
            }
            for i in (0..n).rev() {
                let t = first + i;
                let prev = states[i * D * D..(i + 1) * D * D].as_chunks::<D>().0;
                let cur = states[(i + 1) * D * D..(i + 2) * D * D].as_chunks::<D>().0;
                let (q, k, v, go) = (row::<D>(&input.q, t), row::<D>(&input.k, t), row::<D>(&input.v, t), row::<D>(grad_o, t));
                let (eta, alpha) = (input.eta[t], input.alpha[t]);
                let (dq, dk) = (&mut out.dq[t * D..(t + 1) * D], &mut out.dk[t * D..(t + 1) * D]);
                if input.closed[t] && alpha == 1.0 {
                    // o = q S and nothing else: dS += qᵀ do, dq = S do
                    for (((ds, q), dq), s) in ds.iter_mut().zip(q).zip(dq).zip(cur) {
                        for j in 0..D {
                            ds[j] = madd::<FMA>(*q, go[j], ds[j]);
                        }
                        *dq = dot::<FMA>(s, go);
                    }
                    continue;
                }
                // o = q S: dS += qᵀ do, dq = S do; then u's gradient du = k dS
                let mut du = [0f32; D];
                for ((((ds, q), k), dq), s) in ds.iter_mut().zip(q).zip(k).zip(dq).zip(cur) {
                    for j in 0..D {
                        ds[j] = madd::<FMA>(*q, go[j], ds[j]);
                        du[j] = madd::<FMA>(*k, ds[j], du[j]);
                    }
                    *dq = dot::<FMA>(s, go);
                }
                let u = &us[i];
                if !input.closed[t] {
                    // u = η · err, err = v − α k S⁻
                    let mut err = [0f32; D];
                    for (s, k) in prev.iter().zip(k) {
                        for j in 0..D {
                            err[j] = madd::<FMA>(*k, s[j], err[j]);
                        }
                    }
                    for j in 0..D {
                        err[j] = v[j] - alpha * err[j];
                    }
                    out.deta[t] = dot::<FMA>(&du, &err);
                }
                let mut dr = [0f32; D];
                let dv = &mut out.dv[t * D..(t + 1) * D];
                for j in 0..D {
                    dv[j] = eta * du[j];
                    dr[j] = -eta * du[j];
                }
                let mut dalpha = [0f32; D];
                for (((ds, k), dk), p) in ds.iter_mut().zip(k).zip(dk).zip(prev) {
                    *dk = dot::<FMA>(ds, u) + alpha * dot::<FMA>(p, &dr);
                    for j in 0..D {
                        ds[j] = madd::<FMA>(*k, dr[j], ds[j]);
                        dalpha[j] = madd::<FMA>(ds[j], p[j], dalpha[j]);
                        ds[j] *= alpha;
                    }
                }
                out.dalpha[t] = dalpha.iter().sum();
            }
        }
        out.dstate.copy_from_slice(ds.as_flattened());
    }
}

fn scan_head_any(d: usize, input: &HeadInput, state: &mut [f32], o: &mut [f32], kept: &mut [f32]) {
    match d {
        16 => scan_head::<16>(input, state, o, kept),
        32 => scan_head::<32>(input, state, o, kept),
        48 => scan_head::<48>(input, state, o, kept),
        64 => scan_head::<64>(input, state, o, kept),
        96 => scan_head::<96>(input, state, o, kept),
        128 => scan_head::<128>(input, state, o, kept),
        _ => panic!("training supports head widths 16, 32, 48, 64, 96 and 128, not {d}"),
    }
}

fn scan_head_backward_any(
    d: usize,
    input: &HeadInput,
    kept: &[f32],
    go: &[f32],
    out: &mut HeadGradients<'_>,
) {
    match d {
        16 => scan_head_backward::<16>(input, kept, go, out),
        32 => scan_head_backward::<32>(input, kept, go, out),
        48 => scan_head_backward::<48>(input, kept, go, out),
        64 => scan_head_backward::<64>(input, kept, go, out),
        96 => scan_head_backward::<96>(input, kept, go, out),
        128 => scan_head_backward::<128>(input, kept, go, out),
        _ => panic!("training supports head widths 16, 32, 48, 64, 96 and 128, not {d}"),
    }
}

/// Outputs of the convolution of one head: before SiLU, after SiLU, and normalised (q, k).
struct HeadConv {
    pre: [Vec<f32>; 3],
    silu: [Vec<f32>; 3],
}

fn head_conv(shape: &ScanShape<'_>, input: &ScanInput<'_>, b: usize, h: usize) -> HeadConv {
    let (t, d, w) = (shape.tokens, shape.head_dim, shape.width());
    let mut conv = HeadConv { pre: Default::default(), silu: Default::default() };
    for part in 0..3 {
        let channel = part * w + h * d;
        let mut pre = vec![0f32; t * d];
        let mut silu = vec![0f32; t * d];
        conv_silu(
            &input.z[b * t * 3 * w + channel..],
            3 * w,
            &input.tail[b * 3 * 3 * w + channel..],
            &input.conv[channel * CONV_WIDTH..(channel + d) * CONV_WIDTH],
            &mut pre,
            &mut silu,
        );
        conv.pre[part] = pre;
        conv.silu[part] = silu;
    }
    conv
}

fn head_input(
    shape: &ScanShape<'_>,
    input: &ScanInput<'_>,
    conv: &HeadConv,
    b: usize,
    h: usize,
) -> HeadInput {
    let (tokens, heads) = (shape.tokens, shape.heads());
    let mut q = conv.silu[0].clone();
    let mut k = conv.silu[1].clone();
    l2_normalize_rows(&mut q, shape.head_dim);
    l2_normalize_rows(&mut k, shape.head_dim);
    let (mut eta, mut alpha) = (Vec::with_capacity(tokens), Vec::with_capacity(tokens));
    let mut closed = Vec::with_capacity(tokens);
    for t in 0..tokens {
        let at = (b * tokens + t) * 2 * heads;
        let (e, a) = gate_values(
            shape.session_tau_max.get(h).copied(),
            input.gates[at + h],
            input.gates[at + heads + h],
        );
        let mask = input.mask[(b * tokens + t) * heads + h];
        eta.push(e * mask);
        alpha.push(a);
        closed.push(mask == 0.0);
    }
    HeadInput { q, k, v: conv.silu[2].clone(), eta, alpha, closed }
}

/// The fast-weight layer between its two ternary matrices: convolution, SiLU, normalisation, gates and the
/// gated delta rule, token by token.
///
/// `S_t = α_t S_{t−1} + k_tᵀ η_t (v_t − α_t k_t S_{t−1})`, `o_t = q_t S_t`.
///
/// # Shapes
/// Inputs as in [`ScanInput`]; returns `o [B,T,H·D]`, the new state `[B,H,D,D]` and the new tail `[B,3,3·H·D]`.
///
/// Source: MEMORY.md §1.3; Yang et al. 2024 (Gated DeltaNet), Sun et al. 2024 (TTT-Linear).
pub fn scan(shape: &ScanShape<'_>, input: &ScanInput<'_>) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let (t, d, w, heads) = (shape.tokens, shape.head_dim, shape.width(), shape.heads());
    let mut state = input.state.to_vec();
    let outputs: Vec<Vec<f32>> = state
        .par_chunks_mut(d * d)
        .enumerate()
        .map(|(bh, state)| {
            let (b, h) = (bh / heads, bh % heads);
            let conv = head_conv(shape, input, b, h);
            let head = head_input(shape, input, &conv, b, h);
            let mut o = vec![0f32; t * d];
            scan_head_any(d, &head, state, &mut o, &mut []);
            o
        })
        .collect();
    let mut o = vec![0f32; shape.batch * t * w];
    for (bh, head) in outputs.iter().enumerate() {
        scatter_head(head, &mut o, shape, bh / heads, (bh % heads) * d, w);
    }
    (o, state, next_tail(shape, input))
}

/// Last three inputs of the convolution, for the next segment: `[B,3,3·H·D]`.
fn next_tail(shape: &ScanShape<'_>, input: &ScanInput<'_>) -> Vec<f32> {
    let (t, w3) = (shape.tokens, 3 * shape.width());
    let keep = CONV_WIDTH - 1;
    let mut tail = vec![0f32; shape.batch * keep * w3];
    for b in 0..shape.batch {
        for j in 0..keep {
            let at = t + j; // position in the row [tail | z]
            let src = if at < keep {
                &input.tail[(b * keep + at) * w3..][..w3]
            } else {
                &input.z[(b * t + at - keep) * w3..][..w3]
            };
            tail[(b * keep + j) * w3..][..w3].copy_from_slice(src);
        }
    }
    tail
}

/// Copies `[T, D]` into columns `column..column + D` of batch row `b` of `[B, T, width]`.
fn scatter_head(
    head: &[f32],
    all: &mut [f32],
    shape: &ScanShape<'_>,
    b: usize,
    column: usize,
    width: usize,
) {
    let d = shape.head_dim;
    for t in 0..shape.tokens {
        all[(b * shape.tokens + t) * width + column..][..d]
            .copy_from_slice(&head[t * d..(t + 1) * d]);
    }
}

dispatched! {
    /// `dx` of `y = x / sqrt(‖x‖² + eps)` over rows of width `d`, from `dy`, in place of `dy`.
    fn l2_normalize_backward(x: &[f32], dy: &mut [f32], d: usize) {
        for (x, dy) in x.chunks_exact(d).zip(dy.chunks_exact_mut(d)) {
            let r = 1.0 / (dot::<FMA>(x, x) + QK_NORM_EPS).sqrt();
            let along = dot::<FMA>(x, dy) * r * r;
            for (g, v) in dy.iter_mut().zip(x) {
                *g = r * (*g - v * along);
            }
        }
    }
}

/// Gradients of [`scan`] for `grad_o [B,T,H·D]`; recomputes the forward pass head by head.
pub fn scan_backward(
    shape: &ScanShape<'_>,
    input: &ScanInput<'_>,
    grad_o: &[f32],
) -> ScanGradients {
    let (tokens, d, w, heads) = (shape.tokens, shape.head_dim, shape.width(), shape.heads());
    struct PerHead {
        dz: [Vec<f32>; 3],
        dconv: [Vec<f32>; 3],
        de: Vec<f32>,
        da: Vec<f32>,
        dstate: Vec<f32>,
    }
    let per_head: Vec<PerHead> = (0..shape.batch * heads)
        .into_par_iter()
        .map(|bh| {
            let (b, h) = (bh / heads, bh % heads);
            let conv = head_conv(shape, input, b, h);
            let head = head_input(shape, input, &conv, b, h);
            let mut state = input.state[bh * d * d..(bh + 1) * d * d].to_vec();
            let mut kept = vec![0f32; tokens.div_ceil(STATE_STRIDE) * d * d];
            let mut sink = vec![0f32; tokens * d];
            scan_head_any(d, &head, &mut state, &mut sink, &mut kept);
            let mut go = sink;
            for t in 0..tokens {
                go[t * d..(t + 1) * d]
                    .copy_from_slice(&grad_o[(b * tokens + t) * w + h * d..][..d]);
            }
            let (mut dq, mut dk, mut dv) =
                (vec![0f32; tokens * d], vec![0f32; tokens * d], vec![0f32; tokens * d]);
            let (mut deta, mut dalpha) = (vec![0f32; tokens], vec![0f32; tokens]);
            let mut dstate = vec![0f32; d * d];
            scan_head_backward_any(
                d,
                &head,
                &kept,
                &go,
                &mut HeadGradients {
                    dq: &mut dq,
                    dk: &mut dk,
                    dv: &mut dv,
                    deta: &mut deta,
                    dalpha: &mut dalpha,
                    dstate: &mut dstate,
                },
            );
            l2_normalize_backward(&conv.silu[0], &mut dq, d);
            l2_normalize_backward(&conv.silu[1], &mut dk, d);
            let mut out = PerHead {
                dz: [dq, dk, dv],
                dconv: Default::default(),
                de: deta,
                da: dalpha,
                dstate,
            };
            for t in 0..tokens {
                let at = (b * tokens + t) * 2 * heads;
                let upstream = out.de[t] * input.mask[(b * tokens + t) * heads + h];
                let (se, sa) = gate_slopes(
                    shape,
                    h,
                    input.gates[at + h],
                    input.gates[at + heads + h],
                    upstream,
                );
                out.de[t] = upstream * se;
                out.da[t] *= sa;
            }
            for part in 0..3 {
                let channel = part * w + h * d;
                let mut dz = vec![0f32; tokens * d];
                let mut dconv = vec![0f32; d * CONV_WIDTH];
                conv_silu_backward(
                    &input.z[b * tokens * 3 * w + channel..],
                    3 * w,
                    &input.tail[b * 3 * 3 * w + channel..],
                    &input.conv[channel * CONV_WIDTH..(channel + d) * CONV_WIDTH],
                    &conv.pre[part],
                    &mut out.dz[part],
                    &mut dz,
                    &mut dconv,
                );
                out.dz[part] = dz;
                out.dconv[part] = dconv;
            }
            out
        })
        .collect();

    let mut dz = vec![0f32; shape.batch * tokens * 3 * w];
    let mut dconv = vec![0f32; 3 * w * CONV_WIDTH];
    let mut dgates = vec![0f32; shape.batch * tokens * 2 * heads];
    let mut dstate = Vec::with_capacity(input.state.len());
    for (bh, head) in per_head.iter().enumerate() {
        let (b, h) = (bh / heads, bh % heads);
        dstate.extend_from_slice(&head.dstate);
        for part in 0..3 {
            let channel = part * w + h * d;
            scatter_head(&head.dz[part], &mut dz, shape, b, channel, 3 * w);
            for (s, g) in dconv[channel * CONV_WIDTH..].iter_mut().zip(&head.dconv[part]) {
                *s += g;
            }
        }
        for t in 0..tokens {
            let at = (b * tokens + t) * 2 * heads;
            dgates[at + h] = head.de[t];
            dgates[at + heads + h] = head.da[t];
        }
    }
    ScanGradients { dz, dconv, dgates, dstate }
}

dispatched! {
    /// Gradients of [`conv_silu`]: `dout [T, D]` is turned into the gradient of the sum, then spread to inputs and taps.
    fn conv_silu_backward(z: &[f32], stride: usize, tail: &[f32], conv: &[f32], pre: &[f32], dout: &mut [f32], dz: &mut [f32], dconv: &mut [f32]) {
        let d = conv.len() / CONV_WIDTH;
        let tokens = dz.len() / d;
        let taps = transposed_taps(conv);
        let mut dtaps = vec![0f32; conv.len()];
        for (g, p) in dout.iter_mut().zip(pre) {
            let s = sigmoid_fast::<FMA>(*p);
            *g *= s * (1.0 + p * (1.0 - s));
        }
        for t in 0..tokens {
            let g = &dout[t * d..(t + 1) * d];
            for j in 0..CONV_WIDTH {
                let x = conv_input(z, tail, stride, t + j, d);
                for ((dt, g), x) in dtaps[j * d..(j + 1) * d].iter_mut().zip(g).zip(x) {
                    *dt = madd::<FMA>(*g, *x, *dt);
                }
                if t + j >= CONV_WIDTH - 1 {
                    let to = (t + j - (CONV_WIDTH - 1)) * d;
                    for ((dz, g), tap) in dz[to..to + d].iter_mut().zip(g).zip(&taps[j * d..(j + 1) * d]) {
                        *dz = madd::<FMA>(*g, *tap, *dz);
                    }
                }
            }
        }
        for i in 0..d {
            for j in 0..CONV_WIDTH {
                dconv[i * CONV_WIDTH + j] = dtaps[j * d + i];
            }
        }
    }
}

/// `RMSNorm_head(o) · gain ⊙ SiLU(g)`: `o`, `g`, result `[N, H·D]`, `gain [D]`.
pub fn head_norm_gate(o: &[f32], g: &[f32], gain: &[f32]) -> Vec<f32> {
    let mut out = vec![0f32; o.len()];
    let block = ROW_BLOCK * 16 * gain.len();
    out.par_chunks_mut(block)
        .zip(o.par_chunks(block).zip(g.par_chunks(block)))
        .for_each(|(out, (o, g))| head_norm_gate_rows(o, g, gain, out));
    out
}

dispatched! {
    fn head_norm_gate_backward_rows(o: &[f32], g: &[f32], gain: &[f32], grad: &[f32], d_o: &mut [f32], d_g: &mut [f32], dgain: &mut [f32]) {
        let d = gain.len();
        for n in 0..o.len() / d {
            let at = n * d..(n + 1) * d;
            let (o, g, grad) = (&o[at.clone()], &g[at.clone()], &grad[at.clone()]);
            let (d_o, d_g) = (&mut d_o[at.clone()], &mut d_g[at]);
            let r = 1.0 / (dot::<FMA>(o, o) / d as f32 + HEAD_NORM_EPS).sqrt();
            for j in 0..d {
                let s = sigmoid_fast::<FMA>(g[j]);
                let silu = g[j] * s;
                let hat = o[j] * r;
                let up = grad[j] * silu;
                d_g[j] = grad[j] * hat * gain[j] * s * (1.0 + g[j] * (1.0 - s));
                dgain[j] = madd::<FMA>(up, hat, dgain[j]);
                d_o[j] = up * gain[j];
            }
            let mean = dot::<FMA>(d_o, o) * r / d as f32;
            for j in 0..d {
                d_o[j] = r * (d_o[j] - o[j] * r * mean);
            }
        }
    }
}

/// Gradients of [`head_norm_gate`]: `(do, dg, dgain)`.
pub fn head_norm_gate_backward(
    o: &[f32],
    g: &[f32],
    gain: &[f32],
    grad: &[f32],
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let d = gain.len();
    let mut d_o = vec![0f32; o.len()];
    let mut d_g = vec![0f32; o.len()];
    let block = ROW_BLOCK * 16 * d;
    let partial: Vec<Vec<f32>> = d_o
        .par_chunks_mut(block)
        .zip(d_g.par_chunks_mut(block))
        .enumerate()
        .map(|(i, (d_o, d_g))| {
            let at = i * block..i * block + d_o.len();
            let mut dgain = vec![0f32; d];
            head_norm_gate_backward_rows(
                &o[at.clone()],
                &g[at.clone()],
                gain,
                &grad[at],
                d_o,
                d_g,
                &mut dgain,
            );
            dgain
        })
        .collect();
    (d_o, d_g, sum_rows(&partial, d))
}

dispatched! {
    /// Turns rows of logits into `weight · (softmax − onehot)` in place and writes the loss of each row.
    fn softmax_loss_rows(logits: &mut [f32], vocab: usize, targets: &[u32], weights: &[f32], losses: &mut [f64]) {
        for (n, row) in logits.chunks_exact_mut(vocab).enumerate() {
            let mut max = f32::NEG_INFINITY;
            for v in row.iter() {
                max = max.max(*v);
            }
            let target = targets[n] as usize;
            let shifted = row[target] - max;
            let mut sum = 0f64;
            for part in row.chunks_mut(64) {
                let mut s = 0f32;
                for v in part.iter_mut() {
                    *v = exp_fast::<FMA>(*v - max);
                    s += *v;
                }
                sum += f64::from(s);
            }
            losses[n] = f64::from(weights[n]) * (sum.ln() - f64::from(shifted));
            let scale = (f64::from(weights[n]) / sum) as f32;
            for v in row.iter_mut() {
                *v *= scale;
            }
            row[target] -= weights[n];
        }
    }
}

/// Weighted cross-entropy against a tied output matrix, without keeping the logits.
///
/// Returns `(Σ wᵢ·lossᵢ, dh [N,C], dembed [V,C])`, the gradients being those of the sum.
///
/// # Shapes
/// `h [N, C]`, `embed [V, C]`, `targets`, `weights` `[N]`.
pub fn cross_entropy(
    h: &[f32],
    embed: &[f32],
    c: usize,
    targets: &[u32],
    weights: &[f32],
) -> (f64, Vec<f32>, Vec<f32>) {
    let mut dembed = vec![0f32; embed.len()];
    let (loss, dh) =
        OutputHead::new(embed, c).cross_entropy(h, targets, weights, Some(&mut dembed));
    (loss, dh, dembed)
}

/// The tied output matrix `[V, C]`, laid out for logits and for their gradient.
#[derive(Debug)]
pub struct OutputHead {
    logits: Packed,
    back: Packed,
}

impl OutputHead {
    /// Lays out `embed [V, C]`.
    pub fn new(embed: &[f32], c: usize) -> Self {
        let vocab = embed.len() / c;
        Self {
            logits: Packed::new((embed, Layout::Transposed), c, vocab),
            back: Packed::new((embed, Layout::Plain), vocab, c),
        }
    }

    /// As [`cross_entropy`], adding the gradient of the matrix to `dembed [V, C]` if there is one; returns the loss and
    /// `dh [N, C]`.
    pub fn cross_entropy(
        &self,
        h: &[f32],
        targets: &[u32],
        weights: &[f32],
        mut dembed: Option<&mut [f32]>,
    ) -> (f64, Vec<f32>) {
        let (n, c, vocab) = (targets.len(), self.logits.k, self.logits.n);
        let mut dh = vec![0f32; n * c];
        let mut total = 0f64;
        let block = 512;
        let mut logits = vec![0f32; block.min(n) * vocab];
        for start in (0..n).step_by(block) {
            let rows = block.min(n - start);
            let h_rows = &h[start * c..(start + rows) * c];
            let logits = &mut logits[..rows * vocab];
            self.logits.product(logits, rows, (h_rows, Layout::Plain), false);
            let mut losses = vec![0f64; rows];
            logits.par_chunks_mut(8 * vocab).zip(losses.par_chunks_mut(8)).enumerate().for_each(
                |(i, (logits, losses))| {
                    let at = start + i * 8;
                    let n = losses.len();
                    softmax_loss_rows(
                        logits,
                        vocab,
                        &targets[at..at + n],
                        &weights[at..at + n],
                        losses,
                    );
                },
            );
            total += losses.iter().sum::<f64>();
            let dh = &mut dh[start * c..(start + rows) * c];
            self.back.product(dh, rows, (logits, Layout::Plain), false);
            if let Some(dembed) = dembed.as_deref_mut() {
                let sizes = (vocab, c, rows);
                matmul(dembed, sizes, (logits, Layout::Transposed), (h_rows, Layout::Plain), true);
            }
        }
        (total, dh)
    }
}

/// `Σ g²` in fixed blocks of f64 sums.
pub fn square_sum(g: &[f32]) -> f64 {
    let parts: Vec<f64> = g
        .par_chunks(1 << 14)
        .map(|g| g.chunks(64).map(|g| f64::from(g.iter().map(|v| v * v).sum::<f32>())).sum::<f64>())
        .collect();
    parts.iter().sum()
}

/// One AdamW step in place (decoupled weight decay), bias-corrected; `step` counts from 1.
#[allow(clippy::too_many_arguments, reason = "the formula has that many letters")]
pub fn adamw(
    w: &mut [f32],
    m: &mut [f32],
    v: &mut [f32],
    g: &[f32],
    grad_scale: f32,
    lr: f32,
    decay: f32,
    step: u64,
) {
    const BETA: (f32, f32, f32) = (0.9, 0.95, 1e-9);
    let c1 = 1.0 - f64::from(BETA.0).powf(step as f64);
    let c2 = 1.0 - f64::from(BETA.1).powf(step as f64);
    let (c1, c2) = (1.0 / c1 as f32, 1.0 / c2 as f32);
    let block = 1 << 14;
    w.par_chunks_mut(block)
        .zip(m.par_chunks_mut(block).zip(v.par_chunks_mut(block)))
        .zip(g.par_chunks(block))
        .for_each(|((w, (m, v)), g)| {
            adamw_values(w, m, v, g, [grad_scale, lr, decay, c1, c2, BETA.0, BETA.1, BETA.2]);
        });
}

dispatched! {
    fn adamw_values(w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], numbers: [f32; 8]) {
        let [scale, lr, decay, c1, c2, beta1, beta2, eps] = numbers;
        for (((w, m), v), g) in w.iter_mut().zip(m).zip(v).zip(g) {
            let g = g * scale;
            *m = beta1 * *m + (1.0 - beta1) * g;
            *v = beta2 * *v + (1.0 - beta2) * g * g;
            let update = *m * c1 / ((*v * c2).sqrt() + eps);
            *w -= lr * (update + decay * *w);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn matrix_products_agree_in_every_layout_and_ragged_size() {
        let mut rng = Rng::new(4);
        let mut noise = |n: usize| (0..n).map(|_| rng.unit() as f32 - 0.5).collect::<Vec<_>>();
        for (m, n, k) in
            [(1, 1, 1), (6, 16, 8), (7, 17, 9), (150, 8, 400), (75, 100, 800), (5, 64, 1000)]
        {
            let (a, b, start) = (noise(m * k), noise(k * n), noise(m * n));
            for (la, lb, add) in [
                (Layout::Plain, Layout::Plain, false),
                (Layout::Plain, Layout::Transposed, true),
                (Layout::Transposed, Layout::Plain, true),
                (Layout::Transposed, Layout::Transposed, false),
            ] {
                let (mut fast, mut portable) = (start.clone(), start.clone());
                matmul(&mut fast, (m, n, k), (&a, la), (&b, lb), add);
                matmul_portable(&mut portable, (m, n, k), (&a, la), (&b, lb), add);
                let mut packed = start.clone();
                Packed::new((&b, lb), k, n).product(&mut packed, m, (&a, la), add);
                assert_eq!(packed, fast, "{m} {n} {k} {la:?} {lb:?}");
                for i in 0..m {
                    for j in 0..n {
                        let at = |x: &[f32], l, r: usize, c: usize, rows: usize, cols: usize| {
                            f64::from(if l == Layout::Plain {
                                x[r * cols + c]
                            } else {
                                x[c * rows + r]
                            })
                        };
                        let mut sum = if add { f64::from(start[i * n + j]) } else { 0.0 };
                        for p in 0..k {
                            sum += at(&a, la, i, p, m, k) * at(&b, lb, p, j, k, n);
                        }
                        assert!(
                            (f64::from(fast[i * n + j]) - sum).abs() < 1e-4,
                            "{m} {n} {k} {la:?} {lb:?}"
                        );
                        assert!((f64::from(portable[i * n + j]) - sum).abs() < 1e-4);
                    }
                }
            }
        }
    }
}
