//! From one grid to a finer one: from patches to pixels, from coarse cells to patches.

use crate::Grid;
use crate::gradient::Scalar;

/// Bilinear interpolation between two grids over the same picture, centres on centres (`align_corners = false`), borders repeated. A target coarser than
/// the source takes samples of it.
#[derive(Debug, Clone)]
pub(super) struct Enlarge {
    from: Grid,
    to: Grid,
}

/// Where a pixel of an axis of `pixels` lies between two patches of `patches`: the first, the second, and the second's weight.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "places are clamped to the axis")]
fn between(pixel: usize, pixels: usize, patches: usize) -> (usize, usize, f64) {
    let scale = patches as f64 / pixels as f64;
    let place = ((pixel as f64 + 0.5) * scale - 0.5).clamp(0.0, patches as f64 - 1.0);
    let first = place.floor() as usize;
    (first, (first + 1).min(patches - 1), place - first as f64)
}

impl Enlarge {
    pub(super) fn new(from: Grid, to: Grid) -> Self {
        Self { from, to }
    }

    /// From patches to the pixels of their pictures.
    pub(super) fn of_patches(grid: Grid, patch: usize) -> Self {
        Self::new(grid, Grid { rows: grid.rows * patch, columns: grid.columns * patch })
    }

    /// Pixels of the enlarged grid.
    pub(super) fn pixels(&self) -> usize {
        self.to.len()
    }

    /// Calls `visit` with pixel, patch and weight for each of the four terms of every pixel.
    fn terms(&self, mut visit: impl FnMut(usize, usize, f64)) {
        let Self { from: Grid { rows, columns }, to } = *self;
        let across: Vec<_> = (0..to.columns).map(|x| between(x, to.columns, columns)).collect();
        for y in 0..to.rows {
            let (top, bottom, down) = between(y, to.rows, rows);
            for (x, &(left, right, along)) in across.iter().enumerate() {
                let pixel = y * across.len() + x;
                visit(pixel, top * columns + left, (1.0 - down) * (1.0 - along));
                visit(pixel, top * columns + right, (1.0 - down) * along);
                visit(pixel, bottom * columns + left, down * (1.0 - along));
                visit(pixel, bottom * columns + right, down * along);
            }
        }
    }

    /// # Shapes
    /// `small` \[t, c\] -> `large` \[t p p, c\], in the reading order of pixels, replaced.
    pub(super) fn forward<T: Scalar>(&self, c: usize, small: &[T], large: &mut [T]) {
        large.fill(T::default());
        self.terms(|pixel, patch, weight| add(c, large, pixel, T::of(weight), small, patch));
    }

    /// `large = M small` gives `dsmall = M^T dlarge`: the same terms, the other way round.
    ///
    /// # Shapes
    /// `dlarge` \[t p p, c\] -> `dsmall` \[t, c\], replaced.
    pub(super) fn backward<T: Scalar>(&self, c: usize, dlarge: &[T], dsmall: &mut [T]) {
        dsmall.fill(T::default());
        self.terms(|pixel, patch, weight| add(c, dsmall, patch, T::of(weight), dlarge, pixel));
    }
}

/// Row `i` of `to` gets `weight` times row `j` of `from` added.
fn add<T: Scalar>(c: usize, to: &mut [T], i: usize, weight: T, from: &[T], j: usize) {
    to[i * c..(i + 1) * c].iter_mut().zip(&from[j * c..(j + 1) * c]).for_each(|(t, &f)| *t += weight * f);
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::{Seeded, assert_all_close, assert_close};

    #[test]
    fn a_plane_stays_a_plane_between_the_outermost_centres() {
        let enlarge = Enlarge::of_patches(Grid { rows: 3, columns: 4 }, 4);
        let small: Vec<f64> = (0..12).map(|i| 10.0 * f64::from(i / 4) + f64::from(i % 4)).collect();
        let mut large = vec![0.0; enlarge.pixels()];
        enlarge.forward(1, &small, &mut large);
        for y in 2..10 {
            for x in 2..14 {
                let expected = 10.0 * ((y as f64 + 0.5) / 4.0 - 0.5) + (x as f64 + 0.5) / 4.0 - 0.5;
                assert_close(large[y * 16 + x], expected, 1e-12, 0.0);
            }
        }
        assert_eq!((large[0], large[191]), (0.0, 23.0), "borders are repeated");
    }

    #[test]
    fn the_way_back_is_the_transpose() {
        let (grid, c) = (Grid { rows: 2, columns: 3 }, 2);
        for to in [Grid { rows: 6, columns: 9 }, Grid { rows: 5, columns: 7 }, Grid { rows: 1, columns: 2 }] {
            let enlarge = Enlarge::new(grid, to);
            let mut seeded = Seeded::new(2);
            let mut normals = |n| (0..n).map(|_| seeded.normal()).collect::<Vec<f64>>();
            let (x, y) = (normals(6 * c), normals(to.len() * c));
            let (mut mx, mut mty) = (vec![1.0; to.len() * c], vec![1.0; 6 * c]);
            enlarge.forward(c, &x, &mut mx);
            enlarge.backward(c, &y, &mut mty);
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            assert_close(dot(&mx, &y), dot(&x, &mty), 1e-12, 1e-12);
        }
    }

    #[test]
    fn a_single_patch_fills_its_pixels() {
        let enlarge = Enlarge::of_patches(Grid { rows: 1, columns: 1 }, 2);
        let mut large = vec![0.0_f32; 4];
        enlarge.forward(1, &[3.0], &mut large);
        assert_all_close(&large, &[3.0_f32; 4], 0.0, 0.0);
    }
}
