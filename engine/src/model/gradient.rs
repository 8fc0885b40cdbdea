//! Loss and gradients of the stack by hand: the fast twin of `trainable.rs` under candle's autograd, CPU only.
//!
//! The batch is cut into a fixed number of small parts, which run side by side from the embedding to the loss and
//! back, each on one core and in its cache; their gradients are added in order, so that the result does not depend on
//! the number of threads. Ternary weights are rounded and laid out once a step. Same order of lines as `trainable.rs`.

use std::collections::BTreeMap;

use candle_core::{Result, Storage, Tensor};
use rayon::prelude::*;

use super::{
    ModelConfig, param_specs,
    trainable::{BatchState, ForwardOptions, TrainableModel, head_mask},
};
use crate::{
    kernels::training::{
        self as fused, Layout, OutputHead, Packed, PreActivation, ScanInput, ScanShape,
    },
    nn::weighted_cross_entropy,
};

/// About as many tokens make a part.
const PART_TOKENS: usize = 512;

/// The positions that are scored.
#[derive(Debug, Clone, Copy)]
pub struct Scored<'a> {
    /// Flat positions `b · T + t`, ascending.
    pub positions: &'a [u32],
    /// The tokens that come next there.
    pub targets: &'a [u32],
    /// Their weights; the loss is the weighted mean.
    pub weights: &'a [f32],
}

/// Gradients by parameter name, each as long as the parameter.
pub type Gradients = BTreeMap<String, Vec<f32>>;

/// A linear map `[out, in]`, laid out for `h · Wᵀ` and for `g · W`.
struct Linear {
    n_in: usize,
    n_out: usize,
    forward: Packed,
    back: Packed,
}

impl Linear {
    fn new(w: &[f32], n_out: usize, n_in: usize) -> Self {
        Self {
            n_in,
            n_out,
            forward: Packed::new((w, Layout::Transposed), n_in, n_out),
            back: Packed::new((w, Layout::Plain), n_out, n_in),
        }
    }

    fn apply(&self, h: &[f32]) -> Vec<f32> {
        let n = h.len() / self.n_in;
        let mut out = vec![0f32; n * self.n_out];
        self.forward.product(&mut out, n, (h, Layout::Plain), false);
        out
    }

    /// `out += h · Wᵀ`.
    fn apply_onto(&self, h: &[f32], out: &mut [f32]) {
        self.forward.product(out, h.len() / self.n_in, (h, Layout::Plain), true);
    }

    /// `dh (+)= g · W`.
    fn back(&self, g: &[f32], dh: &mut [f32], add: bool) {
        self.back.product(dh, g.len() / self.n_out, (g, Layout::Plain), add);
    }

    /// `gᵀ · h` into `dw [out, in]`.
    fn weight_gradient(&self, g: &[f32], h: &[f32], dw: &mut [f32]) {
        let n = h.len() / self.n_in;
        let sizes = (self.n_out, self.n_in, n);
        fused::matmul(dw, sizes, (g, Layout::Transposed), (h, Layout::Plain), false);
    }
}

/// The weights of a step as its products want them.
struct Prepared<'a> {
    params: BTreeMap<&'a str, &'a [f32]>,
    layers: &'a [LayerMaps],
    head: &'a OutputHead,
}

struct LayerMaps {
    /// Rows q, k and v of the stacked matrix.
    qkv: Linear,
    /// Its rows g.
    g: Linear,
    gate: Linear,
    o: Linear,
    up: Linear,
    down: Linear,
}

/// Lays the weights out; `round` rounds the masters of the ternary matrices.
fn lay_out(
    cfg: &ModelConfig,
    params: &BTreeMap<&str, &[f32]>,
    round: bool,
) -> (Vec<LayerMaps>, OutputHead) {
    let (c, hd, f, h) = (cfg.d_model, cfg.d_heads(), cfg.d_ff, cfg.n_heads());
    let layers = (0..cfg.n_layers)
        .into_par_iter()
        .map(|i| {
            let get = |name: &str| params[format!("layers.{i}.{name}").as_str()];
            let ternary = |name: &str, parts| {
                if round { fused::ternarize(get(name), parts) } else { get(name).to_vec() }
            };
            let stacked = ternary("ttt.qkvg", 4);
            let (qkv, g) = stacked.split_at(3 * hd * c);
            LayerMaps {
                qkv: Linear::new(qkv, 3 * hd, c),
                g: Linear::new(g, hd, c),
                gate: Linear::new(get("ttt.gate.weight"), 2 * h, c),
                o: Linear::new(&ternary("ttt.o", 1), c, hd),
                up: Linear::new(&ternary("ffn.up", 1), f, c),
                down: Linear::new(&ternary("ffn.down", 1), c, f),
            }
        })
        .collect();
    (layers, OutputHead::new(params["embed"], c))
}

impl<'a> Prepared<'a> {
    fn layer(&self, i: usize, name: &str) -> &'a [f32] {
        self.params[format!("layers.{i}.{name}").as_str()]
    }
}

/// What a part of the batch reads.
struct Part<'a> {
    ids: &'a [u32],
    rows: usize,
    tokens: usize,
    /// `[B, T, H]`.
    mask: &'a [f32],
    /// Per layer `[B, H, D, D]`.
    fast: Vec<&'a [f32]>,
    /// Per layer `[B, 3, 3·H·D]`.
    tail: Vec<&'a [f32]>,
    /// Flat positions inside the part.
    positions: Vec<u32>,
    targets: &'a [u32],
    /// Divided by the sum over the whole batch.
    weights: Vec<f32>,
}

/// What a layer keeps for its way back.
struct Kept {
    x: Vec<f32>,
    h: Vec<f32>,
    z: Vec<f32>,
    g: Vec<f32>,
    gates: Vec<f32>,
    o: Vec<f32>,
    y: Vec<f32>,
    hy: Vec<f32>,
    x_mid: Vec<f32>,
    h_mid: Vec<f32>,
    up: Vec<f32>,
    h_up: Vec<f32>,
}

struct PartResult {
    loss: f64,
    /// Empty if only the state's was wanted.
    gradients: Gradients,
    /// The state after it.
    fast: Vec<Vec<f32>>,
    tail: Vec<Vec<f32>>,
    /// Gradient of the fast weights before it, per layer `[B, H, D, D]`.
    d_fast: Vec<Vec<f32>>,
}

/// Whose gradient is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Weights,
    State,
}

/// Reads a segment and returns the weighted mean loss in nats and the gradient of every parameter; `state` is replaced
/// by the state after the segment. The value and the gradients of `trainable::forward` and
/// `nn::weighted_cross_entropy`, up to the order of additions.
///
/// `ids` is `[B · T]`, row-major; `eta_mask [B, H]` as there; `quantize == false` is the float reference model.
///
/// # Errors
/// Parameters that are not on the CPU.
pub fn loss_and_gradients(
    model: &TrainableModel,
    ids: &[u32],
    tokens: usize,
    state: &mut BatchState,
    eta_mask: Option<&[f32]>,
    scored: Scored<'_>,
    quantize: bool,
) -> Result<(f64, Gradients)> {
    let cfg = &model.config;
    let mask = head_mask(cfg, ids, tokens, &mut state.note_open, eta_mask);
    let flat = |all: &[Tensor]| -> Result<Vec<Vec<f32>>> {
        all.iter().map(|t| t.flatten_all()?.to_vec1::<f32>()).collect()
    };
    let (fast, tail) = (flat(&state.fast)?, flat(&state.tail)?);

    let guards: Vec<_> =
        model.params().iter().map(|(name, var)| (name, var.storage_and_layout())).collect();
    let mut params = BTreeMap::new();
    for (name, (storage, layout)) in &guards {
        let Storage::Cpu(cpu) = &**storage else { candle_core::bail!("{name} is not on the CPU") };
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("{name} is not contiguous")
        };
        params.insert(name.as_str(), &cpu.as_slice::<f32>()?[start..end]);
    }
    let (layers, head) = lay_out(cfg, &params, quantize);
    let weights = Prepared { params, layers: &layers, head: &head };
    let input = Input { ids, tokens, mask: &mask, fast: &fast, tail: &tail };
    let results = read(cfg, &weights, &input, scored, quantize, Of::Weights);
    drop(weights);

    for layer in 0..cfg.n_layers {
        let join = |pick: &dyn Fn(&PartResult) -> &[f32]| -> Vec<f32> {
            results.iter().flat_map(|r| pick(r).iter().copied()).collect()
        };
        let like = |v, t: &Tensor| Tensor::from_vec(v, t.shape(), t.device());
        state.fast[layer] = like(join(&|r| &r.fast[layer]), &state.fast[layer])?;
        state.tail[layer] = like(join(&|r| &r.tail[layer]), &state.tail[layer])?;
    }
    let loss = results.iter().map(|r| r.loss).sum();
    let mut results = results.into_iter().map(|r| r.gradients);
    let mut sum = results.next().unwrap_or_default();
    for other in results {
        sum.par_iter_mut().for_each(|(name, sum)| {
            for (s, g) in sum.iter_mut().zip(&other[name]) {
                *s += g;
            }
        });
    }
    Ok((loss, sum))
}

/// A batch and the memory that it starts from.
struct Input<'a> {
    ids: &'a [u32],
    tokens: usize,
    /// `[B, T, H]`.
    mask: &'a [f32],
    /// Per layer `[B, H, D, D]`.
    fast: &'a [Vec<f32>],
    /// Per layer `[B, 3, 3·H·D]`.
    tail: &'a [Vec<f32>],
}

/// Reads a batch in parts, side by side.
fn read(
    cfg: &ModelConfig,
    weights: &Prepared<'_>,
    input: &Input<'_>,
    scored: Scored<'_>,
    quantize: bool,
    of: Of,
) -> Vec<PartResult> {
    let Input { ids, tokens, .. } = *input;
    let (batch, h) = (ids.len() / tokens, cfg.n_heads());
    let (state_len, tail_len) = (h * cfg.head_dim * cfg.head_dim, 9 * cfg.d_heads());
    let total: f32 = scored.weights.iter().sum();
    let part_rows = (PART_TOKENS / tokens).clamp(1, batch.max(1));
    let parts: Vec<Part<'_>> = (0..batch)
        .step_by(part_rows)
        .map(|first| {
            let rows = part_rows.min(batch - first);
            let at = first * tokens..(first + rows) * tokens;
            let from = scored.positions.partition_point(|p| (*p as usize) < at.start);
            let to = scored.positions.partition_point(|p| (*p as usize) < at.end);
            Part {
                ids: &ids[at.clone()],
                rows,
                tokens,
                mask: &input.mask[at.start * h..at.end * h],
                fast: rows_of(input.fast, first, rows, state_len),
                tail: rows_of(input.tail, first, rows, tail_len),
                positions: scored.positions[from..to].iter().map(|p| p - at.start as u32).collect(),
                targets: &scored.targets[from..to],
                weights: scored.weights[from..to].iter().map(|w| w / total).collect(),
            }
        })
        .collect();
    parts.par_iter().map(|part| read_part(cfg, weights, part, quantize, of)).collect()
}

/// Rows `first..first + rows` of each layer's `[B, len]`.
fn rows_of(layers: &[Vec<f32>], first: usize, rows: usize, len: usize) -> Vec<&[f32]> {
    layers.iter().map(|l| &l[first * len..(first + rows) * len]).collect()
}

/// The weights of a brain in use, laid out once for gradients of its memory.
pub struct Frozen {
    config: ModelConfig,
    params: BTreeMap<String, Vec<f32>>,
    layers: Vec<LayerMaps>,
    head: OutputHead,
}

impl Frozen {
    /// From dequantized parameters (`checkpoint::full_precision`), all of [`param_specs`].
    pub fn new(config: ModelConfig, params: BTreeMap<String, Vec<f32>>) -> Self {
        let (layers, head) = lay_out(&config, &view(&params), false);
        Self { config, params, layers, head }
    }

    /// Reads rows that all start from the same fast weights, `fast` per layer `[H, D, D]`, with nothing in the
    /// convolutions, and returns the weighted mean loss in nats and its gradient with respect to `fast`. `ids` is
    /// `[B · T]`; no row may open a note.
    pub fn state_gradient(
        &self,
        ids: &[u32],
        tokens: usize,
        fast: &[&[f32]],
        scored: Scored<'_>,
    ) -> (f64, Vec<Vec<f32>>) {
        let cfg = &self.config;
        let batch = ids.len() / tokens;
        let mask = head_mask(cfg, ids, tokens, &mut vec![false; batch], None);
        let rows: Vec<Vec<f32>> = fast.iter().map(|l| l.repeat(batch)).collect();
        let tail = vec![vec![0f32; batch * 9 * cfg.d_heads()]; cfg.n_layers];
        let weights =
            Prepared { params: view(&self.params), layers: &self.layers, head: &self.head };
        let input = Input { ids, tokens, mask: &mask, fast: &rows, tail: &tail };
        let results = read(cfg, &weights, &input, scored, true, Of::State);
        let mut sum: Vec<Vec<f32>> = fast.iter().map(|l| vec![0f32; l.len()]).collect();
        for result in &results {
            for (sum, layer) in sum.iter_mut().zip(&result.d_fast) {
                layer.chunks_exact(sum.len()).for_each(|row| add_onto(sum, row));
            }
        }
        (results.iter().map(|r| r.loss).sum(), sum)
    }
}

impl std::fmt::Debug for Frozen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frozen").field("config", &self.config).finish_non_exhaustive()
    }
}

fn view(params: &BTreeMap<String, Vec<f32>>) -> BTreeMap<&str, &[f32]> {
    params.iter().map(|(name, values)| (name.as_str(), values.as_slice())).collect()
}

/// [`loss_and_gradients`] by candle: [`TrainableModel::forward`], the loss and its graph, on any device and in either
/// spelling.
///
/// # Errors
/// If a tensor operation fails.
pub fn by_candle(
    model: &TrainableModel,
    ids: &[u32],
    tokens: usize,
    state: &mut BatchState,
    eta_mask: Option<&[f32]>,
    scored: Scored<'_>,
    opts: &ForwardOptions,
) -> Result<(f64, Gradients)> {
    let hidden = model.forward(ids, tokens, state, eta_mask, opts)?;
    if scored.positions.is_empty() {
        return Ok((0.0, Gradients::new()));
    }
    let at = Tensor::from_slice(scored.positions, scored.positions.len(), model.device())?;
    let h = hidden.reshape((ids.len(), model.config.d_model))?.index_select(&at, 0)?;
    let loss = weighted_cross_entropy(
        &h,
        model.output_weights()?,
        scored.targets,
        scored.weights,
        opts.spelling,
    )?;
    let graph = loss.backward()?;
    let mut grads = Gradients::new();
    for (name, var) in model.params() {
        let Some(grad) = graph.get(var) else { candle_core::bail!("no gradient for {name}") };
        grads.insert(name.clone(), grad.flatten_all()?.to_vec1::<f32>()?);
    }
    Ok((f64::from(loss.to_scalar::<f32>()?), grads))
}

/// Rows `ids` of a table `[V, C]`.
fn gather(table: &[f32], ids: &[u32], c: usize) -> Vec<f32> {
    ids.iter().flat_map(|id| table[*id as usize * c..][..c].iter().copied()).collect()
}

/// Adds rows to the rows `ids` of a table.
fn scatter_add(table: &mut [f32], ids: &[u32], rows: &[f32], c: usize) {
    for (id, row) in ids.iter().zip(rows.chunks_exact(c)) {
        for (t, r) in table[*id as usize * c..][..c].iter_mut().zip(row) {
            *t += r;
        }
    }
}

/// One part of the batch, forward and back.
fn read_part(
    cfg: &ModelConfig,
    weights: &Prepared<'_>,
    part: &Part<'_>,
    quantize: bool,
    of: Of,
) -> PartResult {
    const NONE: PreActivation = PreActivation::None;
    const RELU2: PreActivation = PreActivation::SquaredRelu;
    let (c, hd) = (cfg.d_model, cfg.d_heads());
    let shape = ScanShape {
        batch: part.rows,
        tokens: part.tokens,
        session_tau_max: &cfg.session_tau_max,
        lifelong: cfg.n_lifelong_heads,
        head_dim: cfg.head_dim,
    };
    let quant = |x: &[f32], gain: &[f32], pre| fused::norm_quantize(x, gain, pre, quantize);

    // Forward.
    let embedded = gather(weights.params["embed"], part.ids, c);
    let mut x = fused::norm_quantize(&embedded, weights.params["embed_norm"], NONE, false);
    let mut kept: Vec<Kept> = Vec::with_capacity(cfg.n_layers);
    let (mut fast, mut tail) = (Vec::new(), Vec::new());
    for (i, maps) in weights.layers.iter().enumerate() {
        let p = |name: &str| weights.layer(i, name);
        let h = quant(&x, p("ttt.norm"), NONE);
        let (z, g, mut gates) = (maps.qkv.apply(&h), maps.g.apply(&h), maps.gate.apply(&h));
        let bias = p("ttt.gate.bias");
        for row in gates.chunks_exact_mut(bias.len()) {
            row.iter_mut().zip(bias).for_each(|(v, b)| *v += b);
        }
        let input = scan_input(&z, p("ttt.conv"), &gates, part, i);
        let (o, fast_after, tail_after) = fused::scan(&shape, &input);
        fast.push(fast_after);
        tail.push(tail_after);
        let y = fused::head_norm_gate(&o, &g, p("ttt.head_norm"));
        let hy = quant(&y, p("ttt.o_norm"), NONE);
        let mut x_mid = x.clone();
        maps.o.apply_onto(&hy, &mut x_mid);

        let h_mid = quant(&x_mid, p("ffn.norm"), NONE);
        let up = maps.up.apply(&h_mid);
        let h_up = quant(&up, p("ffn.down_norm"), RELU2);
        let mut x_next = x_mid.clone();
        maps.down.apply_onto(&h_up, &mut x_next);
        let x_before = std::mem::replace(&mut x, x_next);
        kept.push(Kept { x: x_before, h, z, g, gates, o, y, hy, x_mid, h_mid, up, h_up });
    }
    let hidden = fused::norm_quantize(&x, weights.params["final_norm"], NONE, false);

    // Back.
    let wanted = if of == Of::Weights { param_specs(cfg) } else { Vec::new() };
    let mut grads: Gradients = wanted
        .into_iter()
        .map(|spec| (spec.name, vec![0f32; spec.shape.iter().product()]))
        .collect();
    let mut take = |name: &str, i: Option<usize>| {
        let name = i.map_or_else(|| name.to_owned(), |i| format!("layers.{i}.{name}"));
        let grad = grads.get_mut(&name).map(std::mem::take).unwrap_or_default();
        (name, grad)
    };
    let mut done: Vec<(String, Vec<f32>)> = Vec::new();
    let mut d_fast: Vec<Vec<f32>> = Vec::with_capacity(cfg.n_layers);

    let (embed_name, mut d_embed) = take("embed", None);
    let scored = gather(&hidden, &part.positions, c);
    let of_embed = (of == Of::Weights).then_some(&mut d_embed[..]);
    let (loss, d_scored) =
        weights.head.cross_entropy(&scored, part.targets, &part.weights, of_embed);
    let mut d_hidden = vec![0f32; hidden.len()];
    scatter_add(&mut d_hidden, &part.positions, &d_scored, c);
    let (mut dx, d_gain) =
        fused::norm_quantize_backward(&x, weights.params["final_norm"], NONE, &d_hidden);
    done.push(("final_norm".into(), d_gain));

    for (i, (maps, k)) in weights.layers.iter().zip(&kept).enumerate().rev() {
        let p = |name: &str| weights.layer(i, name);
        let mut put =
            |name: &str, value: Vec<f32>| done.push((format!("layers.{i}.{name}"), value));
        let mut of_weights = |name: &str, map: &Linear, g: &[f32], h: &[f32]| {
            let (_, mut dw) = take(name, Some(i));
            if of == Of::Weights {
                map.weight_gradient(g, h, &mut dw);
            }
            dw
        };
        // x_next = x_mid + down(norm(relu²(up(norm(x_mid)))))
        put("ffn.down", of_weights("ffn.down", &maps.down, &dx, &k.h_up));
        let mut wide = vec![0f32; k.up.len()];
        maps.down.back(&dx, &mut wide, false);
        let (d_up, gain) = fused::norm_quantize_backward(&k.up, p("ffn.down_norm"), RELU2, &wide);
        put("ffn.down_norm", gain);
        put("ffn.up", of_weights("ffn.up", &maps.up, &d_up, &k.h_mid));
        let mut narrow = vec![0f32; dx.len()];
        maps.up.back(&d_up, &mut narrow, false);
        let (d_mid, gain) = fused::norm_quantize_backward(&k.x_mid, p("ffn.norm"), NONE, &narrow);
        put("ffn.norm", gain);
        add_onto(&mut dx, &d_mid);

        // x_mid = x + o(norm(head_norm_gate(scan, g)))
        put("ttt.o", of_weights("ttt.o", &maps.o, &dx, &k.hy));
        let mut d_hy = vec![0f32; k.y.len()];
        maps.o.back(&dx, &mut d_hy, false);
        let (d_y, gain) = fused::norm_quantize_backward(&k.y, p("ttt.o_norm"), NONE, &d_hy);
        put("ttt.o_norm", gain);
        let (d_o, d_g, gain) = fused::head_norm_gate_backward(&k.o, &k.g, p("ttt.head_norm"), &d_y);
        put("ttt.head_norm", gain);
        let input = scan_input(&k.z, p("ttt.conv"), &k.gates, part, i);
        let scan = fused::scan_backward(&shape, &input, &d_o);
        put("ttt.conv", scan.dconv);
        let n_gates = 2 * cfg.n_heads();
        let mut d_bias = vec![0f32; n_gates];
        for row in scan.dgates.chunks_exact(n_gates) {
            add_onto(&mut d_bias, row);
        }
        put("ttt.gate.bias", d_bias);
        put("ttt.gate.weight", of_weights("ttt.gate.weight", &maps.gate, &scan.dgates, &k.h));
        d_fast.push(scan.dstate);
        if of == Of::Weights {
            let (_, mut stacked) = take("ttt.qkvg", Some(i));
            let (d_qkv, d_gate_rows) = stacked.split_at_mut(3 * hd * c);
            maps.qkv.weight_gradient(&scan.dz, &k.h, d_qkv);
            maps.g.weight_gradient(&d_g, &k.h, d_gate_rows);
            done.push((format!("layers.{i}.ttt.qkvg"), stacked));
        }
        maps.qkv.back(&scan.dz, &mut narrow, false);
        maps.g.back(&d_g, &mut narrow, true);
        maps.gate.back(&scan.dgates, &mut narrow, true);
        let (d_x, gain) = fused::norm_quantize_backward(&k.x, p("ttt.norm"), NONE, &narrow);
        done.push((format!("layers.{i}.ttt.norm"), gain));
        add_onto(&mut dx, &d_x);
    }
    d_fast.reverse();
    if of == Of::State {
        return PartResult { loss, gradients: Gradients::new(), fast, tail, d_fast };
    }
    let (d_rows, gain) =
        fused::norm_quantize_backward(&embedded, weights.params["embed_norm"], NONE, &dx);
    done.push(("embed_norm".into(), gain));
    scatter_add(&mut d_embed, part.ids, &d_rows, c);
    done.push((embed_name, d_embed));
    PartResult { loss, gradients: done.into_iter().collect(), fast, tail, d_fast }
}

fn scan_input<'a>(
    z: &'a [f32],
    conv: &'a [f32],
    gates: &'a [f32],
    part: &Part<'a>,
    layer: usize,
) -> ScanInput<'a> {
    ScanInput { z, conv, gates, mask: part.mask, state: part.fast[layer], tail: part.tail[layer] }
}

fn add_onto(sum: &mut [f32], other: &[f32]) {
    for (s, v) in sum.iter_mut().zip(other) {
        *s += v;
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::{nn::Spelling, tokenizer::special};

    #[test]
    fn loss_gradients_and_state_equal_those_of_candle() {
        let cfg = ModelConfig {
            n_layers: 2,
            vocab_size: 128,
            ..ModelConfig::preset("nano").expect("nano")
        };
        let model = TrainableModel::new(&cfg, 3, &Device::Cpu).expect("model");
        let (batch, tokens) = (5, 40);
        let ids: Vec<u32> = (0..batch * tokens)
            .map(|i| if i % 37 == 5 { special::NOTE } else { 32 + (i * 53 % 90) as u32 })
            .collect();
        let positions: Vec<u32> = (0..(batch * tokens) as u32).step_by(3).collect();
        let targets: Vec<u32> = positions.iter().map(|p| 32 + p * 7 % 90).collect();
        let weights: Vec<f32> =
            positions.iter().map(|p| [1.0, 5.0, 2.0][*p as usize % 3]).collect();
        let mask: Vec<f32> =
            (0..batch * cfg.n_heads()).map(|i| if i == 1 { 0.0 } else { 1.0 }).collect();
        let mut slow_state = BatchState::zeros(&cfg, batch, &Device::Cpu).expect("state");
        let mut fast_state = slow_state.clone();
        // Twice, so that the second segment starts from a memory. Without rounding: a value on the border of two
        // steps may fall to either side.
        for _ in 0..2 {
            let opts = ForwardOptions {
                quantize: false,
                int8_embedding: false,
                spelling: Spelling::Plain,
            };
            let scored = Scored { positions: &positions, targets: &targets, weights: &weights };
            let (slow_loss, slow) =
                by_candle(&model, &ids, tokens, &mut slow_state, Some(&mask), scored, &opts)
                    .expect("slow");
            let (fast_loss, fast) = loss_and_gradients(
                &model,
                &ids,
                tokens,
                &mut fast_state,
                Some(&mask),
                scored,
                false,
            )
            .expect("fast");
            assert!((slow_loss - fast_loss).abs() < 1e-4);
            assert_eq!(fast.keys().collect::<Vec<_>>(), slow.keys().collect::<Vec<_>>());
            for (name, slow) in &slow {
                let size = slow.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
                for (a, b) in slow.iter().zip(&fast[name]) {
                    assert!((a - b).abs() < 2e-3 * size, "{name}: {a} {b}");
                }
            }
        }
        for (a, b) in slow_state.fast.iter().zip(&fast_state.fast) {
            assert!(crate::nn::testing::max_diff(a, b) < 1e-4);
        }
        for (a, b) in slow_state.tail.iter().zip(&fast_state.tail) {
            assert!(crate::nn::testing::max_diff(a, b) < 1e-4);
        }
        assert_eq!(slow_state.note_open, fast_state.note_open);
    }

    #[test]
    fn the_gradient_of_the_state_equals_finite_differences() {
        let cfg = ModelConfig {
            n_layers: 2,
            vocab_size: 128,
            ..ModelConfig::preset("nano").expect("nano")
        };
        let model = TrainableModel::new(&cfg, 3, &Device::Cpu).expect("model");
        let numbers = |v: &candle_core::Var| v.flatten_all().and_then(|v| v.to_vec1::<f32>());
        let params: BTreeMap<String, Vec<f32>> = model
            .params()
            .iter()
            .map(|(name, var)| (name.clone(), numbers(var).expect("numbers")))
            .collect();
        let (layers, head) = lay_out(&cfg, &view(&params), false);
        let weights = Prepared { params: view(&params), layers: &layers, head: &head };
        let (batch, tokens) = (2, 9);
        let ids: Vec<u32> = (0..batch * tokens).map(|i| 32 + (i * 53 % 90) as u32).collect();
        let scored =
            Scored { positions: &[3, 7, 12, 17], targets: &[40, 50, 60, 70], weights: &[1.0; 4] };
        let mask = vec![1f32; batch * tokens * cfg.n_heads()];
        let tail = vec![vec![0f32; batch * 9 * cfg.d_heads()]; 2];
        let n = cfg.n_heads() * cfg.head_dim * cfg.head_dim;
        let start: Vec<Vec<f32>> = (0..2)
            .map(|l| (0..batch * n).map(|i| ((i * 7 + l) % 13) as f32 * 0.01).collect())
            .collect();
        let run = |fast: &[Vec<f32>]| {
            let input = Input { ids: &ids, tokens, mask: &mask, fast, tail: &tail };
            // Without rounding, which has steps.
            read(&cfg, &weights, &input, scored, false, Of::State)
        };
        let grad = &run(&start)[0].d_fast;
        for layer in 0..2 {
            for at in [5, 1000, n - 3, n + 77, 2 * n - 50] {
                let moved = |by: f32| {
                    let mut fast = start.clone();
                    fast[layer][at] += by;
                    run(&fast)[0].loss
                };
                let slope = (moved(0.02) - moved(-0.02)) / 0.04;
                let g = f64::from(grad[layer][at]);
                assert!((slope - g).abs() < 2e-4 + 0.05 * slope.abs(), "{layer} {at}: {slope} {g}");
            }
        }
    }
}
