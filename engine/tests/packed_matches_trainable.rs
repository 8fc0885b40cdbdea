//! The packed model against its differentiable twin, token by token, and chunked reading against single tokens.
#![cfg(feature = "train")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use candle_core::Device;
use engine::{
    checkpoint::{Brain, BrainOptions, export},
    kernels::Isa,
    model::{
        ModelConfig,
        packed::ModelState,
        trainable::{BatchState, ForwardOptions, TrainableModel},
    },
    nn::Spelling,
    rng::Rng,
    tokenizer::{Tokenizer, special},
};

/// Largest difference of two logits (which reach 11 to 14 here) as long as both models round every activation alike: the
/// 14-bit rounding in front of the output head.
const TOLERANCE: f32 = 2e-3;
/// Largest difference after a sum that was added in another order has moved an activation to the next int8 step. The two
/// spellings of the trainable model differ from each other by as much when that happens.
const TOLERANCE_STEP: f32 = 0.1;

fn two_layers() -> ModelConfig {
    ModelConfig { n_layers: 2, vocab_size: 512, ..ModelConfig::preset("nano").unwrap() }
}

fn random_ids(n: usize, cfg: &ModelConfig, seed: u64) -> Vec<u32> {
    let mut rng = Rng::new(seed);
    (0..n)
        .map(|t| match t % 25 {
            5 => special::NOTE,
            14 => special::NOTE_END,
            20 => special::USER,
            _ => 32 + rng.below(cfg.vocab_size - 32) as u32,
        })
        .collect()
}

/// A random model whose embedding is large enough for logits to differ, gates and gains away from their start.
fn exported(cfg: &ModelConfig, seed: u64, dir: &std::path::Path) -> TrainableModel {
    let model = TrainableModel::new(cfg, seed, &Device::Cpu).unwrap();
    let mut rng = Rng::new(seed + 100);
    for (name, var) in model.params() {
        let factor = if name == "embed" { 5.0 } else { 1.0 };
        let noise = if name.contains("norm") || name.contains("gate") { 0.3 } else { 0.0 };
        let values: Vec<f32> = var.flatten_all().unwrap().to_vec1().unwrap();
        let values: Vec<f32> =
            values.iter().map(|v| v * factor + (rng.normal() * noise) as f32).collect();
        var.set(&candle_core::Tensor::from_vec(values, var.shape(), &Device::Cpu).unwrap())
            .unwrap();
    }
    let params =
        |name: &str| -> Vec<f32> { model.params()[name].flatten_all().unwrap().to_vec1().unwrap() };
    let tokenizer = Tokenizer::bytes_only(cfg.vocab_size).unwrap();
    export(dir, cfg, &tokenizer, &params, &BTreeMap::new()).unwrap();
    model
}

#[test]
fn logits_are_those_of_the_trainable_model() {
    let mut same_steps = 0;
    for (cfg, seed) in
        [(ModelConfig::preset("nano").unwrap(), 1), (two_layers(), 2), (two_layers(), 3)]
    {
        let dir = tempfile::tempdir().unwrap();
        let twin = exported(&cfg, seed, dir.path());
        let ids = random_ids(100, &cfg, seed);
        let opts =
            ForwardOptions { quantize: true, int8_embedding: true, spelling: Spelling::Fused };
        let mut state = BatchState::zeros(&cfg, 1, &Device::Cpu).unwrap();
        let hidden = twin.forward(&ids, ids.len(), &mut state, None, &opts).unwrap();
        let expected: Vec<Vec<f32>> =
            twin.logits(&hidden.squeeze(0).unwrap(), &opts).unwrap().to_vec2().unwrap();
        let spread = expected.iter().flatten().fold(0f32, |m, v| m.max(v.abs()));
        for isa in Isa::available() {
            let brain =
                Brain::load(dir.path(), &BrainOptions { threads: 2, isa: Some(isa) }).unwrap();
            let mut memory = ModelState::new(&cfg);
            let mut logits = vec![0f32; cfg.vocab_size];
            let (mut worst, mut sum) = (0f32, 0f64);
            for (t, (id, expected)) in ids.iter().zip(&expected).enumerate() {
                let x = brain.model.forward_token(*id, &mut memory);
                brain.model.logits(&x, &mut logits);
                for (a, b) in logits.iter().zip(expected) {
                    worst = worst.max((a - b).abs());
                    sum += f64::from((a - b).abs());
                }
                assert!(t >= 4 || worst < TOLERANCE, "{}: token {t}: {worst}", isa.name());
            }
            let mean = sum / (ids.len() * cfg.vocab_size) as f64;
            eprintln!(
                "{}: largest difference {worst:.2e}, mean {mean:.2e}, logits up to {spread:.2}",
                isa.name()
            );
            assert!(spread > 1.0, "{spread}");
            assert!(worst < TOLERANCE_STEP && mean < 1e-2, "{}: {worst} {mean}", isa.name());
            same_steps += usize::from(worst < TOLERANCE);
            for (layer, fast) in memory.layers.iter().zip(&state.fast) {
                let fast: Vec<f32> = fast.flatten_all().unwrap().to_vec1().unwrap();
                let worst =
                    layer.fast.iter().zip(&fast).fold(0f32, |m, (a, b)| m.max((a - b).abs()));
                assert!(worst < TOLERANCE_STEP, "fast weights: {worst}");
            }
        }
    }
    assert!(same_steps > 0, "no series of 100 tokens stayed within {TOLERANCE}");
}

#[test]
fn chunks_and_threads_change_no_bit() {
    let cfg = ModelConfig::preset("small").unwrap();
    let ids = random_ids(150, &cfg, 9);
    for isa in Isa::available() {
        let brain =
            |threads| Brain::random_with(&cfg, 4, &BrainOptions { threads, isa: Some(isa) });
        let one = brain(1);
        let mut single = ModelState::new(&cfg);
        let all: Vec<f32> =
            ids.iter().flat_map(|id| one.model.forward_token(*id, &mut single)).collect();
        assert!(all.iter().all(|v| v.is_finite()));
        for brain in [one, brain(3)] {
            let mut state = ModelState::new(&cfg);
            assert_eq!(brain.model.forward_all(&ids, &mut state), all, "{}", isa.name());
            assert_eq!(state, single);
            let mut state = ModelState::new(&cfg);
            let mut last = Vec::new();
            for part in [&ids[..1], &ids[1..3], &ids[3..20], &ids[20..]] {
                last = brain.model.forward_tokens(part, &mut state);
            }
            assert_eq!(last, all[all.len() - cfg.d_model..]);
            assert_eq!(state, single);
        }
    }
}
