//! The folder a memory lives in: the newest file and a ring of older ones.
//!
//! `memory.safetensors` is the newest, `snapshots/` holds older ones, thinned to the 5 newest, one a day for 7 days and
//! one a week for 4 weeks. A save is written beside, flushed, read back, compared and then renamed over the old file, so
//! that a power cut leaves the old or the new memory, never half of one. A file that cannot be used (damaged, or of
//! another brain) is moved aside, never overwritten. Two programs must not share a folder at a time.

use std::{
    collections::HashSet,
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use super::memory::{MAX_FILE_BYTES, Memory};
use crate::{checkpoint::Brain, error::StateError};

const CURRENT: &str = "memory.safetensors";
const SNAPSHOTS: &str = "snapshots";
const TEMP_PREFIX: &str = ".memory-";
const TEMP_SUFFIX: &str = ".tmp";
const KEEP_RECENT: usize = 5;
const KEEP_DAYS: usize = 7;
const KEEP_WEEKS: usize = 4;
const DAY_S: u64 = 86_400;
/// Files moved aside under one name before the program gives up and asks for help.
const MAX_ASIDE: usize = 99;

/// A memory folder. Holds no open file.
#[derive(Debug, Clone)]
pub struct MemoryRing {
    dir: PathBuf,
}

/// One file of the ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Where it lies.
    pub path: PathBuf,
    /// When the memory last read something, Unix seconds; for the newest file the time it was written.
    pub updated: u64,
    /// Tokens read until then; `None` for the newest file, whose name does not say.
    pub tokens_read: Option<u64>,
    /// Size in bytes.
    pub n_bytes: u64,
    /// Whether this is the file that is loaded first.
    pub is_current: bool,
}

impl MemoryRing {
    /// The ring in `dir`; the folder is made by the first save.
    pub fn open(dir: &Path) -> Self {
        Self { dir: dir.into() }
    }

    /// Path of the newest memory, whether it exists or not.
    pub fn current_path(&self) -> PathBuf {
        self.dir.join(CURRENT)
    }

    /// Writes `memory` as the newest and keeps the one before as a snapshot. Returns the path of the file.
    ///
    /// # Errors
    /// [`StateError`] if the file could not be written and read back equal; the old file is then untouched.
    pub fn save(&self, memory: &Memory) -> Result<PathBuf, StateError> {
        let path = self.current_path();
        if !memory.is_finite() {
            let reason = "the memory to save holds a number that is not finite".into();
            return Err(StateError::Damaged { path, reason });
        }
        let snapshots = self.dir.join(SNAPSHOTS);
        fs::create_dir_all(&snapshots).map_err(io_error(&snapshots))?;
        let bytes = memory.to_bytes();
        let temp = tempfile::Builder::new()
            .prefix(TEMP_PREFIX)
            .suffix(TEMP_SUFFIX)
            .tempfile_in(&self.dir)
            .map_err(io_error(&self.dir))?;
        let temp_path = temp.path().to_path_buf();
        temp.as_file().write_all(&bytes).map_err(io_error(&temp_path))?;
        temp.as_file().sync_all().map_err(io_error(&temp_path))?;
        if read_capped(&temp_path).map_err(io_error(&temp_path))? != bytes {
            let reason = "what was written reads back different; is the disk failing?".into();
            return Err(StateError::Damaged { path: temp_path, reason });
        }
        self.keep_older(memory, &bytes)?;
        temp.persist(&path).map_err(|e| io_error(&path)(e.error))?;
        sync_dir(&self.dir).map_err(io_error(&self.dir))?;
        self.thin();
        Ok(path)
    }

    /// Reads the newest memory of this brain that is whole. `None` if there is none: start a new life then.
    ///
    /// The second value says in plain sentences what was refused and why, and where it was put; empty if all was well.
    ///
    /// # Errors
    /// [`StateError`] only if the folder cannot be read or a refused file cannot be moved aside.
    pub fn load_newest(&self, brain: &Brain) -> Result<(Option<Memory>, Vec<String>), StateError> {
        let mut notices = Vec::new();
        if !self.dir.is_dir() {
            return Ok((None, notices));
        }
        self.remove_leftovers();
        let path = self.current_path();
        match read_memory(&path, brain) {
            Ok(Some(memory)) => return Ok((Some(memory), notices)),
            Ok(None) => {}
            Err(error) => {
                let aside = self.set_aside(&error)?;
                notices.push(match &error {
                    StateError::OtherBrain { found, .. } => format!(
                        "The memory here was learned by another brain ({found}). It is kept untouched as {}.",
                        aside.display()
                    ),
                    _ => format!(
                        "The newest memory could not be used ({error}). It is kept as {}.",
                        aside.display()
                    ),
                });
            }
        }
        let returned = self.brain_path(&brain.id, 1);
        if let Ok(Some(memory)) = read_memory(&returned, brain) {
            fs::rename(&returned, &path).map_err(io_error(&returned))?;
            notices.push("This brain's own memory was found again and goes on.".into());
            return Ok((Some(memory), notices));
        }
        for older in self.snapshots() {
            match read_memory(&older.path, brain) {
                Ok(Some(memory)) => {
                    notices.push(format!(
                        "An older memory is used instead: {} ({} tokens read).",
                        older.path.display(),
                        memory.tokens_read
                    ));
                    return Ok((Some(memory), notices));
                }
                Ok(None) | Err(StateError::OtherBrain { .. }) => {}
                Err(error) => notices.push(format!("An older memory was skipped: {error}.")),
            }
        }
        if !notices.is_empty() {
            notices.push("A fresh memory starts.".into());
        }
        Ok((None, notices))
    }

    /// Reads one file of the ring, as [`MemoryRing::list`] names it.
    ///
    /// # Errors
    /// [`StateError`] if it is missing, damaged or of another brain.
    pub fn load(&self, path: &Path, brain: &Brain) -> Result<Memory, StateError> {
        read_memory(path, brain)?
            .ok_or_else(|| io_error(path)(io::Error::from(io::ErrorKind::NotFound)))
    }

    /// Files of the ring, newest first. What cannot be listed is left out.
    pub fn list(&self) -> Vec<SnapshotInfo> {
        let path = self.current_path();
        let current = fs::metadata(&path).ok().filter(fs::Metadata::is_file).map(|meta| {
            let written = meta.modified().ok();
            let since = written.and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
            SnapshotInfo {
                updated: since.map_or(0, |d| d.as_secs()),
                tokens_read: None,
                n_bytes: meta.len(),
                is_current: true,
                path,
            }
        });
        current.into_iter().chain(self.snapshots()).collect()
    }

    /// Snapshots, newest first.
    fn snapshots(&self) -> Vec<SnapshotInfo> {
        let Ok(entries) = fs::read_dir(self.dir.join(SNAPSHOTS)) else { return Vec::new() };
        let mut found: Vec<SnapshotInfo> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let name = entry.file_name().into_string().ok()?;
                let (updated, tokens_read) = parse_snapshot_name(&name)?;
                Some(SnapshotInfo {
                    path: entry.path(),
                    updated,
                    tokens_read: Some(tokens_read),
                    n_bytes: entry.metadata().ok()?.len(),
                    is_current: false,
                })
            })
            .collect();
        found.sort_by(|a, b| {
            (b.updated, b.tokens_read, &b.path).cmp(&(a.updated, a.tokens_read, &a.path))
        });
        found
    }

    /// Links the file that is about to be replaced into the snapshots, or moves it aside if it is not this brain's.
    fn keep_older(&self, memory: &Memory, new_bytes: &[u8]) -> Result<(), StateError> {
        let path = self.current_path();
        let old = match read_capped(&path) {
            Ok(old) => old,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(io_error(&path)(e)),
        };
        if old == new_bytes {
            return Ok(());
        }
        match memory.peer_from_bytes(&old, &path) {
            Ok((updated, tokens_read)) => self.link_snapshot(&path, updated, tokens_read),
            Err(error) => self.set_aside(&error).map(|_| ()),
        }
    }

    fn link_snapshot(&self, path: &Path, updated: u64, tokens: u64) -> Result<(), StateError> {
        for n in 1..=MAX_ASIDE {
            let name = format!("{updated:012}-{tokens:012}-{n}.safetensors");
            let snapshot = self.dir.join(SNAPSHOTS).join(name);
            match fs::hard_link(path, &snapshot) {
                Ok(()) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                // Some file systems know no links.
                Err(_) => {
                    return fs::copy(path, &snapshot).map(|_| ()).map_err(io_error(&snapshot));
                }
            }
        }
        Ok(())
    }

    /// Moves the file that `error` is about out of the way, under a name that says why. Returns the new path.
    fn set_aside(&self, error: &StateError) -> Result<PathBuf, StateError> {
        let path = self.current_path();
        for n in 1..=MAX_ASIDE {
            let aside = match error {
                StateError::OtherBrain { found, .. } => self.brain_path(found, n),
                StateError::Damaged { .. } => self.dir.join(format!("{CURRENT}.damaged-{n}")),
                StateError::Io { source, .. } => {
                    return Err(io_error(&path)(io::Error::new(source.kind(), source.to_string())));
                }
            };
            if aside.symlink_metadata().is_err() {
                fs::rename(&path, &aside).map_err(io_error(&path))?;
                return Ok(aside);
            }
        }
        let reason = format!(
            "it cannot be moved aside: {MAX_ASIDE} such files lie in this folder already, please tidy up"
        );
        Err(StateError::Damaged { path, reason })
    }

    /// Where the memory of another brain is kept: the name says whose it is.
    fn brain_path(&self, brain_id: &str, n: usize) -> PathBuf {
        let id: String = brain_id.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
        let number = if n == 1 { String::new() } else { format!("-{n}") };
        self.dir.join(format!("memory.brain-{id}{number}.safetensors"))
    }

    /// Deletes what a save that was cut off left behind.
    fn remove_leftovers(&self) {
        let Ok(entries) = fs::read_dir(&self.dir) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_leftover = name.starts_with(TEMP_PREFIX) && name.ends_with(TEMP_SUFFIX);
            if is_leftover && let Err(e) = fs::remove_file(entry.path()) {
                tracing::warn!("{}: {e}", entry.path().display());
            }
        }
    }

    /// Deletes snapshots that no rule keeps. A failure costs disk space, not memory, so it is only logged.
    fn thin(&self) {
        let found = self.snapshots();
        let times: Vec<u64> = found.iter().map(|s| s.updated).collect();
        for (snapshot, keep) in found.iter().zip(kept(&times)) {
            if !keep && let Err(e) = fs::remove_file(&snapshot.path) {
                tracing::warn!("{}: {e}", snapshot.path.display());
            }
        }
    }
}

/// Which of the snapshots with these times (Unix seconds, newest first) stay.
fn kept(times: &[u64]) -> Vec<bool> {
    let mut keep: Vec<bool> = (0..times.len()).map(|i| i < KEEP_RECENT).collect();
    for (period_s, n_periods) in [(DAY_S, KEEP_DAYS), (7 * DAY_S, KEEP_WEEKS)] {
        let mut seen = HashSet::new();
        for (time, keep) in times.iter().zip(&mut keep) {
            // The newest of each period stays.
            if seen.len() < n_periods && seen.insert(time / period_s) {
                *keep = true;
            }
        }
    }
    keep
}

/// `(updated, tokens_read)` of a name such as `001700000000-000000012345-1.safetensors`.
fn parse_snapshot_name(name: &str) -> Option<(u64, u64)> {
    let mut parts = name.strip_suffix(".safetensors")?.split('-');
    let numbers = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next()?.parse::<u32>().ok()?;
    parts.next().is_none().then_some(numbers)
}

fn read_memory(path: &Path, brain: &Brain) -> Result<Option<Memory>, StateError> {
    match read_capped(path) {
        Ok(bytes) => Memory::from_bytes(&bytes, brain, path).map(Some),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(io_error(path)(e)),
    }
}

/// The file, or its first bytes up to just over the largest size that is accepted.
fn read_capped(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> StateError + use<> {
    let path = path.to_path_buf();
    move |source| StateError::Io { path: path.clone(), source }
}

/// Makes a rename last through a power cut, where the system lets a folder be flushed.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(dir)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_five_newest_seven_days_and_four_weeks() {
        // One every hour for 60 days, newest first.
        let start = 20_000 * DAY_S;
        let times: Vec<u64> = (0..60 * 24).map(|h| start - h * 3600).collect();
        let keep = kept(&times);
        assert!(keep[..5].iter().all(|k| *k));
        let left: Vec<u64> = times.iter().zip(&keep).filter(|t| *t.1).map(|t| *t.0).collect();
        let days: HashSet<u64> = left.iter().map(|t| t / DAY_S).collect();
        assert!(days.len() >= 7 && left.len() <= 16, "{left:?}");
        assert!(left[left.len() - 1] < start - 14 * DAY_S);
        assert_eq!(kept(&[]), Vec::<bool>::new());
        assert!(kept(&[5, 5, 5]).iter().all(|k| *k));
    }

    #[test]
    fn thinning_again_and_again_keeps_weeks() {
        let mut times: Vec<u64> = Vec::new();
        for hour in 0..80 * 24_u64 {
            times.insert(0, hour * 3600);
            let keep = kept(&times);
            times = times.iter().zip(keep).filter(|t| t.1).map(|t| *t.0).collect();
        }
        let now = 80 * DAY_S;
        assert!(times[times.len() - 1] <= now - 14 * DAY_S, "{times:?}");
        assert!(times.len() <= 16);
    }

    #[test]
    fn only_names_of_the_ring_are_snapshots() {
        assert_eq!(
            parse_snapshot_name("001700000000-000000000012-1.safetensors"),
            Some((1_700_000_000, 12))
        );
        for name in ["a-1-1.safetensors", "1-1.safetensors", "1-1-1-1.safetensors", "1-1-1.tmp", ""]
        {
            assert_eq!(parse_snapshot_name(name), None, "{name}");
        }
    }
}
