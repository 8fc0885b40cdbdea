//! The only file that knows where assets, saves and models lie.
//!
//! From a checkout the program uses the checkout's own `assets/` and `saves/`; installed, the folder beside the
//! executable and the platform's data folder. Options and `COMPANION_ASSETS` come first.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Folders of a run.
#[derive(Debug, Clone)]
pub struct Places {
    /// Fonts, locales, bodies, personas, brain, text.
    pub assets: PathBuf,
    /// Persona slots.
    pub saves: PathBuf,
    /// Settings and window place.
    pub config: PathBuf,
}

/// The checkout that this program was built in, if it still stands and the program runs from it: out of its `target/`,
/// or through `cargo run`, which says so.
fn checkout() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let by_cargo = std::env::var_os("CARGO_MANIFEST_DIR").is_some_and(|dir| root.as_path() == dir);
    let in_target =
        || std::env::current_exe().is_ok_and(|exe| exe.starts_with(root.join("target")));
    (root.join("assets").is_dir() && (by_cargo || in_target())).then_some(root)
}

impl Places {
    /// Finds the folders; `saves` overrides the place of the saves.
    ///
    /// # Errors
    /// No assets anywhere, or no home to save in.
    pub fn find(saves: Option<&Path>) -> anyhow::Result<Self> {
        let checkout = checkout();
        let beside = std::env::current_exe().ok().and_then(|e| Some(e.parent()?.join("assets")));
        let candidates = [
            std::env::var_os("COMPANION_ASSETS").map(PathBuf::from),
            checkout.as_ref().map(|root| root.join("assets")),
            beside,
            Some(PathBuf::from("assets")),
        ];
        let assets = candidates.into_iter().flatten().find(|p| p.is_dir()).context(
            "the assets folder is missing: start from the checkout, put assets/ beside the program, or set COMPANION_ASSETS",
        )?;
        let user = directories::ProjectDirs::from("", "", "companion");
        let saves = match (saves, &checkout, &user) {
            (Some(saves), _, _) => saves.to_owned(),
            (None, Some(root), _) => root.join("saves"),
            (None, None, Some(user)) => user.data_dir().join("saves"),
            (None, None, None) => bail!("no home folder to save in: say where with --saves DIR"),
        };
        let config = match (&checkout, &user) {
            (None, Some(user)) => user.config_dir().to_owned(),
            _ => saves.join(".config"),
        };
        Ok(Self { assets, saves, config })
    }

    /// The shipped brain: the only folder under `assets/brain`.
    ///
    /// # Errors
    /// None or several there.
    pub fn default_brain(&self) -> anyhow::Result<PathBuf> {
        let dir = self.assets.join("brain");
        let mut found: Vec<PathBuf> = std::fs::read_dir(&dir)
            .into_iter()
            .flatten()
            .filter_map(Result::ok)
            .map(|e| e.path())
            .filter(|p| p.join("config.json").is_file())
            .collect();
        match (found.pop(), found.is_empty()) {
            (Some(only), true) => Ok(only),
            (None, _) => bail!("{}: no brain there; say which with --model DIR", dir.display()),
            _ => bail!("{}: several brains there; say which with --model DIR", dir.display()),
        }
    }

    /// The text that ships with the program, for `--train` without `--data`.
    pub fn shipped_text(&self) -> PathBuf {
        self.assets.join("text")
    }

    /// Where the settings are kept.
    pub fn settings_file(&self) -> PathBuf {
        self.config.join("settings.ron")
    }

    /// Where the place of the window is kept.
    pub fn window_file(&self) -> PathBuf {
        self.config.join("window.ron")
    }
}
