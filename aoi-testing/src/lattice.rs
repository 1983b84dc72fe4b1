//! Small-integer data: every product and partial sum is an integer that f32 holds without rounding, so a sum is the same in any order
//! and two implementations can be compared with `assert_eq!`.

use crate::Seeded;

/// Largest magnitude of an entry of [`lattice_f32`]; sums of products over width d are free of rounding while `64 d < 2^24`.
pub const LATTICE_LIMIT: u8 = 8;

/// `n` integers in `-8..=8` as f32, from `seed`.
#[expect(clippy::cast_possible_truncation, reason = "the step is below 17")]
pub fn lattice_f32(n: usize, seed: u64) -> Vec<f32> {
    let mut s = Seeded::new(seed);
    let span = 2 * usize::from(LATTICE_LIMIT) + 1;
    (0..n).map(|_| f32::from(s.below(span) as u8) - f32::from(LATTICE_LIMIT)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_products_do_not_depend_on_order() {
        let (a, b) = (lattice_f32(4096, 3), lattice_f32(4096, 4));
        let forward: f32 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
        let backward: f32 = a.iter().zip(&b).rev().map(|(x, y)| x * y).sum();
        assert_eq!(forward.to_bits(), backward.to_bits());
        assert!(a.iter().any(|&x| x < 0.0) && a.iter().any(|&x| x > 0.0));
    }
}
