//! Which pictures are trained on, and which are held out.

use crate::chance::{Chance, Purpose};

/// Numbers of `n` pictures, in order.
#[derive(Debug, PartialEq)]
pub(crate) struct Parting {
    pub(crate) training: Vec<usize>,
    pub(crate) held_out: Vec<usize>,
}

impl Parting {
    /// Holds a `share` out by chance, one picture or more unless it is zero.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of n")]
    pub(crate) fn new(n: usize, share: f64, seed: u64) -> Self {
        let out = if share > 0.0 { ((n as f64 * share).round() as usize).max(1).min(n) } else { 0 };
        let mut held_out = Chance::new(seed, Purpose::Split, [0, 0]).permutation(n);
        let mut training = held_out.split_off(out);
        held_out.sort_unstable();
        training.sort_unstable();
        Self { training, held_out }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_picture_is_in_one_part_and_the_seed_decides_in_which() {
        for (n, share, out) in
            [(0, 0.5, 0), (1, 0.1, 1), (4, 0.0, 0), (4, 0.1, 1), (10, 0.25, 3), (10, 0.9, 9)]
        {
            let Parting { training, held_out } = Parting::new(n, share, 7);
            assert_eq!((training.len(), held_out.len()), (n - out, out), "{n} {share}");
            assert!(training.is_sorted() && held_out.is_sorted());
            let mut all = [training, held_out].concat();
            all.sort_unstable();
            assert_eq!(all, (0..n).collect::<Vec<_>>());
        }
        assert_eq!(Parting::new(30, 0.5, 1), Parting::new(30, 0.5, 1));
        assert_ne!(Parting::new(30, 0.5, 1), Parting::new(30, 0.5, 2));
    }
}
