//! The stack out of `nn`: the differentiable twin of `packed.rs`, in the same order of lines.
//!
//! Holds the full-precision master weights; the fast weights of a batch are a [`BatchState`] that is passed in.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor, Var};

use super::{HeadKind, ModelConfig, param_specs};
use crate::{
    nn::{
        PreActivation, Spelling, TttInput, TttShape, head_norm_gate, norm_quantize, ternary_matmul,
        ttt_scan,
    },
    rng::Rng,
    tokenizer::special,
};

/// Fast weights of every row of a batch between two segments. Detached from any graph.
#[derive(Debug, Clone)]
pub struct BatchState {
    /// Per layer `[B, H, D, D]`.
    pub fast: Vec<Tensor>,
    /// Per layer `[B, 3, 3·H·D]`.
    pub tail: Vec<Tensor>,
    /// Per row: a note is open.
    pub note_open: Vec<bool>,
}

impl BatchState {
    /// Nothing learned yet.
    ///
    /// # Errors
    /// If the device has no room.
    pub fn zeros(cfg: &ModelConfig, batch: usize, device: &Device) -> Result<Self> {
        let (h, d, w3) = (cfg.n_heads(), cfg.head_dim, 3 * cfg.d_heads());
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, device);
        Ok(Self {
            fast: (0..cfg.n_layers).map(|_| zeros(&[batch, h, d, d])).collect::<Result<_>>()?,
            tail: (0..cfg.n_layers).map(|_| zeros(&[batch, 3, w3])).collect::<Result<_>>()?,
            note_open: vec![false; batch],
        })
    }

    /// Multiplies the state of row `b`: session heads and convolution tails by 0 where `session` is dropped, everything
    /// by 0 where `all` is.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn forget(&mut self, cfg: &ModelConfig, rows: &[Forget]) -> Result<()> {
        if rows.iter().all(|r| *r == Forget::Nothing) {
            return Ok(());
        }
        let (batch, h) = (rows.len(), cfg.n_heads());
        let mut heads = vec![1f32; batch * h];
        let mut tails = vec![1f32; batch];
        for (b, row) in rows.iter().enumerate() {
            for (head, keep) in heads[b * h..(b + 1) * h].iter_mut().enumerate() {
                let drop = match row {
                    Forget::Nothing => false,
                    Forget::Session => cfg.head_kind(head) == HeadKind::Session,
                    Forget::Everything => true,
                };
                *keep = if drop { 0.0 } else { 1.0 };
            }
            if *row != Forget::Nothing {
                tails[b] = 0.0;
                self.note_open[b] = false;
            }
        }
        let device = self.fast[0].device().clone();
        let heads = Tensor::from_vec(heads, (batch, h, 1, 1), &device)?;
        let tails = Tensor::from_vec(tails, (batch, 1, 1), &device)?;
        for (fast, tail) in self.fast.iter_mut().zip(&mut self.tail) {
            *fast = fast.broadcast_mul(&heads)?;
            *tail = tail.broadcast_mul(&tails)?;
        }
        Ok(())
    }
}

/// What a row forgets before a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forget {
    /// The segment goes on where the last one ended.
    Nothing,
    /// Quit and return: only the lifelong heads are kept.
    Session,
    /// Another life begins.
    Everything,
}

/// Whether a note is open at each token, given whether one was open before: the gate of the lifelong heads.
///
/// `<m>` opens; `</m>` and every turn mark close. The last value is the flag after the tokens.
pub fn note_flags(ids: &[u32], mut open: bool) -> Vec<bool> {
    ids.iter()
        .map(|&id| {
            match id {
                special::NOTE => open = true,
                special::NOTE_END | special::USER | special::BOT | special::END | special::DOC => {
                    open = false
                }
                _ => {}
            }
            open
        })
        .collect()
}

/// Factor on the step size of every head at every token, `[B, T, H]`: 0 for lifelong heads outside notes, else that of
/// `eta_mask [B, H]` (1 without one). `note_open` is moved on to the end of the segment.
pub(super) fn head_mask(
    cfg: &ModelConfig,
    ids: &[u32],
    tokens: usize,
    note_open: &mut [bool],
    eta_mask: Option<&[f32]>,
) -> Vec<f32> {
    let h = cfg.n_heads();
    let mut mask = Vec::with_capacity(ids.len() * h);
    for (b, (ids, note_open)) in ids.chunks(tokens).zip(note_open).enumerate() {
        let flags = note_flags(ids, *note_open);
        for open in &flags {
            mask.extend((0..h).map(|head| {
                let on = cfg.head_kind(head) == HeadKind::Session || *open;
                if on { eta_mask.map_or(1.0, |m| m[b * h + head]) } else { 0.0 }
            }));
        }
        *note_open = flags.last().copied().unwrap_or(false);
    }
    mask
}

/// Arithmetic switches of a forward pass.
#[derive(Debug, Clone, Copy)]
pub struct ForwardOptions {
    /// Ternary weights and int8 activations; `false` is the float reference model.
    pub quantize: bool,
    /// Round the embedding to int8 rows as the packed model stores it (for the comparison with it).
    pub int8_embedding: bool,
    /// Custom operations or candle compositions.
    pub spelling: Spelling,
}

impl ForwardOptions {
    /// As in training on a device.
    pub fn training(device: &Device) -> Self {
        let spelling = Spelling::for_device(device);
        Self { quantize: true, int8_embedding: false, spelling }
    }
}

/// A model whose weights can be trained.
#[derive(Debug)]
pub struct TrainableModel {
    /// Shapes.
    pub config: ModelConfig,
    params: BTreeMap<String, Var>,
    device: Device,
}

impl TrainableModel {
    /// Fresh weights, deterministic by seed, with the shifted-key start.
    ///
    /// # Errors
    /// If the device has no room.
    ///
    /// Source: MEMORY.md §1.7 and §3.
    pub fn new(config: &ModelConfig, seed: u64, device: &Device) -> Result<Self> {
        let mut rng = Rng::new(seed);
        let mut params = BTreeMap::new();
        for spec in param_specs(config) {
            let data = initial_values(config, &spec.name, &spec.shape, &mut rng);
            params.insert(spec.name, Var::from_vec(data, spec.shape, device)?);
        }
        Ok(Self { config: config.clone(), params, device: device.clone() })
    }

    /// Parameters by name.
    pub fn params(&self) -> &BTreeMap<String, Var> {
        &self.params
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    fn param(&self, name: &str) -> Result<&Tensor> {
        match self.params.get(name) {
            Some(var) => Ok(var.as_tensor()),
            None => candle_core::bail!("no parameter {name}"),
        }
    }

    fn embedding(&self, opts: &ForwardOptions) -> Result<Tensor> {
        let embed = self.param("embed")?.clone();
        if !opts.int8_embedding {
            return Ok(embed);
        }
        let scale = (embed.abs()?.max_keepdim(1)?.maximum(f64::from(super::QUANT_EPS))? / 127.0)?;
        embed.broadcast_div(&scale)?.round()?.broadcast_mul(&scale)
    }

    /// Reads a segment and returns the normalised hidden states `[B, T, C]` in front of the output head.
    ///
    /// `ids` is `[B · T]`, row-major. `eta_mask [B, H]` multiplies the step sizes of whole heads (1 everywhere in use;
    /// training silences the long session heads of some rows). `state` is replaced by the state after the segment.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(
        &self,
        ids: &[u32],
        tokens: usize,
        state: &mut BatchState,
        eta_mask: Option<&[f32]>,
        opts: &ForwardOptions,
    ) -> Result<Tensor> {
        let cfg = &self.config;
        let batch = ids.len() / tokens;
        let (c, hd, h) = (cfg.d_model, cfg.d_heads(), cfg.n_heads());
        let mask = head_mask(cfg, ids, tokens, &mut state.note_open, eta_mask);
        let mask = Tensor::from_vec(mask, (batch, tokens, h), &self.device)?;
        let shape = TttShape::new(cfg, batch, tokens);
        let ids = Tensor::from_slice(ids, ids.len(), &self.device)?;

        let x = self.embedding(opts)?.index_select(&ids, 0)?.reshape((batch, tokens, c))?;
        let mut x = norm_quantize(
            &x,
            self.param("embed_norm")?,
            PreActivation::None,
            false,
            opts.spelling,
        )?;
        for i in 0..cfg.n_layers {
            let p = |name: &str| self.param(&format!("layers.{i}.{name}"));
            let quant = |x: &Tensor, gain: &Tensor, pre| {
                norm_quantize(x, gain, pre, opts.quantize, opts.spelling)
            };
            let linear = |x: &Tensor, w: &Tensor, parts| {
                ternary_matmul(x, w, parts, opts.quantize, opts.spelling)
            };

            let hq = quant(&x, p("ttt.norm")?, PreActivation::None)?;
            let qkvg = linear(&hq, p("ttt.qkvg")?, 4)?;
            let gates = ternary_matmul(&hq, p("ttt.gate.weight")?, 1, false, opts.spelling)?
                .broadcast_add(p("ttt.gate.bias")?)?;
            let input = TttInput {
                z: qkvg.narrow(2, 0, 3 * hd)?,
                conv: p("ttt.conv")?.clone(),
                gates,
                mask: mask.clone(),
                state: state.fast[i].clone(),
                tail: state.tail[i].clone(),
            };
            let (o, fast, tail) = ttt_scan(&shape, &input, opts.spelling)?;
            (state.fast[i], state.tail[i]) = (fast, tail);
            let y = head_norm_gate(
                &o,
                &qkvg.narrow(2, 3 * hd, hd)?,
                p("ttt.head_norm")?,
                opts.spelling,
            )?;
            let y = linear(&quant(&y, p("ttt.o_norm")?, PreActivation::None)?, p("ttt.o")?, 1)?;
            x = (x + y)?;

            let up = linear(&quant(&x, p("ffn.norm")?, PreActivation::None)?, p("ffn.up")?, 1)?;
            let down = linear(
                &quant(&up, p("ffn.down_norm")?, PreActivation::SquaredRelu)?,
                p("ffn.down")?,
                1,
            )?;
            x = (x + down)?;
        }
        norm_quantize(&x, self.param("final_norm")?, PreActivation::None, false, opts.spelling)
    }

    /// Output logits `[N, V]` of hidden states `[N, C]`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn logits(&self, hidden: &Tensor, opts: &ForwardOptions) -> Result<Tensor> {
        hidden.matmul(&self.embedding(opts)?.t()?)
    }

    /// The tied embedding, for the loss.
    ///
    /// # Errors
    /// Never for a model made by [`TrainableModel::new`].
    pub fn output_weights(&self) -> Result<&Tensor> {
        self.param("embed")
    }
}

/// Starting values of one parameter.
fn initial_values(cfg: &ModelConfig, name: &str, shape: &[usize], rng: &mut Rng) -> Vec<f32> {
    let n: usize = shape.iter().product();
    let mut normal =
        |n: usize, std: f64| -> Vec<f32> { (0..n).map(|_| (rng.normal() * std) as f32).collect() };
    let fan_in = shape.last().copied().unwrap_or(1) as f64;
    let leaf = name.split('.').skip(2).collect::<Vec<_>>().join(".");
    match leaf.as_str() {
        "ttt.qkvg" => {
            let part = cfg.d_heads() * cfg.d_model;
            let mut w = normal(n, 1.0 / fan_in.sqrt());
            w.copy_within(0..part, part); // W_k ← W_q
            w
        }
        "ttt.conv" => shifted_key_taps(cfg),
        "ttt.gate.weight" => normal(n, 0.02),
        "ttt.gate.bias" => {
            let (h, s) = (cfg.n_heads(), cfg.n_session_heads());
            let mut bias = vec![0f32; 2 * h];
            for (i, b) in bias[h..h + s].iter_mut().enumerate() {
                let tau = 16.0 * 4f64.powi(i as i32);
                *b = (1.0 / tau).exp_m1().ln() as f32;
            }
            bias
        }
        "ttt.o" | "ffn.down" => normal(n, 0.5 / fan_in.sqrt()),
        "ffn.up" => normal(n, 1.0 / fan_in.sqrt()),
        _ if name == "embed" => normal(n, 0.02),
        _ => vec![1.0; n],
    }
}

/// Convolution taps with which `k_t = q_{t−1}` at step 0: every head starts as an n-gram memory. MEMORY.md §1.7.
fn shifted_key_taps(cfg: &ModelConfig) -> Vec<f32> {
    let (hd, d) = (cfg.d_heads(), cfg.head_dim);
    let mut taps = Vec::with_capacity(3 * hd * 4);
    for part in 0..3 {
        for channel in 0..hd {
            let even = (channel / d) % 2 == 0;
            let (near, far) = if even { (0.3, 0.0) } else { (0.6, 0.4) };
            taps.extend_from_slice(&match part {
                0 => [0.0, far, near, 0.8],
                1 => [far, near, 0.8, 0.0],
                _ => [0.0, 0.0, 0.0, 1.0],
            });
        }
    }
    taps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_open_and_close_and_turn_marks_close_too() {
        use special::{BOT, END, NOTE, NOTE_END, USER};
        let flags =
            note_flags(&[USER, 99, BOT, NOTE, 99, 99, NOTE_END, 99, NOTE, 99, END, 99], false);
        let want = [false, false, false, true, true, true, false, false, true, true, false, false];
        assert_eq!(flags, want);
        assert_eq!(note_flags(&[99, USER], true), [true, false]);
    }

    fn plain_options(spelling: Spelling) -> ForwardOptions {
        ForwardOptions { quantize: true, int8_embedding: false, spelling }
    }

    #[test]
    fn lifelong_heads_do_not_move_outside_notes() {
        let cfg = ModelConfig::preset("nano").expect("nano");
        let model = TrainableModel::new(&cfg, 1, &Device::Cpu).expect("model");
        let mut state = BatchState::zeros(&cfg, 1, &Device::Cpu).expect("state");
        let ids: Vec<u32> = (0..64).map(|i| 40 + i % 50).collect();
        let opts = plain_options(Spelling::Fused);
        model.forward(&ids, 64, &mut state, None, &opts).expect("forward");
        let lifelong = |s: &BatchState| {
            let t =
                s.fast[1].narrow(1, cfg.n_session_heads(), cfg.n_lifelong_heads).expect("heads");
            t.abs().and_then(|t| t.sum_all()).and_then(|t| t.to_scalar::<f32>()).expect("sum")
        };
        assert_eq!(lifelong(&state), 0.0);
        let mut noted = ids.clone();
        noted[10] = special::NOTE;
        noted[30] = special::NOTE_END;
        model.forward(&noted, 64, &mut state, None, &opts).expect("forward");
        assert!(lifelong(&state) > 0.0);
    }

    #[test]
    fn both_spellings_read_the_same() {
        let cfg = ModelConfig::preset("nano").expect("nano");
        let model = TrainableModel::new(&cfg, 2, &Device::Cpu).expect("model");
        let ids: Vec<u32> =
            (0..96).map(|i| if i % 31 == 3 { special::NOTE } else { 32 + i * 37 % 900 }).collect();
        // Without rounding, as a value on the border of two int8 steps may fall to either side.
        let run = |spelling| {
            let mut state = BatchState::zeros(&cfg, 2, &Device::Cpu).expect("state");
            let opts = ForwardOptions { quantize: false, int8_embedding: false, spelling };
            model.forward(&ids, 48, &mut state, None, &opts).expect("forward")
        };
        let diff = crate::nn::testing::max_diff(&run(Spelling::Plain), &run(Spelling::Fused));
        assert!(diff < 1e-3, "{diff}");
    }
}
