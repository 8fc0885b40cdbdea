//! Documents as tokens, kept in one file between runs.
//!
//! The file is named by a hash of the cleaned text and the tokenizer, so it can never be stale.

use std::path::Path;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::sources::{Doc, Line, SourceDoc};
use crate::{
    error::{LoadError, TrainError},
    tokenizer::{TokenId, Tokenizer, chat_format},
};

/// Raise it when cleaning or the format of the file changes.
const VERSION: u32 = 2;
/// One work or chat in fifty is held out, by its hash.
const HELD_OUT_OF: u64 = 50;

/// Tokens of all documents, one behind the other.
#[derive(Debug)]
pub(super) struct Shard {
    ids: Vec<TokenId>,
    /// Said by the companion, or running text: scored in full.
    said: Vec<bool>,
    /// Start of each document, and the end of the last.
    starts: Vec<usize>,
    held_out: Vec<bool>,
}

fn encode(doc: &Doc, tok: &Tokenizer) -> (Vec<TokenId>, Vec<bool>) {
    match doc {
        Doc::Text(text) => {
            let ids = chat_format::document(tok, text);
            let said = vec![true; ids.len()];
            (ids, said)
        }
        Doc::Talk(lines) => {
            let (mut ids, mut said) = (Vec::new(), Vec::new());
            for Line { companion, mood, text } in lines {
                let turn = if *companion {
                    chat_format::remark(tok, *mood, text)
                } else {
                    chat_format::user_turn(tok, text)
                };
                said.extend(std::iter::repeat_n(*companion, turn.len()));
                ids.extend(turn);
            }
            (ids, said)
        }
    }
}

/// Whether a document is kept out of training.
pub(super) fn is_held_out(doc: &SourceDoc) -> bool {
    doc.key.is_multiple_of(HELD_OUT_OF)
}

/// Text of a document, for its hash.
fn text_of(doc: &Doc) -> String {
    match doc {
        Doc::Text(text) => text.clone(),
        Doc::Talk(lines) => {
            lines.iter().map(|l| l.text.as_str()).collect::<Vec<_>>().join("\u{1f}")
        }
    }
}

impl Shard {
    /// From the cache, or tokenised now and put there.
    pub(super) fn open(
        docs: &[SourceDoc],
        tok: &Tokenizer,
        cache_dir: &Path,
    ) -> Result<Self, TrainError> {
        let mut digest = Sha256::new();
        digest.update(VERSION.to_le_bytes());
        digest.update(tok.to_json().as_bytes());
        let texts: Vec<String> = docs.par_iter().map(|d| text_of(&d.doc)).collect();
        for text in &texts {
            digest.update(text.as_bytes());
            digest.update([0]);
        }
        let held_out: Vec<bool> = docs.iter().map(is_held_out).collect();
        let key: String = digest.finalize().iter().take(12).map(|b| format!("{b:02x}")).collect();
        let path = cache_dir.join(format!("{key}.tokens"));
        if let Some(shard) = Self::read(&path, docs.len(), held_out.clone(), tok.vocab_size()) {
            return Ok(shard);
        }
        let encoded: Vec<_> = docs.par_iter().map(|d| encode(&d.doc, tok)).collect();
        let mut shard = Self { ids: vec![], said: vec![], starts: vec![0], held_out };
        for (ids, said) in encoded {
            shard.ids.extend(ids);
            shard.said.extend(said);
            shard.starts.push(shard.ids.len());
        }
        shard.write(&path)?;
        Ok(shard)
    }

    /// `n starts | n ids`, each entry an id with the high bit for "said"; `None` if it is not whole.
    fn read(path: &Path, n_docs: usize, held_out: Vec<bool>, vocab: usize) -> Option<Self> {
        let bytes = std::fs::read(path).ok()?;
        let numbers: Vec<u32> =
            bytes.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect();
        let (starts, entries) = numbers.split_at_checked(n_docs + 1)?;
        let starts: Vec<usize> = starts.iter().map(|s| *s as usize).collect();
        let whole = *starts.last()? == entries.len() && starts.is_sorted();
        let ids: Vec<u32> = entries.iter().map(|e| e & 0x7FFF_FFFF).collect();
        if !whole || ids.iter().any(|id| *id as usize >= vocab) {
            return None;
        }
        let said = entries.iter().map(|e| e >> 31 == 1).collect();
        Some(Self { ids, said, starts, held_out })
    }

    fn write(&self, path: &Path) -> Result<(), TrainError> {
        let starts = self.starts.iter().map(|s| *s as u32);
        let entries = self.ids.iter().zip(&self.said).map(|(id, said)| id | u32::from(*said) << 31);
        let bytes: Vec<u8> = starts.chain(entries).flat_map(u32::to_le_bytes).collect();
        let io = |source| LoadError::Io { path: path.to_owned(), source };
        let dir = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(dir).map_err(io)?;
        let file = tempfile::NamedTempFile::new_in(dir).map_err(io)?;
        std::fs::write(file.path(), bytes).map_err(io)?;
        file.persist(path).map_err(|e| io(e.error))?;
        Ok(())
    }

    pub(super) fn ids(&self, doc: usize) -> &[TokenId] {
        &self.ids[self.starts[doc]..self.starts[doc + 1]]
    }

    pub(super) fn said(&self, doc: usize) -> &[bool] {
        &self.said[self.starts[doc]..self.starts[doc + 1]]
    }

    pub(super) fn held_out(&self, doc: usize) -> bool {
        self.held_out[doc]
    }
}
