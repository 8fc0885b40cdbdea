//! One portable file with everything of a slot: `.companion`.
//!
//! `COMPANION 1\n`, one line of JSON (names, lengths and SHA-256 sums of the files), then the files one behind the other.
//! The same slot gives the same bytes. A bundle is checked whole before anything is taken from it.

use std::{
    io::{Read, Write},
    path::Path,
};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const MAGIC: &[u8] = b"COMPANION 1\n";
/// Largest bundle that is read.
const MAX_BYTES: u64 = 256 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Index {
    files: Vec<IndexEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct IndexEntry {
    name: String,
    bytes: usize,
    sha256: String,
}

fn sum(data: &[u8]) -> String {
    Sha256::digest(data).iter().map(|b| format!("{b:02x}")).collect()
}

/// Writes a bundle of named files; it appears under its name only when it is whole. An older bundle is replaced, any
/// other file is not.
pub(super) fn write(path: &Path, files: &[(&str, Vec<u8>)]) -> anyhow::Result<()> {
    if let Ok(mut old) = std::fs::File::open(path) {
        let mut start = [0; MAGIC.len()];
        let is_bundle = old.read_exact(&mut start).is_ok() && start == MAGIC;
        ensure!(
            is_bundle,
            "{} is there already and is not a companion file; choose another name",
            path.display()
        );
    }
    let entry = |(name, data): &(&str, Vec<u8>)| IndexEntry {
        name: (*name).to_owned(),
        bytes: data.len(),
        sha256: sum(data),
    };
    let index = Index { files: files.iter().map(entry).collect() };
    let index = serde_json::to_string(&index)? + "\n";
    let parts = [MAGIC, index.as_bytes()].into_iter().chain(files.iter().map(|f| f.1.as_slice()));
    write_whole(path, parts)
}

/// Writes `parts` one behind the other; the file appears under its name only when it is whole.
fn write_whole<'a>(path: &Path, parts: impl Iterator<Item = &'a [u8]>) -> anyhow::Result<()> {
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir)
        .with_context(|| format!("cannot write in {}", dir.display()))?;
    for part in parts {
        file.write_all(part)?;
    }
    file.as_file().sync_all()?;
    file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

/// Copies a bundle; the copy appears under its name only when it is whole.
pub(super) fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let bytes = std::fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    write_whole(to, std::iter::once(bytes.as_slice()))
}

/// Reads a bundle: its files by name.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let name = path.display();
    let len = std::fs::metadata(path).with_context(|| format!("cannot read {name}"))?.len();
    ensure!(len <= MAX_BYTES, "{name}: {len} bytes are too many for a companion");
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {name}"))?;
    let Some(rest) = bytes.strip_prefix(MAGIC) else { bail!("{name} is not a companion file") };
    let end = rest
        .iter()
        .position(|b| *b == b'\n')
        .with_context(|| format!("{name} is damaged: no index"))?;
    let index: Index =
        serde_json::from_slice(&rest[..end]).with_context(|| format!("{name} is damaged"))?;
    let mut data = &rest[end + 1..];
    let mut files = Vec::new();
    for entry in index.files {
        ensure!(entry.bytes <= data.len(), "{name} is cut short in {}", entry.name);
        let (file, after) = data.split_at(entry.bytes);
        ensure!(sum(file) == entry.sha256, "{name} is damaged in {}", entry.name);
        files.push((entry.name, file.to_vec()));
        data = after;
    }
    ensure!(data.is_empty(), "{name} is damaged: {} bytes too many", data.len());
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_comes_back_and_every_damage_is_seen() {
        let dir = tempfile::tempdir().expect("folder");
        let path = dir.path().join("a.companion");
        let files = [("identity.json", b"{}".to_vec()), ("memory", vec![7u8; 300])];
        write(&path, &files).expect("write");
        let bytes = std::fs::read(&path).expect("read");
        write(&path, &files).expect("write again");
        assert_eq!(std::fs::read(&path).expect("read"), bytes, "deterministic");
        assert_eq!(read(&path).expect("bundle")[1].1, vec![7u8; 300]);
        let other = dir.path().join("letter.txt");
        std::fs::write(&other, "dear").expect("letter");
        assert!(
            write(&other, &files).is_err() && std::fs::read(&other).expect("letter") == b"dear"
        );
        for len in (0..bytes.len()).step_by(7) {
            std::fs::write(&path, &bytes[..len]).expect("cut");
            assert!(read(&path).is_err(), "{len}");
        }
        for at in (0..bytes.len()).step_by(11) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, damaged).expect("flip");
            // A flipped bit in a file's name is harmless; everything else must be refused.
            if let Ok(files) = read(&path) {
                assert_eq!(files[1].1, vec![7u8; 300]);
            }
        }
    }
}
