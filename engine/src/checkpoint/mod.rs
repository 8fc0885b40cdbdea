//! Model folders: `config.json`, `tokenizer.json`, `model.safetensors`.
//!
//! In the tensors file, ternary matrices are u8 `[out, in / 4]` (layout: `kernels::pack`) with `NAME.scale` f32 `[parts]`,
//! the embedding is i8 `[V, C]` with `embed.scale` f32 `[V]`, everything else f32. Its metadata holds `format` (version),
//! `model_id` (first 16 hex digits of the SHA-256 of all tensors), and what the trainer had to say.

mod format;

use std::{collections::BTreeMap, path::Path};

pub use format::{FORMAT_VERSION, FullPrecision, export, full_precision};

use crate::{
    error::LoadError,
    kernels::Isa,
    model::{
        ModelConfig,
        packed::{PackedModel, TernaryMatrix, WeightSource, quantize_rows, ternarize},
        param_specs,
    },
    rng::Rng,
    tokenizer::Tokenizer,
};

/// How to load a brain.
#[derive(Debug, Clone, Default)]
pub struct BrainOptions {
    /// Compute threads; 0 chooses. The kernels use one for now.
    pub threads: usize,
    /// Instruction set; by default the fastest there is.
    pub isa: Option<Isa>,
}

/// A loaded model with its tokenizer.
#[derive(Debug)]
pub struct Brain {
    /// Shapes.
    pub config: ModelConfig,
    /// Text ↔ ids.
    pub tokenizer: Tokenizer,
    /// The weights.
    pub model: PackedModel,
    /// Hash of the tensors: a memory belongs to one id.
    pub id: String,
    /// Metadata of the tensors file.
    pub meta: BTreeMap<String, String>,
}

impl Brain {
    /// Loads a model folder.
    ///
    /// # Errors
    /// A file that is missing, damaged, of another version, or does not fit the others.
    pub fn load(dir: &Path, opts: &BrainOptions) -> Result<Self, LoadError> {
        let isa = opts.isa.unwrap_or_else(Isa::active);
        let folder = format::Folder::open(dir)?;
        let tokenizer = Tokenizer::load(&dir.join("tokenizer.json"))?;
        if tokenizer.vocab_size() != folder.config.vocab_size {
            let reason = format!(
                "{} tokens, the model has {}",
                tokenizer.vocab_size(),
                folder.config.vocab_size
            );
            return Err(LoadError::Format { path: dir.join("tokenizer.json"), reason });
        }
        let model = PackedModel::from_source(&folder.config, isa, &mut folder.source()?)?;
        Ok(Self { config: folder.config, tokenizer, model, id: folder.id, meta: folder.meta })
    }

    /// A brain of random weights with a tokenizer of single bytes: for tests and timing, it talks noise.
    pub fn random(cfg: &ModelConfig, seed: u64) -> Self {
        let mut source = RandomSource { cfg: cfg.clone(), rng: Rng::new(seed) };
        let model = match PackedModel::from_source(cfg, Isa::active(), &mut source) {
            Ok(model) => model,
            Err(never) => match never {},
        };
        let tokenizer = match Tokenizer::bytes_only(cfg.vocab_size) {
            Ok(tokenizer) => tokenizer,
            Err(error) => unreachable!("{error}: a preset has room for all bytes"),
        };
        Self {
            config: cfg.clone(),
            tokenizer,
            model,
            id: format!("{seed:016x}"),
            meta: BTreeMap::new(),
        }
    }
}

/// Weights drawn as a fresh model has them, roughly.
struct RandomSource {
    cfg: ModelConfig,
    rng: Rng,
}

impl RandomSource {
    fn noise(&mut self, n: usize, scale: f64) -> Vec<f32> {
        (0..n).map(|_| ((self.rng.unit() * 2.0 - 1.0) * scale) as f32).collect()
    }
}

impl WeightSource for RandomSource {
    type Error = std::convert::Infallible;

    fn floats(&mut self, name: &str, len: usize) -> Result<Vec<f32>, Self::Error> {
        debug_assert!(param_specs(&self.cfg).iter().any(|p| p.name == name));
        let around = if name.ends_with("norm") { 1.0 } else { 0.0 };
        Ok(self.noise(len, 0.3).into_iter().map(|v| v + around).collect())
    }

    fn ternary(
        &mut self,
        _: &str,
        rows: usize,
        cols: usize,
        parts: usize,
    ) -> Result<TernaryMatrix, Self::Error> {
        let w = self.noise(rows * cols, 1.7 / (cols as f64).sqrt());
        Ok(ternarize(&w, parts))
    }

    fn int8(
        &mut self,
        _: &str,
        rows: usize,
        cols: usize,
    ) -> Result<(Vec<i8>, Vec<f32>), Self::Error> {
        let w = self.noise(rows * cols, 0.05);
        Ok(quantize_rows(&w, cols))
    }
}
