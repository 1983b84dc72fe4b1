//! What nobody reviews any more: a sample of it, and what the sample proves.
//!
//! A relaxed limit releases values that T0 would have flagged. Whether defects hide among them is only known if some are looked at. The sample is
//! drawn by a keyed hash of the record's name: the same seed names the same records whatever the order, and nobody on the line can guess which.
//!
//! From n reviewed of N released, d of them defects, the number M of defects among all N is at most the largest M for which seeing d or fewer
//! would not be rarer than delta: the hypergeometric bound of a sample without replacement. With D defects that were flagged in
//! the same period, the share that escaped is at most `M / (M + D)`.

use crate::error::Error;
use crate::record::Identity;

/// Whether a record is drawn at `rate`, from 0 to 1: decided by its name and the seed alone.
///
/// # Examples
/// ```
/// use aoi_tolerance::audit::is_drawn;
/// let drawn = (0..10_000).filter(|i| is_drawn(&format!("record {i}"), 0.05, 7)).count();
/// assert!((400..600).contains(&drawn));
/// assert!(!is_drawn("record 1", 0.0, 7) && is_drawn("record 1", 1.0, 7));
/// ```
pub fn is_drawn(record_id: &str, rate: f64, seed: u64) -> bool {
    share_of(Identity::of(&[record_id]), seed) < rate
}

/// The `count` of the names that come first in the order of the seed; all of them if there are fewer.
pub fn draw(names: &[Identity], count: usize, seed: u64) -> Vec<Identity> {
    let mut keyed: Vec<(Identity, Identity)> = names.iter().map(|n| (n.shuffled(seed), *n)).collect();
    keyed.sort_unstable();
    keyed.dedup();
    keyed.into_iter().take(count).map(|(_, name)| name).collect()
}

fn share_of(name: Identity, seed: u64) -> f64 {
    (name.shuffled(seed).low() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A reviewed sample of released units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Review {
    /// Units released in the period, N.
    pub released: u64,
    /// Units of these that were drawn at random and reviewed, n.
    pub reviewed: u64,
    /// Defects among the reviewed, d.
    pub defects: u64,
    /// Defects that were flagged in the same period, D.
    pub flagged_defects: u64,
}

/// What a review proves at confidence 1 - delta.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Finding {
    /// Defects among all released units, at most.
    pub defects_released: u64,
    /// Of all defects of the period, the share that was released, at most.
    pub escape_rate: f64,
}

impl Review {
    /// The bounds that hold with probability at least 1 - `delta` over the drawing of the sample; nothing is assumed of the defects.
    ///
    /// # Errors
    /// When `delta` is not between 0 and 1, or more were found or reviewed than there were.
    ///
    /// # Examples
    /// ```
    /// use aoi_tolerance::audit::Review;
    /// let review = Review { released: 1000, reviewed: 1000, defects: 3, flagged_defects: 97 };
    /// assert_eq!(review.bound(0.05)?.escape_rate, 0.03); // everything was looked at
    /// let none = Review { reviewed: 100, defects: 0, ..review };
    /// assert_eq!(none.bound(0.05)?.defects_released, 28);
    /// # Ok::<(), aoi_tolerance::Error>(())
    /// ```
    pub fn bound(&self, delta: f64) -> Result<Finding, Error> {
        let Self { released, reviewed, defects, flagged_defects } = *self;
        let refuse = |option, got: String, expected| Err(Error::Option { option, got, expected });
        if !(delta > 0.0 && delta < 1.0) {
            return refuse("delta", delta.to_string(), "a number between 0 and 1, such as 0.05");
        }
        if reviewed > released {
            return refuse("reviewed", reviewed.to_string(), "no more units than were released");
        }
        if defects > reviewed {
            return refuse("defects", defects.to_string(), "no more defects than units reviewed");
        }
        // The chance falls as the number of defects rises, so halving finds the last that is not too rare.
        let (mut possible, mut too_many) = (defects, released - (reviewed - defects) + 1);
        while possible + 1 < too_many {
            let middle = possible + (too_many - possible) / 2;
            if at_most(defects, released, middle, reviewed) > delta {
                possible = middle;
            } else {
                too_many = middle;
            }
        }
        let all = possible + flagged_defects;
        let escape_rate = if all == 0 { 0.0 } else { possible as f64 / all as f64 };
        Ok(Finding { defects_released: possible, escape_rate })
    }
}

/// P(X <= d) for X defects in a sample of n from N units of which M are defects.
fn at_most(d: u64, all: u64, defects: u64, sample: u64) -> f64 {
    let good = all - defects;
    // The least possible count, and its chance by the ratio of products; further terms by recurrence.
    let least = sample.saturating_sub(good);
    if d < least {
        return 0.0;
    }
    // ln P(X = least): either no defect is drawn, or every good unit is.
    let (few, from) = if least == 0 { (sample, defects) } else { (good, all - sample) };
    let mut log: f64 = 0.0;
    if least == 0 {
        // prod over the sample of (good - i) / (all - i), the shorter way round.
        let (times, top) = if few <= from { (few, good) } else { (from, all - sample) };
        log += (0..times).map(|i| ((top - i) as f64 / (all - i) as f64).ln()).sum::<f64>();
    } else {
        log += (0..few).map(|i| ((sample - i) as f64 / (all - i) as f64).ln()).sum::<f64>();
    }
    let mut sum: f64 = 0.0;
    for x in least..=d {
        sum += log.exp();
        if x >= defects || x >= sample {
            break;
        }
        let ratio =
            ((defects - x) as f64 * (sample - x) as f64) / ((x + 1) as f64 * (good + x + 1 - sample) as f64);
        log += ratio.ln();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::{Seeded, assert_close};

    /// P(X <= d) by binomial coefficients in whole numbers.
    fn by_counting(d: u64, all: u64, defects: u64, sample: u64) -> f64 {
        let choose = |n: u64, k: u64| (0..k).fold(1_u128, |c, i| c * u128::from(n - i) / u128::from(i + 1));
        let ways = |x: u64| {
            if x > defects || x > sample || sample - x > all - defects {
                return 0;
            }
            choose(defects, x) * choose(all - defects, sample - x)
        };
        (0..=d).map(ways).sum::<u128>() as f64 / choose(all, sample) as f64
    }

    #[test]
    fn the_chance_is_that_of_counting_all_samples() {
        let mut looked = 0;
        for all in [1, 2, 7, 20, 40] {
            for defects in 0..=all {
                for sample in 0..=all {
                    for d in [0, 1, 3, sample] {
                        let expected = by_counting(d.min(sample), all, defects, sample);
                        assert_close(at_most(d.min(sample), all, defects, sample), expected, 1e-12, 1e-11);
                        looked += 1;
                    }
                }
            }
        }
        assert!(looked > 8_000);
    }

    /// The promise itself: over many drawings the bound fails in at most a share delta of them.
    #[test]
    fn the_bound_holds_in_the_promised_share_of_samples() {
        let mut random = Seeded::new(31);
        let (released, defects, reviewed, delta) = (400_u64, 24_u64, 60_usize, 0.1);
        let mut failed = 0;
        for _ in 0..2_000 {
            let mut units: Vec<u64> = (0..released).collect();
            let found = (0..reviewed)
                .filter(|i| {
                    let other = i + random.below(units.len() - i);
                    units.swap(*i, other);
                    units[*i] < defects
                })
                .count() as u64;
            let review = Review { released, reviewed: reviewed as u64, defects: found, flagged_defects: 76 };
            let bound = review.bound(delta).unwrap();
            failed += u32::from(bound.defects_released < defects);
            assert_eq!(bound.defects_released < defects, bound.escape_rate < 0.24);
        }
        // 10 % of 2,000 and five standard deviations.
        assert!((40..=267).contains(&failed), "{failed}");
    }

    #[test]
    fn a_review_that_cannot_be_is_refused() {
        let review = Review { released: 10, reviewed: 5, defects: 1, flagged_defects: 0 };
        assert!(review.bound(0.0).is_err());
        assert!(Review { reviewed: 11, ..review }.bound(0.1).is_err());
        assert!(Review { defects: 6, ..review }.bound(0.1).is_err());
        let nothing = Review { released: 10, reviewed: 0, defects: 0, flagged_defects: 0 };
        assert_eq!(nothing.bound(0.05).unwrap().defects_released, 10, "no review proves nothing");
    }

    #[test]
    fn a_drawing_depends_on_names_and_seed_alone() {
        let names: Vec<Identity> = (0..50).map(|i| Identity::of(&[&format!("{i}")])).collect();
        let reversed: Vec<Identity> = names.iter().rev().copied().collect();
        assert_eq!(draw(&names, 7, 1), draw(&reversed, 7, 1));
        assert_ne!(draw(&names, 7, 1), draw(&names, 7, 2));
        assert_eq!(draw(&names, 99, 1).len(), 50);
    }
}
