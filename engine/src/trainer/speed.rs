//! Training speed: the step as trained against the same step on plain candle compositions, in one run.

use std::time::Instant;

use candle_core::Device;
use serde::Serialize;

use crate::{
    error::TrainError,
    model::{
        ModelConfig,
        gradient::{Scored, by_candle, loss_and_gradients},
        trainable::{BatchState, ForwardOptions, TrainableModel},
    },
    nn::Spelling,
    rng::Rng,
    trainer::optim::AdamW,
};

/// Tokens per second of training, forward, backward and update.
#[derive(Debug, Clone, Serialize)]
pub struct TrainingSpeed {
    /// Preset.
    pub preset: String,
    /// Batch rows and tokens a row.
    pub shape: (usize, usize),
    /// Custom operations.
    pub fused_tokens_per_s: f64,
    /// candle compositions, the reference of the ratio.
    pub plain_tokens_per_s: f64,
    /// The first by the second.
    pub ratio: f64,
}

/// Times both spellings on random tokens, every third position scored; the best of `steps` steps each.
///
/// # Errors
/// If a tensor operation fails.
pub fn measure(
    preset: &str,
    batch: usize,
    tokens: usize,
    steps: usize,
) -> Result<TrainingSpeed, TrainError> {
    let cfg = ModelConfig::preset(preset)
        .ok_or_else(|| TrainError::Options(format!("no preset {preset}")))?;
    let mut best = [0f64; 2];
    let plain = ForwardOptions { quantize: true, int8_embedding: false, spelling: Spelling::Plain };
    for (which, best) in best.iter_mut().enumerate() {
        let model = TrainableModel::new(&cfg, 1, &Device::Cpu)?;
        let mut adam = AdamW::new(model.params());
        let mut rng = Rng::new(2);
        for _ in 0..steps {
            let ids: Vec<u32> =
                (0..batch * tokens).map(|_| 32 + rng.below(cfg.vocab_size - 32) as u32).collect();
            let start = Instant::now();
            let mut state = BatchState::zeros(&cfg, batch, &Device::Cpu)?;
            let positions: Vec<u32> = (0..(batch * tokens) as u32).step_by(3).collect();
            let targets: Vec<u32> = positions.iter().map(|p| ids[*p as usize]).collect();
            let weights = vec![1.0; positions.len()];
            let scored = Scored { positions: &positions, targets: &targets, weights: &weights };
            let (_, grads) = if which == 0 {
                loss_and_gradients(&model, &ids, tokens, &mut state, None, scored, true)?
            } else {
                by_candle(&model, &ids, tokens, &mut state, None, scored, &plain)?
            };
            adam.update(model.params(), &grads, 1e-3)?;
            *best = best.max((batch * tokens) as f64 / start.elapsed().as_secs_f64());
        }
    }
    Ok(TrainingSpeed {
        preset: preset.to_owned(),
        shape: (batch, tokens),
        fused_tokens_per_s: best[0],
        plain_tokens_per_s: best[1],
        ratio: best[0] / best[1],
    })
}
