//! Synthetic companion lives: facts told, changed, asked, never told, among everyday talk, in English and Japanese.
//!
//! One life is a stream of tokens with weights, fixed by its random generator. The companion opens its turn with a
//! hidden note whenever a fact was told; answers restate the topic before the value. Source: MEMORY.md §1.8 and §2.

use std::collections::BTreeMap;

use super::{
    facts::{Fact, HELD_OUT_FACTS, Lang, Side, topic, wordings},
    sources::{Authored, AuthoredKind, Line, Sources},
    words,
    writer::{ANSWER, ECHO, Piece, Writer},
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
    /// Probability that an event is everyday talk.
    pub(super) p_filler: f64,
    /// Probability of a burst of several talks.
    pub(super) p_burst: f64,
}

/// A fact as this life knows it: topic in words, and the wordings to tell and ask it.
#[derive(Debug, Clone)]
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
    me: String,
    /// Told so far, by topic.
    known: BTreeMap<String, String>,
    /// Values of placeholders, by fact.
    values: BTreeMap<String, String>,
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
        sources,
        filler,
        out: &mut out,
        lang,
        me,
        known: BTreeMap::new(),
        values: BTreeMap::new(),
    };
    life.write(size);
    (out.ids, out.weights)
}

impl Life<'_, '_> {
    fn write(&mut self, size: LifeSize) {
        if size.n_facts > 0 && (self.me != words::default_name(self.lang) || self.chance(0.15)) {
            let topic = if self.lang == Lang::En { "companion's name" } else { "相棒の名前" };
            let sentence = self.note_sentence(topic, &self.me.clone());
            self.out.companion();
            self.out.note(&sentence);
            let hello = if self.lang == Lang::En { "I'm here." } else { "ここにいるよ。" };
            self.out.reply(1, &[Piece::Text(hello.into())], 0.3);
        }
        let subjects: Vec<Subject> = (0..size.n_facts).map(|_| self.subject()).collect();
        let mut told = 0;
        let mut asked = 0;
        while self.out.ids.len() < size.max_tokens
            && (told < subjects.len() || asked < 2 * subjects.len() + 1)
        {
            let roll = self.out.rng.unit();
            if roll < size.p_burst {
                for _ in 0..3 {
                    self.everyday();
                }
            } else if roll < size.p_burst + size.p_filler {
                self.everyday();
            } else if told < subjects.len() && self.chance(0.5) {
                let n = if self.chance(0.12) { 2.min(subjects.len() - told) } else { 1 };
                self.tell(&subjects[told..told + n], false);
                told += n;
            } else if told > 0 && self.chance(0.1) {
                let i = self.out.rng.below(told);
                self.tell(&subjects[i..=i], true);
            } else if self.chance(0.16) {
                self.ask_never_told();
                asked += 1;
            } else if told > 0 {
                let i = self.out.rng.below(told);
                self.ask(&subjects[i]);
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

    fn note_sentence(&self, topic: &str, value: &str) -> String {
        match self.lang {
            Lang::En => format!("your {topic} is {value}."),
            Lang::Ja => format!("きみの{topic}は{value}。"),
        }
    }

    /// A topic that this life has not had: an authored fact, or an invented one in three of ten.
    fn subject(&mut self) -> Subject {
        if self.chance(0.3) {
            return Subject {
                fact: String::new(),
                topic: words::invented_topic(self.lang, &mut self.out.rng),
            };
        }
        let facts = self.sources.facts.facts(self.lang);
        for _ in 0..8 {
            let Some(fact) = self.pick(facts) else { break };
            if HELD_OUT_FACTS.contains(&fact.fact.as_str()) {
                continue;
            }
            if let Some(topic) = topic(&fact.fact, self.lang) {
                return Subject { fact: fact.fact.clone(), topic: topic.to_owned() };
            }
        }
        Subject { fact: String::new(), topic: words::invented_topic(self.lang, &mut self.out.rng) }
    }

    fn fact(&self, subject: &Subject) -> Option<&'static str> {
        super::facts::TOPICS.iter().find(|t| t.0 == subject.fact).map(|t| t.0)
    }

    /// A fresh value for a fact.
    fn draw_value(&mut self, fact: Option<&Fact>) -> String {
        let invented = fact.is_none_or(Fact::is_name);
        if invented && self.chance(if fact.is_none() { 0.7 } else { 0.5 }) {
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

    /// The person tells facts (new or changed); the companion notes them and answers.
    fn tell(&mut self, subjects: &[Subject], change: bool) {
        let mut said = Vec::new();
        let mut values = Vec::new();
        let sources = self.sources;
        for subject in subjects {
            let fact = self.fact(subject).and_then(|f| sources.facts.get(self.lang, f));
            let mut value = self.draw_value(fact);
            if self.known.get(&subject.topic) == Some(&value) {
                value = self.draw_value(fact);
            }
            let template = match fact {
                Some(fact) if change && !fact.overwrite.is_empty() => self.wording(&fact.overwrite),
                Some(fact)
                    if subjects.len() == 1
                        && !fact.teach_short_after.is_empty()
                        && self.chance(0.1) =>
                {
                    let question = self.pick(&fact.teach_short_after).cloned().unwrap_or_default();
                    let question = self.filled(&question);
                    self.out.companion();
                    self.out.reply(3, &[Piece::Text(question)], 0.5);
                    self.wording(&fact.teach_short)
                }
                Some(fact) if self.chance(0.8) => self.wording(&fact.teach),
                _ => words::tell_template(self.lang, change, &mut self.out.rng)
                    .replace("{topic}", &subject.topic),
            };
            let slot = format!("{{{}}}", subject.fact);
            let text = template.replace(&slot, "\u{1}").replace("{value}", "\u{1}");
            let text = self.filled(&text);
            said.push(words::noise(self.lang, &text, &mut self.out.rng).replace('\u{1}', &value));
            values.push(value);
        }
        let text = said.join(" ");
        let told: Vec<String> =
            values.iter().filter(|v| text.contains(v.as_str())).cloned().collect();
        self.out.person(&text, &told);
        self.out.companion();
        for (subject, value) in subjects.iter().zip(&values) {
            let sentence = self.note_sentence(&subject.topic, value);
            self.out.note(&sentence);
            self.known.insert(subject.topic.clone(), value.clone());
            self.values.insert(subject.fact.clone(), value.clone());
        }
        let (subject, value) = (&subjects[0], &values[0]);
        let fact = self.fact(subject).and_then(|f| sources.facts.get(self.lang, f));
        let roll = self.out.rng.unit();
        let echo = fact.and_then(|f| self.pick(&f.echo).cloned());
        match echo {
            Some((mood, text)) if roll < 0.5 => {
                let pieces = self.pieces(&text, &subject.fact, value, ECHO);
                self.out.reply(words::mood(&mood), &pieces, 0.8);
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
                let thanks = words::thanks(self.lang, &mut self.out.rng);
                self.out.reply(1, &[Piece::Text(thanks)], 0.5);
            }
        }
    }

    /// A training wording of a list.
    fn wording(&mut self, all: &[String]) -> String {
        let some = wordings(all, Side::Train);
        self.pick(&some).map(|s| (*s).clone()).unwrap_or_default()
    }

    /// The person asks for something told before.
    fn ask(&mut self, subject: &Subject) {
        let Some(value) = self.known.get(&subject.topic).cloned() else { return };
        let question = self.question(subject);
        self.out.person(&question, &[]);
        self.out.companion();
        let sources = self.sources;
        let fact = self.fact(subject).and_then(|f| sources.facts.get(self.lang, f));
        let authored = fact.and_then(|f| self.pick(&f.answer).cloned());
        match authored {
            Some((mood, text)) if self.chance(0.3) => {
                let pieces = self.pieces(&text, &subject.fact, &value, ANSWER);
                self.out.reply(words::mood(&mood), &pieces, 1.0);
            }
            _ => {
                let (before, after) = words::canonical(self.lang, &subject.topic);
                self.out.reply(
                    1,
                    &[Piece::Text(before), Piece::Value(value, ANSWER), Piece::Text(after)],
                    1.0,
                );
            }
        }
    }

    fn question(&mut self, subject: &Subject) -> String {
        let sources = self.sources;
        let fact = self.fact(subject).and_then(|f| sources.facts.get(self.lang, f));
        let text = match fact {
            Some(fact) if self.chance(0.8) => self.wording(&fact.ask),
            _ => {
                words::ask_template(self.lang, &mut self.out.rng).replace("{topic}", &subject.topic)
            }
        };
        let text = self.filled(&text);
        words::noise(self.lang, &text, &mut self.out.rng)
    }

    /// The person asks for something that was never told: the topic comes first, then the admission.
    fn ask_never_told(&mut self) {
        let subject = self.subject();
        if self.known.contains_key(&subject.topic) {
            return;
        }
        let question = self.question(&subject);
        self.out.person(&question, &[]);
        self.out.companion();
        let (head, _) = words::canonical(self.lang, &subject.topic);
        let head = if self.lang == Lang::En {
            head.trim_end().trim_end_matches(" is").to_owned()
        } else {
            head
        };
        let rest = words::admission(self.lang, &mut self.out.rng);
        let mood = if self.chance(0.5) { 4 } else { 3 };
        self.out.admission(mood, &head, rest);
    }

    /// Everyday talk: authored pieces and public text.
    fn everyday(&mut self) {
        let roll = self.out.rng.unit();
        if roll < 0.6 {
            for _ in 0..6 {
                let pieces = &self.sources.authored;
                let Some(piece) = self.pick(pieces) else { break };
                let fits = piece.lang == self.lang
                    && piece.kind != AuthoredKind::Life
                    && piece.needs.iter().all(|n| self.values.contains_key(n));
                if fits {
                    return self.authored(piece);
                }
            }
        }
        let mut rng = Rng::new(self.out.rng.next_u64());
        if let Some((ids, companion)) = self.filler.draw(self.lang, &mut rng) {
            self.out.raw(ids, |i| if companion[i] { 0.5 } else { 0.2 });
        }
    }

    /// An authored piece as written, with notes where the person tells something.
    fn authored(&mut self, piece: &Authored) {
        let mut told_before: Vec<String> = self.values.keys().cloned().collect();
        let mut fresh: Vec<(String, String)> = Vec::new();
        for (i, line) in piece.lines.iter().enumerate() {
            for (_, fact) in piece.changes.iter().filter(|c| c.0 == i) {
                let value = self.value_of_fact(fact, true);
                self.values.insert(fact.clone(), value);
                told_before.retain(|f| f != fact);
            }
            if line.companion {
                self.out.companion();
                for (topic, value) in fresh.drain(..) {
                    let sentence = self.note_sentence(&topic, &value);
                    self.out.note(&sentence);
                    self.known.insert(topic, value);
                }
                let pieces = self.line_pieces(line, &told_before);
                self.out.reply(line.mood, &pieces, 1.0);
                continue;
            }
            let slots = placeholders(&line.text);
            let text = self.filled(&line.text);
            let mut values = Vec::new();
            let stated: Vec<String> = match &piece.notes {
                Some(notes) => notes.iter().map(|n| n.0.clone()).collect(),
                None => slots.iter().filter(|f| !told_before.contains(f)).cloned().collect(),
            };
            for fact in stated {
                let Some(value) = self.values.get(&fact).cloned() else { continue };
                if let Some(topic) = topic(&fact, self.lang) {
                    fresh.push((topic.to_owned(), value.clone()));
                }
                told_before.push(fact);
                values.push(value);
            }
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
            out = out.replace(&format!("{{{fact}}}"), &value);
        }
        out
    }

    /// `text` cut at the placeholder of `fact`; other placeholders are filled in.
    fn pieces(&mut self, text: &str, fact: &str, value: &str, weight: f32) -> Vec<Piece> {
        let text = text.replace(&format!("{{{fact}}}"), "\u{1}");
        let text = self.filled(&text);
        split_values(&text, &[("\u{1}".into(), value.to_owned(), weight)])
    }

    /// A companion line of an authored piece with its values marked.
    fn line_pieces(&mut self, line: &Line, known: &[String]) -> Vec<Piece> {
        let mut marks = Vec::new();
        for fact in placeholders(&line.text).into_iter().filter(|f| f != "me") {
            let value = self.value_of_fact(&fact, false);
            let weight = if known.contains(&fact) { ANSWER } else { ECHO };
            marks.push((format!("{{{fact}}}"), value, weight));
        }
        split_values(&line.text.replace("{me}", &self.me), &marks)
    }
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
