//! Text to token streams.
//!
//! [`Dataset`] holds the documents of all sets as tokens; [`Rows`] gives each batch row an endless, seeded series of
//! *episodes*: a synthetic life, or a run of plain text and talk. Episode `i` of row `r` depends on (seed, r, i, stage)
//! alone, so a run can be interrupted and resumed at the token.

pub mod facts;
mod lives;
mod shards;
pub mod sources;
pub mod words;
mod writer;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};

pub use writer::{ANSWER, COPY};

use crate::{
    error::TrainError,
    rng::Rng,
    tokenizer::{TokenId, Tokenizer, special},
    trainer::SegmentSource,
};
use facts::Lang;
use lives::{Filler, LifeSize, write_life, write_piece};
use shards::Shard;
use sources::{Doc, SourceDoc, Sources};

/// A rest of an episode shorter than this is dropped instead of padded.
const MIN_REST: usize = 64;

/// A piece of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// `T + 1` tokens: inputs and, shifted by one, targets.
    pub tokens: Vec<TokenId>,
    /// `T`: weight of predicting `tokens[t + 1]`; 0 is not scored.
    pub weights: Vec<f32>,
    /// The memory starts from nothing.
    pub fresh: bool,
}

/// Stage of the curriculum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// Short, dense lives; every segment starts from nothing.
    Dense,
    /// Long lives; the memory is carried from segment to segment.
    Lives,
    /// As [`Stage::Lives`], with the companion's own voice in most of the plain talk.
    Voice,
}

impl Stage {
    /// Share of episodes that are lives.
    fn life_share(self) -> f64 {
        match self {
            Self::Dense | Self::Lives => 0.5,
            Self::Voice => 0.42,
        }
    }

    /// Share of authored pieces in plain text episodes.
    fn authored_share(self) -> f64 {
        match self {
            Self::Dense | Self::Lives => 0.6,
            Self::Voice => 0.85,
        }
    }
}

/// Where the text is.
#[derive(Debug, Clone)]
pub struct DataOptions {
    /// Folders of `.jsonl`, `.jsonl.zst`, `.txt`.
    pub dirs: Vec<PathBuf>,
    /// Where tokenised documents are kept between runs.
    pub cache_dir: PathBuf,
    /// Seed of everything drawn.
    pub seed: u64,
}

/// How often a set is drawn for plain text and as everyday talk, relative to each other. Sets that are not named
/// (a user's own) share the last weight.
const MIX: [(&str, f64); 20] = [
    ("tinystories-pieces", 10.0),
    ("storybooks-asp-en", 3.0),
    ("storybooks-pb-en", 4.0),
    ("storybooks-gasp-ja", 1.0),
    ("aozora-children-simple", 10.0),
    ("fairytaleqa", 2.0),
    ("tatoeba-ja-en", 8.0),
    ("real-persona-chat", 9.0),
    ("synthetic-persona-chat", 5.0),
    ("topical-chat", 0.3),
    ("microsoft-chitchat", 3.0),
    ("dolly-15k-en", 2.0),
    ("dolly-15k-ja", 2.0),
    ("jglue-jcommonsenseqa", 2.0),
    ("niilc-qa", 0.3),
    ("jaquad", 0.2),
    ("schema-guided-dialogue", 0.3),
    ("chatterbot-corpus-english", 0.3),
    ("aozora-children", 3.0),
    ("", 3.0),
];

fn mix_weight(set: &str) -> f64 {
    MIX.iter().find(|(name, _)| *name == set).or(MIX.last()).map_or(0.0, |(_, w)| *w)
}

#[derive(Debug)]
struct Inner {
    sources: Sources,
    shard: Shard,
    /// Training documents by set and language, with the weight of the group.
    groups: Vec<Group>,
    tokenizer: Tokenizer,
}

#[derive(Debug)]
struct Group {
    lang: Lang,
    weight: f64,
    docs: Vec<usize>,
}

/// All text as tokens. Cheap to copy.
#[derive(Debug, Clone)]
pub struct Dataset {
    inner: Arc<Inner>,
    seed: u64,
}

/// Sample of the cleaned text for a tokenizer: authored text whole, public sets thinned to a few megabytes each.
///
/// # Errors
/// As [`sources::read`].
pub fn tokenizer_texts(
    opts: &DataOptions,
) -> Result<impl Iterator<Item = String> + Send + use<>, TrainError> {
    const MAX_BYTES: usize = 4_000_000;
    let sources = sources::read(&opts.dirs)?;
    let mut used: BTreeMap<String, usize> = BTreeMap::new();
    let mut texts: Vec<String> = Vec::new();
    for piece in &sources.authored {
        texts.extend(piece.lines.iter().map(|l| l.text.clone()));
    }
    for lang in Lang::ALL {
        for fact in sources.facts.facts(lang) {
            texts.extend(fact.teach.iter().chain(&fact.ask).cloned());
            texts.extend(fact.values_of(facts::Side::Train));
        }
    }
    for doc in &sources.docs {
        let lines: Vec<&str> = match &doc.doc {
            Doc::Text(text) => vec![text],
            Doc::Talk(lines) => lines.iter().map(|l| l.text.as_str()).collect(),
        };
        let used = used.entry(doc.set.clone()).or_default();
        *used += lines.iter().map(|l| l.len()).sum::<usize>();
        if *used <= MAX_BYTES {
            texts.extend(lines.into_iter().map(str::to_owned));
        }
    }
    Ok(texts.into_iter())
}

impl Dataset {
    /// Reads and cleans the folders; tokenises what the cache does not hold yet.
    ///
    /// # Errors
    /// Folders that cannot be read or hold no text; a cache folder that cannot be written.
    pub fn open(opts: &DataOptions, tokenizer: &Tokenizer) -> Result<Self, TrainError> {
        let sources = sources::read(&opts.dirs)?;
        let shard = Shard::open(&sources.docs, tokenizer, &opts.cache_dir)?;
        let mut by_set: BTreeMap<(String, Lang), Vec<usize>> = BTreeMap::new();
        for (i, doc) in sources.docs.iter().enumerate() {
            if !shard.held_out(i) {
                by_set.entry((doc.set.clone(), doc.lang)).or_default().push(i);
            }
        }
        let sizes: BTreeMap<String, usize> =
            by_set.iter().fold(BTreeMap::new(), |mut all, ((set, _), docs)| {
                *all.entry(set.clone()).or_default() += docs.len();
                all
            });
        let groups = by_set
            .into_iter()
            .map(|((set, lang), docs)| {
                let share = docs.len() as f64 / sizes.get(&set).copied().unwrap_or(1).max(1) as f64;
                Group { lang, weight: mix_weight(&set) * share, docs }
            })
            .collect();
        let tokenizer = tokenizer.clone();
        Ok(Self { inner: Arc::new(Inner { sources, shard, groups, tokenizer }), seed: opts.seed })
    }

    /// The same text with other lives and another order.
    #[must_use]
    pub fn with_seed(&self, seed: u64) -> Self {
        Self { inner: self.inner.clone(), seed }
    }

    /// `n_rows` streams from their beginning.
    pub fn rows(&self, n_rows: usize) -> Rows {
        Rows { data: self.clone(), rows: (0..n_rows).map(|_| Row::default()).collect() }
    }

    /// The held-out documents by set and language.
    pub fn held_out(&self) -> Vec<(String, String, Vec<Vec<TokenId>>)> {
        let mut by_set: BTreeMap<(String, Lang), Vec<Vec<TokenId>>> = BTreeMap::new();
        for (i, doc) in self.inner.sources.docs.iter().enumerate() {
            if self.inner.shard.held_out(i) {
                by_set
                    .entry((doc.set.clone(), doc.lang))
                    .or_default()
                    .push(self.inner.shard.ids(i).to_vec());
            }
        }
        by_set.into_iter().map(|((set, lang), docs)| (set, lang.tag().to_owned(), docs)).collect()
    }

    /// Whether a document is kept out of training.
    pub fn is_held_out(doc: &SourceDoc) -> bool {
        shards::is_held_out(doc)
    }

    /// What was read, for the evaluation.
    pub fn sources(&self) -> &Sources {
        &self.inner.sources
    }

    fn episode(&self, row: usize, episode: u64, stage: Stage) -> (Vec<TokenId>, Vec<f32>) {
        let stage_key = match stage {
            Stage::Dense => 1,
            Stage::Lives => 2,
            Stage::Voice => 3,
        };
        let mut rng = Rng::keyed(self.seed, &[row as u64, episode, stage_key]);
        let inner = &*self.inner;
        let authored = !inner.sources.authored.is_empty();
        if rng.chance(stage.life_share()) && authored {
            let size = match stage {
                Stage::Dense => LifeSize {
                    n_facts: 1 + rng.below(2),
                    max_tokens: 150,
                    max_filler: 50,
                    p_filler: 0.08,
                    p_burst: 0.0,
                    p_authored: 0.0,
                    p_plain: 0.6,
                    p_repeat: 0.15,
                },
                Stage::Lives | Stage::Voice => LifeSize {
                    n_facts: [1, 2, 3, 4, 4, 6, 8, 8, 12, 16][rng.below(10)],
                    max_tokens: 2600,
                    max_filler: 400,
                    p_filler: 0.15 + 0.15 * rng.unit(),
                    p_burst: 0.03,
                    p_authored: 0.12,
                    p_plain: 0.3,
                    p_repeat: 0.03,
                },
            };
            return write_life(&inner.sources, self, &inner.tokenizer, rng, size);
        }
        let target = if stage == Stage::Dense { 140 } else { 700 };
        let (mut ids, mut weights) = (Vec::new(), Vec::new());
        let lang = if rng.chance(0.5) { Lang::En } else { Lang::Ja };
        while ids.len() < target {
            if authored && rng.chance(stage.authored_share()) {
                let seed = Rng::new(rng.next_u64());
                let (a, b) = write_piece(&inner.sources, self, &inner.tokenizer, lang, seed);
                ids.extend(a);
                weights.extend(b);
                continue;
            }
            let Some((doc, said)) = self.draw(lang, &mut rng) else { break };
            for (id, said) in doc.iter().zip(said) {
                ids.push(*id);
                weights.push(if *said || rng.chance(0.25) { 1.0 } else { 0.0 });
            }
        }
        (ids, weights)
    }
}

impl Filler for Dataset {
    fn draw(&self, lang: Lang, rng: &mut Rng) -> Option<(&[TokenId], &[bool])> {
        let groups = || self.inner.groups.iter().filter(|g| g.lang == lang && !g.docs.is_empty());
        let mut roll = rng.unit() * groups().map(|g| g.weight).sum::<f64>();
        let group = groups().find(|g| {
            roll -= g.weight;
            roll <= 0.0
        })?;
        let doc = group.docs[rng.below(group.docs.len())];
        Some((self.inner.shard.ids(doc), self.inner.shard.said(doc)))
    }
}

/// Position of a row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    episode: u64,
    offset: usize,
    stage: Option<Stage>,
}

#[derive(Debug, Default)]
struct Row {
    cursor: Cursor,
    /// The open episode, if it is in memory.
    open: Option<(Vec<TokenId>, Vec<f32>)>,
}

/// Streams of a batch.
#[derive(Debug)]
pub struct Rows {
    data: Dataset,
    rows: Vec<Row>,
}

impl SegmentSource for Rows {
    fn next_segment(&mut self, row: usize, len: usize, stage: Stage) -> Segment {
        let Rows { data, rows } = self;
        let state = &mut rows[row];
        loop {
            if state.cursor.stage != Some(stage) {
                // A new stage begins with a new episode.
                let episode = state.cursor.episode + u64::from(state.cursor.stage.is_some());
                state.cursor = Cursor { episode, offset: 0, stage: Some(stage) };
                state.open = None;
            }
            let (ids, weights) =
                state.open.get_or_insert_with(|| data.episode(row, state.cursor.episode, stage));
            let at = state.cursor.offset;
            let rest = ids.len().saturating_sub(at + 1);
            if rest < MIN_REST && (at > 0 || rest == 0) {
                state.cursor =
                    Cursor { episode: state.cursor.episode + 1, offset: 0, stage: Some(stage) };
                state.open = None;
                continue;
            }
            let n = rest.min(len);
            let mut tokens = ids[at..=at + n].to_vec();
            let mut scored = weights[at + 1..=at + n].to_vec();
            tokens.resize(len + 1, special::PAD);
            scored.resize(len, 0.0);
            let fresh = at == 0;
            if n < len || stage == Stage::Dense {
                state.cursor =
                    Cursor { episode: state.cursor.episode + 1, offset: 0, stage: Some(stage) };
                state.open = None;
            } else {
                state.cursor.offset += len;
            }
            return Segment { tokens, weights: scored, fresh };
        }
    }

    fn cursors(&self) -> serde_json::Value {
        serde_json::json!(self.rows.iter().map(|r| &r.cursor).collect::<Vec<_>>())
    }

    fn seek(&mut self, cursors: &serde_json::Value) -> Result<(), TrainError> {
        let cursors: Vec<Cursor> = serde_json::from_value(cursors.clone())
            .map_err(|e| TrainError::Data(format!("cursors: {e}")))?;
        if cursors.len() != self.rows.len() {
            return Err(TrainError::Data(format!(
                "{} cursors for {} rows",
                cursors.len(),
                self.rows.len()
            )));
        }
        self.rows = cursors.into_iter().map(|cursor| Row { cursor, open: None }).collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn dataset(dir: &std::path::Path) -> Dataset {
        let mut file = std::fs::File::create(dir.join("own.jsonl")).expect("file");
        let fact = r#"{"kind":"fact","lang":"LANG","fact":"dog_name","teach":["my dog is {dog_name}","{dog_name} is my dog"],"ask":["my dog?","who is my dog?"],"answer":[["happy","Your dog is called {dog_name}."]],"echo":[["happy","{dog_name}!"]],"unknown":[["shy","Your dog..."]],"values":["Rex","Bob","Pochi"]}"#;
        for lang in ["en", "ja"] {
            writeln!(file, "{}", fact.replace("LANG", lang)).expect("write");
            writeln!(file, r#"{{"kind":"dialogue","lang":"{lang}","needs":[],"tells":["name"],"turns":[["u","hi, {{name}} here"],["c","happy","Hi {{name}}!"]]}}"#).expect("write");
        }
        for i in 0..200 {
            writeln!(file, r#"{{"text":"Story number {i}: a small snail walked up a wall and looked at the moon."}}"#).expect("write");
            writeln!(file, r#"{{"text":"お話その{i}。小さなかたつむりが、かべをのぼって、月を見ていました。とてもきれいな月でした。おしまい。"}}"#).expect("write");
        }
        let opts =
            DataOptions { dirs: vec![dir.to_owned()], cache_dir: dir.join("cache"), seed: 3 };
        Dataset::open(&opts, &Tokenizer::bytes_only(320).expect("tokenizer")).expect("dataset")
    }

    #[test]
    fn rows_are_fixed_by_the_seed_and_resume_at_the_token() {
        let dir = tempfile::tempdir().expect("folder");
        let data = dataset(dir.path());
        let read = |rows: &mut Rows, n: usize| -> Vec<Segment> {
            (0..n)
                .map(|i| {
                    rows.next_segment(i % 2, 64, if i < 8 { Stage::Dense } else { Stage::Lives })
                })
                .collect()
        };
        let straight = read(&mut data.rows(2), 40);
        assert_eq!(read(&mut data.rows(2), 40), straight);
        assert_ne!(read(&mut data.with_seed(4).rows(2), 40), straight);
        let mut first = data.rows(2);
        read(&mut first, 20);
        let mut second = data.rows(2);
        second.seek(&first.cursors()).expect("seek");
        let rest: Vec<Segment> =
            (20..40).map(|i| second.next_segment(i % 2, 64, Stage::Lives)).collect();
        assert_eq!(rest, straight[20..]);
        assert!(straight.iter().all(|s| s.tokens.len() == 65 && s.weights.len() == 64));
    }

    #[test]
    fn notes_stand_only_at_the_start_of_companion_turns() {
        let dir = tempfile::tempdir().expect("folder");
        let data = dataset(dir.path());
        let mut notes = 0;
        for episode in 0..60 {
            let (ids, weights) = data.episode(0, episode, Stage::Lives);
            assert_eq!(ids.len(), weights.len());
            for (i, id) in ids.iter().enumerate().filter(|(_, id)| **id == special::NOTE) {
                assert_eq!(*id, special::NOTE);
                assert!(
                    matches!(ids[i - 1], special::BOT | special::NOTE_END),
                    "episode {episode}"
                );
                notes += 1;
            }
        }
        assert!(notes > 20, "{notes}");
    }

    #[test]
    fn control_tokens_stand_only_where_the_format_puts_them() {
        let dir = tempfile::tempdir().expect("folder");
        let data = dataset(dir.path());
        for episode in 0..80 {
            for stage in [Stage::Dense, Stage::Lives] {
                let (ids, _) = data.episode(1, episode, stage);
                let mut in_note = false;
                for pair in ids.windows(2) {
                    let (before, id) = (pair[0], pair[1]);
                    let fine = match id {
                        special::NOTE => matches!(before, special::BOT | special::NOTE_END),
                        special::NOTE_END => in_note && !special::is_special(before),
                        special::USER | special::DOC => !in_note,
                        special::BOT => before == special::END || !special::is_special(before),
                        special::END => !in_note && !special::is_special(before),
                        id if special::is_special(id) => {
                            matches!(before, special::BOT | special::NOTE_END)
                                && (special::mood(0)..=special::mood(9)).contains(&id)
                        }
                        _ => true,
                    };
                    assert!(fine, "{} behind {}", special::name(id), special::name(before));
                    in_note = id == special::NOTE || (in_note && id != special::NOTE_END);
                }
            }
        }
    }

    /// The mood is the first thing said: if it told whether the fact is known, the model would decide there.
    #[test]
    fn the_mood_does_not_give_away_whether_something_was_told() {
        let dir = tempfile::tempdir().expect("folder");
        let data = dataset(dir.path());
        let mut happy = [[0usize; 2]; 2]; // [never told, told][other mood, happy]
        for episode in 0..600 {
            let (ids, weights) = data.episode(2, episode, Stage::Lives);
            let (mut mood, mut seen) = (None, false);
            for (id, weight) in ids.iter().zip(&weights) {
                if (special::mood(0)..=special::mood(9)).contains(id) {
                    (mood, seen) = (Some(*id), false);
                } else if let (Some(mood), true, false) = (mood, *weight == ANSWER, seen) {
                    seen = true;
                    let text = data.inner.tokenizer.decode(&[*id]);
                    // The bytes-only tokenizer of this test writes an admission as dots: `.` or the first byte of `…`.
                    let told = !(text.starts_with('.') || *id == special_byte(&data, 0xE2));
                    happy[usize::from(told)][usize::from(mood == special::mood(1))] += 1;
                }
            }
        }
        let share = |row: [usize; 2]| row[1] as f64 / (row[0] + row[1]) as f64;
        assert!(happy.iter().flatten().sum::<usize>() > 800, "{happy:?}");
        assert!((share(happy[0]) - share(happy[1])).abs() < 0.08, "{happy:?}");
    }

    fn special_byte(data: &Dataset, byte: u8) -> TokenId {
        let tok = &data.inner.tokenizer;
        (0..tok.vocab_size() as TokenId).find(|id| tok.token_bytes(*id) == [byte]).unwrap_or(0)
    }

    #[test]
    fn pieces_of_one_chat_stay_on_one_side_of_the_split() {
        let dir = tempfile::tempdir().expect("folder");
        let mut file = std::fs::File::create(dir.path().join("chat.jsonl")).expect("file");
        for chat in 0..150 {
            let turns: Vec<[String; 2]> = (0..30)
                .map(|i| [["A", "B"][i % 2].to_owned(), format!("Chat {chat}, line number {i}.")])
                .collect();
            writeln!(file, "{}", serde_json::json!({ "turns": turns })).expect("write");
        }
        let sources = sources::read(&[dir.path().to_owned()]).expect("sources");
        let mut sides: BTreeMap<String, Vec<bool>> = BTreeMap::new();
        for doc in &sources.docs {
            let Doc::Talk(lines) = &doc.doc else { panic!("a talk") };
            let chat = lines[0].text.split(',').next().unwrap_or_default().to_owned();
            sides.entry(chat).or_default().push(Dataset::is_held_out(doc));
        }
        assert_eq!(sides.len(), 150);
        assert!(sides.values().all(|s| s.len() == 3 && s.iter().all(|x| *x == s[0])));
        assert!(sides.values().any(|s| s[0]) && sides.values().any(|s| !s[0]));
    }

    #[test]
    fn shipped_text_teaches_every_fact_in_both_languages() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/text");
        let sources = sources::read(&[dir]).expect("shipped text");
        for lang in Lang::ALL {
            for (fact, ..) in facts::TOPICS {
                let wording = sources.facts.get(lang, fact).unwrap_or_else(|| panic!("{fact}"));
                for side in [facts::Side::Train, facts::Side::HeldOut] {
                    assert!(!facts::wordings(&wording.teach, side).is_empty());
                    assert!(!wording.values_of(side).is_empty());
                }
            }
            use sources::AuthoredKind as K;
            for kind in [K::Dialogue, K::Life, K::NoteCase, K::Story, K::Question, K::Remark] {
                let pieces = sources.pieces(lang, kind);
                assert!(pieces.len() > 40, "{kind:?}: {}", pieces.len());
                let secret = |p: &usize| {
                    let lines = &sources.authored[*p].lines;
                    facts::HELD_OUT_FACTS
                        .iter()
                        .any(|f| lines.iter().any(|l| l.text.contains(&format!("{{{f}}}"))))
                };
                assert!(!pieces.iter().any(secret), "{kind:?} teaches a held-out fact");
            }
        }
    }

    #[test]
    fn held_out_documents_are_never_drawn() {
        let dir = tempfile::tempdir().expect("folder");
        let data = dataset(dir.path());
        let held: Vec<Vec<TokenId>> =
            data.held_out().into_iter().flat_map(|(_, _, docs)| docs).collect();
        assert!(!held.is_empty());
        for group in &data.inner.groups {
            assert!(group.docs.iter().all(|d| !held.iter().any(|h| h == data.inner.shard.ids(*d))));
        }
    }
}
