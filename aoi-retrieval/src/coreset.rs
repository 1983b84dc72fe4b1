//! Smaller banks: which rows to keep. Every choice depends on its seed alone, and comes back in ascending order.

#![expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]

use std::ops::Range;

use ndarray::ArrayView2;

use crate::chance::Chance;
use crate::progress::report;
use crate::search::cpu::simd::Isa;
use crate::search::{Rows, in_parallel};
use crate::{Labels, ProgressFn, RetrievalError};

/// Width of the random projection in which [`k_centre`] measures distances.
const PROJECTED: usize = 128;

/// `count` rows of `n`, all equally likely.
///
/// # Errors
/// When `count` is larger than `n`.
///
/// # Examples
/// ```
/// let rows = aoi_retrieval::coreset::random(100, 10, 7)?;
/// assert_eq!(rows.len(), 10);
/// assert_eq!(rows, aoi_retrieval::coreset::random(100, 10, 7)?);
/// # Ok::<(), aoi_retrieval::RetrievalError>(())
/// ```
pub fn random(n: usize, count: usize, seed: u64) -> Result<Vec<usize>, RetrievalError> {
    check_count(n, count)?;
    let mut rows = Chance::new(seed).choose(n, count);
    rows.sort_unstable();
    Ok(rows)
}

/// Of each image the `per_image` patches with the smallest `u x sum` of how many patches of the image hold each of the patch's
/// classes, u uniform in 0..1: rare classes stay. A patch without any class counts the patches without any class.
///
/// # Errors
/// When an image reaches beyond the labels.
pub fn class_balanced(
    labels: &Labels,
    images: &[Range<usize>],
    per_image: usize,
    seed: u64,
) -> Result<Vec<usize>, RetrievalError> {
    let mut chance = Chance::new(seed);
    let mut kept = Vec::new();
    for image in images {
        if image.end > labels.rows() {
            let limit = labels.rows() + 1;
            return Err(RetrievalError::OutOfRange { what: "end of an image", limit, actual: image.end });
        }
        let present: Vec<Vec<usize>> = image.clone().map(|row| classes_of(labels, row)).collect();
        let mut patches = vec![0_u32; labels.shape().classes + 1];
        present.iter().flatten().for_each(|&class| patches[class] += 1);
        let mut ranked: Vec<(f64, usize)> = image
            .clone()
            .zip(&present)
            .map(|(row, classes)| {
                let sum: f64 = classes.iter().map(|&class| f64::from(patches[class])).sum();
                (sum * chance.unit(), row)
            })
            .collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        kept.extend(ranked.into_iter().take(per_image).map(|r| r.1));
    }
    kept.sort_unstable();
    kept.dedup();
    Ok(kept)
}

/// The classes of a patch; the number of classes stands for none.
fn classes_of(labels: &Labels, row: usize) -> Vec<usize> {
    let classes = labels.shape().classes;
    let mut found: Vec<usize> = match labels {
        Labels::Complete(l) => {
            l.counts(row).iter().enumerate().filter(|(_, n)| **n > 0).map(|(class, _)| class).collect()
        }
        Labels::Average(l) => (0..classes).filter(|&class| l.means()[[row, class]] > 0.0).collect(),
    };
    if found.is_empty() {
        found.push(classes);
    }
    found
}

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
    let mut chosen = vec![chance.below(n)];
    let mut nearest = vec![Nearest { squared: f32::INFINITY, centre: 0 }; n];
    let isa = Isa::detect();
    let point = |row: usize| &points[row * width..(row + 1) * width];
    while chosen.len() < count {
        report(progress, chosen.len(), count)?;
        let newest = chosen[chosen.len() - 1];
        nearest[newest].squared = f32::NEG_INFINITY;
        let gaps = isa.run(
            #[inline(always)]
            || distances(&points, width, &chosen),
        );
        let part = n.div_ceil(threads);
        let best = std::thread::scope(|scope| {
            let gaps = &gaps;
            let running: Vec<_> = nearest
                .chunks_mut(part)
                .zip(points.chunks(part * width))
                .map(|(nearest, points)| {
                    scope.spawn(move || {
                        isa.run(
                            #[inline(always)]
                            || closer(nearest, points, point(newest), gaps),
                        )
                    })
                })
                .collect();
            let mut best = (0, f32::NEG_INFINITY);
            for (i, thread) in running.into_iter().enumerate() {
                let (row, distance) = thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause));
                if distance > best.1 {
                    best = (i * part + row, distance);
                }
            }
            best
        });
        chosen.push(best.0);
    }
    report(progress, count, count)?;
    chosen.sort_unstable();
    Ok(chosen)
}

/// The chosen row nearest to a row.
#[derive(Debug, Clone, Copy)]
struct Nearest {
    /// Squared distance; negative infinity for a chosen row.
    squared: f32,
    /// Its place among the chosen rows.
    centre: u32,
}

/// Squared distances of the newest centre, the last of `chosen`, to all of them.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
fn distances(points: &[f32], width: usize, chosen: &[usize]) -> Vec<f32> {
    let point = |row: usize| &points[row * width..(row + 1) * width];
    let newest = chosen.last().map_or(&[][..], |&row| point(row));
    chosen.iter().map(|&row| squared_distance(point(row), newest)).collect()
}

/// Takes the newest centre into account; the first row that is furthest now, and its squared distance.
///
/// A row whose own centre lies more than twice as far from the newest as from the row cannot be nearer to the newest (triangle
/// inequality; 4.01 instead of 4 leaves room for rounding), so most rows are not even read.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
fn closer(nearest: &mut [Nearest], points: &[f32], newest: &[f32], gaps: &[f32]) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    let place = u32::try_from(gaps.len() - 1).unwrap_or(u32::MAX);
    for (i, (nearest, point)) in nearest.iter_mut().zip(points.chunks_exact(newest.len())).enumerate() {
        let own = nearest.squared;
        if own > f32::NEG_INFINITY && gaps[nearest.centre as usize] <= 4.01 * own {
            let squared = squared_distance(point, newest);
            if squared < own {
                *nearest = Nearest { squared, centre: place };
            }
        }
        if nearest.squared > best.1 {
            best = (i, nearest.squared);
        }
    }
    best
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its callers")]
fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..16 {
            lanes[i] += (a[i] - b[i]) * (a[i] - b[i]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| (a - b) * (a - b)).sum();
    // Far beyond the range of f32 everything is equally far.
    (lanes.iter().sum::<f32>() + rest).min(f32::MAX)
}

/// The points in which distances are measured, and their width.
#[expect(clippy::cast_possible_truncation, reason = "the projection is approximate anyway")]
fn project(rows: &Rows<'_>, chance: &mut Chance, threads: usize) -> (Vec<f32>, usize) {
    let (n, d) = (rows.count(), rows.width());
    if d <= PROJECTED {
        return (rows.flat().to_vec(), d);
    }
    let scale = 1.0 / (PROJECTED as f64).sqrt();
    let matrix: Vec<f32> = (0..d * PROJECTED).map(|_| (chance.normal() * scale) as f32).collect();
    let isa = Isa::detect();
    let parts = in_parallel(n, threads, |part| {
        isa.run(
            #[inline(always)]
            || products(rows, part, &matrix),
        )
    });
    (parts.concat(), PROJECTED)
}

/// Rows times the matrix `[d, PROJECTED]`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
fn products(rows: &Rows<'_>, part: Range<usize>, matrix: &[f32]) -> Vec<f32> {
    let mut out = vec![0.0_f32; part.len() * PROJECTED];
    for (row, out) in part.zip(out.chunks_exact_mut(PROJECTED)) {
        for (&x, axis) in rows.row(row).iter().zip(matrix.chunks_exact(PROJECTED)) {
            out.iter_mut().zip(axis).for_each(|(out, a)| *out += x * a);
        }
    }
    out
}

fn check_count(n: usize, count: usize) -> Result<(), RetrievalError> {
    if count <= n {
        return Ok(());
    }
    Err(RetrievalError::bad_option("rows to keep", format!("at most {n}"), count))
}

#[cfg(test)]
#[expect(
    clippy::single_range_in_vec_init,
    clippy::cast_possible_truncation,
    reason = "one image is a list of one range; small numbers made for a test"
)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::CompleteLabels;
    use aoi_testing::Seeded;
    use ndarray::{Array2, Array4};

    #[test]
    fn random_rows_are_distinct_ascending_and_seeded() {
        let rows = random(50, 20, 1).unwrap();
        assert!(rows.windows(2).all(|w| w[0] < w[1]) && rows[19] < 50);
        assert_ne!(rows, random(50, 20, 2).unwrap());
        assert_eq!(random(5, 5, 3).unwrap(), [0, 1, 2, 3, 4]);
        assert!(random(5, 6, 3).is_err());
    }

    #[test]
    fn rare_classes_survive_balancing() {
        // Patch 7 alone has class 1; all others have class 0.
        let masks = Array4::from_shape_fn((40, 1, 1, 2), |(n, _, _, c)| u8::from((n == 7) == (c == 1)));
        let labels = Labels::Complete(CompleteLabels::from_patches(masks.view()).unwrap());
        let mut kept = 0;
        for seed in 0..200 {
            let rows = class_balanced(&labels, &[0..40], 4, seed).unwrap();
            assert_eq!(rows.len(), 4);
            kept += usize::from(rows.contains(&7));
        }
        // Its u must be below the fourth smallest of 39 x 39 u: nearly always; a random choice keeps it one time in ten.
        assert!(kept > 180, "{kept} of 200");
        assert!(class_balanced(&labels, &[30..41], 4, 0).is_err());
        assert_eq!(class_balanced(&labels, &[0..3, 10..12], 9, 0).unwrap(), [0, 1, 2, 10, 11]);
    }

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
}
