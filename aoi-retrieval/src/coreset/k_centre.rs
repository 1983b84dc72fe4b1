//! Greedy k-centre, bringing rows up to date only when they could be the furthest.
//!
//! A row's distance to its nearest centre only falls as centres are added. So what it was against the first few centres bounds it from
//! above, and a row whose bound lies below the distance of some row that is up to date cannot be chosen: it is left as it is, and the
//! centres that it has not seen wait for it. The choice is the one that bringing every row up to date gives, ties included.

#![expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

use ndarray::ArrayView2;

use super::centres::{Centres, PANEL, squared_distance, squared_distances};
use super::check_count;
use super::projection::project;
use crate::chance::Chance;
use crate::progress::report;
use crate::search::Rows;
use crate::search::cpu::isa::Isa;
use crate::{ProgressFn, RetrievalError};

/// Greedy k-centre: starts at a random row and adds, `count - 1` times, the row furthest from all chosen ones.
///
/// Distances are Euclidean in a random projection to 128 dimensions (in the rows themselves when they are no wider); ties
/// go to the lower row. Every point is then at most twice as far from its centre as with the best possible centres, up to what the
/// projection distorts.
///
/// # Errors
/// When `count` is larger than the number of rows, an entry is not finite, or `progress` cancels.
///
/// # Source
/// Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985; used for patch banks by Roth et al. 2022.
pub fn k_centre(
    keys: ArrayView2<'_, f32>,
    count: usize,
    seed: u64,
    threads: usize,
    progress: &mut ProgressFn<'_>,
) -> Result<Vec<usize>, RetrievalError> {
    let rows = Rows::new("bank", ndarray::CowArray::from(keys))?;
    let n = rows.count();
    check_count(n, count)?;
    if count == 0 {
        return Ok(Vec::new());
    }
    let threads = crate::SearchOptions { k: 1, threads }.thread_count();
    let mut chance = Chance::new(seed);
    let (points, width) = project(&rows, &mut chance, threads);
    let isa = Isa::detect();
    let size = n.div_ceil(threads).max(1);
    let mut parts: Vec<Part<'_>> = points
        .chunks(size * width)
        .enumerate()
        .map(|(i, points)| Part::new(points, width, i * size))
        .collect();
    let mut centres = Centres::new(width, count);
    let mut next = chance.below(n);
    let mut chosen = Vec::with_capacity(count);
    loop {
        chosen.push(next);
        if chosen.len() == count {
            break;
        }
        report(progress, chosen.len(), count)?;
        let part = &mut parts[next / size];
        part.distances[next % size] = f32::NEG_INFINITY;
        isa.run(
            #[inline(always)]
            || centres.push(&points[next * width..(next + 1) * width]),
        );
        let reached = AtomicU32::new(0);
        let (centres, reached) = (&centres, &reached);
        let furthest = |part: &mut Part<'_>| {
            isa.run(
                #[inline(always)]
                || part.furthest(centres, reached),
            )
        };
        let (first, others) = parts.split_at_mut(1);
        let found = std::thread::scope(|scope| {
            let furthest = &furthest;
            let others: Vec<_> = others.iter_mut().map(|part| scope.spawn(move || furthest(part))).collect();
            let mut found: Vec<_> = first.iter_mut().map(furthest).collect();
            found.extend(
                others.into_iter().map(|o| o.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause))),
            );
            found
        });
        let further = |best: (usize, f32), other: (usize, f32)| if other.1 > best.1 { other } else { best };
        next = found.into_iter().fold((0, f32::NEG_INFINITY), further).0;
    }
    report(progress, count, count)?;
    chosen.sort_unstable();
    Ok(chosen)
}

/// Neighbouring rows, looked after by one thread.
struct Part<'p> {
    points: &'p [f32],
    width: usize,
    /// The first of them.
    start: usize,
    /// Squared distance of each row to the nearest of the centres that it has seen; negative infinity for a chosen row.
    distances: Vec<f32>,
    /// How many centres each row has seen, and which of them is nearest.
    seen: Vec<(u32, u32)>,
}

/// Rows whose distances are looked at together.
const LOOKED_AT: usize = 64;

impl<'p> Part<'p> {
    fn new(points: &'p [f32], width: usize, start: usize) -> Self {
        let n = points.len() / width;
        Self { points, width, start, distances: vec![f32::INFINITY; n], seen: vec![(0, 0); n] }
    }

    /// Of the rows that are furthest from all centres the first, and its squared distance; `reached` is the largest distance that a row
    /// was found to have in any part. Nothing that counts if all rows lie below it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
    fn furthest(&mut self, centres: &Centres, reached: &AtomicU32) -> (usize, f32) {
        // Distances are not negative: their bits are ordered as they are.
        let mut least = f32::from_bits(reached.load(Ordering::Relaxed));
        let largest = self.distances.iter().fold(f32::NEG_INFINITY, |a, b| if *b > a { *b } else { a });
        // A row that may be furthest is looked at first: it sets the mark for the others.
        let likely = self.distances.iter().position(|&d| d == largest && d >= least);
        if let Some(row) = likely {
            least = self.catch_up(row, centres, least).max(least);
        }
        let mut best = (self.start, f32::NEG_INFINITY);
        for first in (0..self.distances.len()).step_by(LOOKED_AT) {
            let rows = first..(first + LOOKED_AT).min(self.distances.len());
            let near = |rows: Range<usize>| self.distances[rows].iter().all(|&d| d < least);
            if near(rows.clone()) {
                continue;
            }
            least = f32::from_bits(reached.load(Ordering::Relaxed)).max(least);
            for row in rows {
                if self.distances[row] >= least && self.catch_up(row, centres, least) >= least {
                    let distance = self.distances[row];
                    if distance > best.1 {
                        best = (self.start + row, distance);
                        least = distance;
                    }
                }
            }
            reached.fetch_max(least.to_bits(), Ordering::Relaxed);
        }
        best
    }

    /// Shows a row the centres that it has not seen, until it lies nearer to one than `least`; its squared distance then.
    ///
    /// A centre that lies more than twice as far from the row's nearest as the row does cannot be nearer (triangle inequality; 4.01 instead
    /// of 4 leaves room for rounding), and is not measured.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled once per instruction set inside its callers")]
    fn catch_up(&mut self, row: usize, centres: &Centres, least: f32) -> f32 {
        let point = &self.points[row * self.width..(row + 1) * self.width];
        let mut distance = self.distances[row];
        let (seen, nearest) = self.seen[row];
        let (mut seen, mut nearest) = (seen as usize, nearest as usize);
        let mut gaps = centres.gaps_of(nearest);
        while seen < centres.count && distance >= least {
            let panel = centres.panel(seen);
            let together = if panel.is_some() { PANEL } else { 1 };
            let known = gaps.get(seen..seen + together).unwrap_or_default();
            if known.is_empty() || known.iter().any(|&gap| gap <= 4.01 * distance) {
                let squared = match panel {
                    Some(panel) => squared_distances(point, panel),
                    None => [squared_distance(point, centres.point(seen)); PANEL],
                };
                for (centre, &squared) in (seen..).zip(&squared[..together]) {
                    if squared < distance {
                        (distance, nearest) = (squared, centre);
                    }
                }
                gaps = centres.gaps_of(nearest);
            }
            seen += together;
        }
        self.distances[row] = distance;
        let short = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.seen[row] = (short(seen), short(nearest));
        distance
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "small numbers made for a test")]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use aoi_testing::Seeded;
    use ndarray::Array2;

    #[test]
    fn k_centre_takes_one_row_of_each_cluster_and_agrees_with_the_plain_loop() {
        let mut s = Seeded::new(1);
        let bank = Array2::from_shape_fn((300, 5), |(i, j)| {
            let centre = if i % 6 == j { 100.0 } else { 0.0 };
            (centre + s.unit()) as f32
        });
        let mut calls = 0;
        let rows = k_centre(bank.view(), 6, 3, 2, &mut |p| {
            calls += 1;
            assert!(p.done <= p.total);
            ControlFlow::Continue(())
        })
        .unwrap();
        let mut clusters: Vec<usize> = rows.iter().map(|r| r % 6).collect();
        clusters.sort_unstable();
        assert_eq!((clusters, calls), (vec![0, 1, 2, 3, 4, 5], 6));
        for threads in [1, 3] {
            let other = k_centre(bank.view(), 40, 3, threads, &mut |_| ControlFlow::Continue(())).unwrap();
            assert_eq!(other, plain(&bank, 40, 3));
        }
    }

    fn plain(bank: &Array2<f32>, count: usize, seed: u64) -> Vec<usize> {
        let distance = |a: usize, b: usize| -> f32 {
            let d = &bank.row(a) - &bank.row(b);
            d.dot(&d)
        };
        let mut chosen = vec![Chance::new(seed).below(bank.nrows())];
        while chosen.len() < count {
            let away = |i: usize| chosen.iter().map(|&c| distance(i, c)).fold(f32::INFINITY, f32::min);
            let best = (0..bank.nrows()).fold(0, |best, i| if away(i) > away(best) { i } else { best });
            chosen.push(best);
        }
        chosen.sort_unstable();
        chosen
    }

    #[test]
    fn copies_are_chosen_once_each_and_wide_rows_are_projected() {
        let keep = &mut |_| ControlFlow::Continue(());
        let same = Array2::from_elem((5, 2), 1.0);
        assert_eq!(k_centre(same.view(), 5, 0, 2, keep).unwrap(), [0, 1, 2, 3, 4]);
        let wide = Array2::from_shape_fn((20, 200), |(i, j)| if j % 20 == i { 9.0 } else { 0.0 });
        assert_eq!(k_centre(wide.view(), 20, 0, 2, keep).unwrap(), (0..20).collect::<Vec<_>>());
        assert_eq!(k_centre(wide.view(), 0, 0, 2, keep).unwrap(), [0_usize; 0]);
    }

    #[test]
    fn cancelling_stops_the_choice() {
        let bank = Array2::from_shape_fn((50, 3), |(i, j)| (i * j) as f32);
        let stopped = k_centre(bank.view(), 20, 0, 1, &mut |p| {
            if p.done == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(stopped, Err(RetrievalError::Cancelled { done: 5, total: 20 })));
    }

    /// Every row brought up to date at every step, with one sum after the other.
    fn step_by_step(points: &[Vec<f32>], count: usize, first: usize) -> Vec<usize> {
        let mut chosen = vec![first];
        let mut nearest = vec![f32::INFINITY; points.len()];
        while chosen.len() < count {
            let newest = *chosen.last().unwrap();
            nearest[newest] = f32::NEG_INFINITY;
            for (nearest, point) in nearest.iter_mut().zip(points) {
                *nearest = nearest.min(squared_distance(point, &points[newest]));
            }
            let further = |best: usize, i: usize| if nearest[i] > nearest[best] { i } else { best };
            chosen.push((0..points.len()).fold(0, further));
        }
        chosen.sort_unstable();
        chosen
    }

    #[test]
    fn rows_left_behind_change_no_choice() {
        let mut s = Seeded::new(4);
        let mut choices = 0;
        for (n, width, count) in
            [(700, 3, 90), (400, 16, 400), (500, 37, 120), (300, 128, 40), (200, 200, 60), (3, 2, 2)]
        {
            for kind in 0..4 {
                let bank = Array2::from_shape_fn((n, width), |(i, j)| match kind {
                    // Uniform; a lattice with many ties and copies; tight clusters of different sizes; far away but for a few.
                    0 => s.unit() as f32,
                    1 => s.below(3) as f32,
                    2 => ((i * i % 23) * (j % 5)) as f32 + s.unit() as f32 / 50.0,
                    _ => {
                        if i % 50 == 0 {
                            1e19 * s.unit() as f32
                        } else {
                            s.unit() as f32
                        }
                    }
                });
                let mut chance = Chance::new(9);
                let rows = Rows::new("bank", ndarray::CowArray::from(bank.view())).unwrap();
                let (points, width) = project(&rows, &mut chance, 1);
                let points: Vec<Vec<f32>> = points.chunks(width).map(<[f32]>::to_vec).collect();
                let expected = step_by_step(&points, count, chance.below(n));
                for threads in [1, 2, 5] {
                    let found = k_centre(bank.view(), count, 9, threads, &mut |_| ControlFlow::Continue(()));
                    assert_eq!(found.unwrap(), expected, "{n} x {width}, kind {kind}, {threads} threads");
                    choices += count;
                }
            }
        }
        assert!(choices > 8_000, "{choices}");
    }
}
