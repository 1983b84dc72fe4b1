//! Sample percentiles: the nine types of Hyndman and Fan, in the arithmetic of numpy.
//!
//! For a sample x(1) <= ... <= x(N) and p = P / 100, every type names two neighbouring order statistics and a weight
//! between them. [`HyndmanFan::place`] finds these three from N and P alone, in constant time; any container that can
//! give its k-th smallest value can then be asked, so that a sweep over many P costs one sort.
//!
//! # Rounding
//! Index and interpolation are computed step by step as `numpy.percentile` (2.x) does it on doubles, so that results
//! are equal to its results. Two consequences that the tests pin down:
//! - P / 100 is rounded. For P = 55, N = 101 the index comes out at 55.00000000000001, not 55; type 7 then lies just
//!   above the 56th smallest value, not on it. Types 1 to 3 jump, and may land on the neighbouring order statistic.
//! - The difference of the two neighbours can overflow; the result is then infinite or NaN, even where the weight
//!   is 0. It is returned as it is, and the caller decides what a limit that is no number means.
//!
//! For a fixed sample and type the result never falls as P rises, if it is finite, rounding included: every step of the
//! index is monotone, and so is the interpolation (see [`Place::value`]).

use crate::order;

/// Why there is no percentile.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PercentileError {
    /// A sample without values has no percentile.
    #[error("the sample is empty: a percentile needs at least one value")]
    Empty,
    /// P is not a number from 0 to 100.
    #[error("a percentile lies between 0 and 100, got {percent}")]
    Percent {
        /// The number that was given for P.
        percent: f64,
    },
    /// A value of the sample is infinite or not a number.
    #[error("value {index} of the sample is {value}: only finite values have a rank")]
    Value {
        /// Where the value stands in the sample as given.
        index: usize,
        /// The value.
        value: f64,
    },
    /// Hyndman and Fan number their types from 1 to 9.
    #[error("there is no Hyndman-Fan type {number}: the types are 1 to 9")]
    Type {
        /// The number that was given for the type.
        number: u8,
    },
}

/// The definitions of a sample percentile, numbered as in the paper; the default is type 7.
///
/// Given are the rank R at which each reads the sorted sample (N values, p = P / 100), and numpy's name. A rank below 1
/// reads the smallest value and one above N the largest; a rank between two whole numbers interpolates, except for
/// types 1 to 3.
///
/// # Source
/// R. J. Hyndman and Y. Fan, "Sample Quantiles in Statistical Packages", The American Statistician 50 (1996) 361-365.
///
/// # Examples
/// ```
/// use aoi_tolerance::percentile::HyndmanFan;
///
/// assert_eq!(HyndmanFan::default(), HyndmanFan::Linear);
/// assert_eq!(HyndmanFan::try_from(6), Ok(HyndmanFan::Weibull));
/// assert_eq!(HyndmanFan::Weibull.number(), 6);
/// assert!(HyndmanFan::try_from(10).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HyndmanFan {
    /// Type 1, `inverted_cdf`: R = ceil(N p).
    InvertedCdf,
    /// Type 2, `averaged_inverted_cdf`: type 1, but the mean of x(N p) and x(N p + 1) where N p is whole.
    AveragedInvertedCdf,
    /// Type 3, `closest_observation`: R is the whole number nearest to N p, the even one of two equally near.
    ClosestObservation,
    /// Type 4, `interpolated_inverted_cdf`: R = N p.
    InterpolatedInvertedCdf,
    /// Type 5, `hazen`: R = N p + 1/2.
    Hazen,
    /// Type 6, `weibull`: R = (N + 1) p.
    Weibull,
    /// Type 7, `linear`: R = (N - 1) p + 1.
    #[default]
    Linear,
    /// Type 8, `median_unbiased`: R = (N + 1/3) p + 1/3.
    MedianUnbiased,
    /// Type 9, `normal_unbiased`: R = (N + 1/4) p + 3/8.
    NormalUnbiased,
}

impl HyndmanFan {
    /// All types, in the order of their numbers.
    ///
    /// # Examples
    /// ```
    /// use aoi_tolerance::percentile::HyndmanFan;
    ///
    /// assert!(HyndmanFan::ALL.iter().zip(1..).all(|(kind, number)| kind.number() == number));
    /// ```
    pub const ALL: [Self; 9] = [
        Self::InvertedCdf,
        Self::AveragedInvertedCdf,
        Self::ClosestObservation,
        Self::InterpolatedInvertedCdf,
        Self::Hazen,
        Self::Weibull,
        Self::Linear,
        Self::MedianUnbiased,
        Self::NormalUnbiased,
    ];

    /// The number of the type in the paper, 1 to 9.
    ///
    /// # Examples
    /// ```
    /// use aoi_tolerance::percentile::HyndmanFan;
    ///
    /// assert_eq!(HyndmanFan::Linear.number(), 7);
    /// ```
    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    /// Where in a sorted sample of `count` values this type reads its percentile `percent`.
    ///
    /// Takes constant time and no sample, so a structure that finds order statistics by itself can be asked directly.
    ///
    /// # Errors
    /// [`PercentileError::Empty`] when `count` is 0; [`PercentileError::Percent`] when `percent` is NaN or outside 0 to 100.
    ///
    /// # Examples
    /// ```
    /// use aoi_tolerance::percentile::HyndmanFan;
    ///
    /// let place = HyndmanFan::Linear.place(5, 87.5)?;
    /// assert_eq!((place.below(), place.above(), place.weight()), (3, 4, 0.5));
    /// # Ok::<(), aoi_tolerance::percentile::PercentileError>(())
    /// ```
    pub fn place(self, count: usize, percent: f64) -> Result<Place, PercentileError> {
        if count == 0 {
            return Err(PercentileError::Empty);
        }
        if !(0.0..=100.0).contains(&percent) {
            return Err(PercentileError::Percent { percent });
        }
        let n = count as f64;
        let p = percent / 100.0;
        // The index counts from 0: it is R - 1. Each line keeps numpy's order of operations.
        let plotted = |alpha: f64, beta: f64| n * p + (alpha + p * (1.0 - alpha - beta)) - 1.0;
        let index = match self {
            Self::InvertedCdf | Self::AveragedInvertedCdf => n * p - 1.0,
            Self::ClosestObservation => n * p - 1.0 - 0.5,
            Self::InterpolatedInvertedCdf => plotted(0.0, 1.0),
            Self::Hazen => plotted(0.5, 0.5),
            Self::Weibull => plotted(0.0, 0.0),
            Self::Linear => (n - 1.0) * p,
            Self::MedianUnbiased => plotted(1.0 / 3.0, 1.0 / 3.0),
            Self::NormalUnbiased => plotted(3.0 / 8.0, 3.0 / 8.0),
        };
        let floor = floor(index);
        let fraction = index - floor;
        let whole = fraction == 0.0;
        let (below, above, weight) = match self {
            Self::InvertedCdf if whole => (floor, floor, 0.0),
            // Index k from 0 is rank k + 1: the even rank is the odd index.
            Self::ClosestObservation if whole && floor % 2.0 == 1.0 => (floor, floor, 0.0),
            Self::InvertedCdf | Self::ClosestObservation => (floor + 1.0, floor + 1.0, 0.0),
            Self::AveragedInvertedCdf => (floor, floor + 1.0, if whole { 0.5 } else { 1.0 }),
            _ => (floor, floor + 1.0, fraction),
        };
        // Beyond either end both neighbours are the end itself.
        let within = |index: f64| usize::try_from(whole_number(index)).unwrap_or(0).min(count - 1);
        Ok(Place { below: within(below), above: within(above), weight })
    }
}

impl TryFrom<u8> for HyndmanFan {
    type Error = PercentileError;

    /// The type of a number from 1 to 9, as the paper counts them.
    ///
    /// # Errors
    /// [`PercentileError::Type`] for any other number.
    fn try_from(number: u8) -> Result<Self, PercentileError> {
        let index = usize::from(number).checked_sub(1);
        index.and_then(|i| Self::ALL.get(i)).copied().ok_or(PercentileError::Type { number })
    }
}

/// Where a percentile lies in a sorted sample: two order statistics and the weight of the upper one.
///
/// Made by [`HyndmanFan::place`]; the indices count from 0 and are below the count given there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    below: usize,
    above: usize,
    weight: f64,
}

impl Place {
    /// Index of the lower neighbour in the sorted sample.
    pub fn below(self) -> usize {
        self.below
    }

    /// Index of the upper neighbour: that of the lower one, or one more.
    pub fn above(self) -> usize {
        self.above
    }

    /// Weight w of the upper neighbour, 0 to 1; the lower one has 1 - w. Without effect where both are one.
    pub fn weight(self) -> f64 {
        self.weight
    }

    /// The percentile, given the order statistics by index.
    ///
    /// With a, b the neighbours, d = b - a and w the weight: a + d w where w < 1/2, else b - d (1 - w), each operation
    /// rounded. Starting from the nearer end keeps the result within [a, b] and makes it a or b exactly at the ends.
    ///
    /// It is also monotone in w across the change of formula. Let d be rounded up by e; e is at most ulp(d) / 2. The
    /// largest double below 1/2 is 1/2 - 2^-54, and the product of d with it, rounded, is at most d/2 - ulp(d) / 2
    /// (for a power of two both quantities are half of that). Hence a + d w <= a + d/2 - e = b - d/2 before the last
    /// rounding, which is monotone.
    ///
    /// Infinite or NaN if d overflows, even at w = 0, unless both neighbours have one index.
    ///
    /// # Examples
    /// ```
    /// use aoi_tolerance::percentile::HyndmanFan;
    ///
    /// // The order statistics need not lie in a slice: here x(k) = k^2, k = 1 ..= 1000.
    /// let median = HyndmanFan::Linear.place(1000, 50.0)?.value(|index| ((index + 1) * (index + 1)) as f64);
    /// assert_eq!(median, (500.0 * 500.0 + 501.0 * 501.0) / 2.0);
    /// # Ok::<(), aoi_tolerance::percentile::PercentileError>(())
    /// ```
    pub fn value(self, mut order_statistic: impl FnMut(usize) -> f64) -> f64 {
        let a = order_statistic(self.below);
        if self.below == self.above {
            return a;
        }
        let b = order_statistic(self.above);
        let d = b - a;
        if self.weight < 0.5 { a + d * self.weight } else { b - d * (1.0 - self.weight) }
    }
}

/// Percentile `percent` of an ascending sample, by definition `kind`, in constant time.
///
/// The sample must be sorted and finite, as [`sort_sample`] leaves it. That is not checked here (a check would cost what
/// the sort saved): an unsorted slice gives a number between some two of its values, and never a panic. -0.0 and 0.0
/// are equal; which of the two comes out of a tie between them is not specified.
///
/// The percentile that a lower limit needs of values x is this one; for an upper limit negate the values, and the result.
///
/// # Errors
/// [`PercentileError::Empty`] when the sample is empty; [`PercentileError::Percent`] when `percent` is NaN or outside
/// 0 to 100. A result that overflows is no error but is not finite (see [`Place::value`]): check it.
///
/// # Examples
/// ```
/// use aoi_tolerance::percentile::{HyndmanFan, percentile_of_sorted, sort_sample};
///
/// let mut false_calls = [2.0, 28.0, 35.0, 32.0, 25.0];
/// sort_sample(&mut false_calls)?;
/// let limit = percentile_of_sorted(&false_calls, 85.0, HyndmanFan::Linear)?;
/// assert!((limit - 33.2).abs() < 1e-14);
/// # Ok::<(), aoi_tolerance::percentile::PercentileError>(())
/// ```
pub fn percentile_of_sorted(sorted: &[f64], percent: f64, kind: HyndmanFan) -> Result<f64, PercentileError> {
    Ok(kind.place(sorted.len(), percent)?.value(|index| sorted[index]))
}

/// Sorts a sample for [`percentile_of_sorted`], ascending, -0.0 before 0.0; equal bits for any order of the input.
///
/// # Errors
/// [`PercentileError::Value`] for the first value that is infinite or NaN; the sample is then left as it was.
///
/// # Examples
/// ```
/// use aoi_tolerance::percentile::sort_sample;
///
/// let mut sample = [0.0, 3.5, -0.0, -1.0];
/// sort_sample(&mut sample)?;
/// assert_eq!(sample.map(f64::to_bits), [-1.0, -0.0, 0.0, 3.5].map(f64::to_bits));
/// assert!(sort_sample(&mut [1.0, f64::NAN]).is_err());
/// # Ok::<(), aoi_tolerance::percentile::PercentileError>(())
/// ```
pub fn sort_sample(sample: &mut [f64]) -> Result<(), PercentileError> {
    if let Some(index) = sample.iter().position(|value| !value.is_finite()) {
        return Err(PercentileError::Value { index, value: sample[index] });
    }
    order::sort(sample);
    Ok(())
}

/// [`f64::floor`] without a call where the processor has no instruction for it; one is asked for each limit at each percentile of a sweep.
fn floor(index: f64) -> f64 {
    // From here on every double is whole.
    const WHOLE: f64 = 4_503_599_627_370_496.0;
    if index.abs() >= WHOLE {
        return index;
    }
    let towards_zero = whole_number(index) as f64;
    if towards_zero > index { towards_zero - 1.0 } else { towards_zero }
}

#[expect(clippy::cast_possible_truncation, reason = "towards zero, and no sample has 2^63 values")]
fn whole_number(index: f64) -> i64 {
    index as i64
}
