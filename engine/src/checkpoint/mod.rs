//! Model folders: `config.json`, `tokenizer.json`, `model.safetensors`.
//!
//! [`export`] turns full-precision parameters into a folder, [`Brain::load`] turns a folder into a model in use,
//! [`full_precision`] rebuilds dequantized parameters. A folder may come from anywhere: every size, type and value is
//! checked before it is used, and an error names the file and what is wrong with it.

mod format;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use format::{ModelFile, le_bytes, wrong};

use crate::{
    error::LoadError,
    kernels::{Isa, pack},
    model::{
        ModelConfig, QUANT_EPS,
        packed::{Engine, Layer, PackedModel, Ternary, quantize_embedding, transposed_taps},
        param_specs,
    },
    tokenizer::Tokenizer,
};

/// Name of the weights in a model folder.
pub const MODEL_FILE: &str = "model.safetensors";
/// Name of the configuration in a model folder.
pub const CONFIG_FILE: &str = "config.json";
/// Name of the tokenizer in a model folder.
pub const TOKENIZER_FILE: &str = "tokenizer.json";
/// Largest `config.json` that is read, in bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 16;

/// How a brain uses the processor.
#[derive(Debug, Clone, Copy, Default)]
pub struct BrainOptions {
    /// Threads of a forward pass; 1 = the caller only, 0 = as many as there are, at most four.
    pub threads: usize,
    /// Instruction set; `None` = the fastest, or what `COMPANION_ISA` says.
    pub isa: Option<Isa>,
}

/// A model in use, with its tokenizer. Read-only; share it in an `Arc`.
#[derive(Debug)]
pub struct Brain {
    /// Shapes.
    pub config: ModelConfig,
    /// Text to ids.
    pub tokenizer: Tokenizer,
    /// Weights.
    pub model: PackedModel,
    /// 16 hex digits; memory files belong to one id.
    pub id: String,
    /// What the export noted.
    pub meta: BTreeMap<String, String>,
    /// The folder that it was loaded from.
    pub dir: Option<PathBuf>,
}

impl Brain {
    /// Loads a model folder.
    ///
    /// # Errors
    /// [`LoadError`] with the file and the reason: missing, damaged, of another format, or an instruction set that this
    /// processor lacks.
    pub fn load(dir: &Path, opts: &BrainOptions) -> Result<Self, LoadError> {
        let config = load_config(dir)?;
        let tokenizer = load_tokenizer(dir, &config)?;
        let path = dir.join(MODEL_FILE);
        let bytes = read_model_bytes(&path, &config)?;
        let file = ModelFile::read(&bytes, &config).map_err(|reason| wrong(&path, reason))?;
        let engine = Engine::new(opts.threads, opts.isa).map_err(|reason| wrong(dir, reason))?;
        let model = packed_model(&config, &file, engine);
        let dir = Some(dir.to_owned());
        Ok(Self { config, tokenizer, model, id: file.id, meta: file.meta, dir })
    }

    /// Random weights and a tokenizer of single bytes, one thread; for tests and timing.
    ///
    /// # Panics
    /// If the configuration is wrong or its vocabulary is below 320.
    pub fn random(cfg: &ModelConfig, seed: u64) -> Self {
        Self::random_with(cfg, seed, &BrainOptions { threads: 1, isa: None })
    }

    /// [`Brain::random`] with options.
    ///
    /// # Panics
    /// As [`Brain::random`], and if the instruction set is not there.
    pub fn random_with(cfg: &ModelConfig, seed: u64, opts: &BrainOptions) -> Self {
        let model = PackedModel::random(cfg, seed, opts.threads, opts.isa);
        let tokenizer = Tokenizer::bytes_only(cfg.vocab_size);
        match (model, tokenizer) {
            (Ok(model), Ok(tokenizer)) => Self {
                config: cfg.clone(),
                tokenizer,
                model,
                id: format!("{seed:016x}"),
                meta: BTreeMap::new(),
                dir: None,
            },
            (Err(reason), _) => panic!("random model: {reason}"),
            (_, Err(error)) => panic!("random model: {error}"),
        }
    }
}

fn load_config(dir: &Path) -> Result<ModelConfig, LoadError> {
    let path = dir.join(CONFIG_FILE);
    let n_bytes = file_size(&path)?;
    if n_bytes > MAX_CONFIG_BYTES {
        let reason = format!("{n_bytes} bytes, a configuration has at most {MAX_CONFIG_BYTES}");
        return Err(wrong(&path, reason));
    }
    let bytes = fs::read(&path).map_err(|source| io(&path, source))?;
    let config: ModelConfig =
        serde_json::from_slice(&bytes).map_err(|e| wrong(&path, e.to_string()))?;
    config.validate().map_err(|reason| wrong(&path, reason))?;
    Ok(config)
}

fn load_tokenizer(dir: &Path, config: &ModelConfig) -> Result<Tokenizer, LoadError> {
    let path = dir.join(TOKENIZER_FILE);
    let tokenizer = Tokenizer::load(&path)?;
    if tokenizer.vocab_size() == config.vocab_size {
        return Ok(tokenizer);
    }
    let (found, want) = (tokenizer.vocab_size(), config.vocab_size);
    Err(wrong(&path, format!("{found} tokens, the model has {want}")))
}

fn file_size(path: &Path) -> Result<u64, LoadError> {
    let data = fs::metadata(path).map_err(|source| io(path, source))?;
    if data.is_file() { Ok(data.len()) } else { Err(wrong(path, "not a file")) }
}

fn read_model_bytes(path: &Path, config: &ModelConfig) -> Result<Vec<u8>, LoadError> {
    let (n_bytes, most) = (file_size(path)?, format::max_file_bytes(config));
    if n_bytes > most {
        return Err(wrong(path, format!("{n_bytes} bytes, this model has at most {most}")));
    }
    fs::read(path).map_err(|source| io(path, source))
}

fn io(path: &Path, source: std::io::Error) -> LoadError {
    LoadError::Io { path: path.into(), source }
}

fn packed_model(cfg: &ModelConfig, file: &ModelFile<'_>, engine: Engine) -> PackedModel {
    let (c, hd, f) = (cfg.d_model, cfg.d_heads(), cfg.d_ff);
    let layers = (0..cfg.n_layers)
        .map(|i| {
            let f32s = |name: &str| file.f32s(&format!("layers.{i}.{name}"));
            let ternary = |name: &str, cols: usize| {
                let packed = file.bytes(&format!("layers.{i}.{name}"));
                Ternary::new(packed, cols, f32s(&format!("{name}.scale")))
            };
            Layer {
                ttt_norm: f32s("ttt.norm"),
                qkvg: ternary("ttt.qkvg", c),
                conv: transposed_taps(&f32s("ttt.conv")),
                gate_weight: f32s("ttt.gate.weight"),
                gate_bias: f32s("ttt.gate.bias"),
                head_norm: f32s("ttt.head_norm"),
                o_norm: f32s("ttt.o_norm"),
                o: ternary("ttt.o", hd),
                ffn_norm: f32s("ffn.norm"),
                up: ternary("ffn.up", c),
                down_norm: f32s("ffn.down_norm"),
                down: ternary("ffn.down", f),
            }
        })
        .collect();
    PackedModel {
        config: cfg.clone(),
        embed: file.i8s("embed"),
        embed_scale: file.f32s("embed.scale"),
        embed_norm: file.f32s("embed_norm"),
        layers,
        final_norm: file.f32s("final_norm"),
        engine,
    }
}

/// Scale and packed codes of one part of a ternary matrix: `γ = max(mean|w|, eps)`, `clip(round(w / γ), −1, 1)`.
fn ternarize(part: &[f32]) -> (f32, Vec<u8>) {
    let sum: f64 = part.iter().map(|v| f64::from(v.abs())).sum();
    let gamma = ((sum / part.len().max(1) as f64) as f32).max(QUANT_EPS);
    let codes: Vec<i8> = part.iter().map(|v| (v / gamma).round().clamp(-1.0, 1.0) as i8).collect();
    (gamma, pack::pack(&codes))
}

/// Quantizes full-precision parameters and writes a model folder; what is there is replaced. Returns the model id.
///
/// `params` gives the values of each name of [`param_specs`], row-major. The weights are written last and under another
/// name first, so that a cut export leaves no model file that looks whole.
///
/// # Errors
/// [`LoadError`] if a parameter has the wrong length or a value that is not finite, the tokenizer does not fit, or
/// writing fails.
pub fn export(
    dir: &Path,
    cfg: &ModelConfig,
    tokenizer: &Tokenizer,
    params: &dyn Fn(&str) -> Vec<f32>,
    meta: &BTreeMap<String, String>,
) -> Result<String, LoadError> {
    cfg.validate().map_err(|reason| wrong(dir, reason))?;
    if tokenizer.vocab_size() != cfg.vocab_size {
        let (found, want) = (tokenizer.vocab_size(), cfg.vocab_size);
        return Err(wrong(dir, format!("tokenizer of {found} tokens for a model of {want}")));
    }
    let mut tensors = BTreeMap::new();
    for spec in param_specs(cfg) {
        let values = params(&spec.name);
        let want: usize = spec.shape.iter().product();
        if values.len() != want {
            return Err(wrong(
                dir,
                format!("{} has {} values, expected {want}", spec.name, values.len()),
            ));
        }
        if let Some(v) = values.iter().find(|v| !v.is_finite()) {
            return Err(wrong(dir, format!("{} has the value {v}", spec.name)));
        }
        let scale_name = format!("{}.scale", spec.name);
        match spec.ternary_parts {
            Some(parts) => {
                let (mut scales, mut packed) = (Vec::new(), Vec::new());
                for part in values.chunks_exact(values.len() / parts) {
                    let (gamma, codes) = ternarize(part);
                    scales.push(gamma);
                    packed.extend(codes);
                }
                tensors.insert(scale_name, le_bytes(&scales));
                tensors.insert(spec.name, packed);
            }
            None if spec.name == "embed" => {
                let (rows, scales) = quantize_embedding(&values, cfg.d_model);
                tensors.insert(scale_name, le_bytes(&scales));
                tensors.insert(spec.name, rows.iter().map(|v| *v as u8).collect());
            }
            None => {
                tensors.insert(spec.name, le_bytes(&values));
            }
        }
    }
    let path = dir.join(MODEL_FILE);
    let (file, id) = format::write(cfg, &tensors, meta).map_err(|reason| wrong(&path, reason))?;
    ModelFile::read(&file, cfg).map_err(|reason| wrong(&path, reason))?;
    let json = serde_json::to_string_pretty(cfg).map_err(|e| wrong(dir, e.to_string()))?;
    fs::create_dir_all(dir).map_err(|source| io(dir, source))?;
    let write =
        |path: PathBuf, bytes: &[u8]| fs::write(&path, bytes).map_err(|source| io(&path, source));
    write(dir.join(CONFIG_FILE), json.as_bytes())?;
    tokenizer.save(&dir.join(TOKENIZER_FILE))?;
    let unfinished = dir.join(format!("{MODEL_FILE}.part"));
    write(unfinished.clone(), &file)?;
    fs::rename(&unfinished, &path).map_err(|source| io(&path, source))?;
    Ok(id)
}

/// Parameters of a model folder as plain `f32`, quantized values multiplied out.
#[derive(Debug, Clone)]
pub struct FullPrecision {
    /// Shapes.
    pub config: ModelConfig,
    /// Values of each name of [`param_specs`], row-major.
    pub tensors: BTreeMap<String, Vec<f32>>,
}

/// Reads a model folder back into full-precision parameters, the quantized ones as the model in use sees them.
///
/// # Errors
/// As [`Brain::load`].
pub fn full_precision(dir: &Path) -> Result<FullPrecision, LoadError> {
    let config = load_config(dir)?;
    let path = dir.join(MODEL_FILE);
    let bytes = read_model_bytes(&path, &config)?;
    let file = ModelFile::read(&bytes, &config).map_err(|reason| wrong(&path, reason))?;
    let mut tensors = BTreeMap::new();
    for spec in param_specs(&config) {
        let scales = || file.f32s(&format!("{}.scale", spec.name));
        let values = match spec.ternary_parts {
            Some(_) => multiplied(&pack::unpack(file.bytes(&spec.name)), &scales()),
            None if spec.name == "embed" => multiplied(&file.i8s("embed"), &scales()),
            None => file.f32s(&spec.name),
        };
        tensors.insert(spec.name, values);
    }
    Ok(FullPrecision { config, tensors })
}

/// Equal blocks of `values` times one scale each.
fn multiplied(values: &[i8], scales: &[f32]) -> Vec<f32> {
    let block = values.len() / scales.len();
    values
        .chunks_exact(block)
        .zip(scales)
        .flat_map(|(block, scale)| block.iter().map(move |v| f32::from(*v) * scale))
        .collect()
}
