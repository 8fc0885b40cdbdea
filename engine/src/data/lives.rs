//! Synthetic companion lives: facts told, changed, asked, never told, among everyday talk, in English and Japanese.
//!
//! One life is a stream of tokens with weights, fixed by its random generator. The companion opens its turn with a
//! hidden note whenever a fact was told; answers restate the topic before the value. Source: MEMORY.md §1.8 and §2.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    facts::{Fact, HELD_OUT_FACTS, Lang, MoodLine, Side, topic, wordings},
    sources::{Authored, AuthoredKind, Line, Sources},
    words::{self, Act},
    writer::{ANSWER, COPY, ECHO, Piece, Writer},
};
use crate::{
    rng::Rng,
    tokenizer::{TokenId, Tokenizer},
};

/// Encoded documents that serve as everyday talk inside a life.
pub(super) trait Filler {
    /// A short talk or text in `lang`: its tokens, and for each whether the companion (or a document) says it.
    fn draw(&self, lang: Lang, rng: &mut Rng) -> Option<(&[TokenId], &[bool])>;
}

/// Size of a life.
#[derive(Debug, Clone, Copy)]
pub(super) struct LifeSize {
    /// Facts to tell.
    pub(super) n_facts: usize,
    /// End after about this many tokens.
    pub(super) max_tokens: usize,
    /// Longest piece of everyday talk, in tokens.
    pub(super) max_filler: usize,
    /// Probability that an event is everyday talk.
    pub(super) p_filler: f64,
    /// Probability of a burst of several talks.
    pub(super) p_burst: f64,
    /// Probability that an authored life stands at its beginning.
    pub(super) p_authored: f64,
    /// Probability that a fact is told or asked in plain words that name its topic, instead of an authored wording.
    pub(super) p_plain: f64,
    /// Probability that the person asks to say something again: practice in copying, without a note.
    pub(super) p_repeat: f64,
}

/// Share of questions about something that was never told.
const P_NEVER_TOLD: f64 = 0.22;
/// Share of those whose topic has the form of one that was told ("sister's name" where the brother's is known): the
/// keys of such topics are close, and the first brains answered with the neighbour's value.
const P_NEIGHBOUR: f64 = 0.6;
/// Share of the companion's answers in the words of the note; the rest is authored.
const P_CANONICAL: f64 = 0.7;
/// Facts that people tell first, the name above all, and the share of them among the authored facts of a life.
const COMMON: [&str; 14] = [
    "name",
    "name",
    "name",
    "dog_name",
    "cat_name",
    "friend_name",
    "food",
    "color",
    "job",
    "city",
    "age",
    "birthday",
    "hobby",
    "animal",
];
const P_COMMON: f64 = 0.35;
/// Share of plain tellings and questions about authored facts that take a frame of the topic's family.
const P_FAMILY: f64 = 0.3;
/// Weight of the words around the value in an answer: the topic is decided there.
const ANSWER_TEXT: f64 = 1.5;
/// How often authored kinds are drawn as everyday talk.
const KINDS: [(AuthoredKind, f64); 5] = [
    (AuthoredKind::Dialogue, 0.46),
    (AuthoredKind::NoteCase, 0.16),
    (AuthoredKind::Question, 0.18),
    (AuthoredKind::Story, 0.12),
    (AuthoredKind::Remark, 0.08),
];

/// What can be told: an authored fact, or an invented topic.
#[derive(Debug, Clone, PartialEq)]
struct Subject {
    /// Name of an authored fact; empty for an invented topic.
    fact: String,
    topic: String,
}

struct Life<'a, 'w> {
    sources: &'a Sources,
    filler: &'a dyn Filler,
    out: &'w mut Writer<'a>,
    lang: Lang,
    /// The companion's name, and whether it stands in a note.
    me: String,
    me_noted: bool,
    /// Told so far, in order.
    told: Vec<Subject>,
    /// Values in the memory, by topic.
    known: BTreeMap<String, String>,
    /// Values of placeholders, by fact: what the person would say, told or not.
    values: BTreeMap<String, String>,
    max_filler: usize,
    p_plain: f64,
}

/// Writes one life.
pub(super) fn write_life(
    sources: &Sources,
    filler: &dyn Filler,
    tok: &Tokenizer,
    mut rng: Rng,
    size: LifeSize,
) -> (Vec<TokenId>, Vec<f32>) {
    let lang = if rng.chance(0.5) { Lang::En } else { Lang::Ja };
    let mut out = Writer::new(tok, rng);
    let me = words::companion_name(lang, &mut out.rng);
    let mut life = Life {
        me,
        p_plain: size.p_plain,
        ..Life::new(sources, filler, &mut out, lang, size.max_filler)
    };
    life.write(size);
    (out.ids, out.weights)
}

/// Writes one authored piece, outside of any life.
pub(super) fn write_piece(
    sources: &Sources,
    filler: &dyn Filler,
    tok: &Tokenizer,
    lang: Lang,
    rng: Rng,
) -> (Vec<TokenId>, Vec<f32>) {
    let mut out = Writer::new(tok, rng);
    let mut life = Life::new(sources, filler, &mut out, lang, usize::MAX);
    life.authored_piece(true);
    (out.ids, out.weights)
}

impl<'a, 'w> Life<'a, 'w> {
    fn new(
        sources: &'a Sources,
        filler: &'a dyn Filler,
        out: &'w mut Writer<'a>,
        lang: Lang,
        max_filler: usize,
    ) -> Self {
        Self {
            sources,
            filler,
            out,
            lang,
            me: words::default_name(lang).to_owned(),
            me_noted: false,
            told: Vec::new(),
            known: BTreeMap::new(),
            values: BTreeMap::new(),
            max_filler,
            p_plain: 0.3,
        }
    }

    fn write(&mut self, size: LifeSize) {
        if self.me != words::default_name(self.lang) || self.chance(0.15) {
            let sentence = self.persona_note();
            self.out.companion();
            self.out.note(&sentence);
            let hello = if self.lang == Lang::En { "I'm here." } else { "ここにいるよ。" };
            self.out.reply(1, &[Piece::Text(hello.into())], 0.3);
        }
        if self.chance(size.p_authored) {
            self.authored_of(AuthoredKind::Life);
        }
        let start = self.told.len();
        let mut asked = 0;
        while self.out.ids.len() < size.max_tokens
            && (self.told.len() < start + size.n_facts || asked < 2 * self.told.len() + 1)
        {
            let left = (start + size.n_facts).saturating_sub(self.told.len());
            let roll = self.out.rng.unit();
            if roll < size.p_burst {
                for _ in 0..3 {
                    self.everyday();
                }
            } else if roll < size.p_burst + size.p_filler {
                self.everyday();
            } else if self.chance(size.p_repeat) {
                self.repeat();
            } else if self.chance(0.05) {
                self.about_the_companion();
            } else if self.chance(0.05) {
                self.trap();
                asked += 1;
            } else if left > 0 && self.chance(0.5) {
                let n = if self.chance(0.85) { 1 } else { 2 + self.out.rng.below(2) }.min(left);
                let mut subjects: Vec<Subject> = Vec::new();
                for _ in 0..n {
                    let subject = self.new_subject(&subjects);
                    subjects.push(subject);
                }
                self.tell(&subjects, false);
            } else if self.chance(0.1)
                && let Some(subject) = self.told_subject()
            {
                self.tell(&[subject], true);
            } else if self.chance(P_NEVER_TOLD) {
                let subject = self.unknown_subject();
                self.ask_never_told(&subject);
                asked += 1;
            } else if let Some(subject) = self.told_subject() {
                self.ask(&subject);
                asked += 1;
            }
        }
    }

    fn chance(&mut self, p: f64) -> bool {
        self.out.rng.chance(p)
    }

    fn pick<'b, T>(&mut self, items: &'b [T]) -> Option<&'b T> {
        if items.is_empty() { None } else { items.get(self.out.rng.below(items.len())) }
    }

    fn told_subject(&mut self) -> Option<Subject> {
        let i = self.out.rng.below(self.told.len());
        self.told.get(i).cloned()
    }

    fn note_sentence(&self, topic: &str, value: &str) -> String {
        match self.lang {
            Lang::En => format!("your {topic} is {value}."),
            Lang::Ja => format!("きみの{topic}は{value}。"),
        }
    }

    fn persona_note(&mut self) -> String {
        self.me_noted = true;
        let topic = if self.lang == Lang::En { "companion's name" } else { "相棒の名前" };
        self.note_sentence(topic, &self.me)
    }

    /// A topic that this life has not had: an authored fact, or an invented one in three of ten.
    fn new_subject(&mut self, taken: &[Subject]) -> Subject {
        loop {
            let facts = self.sources.facts.facts(self.lang);
            let listed = if self.chance(0.3) {
                None
            } else if self.chance(P_COMMON) {
                let common = COMMON[self.out.rng.below(COMMON.len())];
                facts.iter().find(|f| f.fact == common)
            } else {
                self.pick(facts)
            };
            let subject = match listed {
                Some(fact) if HELD_OUT_FACTS.contains(&fact.fact.as_str()) => continue,
                Some(fact) => match topic(&fact.fact, self.lang) {
                    Some(topic) => Subject { fact: fact.fact.clone(), topic: topic.to_owned() },
                    None => continue,
                },
                None => Subject {
                    fact: String::new(),
                    topic: words::invented_topic(self.lang, &mut self.out.rng),
                },
            };
            let had = self.known.contains_key(&subject.topic)
                || taken.iter().any(|t| t.topic == subject.topic);
            // A life of very many facts may run out of authored ones.
            if !had || self.known.len() > 2 * facts.len() {
                return subject;
            }
        }
    }

    /// A topic that was never told; often a neighbour of one that was.
    fn unknown_subject(&mut self) -> Subject {
        let told = self.told_subject();
        let near = self.chance(P_NEIGHBOUR);
        let mut subject = self.new_subject(&[]);
        let Some(told) = told.filter(|_| near) else { return subject };
        let wanted = words::family(self.lang, &told.topic).0;
        for _ in 0..8 {
            if words::family(self.lang, &subject.topic).0 == wanted {
                break;
            }
            subject = self.new_subject(&[]);
        }
        subject
    }

    fn fact(&self, subject: &Subject) -> Option<&'a Fact> {
        let sources = self.sources;
        sources.facts.get(self.lang, &subject.fact)
    }

    /// A fresh value for a fact.
    fn draw_value(&mut self, fact: Option<&Fact>) -> String {
        let invented = fact.is_none_or(Fact::is_name);
        if invented && self.chance(if fact.is_none() { 0.55 } else { 0.6 }) {
            return words::name(self.lang, Side::Train, &mut self.out.rng);
        }
        match fact {
            Some(fact) => {
                let values = fact.values_of(Side::Train);
                self.pick(&values).cloned().unwrap_or_default()
            }
            None => words::thing(self.lang, &mut self.out.rng),
        }
    }

    /// The value is in a note now.
    fn learn(&mut self, subject: &Subject, value: &str) {
        if self.known.insert(subject.topic.clone(), value.to_owned()).is_none() {
            self.told.push(subject.clone());
        }
        if !subject.fact.is_empty() {
            self.values.insert(subject.fact.clone(), value.to_owned());
        }
    }

    /// The person tells facts (new or changed); the companion notes them and answers.
    fn tell(&mut self, subjects: &[Subject], change: bool) {
        let mut said = Vec::new();
        let mut values = Vec::new();
        for subject in subjects {
            let fact = self.fact(subject);
            let mut value = self.draw_value(fact);
            if self.known.get(&subject.topic) == Some(&value) {
                value = self.draw_value(fact);
            }
            let template = match fact {
                Some(fact)
                    if change && !fact.overwrite.is_empty() && !self.chance(self.p_plain) =>
                {
                    self.wording(&fact.overwrite)
                }
                Some(fact)
                    if !change
                        && subjects.len() == 1
                        && !fact.teach_short_after.is_empty()
                        && self.chance(0.1) =>
                {
                    let question = self.pick(&fact.teach_short_after).cloned().unwrap_or_default();
                    let question = self.filled(&question);
                    self.out.companion();
                    self.out.reply(3, &[Piece::Text(question)], 0.5);
                    self.wording(&fact.teach_short)
                }
                Some(fact) if !change && !self.chance(self.p_plain) => self.wording(&fact.teach),
                _ => {
                    let act = if change { Act::Change } else { Act::Tell };
                    self.in_family(subject, act).unwrap_or_else(|| {
                        words::tell_template(self.lang, Side::Train, change, &mut self.out.rng)
                            .replace("{topic}", &subject.topic)
                    })
                }
            };
            let slot = format!("{{{}}}", subject.fact);
            let text = template.replace(&slot, "\u{1}").replace("{value}", "\u{1}");
            let text = words::noise(self.lang, &text, &mut self.out.rng);
            let text = self.filled(&text);
            said.push(text.replace('\u{1}', &value));
            values.push(value);
        }
        let gap = if self.lang == Lang::En { " " } else { "" };
        let text = words::beside(self.lang, &said.join(gap), 0.12, &mut self.out.rng);
        let told: Vec<String> =
            values.iter().filter(|v| text.contains(v.as_str())).cloned().collect();
        self.out.person(&text, &told);
        self.out.companion();
        for (subject, value) in subjects.iter().zip(&values) {
            let sentence = self.note_sentence(&subject.topic, value);
            self.out.note(&sentence);
            self.learn(subject, value);
        }
        let (Some(subject), Some(value)) = (subjects.first(), values.first()) else { return };
        let roll = self.out.rng.unit();
        let echo = self.fact(subject).and_then(|f| self.pick(&f.echo));
        match echo {
            Some((mood, text)) if roll < 0.5 => {
                let pieces = self.pieces(text, &subject.fact, value, ECHO);
                self.out.reply(words::mood(mood), &pieces, 0.8);
            }
            _ if roll < 0.8 => {
                let (before, after) = words::canonical(self.lang, &subject.topic);
                let opener = words::got_it(self.lang, &mut self.out.rng);
                let before = format!(
                    "{opener}{}",
                    if opener.is_empty() { before } else { words::lower_first(&before) }
                );
                self.out.reply(
                    1,
                    &[Piece::Text(before), Piece::Value(value.clone(), ECHO), Piece::Text(after)],
                    0.5,
                );
            }
            _ => {
                let thanks = words::thanks(self.lang, &mut self.out.rng).to_owned();
                self.out.reply(1, &[Piece::Text(thanks)], 0.5);
            }
        }
    }

    /// A frame of the topic's family: mostly for invented topics, which have no wordings of their own.
    fn in_family(&mut self, subject: &Subject, act: Act) -> Option<String> {
        let p = if subject.fact.is_empty() { 1.0 - self.p_plain } else { P_FAMILY };
        let named = subject.topic == "name" || subject.topic == "名前";
        if named || !self.chance(p) {
            return None;
        }
        words::family_frame(self.lang, &subject.topic, act, Side::Train, &mut self.out.rng)
    }

    /// A training wording of a list.
    fn wording(&mut self, all: &[String]) -> String {
        let some = wordings(all, Side::Train);
        self.pick(&some).map(|s| (*s).clone()).unwrap_or_default()
    }

    /// Mood of an answer to a question about a fact. The same for told and never told: the mood comes before the topic, and
    /// must not give away what is only decided behind it (a brain that had learned to be shy when it admits something
    /// would otherwise have to know that before it has read the topic back).
    fn answer_mood(&mut self) -> usize {
        let moods = ["happy", "happy", "calm", "calm", "curious", "proud", "shy"];
        words::mood(moods[self.out.rng.below(moods.len())])
    }

    /// The person asks for something told before.
    fn ask(&mut self, subject: &Subject) {
        let Some(value) = self.known.get(&subject.topic).cloned() else { return };
        let question = self.question(subject);
        self.out.person(&question, &[]);
        self.out.companion();
        let usable: Vec<&MoodLine> = self.fact(subject).map_or(vec![], |fact| {
            let slot = format!("{{{}}}", fact.fact);
            // An answer that hesitates before the value looks like an admission.
            fact.answer.iter().filter(|(_, t)| !dots_before(t, &slot)).collect()
        });
        let mood = self.answer_mood();
        match self.pick(&usable) {
            Some((_, text)) if !self.chance(P_CANONICAL) => {
                let pieces = self.pieces(text, &subject.fact, &value, ANSWER);
                self.out.reply(mood, &pieces, ANSWER_TEXT);
            }
            _ => {
                let (before, after) = words::canonical(self.lang, &subject.topic);
                self.out.reply(
                    mood,
                    &[Piece::Text(before), Piece::Value(value, ANSWER), Piece::Text(after)],
                    ANSWER_TEXT,
                );
            }
        }
    }

    fn question(&mut self, subject: &Subject) -> String {
        let text = match self.fact(subject) {
            Some(fact) if !self.chance(self.p_plain) => self.wording(&fact.ask),
            _ => self.in_family(subject, Act::Ask).unwrap_or_else(|| {
                words::ask_template(self.lang, Side::Train, &mut self.out.rng)
                    .replace("{topic}", &subject.topic)
            }),
        };
        let text = self.filled(&text);
        let text = words::noise(self.lang, &text, &mut self.out.rng);
        words::beside(self.lang, &text, 0.08, &mut self.out.rng)
    }

    /// The person asks for something that was never told: the topic comes first, then the admission.
    fn ask_never_told(&mut self, subject: &Subject) {
        let question = self.question(subject);
        self.out.person(&question, &[]);
        self.out.companion();
        let dotted: Vec<&MoodLine> = self.fact(subject).map_or(vec![], |fact| {
            fact.unknown.iter().filter(|(_, t)| split_at_dots(t).is_some()).collect()
        });
        let mood = self.answer_mood();
        if let Some((_, text)) = self.pick(&dotted)
            && self.chance(0.3)
        {
            let text = self.filled(text);
            if let Some((head, rest)) = split_at_dots(&text) {
                return self.out.admission(mood, head, rest);
            }
        }
        let (head, _) = words::canonical(self.lang, &subject.topic);
        let head = head.trim_end().trim_end_matches(" is");
        let rest = words::admission(self.lang, &mut self.out.rng);
        self.out.admission(mood, head, rest);
    }

    /// The person wants to hear a word, or a few, again.
    fn repeat(&mut self) {
        let gap = if self.lang == Lang::En { ", " } else { "、" };
        let n = 1 + self.out.rng.below(3);
        let words: Vec<String> = (0..n).map(|_| self.draw_value(None)).collect();
        let said = words::one_of(self.lang, "repeat", &mut self.out.rng);
        let said = self.filled(&said.replace("{v}", "\u{1}")).replace('\u{1}', &words.join(gap));
        self.out.person(&said, &words);
        self.out.companion();
        let (mood, reply) = words::mooded(words::one_of(self.lang, "repeated", &mut self.out.rng));
        // Each word has a mark of its own: U+0001, U+0002, …
        let marks: Vec<(String, String, f32)> =
            ('\u{1}'..).zip(words).map(|(mark, word)| (mark.to_string(), word, COPY)).collect();
        let all: Vec<&str> = marks.iter().map(|m| m.0.as_str()).collect();
        let pieces = split_values(&reply.replace("{v}", &all.join(gap)), &marks);
        self.out.reply(mood, &pieces, 1.0);
    }

    /// Somebody else's fact, a wish, a story: no note. Often the question about the own fact follows.
    fn trap(&mut self) {
        let subject = match self.told_subject() {
            Some(told) if self.chance(0.5) => told,
            _ => self.new_subject(&[]),
        };
        let of_family = self.in_family(&subject, Act::Trap);
        let entry = of_family
            .as_deref()
            .unwrap_or_else(|| words::one_of(self.lang, "trap", &mut self.out.rng));
        let Some((said, reply)) = entry.split_once(" => ") else { return };
        let name = words::name(self.lang, Side::Train, &mut self.out.rng);
        let fact = self.fact(&subject);
        let value = self.draw_value(fact);
        // Frames of a family call the value {value}, the others {v}.
        let (said, reply) = (said.replace("{value}", "{v}"), &reply.replace("{value}", "{v}"));
        let said = said.replace("{topic}", &subject.topic).replace("{n}", &name);
        self.out.person(&said.replace("{v}", &value), &[name.clone(), value.clone()]);
        self.out.companion();
        let (mood, reply) = words::mooded(reply);
        let marks = [("{n}".to_owned(), name, COPY), ("{v}".to_owned(), value, COPY)];
        self.out.reply(mood, &split_values(reply, &marks), 1.0);
        if self.chance(0.4) {
            if self.known.contains_key(&subject.topic) {
                self.ask(&subject);
            } else {
                self.ask_never_told(&subject);
            }
        }
    }

    /// The companion's own name: asked, or given anew (which is a note like any other).
    fn about_the_companion(&mut self) {
        let rename = self.chance(0.3);
        if rename {
            let name = words::name(self.lang, Side::Train, &mut self.out.rng);
            let said = words::one_of(self.lang, "rename", &mut self.out.rng).replace("{n}", &name);
            let said = words::noise(self.lang, &said.replace(&name, "\u{1}"), &mut self.out.rng);
            let said = self.filled(&said).replace('\u{1}', &name);
            self.out.person(&said, std::slice::from_ref(&name));
            self.me = name;
            self.out.companion();
            let sentence = self.persona_note();
            self.out.note(&sentence);
        } else {
            let asked = words::one_of(self.lang, "your_name", &mut self.out.rng);
            self.out.person(asked, &[]);
            self.out.companion();
        }
        let section = if rename { "renamed" } else { "my_name" };
        let (mood, text) = words::mooded(words::one_of(self.lang, section, &mut self.out.rng));
        let weight = match (rename, self.me_noted) {
            (true, _) => ECHO,
            (false, true) => ANSWER,
            (false, false) => 1.0,
        };
        let pieces = split_values(text, &[("{n}".into(), self.me.clone(), weight)]);
        self.out.reply(mood, &pieces, 1.0);
    }

    /// Everyday talk: authored pieces and public text.
    fn everyday(&mut self) {
        if self.chance(0.65) && self.authored_piece(false) {
            return;
        }
        let mut rng = Rng::new(self.out.rng.next_u64());
        for _ in 0..6 {
            let Some((ids, companion)) = self.filler.draw(self.lang, &mut rng) else { return };
            if ids.len() <= self.max_filler {
                return self.out.raw(ids, |i| if companion[i] { 0.5 } else { 0.2 });
            }
        }
    }

    /// One authored piece of any kind but a life. `alone`: nothing is known, so only pieces without needs fit.
    fn authored_piece(&mut self, alone: bool) -> bool {
        let mut roll = self.out.rng.unit() * KINDS.iter().map(|k| k.1).sum::<f64>();
        let kind = KINDS.iter().find(|k| {
            roll -= k.1;
            roll <= 0.0
        });
        let kind = kind.map_or(AuthoredKind::Dialogue, |k| k.0);
        if alone && self.chance(0.06) {
            return self.authored_of(AuthoredKind::Life);
        }
        self.authored_of(kind)
    }

    fn authored_of(&mut self, kind: AuthoredKind) -> bool {
        let sources = self.sources;
        let pool = sources.pieces(self.lang, kind);
        for _ in 0..6 {
            let Some(piece) = self.pick(pool).and_then(|i| sources.authored.get(*i)) else { break };
            let told = |fact: &String| {
                topic(fact, self.lang).is_some_and(|topic| self.known.contains_key(topic))
            };
            let length: usize = piece.lines.iter().map(|l| l.text.len()).sum();
            // About four bytes a token; the exact length is not worth an encoding.
            if piece.needs.iter().all(told) && length / 4 <= self.max_filler {
                self.authored(piece);
                return true;
            }
        }
        false
    }

    /// An authored piece as written, with notes where the person tells something.
    fn authored(&mut self, piece: &Authored) {
        // Facts that this piece may use without telling them.
        let mut before: BTreeSet<String> = piece.needs.iter().cloned().collect();
        let mut fresh: Vec<Subject> = Vec::new();
        self.values.remove("x");
        for (i, line) in piece.lines.iter().enumerate() {
            for (_, fact) in piece.changes.iter().filter(|c| c.0 == i) {
                self.value_of_fact(fact, true);
                before.remove(fact);
            }
            if line.companion {
                self.out.companion();
                for subject in &fresh {
                    let value = self.value_of_fact(&subject.fact, false);
                    let sentence = self.note_sentence(&subject.topic, &value);
                    self.out.note(&sentence);
                    self.learn(subject, &value);
                }
                let pieces = self.line_pieces(line, &fresh);
                self.out.reply(line.mood, &pieces, 1.0);
                fresh.clear();
                continue;
            }
            let text = self.filled(&line.text);
            let slots = placeholders(&line.text);
            let stated: Vec<String> = match &piece.notes {
                Some(notes) => notes.iter().map(|n| n.0.clone()).collect(),
                None => slots.iter().filter(|f| !before.contains(*f)).cloned().collect(),
            };
            for fact in stated {
                if let Some(topic) = topic(&fact, self.lang) {
                    fresh.push(Subject { fact: fact.clone(), topic: topic.to_owned() });
                }
                before.insert(fact);
            }
            let values: Vec<String> =
                slots.iter().filter_map(|f| self.values.get(f).cloned()).collect();
            self.out.person(&text, &values);
        }
    }

    fn value_of_fact(&mut self, fact: &str, fresh: bool) -> String {
        if let (Some(value), false) = (self.values.get(fact), fresh) {
            return value.clone();
        }
        let sources = self.sources;
        let wording = sources.facts.get(self.lang, fact);
        let value = self.draw_value(wording);
        self.values.insert(fact.to_owned(), value.clone());
        value
    }

    /// Text with every placeholder replaced by this life's value.
    fn filled(&mut self, text: &str) -> String {
        let mut out = text.replace("{me}", &self.me);
        for fact in placeholders(&out) {
            let value = self.value_of_fact(&fact, false);
            out = with_units(&out, &fact, &value).replace(&format!("{{{fact}}}"), &value);
        }
        out
    }

    /// `text` cut at the placeholder of `fact`; other placeholders are filled in.
    fn pieces(&mut self, text: &str, fact: &str, value: &str, weight: f32) -> Vec<Piece> {
        let text = with_units(text, fact, value).replace(&format!("{{{fact}}}"), "\u{1}");
        let text = self.filled(&text);
        split_values(&text, &[("\u{1}".into(), value.to_owned(), weight)])
    }

    /// A companion line of an authored piece with its values marked: those told in the turn before are echoes.
    fn line_pieces(&mut self, line: &Line, fresh: &[Subject]) -> Vec<Piece> {
        let mut marks = Vec::new();
        let mut text = line.text.replace("{me}", &self.me);
        for fact in placeholders(&text) {
            let value = self.value_of_fact(&fact, false);
            let in_memory =
                topic(&fact, self.lang).is_some_and(|t| self.known.get(t) == Some(&value));
            let weight = match (in_memory, fresh.iter().any(|s| s.fact == fact)) {
                (_, true) => ECHO,
                (true, _) => ANSWER,
                // What the companion cannot know is not scored.
                (false, _) => 0.0,
            };
            text = with_units(&text, &fact, &value);
            marks.push((format!("{{{fact}}}"), value, weight));
        }
        split_values(&text, &marks)
    }
}

/// Some authored lines write the unit behind the placeholder (`{age}歳`), the values of the fact hold it as well.
fn with_units(text: &str, fact: &str, value: &str) -> String {
    let slot = format!("{{{fact}}}");
    let mut out = text.to_owned();
    for unit in ["歳", "さい", "先生", "さん", "番", "時"] {
        if value.ends_with(unit) {
            out = out.replace(&format!("{slot}{unit}"), &slot);
        }
    }
    if value.ends_with('歳') { out.replace(&format!("{slot}さい"), &slot) } else { out }
}

/// Whether the text hesitates right before the placeholder.
fn dots_before(text: &str, slot: &str) -> bool {
    text.find(slot).is_some_and(|at| text[..at].trim_end().ends_with(['…', '.']))
}

/// An admission cut where it hesitates behind its topic.
fn split_at_dots(text: &str) -> Option<(&str, &str)> {
    let at = [text.find("..."), text.find('…')].into_iter().flatten().min()?;
    (at > 0).then(|| text.split_at(at))
}

/// Names inside `{…}`, in order, each once.
fn placeholders(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let Some(len) = rest[start..].find('}') else { break };
        let name = &rest[start + 1..start + len];
        if !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            && !out.iter().any(|o| o == name)
        {
            out.push(name.to_owned());
        }
        rest = &rest[start + len..];
    }
    out
}

/// Cuts a text at its marks, each standing for a value with a weight.
fn split_values(text: &str, marks: &[(String, String, f32)]) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        let next = marks
            .iter()
            .filter_map(|m| rest.find(&m.0).map(|at| (at, m)))
            .min_by_key(|(at, _)| *at);
        let Some((at, (mark, value, weight))) = next else { break };
        if at > 0 {
            out.push(Piece::Text(rest[..at].to_owned()));
        }
        out.push(Piece::Value(value.clone(), *weight));
        rest = &rest[at + mark.len()..];
    }
    if !rest.is_empty() {
        out.push(Piece::Text(rest.to_owned()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_not_said_twice_and_admissions_are_cut_behind_their_topic() {
        assert_eq!(with_units("{age}歳の一年", "age", "7歳"), "{age}の一年");
        assert_eq!(with_units("{age}歳の一年", "age", "7"), "{age}歳の一年");
        assert!(dots_before("きみの猫は…{cat_name}、だよね。", "{cat_name}"));
        assert!(!dots_before("Your cat is {cat_name}...", "{cat_name}"));
        assert_eq!(
            split_at_dots("Your cat... I don't know."),
            Some(("Your cat", "... I don't know."))
        );
        assert_eq!(split_at_dots("…"), None);
    }

    #[test]
    fn placeholders_and_values_are_cut_out() {
        assert_eq!(
            placeholders("{me}: {name} and {name}, {dog_name}!"),
            ["me", "name", "dog_name"]
        );
        let pieces = split_values(
            "Hi {a}, {b}.",
            &[("{b}".into(), "2".into(), 1.0), ("{a}".into(), "1".into(), 5.0)],
        );
        let text = |t: &str| Piece::Text(t.into());
        assert_eq!(
            pieces,
            [
                text("Hi "),
                Piece::Value("1".into(), 5.0),
                text(", "),
                Piece::Value("2".into(), 1.0),
                text(".")
            ]
        );
    }
}
