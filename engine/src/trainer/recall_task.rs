//! The smallest task that needs the fast weights: read four key-value pairs, then answer for one key.
//!
//! A test of the whole chain (layer, gradients, optimizer, shifted-key start): without a working memory the answer is
//! a guess among the values.

#![cfg(test)]

use candle_core::{Device, Tensor};

use super::optim::AdamW;
use crate::{
    model::{
        ModelConfig,
        gradient::{Scored, loss_and_gradients},
        trainable::{BatchState, ForwardOptions, TrainableModel},
    },
    nn::Spelling,
    rng::Rng,
};

const KEYS: u32 = 24;
const VALUES: u32 = 24;
const FIRST: u32 = 32; // behind the special ids
const QUERY: u32 = FIRST - 1;
const PAIRS: usize = 4;
const LEN: usize = 2 * PAIRS + 2;
const ROWS: usize = 64;

fn one_layer() -> ModelConfig {
    ModelConfig {
        vocab_size: 128,
        d_model: 64,
        n_layers: 1,
        head_dim: 32,
        d_ff: 128,
        session_tau_max: vec![256.0, 256.0],
        n_lifelong_heads: 0,
        chunk_len: 16,
    }
}

/// `k v k v k v k v ? k` → the value of that key.
fn sequence(rng: &mut Rng) -> ([u32; LEN], u32) {
    let mut keys: Vec<u32> = (0..KEYS).collect();
    for i in 0..PAIRS {
        let j = i + rng.below(keys.len() - i);
        keys.swap(i, j);
    }
    let values: Vec<u32> = (0..PAIRS).map(|_| rng.below(VALUES as usize) as u32).collect();
    let mut ids = [0; LEN];
    for i in 0..PAIRS {
        ids[2 * i] = FIRST + keys[i];
        ids[2 * i + 1] = FIRST + KEYS + values[i];
    }
    let asked = rng.below(PAIRS);
    ids[LEN - 2] = QUERY;
    ids[LEN - 1] = FIRST + keys[asked];
    (ids, FIRST + KEYS + values[asked])
}

fn batch(rng: &mut Rng, n: usize) -> (Vec<u32>, Vec<u32>) {
    let rows: Vec<_> = (0..n).map(|_| sequence(rng)).collect();
    (rows.iter().flat_map(|r| r.0).collect(), rows.iter().map(|r| r.1).collect())
}

#[test]
fn one_layer_learns_to_recall_four_pairs() {
    let cfg = one_layer();
    let device = Device::Cpu;
    let model = TrainableModel::new(&cfg, 3, &device).expect("model");
    let opts = ForwardOptions { quantize: true, int8_embedding: false, spelling: Spelling::Fused };
    let mut adam = AdamW::new(model.params());
    let mut rng = Rng::new(11);
    let last: Vec<u32> = (0..ROWS as u32).map(|b| b * LEN as u32 + LEN as u32 - 1).collect();
    let last_of_rows = Tensor::from_slice(&last, ROWS, &device).expect("positions");
    let steps = 400;
    for step in 0..steps {
        let (ids, targets) = batch(&mut rng, ROWS);
        let mut state = BatchState::zeros(&cfg, ROWS, &device).expect("state");
        let scored = Scored { positions: &last, targets: &targets, weights: &[1.0; ROWS] };
        let (_, grads) =
            loss_and_gradients(&model, &ids, LEN, &mut state, None, scored, true).expect("step");
        let lr = super::optim::lr_at(1e-2, step, step as f64 / steps as f64);
        adam.update(model.params(), &grads, lr).expect("update");
    }
    let (mut right, mut n) = (0, 0);
    for _ in 0..16 {
        let (ids, targets) = batch(&mut rng, ROWS);
        let mut state = BatchState::zeros(&cfg, ROWS, &device).expect("state");
        let h = model.forward(&ids, LEN, &mut state, None, &opts).expect("forward");
        let h = h
            .reshape((ROWS * LEN, cfg.d_model))
            .and_then(|h| h.index_select(&last_of_rows, 0))
            .expect("last");
        let best = model
            .logits(&h, &opts)
            .and_then(|l| l.argmax(1))
            .and_then(|a| a.to_vec1::<u32>())
            .expect("argmax");
        right += best.iter().zip(&targets).filter(|(a, b)| a == b).count();
        n += ROWS;
    }
    let accuracy = right as f64 / n as f64;
    assert!(accuracy >= 0.99, "{right} of {n} right");
}
