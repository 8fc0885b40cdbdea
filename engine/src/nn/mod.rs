//! Differentiable layers on candle: the training twin of the packed kernels.
//!
//! Every layer has two spellings: a plain composition of candle operations (any device, the readable truth) and a
//! fused custom operation on the CPU (fast). [`Spelling`] chooses; tests show that values and gradients agree.
//! Knows tensors and shapes; knows no files, tokens or sessions.

mod bit_linear;
mod loss;
mod ttt_layer;

pub use bit_linear::{norm_quantize, ternarize, ternary_matmul};
pub use loss::weighted_cross_entropy;
pub use ttt_layer::{TttInput, TttShape, gated_delta_chunked, head_norm_gate, ttt_scan};

pub use crate::kernels::PreActivation;

use candle_core::{CpuStorage, Device, Result, Storage, Tensor};

/// Which of the two spellings of a layer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// Compositions of candle operations.
    Plain,
    /// Custom operations of `kernels::training`; CPU tensors only.
    Fused,
}

impl Spelling {
    /// The fast one for this device.
    pub fn for_device(device: &Device) -> Self {
        if device.is_cpu() { Self::Fused } else { Self::Plain }
    }
}

/// Calls `f` with the numbers of a contiguous f32 CPU tensor, without a copy.
fn with_slice<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    let Storage::Cpu(cpu) = &*storage else {
        candle_core::bail!("a fused operation needs CPU tensors")
    };
    Ok(f(cpu_slice(cpu, layout)?))
}

/// The numbers behind a contiguous f32 storage.
fn cpu_slice<'a>(storage: &'a CpuStorage, layout: &candle_core::Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        candle_core::bail!("a fused operation needs contiguous tensors")
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

#[cfg(test)]
pub(crate) mod testing {
    //! What the layer tests share: seeded tensors, finite differences, comparison.
    use candle_core::{Device, Result, Tensor, Var};

    /// Deterministic numbers in −1..1.
    pub(crate) fn noise(seed: u64, shape: &[usize], scale: f32) -> Tensor {
        let n: usize = shape.iter().product();
        let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let data: Vec<f32> = (0..n)
            .map(|_| {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                ((x >> 40) as f32 / (1u32 << 23) as f32 - 1.0) * scale
            })
            .collect();
        Tensor::from_vec(data, shape, &Device::Cpu).expect("shape")
    }

    pub(crate) fn max_diff(a: &Tensor, b: &Tensor) -> f32 {
        (a - b)
            .and_then(|d| d.abs())
            .and_then(|d| d.flatten_all())
            .and_then(|d| d.max(0))
            .and_then(|d| d.to_scalar::<f32>())
            .expect("same shapes")
    }

    /// Gradients of `Σ f(vars) ⊙ probe` for every variable.
    pub(crate) fn gradients(vars: &[Var], f: impl Fn(&[Var]) -> Result<Tensor>) -> Vec<Tensor> {
        let out = f(vars).expect("forward");
        let probe = noise(99, out.dims(), 1.0);
        let loss = (out * probe).and_then(|p| p.sum_all()).expect("loss");
        let grads = loss.backward().expect("backward");
        vars.iter().map(|v| grads.get(v).expect("a gradient").clone()).collect()
    }
}
