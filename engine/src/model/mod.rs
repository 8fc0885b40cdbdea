//! The shape of a Bit-TTT model: configuration, presets, parameter names.
//!
//! [`ModelConfig`] is the one description that the differentiable twin (`trainable`), the packed model (`packed`)
//! and the memory file agree on. This file holds no weights and does no arithmetic.
//!
//! Dimension letters: `B` batch, `T` tokens, `C` model width, `H` heads, `D` head width, `F` feed-forward width,
//! `V` vocabulary.

#[cfg(feature = "train")]
pub mod gradient;
pub mod packed;
#[cfg(feature = "train")]
pub mod trainable;

use serde::{Deserialize, Serialize};

/// Taps of the causal depthwise convolution in front of q, k and v.
pub const CONV_WIDTH: usize = 4;
/// `eps` of every RMSNorm over the model width.
pub const NORM_EPS: f32 = 1e-6;
/// `eps` of the per-head RMSNorm of a read: large, so that the small answer of an unknown key stays small.
pub const HEAD_NORM_EPS: f32 = 1e-2;
/// `eps` of the L2 normalisation of queries and keys.
pub const QK_NORM_EPS: f32 = 1e-6;
/// Smallest absmean scale of a ternary matrix, and smallest absmax of an activation row.
pub const QUANT_EPS: f32 = 1e-5;

/// What a head of the fast-weight layer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeadKind {
    /// Forgets with a learned decay whose time constant is capped; holds the talk of the moment.
    Session,
    /// Never decays and learns only inside a note; holds what must last.
    Lifelong,
}

/// Everything that fixes the shapes and the arithmetic of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// `V`: entries of the vocabulary. Multiple of 64.
    pub vocab_size: usize,
    /// `C`: model width. Multiple of 64.
    pub d_model: usize,
    /// Number of blocks, each a fast-weight layer and a feed-forward layer.
    pub n_layers: usize,
    /// `D`: width of a head, for keys and values alike. Multiple of 16; `H · D` is a multiple of 64.
    pub head_dim: usize,
    /// `F`: feed-forward width. Multiple of 64.
    pub d_ff: usize,
    /// Longest time constant in tokens of each session head; its length is the number of session heads.
    /// Session heads come first, lifelong heads last.
    pub session_tau_max: Vec<f32>,
    /// Number of lifelong heads.
    pub n_lifelong_heads: usize,
    /// Tokens of a chunk in the chunkwise form. Power of two.
    pub chunk_len: usize,
}

impl ModelConfig {
    /// `H`: heads of a layer, session heads first.
    pub fn n_heads(&self) -> usize {
        self.session_tau_max.len() + self.n_lifelong_heads
    }

    /// Number of session heads.
    pub fn n_session_heads(&self) -> usize {
        self.session_tau_max.len()
    }

    /// `H · D`.
    pub fn d_heads(&self) -> usize {
        self.n_heads() * self.head_dim
    }

    /// Kind of head `head_idx`.
    pub fn head_kind(&self, head_idx: usize) -> HeadKind {
        if head_idx < self.n_session_heads() { HeadKind::Session } else { HeadKind::Lifelong }
    }

    /// Number of parameters, the tied embedding counted once.
    pub fn n_params(&self) -> usize {
        let (c, hd, f) = (self.d_model, self.d_heads(), self.d_ff);
        let ttt = 4 * hd * c
            + c * hd
            + c
            + hd
            + self.head_dim
            + 3 * hd * CONV_WIDTH
            + 2 * self.n_heads() * (c + 1);
        let ffn = 2 * c * f + c + f;
        self.vocab_size * c + self.n_layers * (ttt + ffn) + 2 * c
    }

    /// Number of ternary weights.
    pub fn n_ternary(&self) -> usize {
        self.n_layers * (5 * self.d_heads() * self.d_model + 2 * self.d_model * self.d_ff)
    }

    /// Checks that the numbers fit each other.
    ///
    /// # Errors
    /// A sentence that names the field and what it must be.
    pub fn validate(&self) -> Result<(), String> {
        let rule =
            |ok: bool, text: &str| if ok { Ok(()) } else { Err(format!("model config: {text}")) };
        let range = |v: usize, lo: usize, hi: usize| v >= lo && v <= hi;
        rule(
            range(self.vocab_size, 64, 1 << 20) && self.vocab_size.is_multiple_of(64),
            "vocab_size must be a multiple of 64, 64 to 2^20",
        )?;
        rule(
            range(self.d_model, 64, 1 << 14) && self.d_model.is_multiple_of(64),
            "d_model must be a multiple of 64, 64 to 16384",
        )?;
        rule(
            range(self.d_ff, 64, 1 << 16) && self.d_ff.is_multiple_of(64),
            "d_ff must be a multiple of 64, 64 to 65536",
        )?;
        rule(range(self.n_layers, 1, 256), "n_layers must be 1 to 256")?;
        rule(
            range(self.head_dim, 16, 256) && self.head_dim.is_multiple_of(16),
            "head_dim must be a multiple of 16, 16 to 256",
        )?;
        rule(
            range(self.n_heads(), 1, 256) && self.d_heads().is_multiple_of(64),
            "heads times head_dim must be a multiple of 64, at most 256 heads",
        )?;
        rule(
            self.session_tau_max.iter().all(|t| t.is_finite() && *t >= 1.0),
            "session_tau_max must be at least 1 token",
        )?;
        rule(
            self.chunk_len.is_power_of_two() && range(self.chunk_len, 2, 128),
            "chunk_len must be a power of two, 2 to 128",
        )
    }

    /// A named preset: `nano`, `small`, `base`, `large` for use, `bench-30m` … `bench-8b` (random weights) for timing.
    ///
    /// The dial is the width; depth, heads and feed-forward width follow from it.
    pub fn preset(name: &str) -> Option<Self> {
        // (vocabulary, width, layers, session time constants, lifelong heads, head width)
        let (v, c, l, tau, lifelong, d): (_, _, _, &[f32], _, _) = match name {
            "nano" => (2048, 128, 4, &[32.0, 256.0], 2, 32),
            "small" => (8192, 256, 4, &[32.0, 256.0], 2, 64),
            "base" => (8192, 384, 6, &[32.0, 32.0, 512.0], 3, 64),
            "large" => (8192, 512, 9, &[32.0, 32.0, 256.0, 1024.0], 4, 64),
            "bench-30m" => (8192, 512, 12, &[32.0; 4], 4, 64),
            "bench-125m" => (8192, 1024, 13, &[32.0; 8], 8, 64),
            "bench-700m" => (8192, 2048, 18, &[32.0; 16], 16, 64),
            "bench-2b" => (8192, 2560, 33, &[32.0; 20], 20, 64),
            "bench-8b" => (8192, 4096, 52, &[32.0; 32], 32, 64),
            _ => return None,
        };
        Some(Self {
            vocab_size: v,
            d_model: c,
            n_layers: l,
            head_dim: d,
            d_ff: 3 * c,
            session_tau_max: tau.to_vec(),
            n_lifelong_heads: lifelong,
            chunk_len: 32,
        })
    }

    /// Names that [`ModelConfig::preset`] knows, smallest first.
    pub const PRESETS: [&'static str; 9] = [
        "nano",
        "small",
        "base",
        "large",
        "bench-30m",
        "bench-125m",
        "bench-700m",
        "bench-2b",
        "bench-8b",
    ];
}

/// Parameter names and shapes, in file order. Module paths, checkpoint names and these are equal.
///
/// Ternary (`ternary == true`) matrices are `[out, in]`; the parts of a stacked matrix (`q|k|v|g`) have one scale each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamSpec {
    /// Full name, for example `layers.3.ttt.qkvg`.
    pub name: String,
    /// Shape, row-major.
    pub shape: Vec<usize>,
    /// `Some(n)`: a ternary matrix whose rows are `n` equal parts with a scale each. `None`: full precision.
    pub ternary_parts: Option<usize>,
}

/// All parameters of a model of this shape, in order.
pub fn param_specs(cfg: &ModelConfig) -> Vec<ParamSpec> {
    let (c, hd, f, h) = (cfg.d_model, cfg.d_heads(), cfg.d_ff, cfg.n_heads());
    let mut out = Vec::new();
    let mut add = |name: String, shape: Vec<usize>, ternary_parts: Option<usize>| {
        out.push(ParamSpec { name, shape, ternary_parts });
    };
    add("embed".into(), vec![cfg.vocab_size, c], None);
    add("embed_norm".into(), vec![c], None);
    for i in 0..cfg.n_layers {
        add(format!("layers.{i}.ttt.norm"), vec![c], None);
        add(format!("layers.{i}.ttt.qkvg"), vec![4 * hd, c], Some(4));
        add(format!("layers.{i}.ttt.conv"), vec![3 * hd, CONV_WIDTH], None);
        add(format!("layers.{i}.ttt.gate.weight"), vec![2 * h, c], None);
        add(format!("layers.{i}.ttt.gate.bias"), vec![2 * h], None);
        add(format!("layers.{i}.ttt.head_norm"), vec![cfg.head_dim], None);
        add(format!("layers.{i}.ttt.o_norm"), vec![hd], None);
        add(format!("layers.{i}.ttt.o"), vec![c, hd], Some(1));
        add(format!("layers.{i}.ffn.norm"), vec![c], None);
        add(format!("layers.{i}.ffn.up"), vec![f, c], Some(1));
        add(format!("layers.{i}.ffn.down_norm"), vec![f], None);
        add(format!("layers.{i}.ffn.down"), vec![c, f], Some(1));
    }
    add("final_norm".into(), vec![c], None);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_valid_and_counts_its_parameters() {
        for name in ModelConfig::PRESETS {
            let cfg = ModelConfig::preset(name).expect(name);
            cfg.validate().expect(name);
            let counted: usize =
                param_specs(&cfg).iter().map(|p| p.shape.iter().product::<usize>()).sum();
            assert_eq!(counted, cfg.n_params(), "{name}");
            eprintln!(
                "{name}: {:.2} M parameters, {:.2} M ternary",
                counted as f64 / 1e6,
                cfg.n_ternary() as f64 / 1e6
            );
        }
    }
}
