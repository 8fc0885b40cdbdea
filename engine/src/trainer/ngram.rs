//! The yardstick of a language model: token n-grams with Witten-Bell smoothing, counted on the same training text.
//!
//! In: documents as ids. Out: nats of a document. `p(w|h) = (c(h w) + t(h) p(w|h')) / (c(h) + t(h))`, where `c` counts,
//! `t(h)` is how many different tokens followed `h`, and `h'` is `h` without its first token; below the empty context stands
//! the uniform distribution. Source: Witten and Bell 1991; Chen and Goodman 1998, section 2.5.

use std::collections::HashMap;

use crate::tokenizer::TokenId;

/// Longest order that is counted: three tokens of context.
pub const MAX_ORDER: usize = 4;

/// What followed a context.
#[derive(Debug, Clone, Copy, Default)]
struct Context {
    total: u32,
    types: u32,
}

/// Counts of all orders up to [`MAX_ORDER`].
///
/// Keys are 64-bit hashes of the tokens; among some ten million entries two of them meet with probability 1e-5.
#[derive(Debug, Default)]
pub struct NGrams {
    n_vocab: usize,
    grams: HashMap<u64, u32>,
    contexts: HashMap<u64, Context>,
    n_tokens: usize,
}

impl NGrams {
    /// Nothing counted yet. `n_vocab`: entries of the vocabulary, at least 1.
    pub fn new(n_vocab: usize) -> Self {
        Self { n_vocab: n_vocab.max(1), ..Self::default() }
    }

    /// Counts a document. Its first token is only context, as for the model.
    pub fn count(&mut self, ids: &[TokenId]) {
        for t in 1..ids.len() {
            self.n_tokens += 1;
            for order in 1..=MAX_ORDER.min(t + 1) {
                let context = &ids[t + 1 - order..t];
                let times = self.grams.entry(key(context, Some(ids[t]))).or_default();
                *times += 1;
                let is_new = *times == 1;
                let seen = self.contexts.entry(key(context, None)).or_default();
                seen.total += 1;
                seen.types += u32::from(is_new);
            }
        }
    }

    /// Tokens counted.
    pub fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    /// Nats of a document under the model of `order` (1 to [`MAX_ORDER`]); its first token is given.
    pub fn nats(&self, ids: &[TokenId], order: usize) -> f64 {
        (1..ids.len())
            .map(|t| {
                let from = (t + 1).saturating_sub(order.clamp(1, MAX_ORDER));
                -self.probability(&ids[from..t], ids[t]).ln()
            })
            .sum()
    }

    fn probability(&self, context: &[TokenId], next: TokenId) -> f64 {
        let mut p = 1.0 / self.n_vocab as f64;
        for start in (0..=context.len()).rev() {
            let context = &context[start..];
            let Some(seen) = self.contexts.get(&key(context, None)) else { break };
            let times = self.grams.get(&key(context, Some(next))).copied().unwrap_or(0);
            let (total, types) = (f64::from(seen.total), f64::from(seen.types));
            p = (f64::from(times) + types * p) / (total + types);
        }
        p
    }
}

/// Hash of a context, and of a context with what follows.
fn key(context: &[TokenId], next: Option<TokenId>) -> u64 {
    let mix = |h: u64, x: u64| {
        let h = (h ^ x).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (h ^ (h >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) ^ (h >> 32)
    };
    let start = 1 + context.len() as u64;
    let hash = context.iter().fold(start, |h, id| mix(h, u64::from(*id) + 1));
    next.map_or(hash, |id| mix(hash, (u64::from(id) + 1) << 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_of_every_context_sum_to_one() {
        let mut grams = NGrams::new(7);
        grams.count(&[0, 1, 2, 3, 1, 2, 4, 1, 2, 3, 3, 3]);
        for context in [&[][..], &[1], &[1, 2], &[2, 3, 1], &[6, 6], &[5, 1, 2]] {
            let sum: f64 = (0..7).map(|w| grams.probability(context, w)).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{context:?}: {sum}");
            assert!((0..7).all(|w| grams.probability(context, w) > 0.0));
        }
    }

    #[test]
    fn the_formula_by_hand() {
        let mut grams = NGrams::new(4);
        grams.count(&[0, 1, 2, 1, 2, 1, 3]);
        // Unigrams: 1 three times, 2 twice, 3 once; three types.
        let unigram = |times: f64| (times + 3.0 * 0.25) / (6.0 + 3.0);
        assert!((grams.probability(&[], 1) - unigram(3.0)).abs() < 1e-12);
        // Behind 1: 2 twice, 3 once; two types.
        let bigram = (2.0 + 2.0 * unigram(2.0)) / (3.0 + 2.0);
        assert!((grams.probability(&[1], 2) - bigram).abs() < 1e-12);
        assert!(
            (grams.probability(&[9, 1], 2) - bigram).abs() < 1e-12,
            "an unseen context backs off"
        );
    }

    #[test]
    fn longer_context_helps_on_text_that_repeats() {
        let text: Vec<TokenId> = (0..400).map(|i| [1, 2, 3, 1, 4, 5][i % 6]).collect();
        let mut grams = NGrams::new(64);
        grams.count(&text[..300]);
        let nats: Vec<f64> = (1..=4).map(|n| grams.nats(&text[300..], n)).collect();
        assert!(nats[0] > nats[1] && nats[1] > nats[2], "{nats:?}");
        assert_eq!(grams.n_tokens(), 299);
        assert_eq!(grams.nats(&[1], 4), 0.0);
    }
}
