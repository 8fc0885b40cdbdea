//! BitLinear: RMSNorm, int8 activations, ternary weights, straight-through gradients (BitNet b1.58).
//!
//! Split into [`norm_quantize`] and [`ternary_matmul`], because the gate head reads the same quantised activation
//! as q, k, v and g.

use candle_core::{CpuStorage, CustomOp2, D, Layout, Result, Shape, Tensor};

use super::{PreActivation, Spelling, cpu_slice, with_slice};
use crate::{
    kernels::training as fused,
    model::{NORM_EPS, QUANT_EPS},
};

/// `h = RMSNorm(p(x)) ⊙ gain`, rounded to int8 steps per row: `round(h · s) / s`, `s = 127 / max(absmax, 1e-5)`.
///
/// The gradient passes the rounding unchanged (straight-through).
///
/// # Shapes
/// `x [.., C]`, `gain [C]`, result as `x`. With `quantize == false` it is a plain RMSNorm.
///
/// # Errors
/// Shapes that do not fit.
///
/// Source: Ma et al. 2024 (BitNet b1.58) §2; MEMORY.md §1.2.
pub fn norm_quantize(
    x: &Tensor,
    gain: &Tensor,
    pre: PreActivation,
    quantize: bool,
    spelling: Spelling,
) -> Result<Tensor> {
    if spelling == Spelling::Fused {
        return x.contiguous()?.apply_op2(gain, NormQuantize { pre, quantize });
    }
    let p = match pre {
        PreActivation::None => x.clone(),
        PreActivation::SquaredRelu => x.relu()?.sqr()?,
    };
    let norm = (p.sqr()?.mean_keepdim(D::Minus1)? + f64::from(NORM_EPS))?.sqrt()?;
    let h = p.broadcast_div(&norm)?.broadcast_mul(gain)?;
    if !quantize {
        return Ok(h);
    }
    let scale = (h.detach().abs()?.max_keepdim(D::Minus1)?.maximum(f64::from(QUANT_EPS))? / 127.0)?;
    let rounded = h.detach().broadcast_div(&scale)?.round()?.broadcast_mul(&scale)?;
    straight_through(&h, &rounded)
}

/// The value of `target` with the gradient of `x`.
fn straight_through(x: &Tensor, target: &Tensor) -> Result<Tensor> {
    // x − stop(x) is exactly zero, so the value is exactly `target`.
    (x - x.detach())? + target
}

/// `clip(round(W / γ), −1, 1) · γ`, `γ = max(mean|W|, 1e-5)` for each of `parts` equal blocks of rows, with the
/// gradient of `W` (straight-through, nothing clipped).
///
/// # Errors
/// Shapes that do not fit.
pub fn ternarize(w: &Tensor, parts: usize) -> Result<Tensor> {
    let (rows, cols) = w.dims2()?;
    let blocks = w.detach().reshape((parts, rows / parts * cols))?;
    let gamma = blocks.abs()?.mean_keepdim(1)?.maximum(f64::from(QUANT_EPS))?;
    let q = blocks
        .broadcast_div(&gamma)?
        .round()?
        .clamp(-1f32, 1f32)?
        .broadcast_mul(&gamma)?
        .reshape((rows, cols))?;
    straight_through(w, &q)
}

/// `hq · Wqᵀ` with `Wq` = [`ternarize`]`(w)`; with `quantize == false` the plain product (float reference model).
///
/// # Shapes
/// `hq [.., in]`, `w [out, in]`, result `[.., out]`.
///
/// # Errors
/// Shapes that do not fit.
pub fn ternary_matmul(
    hq: &Tensor,
    w: &Tensor,
    parts: usize,
    quantize: bool,
    spelling: Spelling,
) -> Result<Tensor> {
    if spelling == Spelling::Fused {
        return hq.contiguous()?.apply_op2(w, TernaryMatmul { parts: quantize.then_some(parts) });
    }
    let wq = if quantize { ternarize(w, parts)? } else { w.clone() };
    let mut shape = hq.dims().to_vec();
    let n_in = shape.pop().unwrap_or(0);
    let out = hq.reshape(((), n_in))?.matmul(&wq.t()?)?;
    shape.push(w.dim(0)?);
    out.reshape(shape)
}

struct NormQuantize {
    pre: PreActivation,
    quantize: bool,
}

impl CustomOp2 for NormQuantize {
    fn name(&self) -> &'static str {
        "norm-quantize"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        gain: &CpuStorage,
        gl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let out =
            fused::norm_quantize(cpu_slice(x, xl)?, cpu_slice(gain, gl)?, self.pre, self.quantize);
        Ok((CpuStorage::F32(out), xl.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        gain: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (dx, dgain) = with_slice(x, |xs| {
            with_slice(gain, |gs| {
                with_slice(grad, |grads| fused::norm_quantize_backward(xs, gs, self.pre, grads))
            })
        })???;
        Ok((
            Some(Tensor::from_vec(dx, x.shape(), x.device())?),
            Some(Tensor::from_vec(dgain, gain.shape(), x.device())?),
        ))
    }
}

struct TernaryMatmul {
    parts: Option<usize>,
}

impl TernaryMatmul {
    fn weights<'a>(&self, w: &'a [f32]) -> std::borrow::Cow<'a, [f32]> {
        match self.parts {
            Some(parts) => fused::ternarize(w, parts).into(),
            None => w.into(),
        }
    }
}

impl CustomOp2 for TernaryMatmul {
    fn name(&self) -> &'static str {
        "ternary-matmul"
    }

    fn cpu_fwd(
        &self,
        h: &CpuStorage,
        hl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, cols) = wl.shape().dims2()?;
        let h = cpu_slice(h, hl)?;
        let n = h.len() / cols;
        let wq = self.weights(cpu_slice(w, wl)?);
        let mut out = vec![0f32; n * rows];
        fused::matmul(
            &mut out,
            (n, rows, cols),
            (h, fused::Layout::Plain),
            (&wq, fused::Layout::Transposed),
            false,
        );
        let mut shape = hl.dims().to_vec();
        shape.pop();
        shape.push(rows);
        Ok((CpuStorage::F32(out), shape.into()))
    }

    fn bwd(
        &self,
        h: &Tensor,
        w: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (rows, cols) = w.dims2()?;
        let (dh, dw) = with_slice(h, |hs| {
            with_slice(w, |ws| {
                with_slice(grad, |gs| {
                    let n = hs.len() / cols;
                    let wq = self.weights(ws);
                    let (mut dh, mut dw) = (vec![0f32; n * cols], vec![0f32; rows * cols]);
                    fused::matmul(
                        &mut dh,
                        (n, cols, rows),
                        (gs, fused::Layout::Plain),
                        (&wq, fused::Layout::Plain),
                        false,
                    );
                    fused::matmul(
                        &mut dw,
                        (rows, cols, n),
                        (gs, fused::Layout::Transposed),
                        (hs, fused::Layout::Plain),
                        false,
                    );
                    (dh, dw)
                })
            })
        })???;
        Ok((
            Some(Tensor::from_vec(dh, h.shape(), h.device())?),
            Some(Tensor::from_vec(dw, w.shape(), w.device())?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::{super::testing::*, *};

    fn var(seed: u64, shape: &[usize]) -> Var {
        Var::from_tensor(&noise(seed, shape, 1.0)).expect("var")
    }

    fn agree(vars: &[Var], f: impl Fn(&[Var], Spelling) -> Result<Tensor>) {
        let plain = f(vars, Spelling::Plain).expect("plain");
        let fast = f(vars, Spelling::Fused).expect("fused");
        assert!(max_diff(&plain, &fast) < 1e-5, "values");
        let a = gradients(vars, |v| f(v, Spelling::Plain));
        let b = gradients(vars, |v| f(v, Spelling::Fused));
        for (a, b) in a.iter().zip(&b) {
            assert!(max_diff(a, b) < 2e-4, "gradient {}", max_diff(a, b));
        }
    }

    #[test]
    fn fused_norm_quantize_equals_plain() {
        for pre in [PreActivation::None, PreActivation::SquaredRelu] {
            // Without rounding: a value on the border of two int8 steps may fall to either side.
            agree(&[var(1, &[3, 7, 64]), var(2, &[64])], |v, s| {
                norm_quantize(&v[0], &v[1], pre, false, s)
            });
        }
        let (x, gain) = (noise(1, &[70, 64], 3.0), noise(2, &[64], 1.0));
        let plain =
            norm_quantize(&x, &gain, PreActivation::None, true, Spelling::Plain).expect("plain");
        let fast =
            norm_quantize(&x, &gain, PreActivation::None, true, Spelling::Fused).expect("fused");
        let step = 3.0 / 127.0;
        assert!(max_diff(&plain, &fast) < 1.01 * step, "at most one int8 step");
    }

    #[test]
    fn fused_ternary_matmul_equals_plain() {
        agree(&[var(3, &[2, 5, 64]), var(4, &[128, 64])], |v, s| {
            ternary_matmul(&v[0], &v[1], 4, true, s)
        });
    }

    #[test]
    fn ternary_weights_have_three_values_a_part() {
        let w = noise(5, &[8, 64], 1.0);
        let q = ternarize(&w, 2).and_then(|q| q.to_vec2::<f32>()).expect("ternarize");
        let mut levels: Vec<u32> = q[..4].iter().flatten().map(|v| v.abs().to_bits()).collect();
        levels.sort_unstable();
        levels.dedup();
        assert_eq!(levels.len(), 2, "zero and the scale");
    }
}
