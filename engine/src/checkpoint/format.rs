//! The bytes of a model folder: writing, and reading with every number checked before it is used.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    io::Write,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, SafeTensors, View};
use sha2::{Digest, Sha256};

use crate::{
    error::LoadError,
    kernels::pack,
    model::{
        ModelConfig,
        packed::{TernaryMatrix, WeightSource, quantize_rows, ternarize},
        param_specs,
    },
    tokenizer::Tokenizer,
};

/// Version of the folder format.
pub const FORMAT_VERSION: u32 = 1;
/// Largest tensors file that is read, in bytes.
const MAX_BYTES: u64 = 16 << 30;
/// Largest `config.json`, in bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 16;

struct Bytes {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl View for &Bytes {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }
    fn data_len(&self) -> usize {
        self.data.len()
    }
}

fn f32_bytes(values: &[f32], shape: Vec<usize>) -> Bytes {
    Bytes { dtype: Dtype::F32, shape, data: values.iter().flat_map(|v| v.to_le_bytes()).collect() }
}

/// Hash over name, shape and bytes of every tensor, in name order.
fn model_id<'a>(tensors: impl Iterator<Item = (&'a str, &'a [usize], &'a [u8])>) -> String {
    let mut all: Vec<_> = tensors.collect();
    all.sort_by_key(|t| t.0);
    let mut digest = Sha256::new();
    for (name, shape, data) in all {
        digest.update(name.as_bytes());
        digest.update([0]);
        for n in shape {
            digest.update((*n as u64).to_le_bytes());
        }
        digest.update(data);
    }
    digest.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// Writes a model folder from full-precision parameters: `params` gives each by name.
///
/// Files appear under their names only when they are whole. Returns the model id.
///
/// # Errors
/// A parameter of the wrong length, or a disk that refuses.
pub fn export(
    dir: &Path,
    cfg: &ModelConfig,
    tokenizer: &Tokenizer,
    params: &dyn Fn(&str) -> Vec<f32>,
    meta: &BTreeMap<String, String>,
) -> Result<String, LoadError> {
    let path = dir.join("model.safetensors");
    let mut tensors: BTreeMap<String, Bytes> = BTreeMap::new();
    for spec in param_specs(cfg) {
        let values = params(&spec.name);
        let wanted: usize = spec.shape.iter().product();
        if values.len() != wanted || values.iter().any(|v| !v.is_finite()) {
            let reason =
                format!("{}: expected {wanted} finite numbers, found {}", spec.name, values.len());
            return Err(LoadError::Format { path, reason });
        }
        if let Some(parts) = spec.ternary_parts {
            let TernaryMatrix { data, scales } = ternarize(&values, parts);
            tensors.insert(format!("{}.scale", spec.name), f32_bytes(&scales, vec![parts]));
            let shape = vec![spec.shape[0], spec.shape[1] / 4];
            tensors.insert(spec.name, Bytes { dtype: Dtype::U8, shape, data });
        } else if spec.name == "embed" {
            let (data, scales) = quantize_rows(&values, cfg.d_model);
            tensors.insert("embed.scale".into(), f32_bytes(&scales, vec![cfg.vocab_size]));
            let data = data.into_iter().map(i8::cast_unsigned).collect();
            tensors.insert(spec.name, Bytes { dtype: Dtype::I8, shape: spec.shape, data });
        } else {
            tensors.insert(spec.name, f32_bytes(&values, spec.shape));
        }
    }
    let id =
        model_id(tensors.iter().map(|(n, b)| (n.as_str(), b.shape.as_slice(), b.data.as_slice())));
    let mut header: HashMap<String, String> = meta.clone().into_iter().collect();
    header.insert("format".into(), FORMAT_VERSION.to_string());
    header.insert("model_id".into(), id.clone());
    let wrong = |reason: String| LoadError::Format { path: path.clone(), reason };
    let bytes = safetensors::serialize(&tensors, Some(header)).map_err(|e| wrong(e.to_string()))?;
    let config = serde_json::to_string_pretty(cfg).map_err(|e| wrong(e.to_string()))? + "\n";
    std::fs::create_dir_all(dir)
        .map_err(|source| LoadError::Io { path: dir.to_owned(), source })?;
    write_whole(&dir.join("config.json"), config.as_bytes())?;
    tokenizer.save(&dir.join("tokenizer.json"))?;
    write_whole(&path, &bytes)?;
    Ok(id)
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), LoadError> {
    let io = |source| LoadError::Io { path: path.to_owned(), source };
    let mut file =
        tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new("."))).map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).map_err(io)?;
    }
    file.persist(path).map_err(|e| io(e.error))?;
    Ok(())
}

/// A model folder whose header, config and hash have been checked.
pub(super) struct Folder {
    path: PathBuf,
    bytes: Vec<u8>,
    pub(super) config: ModelConfig,
    pub(super) id: String,
    pub(super) meta: BTreeMap<String, String>,
}

impl Folder {
    pub(super) fn open(dir: &Path) -> Result<Self, LoadError> {
        let path = dir.join("model.safetensors");
        let config: ModelConfig = read_config(&dir.join("config.json"))?;
        let io = |source| LoadError::Io { path: path.clone(), source };
        let wrong = |reason: String| LoadError::Format { path: path.clone(), reason };
        let len = std::fs::metadata(&path).map_err(io)?.len();
        if len > MAX_BYTES {
            return Err(wrong(format!("{len} bytes, at most {MAX_BYTES} are read")));
        }
        let bytes = std::fs::read(&path).map_err(io)?;
        let tensors = SafeTensors::deserialize(&bytes)
            .map_err(|e| wrong(format!("not a safetensors file: {e}")))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| wrong(e.to_string()))?;
        let meta: BTreeMap<String, String> =
            header.metadata().as_ref().map(|m| m.clone().into_iter().collect()).unwrap_or_default();
        let version = meta.get("format").map_or("none", String::as_str);
        if version != FORMAT_VERSION.to_string() {
            return Err(wrong(format!("format version {version}, expected {FORMAT_VERSION}")));
        }
        let all = tensors.tensors();
        let id = model_id(all.iter().map(|(n, v)| (n.as_str(), v.shape(), v.data())));
        if meta.get("model_id") != Some(&id) {
            let named = meta.get("model_id").map_or("none", String::as_str);
            return Err(wrong(format!(
                "damaged: its tensors hash to {id}, its header says {named}"
            )));
        }
        Ok(Self { path, bytes, config, id, meta })
    }

    pub(super) fn source(&self) -> Result<FolderSource<'_>, LoadError> {
        let tensors = SafeTensors::deserialize(&self.bytes)
            .map_err(|e| LoadError::Format { path: self.path.clone(), reason: e.to_string() })?;
        Ok(FolderSource { path: &self.path, tensors })
    }
}

fn read_config(path: &Path) -> Result<ModelConfig, LoadError> {
    let io = |source| LoadError::Io { path: path.to_owned(), source };
    let wrong = |reason: String| LoadError::Format { path: path.to_owned(), reason };
    let len = std::fs::metadata(path).map_err(io)?.len();
    if len > MAX_CONFIG_BYTES {
        return Err(wrong(format!("{len} bytes, at most {MAX_CONFIG_BYTES} are read")));
    }
    let text = std::fs::read_to_string(path).map_err(io)?;
    let config: ModelConfig = serde_json::from_str(&text).map_err(|e| wrong(e.to_string()))?;
    config.validate().map_err(wrong)?;
    Ok(config)
}

pub(super) struct FolderSource<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
}

impl FolderSource<'_> {
    fn data(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<&[u8], LoadError> {
        let wrong = |reason: String| LoadError::Format { path: self.path.to_owned(), reason };
        let view = self.tensors.tensor(name).map_err(|e| wrong(format!("{name}: {e}")))?;
        if view.dtype() != dtype || view.shape() != shape {
            let (d, s) = (view.dtype(), view.shape());
            return Err(wrong(format!("{name}: expected {dtype:?} {shape:?}, found {d:?} {s:?}")));
        }
        Ok(view.data())
    }

    fn f32s(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, LoadError> {
        let data = self.data(name, Dtype::F32, shape)?;
        let values: Vec<f32> =
            data.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        if values.iter().any(|v| !v.is_finite()) {
            let reason = format!("{name}: holds a number that is not finite");
            return Err(LoadError::Format { path: self.path.to_owned(), reason });
        }
        Ok(values)
    }
}

impl WeightSource for FolderSource<'_> {
    type Error = LoadError;

    fn floats(&mut self, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        let shape = self.tensors.tensor(name).map(|t| t.shape().to_vec()).unwrap_or_default();
        let values = self.f32s(name, &shape)?;
        if values.len() == len {
            return Ok(values);
        }
        let reason = format!("{name}: expected {len} numbers, found {}", values.len());
        Err(LoadError::Format { path: self.path.to_owned(), reason })
    }

    fn ternary(
        &mut self,
        name: &str,
        rows: usize,
        cols: usize,
        parts: usize,
    ) -> Result<TernaryMatrix, LoadError> {
        let data = self.data(name, Dtype::U8, &[rows, cols / 4])?.to_vec();
        if !pack::is_ternary(&data) {
            let reason = format!("{name}: holds a code that is not ternary");
            return Err(LoadError::Format { path: self.path.to_owned(), reason });
        }
        Ok(TernaryMatrix { data, scales: self.f32s(&format!("{name}.scale"), &[parts])? })
    }

    fn int8(
        &mut self,
        name: &str,
        rows: usize,
        cols: usize,
    ) -> Result<(Vec<i8>, Vec<f32>), LoadError> {
        let data =
            self.data(name, Dtype::I8, &[rows, cols])?.iter().map(|b| b.cast_signed()).collect();
        Ok((data, self.f32s(&format!("{name}.scale"), &[rows])?))
    }
}

/// A model folder as full-precision parameters, to train on from: ternary values times their scale.
#[derive(Debug)]
pub struct FullPrecision {
    /// Shapes.
    pub config: ModelConfig,
    /// Parameters by name.
    pub tensors: BTreeMap<String, Vec<f32>>,
}

/// Reads a model folder back into full precision.
///
/// # Errors
/// As loading a brain.
pub fn full_precision(dir: &Path) -> Result<FullPrecision, LoadError> {
    let folder = Folder::open(dir)?;
    let mut source = folder.source()?;
    let mut tensors = BTreeMap::new();
    for spec in param_specs(&folder.config) {
        let len = spec.shape.iter().product();
        let values = if let Some(parts) = spec.ternary_parts {
            let w = source.ternary(&spec.name, spec.shape[0], spec.shape[1], parts)?;
            let codes = pack::unpack(&w.data);
            let n = codes.len() / parts;
            codes.iter().enumerate().map(|(i, c)| f32::from(*c) * w.scales[i / n]).collect()
        } else if spec.name == "embed" {
            let (data, scales) = source.int8("embed", spec.shape[0], spec.shape[1])?;
            data.iter()
                .enumerate()
                .map(|(i, v)| f32::from(*v) * scales[i / spec.shape[1]])
                .collect()
        } else {
            source.floats(&spec.name, len)?
        };
        tensors.insert(spec.name, values);
    }
    Ok(FullPrecision { config: folder.config, tensors })
}
