//! A small random generator whose whole state is one number, so that it can be saved: SplitMix64.
//!
//! Source: Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators".

use serde::{Deserialize, Serialize};

/// SplitMix64. Equal seeds give equal numbers on every machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// A generator that starts from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator for one thing among many: `keys` name it (row, episode, …).
    pub fn keyed(seed: u64, keys: &[u64]) -> Self {
        let mut rng = Self::new(seed);
        for key in keys {
            rng.state = rng.next_u64() ^ key.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
        Self { state: rng.next_u64() }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in `0..n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next_u64()) * n as u128) >> 64) as usize
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Standard normal (Box–Muller, one of the pair).
    pub fn normal(&mut self) -> f64 {
        let u = 1.0 - self.unit();
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_fixed_by_the_seed_and_well_spread() {
        assert_eq!(
            Rng::new(0).next_u64(),
            0xE220_A839_7B1D_CDAF,
            "the published first number of seed 0"
        );
        let mut rng = Rng::keyed(7, &[1, 2]);
        let mean = (0..10_000).map(|_| rng.unit()).sum::<f64>() / 1e4;
        assert!((mean - 0.5).abs() < 0.02);
        let var = (0..10_000).map(|_| rng.normal().powi(2)).sum::<f64>() / 1e4;
        assert!((var - 1.0).abs() < 0.06, "{var}");
        assert!((0..1000).all(|_| rng.below(7) < 7));
        assert_ne!(Rng::keyed(7, &[1, 2]), Rng::keyed(7, &[2, 1]));
    }
}
