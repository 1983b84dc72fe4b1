//! The order in which rows stand in the panels: near ones together, so that a bin holds rows alike and a query is shown at once where its
//! neighbours may lie.
//!
//! Rows are put into groups by the nearest of some centres, along the leading principal axes, as an inverted file does (Sivic & Zisserman 2003,
//! Jégou et al. 2011); here no row is left out for its group. The order decides how soon a scan knows what a row must reach and how
//! few bins reach it, and never what is found: bounds are those of the rows as they stand.

use std::ops::Range;

use super::frame::Frame;
use super::isa::Isa;
use super::nearness::{Axes, Centres};
use super::tile::LANES;
use crate::progress::Steps;
use crate::search::Rows;
use crate::{Metric, RetrievalError};

/// Rows to a group, until there are [`MOST_GROUPS`].
const OF_GROUP: usize = 96;
/// Assigning a row costs as many products as there are groups.
const MOST_GROUPS: usize = 1024;
/// Rows that the centres are taken from.
const SAMPLE: usize = 1 << 14;
/// Rows that are ordered among themselves. A bank larger than memory is read stretch by stretch, not anew for every group.
const STRETCH: usize = 1 << 18;
/// Fewest rows that a query looks at first, and for each neighbour asked for.
const FIRST_ROWS: usize = 512;
const FIRST_ROWS_EACH: usize = 4;

/// Which row stands where.
#[derive(Debug, Clone, Default)]
pub(super) struct Order {
    /// The row at each position; empty where rows stand in their own order.
    rows: Vec<u32>,
    groups: Option<Groups>,
}

/// The groups of rows that stand together.
#[derive(Debug, Clone)]
struct Groups {
    axes: Axes,
    centres: Centres,
    /// What is added to the inner products of a query and the centres where long rows score best; else those are best that are nearest.
    biases: Option<Vec<f32>>,
    /// Where the rows of each group begin in each stretch, `[stretches, groups]`, and the end.
    starts: Vec<usize>,
}

impl Order {
    /// Groups of near rows along `axes` `[m, d]`, a step a row; their own order where there are no axes or too few rows to tell apart.
    pub(super) fn by_nearness(
        (rows, norms, frame): (&Rows<'_>, &[f64], &Frame),
        axes: &[f64],
        isa: Isa,
        threads: usize,
        steps: &mut Steps<'_>,
    ) -> Result<Self, RetrievalError> {
        let n = rows.count();
        let groups = (n / OF_GROUP).min(MOST_GROUPS);
        if axes.is_empty() || groups < 2 {
            steps.advance(n)?;
            return Ok(Self::default());
        }
        let axes = Axes::new(axes, frame);
        let sample: Vec<usize> = (0..n).step_by(n.div_ceil(SAMPLE)).collect();
        let sample = axes.along(&sample, (rows, norms, frame));
        let centres = Centres::of(&sample, axes.count(), groups, isa, threads)?;
        let of_row = centres.of_rows(n, isa, threads, steps, |part| {
            axes.along(&part.collect::<Vec<_>>(), (rows, norms, frame)).into()
        })?;
        let (order, starts) = stand_together(&of_row, groups, STRETCH);
        let biases = (frame.metric == Metric::InnerProduct).then(|| axes.biases(&centres));
        Ok(Self { rows: order, groups: Some(Groups { axes, centres, biases, starts }) })
    }

    /// The row that stands at a position.
    pub(super) fn row(&self, position: usize) -> usize {
        self.rows.get(position).map_or(position, |&row| row as usize)
    }

    /// Bins that together hold at least `FIRST_ROWS` rows and `FIRST_ROWS_EACH` for each of `k` neighbours, those of the groups that suit a centred
    /// query best; in their order, none twice. None where rows stand in their own order.
    pub(super) fn first_bins(&self, query: &[f64], k: usize, isa: Isa) -> Vec<usize> {
        let Some(groups) = &self.groups else { return Vec::new() };
        let wanted = FIRST_ROWS.max(FIRST_ROWS_EACH * k);
        let mut bins = Vec::new();
        for biases in [Some(&groups.centres.halves), groups.biases.as_ref()].into_iter().flatten() {
            let scores = isa.run(
                #[inline(always)]
                || groups.scores(query, biases.clone()),
            );
            let mut held = 0;
            for part in best_first(&scores).flat_map(|group| groups.parts(group)) {
                if held >= wanted {
                    break;
                }
                let part = part.start..part.end.min(part.start + wanted - held);
                held += part.len();
                bins.extend(part.start / LANES..part.end.div_ceil(LANES));
            }
        }
        bins.sort_unstable();
        bins.dedup();
        bins
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        let groups = self.groups.as_ref().map_or(0, |g| {
            let biases = g.biases.as_deref().map_or(0, size_of_val);
            g.axes.bytes() + g.centres.bytes() + biases + size_of_val(&*g.starts)
        });
        size_of_val(&*self.rows) + groups
    }
}

impl Groups {
    /// How well each suits a centred query, from what is added to the inner products.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
    fn scores(&self, query: &[f64], mut scores: Vec<f32>) -> Vec<f32> {
        for (axis, centres) in (0..).zip(self.centres.along.chunks_exact(scores.len())) {
            let along = self.axes.query(axis, query);
            for (score, c) in scores.iter_mut().zip(centres) {
                *score += along * c;
            }
        }
        scores
    }

    /// Positions of the rows of a group, by stretches.
    fn parts(&self, group: usize) -> impl Iterator<Item = Range<usize>> {
        let starts = self.starts.iter().zip(&self.starts[1..]);
        starts.skip(group).step_by(self.centres.halves.len()).map(|(&start, &end)| start..end)
    }
}

/// The rows in stretches, in each by their groups, and in each group in their own order; and where each group begins in each stretch, and the end.
fn stand_together(of_row: &[u32], groups: usize, stretch: usize) -> (Vec<u32>, Vec<usize>) {
    let mut rows = vec![0; of_row.len()];
    let mut starts = Vec::with_capacity(of_row.len().div_ceil(stretch) * groups + 1);
    let mut end = 0;
    for (s, of_row) in of_row.chunks(stretch).enumerate() {
        let mut next = vec![0; groups];
        for &group in of_row {
            next[group as usize] += 1;
        }
        for next in &mut next {
            starts.push(end);
            (*next, end) = (end, end + *next);
        }
        for (row, &group) in (s * stretch..).zip(of_row) {
            let next = &mut next[group as usize];
            rows[*next] = u32::try_from(row).expect("rows are counted in u32");
            *next += 1;
        }
    }
    starts.push(end);
    (rows, starts)
}

/// Groups by their scores, the best first.
fn best_first(scores: &[f32]) -> impl Iterator<Item = usize> {
    let better = |&a: &usize, &b: &usize| scores[b].total_cmp(&scores[a]).then(a.cmp(&b));
    let mut groups: Vec<usize> = (0..scores.len()).collect();
    // Few are asked for: the others need not be sorted.
    let (mut sorted, mut next) = (0, 0);
    std::iter::from_fn(move || {
        if next == sorted && sorted < groups.len() {
            let more = (sorted + 16).min(groups.len());
            if more < groups.len() {
                groups[sorted..].select_nth_unstable_by(more - sorted, better);
            }
            groups[sorted..more].sort_unstable_by(better);
            sorted = more;
        }
        next += 1;
        groups.get(next - 1).copied()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric;
    use crate::progress::Tally;
    use aoi_testing::Seeded;
    use ndarray::{Array2, CowArray};

    #[test]
    fn rows_stand_by_stretch_then_group_then_number() {
        let of_row = [2, 0, 2, 1, 0, 0, 1];
        assert_eq!(stand_together(&of_row, 3, 7), (vec![1, 4, 5, 3, 6, 0, 2], vec![0, 3, 5, 7]));
        let (rows, starts) = stand_together(&of_row, 3, 4);
        assert_eq!(rows, [1, 3, 0, 2, 4, 5, 6]);
        assert_eq!(starts, [0, 1, 2, 4, 6, 7, 7]);
        assert_eq!(stand_together(&[], 2, 4), (vec![], vec![0]));
    }

    #[test]
    fn groups_come_best_first_however_many_are_asked_for() {
        let mut s = Seeded::new(1);
        // Equal scores among them.
        let scores: Vec<f32> = (0..100).map(|_| s.below(30) as f32).collect();
        let mut sorted: Vec<usize> = (0..100).collect();
        sorted.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        assert_eq!(best_first(&scores).collect::<Vec<_>>(), sorted);
        assert_eq!(best_first(&[]).next(), None);
    }

    /// Rows and queries around 40 centres, and their order along all axes.
    fn clusters(metric: Metric) -> (Array2<f32>, Array2<f32>, Frame, Order) {
        let mut s = Seeded::new(5);
        let mut scattered = |count: usize, around: &[f32], by: f32| {
            let mut rows = s.normals_f32(count * 12);
            rows.iter_mut().zip(around.iter().cycle()).for_each(|(x, c)| *x = c + by * *x);
            Array2::from_shape_vec((count, 12), rows).unwrap()
        };
        let centres = scattered(40, &[0.0], 1.0).into_raw_vec_and_offset().0;
        let rows = scattered(5000, &centres, 0.2);
        let queries = scattered(40, &centres, 0.2);
        let bank = Rows::new("bank", CowArray::from(rows.view())).unwrap();
        let norms: Vec<f64> = (0..5000).map(|i| metric::norm(bank.row(i))).collect();
        let frame = Frame::fit(metric, &bank, &(0..5000).collect::<Vec<_>>());
        let axes: Vec<f64> = (0..144).map(|i| f64::from(u8::from(i % 13 == 0))).collect();
        let orders = [1, 3].map(|threads| {
            let (tally, rows) = (Tally::of(5000), (&bank, &*norms, &frame));
            Order::by_nearness(rows, &axes, Isa::detect(), threads, &mut tally.silent()).unwrap()
        });
        let [order, other] = orders;
        assert_eq!(order.rows, other.rows, "the order depends on the threads");
        (rows, queries, frame, order)
    }

    #[test]
    fn every_row_stands_somewhere_and_most_beside_rows_of_its_cluster() {
        let (.., order) = clusters(Metric::L2);
        let mut rows: Vec<usize> = (0..5000).map(|position| order.row(position)).collect();
        let alike = rows.windows(2).filter(|two| two[0] % 40 == two[1] % 40).count();
        assert!(alike > 4500, "{alike}");
        rows.sort_unstable();
        assert_eq!(rows, (0..5000).collect::<Vec<_>>());
        assert_eq!(Order::default().row(7), 7);
    }

    #[test]
    fn first_bins_are_distinct_and_hold_most_of_a_querys_cluster() {
        for metric in Metric::ALL {
            let (_, queries, frame, order) = clusters(metric);
            for (i, query) in queries.outer_iter().enumerate() {
                let query = query.to_vec();
                let mut centred = vec![0.0; 12];
                frame.centred(&query, metric::norm(&query), &mut centred);
                for k in [1, 300] {
                    let bins = order.first_bins(&centred, k, Isa::detect());
                    assert!(bins.windows(2).all(|two| two[0] < two[1]), "{bins:?}");
                    let rows: Vec<usize> = bins
                        .iter()
                        .flat_map(|bin| bin * LANES..5000.min((bin + 1) * LANES))
                        .map(|position| order.row(position))
                        .collect();
                    assert!(rows.len() >= FIRST_ROWS.max(FIRST_ROWS_EACH * k), "{}", rows.len());
                    let alike = rows.iter().filter(|&&row| row % 40 == i).count();
                    assert!(alike > 100, "{metric}: {alike} of 125 for query {i}");
                }
                assert!(Order::default().first_bins(&centred, 3, Isa::detect()).is_empty());
            }
        }
    }
}
