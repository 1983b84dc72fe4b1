//! What "similar" means: the f64 score of two f32 rows, defined once and used by every implementation.
//!
//! A score is a function of the bits of its two rows and of nothing else: the order of summation is fixed, no step
//! may be contracted or reordered, and every implementation calls [`Scorer`]. Equal rows therefore have equal scores
//! to the last bit, on every machine and for every thread count, and ties are ties everywhere.

#![expect(
    clippy::inline_always,
    reason = "callers compile these bodies once per instruction set; a call across that border would stay scalar"
)]

/// Lanes of the fixed summation order: lane `i` sums the entries `i`, `i + 16`, `i + 32`, ...
const LANES: usize = 16;

/// How two rows are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Metric {
    /// `q.x / (|q| |x|)`, larger is better; 0 when either row is zero.
    #[default]
    Cosine,
    /// `q.x`, larger is better.
    InnerProduct,
    /// `sum_i (q_i - x_i)^2`, the *squared* distance, smaller is better.
    L2,
}

impl Metric {
    /// Every metric, for loops over all of them.
    pub const ALL: [Self; 3] = [Self::Cosine, Self::InnerProduct, Self::L2];

    /// Whether a smaller score is the better one.
    pub fn smaller_is_better(self) -> bool {
        self == Self::L2
    }

    /// The name used on command lines and in files: `cosine`, `inner-product`, `l2`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::InnerProduct => "inner-product",
            Self::L2 => "l2",
        }
    }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Metric {
    type Err = crate::RetrievalError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|m| m.name() == name).ok_or_else(|| {
            crate::RetrievalError::bad_option("metric", "cosine, inner-product or l2", format!("{name:?}"))
        })
    }
}

/// Folds the lanes in a fixed order: halves onto halves.
#[inline(always)]
fn fold(mut lanes: [f64; LANES]) -> f64 {
    let mut half = LANES / 2;
    while half > 0 {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// `sum_i term(a_i, b_i)` in the fixed order.
#[inline(always)]
fn sum_terms(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut lanes = [0.0_f64; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for i in 0..LANES {
            lanes[i] += term(f64::from(a[i]), f64::from(b[i]));
        }
    }
    for (lane, (&a, &b)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *lane += term(f64::from(a), f64::from(b));
    }
    fold(lanes)
}

/// `q.x` in f64; each product of two f32 is exact there, so only the additions round.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f64 {
    sum_terms(a, b, |a, b| a * b)
}

/// `|a|` in f64.
#[inline(always)]
pub(crate) fn norm(a: &[f32]) -> f64 {
    dot(a, a).sqrt()
}

/// `sum_i (a_i - b_i)^2` in f64, from the differences themselves.
#[inline(always)]
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    sum_terms(a, b, |a, b| {
        let d = a - b;
        d * d
    })
}

/// The definition of a score, with the query's norm computed once.
///
/// # Examples
/// ```
/// use aoi_retrieval::{Metric, Scorer};
/// let q = [3.0, 4.0];
/// assert_eq!(Scorer::new(Metric::Cosine, &q).score(&[6.0, 8.0]), 1.0);
/// assert_eq!(Scorer::new(Metric::InnerProduct, &q).score(&[1.0, 0.5]), 5.0);
/// assert_eq!(Scorer::new(Metric::L2, &q).score(&[0.0, 0.0]), 25.0);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Scorer<'a> {
    metric: Metric,
    query: &'a [f32],
    norm: f64,
}

impl<'a> Scorer<'a> {
    /// A scorer for one query.
    #[inline(always)]
    pub fn new(metric: Metric, query: &'a [f32]) -> Self {
        let norm = if metric == Metric::Cosine { norm(query) } else { 1.0 };
        Self { metric, query, norm }
    }

    /// The score of `row`, which is as wide as the query.
    ///
    /// No finite f32 input can overflow or underflow here: squares of f32 lie well inside the range of f64.
    #[inline(always)]
    pub fn score(&self, row: &[f32]) -> f64 {
        let row_norm = if self.metric == Metric::Cosine { norm(row) } else { 1.0 };
        self.score_with_norm(row, row_norm)
    }

    /// The score of a row whose norm is known; the norm counts for the cosine only.
    #[inline(always)]
    pub(crate) fn score_with_norm(&self, row: &[f32], row_norm: f64) -> f64 {
        match self.metric {
            Metric::Cosine => {
                let length = self.norm * row_norm;
                if length == 0.0 { 0.0 } else { dot(self.query, row) / length }
            }
            Metric::InnerProduct => dot(self.query, row),
            Metric::L2 => squared_distance(self.query, row),
        }
    }
}

/// `1 - cos(q, x)` as `|q/|q| - x/|x||^2 / 2`, which keeps its digits where the cosine is close to 1.
///
/// 1 when either row is zero, like its cosine of 0.
///
/// # Examples
/// ```
/// let d = aoi_retrieval::cosine_distance(&[1.0, 0.0], &[1.0, 1e-6]);
/// assert!((d - 5e-13).abs() < 1e-19);
/// ```
pub fn cosine_distance(q: &[f32], x: &[f32]) -> f64 {
    distance_with_norm(q, norm(q), x)
}

/// [`cosine_distance`] for a query whose norm is known.
#[inline(always)]
pub(crate) fn distance_with_norm(q: &[f32], q_norm: f64, x: &[f32]) -> f64 {
    let x_norm = norm(x);
    if q_norm == 0.0 || x_norm == 0.0 {
        return 1.0;
    }
    sum_terms(q, x, |q, x| {
        let d = q / q_norm - x / x_norm;
        d * d
    }) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::{Seeded, assert_close, lattice_f32};

    #[test]
    fn lattice_sums_are_exact_at_every_width() {
        for d in 1..70 {
            let (a, b) = (lattice_f32(d, 1), lattice_f32(d, 2));
            let plain: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(x * y)).sum();
            assert_eq!(dot(&a, &b), plain, "width {d}");
            let squares: f64 = a.iter().zip(&b).map(|(x, y)| f64::from((x - y) * (x - y))).sum();
            assert_eq!(squared_distance(&a, &b), squares, "width {d}");
        }
    }

    #[test]
    fn the_extremes_of_f32_neither_overflow_nor_vanish() {
        let (big, tiny) = ([f32::MAX; 3], [f32::from_bits(1); 3]);
        for rows in [big, tiny] {
            assert_close(Scorer::new(Metric::Cosine, &rows).score(&rows), 1.0, 0.0, 1e-15);
        }
        assert!(Scorer::new(Metric::InnerProduct, &big).score(&big).is_finite());
        assert!(Scorer::new(Metric::InnerProduct, &tiny).score(&tiny) > 0.0);
        assert_close(Scorer::new(Metric::Cosine, &big).score(&tiny), 1.0, 0.0, 1e-15);
    }

    #[test]
    fn a_zero_row_has_cosine_zero_and_no_sign() {
        let zero = [0.0, -0.0];
        for (q, x) in [(zero, [1.0, 2.0]), ([1.0, 2.0], zero), (zero, zero)] {
            let s = Scorer::new(Metric::Cosine, &q).score(&x);
            assert_eq!(s.to_bits(), 0.0_f64.to_bits());
            assert_eq!(cosine_distance(&q, &x), 1.0);
        }
    }

    #[test]
    fn cosine_distance_agrees_with_the_cosine_and_survives_where_it_cancels() {
        let mut s = Seeded::new(5);
        for d in [1, 2, 15, 16, 17, 40] {
            let (a, b) = (s.normals_f32(d), s.normals_f32(d));
            let cosine = Scorer::new(Metric::Cosine, &a).score(&b);
            assert_close(cosine_distance(&a, &b), 1.0 - cosine, 1e-14, 0.0);
        }
        // An angle of 1e-5: 1 - cos = 5e-11 (1 - 1e-10 / 12).
        let t = 1e-5_f32;
        let d = cosine_distance(&[1.0, 0.0], &[1.0, t]);
        let angle = f64::from(t).atan();
        assert_close(d, 2.0 * (angle / 2.0).sin().powi(2), 0.0, 1e-9);
    }

    #[test]
    fn names_round_trip_and_others_are_errors() {
        for m in Metric::ALL {
            assert_eq!(m.name().parse::<Metric>().unwrap(), m);
        }
        assert!("euclid".parse::<Metric>().unwrap_err().to_string().contains("cosine, inner-product or l2"));
    }
}
