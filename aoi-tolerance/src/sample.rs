//! The values of one limit, put in order as far as the question needs.
//!
//! One percentile takes two neighbouring order statistics, which selection finds in linear time; many questions take a sort (a sweep's, which
//! are asked limit by limit, [`crate::order`]). All order by [`f64::total_cmp`], so that all ways give the same bits, signed zeros included.

use crate::limit::{Boundary, Side};
use crate::order::{self, rank_of, value_of};
use crate::percentile::{HyndmanFan, PercentileError, Place};

/// An ascending sample that can be asked by rank; it need not be sorted to answer.
pub(crate) trait Ascending {
    /// How many values there are.
    fn count(&self) -> usize;

    /// The value of rank `index`, the smallest being 0; asked below the count only.
    fn at(&self, index: usize) -> f64;

    /// How many of the values a lower limit flags.
    fn flagged_by(&self, limit: f64, boundary: Boundary) -> u64;

    /// Percentile `percent`, as [`percentile_of_sorted`](crate::percentile::percentile_of_sorted) gives it.
    fn percentile(&self, percent: f64, kind: HyndmanFan) -> Result<f64, PercentileError> {
        Ok(kind.place(self.count(), percent)?.value(|index| self.at(index)))
    }
}

/// A sample of finite values in the frame of a lower limit (see [`Side::mirror`]).
#[derive(Debug, Clone)]
pub(crate) enum Sample<'a> {
    /// Mirrored and ascending: every question takes logarithmic time or less.
    Sorted(Vec<f64>),
    /// As they came, not mirrored and in any order: every question takes linear time, and nothing was done beforehand.
    Given {
        /// The values.
        values: &'a [f64],
        /// The side that they belong to.
        side: Side,
    },
}

impl Sample<'_> {
    /// Sorts a copy.
    pub(crate) fn sorted(values: &[f64], side: Side) -> Self {
        let mut values: Vec<f64> = values.iter().map(|&v| side.mirror(v)).collect();
        order::sort(&mut values);
        Self::Sorted(values)
    }
}

impl Ascending for Sample<'_> {
    fn count(&self) -> usize {
        match self {
            Self::Sorted(values) => values.len(),
            Self::Given { values, .. } => values.len(),
        }
    }

    fn at(&self, index: usize) -> f64 {
        match self {
            Self::Sorted(values) => values[index],
            Self::Given { values, side } => value_of(*ranks(values, *side).select_nth_unstable(index).1),
        }
    }

    fn flagged_by(&self, limit: f64, boundary: Boundary) -> u64 {
        match self {
            // Asked of defects, all of which are flagged as a rule.
            Self::Sorted(values) if values.last().is_some_and(|&v| boundary.flags_below(v, limit)) => {
                values.len() as u64
            }
            Self::Sorted(values) => values.partition_point(|&v| boundary.flags_below(v, limit)) as u64,
            Self::Given { values, side } => {
                values.iter().map(|&v| u64::from(boundary.flags_below(side.mirror(v), limit))).sum()
            }
        }
    }

    fn percentile(&self, percent: f64, kind: HyndmanFan) -> Result<f64, PercentileError> {
        let place = kind.place(self.count(), percent)?;
        match self {
            Self::Sorted(values) => Ok(place.value(|index| values[index])),
            Self::Given { values, side } => Ok(selected(values, *side, place)),
        }
    }
}

/// The percentile at a place, by selection of the neighbours it lies between.
fn selected(values: &[f64], side: Side, place: Place) -> f64 {
    let mut ranks = ranks(values, side);
    let (_, &mut below, rest) = ranks.select_nth_unstable(place.below());
    let above = if place.above() == place.below() { None } else { rest.iter().copied().min() };
    place.value(|index| value_of(if index == place.below() { below } else { above.unwrap_or(below) }))
}

/// Integers that order as [`f64::total_cmp`] orders the mirrored values: one comparison of theirs is one instruction.
fn ranks(values: &[f64], side: Side) -> Vec<i64> {
    values.iter().map(|&v| rank_of(side.mirror(v))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::percentile::percentile_of_sorted;
    use aoi_testing::Seeded;

    /// Ties, signed zeros, subnormals, extremes.
    fn samples() -> Vec<Vec<f64>> {
        let mut random = Seeded::new(11);
        let odd = [0.0, -0.0, 5e-324, -5e-324, f64::MAX, f64::MIN, 1.5, -1.5, 45.0, 45.0_f64.next_up()];
        let mut draw = |n: usize, pick: &mut dyn FnMut(&mut Seeded) -> f64| -> Vec<f64> {
            (0..n).map(|_| pick(&mut random)).collect()
        };
        let mut samples = vec![vec![1.0], vec![2.0, 1.0], vec![0.0, -0.0], odd.to_vec()];
        for n in [3, 10, 50, 999] {
            samples.push(draw(n, &mut |r| r.unit() * 100.0 - 50.0));
            samples.push(draw(n, &mut |r| r.below(5) as f64 / 10.0));
            samples.push(draw(n, &mut |r| odd[r.below(odd.len())]));
        }
        samples
    }

    #[test]
    fn selection_gives_the_bits_of_the_sort_for_every_type_side_and_percentile() {
        let mut asked = 0;
        for sample in samples() {
            for side in [Side::Lower, Side::Upper] {
                let given = Sample::Given { values: &sample, side };
                let mut mirrored: Vec<f64> = sample.iter().map(|&v| side.mirror(v)).collect();
                mirrored.sort_by(f64::total_cmp);
                let sorted = Sample::sorted(&sample, side);
                for percent in [0.0, 0.1, 33.3, 50.0, 55.0, 75.0, 80.0, 99.9, 100.0] {
                    for kind in HyndmanFan::ALL {
                        let expected = percentile_of_sorted(&mirrored, percent, kind).unwrap().to_bits();
                        assert_eq!(given.percentile(percent, kind).unwrap().to_bits(), expected);
                        assert_eq!(sorted.percentile(percent, kind).unwrap().to_bits(), expected);
                        asked += 1;
                    }
                }
            }
        }
        assert!(asked > 1_000, "{asked}");
    }

    #[test]
    fn both_count_what_a_limit_flags() {
        for sample in samples() {
            for side in [Side::Lower, Side::Upper] {
                let given = Sample::Given { values: &sample, side };
                let sorted = Sample::sorted(&sample, side);
                assert_eq!((given.count(), sorted.count()), (sample.len(), sample.len()));
                for index in 0..sample.len().min(50) {
                    assert_eq!(given.at(index).to_bits(), sorted.at(index).to_bits());
                }
                for boundary in [Boundary::Passes, Boundary::Flagged] {
                    for &limit in sample.iter().chain(&[0.0, -0.0, 1e300]) {
                        let flags = |v: &&f64| boundary.flags_below(side.mirror(**v), limit);
                        let expected = sample.iter().filter(flags).count() as u64;
                        assert_eq!(given.flagged_by(limit, boundary), expected);
                        assert_eq!(sorted.flagged_by(limit, boundary), expected);
                    }
                }
            }
        }
    }

    #[test]
    fn an_empty_sample_and_a_percentile_out_of_range_are_refused() {
        let none = Sample::Given { values: &[], side: Side::Lower };
        assert_eq!(none.percentile(50.0, HyndmanFan::Linear), Err(PercentileError::Empty));
        let one = Sample::Given { values: &[1.0], side: Side::Lower };
        assert!(one.percentile(101.0, HyndmanFan::Linear).is_err());
    }
}
