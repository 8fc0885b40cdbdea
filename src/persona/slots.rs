//! Save slots: one folder a persona, with its identity, memory, older memories and journal.
//!
//! `<saves>/<slot>/{identity.json, memory.safetensors, snapshots/, journal.jsonl, lock}`. A deleted slot is moved to
//! `<saves>/.trash/`, never erased. Knows nothing of models.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::journal::Journal;
use crate::brain::protocol::Language;

/// Slot that is used when none is named.
pub const DEFAULT_SLOT: &str = "tete";

/// Who a companion is. Kept for the life of the slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Form of the file.
    pub version: u32,
    /// Name the companion bears.
    pub companion_name: String,
    /// Seconds since 1970 when the slot was made.
    pub born_unix_s: u64,
    /// `en` or `ja`: the language it was made in.
    pub language: String,
}

impl Identity {
    fn new(companion_name: &str, language: Language) -> Self {
        Self {
            version: 1,
            companion_name: companion_name.to_owned(),
            born_unix_s: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
            language: if language == Language::Japanese { "ja" } else { "en" }.to_owned(),
        }
    }

    /// Reads an identity file and checks it.
    ///
    /// # Errors
    /// Not JSON of this form, another version, or a name that cannot be one.
    pub fn from_json(text: &[u8]) -> anyhow::Result<Self> {
        let identity: Self = serde_json::from_slice(text).context("not an identity")?;
        if identity.version != 1 {
            bail!("version {} of an identity, this program reads 1", identity.version);
        }
        check_companion_name(&identity.companion_name)?;
        Ok(identity)
    }
}

/// A companion's name: 1 to 40 characters, none of them for control.
fn check_companion_name(name: &str) -> anyhow::Result<()> {
    if name.trim().is_empty() || name.chars().count() > 40 || name.contains(char::is_control) {
        bail!("a companion's name has 1 to 40 characters");
    }
    Ok(())
}

/// All slots below one folder.
#[derive(Debug, Clone)]
pub struct SlotFolder {
    saves: PathBuf,
}

/// An open slot: nobody else can open it until this is dropped.
#[derive(Debug)]
pub struct OpenSlot {
    /// Name of the slot.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
    /// Who lives in it.
    pub identity: Identity,
    /// What was said in it.
    pub journal: Journal,
    _lock: File,
}

impl OpenSlot {
    /// Replaces who lives in the slot.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn set_identity(&mut self, identity: Identity) -> anyhow::Result<()> {
        write_identity(&self.dir, &identity)?;
        self.identity = identity;
        Ok(())
    }
}

/// A slot's name as a folder: letters, digits, `-` and `_` of any script, 1 to 40 characters, not hidden.
fn check_name(name: &str) -> anyhow::Result<()> {
    let fits = (1..=40).contains(&name.chars().count())
        && name.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_');
    if !fits {
        bail!("{name:?} cannot be a slot's name: 1 to 40 letters, digits, - or _");
    }
    Ok(())
}

impl SlotFolder {
    /// The slots below `saves`.
    pub fn new(saves: &Path) -> Self {
        Self { saves: saves.to_owned() }
    }

    /// Names and identities of all slots, by name.
    pub fn list(&self) -> Vec<(String, Identity)> {
        let mut slots: Vec<(String, Identity)> = std::fs::read_dir(&self.saves)
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .filter_map(|e| {
                let name = e.file_name().to_str()?.to_owned();
                check_name(&name).ok()?;
                Some((name, read_identity(&e.path())?))
            })
            .collect();
        slots.sort_by(|a, b| a.0.cmp(&b.0));
        slots
    }

    /// Opens a slot, making it when it is missing.
    ///
    /// # Errors
    /// A name that cannot be one, a slot that another companion holds open, or a disk that refuses.
    pub fn open(&self, name: &str, language: Language) -> anyhow::Result<OpenSlot> {
        check_name(name)?;
        let dir = self.saves.join(name);
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let lock_path = dir.join("lock");
        let lock = File::create(&lock_path)
            .with_context(|| format!("cannot write in {}", dir.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => bail!(
                "the companion in slot {name:?} is already running (lock: {}); close it, or choose another with --persona NAME",
                lock_path.display()
            ),
            Err(std::fs::TryLockError::Error(error)) => {
                tracing::warn!("{}: cannot lock ({error}); going on without", lock_path.display());
            }
        }
        let identity = match read_identity(&dir) {
            Some(identity) => identity,
            None => {
                let companion_name = match (name == DEFAULT_SLOT, language) {
                    (true, Language::Japanese) => "テテ",
                    (true, Language::English) => "Tete",
                    _ => name,
                };
                let identity = Identity::new(companion_name, language);
                write_identity(&dir, &identity)?;
                identity
            }
        };
        Ok(OpenSlot {
            name: name.to_owned(),
            journal: Journal::in_slot(&dir),
            dir,
            identity,
            _lock: lock,
        })
    }

    /// Makes a slot for a companion of this name; returns the slot's name.
    ///
    /// # Errors
    /// An empty name or a disk that refuses.
    pub fn create(&self, companion_name: &str, language: Language) -> anyhow::Result<String> {
        let companion_name = companion_name.trim();
        check_companion_name(companion_name)?;
        let lower = companion_name.to_lowercase();
        // After the lower-casing, which can turn one letter into a letter and a mark.
        let fits = |c: char| if c.is_alphanumeric() { c } else { '-' };
        let base: String = lower.chars().map(fits).take(40).collect();
        let name = (1..)
            .map(|n| {
                if n == 1 {
                    base.clone()
                } else {
                    format!("{}-{n}", base.chars().take(36).collect::<String>())
                }
            })
            .find(|name| !self.saves.join(name).exists())
            .context("no free name")?;
        let dir = self.saves.join(&name);
        std::fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        write_identity(&dir, &Identity::new(companion_name, language))?;
        Ok(name)
    }

    /// Moves a slot to the trash folder.
    ///
    /// # Errors
    /// A slot that is missing or open, or a disk that refuses.
    pub fn delete(&self, name: &str) -> anyhow::Result<()> {
        self.check_exists(name)?;
        let slot = self.open(name, Language::English)?;
        let trash = self.saves.join(".trash");
        std::fs::create_dir_all(&trash)
            .with_context(|| format!("cannot make {}", trash.display()))?;
        let stamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
        let target = trash.join(format!("{name}-{stamp}"));
        std::fs::rename(&slot.dir, &target)
            .with_context(|| format!("cannot move {}", slot.dir.display()))?;
        Ok(())
    }

    /// Copies a slot with its memory and journal, older memories left out; returns the copy's slot name.
    ///
    /// # Errors
    /// A slot that is missing or open, a name that cannot be one, or a disk that refuses.
    pub fn copy(&self, name: &str, companion_name: &str) -> anyhow::Result<String> {
        self.check_exists(name)?;
        let slot = self.open(name, Language::English)?;
        let copy = self.create(companion_name, Language::English)?;
        let dir = self.saves.join(&copy);
        let identity =
            Identity { companion_name: companion_name.trim().to_owned(), ..slot.identity.clone() };
        write_identity(&dir, &identity)?;
        for file in ["memory.safetensors", "journal.jsonl"] {
            let from = slot.dir.join(file);
            if from.is_file() {
                std::fs::copy(&from, dir.join(file))
                    .with_context(|| format!("cannot copy {}", from.display()))?;
            }
        }
        Ok(copy)
    }

    fn check_exists(&self, name: &str) -> anyhow::Result<()> {
        check_name(name)?;
        if !self.saves.join(name).is_dir() {
            bail!("there is no companion in slot {name:?}");
        }
        Ok(())
    }
}

fn read_identity(dir: &Path) -> Option<Identity> {
    Identity::from_json(&std::fs::read(dir.join("identity.json")).ok()?).ok()
}

fn write_identity(dir: &Path, identity: &Identity) -> anyhow::Result<()> {
    let path = dir.join("identity.json");
    if path.is_file() && read_identity(dir).is_none() {
        // Damaged: a person may still want to read it.
        std::fs::rename(&path, dir.join("identity.json.damaged"))?;
    }
    let mut file = tempfile::NamedTempFile::new_in(dir)
        .with_context(|| format!("cannot write in {}", dir.display()))?;
    file.write_all((serde_json::to_string_pretty(identity)? + "\n").as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(feature = "window")]
impl crate::persona_panel::Slots for SlotFolder {
    fn list(&self) -> Vec<crate::persona_panel::SlotSummary> {
        self.list()
            .into_iter()
            .map(|(slot, identity)| {
                let memory = self.saves.join(&slot).join("memory.safetensors");
                let used = std::fs::metadata(memory).and_then(|m| m.modified()).ok();
                let last_used_unix_s = used
                    .and_then(|t| t.duration_since(UNIX_EPOCH).ok())
                    .map(|d| d.as_secs() as i64);
                crate::persona_panel::SlotSummary {
                    slot,
                    companion_name: identity.companion_name,
                    last_used_unix_s,
                }
            })
            .collect()
    }

    fn create(&mut self, companion_name: &str) -> Result<String, String> {
        SlotFolder::create(self, companion_name, crate::i18n::system_language())
            .map_err(|e| format!("{e:#}"))
    }

    fn delete(&mut self, slot: &str) -> Result<(), String> {
        SlotFolder::delete(self, slot).map_err(|e| format!("{e:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_made_listed_locked_and_moved_to_the_trash() {
        let dir = tempfile::tempdir().expect("folder");
        let slots = SlotFolder::new(dir.path());
        let first = slots.open(DEFAULT_SLOT, Language::Japanese).expect("open");
        assert_eq!(first.identity.companion_name, "テテ");
        let again = slots.open(DEFAULT_SLOT, Language::English).expect_err("locked").to_string();
        assert!(again.contains("already running"), "{again}");
        assert!(slots.delete(DEFAULT_SLOT).is_err(), "an open slot stays");
        drop(first);
        assert_eq!(slots.create("モモ", Language::Japanese).expect("create"), "モモ");
        assert_eq!(slots.create("モモ", Language::Japanese).expect("create"), "モモ-2");
        let dotted = slots.create("İpek", Language::English).expect("create");
        assert!(slots.open(&dotted, Language::English).is_ok(), "{dotted}");
        slots.delete(&dotted).expect("delete");
        assert_eq!(slots.list().len(), 3);
        slots.delete("モモ-2").expect("delete");
        assert_eq!(slots.list().len(), 2);
        assert!(dir.path().join(".trash").read_dir().expect("trash").next().is_some());
    }

    #[test]
    fn a_copy_has_the_memory_and_its_own_name() {
        let dir = tempfile::tempdir().expect("folder");
        let slots = SlotFolder::new(dir.path());
        let first = slots.open("a", Language::English).expect("open");
        std::fs::write(first.dir.join("memory.safetensors"), "learned").expect("memory");
        assert!(slots.copy("a", "B").is_err(), "an open slot is not copied");
        drop(first);
        let copy = slots.copy("a", "B").expect("copy");
        assert_eq!(
            std::fs::read(dir.path().join(&copy).join("memory.safetensors")).expect("memory"),
            b"learned"
        );
        assert_eq!(
            slots.open(&copy, Language::English).expect("open").identity.companion_name,
            "B"
        );
        assert!(slots.copy("missing", "C").is_err() && slots.delete("missing").is_err());
        assert!(!dir.path().join("missing").exists());
    }

    #[test]
    fn a_damaged_identity_is_put_aside() {
        let dir = tempfile::tempdir().expect("folder");
        let slots = SlotFolder::new(dir.path());
        drop(slots.open("a", Language::English).expect("open"));
        std::fs::write(dir.path().join("a/identity.json"), "{").expect("damage");
        assert_eq!(slots.open("a", Language::English).expect("open").identity.companion_name, "a");
        assert_eq!(std::fs::read(dir.path().join("a/identity.json.damaged")).expect("kept"), b"{");
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        let dir = tempfile::tempdir().expect("folder");
        let slots = SlotFolder::new(dir.path());
        for name in ["", "..", "../x", "a/b", ".hidden", "a\0b", "con:1", &"x".repeat(41)] {
            assert!(slots.open(name, Language::English).is_err(), "{name:?}");
        }
        assert!(slots.open("友だち_1", Language::English).is_ok());
    }
}
