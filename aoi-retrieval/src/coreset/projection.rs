//! A random projection: fewer numbers a row, distances about kept.

use std::ops::Range;

use crate::chance::Chance;
use crate::search::cpu::isa::Isa;
use crate::search::{Rows, in_parallel};

/// Width of the projection in which distances are measured.
const PROJECTED: usize = 128;
/// Rows and columns whose sums are kept in registers.
const TILE: (usize, usize) = (4, 16);

/// The points in which distances are measured, and their width.
#[expect(clippy::cast_possible_truncation, reason = "the projection is approximate anyway")]
pub(super) fn project(rows: &Rows<'_>, chance: &mut Chance, threads: usize) -> (Vec<f32>, usize) {
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

/// Rows times the matrix `[d, PROJECTED]`; each sum runs along the width in order, whatever is worked out beside it.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
fn products(rows: &Rows<'_>, part: Range<usize>, matrix: &[f32]) -> Vec<f32> {
    let columns = matrix.as_chunks::<{ TILE.1 }>().0;
    let mut out = vec![0.0_f32; part.len() * PROJECTED];
    for first in 0..PROJECTED / TILE.1 {
        // A panel of columns, close together: it stays in the cache for all rows.
        let panel: Vec<[f32; TILE.1]> =
            columns.iter().skip(first).step_by(PROJECTED / TILE.1).copied().collect();
        for start in (0..part.len()).step_by(TILE.0) {
            let last = part.len() - 1;
            let of: [&[f32]; TILE.0] =
                std::array::from_fn(|i| &rows.row(part.start + (start + i).min(last))[..panel.len()]);
            let mut sums = [[0.0_f32; TILE.1]; TILE.0];
            for (j, axis) in panel.iter().enumerate() {
                for i in 0..TILE.0 {
                    for c in 0..TILE.1 {
                        sums[i][c] += of[i][j] * axis[c];
                    }
                }
            }
            for (i, sums) in sums.iter().enumerate().take(part.len() - start) {
                out[(start + i) * PROJECTED + first * TILE.1..][..TILE.1].copy_from_slice(sums);
            }
        }
    }
    out
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "small numbers made for a test")]
mod tests {
    use super::*;
    use aoi_testing::Seeded;
    use ndarray::Array2;

    #[test]
    fn products_are_summed_along_the_width() {
        let mut s = Seeded::new(6);
        let matrix: Vec<f32> = (0..150 * PROJECTED).map(|_| s.unit() as f32 - 0.5).collect();
        let bank = Array2::from_shape_fn((11, 150), |_| s.unit() as f32);
        let rows = Rows::new("bank", ndarray::CowArray::from(bank.view())).unwrap();
        let simply = |row: usize, c: usize| {
            (0..150).fold(0.0, |sum, j| sum + bank[[row, j]] * matrix[j * PROJECTED + c])
        };
        for part in [0..11, 2..3, 4..9, 5..5] {
            let expected: Vec<f32> = part
                .clone()
                .flat_map(|row| (0..PROJECTED).map(move |c| (row, c)))
                .map(|(r, c)| simply(r, c))
                .collect();
            for isa in Isa::available() {
                let found = isa.run(|| products(&rows, part.clone(), &matrix));
                assert_eq!(found, expected);
            }
        }
    }
}
