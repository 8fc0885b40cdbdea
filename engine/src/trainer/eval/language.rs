//! A brain as a language model: bits per byte of documents, beside n-grams counted on the training part.

use std::{collections::BTreeMap, sync::Arc};

use super::{EvalOptions, fresh, talk_ids};
use crate::{
    checkpoint::Brain,
    data::{
        Dataset,
        sources::{Doc, SourceDoc, Sources},
    },
    tokenizer::{TokenId, chat_format},
    trainer::ngram::NGrams,
};

/// Most tokens that the n-grams count: a few gigabytes of memory at worst.
const MAX_COUNTED: usize = 24_000_000;

/// N-grams of the training part of the public sets.
pub(super) fn count_ngrams(brain: &Arc<Brain>, public: &Sources) -> NGrams {
    let mut grams = NGrams::new(brain.config.vocab_size);
    for doc in public.docs.iter().filter(|d| !Dataset::is_held_out(d)) {
        if grams.n_tokens() >= MAX_COUNTED {
            break;
        }
        grams.count(&doc_ids(brain, doc).unwrap_or_default());
    }
    grams
}

fn doc_ids(brain: &Brain, doc: &SourceDoc) -> Option<Vec<TokenId>> {
    match &doc.doc {
        Doc::Text(text) => Some(chat_format::document(&brain.tokenizer, text)),
        Doc::Talk(lines) => talk_ids(brain, doc.lang, lines),
    }
}

/// Scores of a set.
#[derive(Debug, Default)]
struct SetScore {
    nats: f64,
    ngram_nats: Option<[f64; 2]>,
    bytes: usize,
    tokens: usize,
}

#[derive(Debug, Default)]
pub(super) struct LanguageScores {
    pub(super) bits: BTreeMap<String, f64>,
    pub(super) ngram_bits: BTreeMap<String, [f64; 2]>,
    pub(super) bytes: BTreeMap<String, usize>,
}

pub(super) fn bits_per_byte(
    brain: &Arc<Brain>,
    authored: &Sources,
    public: &Sources,
    reference: Option<&NGrams>,
    opts: &EvalOptions,
) -> LanguageScores {
    let mut sums: BTreeMap<String, SetScore> = BTreeMap::new();
    let mut score = |key: String, ids: &dyn Fn() -> Option<Vec<TokenId>>, is_public: bool| {
        let sum = sums.entry(key).or_default();
        if sum.tokens >= opts.tokens_per_set {
            return;
        }
        let Some(ids) = ids() else { return };
        sum.nats += fresh(brain).score(&ids).iter().map(|n| f64::from(*n)).sum::<f64>();
        if let Some(grams) = reference.filter(|_| is_public) {
            let before = sum.ngram_nats.unwrap_or_default();
            sum.ngram_nats =
                Some([before[0] + grams.nats(&ids, 3), before[1] + grams.nats(&ids, 4)]);
        }
        let length = |id: &TokenId| brain.tokenizer.token_bytes(*id).len();
        sum.bytes += ids.iter().skip(1).map(length).sum::<usize>();
        sum.tokens += ids.len();
    };
    for doc in public.docs.iter().filter(|d| !opts.held_out || Dataset::is_held_out(d)) {
        score(format!("{}/{}", doc.set, doc.lang.tag()), &|| doc_ids(brain, doc), true);
    }
    for piece in authored.authored.iter().filter(|a| a.held_out) {
        let kind = format!("{:?}", piece.kind).to_lowercase();
        let key = format!("authored {kind}, held out/{}", piece.lang.tag());
        score(key, &|| talk_ids(brain, piece.lang, &piece.lines), false);
    }
    let mut out = LanguageScores::default();
    for (set, sum) in sums.into_iter().filter(|(_, sum)| sum.bytes > 0) {
        let bits = |nats: f64| nats / std::f64::consts::LN_2 / sum.bytes as f64;
        out.bits.insert(set.clone(), bits(sum.nats));
        out.bytes.insert(set.clone(), sum.bytes);
        if let Some(nats) = sum.ngram_nats {
            out.ngram_bits.insert(set, nats.map(bits));
        }
    }
    out
}
