//! What a companion has learned: the fast weights of one life, and the file they are kept in.
//!
//! A memory file is a safetensors file: for each layer `layers.N.fast` `[H, D, D]` and `layers.N.conv` `[3, 3·H·D]`, both
//! `f32`, and text metadata (brain id, counters, times, checksum). Its length is the same for the whole life of a brain.
//! Bytes in, bytes out; where files lie is the business of [`super::ring`].
//!
//! A file is hostile until shown otherwise: lengths before content, checksum before numbers, every number finite, and
//! the header must be byte for byte the one that this program would write.

use std::{
    collections::HashMap,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use safetensors::SafeTensors;
use sha2::{Digest, Sha256};

use crate::{
    checkpoint::Brain,
    error::StateError,
    model::{CONV_WIDTH, HeadKind, ModelConfig, packed::ModelState},
};

/// Version of the file format; other versions are refused.
pub const FORMAT_VERSION: u32 = 1;
/// Largest memory file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 30;
/// Largest header that is read, in bytes.
const MAX_HEADER_BYTES: u64 = 1 << 20;
/// Metadata numbers are written with this many digits, so that their length never changes.
const DIGITS: usize = 20;
/// What the `format` entry says.
const FORMAT_NAME: &str = "bit-ttt-memory";

/// The state of one life: everything that reading a token changes.
#[derive(Debug, Clone)]
pub struct Memory {
    pub(crate) state: ModelState,
    shape: Shape,
    model_id: String,
    /// Tokens read in this life, its own replies included.
    pub tokens_read: u64,
    /// Notes written in this life.
    pub notes_written: u64,
    /// When this life began, Unix seconds.
    pub created: u64,
    /// When it last read something, Unix seconds.
    pub updated: u64,
}

/// The part of a model's shape that a memory depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    n_layers: usize,
    n_heads: usize,
    n_session_heads: usize,
    head_dim: usize,
}

impl Shape {
    fn of(cfg: &ModelConfig) -> Self {
        Self {
            n_layers: cfg.n_layers,
            n_heads: cfg.n_heads(),
            n_session_heads: cfg.n_session_heads(),
            head_dim: cfg.head_dim,
        }
    }

    /// `H·D·D`: numbers in the fast weights of a layer.
    fn n_fast(&self) -> usize {
        self.n_heads * self.head_dim * self.head_dim
    }

    /// `3 · 3·H·D`: numbers in the convolution inputs of a layer.
    fn n_conv(&self) -> usize {
        (CONV_WIDTH - 1) * 3 * self.n_heads * self.head_dim
    }
}

/// Seconds since 1970; 0 on a clock set before that.
pub(super) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

impl Memory {
    /// A fresh life: nothing learned.
    pub fn new(brain: &Brain) -> Self {
        let now = unix_now();
        Self {
            state: ModelState::new(&brain.config),
            shape: Shape::of(&brain.config),
            model_id: brain.id.clone(),
            tokens_read: 0,
            notes_written: 0,
            created: now,
            updated: now,
        }
    }

    /// Id of the brain that this memory belongs to.
    pub fn model_id(&self) -> &str {
        &self.model_id
    }

    /// For each layer and head: whether it is lifelong, and the size `‖S‖` (Frobenius) of its fast weights.
    pub fn head_norms(&self) -> Vec<Vec<(bool, f32)>> {
        let head_len = self.shape.head_dim * self.shape.head_dim;
        let norm = |s: &[f32]| s.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt() as f32;
        let layer = |fast: &[f32]| {
            let heads = fast.chunks(head_len).enumerate();
            heads.map(|(i, s)| (i >= self.shape.n_session_heads, norm(s))).collect()
        };
        self.state.layers.iter().map(|l| layer(&l.fast)).collect()
    }

    /// The fast weights of all heads of one kind, layer after layer.
    pub fn heads(&self, kind: HeadKind) -> Vec<&[f32]> {
        let border = self.shape.n_session_heads * self.shape.head_dim * self.shape.head_dim;
        let part = |fast: &'_ [f32]| -> (usize, usize) {
            match kind {
                HeadKind::Session => (0, border),
                HeadKind::Lifelong => (border, fast.len()),
            }
        };
        let layers = self.state.layers.iter();
        layers
            .map(|l| {
                let (from, to) = part(&l.fast);
                &l.fast[from..to]
            })
            .collect()
    }

    /// Copies the lifelong heads, to be able to take a note back.
    pub(crate) fn lifelong_snapshot(&self) -> Vec<f32> {
        self.heads(HeadKind::Lifelong).concat()
    }

    /// Puts the lifelong heads back to a snapshot of the same memory.
    pub(crate) fn restore_lifelong(&mut self, snapshot: &[f32]) {
        let border = self.shape.n_session_heads * self.shape.head_dim * self.shape.head_dim;
        let len = self.shape.n_fast() - border;
        for (layer, saved) in self.state.layers.iter_mut().zip(snapshot.chunks(len.max(1))) {
            layer.fast[border..].copy_from_slice(saved);
        }
    }

    /// Zeroes what belongs to the moment (session heads, convolution inputs) and keeps the lifelong heads.
    pub fn forget_talk(&mut self) {
        let border = self.shape.n_session_heads * self.shape.head_dim * self.shape.head_dim;
        for layer in &mut self.state.layers {
            layer.fast[..border].fill(0.0);
            layer.conv.fill(0.0);
        }
        self.state.note = false;
    }

    /// Whether every number is finite.
    pub fn is_finite(&self) -> bool {
        self.state.layers.iter().all(|l| l.fast.iter().chain(&l.conv).all(|x| x.is_finite()))
    }

    /// The memory file. Its length depends on the brain alone.
    pub fn to_bytes(&self) -> Vec<u8> {
        let data = self.data_bytes();
        let header = self.header(&self.checksum(&data));
        let mut out = Vec::with_capacity(8 + header.len() + data.len());
        out.extend_from_slice(&(header.len() as u64).to_le_bytes());
        out.extend_from_slice(&header);
        out.extend_from_slice(&data);
        out
    }

    /// Reads a memory file. `path` is for messages only.
    ///
    /// # Errors
    /// [`StateError::Damaged`] if it is not, byte for byte, a memory this program wrote, or holds a number that is not
    /// finite; [`StateError::OtherBrain`] if it is whole but belongs to another brain.
    pub fn from_bytes(bytes: &[u8], brain: &Brain, path: &Path) -> Result<Self, StateError> {
        Self::parse(bytes, &brain.id, path, || Self::new(brain))
    }

    /// `blank` makes a memory of the right shape, to be filled.
    fn parse(
        bytes: &[u8],
        model_id: &str,
        path: &Path,
        blank: impl FnOnce() -> Self,
    ) -> Result<Self, StateError> {
        let damaged = |reason: String| StateError::Damaged { path: path.into(), reason };
        let (found, data) = RawMemory::read(bytes).map_err(damaged)?;
        if found.model_id != model_id {
            return Err(StateError::OtherBrain {
                path: path.into(),
                expected: model_id.into(),
                found: found.model_id,
            });
        }
        let mut memory = Self {
            tokens_read: found.tokens_read,
            notes_written: found.notes_written,
            created: found.created,
            updated: found.updated,
            ..blank()
        };
        let shape = memory.shape;
        let n_bytes = 4 * shape.n_layers * (shape.n_fast() + shape.n_conv());
        if data.len() != n_bytes {
            let found = data.len();
            return Err(damaged(format!("{n_bytes} bytes of weights expected, found {found}")));
        }
        memory.state.note = found.note;
        let mut numbers =
            data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        for layer in &mut memory.state.layers {
            for (slot, x) in layer.fast.iter_mut().chain(&mut layer.conv).zip(&mut numbers) {
                *slot = x;
            }
        }
        let digest = memory.checksum(data);
        if digest != found.checksum {
            return Err(damaged("the checksum does not fit the content".into()));
        }
        if bytes.get(8..bytes.len() - data.len()) != Some(&memory.header(&digest)) {
            return Err(damaged("the header is not the one this brain's memory has".into()));
        }
        if !memory.is_finite() {
            return Err(damaged("it holds a number that is not finite".into()));
        }
        Ok(memory)
    }

    /// Checks another file of the same brain without making a memory of it: `(updated, tokens_read)`.
    ///
    /// # Errors
    /// As [`Memory::from_bytes`].
    pub(super) fn peer_from_bytes(
        &self,
        bytes: &[u8],
        path: &Path,
    ) -> Result<(u64, u64), StateError> {
        let peer = Self::parse(bytes, &self.model_id, path, || self.clone())?;
        Ok((peer.updated, peer.tokens_read))
    }

    fn data_bytes(&self) -> Vec<u8> {
        let numbers = self.state.layers.iter().flat_map(|l| l.fast.iter().chain(&l.conv));
        numbers.flat_map(|x| x.to_le_bytes()).collect()
    }

    /// Metadata without the checksum, in the order of their names.
    fn metadata(&self) -> [(&'static str, String); 8] {
        let digits = |n: u64| format!("{n:0DIGITS$}");
        [
            ("created", digits(self.created)),
            ("format", FORMAT_NAME.into()),
            ("format_version", digits(FORMAT_VERSION.into())),
            ("model_id", self.model_id.clone()),
            ("note_open", u8::from(self.state.note).to_string()),
            ("notes_written", digits(self.notes_written)),
            ("tokens_read", digits(self.tokens_read)),
            ("updated", digits(self.updated)),
        ]
    }

    /// SHA-256 over the metadata and the weights, hex.
    fn checksum(&self, data: &[u8]) -> String {
        let mut hash = Sha256::new();
        for (name, value) in self.metadata() {
            hash.update(format!("{name}={value}\n"));
        }
        hash.update(data);
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// JSON header of the safetensors format, filled with spaces to a multiple of eight bytes. Written by hand, so that
    /// its order is the same in every build.
    fn header(&self, checksum: &str) -> Vec<u8> {
        let shape = self.shape;
        let checksum = ("checksum", checksum.to_owned());
        let metadata = [checksum].into_iter().chain(self.metadata());
        let entries: Vec<String> = metadata
            .map(|(name, value)| format!("\"{name}\":{}", serde_json::Value::from(value)))
            .collect();
        let mut text = format!("{{\"__metadata__\":{{{}}}", entries.join(","));
        let mut at = 0;
        let mut tensor = |name: String, dims: &[usize]| {
            let end = at + 4 * dims.iter().product::<usize>();
            let info = format!(
                ",\"{name}\":{{\"dtype\":\"F32\",\"shape\":{dims:?},\"data_offsets\":[{at},{end}]}}"
            );
            text.push_str(&info.replace(", ", ","));
            at = end;
        };
        for i in 0..shape.n_layers {
            let (h, d) = (shape.n_heads, shape.head_dim);
            tensor(format!("layers.{i}.fast"), &[h, d, d]);
            tensor(format!("layers.{i}.conv"), &[CONV_WIDTH - 1, 3 * h * d]);
        }
        text.push('}');
        let mut header = text.into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        header
    }
}

/// What the header of a memory file says, before any of it is trusted.
struct RawMemory {
    model_id: String,
    checksum: String,
    note: bool,
    tokens_read: u64,
    notes_written: u64,
    created: u64,
    updated: u64,
}

impl RawMemory {
    /// Header and weights of a file; checks the layout, not the content.
    fn read(bytes: &[u8]) -> Result<(Self, &[u8]), String> {
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(format!("{} bytes, at most {MAX_FILE_BYTES} are read", bytes.len()));
        }
        let length = bytes.first_chunk::<8>().ok_or("it is shorter than its first number")?;
        let header_len = u64::from_le_bytes(*length);
        if header_len > MAX_HEADER_BYTES {
            return Err(format!("its header claims {header_len} bytes"));
        }
        let data_at = 8 + header_len as usize;
        let data = bytes.get(data_at..).ok_or("it ends inside its header")?;
        let (_, layout) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
        if layout.data_len() != data.len() {
            let (expected, found) = (layout.data_len(), data.len());
            return Err(format!("{expected} bytes of weights expected, found {found}"));
        }
        let texts = layout.metadata().as_ref().ok_or("it has no metadata")?;
        let format = text(texts, "format")?;
        if format != FORMAT_NAME {
            return Err(format!("its format is {format:?}, expected {FORMAT_NAME:?}"));
        }
        let version = number(texts, "format_version")?;
        if version != u64::from(FORMAT_VERSION) {
            return Err(format!("format version {version}, this program reads {FORMAT_VERSION}"));
        }
        let raw = Self {
            model_id: text(texts, "model_id")?.into(),
            checksum: text(texts, "checksum")?.into(),
            note: number(texts, "note_open")? != 0,
            tokens_read: number(texts, "tokens_read")?,
            notes_written: number(texts, "notes_written")?,
            created: number(texts, "created")?,
            updated: number(texts, "updated")?,
        };
        if raw.model_id.is_empty() || raw.model_id.len() > 128 {
            return Err("its brain id is no id".into());
        }
        Ok((raw, data))
    }
}

fn text<'m>(texts: &'m HashMap<String, String>, name: &str) -> Result<&'m str, String> {
    texts.get(name).map(String::as_str).ok_or_else(|| format!("its metadata lacks {name}"))
}

fn number(texts: &HashMap<String, String>, name: &str) -> Result<u64, String> {
    let found = text(texts, name)?;
    found.parse().map_err(|_| format!("its metadata say {name} = {found:?}, expected a number"))
}
