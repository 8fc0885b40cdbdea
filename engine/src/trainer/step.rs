//! One training run in memory: model, optimizer, the fast weights of every batch row, and the step that moves them.

use std::time::Instant;

use candle_core::{Device, Tensor};

use super::optim::{AdamW, lr_at, peak_lr};
use crate::{
    data::{Segment, Stage},
    error::TrainError,
    model::{
        ModelConfig,
        gradient::{Scored, by_candle, loss_and_gradients},
        trainable::{BatchState, Forget, ForwardOptions, TrainableModel},
    },
    nn::{Spelling, weighted_cross_entropy},
    rng::Rng,
};

/// Time constants above this many tokens count as long: their heads are silenced in half of the rows, so that nothing
/// that must last leans on them.
const LONG_TAU: f32 = 64.0;
const P_LONG_SILENT: f64 = 0.5;
/// Probability that a row quits and returns before a segment: only its lifelong heads survive.
const P_RETURN: f64 = 0.2;

/// Where segments come from. Row `r` is one endless stream.
pub trait SegmentSource {
    /// The next `len + 1` tokens of a row.
    fn next_segment(&mut self, row: usize, len: usize, stage: Stage) -> Segment;
    /// Positions of all rows, for a checkpoint.
    fn cursors(&self) -> serde_json::Value;
    /// Goes back to saved positions.
    ///
    /// # Errors
    /// If the value is not one that [`SegmentSource::cursors`] gave.
    fn seek(&mut self, cursors: &serde_json::Value) -> Result<(), TrainError>;
}

/// A run: weights, moments, batch state and counters.
#[derive(Debug)]
pub struct Trainer {
    /// Master weights.
    pub model: TrainableModel,
    /// Optimizer.
    pub adam: AdamW,
    /// Fast weights of the batch rows.
    pub state: BatchState,
    /// Seed of weights, data and forgetting.
    pub seed: u64,
    /// Batch rows.
    pub batch: usize,
    /// Steps made.
    pub step: u64,
    /// Tokens read.
    pub tokens: u64,
    /// Seconds of training.
    pub seconds: f64,
}

/// What one step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// Weighted loss in nats per scored token.
    pub loss: f64,
    /// Gradient norm before clipping.
    pub grad_norm: f64,
    /// Learning rate.
    pub lr: f64,
    /// Tokens read by the step.
    pub tokens: usize,
    /// Seconds it took.
    pub seconds: f64,
}

/// A batch of segments side by side.
struct Batch {
    ids: Vec<u32>,
    /// Flat positions `b · T + t` that are scored, their targets and weights.
    positions: Vec<u32>,
    targets: Vec<u32>,
    weights: Vec<f32>,
    fresh: Vec<bool>,
}

impl Batch {
    fn gather(
        source: &mut dyn SegmentSource,
        rows: std::ops::Range<usize>,
        len: usize,
        stage: Stage,
    ) -> Self {
        let mut batch = Self {
            ids: vec![],
            positions: vec![],
            targets: vec![],
            weights: vec![],
            fresh: vec![],
        };
        for (b, row) in rows.enumerate() {
            let segment = source.next_segment(row, len, stage);
            batch.ids.extend_from_slice(&segment.tokens[..len]);
            for (t, w) in segment.weights.iter().enumerate().take(len) {
                if *w > 0.0 {
                    batch.positions.push((b * len + t) as u32);
                    batch.targets.push(segment.tokens[t + 1]);
                    batch.weights.push(*w);
                }
            }
            batch.fresh.push(segment.fresh);
        }
        batch
    }
}

impl Trainer {
    /// A fresh run.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn new(
        cfg: &ModelConfig,
        seed: u64,
        batch: usize,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let model = TrainableModel::new(cfg, seed, device)?;
        let adam = AdamW::new(model.params());
        let state = BatchState::zeros(cfg, batch, device)?;
        Ok(Self { model, adam, state, seed, batch, step: 0, tokens: 0, seconds: 0.0 })
    }

    fn options(&self) -> ForwardOptions {
        ForwardOptions::training(self.model.device())
    }

    /// Length of a segment of a stage.
    pub fn segment_len(stage: Stage) -> usize {
        match stage {
            Stage::Dense => 128,
            Stage::Lives | Stage::Voice => 256,
        }
    }

    /// Reads one segment of every row and makes one update; `progress` is 0 to 1 of the whole run.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn train_step(
        &mut self,
        source: &mut dyn SegmentSource,
        stage: Stage,
        progress: f64,
        peak: Option<f64>,
    ) -> Result<StepReport, TrainError> {
        let start = Instant::now();
        let len = Self::segment_len(stage);
        let batch = Batch::gather(source, 0..self.batch, len, stage);
        let mut rng = Rng::keyed(self.seed, &[0x57E9, self.step]);
        let forget: Vec<Forget> = batch
            .fresh
            .iter()
            .map(|fresh| {
                let returns = rng.chance(P_RETURN);
                match (*fresh || stage == Stage::Dense, returns) {
                    (true, _) => Forget::Everything,
                    (false, true) => Forget::Session,
                    (false, false) => Forget::Nothing,
                }
            })
            .collect();
        let mask = self.silence_long_heads(&mut rng);
        self.state.forget(&self.model.config, &forget)?;
        let lr = lr_at(peak.unwrap_or_else(|| peak_lr(&self.model.config)), self.step, progress);
        let scored = Scored {
            positions: &batch.positions,
            targets: &batch.targets,
            weights: &batch.weights,
        };
        let (state, on_cpu) = (&mut self.state, self.model.device().is_cpu());
        let (loss, grads) = if on_cpu {
            loss_and_gradients(&self.model, &batch.ids, len, state, Some(&mask), scored, true)?
        } else {
            let opts = ForwardOptions::training(self.model.device());
            by_candle(&self.model, &batch.ids, len, state, Some(&mask), scored, &opts)?
        };
        let grad_norm = if scored.positions.is_empty() {
            0.0
        } else {
            self.adam.update(self.model.params(), &grads, lr)?
        };
        self.step += 1;
        self.tokens += (self.batch * len) as u64;
        let seconds = start.elapsed().as_secs_f64();
        self.seconds += seconds;
        Ok(StepReport { loss, grad_norm, lr, tokens: self.batch * len, seconds })
    }

    /// Factor on the step sizes `[B, H]`: long session heads write nothing in half of the rows.
    fn silence_long_heads(&self, rng: &mut Rng) -> Vec<f32> {
        let cfg = &self.model.config;
        let mut mask = vec![1f32; self.batch * cfg.n_heads()];
        for row in mask.chunks_mut(cfg.n_heads()) {
            let silent = rng.chance(P_LONG_SILENT);
            for (factor, tau) in row.iter_mut().zip(&cfg.session_tau_max) {
                if silent && *tau > LONG_TAU {
                    *factor = 0.0;
                }
            }
        }
        mask
    }

    /// Share of right next tokens among those whose weight is at least `min_weight`, over `n_segments` segments of
    /// `rows` rows of a fresh source. Returns `(right, n)`.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn accuracy(
        &self,
        source: &mut dyn SegmentSource,
        rows: usize,
        n_segments: usize,
        min_weight: f32,
    ) -> Result<(usize, usize), TrainError> {
        let cfg = &self.model.config;
        let (stage, len) = (Stage::Lives, Self::segment_len(Stage::Lives));
        let mut state = BatchState::zeros(cfg, rows, self.model.device())?;
        let (mut right, mut n) = (0, 0);
        for _ in 0..n_segments {
            let batch = Batch::gather(source, 0..rows, len, stage);
            let forget: Vec<Forget> = batch
                .fresh
                .iter()
                .map(|f| if *f { Forget::Everything } else { Forget::Nothing })
                .collect();
            state.forget(cfg, &forget)?;
            let opts = self.options();
            let hidden = self.model.forward(&batch.ids, len, &mut state, None, &opts)?.detach();
            let picked: Vec<usize> =
                (0..batch.weights.len()).filter(|i| batch.weights[*i] >= min_weight).collect();
            if picked.is_empty() {
                continue;
            }
            let at: Vec<u32> = picked.iter().map(|i| batch.positions[*i]).collect();
            let at = Tensor::from_vec(at, picked.len(), self.model.device())?;
            let h = hidden.reshape((rows * len, cfg.d_model))?.index_select(&at, 0)?;
            let best = self.model.logits(&h, &opts)?.argmax(1)?.to_vec1::<u32>()?;
            right += best.iter().zip(&picked).filter(|(b, i)| **b == batch.targets[**i]).count();
            n += picked.len();
        }
        Ok((right, n))
    }

    /// Mean nats per token over documents, each read from nothing, in pieces of 256 tokens.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn held_out_nats(&self, docs: &[Vec<u32>]) -> Result<f64, TrainError> {
        let cfg = &self.model.config;
        let (mut nats, mut n) = (0f64, 0usize);
        for doc in docs.iter().filter(|d| d.len() > 1) {
            let mut state = BatchState::zeros(cfg, 1, self.model.device())?;
            for piece in 0..(doc.len() - 1).div_ceil(256) {
                let at = piece * 256..((piece + 1) * 256).min(doc.len() - 1);
                let targets = &doc[at.start + 1..at.end + 1];
                let opts = self.options();
                let h = self
                    .model
                    .forward(&doc[at], targets.len(), &mut state, None, &opts)?
                    .detach()
                    .squeeze(0)?;
                let weights = vec![1f32; targets.len()];
                let loss = weighted_cross_entropy(
                    &h,
                    &self.model.output_weights()?.detach(),
                    targets,
                    &weights,
                    Spelling::Plain,
                )?;
                nats += f64::from(loss.to_scalar::<f32>()?) * targets.len() as f64;
                n += targets.len();
            }
        }
        Ok(nats / n.max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream whose next number follows from its position: cheap, endless, seekable.
    struct Counting {
        at: Vec<u64>,
    }

    impl SegmentSource for Counting {
        fn next_segment(&mut self, row: usize, len: usize, _stage: Stage) -> Segment {
            let start = self.at[row];
            self.at[row] += len as u64;
            let id = |i: u64| 32 + (Rng::keyed(row as u64, &[i / 3]).below(50)) as u32;
            Segment {
                tokens: (0..=len as u64).map(|i| id(start + i)).collect(),
                weights: (0..len).map(|i| if i % 2 == 0 { 1.0 } else { 0.0 }).collect(),
                fresh: start.is_multiple_of(4 * len as u64),
            }
        }
        fn cursors(&self) -> serde_json::Value {
            serde_json::json!(self.at)
        }
        fn seek(&mut self, cursors: &serde_json::Value) -> Result<(), TrainError> {
            self.at = serde_json::from_value(cursors.clone())
                .map_err(|e| TrainError::Data(e.to_string()))?;
            Ok(())
        }
    }

    fn weights(t: &Trainer) -> Vec<Vec<f32>> {
        t.model
            .params()
            .values()
            .map(|v| v.flatten_all().and_then(|v| v.to_vec1()).expect("weights"))
            .collect()
    }

    #[test]
    fn an_interrupted_run_equals_an_uninterrupted_one_bit_for_bit() {
        let cfg = ModelConfig {
            n_layers: 2,
            vocab_size: 128,
            ..ModelConfig::preset("nano").expect("nano")
        };
        let dir = tempfile::tempdir().expect("folder");
        let file = dir.path().join("checkpoint.safetensors");
        let run = |trainer: &mut Trainer, source: &mut Counting, until: u64| {
            let mut losses = Vec::new();
            while trainer.step < until {
                let p = trainer.step as f64 / 6.0;
                losses.push(trainer.train_step(source, Stage::Lives, p, None).expect("step").loss);
            }
            losses
        };
        let mut whole = Trainer::new(&cfg, 5, 2, &Device::Cpu).expect("trainer");
        let mut source = Counting { at: vec![0; 2] };
        let straight = run(&mut whole, &mut source, 6);
        assert!(straight[5] < straight[0]);

        let mut first = Trainer::new(&cfg, 5, 2, &Device::Cpu).expect("trainer");
        let mut source = Counting { at: vec![0; 2] };
        let mut losses = run(&mut first, &mut source, 3);
        super::super::checkpoint::save(&first, source.cursors(), &file).expect("save");
        run(&mut first, &mut source, 4); // work that a kill throws away
        let (mut second, cursors) =
            super::super::checkpoint::load(&file, &Device::Cpu).expect("load");
        let mut source = Counting { at: vec![] };
        source.seek(&cursors).expect("seek");
        losses.extend(run(&mut second, &mut source, 6));
        assert_eq!(losses, straight);
        assert_eq!(weights(&second), weights(&whole));
        assert_eq!(second.tokens, whole.tokens);
    }

    #[test]
    fn a_cut_checkpoint_is_refused_with_its_name() {
        let cfg = ModelConfig {
            n_layers: 1,
            vocab_size: 128,
            ..ModelConfig::preset("nano").expect("nano")
        };
        let dir = tempfile::tempdir().expect("folder");
        let file = dir.path().join("checkpoint.safetensors");
        let trainer = Trainer::new(&cfg, 5, 1, &Device::Cpu).expect("trainer");
        super::super::checkpoint::save(&trainer, serde_json::json!([]), &file).expect("save");
        let bytes = std::fs::read(&file).expect("read");
        for len in [0, 7, 100, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&file, &bytes[..len]).expect("write");
            let error = super::super::checkpoint::load(&file, &Device::Cpu)
                .expect_err("refused")
                .to_string();
            assert!(error.contains("checkpoint.safetensors"), "{error}");
        }
    }
}
