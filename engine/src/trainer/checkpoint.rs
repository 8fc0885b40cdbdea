//! Training checkpoints: everything that a run needs to go on bit for bit.
//!
//! One safetensors file: master weights, moments, the fast weights of every batch row; counters, data cursors and
//! settings as JSON in its metadata. Written beside the old one and renamed over it, so a kill leaves one whole file.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    io::Write,
    path::{Path, PathBuf},
};

use candle_core::{Device, Tensor};
use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};

use super::Trainer;
use crate::{
    error::{LoadError, TrainError},
    model::{ModelConfig, trainable::BatchState},
};

/// Format version of the metadata.
const VERSION: u32 = 1;

/// Counters and settings of a run, beside its tensors.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunRecord {
    version: u32,
    /// Shapes of the model.
    pub config: ModelConfig,
    /// Seed of weights, data and forgetting.
    pub seed: u64,
    /// Batch rows.
    pub batch: usize,
    /// Updates made.
    pub step: u64,
    /// Updates of the optimizer (a poisoned gradient makes none).
    pub adam_step: u64,
    /// Tokens read.
    pub tokens: u64,
    /// Seconds of training, earlier runs included.
    pub seconds: f64,
    /// Where every row is in the data.
    pub cursors: serde_json::Value,
    /// Rows with an open note.
    pub note_open: Vec<bool>,
}

struct Floats<'a> {
    data: Cow<'a, [f32]>,
    shape: Vec<usize>,
}

impl View for Floats<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.data.iter().flat_map(|v| v.to_le_bytes()).collect())
    }
    fn data_len(&self) -> usize {
        self.data.len() * 4
    }
}

fn tensor_view(t: &Tensor) -> Result<Floats<'static>, TrainError> {
    Ok(Floats { data: t.flatten_all()?.to_vec1::<f32>()?.into(), shape: t.dims().to_vec() })
}

/// Writes `trainer` to `path`, replacing what is there only once the new file is whole.
///
/// # Errors
/// When the disk refuses; the old file is then untouched.
pub fn save(trainer: &Trainer, cursors: serde_json::Value, path: &Path) -> Result<(), TrainError> {
    let mut views: BTreeMap<String, Floats<'_>> = BTreeMap::new();
    for (name, var) in trainer.model.params() {
        views.insert(format!("w.{name}"), tensor_view(var)?);
        if let Some((m, v)) = trainer.adam.moments.get(name) {
            for (kind, data) in [("m", m), ("v", v)] {
                let shape = vec![data.len()];
                views.insert(
                    format!("{kind}.{name}"),
                    Floats { data: data.as_slice().into(), shape },
                );
            }
        }
    }
    for (i, (fast, tail)) in trainer.state.fast.iter().zip(&trainer.state.tail).enumerate() {
        views.insert(format!("fast.{i}"), tensor_view(fast)?);
        views.insert(format!("tail.{i}"), tensor_view(tail)?);
    }
    let record = RunRecord {
        version: VERSION,
        config: trainer.model.config.clone(),
        seed: trainer.seed,
        batch: trainer.batch,
        step: trainer.step,
        adam_step: trainer.adam.step,
        tokens: trainer.tokens,
        seconds: trainer.seconds,
        cursors,
        note_open: trainer.state.note_open.clone(),
    };
    let json = serde_json::to_string(&record).map_err(|e| TrainError::Options(e.to_string()))?;
    let bytes = safetensors::serialize(views, Some(HashMap::from([("run".to_owned(), json)])))
        .map_err(|e| TrainError::Options(format!("checkpoint: {e}")))?;
    let io = |source| LoadError::Io { path: path.to_owned(), source };
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(io)?;
    file.write_all(&bytes).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|e| io(e.error))?;
    Ok(())
}

/// A checkpoint file whose header, version and shapes have been looked at.
struct CheckpointFile {
    path: PathBuf,
    bytes: Vec<u8>,
    record: RunRecord,
}

impl CheckpointFile {
    fn open(path: &Path) -> Result<Self, LoadError> {
        let io = |source| LoadError::Io { path: path.to_owned(), source };
        let bytes = std::fs::read(path).map_err(io)?;
        let wrong = |reason: String| LoadError::Format { path: path.to_owned(), reason };
        SafeTensors::deserialize(&bytes).map_err(|e| wrong(e.to_string()))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| wrong(e.to_string()))?;
        let json = header.metadata().as_ref().and_then(|m| m.get("run"));
        let json =
            json.ok_or_else(|| wrong("not a training checkpoint: no record of the run".into()))?;
        let record: RunRecord = serde_json::from_str(json).map_err(|e| wrong(e.to_string()))?;
        if record.version != VERSION {
            return Err(wrong(format!(
                "checkpoint version {}, expected {VERSION}",
                record.version
            )));
        }
        record.config.validate().map_err(wrong)?;
        if record.note_open.len() != record.batch {
            return Err(wrong("the note flags do not fit the batch".into()));
        }
        Ok(Self { path: path.to_owned(), bytes, record })
    }

    /// Tensor `name` as exactly `len` numbers.
    fn floats(&self, name: &str, len: usize) -> Result<Vec<f32>, LoadError> {
        let wrong = |reason: String| LoadError::Format { path: self.path.clone(), reason };
        let tensors = SafeTensors::deserialize(&self.bytes).map_err(|e| wrong(e.to_string()))?;
        let view = tensors.tensor(name).map_err(|e| wrong(format!("{name}: {e}")))?;
        if view.dtype() != Dtype::F32 || view.data().len() != len * 4 {
            return Err(wrong(format!(
                "{name}: expected {len} f32, found {} bytes",
                view.data().len()
            )));
        }
        Ok(view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }

    fn fill_weights(&self, trainer: &Trainer) -> Result<(), TrainError> {
        for (name, var) in trainer.model.params() {
            let data = self.floats(&format!("w.{name}"), var.elem_count())?;
            var.set(&Tensor::from_vec(data, var.shape(), var.device())?)?;
        }
        Ok(())
    }
}

/// Reads a checkpoint back into a [`Trainer`] and the data cursors.
///
/// # Errors
/// When the file is missing, cut short or of another version.
pub fn load(path: &Path, device: &Device) -> Result<(Trainer, serde_json::Value), TrainError> {
    let file = CheckpointFile::open(path)?;
    let record = &file.record;
    let mut trainer = Trainer::new(&record.config, record.seed, record.batch, device)?;
    file.fill_weights(&trainer)?;
    for (name, (m, v)) in &mut trainer.adam.moments {
        *m = file.floats(&format!("m.{name}"), m.len())?;
        *v = file.floats(&format!("v.{name}"), v.len())?;
    }
    let mut state = BatchState::zeros(&record.config, record.batch, device)?;
    for (i, (fast, tail)) in state.fast.iter_mut().zip(&mut state.tail).enumerate() {
        let f = file.floats(&format!("fast.{i}"), fast.elem_count())?;
        *fast = Tensor::from_vec(f, fast.shape(), device)?;
        let t = file.floats(&format!("tail.{i}"), tail.elem_count())?;
        *tail = Tensor::from_vec(t, tail.shape(), device)?;
    }
    state.note_open.clone_from(&record.note_open);
    trainer.state = state;
    trainer.adam.step = record.adam_step;
    (trainer.step, trainer.tokens, trainer.seconds) = (record.step, record.tokens, record.seconds);
    let cursors = record.cursors.clone();
    Ok((trainer, cursors))
}

/// A fresh run whose weights are those of another run's checkpoint: moments, data and counters start anew.
///
/// # Errors
/// As [`load`].
pub fn start_from(
    path: &Path,
    seed: u64,
    batch: usize,
    device: &Device,
) -> Result<Trainer, TrainError> {
    let file = CheckpointFile::open(path)?;
    let trainer = Trainer::new(&file.record.config, seed, batch, device)?;
    file.fill_weights(&trainer)?;
    Ok(trainer)
}
