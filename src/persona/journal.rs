//! The bounded record of what was said in a slot: one JSON object a line, the oldest lines leave first.
//!
//! It is kept for the chat history and for rebuilding a memory; no answer is ever looked up in it.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// Largest journal in bytes; above it the older half leaves.
const MAX_BYTES: u64 = 4 << 20;

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Seconds since 1970.
    pub unix_s: i64,
    /// True: the person said it; false: the companion.
    pub by_person: bool,
    /// The words.
    pub text: String,
    /// Notes that the companion made in this turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Entry {
    /// An entry of now.
    pub fn now(by_person: bool, text: &str) -> Self {
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
        Self { unix_s, by_person, text: text.to_owned(), notes: Vec::new() }
    }
}

/// The journal of one slot.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
}

impl Journal {
    /// The journal in a slot's folder.
    pub fn in_slot(dir: &Path) -> Self {
        Self { path: dir.join("journal.jsonl") }
    }

    /// Appends entries.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn append(&self, entries: &[Entry]) -> std::io::Result<()> {
        let mut text = String::new();
        if !self.ends_whole()? {
            // A line that a power cut left half: the next one begins anew.
            text.push('\n');
        }
        for entry in entries {
            text.push_str(&serde_json::to_string(entry)?);
            text.push('\n');
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        file.write_all(text.as_bytes())?;
        if file.metadata()?.len() > MAX_BYTES {
            self.drop_older_half()?;
        }
        Ok(())
    }

    /// The last `n` entries, oldest first; lines that cannot be read are passed over.
    pub fn recent(&self, n: usize) -> Vec<Entry> {
        let text = std::fs::read(&self.path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut last: Vec<Entry> =
            text.lines().rev().filter_map(|l| serde_json::from_str(l).ok()).take(n).collect();
        last.reverse();
        last
    }

    /// Replaces everything that was said, for example by an imported journal.
    ///
    /// # Errors
    /// When the disk refuses; the old journal is then untouched.
    pub fn replace(&self, lines: &[u8]) -> std::io::Result<()> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(lines)?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }

    fn ends_whole(&self) -> std::io::Result<bool> {
        let mut last = [b'\n'];
        match std::fs::File::open(&self.path) {
            Ok(mut file) if file.metadata()?.len() > 0 => {
                file.seek(SeekFrom::End(-1))?;
                file.read_exact(&mut last)?;
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(last == [b'\n'])
    }

    fn drop_older_half(&self) -> std::io::Result<()> {
        let text = std::fs::read(&self.path)?;
        let half = text.len() / 2;
        let start =
            text[half..].iter().position(|b| *b == b'\n').map_or(text.len(), |p| half + p + 1);
        self.replace(&text[start..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_lines_come_back_in_order_and_damage_is_passed_over() {
        let dir = tempfile::tempdir().expect("folder");
        let journal = Journal::in_slot(dir.path());
        for i in 0..5 {
            journal.append(&[Entry::now(i % 2 == 0, &format!("line {i}"))]).expect("append");
        }
        std::fs::OpenOptions::new()
            .append(true)
            .open(&journal.path)
            .and_then(|mut f| f.write_all(b"{half a li"))
            .expect("damage");
        let texts: Vec<String> = journal.recent(3).into_iter().map(|e| e.text).collect();
        assert_eq!(texts, ["line 2", "line 3", "line 4"]);
        journal.append(&[Entry::now(true, "after")]).expect("append");
        assert_eq!(journal.recent(1)[0].text, "after");
    }

    #[test]
    fn the_journal_has_a_ceiling() {
        let dir = tempfile::tempdir().expect("folder");
        let journal = Journal::in_slot(dir.path());
        let long = "x".repeat(300_000);
        for _ in 0..20 {
            journal.append(&[Entry::now(true, &long)]).expect("append");
        }
        assert!(std::fs::metadata(&journal.path).expect("journal").len() <= MAX_BYTES + 400_000);
        assert!(!journal.recent(1).is_empty());
    }
}
