//! Logits to a token id: temperature, top-k, top-p, min-p, repetition penalty, a rule of what is allowed, a seed.
//!
//! In: `&[f32]` logits. Out: a [`Choice`]. The same options, seed and logits give the same choices on every machine.
//! Knows no tokens by name and no models; what is forbidden where is the caller's rule.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{rng::Rng, tokenizer::TokenId};

/// How freely tokens are chosen. Numbers outside their range are moved to its border by [`Sampler::new`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SamplerOptions {
    /// Divides the logits. Range 0–2, default 0.7. 0 takes the most likely token; above 1.2 text falls apart.
    pub temperature: f32,
    /// Only this many most likely tokens stay. 0 switches it off. Default 40.
    pub top_k: usize,
    /// Only the most likely tokens that together reach this probability stay. Range 0–1, default 0.95; 1 switches it off.
    pub top_p: f32,
    /// Tokens less likely than this part of the most likely one go. Range 0–1, default 0.05; 0 switches it off.
    pub min_p: f32,
    /// Logits of tokens said lately are lowered by this factor. Range 1–2, default 1.1; 1 switches it off.
    /// High values forbid a remembered name to be said twice.
    pub repetition_penalty: f32,
    /// How many tokens count as lately. Range 0–1024, default 64.
    pub repetition_window: usize,
}

impl Default for SamplerOptions {
    fn default() -> Self {
        Self {
            temperature: 0.7,
            top_k: 40,
            top_p: 0.95,
            min_p: 0.05,
            repetition_penalty: 1.1,
            repetition_window: 64,
        }
    }
}

impl SamplerOptions {
    /// Always the most likely token, without a repetition penalty.
    pub fn greedy() -> Self {
        Self { temperature: 0.0, repetition_penalty: 1.0, ..Self::default() }
    }

    fn in_range(self) -> Self {
        let default = Self::default();
        let within =
            |x: f32, lo: f32, hi: f32, d: f32| if x.is_nan() { d } else { x.clamp(lo, hi) };
        Self {
            temperature: within(self.temperature, 0.0, 2.0, default.temperature),
            top_k: self.top_k,
            top_p: within(self.top_p, 0.0, 1.0, default.top_p),
            min_p: within(self.min_p, 0.0, 1.0, default.min_p),
            repetition_penalty: within(
                self.repetition_penalty,
                1.0,
                2.0,
                default.repetition_penalty,
            ),
            repetition_window: self.repetition_window.min(1024),
        }
    }
}

/// A chosen token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// The token.
    pub id: TokenId,
    /// How likely the model found it among the allowed tokens, before temperature, penalty and cuts. Range 0–1.
    pub probability: f32,
}

/// Chooses tokens; holds the random state and the tokens said lately.
#[derive(Debug, Clone)]
pub struct Sampler {
    options: SamplerOptions,
    rng: Rng,
    recent: VecDeque<TokenId>,
    /// `(logit, id)` of the tokens still in play; kept to reuse its space.
    candidates: Vec<(f32, TokenId)>,
}

impl Sampler {
    /// A sampler whose choices depend on `options`, `seed` and the logits alone.
    pub fn new(options: SamplerOptions, seed: u64) -> Self {
        Self {
            options: options.in_range(),
            rng: Rng::new(seed),
            recent: VecDeque::new(),
            candidates: Vec::new(),
        }
    }

    /// The options in use, all within their ranges.
    pub fn options(&self) -> &SamplerOptions {
        &self.options
    }

    /// Other options from the next choice on.
    pub fn set_options(&mut self, options: SamplerOptions) {
        self.options = options.in_range();
    }

    /// The random state, to continue later.
    pub fn rng(&self) -> &Rng {
        &self.rng
    }

    /// Continues from a saved random state.
    pub fn set_rng(&mut self, rng: Rng) {
        self.rng = rng;
    }

    /// Forgets what was said lately.
    pub fn clear_recent(&mut self) {
        self.recent.clear();
    }

    /// Counts `id` as said, for the repetition penalty.
    pub fn accept(&mut self, id: TokenId) {
        self.recent.push_back(id);
        while self.recent.len() > self.options.repetition_window {
            self.recent.pop_front();
        }
    }

    /// Chooses among the tokens that `may` allows. `None` if it allows none with a finite logit.
    pub fn choose(&mut self, logits: &[f32], may: impl Fn(TokenId) -> bool) -> Option<Choice> {
        let sum = self.collect(logits, may)?;
        let o = self.options;
        if o.repetition_penalty > 1.0 {
            for (logit, id) in &mut self.candidates {
                if self.recent.contains(id) {
                    let p = o.repetition_penalty;
                    *logit = if *logit > 0.0 { *logit / p } else { *logit * p };
                }
            }
        }
        let id = if o.temperature < 1e-4 { best(&self.candidates) } else { self.draw() };
        Some(Choice { id, probability: sum.probability(logits[id as usize]) })
    }

    /// The most likely token that `may` allows, whatever the options. Changes no random state.
    pub fn choose_greedy(
        &mut self,
        logits: &[f32],
        may: impl Fn(TokenId) -> bool,
    ) -> Option<Choice> {
        let sum = self.collect(logits, may)?;
        let id = best(&self.candidates);
        Some(Choice { id, probability: sum.probability(logits[id as usize]) })
    }

    fn collect(&mut self, logits: &[f32], may: impl Fn(TokenId) -> bool) -> Option<SoftmaxSum> {
        self.candidates.clear();
        let allowed = logits.iter().zip(0..).filter(|&(logit, id)| logit.is_finite() && may(id));
        self.candidates.extend(allowed.map(|(&logit, id)| (logit, id)));
        SoftmaxSum::of(self.candidates.iter().map(|c| c.0))
    }

    fn draw(&mut self) -> TokenId {
        let o = self.options;
        let list = &mut self.candidates;
        let by_likelihood =
            |a: &(f32, TokenId), b: &(f32, TokenId)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if o.top_k > 0 && o.top_k < list.len() {
            list.select_nth_unstable_by(o.top_k - 1, by_likelihood);
            list.truncate(o.top_k);
        }
        list.sort_unstable_by(by_likelihood);
        let top = list[0].0;
        for c in list.iter_mut() {
            c.0 = ((c.0 - top) / o.temperature).exp();
        }
        // The first weight is 1 now, so weights are parts of the most likely token.
        let likely = list.iter().take_while(|c| c.0 >= o.min_p).count().max(1);
        list.truncate(likely);
        let whole: f32 = list.iter().map(|c| c.0).sum();
        let mut reached = 0.0;
        let needed = list.iter().take_while(|c| {
            let before = reached;
            reached += c.0;
            before < o.top_p * whole
        });
        let needed = needed.count().max(1);
        list.truncate(needed);
        let whole: f32 = list.iter().map(|c| c.0).sum();
        let mut left = self.rng.unit() as f32 * whole;
        for &(weight, id) in list.iter() {
            left -= weight;
            if left < 0.0 {
                return id;
            }
        }
        list[list.len() - 1].1
    }
}

/// Normaliser of a softmax: the largest logit and the sum of `exp(logit − largest)`.
#[derive(Debug, Clone, Copy)]
pub struct SoftmaxSum {
    largest: f32,
    sum: f32,
}

impl SoftmaxSum {
    /// Of some logits; `None` without a finite one. Logits that are not finite count as impossible.
    pub fn of(logits: impl Iterator<Item = f32> + Clone) -> Option<Self> {
        let finite = logits.filter(|x| x.is_finite());
        let largest = finite.clone().max_by(f32::total_cmp)?;
        Some(Self { largest, sum: finite.map(|x| (x - largest).exp()).sum() })
    }

    /// Probability of a token with this logit. Range 0–1.
    pub fn probability(&self, logit: f32) -> f32 {
        ((logit - self.largest).exp() / self.sum).min(1.0)
    }

    /// `−ln` of the probability of a token with this logit, in nats.
    pub fn nats(&self, logit: f32) -> f32 {
        self.largest + self.sum.ln() - logit
    }
}

/// Id with the largest logit, the smaller id among equals.
fn best(candidates: &[(f32, TokenId)]) -> TokenId {
    let mut best = candidates[0];
    for &c in &candidates[1..] {
        if c.0 > best.0 {
            best = c;
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOGITS: [f32; 6] = [2.0, 1.0, 4.0, f32::NAN, 3.9, -5.0];
    const ANY: fn(TokenId) -> bool = |_| true;

    /// Which ids come up in many draws.
    fn check(options: SamplerOptions, expected: &[TokenId]) {
        let mut sampler = Sampler::new(options, 1);
        let mut seen = [false; LOGITS.len()];
        for _ in 0..5000 {
            seen[sampler.choose(&LOGITS, ANY).expect("one").id as usize] = true;
        }
        let seen: Vec<TokenId> = (0..).zip(seen).filter(|s| s.1).map(|s| s.0).collect();
        assert_eq!(seen, expected, "{options:?}");
    }

    fn open() -> SamplerOptions {
        SamplerOptions {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            repetition_window: 64,
        }
    }

    #[test]
    fn each_cut_leaves_what_it_says() {
        check(SamplerOptions { temperature: 2.0, ..open() }, &[0, 1, 2, 4, 5]);
        check(SamplerOptions::greedy(), &[2]);
        check(SamplerOptions { top_k: 2, ..open() }, &[2, 4]);
        check(SamplerOptions { top_k: 1, ..open() }, &[2]);
        check(SamplerOptions { top_p: 0.0, ..open() }, &[2]);
        check(SamplerOptions { top_p: 0.8, ..open() }, &[2, 4]);
        check(SamplerOptions { min_p: 0.5, ..open() }, &[2, 4]);
        check(SamplerOptions { temperature: f32::NAN, min_p: 1.0, ..open() }, &[2]);
    }

    #[test]
    fn forbidden_tokens_never_come() {
        let mut sampler = Sampler::new(open(), 1);
        for _ in 0..100 {
            let choice = sampler.choose(&LOGITS, |id| id == 1 || id == 5).expect("one");
            assert!(choice.id == 1 || choice.id == 5);
        }
        assert_eq!(sampler.choose(&LOGITS, |_| false), None);
        assert_eq!(sampler.choose(&LOGITS, |id| id == 3), None);
        let only = sampler.choose_greedy(&LOGITS, |id| id == 5).expect("one");
        assert_eq!(only, Choice { id: 5, probability: 1.0 });
    }

    #[test]
    fn what_was_said_lately_becomes_less_likely() {
        let options = SamplerOptions {
            repetition_penalty: 1.5,
            repetition_window: 1,
            ..SamplerOptions::greedy()
        };
        let mut sampler = Sampler::new(options, 1);
        let mut next = |accept: TokenId| {
            sampler.accept(accept);
            sampler.choose(&LOGITS, ANY).expect("one").id
        };
        assert_eq!((next(2), next(4), next(0)), (4, 2, 2));
    }

    #[test]
    fn the_same_seed_gives_the_same_tokens_and_can_continue() {
        let draw = |sampler: &mut Sampler, n: usize| -> Vec<TokenId> {
            (0..n).map(|_| sampler.choose(&LOGITS, ANY).expect("one").id).collect()
        };
        let mut a = Sampler::new(open(), 7);
        let mut b = Sampler::new(open(), 7);
        assert_eq!(draw(&mut a, 40), draw(&mut b, 40));
        let saved = serde_json::to_string(a.rng()).expect("saved");
        let rest = draw(&mut a, 40);
        let mut c = Sampler::new(open(), 8);
        assert_ne!(draw(&mut c, 40), rest);
        c.set_rng(serde_json::from_str(&saved).expect("loaded"));
        assert_eq!(draw(&mut c, 40), rest);
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let mut sampler = Sampler::new(open(), 3);
        let n = 20_000;
        let twos = (0..n).filter(|_| sampler.choose(&LOGITS, ANY).expect("one").id == 2).count();
        let p = sampler.choose_greedy(&LOGITS, ANY).expect("one").probability;
        assert!((twos as f32 / n as f32 - p).abs() < 0.015, "{twos} of {n}, expected {p}");
    }
}
