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
    /// The words; empty where a note was dictated and nothing was said.
    pub text: String,
    /// Notes that the companion made in this turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Notes that the person had the companion forget: those before this line no longer count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forgotten: Vec<String>,
}

impl Entry {
    /// An entry of now.
    pub fn now(by_person: bool, text: &str) -> Self {
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs() as i64);
        Self { unix_s, by_person, text: text.to_owned(), notes: Vec::new(), forgotten: Vec::new() }
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

    /// All notes that the companion made and was not made to forget, oldest first.
    pub fn notes(&self) -> Vec<String> {
        let text = std::fs::read(&self.path).unwrap_or_default();
        let lines = String::from_utf8_lossy(&text);
        let entries = lines.lines().filter_map(|l| serde_json::from_str::<Entry>(l).ok());
        let mut notes: Vec<String> = Vec::new();
        for entry in entries {
            notes.retain(|note| !entry.forgotten.contains(note));
            notes.extend(entry.notes);
        }
        notes
    }

    /// Moves everything that was said to `snapshots/`, beside the memories of before; the journal is empty then.
    ///
    /// # Errors
    /// When the disk refuses; the journal is then untouched.
    pub fn set_aside(&self) -> std::io::Result<()> {
        if !self.path.exists() {
            return Ok(());
        }
        let dir = self.path.with_file_name("snapshots");
        std::fs::create_dir_all(&dir)?;
        let stamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
        std::fs::rename(&self.path, dir.join(format!("journal-{stamp}.jsonl")))
    }

    /// Replaces everything that was said, for example by an imported journal, of which the newest part is kept if it is
    /// too long.
    ///
    /// # Errors
    /// When the disk refuses; the old journal is then untouched.
    pub fn replace(&self, lines: &[u8]) -> std::io::Result<()> {
        let too_long = lines.len().saturating_sub(MAX_BYTES as usize);
        let whole = |cut: &[u8]| cut.iter().position(|b| *b == b'\n').map_or(cut.len(), |p| p + 1);
        let start = if too_long > 0 { too_long + whole(&lines[too_long..]) } else { 0 };
        let lines = &lines[start..];
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
        let noted = Entry { notes: vec!["your name is Mia.".into()], ..Entry::now(false, "Mia!") };
        journal.append(std::slice::from_ref(&noted)).expect("append");
        assert_eq!(journal.notes(), ["your name is Mia."]);
        let forget = Entry { forgotten: vec!["your name is Mia.".into()], ..Entry::now(false, "") };
        journal.append(&[noted.clone(), forget]).expect("append");
        assert!(journal.notes().is_empty());
        journal.append(&[noted]).expect("append");
        assert_eq!(journal.notes(), ["your name is Mia."], "told again");
    }

    #[test]
    fn a_journal_is_put_aside_and_a_longer_one_is_cut_at_a_line() {
        let dir = tempfile::tempdir().expect("folder");
        let journal = Journal::in_slot(dir.path());
        journal.set_aside().expect("nothing there");
        journal.append(&[Entry::now(true, "before")]).expect("append");
        journal.set_aside().expect("aside");
        assert!(journal.recent(9).is_empty());
        assert_eq!(dir.path().join("snapshots").read_dir().expect("snapshots").count(), 1);
        let line = serde_json::to_string(&Entry::now(true, &"y".repeat(1000))).expect("line");
        let long = format!("{line}\n").repeat(5000);
        journal.replace(long.as_bytes()).expect("replace");
        assert!(std::fs::metadata(&journal.path).expect("journal").len() <= MAX_BYTES);
        assert!(journal.recent(5000).len() > 3000 && journal.recent(1)[0].text.len() == 1000);
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
