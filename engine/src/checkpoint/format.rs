//! Bytes of a model file: which tensors there must be, their types, and the checks on a file that cannot be trusted.
//!
//! `model.safetensors`: ternary matrices as packed `u8 [out, in/4]` with `NAME.scale` `f32 [parts]`, the embedding as
//! `i8 [V, C]` with `embed.scale` `f32 [V]`, everything else `f32`. Metadata: `format`, `model_id`, and what was asked
//! for at export under `meta.`. The id is the start of a SHA-256 over configuration and tensors, so a changed byte is seen.

use std::{collections::BTreeMap, path::Path};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use sha2::{Digest, Sha256};

use crate::{
    error::LoadError,
    kernels::pack,
    model::{ModelConfig, param_specs},
};

/// Version of the layout, in the metadata under `format`.
pub(super) const FORMAT: &str = "bit-ttt 1";
/// Prefix of free metadata.
const META_PREFIX: &str = "meta.";
/// Room for header and metadata on top of the tensors, in bytes.
const MAX_HEADER_BYTES: u64 = 8 << 20;

/// One tensor of the file.
#[derive(Debug)]
pub(super) struct FileTensor {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
}

impl FileTensor {
    fn n_bytes(&self) -> usize {
        let size = if self.dtype == Dtype::F32 { 4 } else { 1 };
        self.shape.iter().product::<usize>() * size
    }
}

/// All tensors of a model file, in the order of `param_specs`.
pub(super) fn file_tensors(cfg: &ModelConfig) -> Vec<FileTensor> {
    let mut out = Vec::new();
    for spec in param_specs(cfg) {
        let scale = |n: usize| FileTensor {
            name: format!("{}.scale", spec.name),
            dtype: Dtype::F32,
            shape: vec![n],
        };
        let last = spec.shape.last().copied().unwrap_or(0);
        match spec.ternary_parts {
            Some(parts) => {
                let scale = scale(parts);
                let shape = vec![spec.shape[0], last / 4];
                out.push(FileTensor { name: spec.name, dtype: Dtype::U8, shape });
                out.push(scale);
            }
            None if spec.name == "embed" => {
                let scale = scale(spec.shape[0]);
                out.push(FileTensor { name: spec.name, dtype: Dtype::I8, shape: spec.shape });
                out.push(scale);
            }
            None => out.push(FileTensor { name: spec.name, dtype: Dtype::F32, shape: spec.shape }),
        }
    }
    out
}

/// Largest file that a model of this shape can have, in bytes.
pub(super) fn max_file_bytes(cfg: &ModelConfig) -> u64 {
    MAX_HEADER_BYTES + file_tensors(cfg).iter().map(|t| t.n_bytes() as u64).sum::<u64>()
}

/// Id of a model: 16 hex digits of the SHA-256 over the configuration and over name, shape and bytes of every tensor.
pub(super) fn model_id<'a>(
    cfg: &ModelConfig,
    mut bytes_of: impl FnMut(&str) -> Option<&'a [u8]>,
) -> Result<String, String> {
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(cfg).map_err(|e| e.to_string())?);
    for tensor in file_tensors(cfg) {
        hash.update(format!("\n{} {:?}\n", tensor.name, tensor.shape));
        hash.update(
            bytes_of(&tensor.name).ok_or_else(|| format!("tensor {} is missing", tensor.name))?,
        );
    }
    Ok(hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect())
}

/// Bytes of a model file. `tensors` holds the bytes of every entry of [`file_tensors`]. Returns `(file, model id)`.
pub(super) fn write(
    cfg: &ModelConfig,
    tensors: &BTreeMap<String, Vec<u8>>,
    meta: &BTreeMap<String, String>,
) -> Result<(Vec<u8>, String), String> {
    let id = model_id(cfg, |name| tensors.get(name).map(Vec::as_slice))?;
    let mut views = Vec::new();
    for tensor in file_tensors(cfg) {
        let bytes = tensors.get(&tensor.name).map(Vec::as_slice).unwrap_or_default();
        let view = TensorView::new(tensor.dtype, tensor.shape, bytes)
            .map_err(|e| format!("tensor {}: {e}", tensor.name))?;
        views.push((tensor.name, view));
    }
    let mut metadata: std::collections::HashMap<String, String> =
        meta.iter().map(|(k, v)| (format!("{META_PREFIX}{k}"), v.clone())).collect();
    metadata.insert("format".into(), FORMAT.into());
    metadata.insert("model_id".into(), id.clone());
    let file = safetensors::serialize(views, Some(metadata)).map_err(|e| e.to_string())?;
    Ok((file, id))
}

/// A model file whose tensors are all there with the right type, shape and values.
#[derive(Debug)]
pub(super) struct ModelFile<'a> {
    tensors: SafeTensors<'a>,
    pub(super) id: String,
    pub(super) meta: BTreeMap<String, String>,
}

impl<'a> ModelFile<'a> {
    /// Reads and checks `bytes`.
    pub(super) fn read(bytes: &'a [u8], cfg: &ModelConfig) -> Result<Self, String> {
        let (_, header) =
            SafeTensors::read_metadata(bytes).map_err(|e| format!("not a model file: {e}"))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        match metadata.get("format").map(String::as_str) {
            Some(FORMAT) => {}
            Some(other) => return Err(format!("format {other:?}, expected {FORMAT:?}")),
            None => return Err(format!("no format in the metadata, expected {FORMAT:?}")),
        }
        let tensors =
            SafeTensors::deserialize(bytes).map_err(|e| format!("not a model file: {e}"))?;
        let expected = file_tensors(cfg);
        for want in &expected {
            let found = tensors
                .tensor(&want.name)
                .map_err(|_| format!("tensor {} is missing", want.name))?;
            if found.dtype() != want.dtype || found.shape() != want.shape {
                return Err(format!(
                    "tensor {} is {:?} {:?}, expected {:?} {:?}",
                    want.name,
                    found.dtype(),
                    found.shape(),
                    want.dtype,
                    want.shape
                ));
            }
            check_values(&want.name, want.dtype, found.data())?;
        }
        if tensors.len() != expected.len() {
            let unknown =
                tensors.names().into_iter().find(|name| expected.iter().all(|t| t.name != *name));
            return Err(format!("unknown tensor {}", unknown.unwrap_or("(twice)")));
        }
        let views: BTreeMap<&str, &[u8]> =
            tensors.iter().map(|(name, view)| (name, view.data())).collect();
        let id = model_id(cfg, |name| views.get(name).copied())?;
        let stated = metadata.get("model_id").map_or("", String::as_str);
        if stated != id {
            return Err(format!(
                "damaged: the weights are those of model {id}, the file says {stated:?}"
            ));
        }
        let meta = metadata
            .iter()
            .filter_map(|(k, v)| Some((k.strip_prefix(META_PREFIX)?.to_owned(), v.clone())))
            .collect();
        Ok(Self { tensors, id, meta })
    }

    /// Bytes of a tensor; empty only for a name that [`file_tensors`] does not have.
    pub(super) fn bytes(&self, name: &str) -> &'a [u8] {
        self.tensors.tensor(name).map(|t| t.data()).unwrap_or_default()
    }

    /// Values of an `f32` tensor.
    pub(super) fn f32s(&self, name: &str) -> Vec<f32> {
        self.bytes(name).as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
    }

    /// Values of an `i8` tensor.
    pub(super) fn i8s(&self, name: &str) -> Vec<i8> {
        self.bytes(name).iter().map(|b| *b as i8).collect()
    }
}

fn check_values(name: &str, dtype: Dtype, data: &[u8]) -> Result<(), String> {
    match dtype {
        Dtype::U8 if !pack::codes_are_valid(data) => {
            Err(format!("tensor {name} has a weight code 3"))
        }
        Dtype::F32 => {
            let scale = name.ends_with(".scale");
            for (i, bytes) in data.as_chunks::<4>().0.iter().enumerate() {
                let v = f32::from_le_bytes(*bytes);
                if !v.is_finite() || v.abs() > 1e6 || (scale && v <= 0.0) {
                    return Err(format!("tensor {name} has the value {v} at {i}"));
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// `f32`s as little-endian bytes.
pub(super) fn le_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// An error about the file at `path`.
pub(super) fn wrong(path: &Path, reason: impl Into<String>) -> LoadError {
    LoadError::Format { path: path.into(), reason: reason.into() }
}
