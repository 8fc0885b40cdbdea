//! Facts told, changed and asked: one row of the recall table.
//!
//! The brain writes its own notes and answers greedily; a recall counts only if the answer holds exactly the value.

use std::{collections::BTreeMap, ops::ControlFlow, path::Path, sync::Arc};

use super::{EvalOptions, RecallRow, Score, filled, fresh, say, talk};
use crate::{
    checkpoint::Brain,
    data::{
        facts::{Fact, HELD_OUT_FACTS, Lang, Side, topic, wordings},
        sources::Sources,
        words,
    },
    model::HeadKind,
    rng::Rng,
    session::{Memory, Session},
    sleep::{SleepOptions, Sleeper},
    tokenizer::{TokenId, special},
    topics::{holds, is_admission},
};

/// Lives of each row that are slept over: a night takes seconds.
const SLEPT_LIVES: usize = 2;

/// One row of the recall table, before it is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    pub(super) lang: Lang,
    pub(super) n_facts: usize,
    pub(super) wording: Wording,
}

/// How facts are told and asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wording {
    /// In short sentences that name the topic.
    Plain,
    /// In authored wordings that training had.
    Trained,
    /// In authored wordings that training did not have.
    HeldOut,
    /// About topics that training did not have, else as `Trained`.
    HeldOutTopics,
}

impl Setting {
    /// The wording of a fact to use: its own, or a plain one.
    fn choose(self, fact: &Fact, own: &[String], plain: &str, rng: &mut Rng) -> String {
        let topic = topic(&fact.fact, self.lang).unwrap_or_default();
        let side = if self.wording == Wording::HeldOut { Side::HeldOut } else { Side::Train };
        let text = if self.wording == Wording::Plain {
            words::one_of(self.lang, plain, rng).replace("{topic}", topic)
        } else {
            let some = wordings(own, side);
            some[rng.below(some.len())].clone()
        };
        filled(&text, self.lang)
    }
}

struct Told<'a> {
    fact: &'a Fact,
    value: String,
    old: Option<String>,
}

pub(super) fn recall_row(
    brain: &Arc<Brain>,
    authored: &Sources,
    filler: &BTreeMap<Lang, Vec<TokenId>>,
    setting: Setting,
    opts: &EvalOptions,
    sleeper: Option<&Sleeper>,
    drift: &mut f32,
) -> RecallRow {
    let Setting { lang, n_facts, wording } = setting;
    let new_topics = wording == Wording::HeldOutTopics;
    let name = match wording {
        Wording::Plain => "plain",
        Wording::Trained => "trained",
        Wording::HeldOut => "held-out",
        Wording::HeldOutTopics => "held-out topics",
    };
    let mut row = RecallRow {
        lang: lang.tag().into(),
        facts: n_facts,
        wording: name.into(),
        notes: Score::default(),
        other_notes: 0,
        right_after: Score::default(),
        later: Score::default(),
        restart: Score::default(),
        changed: Score::default(),
        never_told: Score::default(),
        slept: Score::default(),
        slept_never_told: Score::default(),
    };
    let lives = if n_facts == 1 { opts.lives * 2 } else { opts.lives };
    for life in 0..lives {
        let mut rng =
            Rng::keyed(opts.seed, &[lang as u64, n_facts as u64, wording as u64, life as u64]);
        let mut pool: Vec<&Fact> = authored
            .facts
            .facts(lang)
            .iter()
            .filter(|f| HELD_OUT_FACTS.contains(&f.fact.as_str()) == new_topics)
            .collect();
        let mut session = fresh(brain);
        let mut told: Vec<Told<'_>> = Vec::new();
        let mut notes: Vec<String> = Vec::new();
        for _ in 0..n_facts.min(pool.len()) {
            let fact = pool.swap_remove(rng.below(pool.len()));
            let value = value_of(fact, lang, &mut rng);
            notes.extend(tell(&mut session, fact, &value, false, setting, &mut rng, &mut row));
            told.push(Told { fact, value, old: None });
        }
        ask_all(&session, &told, setting, &mut rng.clone(), &mut row.right_after, None);
        let lifelong = session.memory().heads(HeadKind::Lifelong).concat();
        session.feed(filler.get(&lang).map_or(&[], Vec::as_slice));
        session.feed(&[special::END]);
        let now = session.memory().heads(HeadKind::Lifelong).concat();
        let changes = lifelong.iter().zip(&now).map(|(a, b)| (a - b).abs());
        *drift = changes.fold(*drift, f32::max);
        ask_all(&session, &told, setting, &mut rng.clone(), &mut row.later, None);
        // A quarter of the facts change (at least one where there are several), then quit and return.
        for item in told.iter_mut().take(n_facts / 4) {
            let value = value_of(item.fact, lang, &mut rng);
            notes.extend(tell(&mut session, item.fact, &value, true, setting, &mut rng, &mut row));
            item.old = Some(std::mem::replace(&mut item.value, value));
        }
        let bytes = session.memory().to_bytes();
        let Ok(mut memory) = Memory::from_bytes(&bytes, brain, Path::new("memory")) else {
            continue;
        };
        memory.forget_talk();
        let mut session = talk(brain, memory);
        let mut again = rng.clone();
        let mut unknown = Vec::new();
        ask_all(
            &session,
            &told,
            setting,
            &mut rng.clone(),
            &mut row.restart,
            Some(&mut row.changed),
        );
        for _ in 0..n_facts.clamp(2, 4) {
            if pool.is_empty() {
                break;
            }
            let fact = pool.swap_remove(rng.below(pool.len()));
            let question = question(fact, setting, &mut rng);
            row.never_told.count(is_admission(&session.probe_topic(&question).text));
            unknown.push(question);
        }
        // A night's sleep: the companion goes over the notes that it wrote itself, right or wrong.
        let Some(sleeper) = sleeper.filter(|_| life < SLEPT_LIVES) else { continue };
        let go_on = &mut || ControlFlow::Continue(());
        let report = sleeper.sleep(&mut session, &notes, SleepOptions::NIGHT, go_on);
        tracing::debug!("{report:?}");
        ask_all(&session, &told, setting, &mut again, &mut row.slept, None);
        for question in &unknown {
            row.slept_never_told.count(is_admission(&session.probe_topic(question).text));
        }
    }
    row
}

/// A value that training did not draw: an invented name where any name fits, else a listed value.
fn value_of(fact: &Fact, lang: Lang, rng: &mut Rng) -> String {
    if fact.is_name() {
        return words::name(lang, Side::HeldOut, rng);
    }
    let values = fact.values_of(Side::HeldOut);
    values.get(rng.below(values.len())).cloned().unwrap_or_default()
}

fn question(fact: &Fact, setting: Setting, rng: &mut Rng) -> String {
    setting.choose(fact, &fact.ask, "plain_ask", rng)
}

/// The person tells a fact, or its new value; the row counts the notes. Returns them.
fn tell(
    session: &mut Session,
    fact: &Fact,
    value: &str,
    change: bool,
    setting: Setting,
    rng: &mut Rng,
    row: &mut RecallRow,
) -> Vec<String> {
    let all = if change { &fact.overwrite } else { &fact.teach };
    let lang = setting.lang;
    let slot = format!("{{{}}}", fact.fact);
    let usable: Vec<String> =
        all.iter().filter(|w| w.contains(&slot) && w.matches('{').count() <= 2).cloned().collect();
    let own = if usable.is_empty() { all } else { &usable };
    let plain = if change { "plain_change" } else { "plain_tell" };
    let text =
        setting.choose(fact, own, plain, rng).replace(&slot, value).replace("{value}", value);
    let reply = say(session, &text);
    let topic = topic(&fact.fact, lang).unwrap_or_default();
    let wanted = match lang {
        Lang::En => format!("your {topic} is {value}."),
        Lang::Ja => format!("きみの{topic}は{value}。"),
    };
    row.notes.count(reply.notes.contains(&wanted));
    row.other_notes += reply.notes.iter().filter(|n| **n != wanted).count();
    reply.notes
}

fn ask_all(
    session: &Session,
    told: &[Told<'_>],
    setting: Setting,
    rng: &mut Rng,
    score: &mut Score,
    mut changed: Option<&mut Score>,
) {
    for item in told {
        let reply = session.probe_topic(&question(item.fact, setting, rng));
        let right = holds(&reply.text, &item.value) && !is_admission(&reply.text);
        score.count(right);
        if let (Some(changed), Some(old)) = (changed.as_deref_mut(), &item.old) {
            changed.count(
                right && (!reply.text.contains(old.as_str()) || item.value.contains(old.as_str())),
            );
        }
    }
}
