//! AdamW with decay groups, global clipping and the learning-rate schedule.

use std::{collections::BTreeMap, sync::Mutex};

use candle_core::{CpuStorage, Error, InplaceOp1, Layout, Result, Tensor, Var};

use crate::{
    kernels::training as fused,
    model::{ModelConfig, gradient::Gradients},
};

/// First and second moments of every parameter, by name.
#[derive(Debug, Default)]
pub struct AdamW {
    /// `(m, v)`, each as long as the parameter.
    pub moments: BTreeMap<String, (Vec<f32>, Vec<f32>)>,
    /// Updates made.
    pub step: u64,
}

impl AdamW {
    /// Fresh moments.
    pub fn new(params: &BTreeMap<String, Var>) -> Self {
        let zeros = |v: &Var| (vec![0f32; v.elem_count()], vec![0f32; v.elem_count()]);
        Self { moments: params.iter().map(|(name, v)| (name.clone(), zeros(v))).collect(), step: 0 }
    }

    /// One update in place; returns the gradient norm before clipping to 1.
    ///
    /// # Errors
    /// If a parameter has no gradient or a tensor operation fails.
    pub fn update(
        &mut self,
        params: &BTreeMap<String, Var>,
        grads: &Gradients,
        lr: f64,
    ) -> Result<f64> {
        for (name, var) in params {
            if grads.get(name).is_none_or(|g| g.len() != var.elem_count()) {
                candle_core::bail!("no gradient for {name}");
            }
        }
        let norm = grads.values().map(|g| fused::square_sum(g)).sum::<f64>().sqrt();
        if !norm.is_finite() {
            // A poisoned step would spoil the moments for ever; leave everything as it was.
            return Ok(norm);
        }
        self.step += 1;
        let clip = if norm > 1.0 { 1.0 / norm } else { 1.0 } as f32;
        for (name, var) in params {
            let (Some(moments), Some(grad)) = (self.moments.get_mut(name), grads.get(name)) else {
                candle_core::bail!("no moments for {name}")
            };
            let decay = weight_decay(name);
            let step = Step {
                moments: Mutex::new(moments),
                grad,
                clip,
                lr: lr as f32,
                decay,
                at: self.step,
            };
            if var.device().is_cpu() {
                var.inplace_op1(&step)?;
            } else {
                let mut w = var.flatten_all()?.to_vec1::<f32>()?;
                step.apply(&mut w)?;
                var.set(&Tensor::from_vec(w, var.shape(), var.device())?)?;
            }
        }
        Ok(norm)
    }
}

/// The update of one parameter.
struct Step<'a> {
    moments: Mutex<&'a mut (Vec<f32>, Vec<f32>)>,
    grad: &'a [f32],
    clip: f32,
    lr: f32,
    decay: f32,
    at: u64,
}

impl Step<'_> {
    fn apply(&self, w: &mut [f32]) -> Result<()> {
        let mut moments = self.moments.lock().map_err(|e| Error::Msg(e.to_string()))?;
        let (m, v) = &mut **moments;
        fused::adamw(w, m, v, self.grad, self.clip, self.lr, self.decay, self.at);
        Ok(())
    }
}

impl InplaceOp1 for Step<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let CpuStorage::F32(all) = storage else { candle_core::bail!("weights are f32") };
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("weights are contiguous")
        };
        self.apply(&mut all[start..end])
    }
}

/// Decay per group: 0.05 for ternary matrices, 0.005 for the embedding, 0 elsewhere (MEMORY.md §3).
fn weight_decay(name: &str) -> f32 {
    let ternary = ["ttt.qkvg", "ttt.o", "ffn.up", "ffn.down"].iter().any(|s| name.ends_with(s));
    if ternary {
        0.05
    } else if name == "embed" {
        0.005
    } else {
        0.0
    }
}

/// Peak learning rate of a width: 4e-3 at 192, falling with 1/width.
pub fn peak_lr(cfg: &ModelConfig) -> f64 {
    4e-3 * 192.0 / cfg.d_model as f64
}

/// Learning rate at `progress` (0 to 1): 50 steps of warm-up, constant, linear to 2 % over the last 55 %.
pub fn lr_at(peak: f64, step: u64, progress: f64) -> f64 {
    let warm = ((step + 1) as f64 / 50.0).min(1.0);
    let cool = if progress < 0.45 { 1.0 } else { 1.0 - 0.98 * ((progress - 0.45) / 0.55).min(1.0) };
    peak * warm * cool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_warms_holds_and_cools() {
        let at = |step, p| lr_at(1.0, step, p);
        assert!((at(0, 0.0) - 0.02).abs() < 1e-9);
        assert_eq!(at(100, 0.3), 1.0);
        assert!((at(100, 1.0) - 0.02).abs() < 1e-9);
        assert!(at(100, 0.7) < at(100, 0.5));
    }
}
