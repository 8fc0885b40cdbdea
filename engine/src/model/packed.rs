//! The stack out of `kernels`: packed ternary weights, read-only, the state passed in.
//!
//! The inference twin of `trainable.rs`, in the same order of lines; a test ties the two token by token.
//! Knows no text and no files: weights come from a [`WeightSource`].

use super::{HeadKind, ModelConfig, QUANT_EPS};
use crate::{
    kernels::{
        Isa,
        float::{self, PreActivation},
        pack::Activations,
        ternary::gemv_t2_i8,
    },
    tokenizer::chat_format::gate_after,
};

/// Where a model's tensors come from. Names and shapes: [`super::param_specs`].
pub trait WeightSource {
    /// Why a tensor could not be had.
    type Error;
    /// A full-precision tensor.
    ///
    /// # Errors
    /// If it is missing or has another shape.
    fn floats(&mut self, name: &str, len: usize) -> Result<Vec<f32>, Self::Error>;
    /// A ternary matrix `[rows, cols]` in 2 bits, and one scale for each of its `parts`.
    ///
    /// # Errors
    /// As above.
    fn ternary(
        &mut self,
        name: &str,
        rows: usize,
        cols: usize,
        parts: usize,
    ) -> Result<TernaryMatrix, Self::Error>;
    /// int8 rows `[rows, cols]` and one scale for each row.
    ///
    /// # Errors
    /// As above.
    fn int8(
        &mut self,
        name: &str,
        rows: usize,
        cols: usize,
    ) -> Result<(Vec<i8>, Vec<f32>), Self::Error>;
}

/// A packed matrix; rows are equal parts with one scale each.
#[derive(Debug, Clone)]
pub struct TernaryMatrix {
    /// `[rows, cols / 4]` bytes, layout of `kernels::pack`.
    pub data: Vec<u8>,
    /// Absmean scale of each part.
    pub scales: Vec<f32>,
}

impl TernaryMatrix {
    /// `out = W · x · absmax / 127`.
    fn apply(&self, isa: Isa, x: &Activations, absmax: f32, sums: &mut Vec<i32>, out: &mut [f32]) {
        sums.resize(out.len(), 0);
        gemv_t2_i8(isa, &self.data, x, sums);
        let rows = out.len() / self.scales.len();
        for ((out, sums), scale) in out.chunks_mut(rows).zip(sums.chunks(rows)).zip(&self.scales) {
            let scale = scale * absmax / 127.0;
            for (o, s) in out.iter_mut().zip(sums) {
                *o = *s as f32 * scale;
            }
        }
    }
}

#[derive(Debug, Clone)]
struct Layer {
    ttt_norm: Vec<f32>,
    qkvg: TernaryMatrix,
    /// `[4, 3·H·D]`, oldest tap first.
    taps: Vec<f32>,
    gate_weight: Vec<f32>,
    gate_bias: Vec<f32>,
    head_norm: Vec<f32>,
    o_norm: Vec<f32>,
    o: TernaryMatrix,
    ffn_norm: Vec<f32>,
    up: TernaryMatrix,
    down_norm: Vec<f32>,
    down: TernaryMatrix,
}

/// What one layer has learned.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerState {
    /// Fast weights `[H, D, D]`, session heads first.
    pub fast: Vec<f32>,
    /// Last three inputs of the convolution `[3, 3·H·D]`, oldest first.
    pub conv: Vec<f32>,
}

/// Everything that reading changes.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelState {
    /// One for each layer.
    pub layers: Vec<LayerState>,
    /// A note is open: the lifelong heads learn.
    pub note: bool,
}

impl ModelState {
    /// Nothing learned.
    pub fn new(cfg: &ModelConfig) -> Self {
        let layer = LayerState {
            fast: vec![0.0; cfg.d_heads() * cfg.head_dim],
            conv: vec![0.0; 9 * cfg.d_heads()],
        };
        Self { layers: vec![layer; cfg.n_layers], note: false }
    }
}

/// Room for one token on its way through the stack. Holds nothing that lasts.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    norm: Vec<f32>,
    int8: Vec<i8>,
    acts: Activations,
    sums: Vec<i32>,
    qkvg: Vec<f32>,
    qkv: Vec<f32>,
    gates: Vec<f32>,
    o: Vec<f32>,
    y: Vec<f32>,
    up: Vec<f32>,
    delta: Vec<f32>,
}

/// A model ready to read: weights packed, nothing in it changes.
#[derive(Debug, Clone)]
pub struct PackedModel {
    cfg: ModelConfig,
    isa: Isa,
    /// `[V, C]`.
    embed: Vec<i8>,
    embed_scale: Vec<f32>,
    embed_norm: Vec<f32>,
    layers: Vec<Layer>,
    final_norm: Vec<f32>,
}

impl PackedModel {
    /// Takes all tensors of a model.
    ///
    /// # Errors
    /// The first error of the source.
    pub fn from_source<S: WeightSource>(
        cfg: &ModelConfig,
        isa: Isa,
        source: &mut S,
    ) -> Result<Self, S::Error> {
        let (c, hd, f, h) = (cfg.d_model, cfg.d_heads(), cfg.d_ff, cfg.n_heads());
        let (embed, embed_scale) = source.int8("embed", cfg.vocab_size, c)?;
        let embed_norm = source.floats("embed_norm", c)?;
        let mut layers = Vec::with_capacity(cfg.n_layers);
        for i in 0..cfg.n_layers {
            let p = |name: &str| format!("layers.{i}.{name}");
            let conv = source.floats(&p("ttt.conv"), 3 * hd * 4)?;
            layers.push(Layer {
                ttt_norm: source.floats(&p("ttt.norm"), c)?,
                qkvg: source.ternary(&p("ttt.qkvg"), 4 * hd, c, 4)?,
                taps: (0..conv.len()).map(|n| conv[n % (3 * hd) * 4 + n / (3 * hd)]).collect(),
                gate_weight: source.floats(&p("ttt.gate.weight"), 2 * h * c)?,
                gate_bias: source.floats(&p("ttt.gate.bias"), 2 * h)?,
                head_norm: source.floats(&p("ttt.head_norm"), cfg.head_dim)?,
                o_norm: source.floats(&p("ttt.o_norm"), hd)?,
                o: source.ternary(&p("ttt.o"), c, hd, 1)?,
                ffn_norm: source.floats(&p("ffn.norm"), c)?,
                up: source.ternary(&p("ffn.up"), f, c, 1)?,
                down_norm: source.floats(&p("ffn.down_norm"), f)?,
                down: source.ternary(&p("ffn.down"), c, f, 1)?,
            });
        }
        let final_norm = source.floats("final_norm", c)?;
        Ok(Self { cfg: cfg.clone(), isa, embed, embed_scale, embed_norm, layers, final_norm })
    }

    /// Shapes.
    pub fn config(&self) -> &ModelConfig {
        &self.cfg
    }

    /// Instruction set of its integer kernels.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Reads tokens; `state` learns from them. Returns the hidden state `[C]` after the last one, before the final norm.
    ///
    /// Goes layer by layer through the whole of `ids`, so that a layer's weights stay in the cache; the result is that of
    /// reading token by token, bit for bit.
    ///
    /// # Panics
    /// If `ids` is empty or an id is outside the vocabulary.
    pub fn forward(&self, ids: &[u32], state: &mut ModelState, s: &mut Scratch) -> Vec<f32> {
        let c = self.cfg.d_model;
        let mut open = Vec::with_capacity(ids.len());
        let mut xs = vec![0f32; ids.len() * c];
        s.norm.resize(c, 0.0);
        for (id, x) in ids.iter().zip(xs.chunks_exact_mut(c)) {
            state.note = gate_after(state.note, *id);
            open.push(state.note);
            let row = *id as usize;
            for (n, e) in s.norm.iter_mut().zip(&self.embed[row * c..(row + 1) * c]) {
                *n = f32::from(*e) * self.embed_scale[row];
            }
            float::rms_norm(&s.norm, &self.embed_norm, PreActivation::None, x);
        }
        for (layer, learned) in self.layers.iter().zip(&mut state.layers) {
            for (x, open) in xs.chunks_exact_mut(c).zip(&open) {
                self.ttt(layer, learned, *open, x, s);
                self.ffn(layer, x, s);
            }
        }
        xs.split_off(xs.len() - c)
    }

    /// `x += TTT(x, state)`.
    fn ttt(
        &self,
        layer: &Layer,
        learned: &mut LayerState,
        note_open: bool,
        x: &mut [f32],
        s: &mut Scratch,
    ) {
        let (hd, d, h) = (self.cfg.d_heads(), self.cfg.head_dim, self.cfg.n_heads());
        let absmax = norm_quantize(x, &layer.ttt_norm, PreActivation::None, s);
        s.qkvg.resize(4 * hd, 0.0);
        layer.qkvg.apply(self.isa, &s.acts, absmax, &mut s.sums, &mut s.qkvg);
        for (n, q) in s.norm.iter_mut().zip(&s.int8) {
            *n = f32::from(*q) * (absmax / 127.0);
        }
        s.gates.resize(2 * h, 0.0);
        float::gemv_f32(&layer.gate_weight, &s.norm, &layer.gate_bias, &mut s.gates);
        s.qkv.resize(3 * hd, 0.0);
        float::conv_silu_step(&s.qkvg[..3 * hd], &mut learned.conv, &layer.taps, &mut s.qkv);
        float::l2_normalize_rows(&mut s.qkv[..2 * hd], d);
        s.o.resize(hd, 0.0);
        for head in 0..h {
            let at = head * d..(head + 1) * d;
            let tau = self.cfg.session_tau_max.get(head).copied();
            let (eta, alpha) = float::gate_values(tau, s.gates[head], s.gates[h + head]);
            let closed = self.cfg.head_kind(head) == HeadKind::Lifelong && !note_open;
            float::ttt_step(
                (
                    &s.qkv[at.clone()],
                    &s.qkv[hd + at.start..hd + at.end],
                    &s.qkv[2 * hd + at.start..2 * hd + at.end],
                ),
                (if closed { 0.0 } else { eta }, alpha),
                &mut learned.fast[head * d * d..(head + 1) * d * d],
                &mut s.o[at],
            );
        }
        let mut y = std::mem::take(&mut s.y);
        y.resize(hd, 0.0);
        float::head_norm_gate_rows(&s.o, &s.qkvg[3 * hd..], &layer.head_norm, &mut y);
        let absmax = norm_quantize(&y, &layer.o_norm, PreActivation::None, s);
        s.y = y;
        s.delta.resize(x.len(), 0.0);
        layer.o.apply(self.isa, &s.acts, absmax, &mut s.sums, &mut s.delta);
        add(x, &s.delta);
    }

    /// `x += FFN(x)`.
    fn ffn(&self, layer: &Layer, x: &mut [f32], s: &mut Scratch) {
        let absmax = norm_quantize(x, &layer.ffn_norm, PreActivation::None, s);
        let mut up = std::mem::take(&mut s.up);
        up.resize(self.cfg.d_ff, 0.0);
        layer.up.apply(self.isa, &s.acts, absmax, &mut s.sums, &mut up);
        let absmax = norm_quantize(&up, &layer.down_norm, PreActivation::SquaredRelu, s);
        s.up = up;
        s.delta.resize(x.len(), 0.0);
        layer.down.apply(self.isa, &s.acts, absmax, &mut s.sums, &mut s.delta);
        add(x, &s.delta);
    }

    /// Logits `[V]` of a hidden state that [`PackedModel::forward`] gave.
    ///
    /// # Panics
    /// If `out` is not `V` long.
    pub fn logits(&self, hidden: &[f32], s: &mut Scratch, out: &mut [f32]) {
        assert_eq!(out.len(), self.cfg.vocab_size);
        s.norm.resize(hidden.len(), 0.0);
        float::rms_norm(hidden, &self.final_norm, PreActivation::None, &mut s.norm);
        float::gemv_i8_f32(&self.embed, &self.embed_scale, &s.norm, out);
    }
}

/// RMSNorm and int8 rounding into `s.int8` and `s.acts`; returns the absmax.
fn norm_quantize(x: &[f32], gain: &[f32], pre: PreActivation, s: &mut Scratch) -> f32 {
    s.norm.resize(x.len(), 0.0);
    s.int8.resize(x.len(), 0);
    float::rms_norm(x, gain, pre, &mut s.norm);
    let absmax = float::absmax(&s.norm);
    float::quantize_i8(&s.norm, absmax, &mut s.int8);
    s.acts.set(&s.int8);
    absmax
}

fn add(x: &mut [f32], delta: &[f32]) {
    for (x, d) in x.iter_mut().zip(delta) {
        *x += d;
    }
}

/// Ternary codes and scales of a full-precision matrix: `γ = max(mean|W|, 1e-5)` a part, `clip(round(W/γ), −1, 1)`.
pub fn ternarize(w: &[f32], parts: usize) -> TernaryMatrix {
    let mut data = Vec::with_capacity(w.len() / 4);
    let mut scales = Vec::with_capacity(parts);
    for part in w.chunks(w.len() / parts) {
        let gamma = absmean(part);
        let codes: Vec<i8> =
            part.iter().map(|v| (v / gamma).round().clamp(-1.0, 1.0) as i8).collect();
        data.extend(crate::kernels::pack::pack(&codes));
        scales.push(gamma);
    }
    TernaryMatrix { data, scales }
}

/// `max(mean |w|, 1e-5)`, summed in f64.
pub fn absmean(w: &[f32]) -> f32 {
    let sum: f64 = w.iter().map(|v| f64::from(v.abs())).sum();
    ((sum / w.len().max(1) as f64) as f32).max(QUANT_EPS)
}

/// int8 rows with a scale each: `round(w / scale)`, `scale = max(absmax, 1e-5) / 127`.
pub fn quantize_rows(w: &[f32], cols: usize) -> (Vec<i8>, Vec<f32>) {
    let scale = |row: &[f32]| float::absmax(row) / 127.0;
    let scales: Vec<f32> = w.chunks(cols).map(scale).collect();
    let data = w
        .chunks(cols)
        .zip(&scales)
        .flat_map(|(row, s)| row.iter().map(move |v| (v / s).round() as i8))
        .collect();
    (data, scales)
}
