//! The fast-weight layer: gated delta rule in chunkwise form (plain) and token by token (fused).
//!
//! Everything between the two ternary matrices of a block's first half: convolution, SiLU, normalised q and k,
//! gates, the recurrence, and the gated head norm behind it. The state is a value here, never a parameter:
//! gradients stop at the border of a segment.

use std::sync::{Arc, Mutex};

use candle_core::{CpuStorage, CustomOp3, D, DType, Layout, Result, Shape, Tensor};

use super::{Spelling, cpu_slice, with_slice};
use crate::{
    kernels::training as fused,
    model::{CONV_WIDTH, HEAD_NORM_EPS, ModelConfig, QK_NORM_EPS},
};

/// Sizes of the layer.
#[derive(Debug, Clone)]
pub struct TttShape {
    /// Batch rows.
    pub batch: usize,
    /// Tokens of the segment.
    pub tokens: usize,
    /// Longest time constant of each session head.
    pub session_tau_max: Vec<f32>,
    /// Lifelong heads, behind the session heads.
    pub lifelong: usize,
    /// `D`.
    pub head_dim: usize,
    /// `K`: tokens of a chunk.
    pub chunk_len: usize,
}

impl TttShape {
    /// Shape of a segment of a model.
    pub fn new(cfg: &ModelConfig, batch: usize, tokens: usize) -> Self {
        Self {
            batch,
            tokens,
            session_tau_max: cfg.session_tau_max.clone(),
            lifelong: cfg.n_lifelong_heads,
            head_dim: cfg.head_dim,
            chunk_len: cfg.chunk_len,
        }
    }

    fn heads(&self) -> usize {
        self.session_tau_max.len() + self.lifelong
    }

    fn borrowed(&self) -> fused::ScanShape<'_> {
        fused::ScanShape {
            batch: self.batch,
            tokens: self.tokens,
            session_tau_max: &self.session_tau_max,
            lifelong: self.lifelong,
            head_dim: self.head_dim,
        }
    }
}

/// What the recurrence reads.
#[derive(Debug, Clone)]
pub struct TttInput {
    /// `[B, T, 3·H·D]`: q, k, v before the convolution.
    pub z: Tensor,
    /// `[3·H·D, 4]` taps, oldest first.
    pub conv: Tensor,
    /// `[B, T, 2H]`: η logits of all heads, then α logits.
    pub gates: Tensor,
    /// `[B, T, H]`: factor on η; 0 closes a gate exactly.
    pub mask: Tensor,
    /// `[B, H, D, D]`.
    pub state: Tensor,
    /// `[B, 3, 3·H·D]`: last inputs of the convolution.
    pub tail: Tensor,
}

/// Reads a segment: returns `o [B, T, H·D]`, the state after it, and the convolution tail after it (both detached).
///
/// `S_t = α_t S_{t−1} + k_tᵀ · η_t (v_t − α_t k_t S_{t−1})`, `o_t = q_t S_t`.
///
/// # Errors
/// Shapes that do not fit.
///
/// Source: MEMORY.md §1.3 to §1.6; Yang et al. 2024 (Gated DeltaNet).
pub fn ttt_scan(
    shape: &TttShape,
    input: &TttInput,
    spelling: Spelling,
) -> Result<(Tensor, Tensor, Tensor)> {
    match spelling {
        Spelling::Fused => scan_fused(shape, input),
        Spelling::Plain => scan_plain(shape, input),
    }
}

fn scan_fused(shape: &TttShape, input: &TttInput) -> Result<(Tensor, Tensor, Tensor)> {
    let flat = |t: &Tensor| t.detach().flatten_all()?.to_vec1::<f32>();
    let after = Arc::new(Mutex::new(None));
    let op = Scan {
        shape: shape.clone(),
        mask: flat(&input.mask)?,
        state: flat(&input.state)?,
        tail: flat(&input.tail)?,
        after: after.clone(),
    };
    let o = input.z.contiguous()?.apply_op3(&input.conv, &input.gates.contiguous()?, op)?;
    let taken = after.lock().map_err(|e| candle_core::Error::Msg(e.to_string()))?.take();
    let Some((state, tail)) = taken else { candle_core::bail!("the scan left no state") };
    let device = input.z.device();
    Ok((
        o,
        Tensor::from_vec(state, input.state.shape(), device)?,
        Tensor::from_vec(tail, input.tail.shape(), device)?,
    ))
}

/// State and convolution tail after a segment.
type After = (Vec<f32>, Vec<f32>);

struct Scan {
    shape: TttShape,
    mask: Vec<f32>,
    state: Vec<f32>,
    tail: Vec<f32>,
    after: Arc<Mutex<Option<After>>>,
}

impl Scan {
    fn input<'a>(
        &'a self,
        z: &'a [f32],
        conv: &'a [f32],
        gates: &'a [f32],
    ) -> fused::ScanInput<'a> {
        fused::ScanInput { z, conv, gates, mask: &self.mask, state: &self.state, tail: &self.tail }
    }
}

impl CustomOp3 for Scan {
    fn name(&self) -> &'static str {
        "ttt-scan"
    }

    fn cpu_fwd(
        &self,
        z: &CpuStorage,
        zl: &Layout,
        conv: &CpuStorage,
        cl: &Layout,
        gates: &CpuStorage,
        gl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let input = self.input(cpu_slice(z, zl)?, cpu_slice(conv, cl)?, cpu_slice(gates, gl)?);
        let (o, state, tail) = fused::scan(&self.shape.borrowed(), &input);
        *self.after.lock().map_err(|e| candle_core::Error::Msg(e.to_string()))? =
            Some((state, tail));
        let width = self.shape.heads() * self.shape.head_dim;
        Ok((CpuStorage::F32(o), Shape::from((self.shape.batch, self.shape.tokens, width))))
    }

    fn bwd(
        &self,
        z: &Tensor,
        conv: &Tensor,
        gates: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let g = with_slice(z, |zs| {
            with_slice(conv, |cs| {
                with_slice(gates, |gs| {
                    with_slice(grad, |grads| {
                        fused::scan_backward(&self.shape.borrowed(), &self.input(zs, cs, gs), grads)
                    })
                })
            })
        })????;
        let like = |v: Vec<f32>, t: &Tensor| Tensor::from_vec(v, t.shape(), t.device()).map(Some);
        Ok((like(g.dz, z)?, like(g.dconv, conv)?, like(g.dgates, gates)?))
    }
}

fn scan_plain(shape: &TttShape, input: &TttInput) -> Result<(Tensor, Tensor, Tensor)> {
    let (b, t, h, d) = (shape.batch, shape.tokens, shape.heads(), shape.head_dim);
    let padded = Tensor::cat(&[&input.tail, &input.z], 1)?;
    let mut sum: Option<Tensor> = None;
    for j in 0..CONV_WIDTH {
        let term =
            padded.narrow(1, j, t)?.broadcast_mul(&input.conv.narrow(1, j, 1)?.squeeze(1)?)?;
        sum = Some(match sum {
            Some(s) => (s + term)?,
            None => term,
        });
    }
    let Some(sum) = sum else { candle_core::bail!("no taps") };
    let qkv = sum.silu()?;
    let part = |i: usize| {
        qkv.narrow(2, i * h * d, h * d)?.reshape((b, t, h, d))?.transpose(1, 2)?.contiguous()
    };
    let unit = |x: Tensor| {
        let norm = (x.sqr()?.sum_keepdim(D::Minus1)? + f64::from(QK_NORM_EPS))?.sqrt()?;
        x.broadcast_div(&norm)
    };
    let (q, k, v) = (unit(part(0)?)?, unit(part(1)?)?, part(2)?);
    let (eta, log_alpha) = gates_plain(shape, &input.gates)?;
    let eta = (eta * input.mask.transpose(1, 2)?)?;
    let (o, state) =
        gated_delta_chunked(&q, &k, &v, &eta, &log_alpha, &input.state.detach(), shape.chunk_len)?;
    let o = o.transpose(1, 2)?.reshape((b, t, h * d))?;
    let tail = padded.narrow(1, t, CONV_WIDTH - 1)?.contiguous()?.detach();
    Ok((o, state.detach(), tail))
}

/// Step sizes and log-decays `[B, H, T]` from the gate logits `[B, T, 2H]`.
fn gates_plain(shape: &TttShape, gates: &Tensor) -> Result<(Tensor, Tensor)> {
    let (h, s) = (shape.heads(), shape.session_tau_max.len());
    let sig = |x: &Tensor| candle_nn::ops::sigmoid(x);
    let part = |at: usize, n: usize| gates.narrow(2, at, n)?.transpose(1, 2)?.contiguous();
    let mut eta = Vec::new();
    let mut log_alpha = Vec::new();
    if s > 0 {
        eta.push(sig(&part(0, s)?)?);
        let cap: Vec<f32> = shape.session_tau_max.iter().map(|tau| 1.0 / tau).collect();
        let cap = Tensor::from_vec(cap, (1, s, 1), gates.device())?;
        let a = part(h, s)?;
        // softplus(a) = relu(a) + ln(1 + e^−|a|)
        let softplus = (a.relu()? + (a.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
        log_alpha.push(softplus.broadcast_add(&cap)?.neg()?);
    }
    if shape.lifelong > 0 {
        let e = part(s, shape.lifelong)?;
        eta.push(hard_gate(&((sig(&e)? * 1.2)? - 0.1)?)?);
        log_alpha.push(Tensor::zeros(e.shape(), DType::F32, gates.device())?);
    }
    Ok((Tensor::cat(&eta, 1)?, Tensor::cat(&log_alpha, 1)?))
}

/// `clip(y, 0, 1)`; the gradient is zero only where `y` is clipped and would be pushed further out (MEMORY.md §1.4).
fn hard_gate(y: &Tensor) -> Result<Tensor> {
    y.apply_op1(HardGate)
}

struct HardGate;

impl candle_core::CustomOp1 for HardGate {
    fn name(&self) -> &'static str {
        "hard-gate"
    }

    fn cpu_fwd(&self, y: &CpuStorage, l: &Layout) -> Result<(CpuStorage, Shape)> {
        let out = cpu_slice(y, l)?.iter().map(|v| v.clamp(0.0, 1.0)).collect();
        Ok((CpuStorage::F32(out), l.shape().clone()))
    }

    #[cfg(feature = "cuda-train")]
    fn cuda_fwd(
        &self,
        y: &candle_core::CudaStorage,
        l: &Layout,
    ) -> Result<(candle_core::CudaStorage, Shape)> {
        use candle_core::backend::BackendStorage;
        let low = y.unary_impl::<candle_core::op::Relu>(l)?;
        // 1 − relu(1 − relu(y))
        let dense = Layout::contiguous(l.shape());
        let high = low.affine(&dense, -1.0, 1.0)?.unary_impl::<candle_core::op::Relu>(&dense)?;
        Ok((high.affine(&dense, -1.0, 1.0)?, l.shape().clone()))
    }

    fn bwd(&self, y: &Tensor, _res: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let low = (y.lt(0f32)?.to_dtype(DType::F32)? * grad.gt(0f32)?.to_dtype(DType::F32)?)?;
        let high = (y.gt(1f32)?.to_dtype(DType::F32)? * grad.lt(0f32)?.to_dtype(DType::F32)?)?;
        let pass = ((low + high)?.neg()? + 1.0)?;
        Ok(Some((grad * pass)?))
    }
}

/// The gated delta rule in chunkwise form, matrix products only.
///
/// # Shapes
/// `q`, `k`, `v` `[B, H, T, D]`; `eta`, `log_alpha` `[B, H, T]`; `state [B, H, D, D]`;
/// returns `o [B, H, T, D]` and the state after the segment. `T` need not be a multiple of `chunk_len`.
///
/// # Errors
/// Shapes that do not fit.
///
/// Source: MEMORY.md §1.5 and §1.6.
pub fn gated_delta_chunked(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    eta: &Tensor,
    log_alpha: &Tensor,
    state: &Tensor,
    chunk_len: usize,
) -> Result<(Tensor, Tensor)> {
    let (b, h, t, d) = q.dims4()?;
    let n = t.div_ceil(chunk_len);
    let pad = n * chunk_len - t;
    // Padding has η = 0, log α = 0, k = 0: it does not touch the state.
    let rows = |x: &Tensor| x.pad_with_zeros(2, 0, pad)?.reshape((b * h, n, chunk_len, d));
    let nums = |x: &Tensor| x.pad_with_zeros(2, 0, pad)?.reshape((b * h, n, chunk_len));
    let (q, k, v) = (rows(q)?, rows(k)?, rows(v)?);
    let (eta, log_alpha) = (nums(eta)?.unsqueeze(3)?, nums(log_alpha)?);
    let device = q.device();

    let lower = |strict: bool| {
        let m: Vec<f32> = (0..chunk_len * chunk_len)
            .map(|i| {
                let (row, col) = (i / chunk_len, i % chunk_len);
                if col < row || (!strict && col == row) { 1.0 } else { 0.0 }
            })
            .collect();
        Tensor::from_vec(m, (chunk_len, chunk_len), device)
    };
    let (lower_incl, lower_strict) = (lower(false)?, lower(true)?);
    // G_t = Σ_{i≤t} log α_i
    let g = log_alpha.reshape((b * h * n, chunk_len))?.matmul(&lower_incl.t()?)?.reshape((
        b * h,
        n,
        chunk_len,
        1,
    ))?;
    let gamma = g.exp()?;
    // D_ti = exp(G_t − G_i) for i ≤ t; the mask comes before the exponential, so that nothing overflows
    let diff = g.broadcast_sub(&g.transpose(2, 3)?)?.broadcast_mul(&lower_incl)?;
    let decay = diff.exp()?.broadcast_mul(&lower_incl)?;

    let kk = k.matmul(&k.transpose(2, 3)?.contiguous()?)?;
    let a = (kk * &decay)?.broadcast_mul(&eta)?.broadcast_mul(&lower_strict)?;
    let x = invert_unit_lower(&a, chunk_len)?;
    let u0 = x.matmul(&v.broadcast_mul(&eta)?)?;
    let wk = x.matmul(&k.broadcast_mul(&(&eta * &gamma)?)?)?;
    let p = (q.matmul(&k.transpose(2, 3)?.contiguous()?)? * &decay)?;
    let q_in = q.broadcast_mul(&gamma)?;
    let last = g.narrow(2, chunk_len - 1, 1)?;
    let k_out = k.broadcast_mul(&last.broadcast_sub(&g)?.exp()?)?;
    let gamma_last = last.exp()?;

    let mut s = state.reshape((b * h, d, d))?;
    let mut outputs = Vec::with_capacity(n);
    for c in 0..n {
        let at = |x: &Tensor| x.narrow(1, c, 1)?.squeeze(1)?.contiguous();
        let u = (at(&u0)? - at(&wk)?.matmul(&s)?)?;
        outputs.push((at(&q_in)?.matmul(&s)? + at(&p)?.matmul(&u)?)?);
        s = (s.broadcast_mul(&at(&gamma_last)?)?
            + at(&k_out)?.transpose(1, 2)?.contiguous()?.matmul(&u)?)?;
    }
    let o = Tensor::cat(&outputs, 1)?.reshape((b, h, n * chunk_len, d))?.narrow(2, 0, t)?;
    Ok((o, s.reshape((b, h, d, d))?))
}

/// `(I + A)⁻¹` of strictly lower triangular `A [.., K, K]` by block doubling: two products a level, stable for keys
/// that are all alike. Source: MEMORY.md §1.6.
fn invert_unit_lower(a: &Tensor, len: usize) -> Result<Tensor> {
    let device = a.device();
    // lower half of a block of 2b against its upper half
    let mask = |half: usize| {
        let m: Vec<f32> = (0..len * len)
            .map(|i| {
                let (row, col) = (i / len, i % len);
                let same = row / (2 * half) == col / (2 * half);
                if same && row % (2 * half) >= half && col % (2 * half) < half { 1.0 } else { 0.0 }
            })
            .collect();
        Tensor::from_vec(m, (len, len), device)
    };
    let eye = Tensor::eye(len, DType::F32, device)?;
    let mut x = a.broadcast_mul(&mask(1)?)?.neg()?.broadcast_add(&eye)?;
    let mut half = 2;
    while half < len {
        let block = a.broadcast_mul(&mask(half)?)?;
        x = (&x - x.matmul(&block)?.matmul(&x)?)?;
        half *= 2;
    }
    Ok(x)
}

/// `RMSNorm_head(o; eps 1e-2) ⊙ gain ⊙ SiLU(g)`.
///
/// # Shapes
/// `o`, `g`, result `[B, T, H·D]`; `gain [D]`.
///
/// # Errors
/// Shapes that do not fit.
pub fn head_norm_gate(o: &Tensor, g: &Tensor, gain: &Tensor, spelling: Spelling) -> Result<Tensor> {
    if spelling == Spelling::Fused {
        return o.contiguous()?.apply_op3(&g.contiguous()?, gain, HeadNormGate);
    }
    let d = gain.dim(0)?;
    let shape = o.dims().to_vec();
    let o = o.reshape(((), d))?;
    let norm = (o.sqr()?.mean_keepdim(1)? + f64::from(HEAD_NORM_EPS))?.sqrt()?;
    let o = o.broadcast_div(&norm)?.broadcast_mul(gain)?.reshape(shape)?;
    o * g.silu()?
}

struct HeadNormGate;

impl CustomOp3 for HeadNormGate {
    fn name(&self) -> &'static str {
        "head-norm-gate"
    }

    fn cpu_fwd(
        &self,
        o: &CpuStorage,
        ol: &Layout,
        g: &CpuStorage,
        gl: &Layout,
        gain: &CpuStorage,
        nl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let out = fused::head_norm_gate(cpu_slice(o, ol)?, cpu_slice(g, gl)?, cpu_slice(gain, nl)?);
        Ok((CpuStorage::F32(out), ol.shape().clone()))
    }

    fn bwd(
        &self,
        o: &Tensor,
        g: &Tensor,
        gain: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (d_o, d_g, d_gain) = with_slice(o, |os| {
            with_slice(g, |gs| {
                with_slice(gain, |ns| {
                    with_slice(grad, |grads| fused::head_norm_gate_backward(os, gs, ns, grads))
                })
            })
        })????;
        let like = |v: Vec<f32>, t: &Tensor| Tensor::from_vec(v, t.shape(), t.device()).map(Some);
        Ok((like(d_o, o)?, like(d_g, g)?, like(d_gain, gain)?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::{super::testing::*, *};

    /// The recurrence as written, in f64: the oracle. Returns `o` and the last state of one head.
    fn recurrence(
        q: &[f64],
        k: &[f64],
        v: &[f64],
        eta: &[f64],
        log_alpha: &[f64],
        s: &mut [f64],
        d: usize,
    ) -> Vec<f64> {
        let mut o = Vec::new();
        for t in 0..eta.len() {
            let (q, k, v) = (&q[t * d..][..d], &k[t * d..][..d], &v[t * d..][..d]);
            let alpha = log_alpha[t].exp();
            let read: Vec<f64> =
                (0..d).map(|j| (0..d).map(|i| alpha * k[i] * s[i * d + j]).sum()).collect();
            for i in 0..d {
                for j in 0..d {
                    s[i * d + j] = alpha * s[i * d + j] + k[i] * eta[t] * (v[j] - read[j]);
                }
            }
            o.extend((0..d).map(|j| (0..d).map(|i| q[i] * s[i * d + j]).sum::<f64>()));
        }
        o
    }

    fn f64s(t: &Tensor) -> Vec<f64> {
        t.flatten_all()
            .and_then(|t| t.to_vec1::<f32>())
            .expect("numbers")
            .into_iter()
            .map(f64::from)
            .collect()
    }

    fn check_chunked(tokens: usize, chunk_len: usize, keys: Tensor, eta: f32) {
        let (b, h, d) = (2, 3, 16);
        let unit = |x: &Tensor| {
            let n = x.sqr().and_then(|x| x.sum_keepdim(3)).and_then(|x| x.sqrt()).expect("norm");
            x.broadcast_div(&n).expect("unit")
        };
        let q = unit(&noise(1, &[b, h, tokens, d], 1.0));
        let k = unit(&keys);
        let v = noise(3, &[b, h, tokens, d], 1.0);
        let e =
            (noise(4, &[b, h, tokens], 0.5) + 0.5).and_then(|e| e * f64::from(eta)).expect("eta");
        let la = noise(5, &[b, h, tokens], 0.2).abs().and_then(|a| a.neg()).expect("log alpha");
        let s0 = noise(6, &[b, h, d, d], 0.5);
        let (o, s) = gated_delta_chunked(&q, &k, &v, &e, &la, &s0, chunk_len).expect("chunked");
        let (mut want_o, mut want_s) = (Vec::new(), Vec::new());
        for head in 0..b * h {
            let pick = |x: &Tensor, n: usize| f64s(x)[head * n..(head + 1) * n].to_vec();
            let mut state = pick(&s0, d * d);
            want_o.extend(recurrence(
                &pick(&q, tokens * d),
                &pick(&k, tokens * d),
                &pick(&v, tokens * d),
                &pick(&e, tokens),
                &pick(&la, tokens),
                &mut state,
                d,
            ));
            want_s.extend(state);
        }
        let diff =
            |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(diff(&f64s(&o), &want_o) < 1e-5, "o: {}", diff(&f64s(&o), &want_o));
        assert!(diff(&f64s(&s), &want_s) < 1e-5, "S: {}", diff(&f64s(&s), &want_s));
    }

    #[test]
    fn chunked_form_equals_the_recurrence() {
        for (tokens, chunk) in [(1, 4), (32, 32), (33, 32), (70, 16), (64, 64)] {
            check_chunked(tokens, chunk, noise(2, &[2, 3, tokens, 16], 1.0), 1.0);
        }
    }

    #[test]
    fn inverse_survives_identical_keys_with_full_step() {
        check_chunked(
            128,
            64,
            Tensor::ones((2, 3, 128, 16), DType::F32, &Device::Cpu).expect("ones"),
            2.0,
        );
    }

    fn small_shape(tokens: usize) -> TttShape {
        TttShape {
            batch: 2,
            tokens,
            session_tau_max: vec![32.0, 256.0],
            lifelong: 2,
            head_dim: 16,
            chunk_len: 8,
        }
    }

    fn inputs(shape: &TttShape) -> (Vec<Var>, TttInput) {
        let (b, t, h, d) = (shape.batch, shape.tokens, shape.heads(), shape.head_dim);
        let w3 = 3 * h * d;
        let vars: Vec<Var> = [
            noise(1, &[b, t, w3], 1.5),
            noise(2, &[w3, CONV_WIDTH], 0.7),
            noise(3, &[b, t, 2 * h], 3.0),
        ]
        .iter()
        .map(|t| Var::from_tensor(t).expect("var"))
        .collect();
        let mask = noise(4, &[b, t, h], 1.0)
            .gt(-0.5f32)
            .and_then(|m| m.to_dtype(DType::F32))
            .expect("mask");
        let input = TttInput {
            z: vars[0].as_tensor().clone(),
            conv: vars[1].as_tensor().clone(),
            gates: vars[2].as_tensor().clone(),
            mask,
            state: noise(5, &[b, h, d, d], 0.3),
            tail: noise(6, &[b, 3, w3], 1.0),
        };
        (vars, input)
    }

    #[test]
    fn fused_scan_equals_chunked_form_in_values_and_gradients() {
        let shape = small_shape(37);
        let (vars, input) = inputs(&shape);
        let run = |s| ttt_scan(&shape, &input, s).expect("scan");
        let ((o1, s1, t1), (o2, s2, t2)) = (run(Spelling::Plain), run(Spelling::Fused));
        assert!(max_diff(&o1, &o2) < 1e-5, "o {}", max_diff(&o1, &o2));
        assert!(max_diff(&s1, &s2) < 1e-5, "S");
        assert_eq!(max_diff(&t1, &t2), 0.0, "tail");
        let grads = |s| gradients(&vars, |_| Ok(ttt_scan(&shape, &input, s)?.0));
        for (a, b) in grads(Spelling::Plain).iter().zip(&grads(Spelling::Fused)) {
            let size = a
                .abs()
                .and_then(|a| a.flatten_all())
                .and_then(|a| a.max(0))
                .and_then(|a| a.to_scalar::<f32>())
                .expect("max");
            assert!(
                max_diff(a, b) < 1e-4 * size.max(1.0),
                "gradient differs by {} of {size}",
                max_diff(a, b)
            );
        }
    }

    #[test]
    fn scan_gradients_equal_finite_differences() {
        let shape = small_shape(6);
        let (vars, input) = inputs(&shape);
        let grads = gradients(&vars, |_| Ok(ttt_scan(&shape, &input, Spelling::Fused)?.0));
        let probe = noise(99, &[2, 6, 64], 1.0);
        let loss = |input: &TttInput| -> f64 {
            let o = ttt_scan(&shape, input, Spelling::Fused).expect("scan").0;
            f64s(&o).iter().zip(f64s(&probe)).map(|(a, b)| a * b).sum()
        };
        let h = shape.heads();
        for (which, grad) in grads.iter().enumerate() {
            let g = f64s(grad);
            let base = f64s(vars[which].as_tensor());
            for i in (0..base.len()).step_by(base.len() / 23) {
                if which == 2 && i % (2 * h) >= 2 && i % (2 * h) < h {
                    continue; // lifelong η logits: the gradient at a clipped gate is not the derivative, by design
                }
                let at = |delta: f64| {
                    let mut moved: Vec<f32> = base.iter().map(|v| *v as f32).collect();
                    moved[i] += delta as f32;
                    let moved =
                        Tensor::from_vec(moved, vars[which].shape(), &Device::Cpu).expect("moved");
                    let mut input = input.clone();
                    match which {
                        0 => input.z = moved,
                        1 => input.conv = moved,
                        _ => input.gates = moved,
                    }
                    loss(&input)
                };
                let eps = 5e-3;
                let slope = (at(eps) - at(-eps)) / (2.0 * eps);
                assert!(
                    (slope - g[i]).abs() < 2e-2 * (1.0 + slope.abs()),
                    "input {which}, number {i}: {slope} against {}",
                    g[i]
                );
            }
        }
    }

    #[test]
    fn splitting_a_segment_changes_nothing() {
        let shape = small_shape(20);
        let (_, input) = inputs(&shape);
        let (whole, state, _) = ttt_scan(&shape, &input, Spelling::Fused).expect("whole");
        for cut in 1..20 {
            let piece = |at: usize, n: usize, state: Tensor, tail: Tensor| {
                let part =
                    |x: &Tensor| x.narrow(1, at, n).and_then(|x| x.contiguous()).expect("piece");
                let input = TttInput {
                    z: part(&input.z),
                    conv: input.conv.clone(),
                    gates: part(&input.gates),
                    mask: part(&input.mask),
                    state,
                    tail,
                };
                ttt_scan(&TttShape { tokens: n, ..shape.clone() }, &input, Spelling::Fused)
                    .expect("piece")
            };
            let (o1, s1, t1) = piece(0, cut, input.state.clone(), input.tail.clone());
            let (o2, s2, _) = piece(cut, 20 - cut, s1, t1);
            let both = Tensor::cat(&[o1, o2], 1).expect("joined");
            assert_eq!(max_diff(&whole, &both), 0.0, "cut at {cut}");
            assert_eq!(max_diff(&state, &s2), 0.0, "state, cut at {cut}");
        }
    }

    #[test]
    fn fused_head_norm_gate_equals_plain() {
        let vars = [noise(1, &[2, 9, 64], 1.0), noise(2, &[2, 9, 64], 2.0), noise(3, &[16], 1.0)]
            .map(|t| Var::from_tensor(&t).expect("var"));
        let run = |v: &[Var], s| head_norm_gate(&v[0], &v[1], &v[2], s);
        assert!(
            max_diff(
                &run(&vars, Spelling::Plain).expect("plain"),
                &run(&vars, Spelling::Fused).expect("fused")
            ) < 1e-5
        );
        let (a, b) = (
            gradients(&vars, |v| run(v, Spelling::Plain)),
            gradients(&vars, |v| run(v, Spelling::Fused)),
        );
        for (a, b) in a.iter().zip(&b) {
            assert!(max_diff(a, b) < 1e-4);
        }
    }
}
