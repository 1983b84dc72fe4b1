//! Which rows are near each other: rows along the leading principal axes, and centres that each belongs to the nearest of.

use std::borrow::Cow;
use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::frame::{Frame, dot};
use super::isa::Isa;
use super::tile::LANES;
use crate::RetrievalError;
use crate::progress::{Steps, Tally};
use crate::search::{Rows, in_parallel_counted};

/// How often centres are moved to the mean of their rows.
const MOVES: usize = 3;
/// Rows assigned together.
const BLOCK: usize = 64;

/// Directions along which rows are told apart, and the frame's centre along them.
#[derive(Debug, Clone)]
pub(super) struct Axes {
    /// `[m, d]` row-major.
    directions: Vec<f32>,
    /// `[m]`.
    centre: Vec<f32>,
}

/// Centres of groups.
#[derive(Debug, Clone)]
pub(super) struct Centres {
    /// Along the axes, `[m, groups]`.
    pub(super) along: Vec<f32>,
    /// `-|c|^2 / 2` of each: `|x - c|^2` is least where `x.c` and this come to most.
    pub(super) halves: Vec<f32>,
}

impl Axes {
    #[expect(clippy::cast_possible_truncation, reason = "decides only which rows stand together")]
    pub(super) fn new(axes: &[f64], frame: &Frame) -> Self {
        let centre = axes.chunks_exact(frame.centre.len()).map(|axis| dot(axis, &frame.centre) as f32);
        Self { centre: centre.collect(), directions: axes.iter().map(|&a| a as f32).collect() }
    }

    /// m.
    pub(super) fn count(&self) -> usize {
        self.centre.len()
    }

    /// Centred rows along the axes, `[chosen, m]`.
    #[expect(clippy::cast_possible_truncation, reason = "decides only which rows stand together")]
    pub(super) fn along(
        &self,
        chosen: &[usize],
        (rows, norms, frame): (&Rows<'_>, &[f64], &Frame),
    ) -> Vec<f32> {
        let (m, d) = (self.count(), rows.width());
        let mut along = vec![0.0; chosen.len() * m];
        let mut gathered = Vec::new();
        let consecutive = chosen.windows(2).all(|two| two[0] + 1 == two[1]);
        let x = match chosen.first() {
            Some(&first) if consecutive => &rows.flat()[first * d..(first + chosen.len()) * d],
            _ => {
                gathered.extend(chosen.iter().flat_map(|&i| rows.row(i)));
                &gathered
            }
        };
        matmul(
            MatMut::from_row_major_slice_mut(&mut along, chosen.len(), m),
            Accum::Replace,
            MatRef::from_row_major_slice(x, chosen.len(), d),
            MatRef::from_row_major_slice(&self.directions, m, d).transpose(),
            1.0,
            Par::Seq,
        );
        for (along, &i) in along.chunks_exact_mut(m).zip(chosen) {
            let scale = frame.scale(norms[i]).unwrap_or_default() as f32;
            for (x, c) in along.iter_mut().zip(&self.centre) {
                *x = *x * scale - c;
            }
        }
        along
    }

    /// A centred query along one axis.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
    #[expect(clippy::cast_possible_truncation, reason = "decides only what is looked at first")]
    pub(super) fn query(&self, axis: usize, query: &[f64]) -> f32 {
        let mut lanes = [0.0_f32; LANES];
        let axis = self.directions[axis * query.len()..][..query.len()].chunks(LANES);
        for (axis, query) in axis.zip(query.chunks(LANES)) {
            for (lane, (a, &x)) in lanes.iter_mut().zip(axis.iter().zip(query)) {
                *lane += a * x as f32;
            }
        }
        lanes.iter().sum()
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.directions) + size_of_val(&*self.centre)
    }

    /// The inner product's bias of a row that lies at each of the centres, as far as the axes tell.
    pub(super) fn biases(&self, centres: &Centres) -> Vec<f32> {
        let mut biases = vec![0.0; centres.halves.len()];
        for (c, &m) in centres.along.chunks_exact(biases.len()).zip(&self.centre) {
            biases.iter_mut().zip(c).for_each(|(bias, &c)| *bias += c * m);
        }
        biases
    }
}

impl Centres {
    /// Of the rows `x` `[n, m]`, by Lloyd's algorithm from evenly spread rows.
    #[expect(clippy::cast_possible_truncation, reason = "decides only which rows stand together")]
    pub(super) fn of(
        x: &[f32],
        m: usize,
        groups: usize,
        isa: Isa,
        threads: usize,
    ) -> Result<Self, RetrievalError> {
        let n = x.len() / m;
        let mut centres = Self { along: vec![0.0; m * groups], halves: vec![0.0; groups] };
        for g in 0..groups {
            for (j, &x) in x[g * n / groups * m..][..m].iter().enumerate() {
                centres.along[j * groups + g] = x;
            }
        }
        centres.halve();
        for _ in 0..MOVES {
            let (mut sums, mut counts) = (vec![0.0_f64; m * groups], vec![0.0_f64; groups]);
            // Few rows: not worth a step.
            let (tally, rows) =
                (Tally::default(), |part: Range<usize>| x[part.start * m..part.end * m].into());
            let assigned = centres.of_rows(n, isa, threads, &mut tally.silent(), rows)?;
            for (x, g) in x.chunks_exact(m).zip(assigned) {
                counts[g as usize] += 1.0;
                for (j, &x) in x.iter().enumerate() {
                    sums[j * groups + g as usize] += f64::from(x);
                }
            }
            for (i, (centre, sum)) in centres.along.iter_mut().zip(&sums).enumerate() {
                let count = counts[i % groups];
                if count > 0.0 {
                    *centre = (sum / count) as f32;
                }
            }
            centres.halve();
        }
        Ok(centres)
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.along) + size_of_val(&*self.halves)
    }

    /// Sets the halves.
    fn halve(&mut self) {
        self.halves.fill(0.0);
        for c in self.along.chunks_exact(self.halves.len()) {
            self.halves.iter_mut().zip(c).for_each(|(half, &c)| *half -= c * c / 2.0);
        }
    }

    /// The nearest to each of n rows, a few of which at a time `rows` gives as `[rows, m]`; a step a row.
    pub(super) fn of_rows<'x>(
        &self,
        n: usize,
        isa: Isa,
        threads: usize,
        steps: &mut Steps<'_>,
        rows: impl Fn(Range<usize>) -> Cow<'x, [f32]> + Sync,
    ) -> Result<Vec<u32>, RetrievalError> {
        let parts = in_parallel_counted(n, threads, steps, |part, steps| {
            let (mut nearest, mut scores) = (Vec::with_capacity(part.len()), Vec::new());
            for start in part.clone().step_by(BLOCK) {
                let rows_of = start..part.end.min(start + BLOCK);
                let count = rows_of.len();
                self.nearest(&rows(rows_of), isa, &mut scores, &mut nearest);
                steps.advance(count)?;
            }
            Ok(nearest)
        })?;
        Ok(parts.concat())
    }

    /// Appends the nearest to each row of `x` `[n, m]`; any where distances are not numbers. `scores` is room.
    fn nearest(&self, x: &[f32], isa: Isa, scores: &mut Vec<f32>, nearest: &mut Vec<u32>) {
        let groups = self.halves.len();
        let m = self.along.len() / groups;
        let n = x.len() / m;
        scores.clear();
        (0..n).for_each(|_| scores.extend_from_slice(&self.halves));
        matmul(
            MatMut::from_row_major_slice_mut(scores, n, groups),
            Accum::Add,
            MatRef::from_row_major_slice(x, n, m),
            MatRef::from_row_major_slice(&self.along, m, groups),
            1.0,
            Par::Seq,
        );
        isa.run(
            #[inline(always)]
            || {
                for scores in scores.chunks_exact(groups) {
                    nearest.push(largest(scores));
                }
            },
        );
    }
}

/// Where the largest number is; any of equals.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
fn largest(values: &[f32]) -> u32 {
    let (mut best, mut places) = ([f32::NEG_INFINITY; LANES], [0_u32; LANES]);
    let (blocks, rest) = values.as_chunks::<LANES>();
    // Past the end nothing is larger.
    let mut last = [f32::NEG_INFINITY; LANES];
    last[..rest.len()].copy_from_slice(rest);
    for (first, block) in (0..).step_by(LANES).zip(blocks.iter().chain([&last])) {
        for lane in 0..LANES {
            let larger = block[lane] > best[lane];
            best[lane] = if larger { block[lane] } else { best[lane] };
            places[lane] = if larger { first } else { places[lane] };
        }
    }
    let mut found = (f32::NEG_INFINITY, 0);
    for (lane, (value, first)) in (0..).zip(best.into_iter().zip(places)) {
        if value > found.0 {
            found = (value, first + lane);
        }
    }
    found.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::Seeded;

    #[test]
    fn the_largest_is_found_wherever_it_is_and_what_is_not_a_number_is_passed_over() {
        let mut s = Seeded::new(2);
        for n in 1..70 {
            let mut values = s.normals_f32(n);
            let expected = (0..n).max_by(|&a, &b| values[a].total_cmp(&values[b])).unwrap();
            assert_eq!(largest(&values) as usize, expected, "{values:?}");
            let other = (expected + 1) % n;
            values[other] = f32::NAN;
            assert!(n == 1 || largest(&values) as usize == expected, "{values:?}");
        }
        assert_eq!(largest(&[f32::NAN; 40]), 0);
    }

    #[test]
    fn centres_of_clear_clusters_are_their_means_and_rows_belong_to_the_nearest() {
        // Three clusters of 50 rows, whose evenly spread rows are of all three.
        let mut s = Seeded::new(3);
        let means = [[4.0_f32, 0.0], [-2.0, 3.0], [-2.0, -3.0]];
        let x: Vec<f32> =
            (0..150).flat_map(|i| means[i / 50].map(|m| m + 0.1 * s.normals_f32(1)[0])).collect();
        let centres = Centres::of(&x, 2, 3, Isa::detect(), 1).unwrap();
        for (g, mean) in means.iter().enumerate() {
            let squares = mean.iter().map(|m| m * m).sum::<f32>();
            assert!((0..2).all(|j| (centres.along[j * 3 + g] - mean[j]).abs() < 0.1), "{centres:?}");
            assert!((centres.halves[g] + squares / 2.0).abs() < 0.5, "{centres:?}");
        }
        for (isa, threads) in Isa::available().into_iter().zip([1, 2, 3, 1, 2]) {
            let (tally, rows) = (Tally::of(150), |part: Range<usize>| x[2 * part.start..2 * part.end].into());
            let nearest = centres.of_rows(150, isa, threads, &mut tally.silent(), rows);
            assert_eq!(nearest.unwrap(), (0..150).map(|i| i / 50).collect::<Vec<u32>>());
        }
    }
}
