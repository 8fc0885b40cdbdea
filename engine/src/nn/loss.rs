//! Weighted cross-entropy against the tied embedding, only at the positions that count.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};

use super::{Spelling, cpu_slice};
use crate::kernels::training as fused;
use std::sync::Mutex;

/// `Σᵢ wᵢ · −log softmax(hᵢ · Eᵀ)[targetᵢ] / Σᵢ wᵢ`, a scalar in nats.
///
/// # Shapes
/// `h [N, C]`, `embed [V, C]`, `targets` and `weights` of length `N` (`N ≥ 1`, `Σ w > 0`).
///
/// # Errors
/// Shapes that do not fit.
pub fn weighted_cross_entropy(
    h: &Tensor,
    embed: &Tensor,
    targets: &[u32],
    weights: &[f32],
    spelling: Spelling,
) -> Result<Tensor> {
    let total: f32 = weights.iter().sum();
    let weights: Vec<f32> = weights.iter().map(|w| w / total).collect();
    if spelling == Spelling::Fused {
        return h.contiguous()?.apply_op2(
            embed,
            CrossEntropy { targets: targets.to_vec(), weights, gradients: Mutex::new(None) },
        );
    }
    let n = targets.len();
    let logits = h.matmul(&embed.t()?)?;
    let log_p = candle_nn::ops::log_softmax(&logits, 1)?;
    let targets = Tensor::from_slice(targets, (n, 1), h.device())?;
    let weights = Tensor::from_vec(weights, n, h.device())?;
    (log_p.gather(&targets, 1)?.squeeze(1)? * weights)?.sum_all()?.neg()
}

/// Loss with its gradients made in the forward pass, so that the logits are computed once and never kept.
struct CrossEntropy {
    targets: Vec<u32>,
    weights: Vec<f32>,
    gradients: Mutex<Option<(Vec<f32>, Vec<f32>)>>,
}

impl CustomOp2 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(
        &self,
        h: &CpuStorage,
        hl: &Layout,
        e: &CpuStorage,
        el: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let c = hl.shape().dims2()?.1;
        let (loss, dh, de) = fused::cross_entropy(
            cpu_slice(h, hl)?,
            cpu_slice(e, el)?,
            c,
            &self.targets,
            &self.weights,
        );
        *self.gradients.lock().map_err(|e| candle_core::Error::Msg(e.to_string()))? =
            Some((dh, de));
        Ok((CpuStorage::F32(vec![loss as f32]), Shape::from(())))
    }

    fn bwd(
        &self,
        h: &Tensor,
        e: &Tensor,
        _res: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let taken =
            self.gradients.lock().map_err(|e| candle_core::Error::Msg(e.to_string()))?.take();
        let Some((dh, de)) = taken else {
            candle_core::bail!("the gradient of a cross-entropy can be taken once")
        };
        let scale = f64::from(grad.to_scalar::<f32>()?);
        let scaled = |v: Vec<f32>, like: &Tensor| {
            let t = Tensor::from_vec(v, like.shape(), like.device())?;
            if scale == 1.0 { Ok(t) } else { t * scale }
        };
        Ok((Some(scaled(dh, h)?), Some(scaled(de, e)?)))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::{super::testing::*, *};

    #[test]
    fn fused_cross_entropy_equals_plain() {
        let vars = [noise(1, &[600, 32], 2.0), noise(2, &[64, 32], 2.0)]
            .map(|t| Var::from_tensor(&t).expect("var"));
        let targets: Vec<u32> = (0..600).map(|i| i * 7 % 64).collect();
        let weights: Vec<f32> = (0..600).map(|i| [1.0, 0.4, 5.0][i % 3]).collect();
        let run =
            |s| weighted_cross_entropy(&vars[0], &vars[1], &targets, &weights, s).expect("loss");
        assert!(
            (run(Spelling::Plain).to_scalar::<f32>().expect("loss")
                - run(Spelling::Fused).to_scalar::<f32>().expect("loss"))
            .abs()
                < 1e-5
        );
        let (a, b) = (
            run(Spelling::Plain).backward().expect("plain"),
            run(Spelling::Fused).backward().expect("fused"),
        );
        for v in &vars {
            assert!(max_diff(a.get(v).expect("gradient"), b.get(v).expect("gradient")) < 1e-6);
        }
    }
}
