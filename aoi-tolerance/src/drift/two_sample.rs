//! The two-sample Kolmogorov-Smirnov test, exact with ties.
//!
//! D is the largest distance between the two samples' distribution functions, looked at only where both have taken in all copies of a value. Its
//! p-value is the share of all ways to deal the pooled values to the two samples that give a distance at least as large: counted along lattice
//! paths, with the pooled ties as they are. No distribution is assumed and none is approximated; ties make it no more than exact.
//!
//! # Source
//! Hodges, Arkiv for Matematik 3 (1958), the path counting; Schroer and Trenkler, Computational Statistics and Data Analysis 20 (1995), ties.

/// The largest distance and its p-value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distance {
    /// D, from 0 to 1.
    pub distance: f64,
    /// Probability of a distance as large or larger when both samples come from one distribution.
    pub p: f64,
}

/// Compares two samples; both are sorted in place. None if one is empty.
///
/// # Examples
/// ```
/// use aoi_tolerance::drift::kolmogorov_smirnov;
/// let same = kolmogorov_smirnov(&mut [1.0, 2.0, 3.0], &mut [1.0, 2.0, 3.0]).unwrap();
/// assert_eq!((same.distance, same.p), (0.0, 1.0));
/// let apart = kolmogorov_smirnov(&mut [1.0, 2.0, 3.0], &mut [4.0, 5.0, 6.0]).unwrap();
/// assert_eq!(apart.distance, 1.0);
/// assert!((apart.p - 0.1).abs() < 1e-15); // 2 of the 20 ways to deal six values
/// ```
pub fn kolmogorov_smirnov(first: &mut [f64], second: &mut [f64]) -> Option<Distance> {
    if first.is_empty() || second.is_empty() {
        return None;
    }
    let (a, b) = (first, second);
    a.sort_unstable_by(f64::total_cmp);
    b.sort_unstable_by(f64::total_cmp);
    // Places in the pooled order after which the next value is another one.
    let (mut i, mut j, mut most) = (0, 0, 0);
    let mut ends = vec![false; a.len() + b.len() + 1];
    while i < a.len() || j < b.len() {
        let next = match (a.get(i), b.get(j)) {
            (Some(mine), Some(theirs)) => mine.min(*theirs),
            (one, other) => one.or(other).copied()?,
        };
        i += a[i..].iter().take_while(|v| **v == next).count();
        j += b[j..].iter().take_while(|v| **v == next).count();
        ends[i + j] = true;
        most = most.max(apart(i, j, a.len(), b.len()));
    }
    let distance = most as f64 / (a.len() * b.len()) as f64;
    Some(Distance { distance, p: 1.0 - share_within(most, a.len(), b.len(), &ends) })
}

/// The distance of the two distribution functions after i of n and j of m values, times n m: whole, so free of rounding.
fn apart(i: usize, j: usize, n: usize, m: usize) -> usize {
    (i * m).abs_diff(j * n)
}

/// The share of the lattice paths from (0, 0) to (n, m) that stay nearer than `most` wherever a run of ties ends.
///
/// Paths are weighted by their chance on the way (a step to the right from (i, j) has (n - i) / (n + m - i - j)), so that nothing overflows.
fn share_within(most: usize, n: usize, m: usize, ends: &[bool]) -> f64 {
    let inside = |i: usize, j: usize| !ends[i + j] || apart(i, j, n, m) < most;
    let mut row = vec![0.0; m + 1];
    for i in 0..=n {
        for j in 0..=m {
            let left = |a: usize, b: usize| (n + m - a - b) as f64;
            let mut chance = if i == 0 && j == 0 { 1.0 } else { 0.0 };
            if i > 0 {
                chance += row[j] * (n - i + 1) as f64 / left(i - 1, j);
            }
            if j > 0 {
                chance += row[j - 1] * (m - j + 1) as f64 / left(i, j - 1);
            }
            row[j] = if inside(i, j) { chance } else { 0.0 };
        }
    }
    row[m]
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::{Seeded, assert_close};

    /// All ways to deal the pooled values, by definition.
    fn by_dealing(a: &[f64], b: &[f64]) -> f64 {
        let pooled: Vec<f64> = a.iter().chain(b).copied().collect();
        let (n, m) = (a.len(), b.len());
        let distance = |first: &[f64], second: &[f64]| {
            pooled
                .iter()
                .map(|v| {
                    let below = |s: &[f64]| s.iter().filter(|x| *x <= v).count();
                    (below(first) * m).abs_diff(below(second) * n)
                })
                .max()
                .unwrap()
        };
        let observed = distance(a, b);
        let (mut as_large, mut all) = (0_u32, 0_u32);
        for bits in 0..1_u32 << (n + m) {
            if bits.count_ones() as usize != n {
                continue;
            }
            let (first, second): (Vec<_>, Vec<_>) = (0..n + m).partition(|i| bits >> i & 1 == 1);
            let values = |at: Vec<usize>| at.into_iter().map(|i| pooled[i]).collect::<Vec<_>>();
            all += 1;
            as_large += u32::from(distance(&values(first), &values(second)) >= observed);
        }
        f64::from(as_large) / f64::from(all)
    }

    #[test]
    fn the_p_value_is_that_of_all_deals_ties_included() {
        let mut random = Seeded::new(8);
        let mut seen_small = 0;
        for case in 0..120 {
            let grid = [2, 4, 1000][case % 3];
            let mut draw = |n: usize| (0..n).map(|_| random.below(grid) as f64).collect::<Vec<_>>();
            let (mut a, mut b) = (draw(1 + case % 6), draw(1 + case / 6 % 7));
            let expected = by_dealing(&a, &b);
            let found = kolmogorov_smirnov(&mut a, &mut b).unwrap();
            assert_close(found.p, expected, 1e-12, 1e-12);
            seen_small += u32::from(found.p < 0.3);
        }
        assert!(seen_small > 5, "{seen_small}");
    }

    #[test]
    fn an_empty_sample_has_no_distance() {
        assert!(kolmogorov_smirnov(&mut [], &mut [1.0]).is_none());
    }
}
