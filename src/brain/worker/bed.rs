//! When the companion sleeps: a nap behind every new note, a night when nobody has talked for a while or at the end.
//!
//! What a sleep does is the engine's ([`engine::sleep`]); here is when, for how long, over which notes, and what is
//! written down of it. A line that comes in wakes the companion at once; what it had learned until then is kept.

use std::{
    ops::ControlFlow,
    path::PathBuf,
    time::{Duration, Instant},
};

use engine::{
    session::Session,
    sleep::{SleepOptions, Sleeper},
    topics::Lang,
};
use serde::{Deserialize, Serialize};

use crate::brain::protocol::SleepSummary;

/// A night begins when nothing was asked for this long.
pub(super) const QUIET: Duration = Duration::from_secs(20);
/// Longest nap behind a note; the reply is out by then. Half a second to a second and a half is usual; where it is cut
/// short, the night makes up for it.
const NAP: Duration = Duration::from_secs(3);
/// Longest night at the end of the program.
pub(super) const LAST_NIGHT: Duration = Duration::from_secs(2);
/// Brains above this many parameters do not sleep: their weights would have to be in memory a second time.
const MAX_PARAMS: usize = 100_000_000;
/// File of a slot that tells of its last night.
const FILE: &str = "sleep.json";

/// What is known of the last night.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Diary {
    /// Notes in the journal at its end.
    notes: usize,
    summary: SleepSummary,
}

/// Where one slot's companion sleeps.
pub(super) struct Bed {
    path: PathBuf,
    threads: usize,
    diary: Diary,
    sleeper: Option<Sleeper>,
}

impl Bed {
    /// The bed in a slot's folder.
    pub(super) fn in_slot(dir: &std::path::Path, threads: usize) -> Self {
        let path = dir.join(FILE);
        let diary = std::fs::read(&path).ok().and_then(|b| serde_json::from_slice(&b).ok());
        Self { path, threads, diary: diary.unwrap_or_default(), sleeper: None }
    }

    /// Another life begins in this slot: its nights are those of nobody yet.
    pub(super) fn begin_anew(&mut self) {
        self.diary = Diary::default();
        let _ = std::fs::remove_file(&self.path);
    }

    /// What came of the last night; all zero if there was none.
    pub(super) fn last(&self) -> SleepSummary {
        self.diary.summary
    }

    /// Whether there are notes (`notes`: how many in the journal) that no whole night has gone over.
    pub(super) fn is_tired(&self, notes: usize) -> bool {
        notes > 0 && notes != self.diary.notes
    }

    /// A moment of sleep over the newest notes.
    pub(super) fn nap(&mut self, session: &mut Session, notes: &[String]) -> bool {
        let until = Instant::now() + NAP;
        let summary = self.sleep(session, notes, SleepOptions::NAP, &mut || until > Instant::now());
        summary.is_some_and(|s| s.kept)
    }

    /// A whole sleep over all notes, while `may_go_on`. `None`: there is nothing to sleep with.
    pub(super) fn night(
        &mut self,
        session: &mut Session,
        notes: &[String],
        may_go_on: &mut dyn FnMut() -> bool,
    ) -> Option<SleepSummary> {
        let mut woken = false;
        let mut go_on = || {
            woken = woken || !may_go_on();
            !woken
        };
        let summary = self.sleep(session, notes, SleepOptions::NIGHT, &mut go_on)?;
        // The weights of the sleeper are needed in nights only, apart from naps, which load them again.
        self.sleeper = None;
        if !woken {
            self.diary = Diary { notes: notes.len(), summary };
            let written =
                serde_json::to_vec(&self.diary).map(|text| std::fs::write(&self.path, text));
            if !matches!(written, Ok(Ok(()))) {
                tracing::warn!("{} could not be written", self.path.display());
            }
        }
        Some(summary)
    }

    /// Unlearns a topic; see [`Sleeper::forget`]. False as well if there is nothing to do it with.
    pub(super) fn forget(
        &mut self,
        session: &mut Session,
        notes: &[String],
        lang: Lang,
        topic: &str,
        keep_going: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> bool {
        self.sleeper(session)
            .is_some_and(|sleeper| sleeper.forget(session, notes, lang, topic, keep_going))
    }

    /// The sleeper, loaded when it is first needed.
    fn sleeper(&mut self, session: &Session) -> Option<&Sleeper> {
        if session.brain().config.n_params() > MAX_PARAMS {
            return None;
        }
        if self.sleeper.is_none() {
            let dir = session.brain().dir.clone()?;
            match Sleeper::load(&dir, self.threads) {
                Ok(sleeper) => self.sleeper = Some(sleeper),
                Err(error) => tracing::warn!("no sleep: {error}"),
            }
        }
        self.sleeper.as_ref()
    }

    fn sleep(
        &mut self,
        session: &mut Session,
        notes: &[String],
        opts: SleepOptions,
        may_go_on: &mut dyn FnMut() -> bool,
    ) -> Option<SleepSummary> {
        let report = self.sleeper(session)?.sleep(session, notes, opts, &mut || {
            if may_go_on() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        tracing::info!("slept: {report:?}");
        Some(SleepSummary {
            notes: report.notes,
            known_before: report.known.0,
            known_after: report.known.1,
            unknown: report.unknown,
            admitted_before: report.admitted.0,
            admitted_after: report.admitted.1,
            steps: report.steps,
            kept: report.steps > 0 && !report.undone,
        })
    }
}
