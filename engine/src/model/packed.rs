//! The model in use: ternary weights in tiles, int8 activations, the forward pass in the same order of lines as
//! `trainable.rs`.
//!
//! [`PackedModel`] is read-only and shared; what a talk changes is a [`ModelState`] of fixed size. A token costs the same
//! whatever was read before. Reading in chunks gives bit for bit what token by token gives: every value of a token is
//! computed by the same operations in the same order, and a chunk only takes the ternary codes apart once for all.

use super::{CONV_WIDTH, HeadKind, ModelConfig, QUANT_EPS};
use crate::{
    kernels::{
        Isa, Kernels, Pool,
        pack::{self, TILE_ROWS},
        scalar,
    },
    rng::Rng,
    tokenizer::{TokenId, chat_format::gate_after},
};

/// Most tokens that are read in one go.
pub const MAX_CHUNK: usize = 64;
/// Ternary multiply-adds from which a product is shared between threads: some ten microseconds of work.
const SHARE_FROM: usize = 1 << 20;
/// The same for the output head, which is slower per multiply-add.
const SHARE_HEAD_FROM: usize = 1 << 18;

/// What one layer remembers.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerState {
    /// Fast weights `[H, D, D]`, rows by key.
    pub fast: Vec<f32>,
    /// Last three inputs of the convolution `[3, 3·H·D]`, oldest first.
    pub conv: Vec<f32>,
}

/// What a model remembers: the only thing that grows older while it reads; its size never changes.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelState {
    /// One entry per layer.
    pub layers: Vec<LayerState>,
    /// A note is open: the lifelong heads may learn.
    pub note: bool,
}

impl ModelState {
    /// Nothing read yet.
    pub fn new(cfg: &ModelConfig) -> Self {
        let hd = cfg.d_heads();
        let layer = LayerState {
            fast: vec![0.0; hd * cfg.head_dim],
            conv: vec![0.0; (CONV_WIDTH - 1) * 3 * hd],
        };
        Self { layers: vec![layer; cfg.n_layers], note: false }
    }
}

/// A ternary matrix in tiles.
#[derive(Debug, Clone)]
pub(crate) struct Ternary {
    tiles: Vec<u8>,
    /// One scale for each of equal blocks of rows.
    scales: Vec<f32>,
    rows: usize,
    cols: usize,
}

impl Ternary {
    /// From packed rows `[rows, cols/4]`.
    pub(crate) fn new(packed: &[u8], cols: usize, scales: Vec<f32>) -> Self {
        Self { tiles: pack::tile(packed, cols), scales, rows: packed.len() * 4 / cols, cols }
    }
}

/// Weights of one block, named as in `param_specs`.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub(crate) ttt_norm: Vec<f32>,
    pub(crate) qkvg: Ternary,
    /// Taps `[4, 3·H·D]`: transposed from the file's `[3·H·D, 4]`.
    pub(crate) conv: Vec<f32>,
    pub(crate) gate_weight: Vec<f32>,
    pub(crate) gate_bias: Vec<f32>,
    pub(crate) head_norm: Vec<f32>,
    pub(crate) o_norm: Vec<f32>,
    pub(crate) o: Ternary,
    pub(crate) ffn_norm: Vec<f32>,
    pub(crate) up: Ternary,
    pub(crate) down_norm: Vec<f32>,
    pub(crate) down: Ternary,
}

/// Taps `[W, 4]` as `[4, W]`.
pub(crate) fn transposed_taps(conv: &[f32]) -> Vec<f32> {
    let w = conv.len() / CONV_WIDTH;
    (0..conv.len()).map(|n| conv[n % w * CONV_WIDTH + n / w]).collect()
}

/// Int8 rows of an embedding `[V, C]` and the scale of each, `max(absmax, eps) / 127`.
pub fn quantize_embedding(embed: &[f32], width: usize) -> (Vec<i8>, Vec<f32>) {
    let mut scales = Vec::with_capacity(embed.len() / width);
    let mut out = Vec::with_capacity(embed.len());
    for row in embed.chunks_exact(width) {
        let absmax = row.iter().fold(QUANT_EPS, |m, v| m.max(v.abs()));
        let scale = absmax * (1.0 / 127.0f64) as f32;
        out.extend(row.iter().map(|v| (v / scale).round().clamp(-127.0, 127.0) as i8));
        scales.push(scale);
    }
    (out, scales)
}

/// Where and how the arithmetic is done.
#[derive(Debug)]
pub(crate) struct Engine {
    kernels: Kernels,
    pool: Pool,
}

impl Engine {
    /// `threads` 0: as many as the processor has, at most four. `isa` `None`: the active one.
    pub(crate) fn new(threads: usize, isa: Option<Isa>) -> Result<Self, String> {
        let kernels = isa.map_or_else(|| Ok(Kernels::active()), Kernels::new)?;
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, |n| n.get().min(4)),
            n => n.min(256),
        };
        Ok(Self { kernels, pool: Pool::new(threads) })
    }

    /// `out[t] = w · x[t] · γ · step[t]`: `x [n, in]` int8, `out [n, rows]`.
    fn ternary(&self, w: &Ternary, x: &Quantized<'_>, acc: &mut Vec<i32>, out: &mut [f32]) {
        let n = x.sums.len();
        acc.resize(n * w.rows, 0);
        let group_bytes = w.cols * TILE_ROWS / 4;
        let job = |first: usize, acc: &mut [i32]| {
            let groups = acc.len() / (n * TILE_ROWS);
            self.kernels.tiles(
                &w.tiles[first * group_bytes..][..groups * group_bytes],
                x.q,
                x.sums,
                acc,
            );
        };
        if n * w.rows * w.cols >= SHARE_FROM {
            self.pool.split(acc, n * TILE_ROWS, job);
        } else {
            job(0, acc);
        }
        let part_rows = w.rows / w.scales.len();
        for (group, acc) in acc.chunks_exact(n * TILE_ROWS).enumerate() {
            let gamma = w.scales[group * TILE_ROWS / part_rows];
            for ((t, acc), step) in acc.chunks_exact(TILE_ROWS).enumerate().zip(x.steps) {
                let scale = gamma * step;
                let out = &mut out[t * w.rows + group * TILE_ROWS..][..TILE_ROWS];
                for (o, a) in out.iter_mut().zip(acc) {
                    *o = *a as f32 * scale;
                }
            }
        }
    }
}

/// Int8 activations `[n, in]` with the size of a step and the sum of each row.
struct Quantized<'a> {
    q: &'a [i8],
    steps: &'a [f32],
    sums: &'a [i32],
}

/// Buffers of one call.
#[derive(Default)]
struct Scratch {
    norm: Vec<f32>,
    q: Vec<i8>,
    steps: Vec<f32>,
    sums: Vec<i32>,
    acc: Vec<i32>,
    qkvg: Vec<f32>,
    gates: Vec<f32>,
    conv: Vec<f32>,
    heads: Vec<f32>,
    o: Vec<f32>,
    y: Vec<f32>,
    up: Vec<f32>,
}

impl Scratch {
    /// RMSNorm, `relu²` before it where asked, int8 rounding of every row of `x [n, width]`.
    fn quantize(&mut self, kernels: Kernels, x: &[f32], gain: &[f32], squared_relu: bool) {
        let width = gain.len();
        self.norm.clear();
        self.norm.extend_from_slice(x);
        self.q.resize(x.len(), 0);
        self.steps.clear();
        self.sums.clear();
        for (x, q) in self.norm.chunks_exact_mut(width).zip(self.q.chunks_exact_mut(width)) {
            let (step, sum) = kernels.norm_quantize(x, gain, squared_relu, q);
            self.steps.push(step);
            self.sums.push(sum);
        }
    }
}

/// Ternary model, read-only. Share it between talks and threads.
#[derive(Debug)]
pub struct PackedModel {
    pub(crate) config: ModelConfig,
    /// `[V, C]`
    pub(crate) embed: Vec<i8>,
    /// `[V]`
    pub(crate) embed_scale: Vec<f32>,
    pub(crate) embed_norm: Vec<f32>,
    pub(crate) layers: Vec<Layer>,
    pub(crate) final_norm: Vec<f32>,
    pub(crate) engine: Engine,
}

impl PackedModel {
    /// Shapes.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Instruction set in use.
    pub fn isa(&self) -> Isa {
        self.engine.kernels.isa()
    }

    /// Threads in use.
    pub fn threads(&self) -> usize {
        self.engine.pool.threads()
    }

    /// Bytes of all weights in memory.
    pub fn weight_bytes(&self) -> usize {
        let ternary = |w: &Ternary| w.tiles.len();
        let per_layer = |l: &Layer| {
            ternary(&l.qkvg)
                + ternary(&l.o)
                + ternary(&l.up)
                + ternary(&l.down)
                + 4 * (l.conv.len() + l.gate_weight.len())
        };
        self.embed.len()
            + 4 * self.embed_scale.len()
            + self.layers.iter().map(per_layer).sum::<usize>()
    }

    /// Reads one token; returns the hidden state `[C]` after it, which [`PackedModel::logits`] takes.
    ///
    /// An id outside of the vocabulary counts as id 0.
    pub fn forward_token(&self, id: TokenId, state: &mut ModelState) -> Vec<f32> {
        self.forward_chunk(&[id], state, &mut Scratch::default())
    }

    /// Reads tokens in chunks; returns the hidden states of all, `[T, C]`.
    pub fn forward_all(&self, ids: &[TokenId], state: &mut ModelState) -> Vec<f32> {
        let mut scratch = Scratch::default();
        let mut out = Vec::with_capacity(ids.len() * self.config.d_model);
        for chunk in ids.chunks(MAX_CHUNK) {
            out.extend(self.forward_chunk(chunk, state, &mut scratch));
        }
        out
    }

    /// Reads tokens in chunks; returns the hidden state `[C]` after the last, empty if there are none.
    pub fn forward_tokens(&self, ids: &[TokenId], state: &mut ModelState) -> Vec<f32> {
        let mut scratch = Scratch::default();
        let mut last = Vec::new();
        for chunk in ids.chunks(MAX_CHUNK) {
            last = self.forward_chunk(chunk, state, &mut scratch);
        }
        last.split_off(last.len().saturating_sub(self.config.d_model))
    }

    /// Logits `[V]` of a hidden state `[C]`.
    ///
    /// The normalized state is rounded to 14 bits, so that the product with the int8 embedding is exact on every
    /// processor.
    pub fn logits(&self, hidden: &[f32], out: &mut [f32]) {
        let c = self.config.d_model;
        let mut h = vec![0f32; c];
        self.engine.kernels.rms_norm(hidden, &self.final_norm, &mut h);
        let absmax = h.iter().fold(QUANT_EPS, |m, v| m.max(v.abs()));
        let (scale, step) = (scalar::HEAD_ACT_MAX / absmax, absmax / scalar::HEAD_ACT_MAX);
        let q: Vec<i16> = h.iter().map(|v| (v * scale).round() as i16).collect();
        let job = |first: usize, out: &mut [f32]| {
            let rows = first..first + out.len();
            self.engine.kernels.gemv_i8(&self.embed[rows.start * c..rows.end * c], &q, out);
            for (o, s) in out.iter_mut().zip(&self.embed_scale[rows]) {
                *o *= s * step;
            }
        };
        if out.len() * c >= SHARE_HEAD_FROM {
            self.engine.pool.split(out, 1, job)
        } else {
            job(0, out)
        }
    }

    /// Hidden states `[n, C]` of a chunk.
    fn forward_chunk(&self, ids: &[TokenId], state: &mut ModelState, s: &mut Scratch) -> Vec<f32> {
        let (cfg, engine, kernels) = (&self.config, &self.engine, self.engine.kernels);
        let (n, c, h, hd) = (ids.len(), cfg.d_model, cfg.n_heads(), cfg.d_heads());
        let mut note = Vec::with_capacity(n);
        let mut x = vec![0f32; n * c];
        let mut row = vec![0f32; c];
        for (id, x) in ids.iter().zip(x.chunks_exact_mut(c)) {
            let id = if (*id as usize) < cfg.vocab_size { *id } else { 0 };
            state.note = gate_after(state.note, id);
            note.push(state.note);
            let scale = self.embed_scale[id as usize];
            for (r, e) in row.iter_mut().zip(&self.embed[id as usize * c..][..c]) {
                *r = f32::from(*e) * scale;
            }
            kernels.rms_norm(&row, &self.embed_norm, x);
        }
        for (layer, memory) in self.layers.iter().zip(&mut state.layers) {
            s.quantize(kernels, &x, &layer.ttt_norm, false);
            s.qkvg.resize(n * 4 * hd, 0.0);
            let hq = Quantized { q: &s.q, steps: &s.steps, sums: &s.sums };
            engine.ternary(&layer.qkvg, &hq, &mut s.acc, &mut s.qkvg);
            s.gates.resize(n * 2 * h, 0.0);
            for (t, gates) in s.gates.chunks_exact_mut(2 * h).enumerate() {
                for (r, q) in row.iter_mut().zip(&s.q[t * c..][..c]) {
                    *r = f32::from(*q) * s.steps[t];
                }
                kernels.gemv_f32(&layer.gate_weight, &layer.gate_bias, &row, gates);
            }
            self.fast_weights(layer, memory, &note, s);
            s.quantize(kernels, &s.y.clone(), &layer.o_norm, false);
            s.up.resize(n * c.max(cfg.d_ff), 0.0);
            let hq = Quantized { q: &s.q, steps: &s.steps, sums: &s.sums };
            engine.ternary(&layer.o, &hq, &mut s.acc, &mut s.up[..n * c]);
            x.iter_mut().zip(&s.up).for_each(|(x, y)| *x += y);

            s.quantize(kernels, &x, &layer.ffn_norm, false);
            let hq = Quantized { q: &s.q, steps: &s.steps, sums: &s.sums };
            engine.ternary(&layer.up, &hq, &mut s.acc, &mut s.up[..n * cfg.d_ff]);
            let up = std::mem::take(&mut s.up);
            s.quantize(kernels, &up[..n * cfg.d_ff], &layer.down_norm, true);
            s.up = up;
            let hq = Quantized { q: &s.q, steps: &s.steps, sums: &s.sums };
            engine.ternary(&layer.down, &hq, &mut s.acc, &mut s.up[..n * c]);
            x.iter_mut().zip(&s.up).for_each(|(x, y)| *x += y);
        }
        x
    }

    /// Convolution, gates, delta rule, head norm and output gate of a chunk: `s.qkvg`, `s.gates` to `s.y [n, H·D]`.
    fn fast_weights(&self, layer: &Layer, memory: &mut LayerState, note: &[bool], s: &mut Scratch) {
        let (cfg, engine, kernels) = (&self.config, &self.engine, self.engine.kernels);
        let (n, h, d, hd) = (note.len(), cfg.n_heads(), cfg.head_dim, cfg.d_heads());
        let (w3, keep) = (3 * hd, CONV_WIDTH - 1);
        s.conv.resize(n * w3, 0.0);
        for (t, out) in s.conv.chunks_exact_mut(w3).enumerate() {
            let rows = std::array::from_fn(|j| match (t + j).checked_sub(keep) {
                None => &memory.conv[(t + j) * w3..][..w3],
                Some(at) => &s.qkvg[at * 4 * hd..][..w3],
            });
            kernels.conv_silu(&layer.conv, rows, out);
        }
        for j in 0..keep {
            match (n + j).checked_sub(keep) {
                None => memory.conv.copy_within((n + j) * w3..(n + j + 1) * w3, j * w3),
                Some(at) => {
                    memory.conv[j * w3..][..w3].copy_from_slice(&s.qkvg[at * 4 * hd..][..w3])
                }
            }
        }

        for t in s.conv.chunks_exact_mut(w3) {
            t[..2 * hd].chunks_exact_mut(d).for_each(|x| kernels.l2_normalize(x));
        }
        s.heads.resize(h * n * d, 0.0);
        let (conv, gates) = (&s.conv, &s.gates);
        let job = |first: usize, fast: &mut [f32], out: &mut [f32]| {
            for (i, (fast, out)) in
                fast.chunks_exact_mut(d * d).zip(out.chunks_exact_mut(n * d)).enumerate()
            {
                let head = first + i;
                for (t, o) in out.chunks_exact_mut(d).enumerate() {
                    let z = &conv[t * w3..][..w3];
                    let qkv = [0, 1, 2].map(|part| &z[part * hd + head * d..][..d]);
                    let (e, a) = (gates[t * 2 * h + head], gates[t * 2 * h + h + head]);
                    kernels.ttt_step(qkv, gate_values(cfg, head, note[t], e, a), fast, o);
                }
            }
        };
        if n * h * d * d * 8 >= SHARE_FROM {
            engine.pool.split2((&mut memory.fast, d * d), (&mut s.heads, n * d), job);
        } else {
            job(0, &mut memory.fast, &mut s.heads);
        }
        s.y.resize(n * hd, 0.0);
        s.o.resize(hd, 0.0);
        for (t, y) in s.y.chunks_exact_mut(hd).enumerate() {
            for (head, o) in s.o.chunks_exact_mut(d).enumerate() {
                o.copy_from_slice(&s.heads[(head * n + t) * d..][..d]);
            }
            let g = &s.qkvg[t * 4 * hd + w3..][..hd];
            kernels.head_norm_gate(&s.o, g, &layer.head_norm, y);
        }
    }

    /// Random weights of a given shape, for tests and timing; deterministic by seed.
    ///
    /// # Errors
    /// A sentence, if the configuration is wrong or the instruction set is not there.
    pub fn random(
        cfg: &ModelConfig,
        seed: u64,
        threads: usize,
        isa: Option<Isa>,
    ) -> Result<Self, String> {
        cfg.validate()?;
        let engine = Engine::new(threads, isa)?;
        let mut rng = Rng::new(seed);
        let (c, hd, h, f, s) =
            (cfg.d_model, cfg.d_heads(), cfg.n_heads(), cfg.d_ff, cfg.n_session_heads());
        let mut layers = Vec::with_capacity(cfg.n_layers);
        for _ in 0..cfg.n_layers {
            let mut matrix = |rows: usize, cols: usize, parts: usize| {
                let scale = 1.0 / (cols as f32 * 0.5).sqrt();
                Ternary::new(&random_codes(rows * cols / 4, &mut rng), cols, vec![scale; parts])
            };
            let (qkvg, o, up, down) =
                (matrix(4 * hd, c, 4), matrix(c, hd, 1), matrix(f, c, 1), matrix(c, f, 1));
            let mut conv = vec![0.1; 3 * hd * CONV_WIDTH];
            conv.chunks_exact_mut(CONV_WIDTH).for_each(|taps| taps[CONV_WIDTH - 1] = 0.8);
            let mut gate_bias = vec![0f32; 2 * h];
            gate_bias[h..h + s].fill(-3.0);
            layers.push(Layer {
                ttt_norm: vec![1.0; c],
                qkvg,
                conv: transposed_taps(&conv),
                gate_weight: (0..2 * h * c).map(|_| (rng.normal() * 0.02) as f32).collect(),
                gate_bias,
                head_norm: vec![1.0; cfg.head_dim],
                o_norm: vec![1.0; hd],
                o,
                ffn_norm: vec![1.0; c],
                up,
                down_norm: vec![1.0; f],
                down,
            });
        }
        let embed = (0..cfg.vocab_size * c).map(|_| (rng.next_u64() >> 56) as u8 as i8).collect();
        Ok(Self {
            config: cfg.clone(),
            embed,
            embed_scale: vec![0.02 / 74.0; cfg.vocab_size],
            embed_norm: vec![1.0; c],
            layers,
            final_norm: vec![1.0; c],
            engine,
        })
    }
}

/// Packed random codes: half zeros, a quarter each of −1 and 1.
fn random_codes(n_bytes: usize, rng: &mut Rng) -> Vec<u8> {
    let mut out = Vec::with_capacity(n_bytes + 8);
    while out.len() < n_bytes {
        let bits = rng.next_u64();
        // The code 3 does not exist; it becomes 1, which is the weight 0.
        let threes = bits & (bits >> 1) & 0x5555_5555_5555_5555;
        out.extend_from_slice(&(bits ^ (threes << 1)).to_le_bytes());
    }
    out.truncate(n_bytes);
    out
}

/// Step size and decay of a head from its gate outputs. MEMORY.md §1.4.
fn gate_values(cfg: &ModelConfig, head: usize, note: bool, e: f32, a: f32) -> (f32, f32) {
    match cfg.head_kind(head) {
        HeadKind::Session => {
            (scalar::sigmoid(e), (-scalar::softplus(a) - 1.0 / cfg.session_tau_max[head]).exp())
        }
        HeadKind::Lifelong if note => ((1.2 * scalar::sigmoid(e) - 0.1).clamp(0.0, 1.0), 1.0),
        HeadKind::Lifelong => (0.0, 1.0),
    }
}
