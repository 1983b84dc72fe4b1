//! Chance that depends on a seed and a place, never on what was drawn before: what makes a resumed run equal an uninterrupted one.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What the numbers are for; streams of different purposes are independent.
#[derive(Debug, Clone, Copy)]
#[repr(u64)]
pub(crate) enum Purpose {
    /// First weights; the place is the tensor.
    Weights = 1,
    /// Which patches are masked; the place is step or image, and the image in the batch.
    Mask = 2,
    /// The order of the pictures; the place is the epoch.
    Order = 3,
    /// Which pictures are held out.
    Split = 4,
    /// Augmentation; the place is step and image in the batch.
    Augmentation = 5,
    /// What fine-tuning starts from; the place is the tensor.
    Head = 6,
}

/// A stream of numbers.
#[derive(Debug, Clone)]
pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of `seed` for `purpose` at `place`.
    pub(crate) fn new(seed: u64, purpose: Purpose, place: [u64; 2]) -> Self {
        let words = [seed, purpose as u64, place[0], place[1]];
        let mut key = [0; 32];
        for (bytes, word) in key.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Uniform in `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform between two numbers.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Whether something of this probability happens.
    pub(crate) fn happens(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Uniform in `0..n` up to a bias below `n / 2^64`; 0 for an empty range.
    #[expect(clippy::cast_possible_truncation, reason = "the product's high half is below n")]
    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }

    /// Standard normal (Box-Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// The numbers below `n` in random order (Fisher and Yates).
    pub(crate) fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut all: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            all.swap(i, self.below(i + 1));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_different_places_purposes_and_seeds_differ_and_repeat() {
        let first = |seed, purpose, place| Chance::new(seed, purpose, place).unit();
        let all = [
            first(1, Purpose::Mask, [0, 0]),
            first(2, Purpose::Mask, [0, 0]),
            first(1, Purpose::Order, [0, 0]),
            first(1, Purpose::Mask, [1, 0]),
            first(1, Purpose::Mask, [0, 1]),
        ];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b), "{all:?}");
        }
        assert_eq!(all[0], first(1, Purpose::Mask, [0, 0]));
    }

    #[test]
    fn every_permutation_of_three_is_about_equally_likely() {
        let mut seen = std::collections::BTreeMap::new();
        for i in 0..6000 {
            *seen.entry(Chance::new(3, Purpose::Mask, [i, 0]).permutation(3)).or_insert(0) += 1;
        }
        // 1,000 expected, deviation 29.
        assert!(seen.len() == 6 && seen.values().all(|n| (850..1150).contains(n)), "{seen:?}");
    }

    #[test]
    fn normals_have_the_moments_they_should() {
        let mut chance = Chance::new(4, Purpose::Weights, [0, 0]);
        let x: Vec<f64> = (0..20_000).map(|_| chance.normal()).collect();
        let mean = x.iter().sum::<f64>() / 2e4;
        let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 2e4;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
