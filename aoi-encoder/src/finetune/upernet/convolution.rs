//! A convolution of 1 x 1 or 3 x 3, channels last.

#![expect(
    clippy::many_single_char_names,
    reason = "the letters of the formulas: weights p, gradient g, sizes b, t, c, d, n"
)]

use std::ops::Range;

use crate::gradient::{Matrix, Scalar, Start, fit};
use crate::{Grid, Precision, Table};

/// `y[u] = sum over taps k of x[u + k] W_k^T`, zeros beyond the border, no bias: a norm follows.
///
/// The products are matrix products over bands of pixels, each row of a band holding the inputs under the taps of one pixel. A band is what
/// the second-level cache holds, not the whole picture: nine copies of every map would be most of the memory of training.
#[derive(Debug, Clone)]
pub(super) struct Convolution {
    weight: Range<usize>,
    inputs: usize,
    outputs: usize,
    side: usize,
    precision: Precision,
}

/// Pixels of a band.
const BAND: usize = 64;

/// Scratch of one thread: the inputs under the taps of a band's pixels, and their gradient.
#[derive(Debug, Default)]
pub(super) struct ConvolutionScratch<T> {
    taps: Vec<T>,
    dtaps: Vec<T>,
}

impl Convolution {
    /// The layer whose tensor is `name.weight` \[out, side, side, in\].
    ///
    /// # Panics
    /// When the table has no such weight: a bug of the caller inside this crate.
    pub(super) fn new(table: &Table, name: &str) -> Self {
        let weight = table.get(&format!("{name}.weight")).expect("the table was made for this head");
        let [outputs, side, _, inputs] = weight.shape[..] else { unreachable!("four axes") };
        Self { weight: weight.range(), inputs, outputs, side, precision: Precision::F32 }
    }

    /// Makes its products of such numbers.
    pub(super) fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
    }

    /// Number of inputs.
    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    /// Number of outputs.
    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    /// The place in its image of the pixel under tap `tap` of pixel `pixel`; none beyond the border.
    fn under(&self, grid: Grid, pixel: usize, tap: usize) -> Option<usize> {
        let reach = self.side / 2;
        let row = (pixel / grid.columns + tap / self.side).checked_sub(reach)?;
        let column = (pixel % grid.columns + tap % self.side).checked_sub(reach)?;
        (row < grid.rows && column < grid.columns).then(|| row * grid.columns + column)
    }

    /// Calls `visit` with the place of each pixel of a band under each tap in `x`, \[b * t\], and the place of the tap among the band's.
    fn visit(&self, grid: Grid, band: Range<usize>, mut visit: impl FnMut(Option<usize>, usize)) {
        let taps = self.side * self.side;
        for (i, pixel) in band.enumerate() {
            let (image, pixel) = (pixel / grid.len(), pixel % grid.len());
            for tap in 0..taps {
                let place = self.under(grid, pixel, tap).map(|place| image * grid.len() + place);
                visit(place, i * taps + tap);
            }
        }
    }

    /// The inputs under the taps of a band, \[band, side * side * in\].
    fn gather<T: Scalar>(&self, grid: Grid, band: Range<usize>, x: &[T], taps: &mut [T]) {
        let n = self.inputs;
        self.visit(grid, band, |place, tap| {
            let target = &mut taps[tap * n..(tap + 1) * n];
            match place {
                Some(place) => target.copy_from_slice(&x[place * n..(place + 1) * n]),
                None => target.fill(T::default()),
            }
        });
    }

    /// # Shapes
    /// `x` \[b * t, in\] -> `y` \[b * t, out\], replaced.
    pub(super) fn forward<T: Scalar>(
        &self,
        p: &[T],
        (x, grid): (&[T], Grid),
        y: &mut [T],
        scratch: &mut ConvolutionScratch<T>,
    ) {
        let columns = self.side * self.side * self.inputs;
        let w = Matrix::new(&p[self.weight.clone()], columns).t();
        if self.side == 1 {
            T::product(self.precision, (y, self.outputs), Start::Zero, Matrix::new(x, columns).times(w));
            return;
        }
        for (band, y) in y.chunks_mut(BAND * self.outputs).enumerate() {
            let pixels = y.len() / self.outputs;
            let taps = fit(&mut scratch.taps, pixels * columns);
            self.gather(grid, band * BAND..band * BAND + pixels, x, taps);
            T::product(self.precision, (y, self.outputs), Start::Zero, Matrix::new(taps, columns).times(w));
        }
    }

    /// With X for the rows of inputs under the taps, `Y = X W^T`: `dW += dY^T X` and `dX = dY W`, and every input gets the sum of the rows' entries
    /// that it was copied to.
    ///
    /// # Shapes
    /// `x` \[b * t, in\], `dy` \[b * t, out\]; `dx` \[b * t, in\], where it is wanted, is added to.
    pub(super) fn backward<T: Scalar>(
        &self,
        (p, g): (&[T], &mut [T]),
        (x, grid): (&[T], Grid),
        dy: &[T],
        mut dx: Option<&mut [T]>,
        scratch: &mut ConvolutionScratch<T>,
    ) {
        let (n, columns) = (self.inputs, self.side * self.side * self.inputs);
        let w = Matrix::new(&p[self.weight.clone()], columns);
        let dw = &mut g[self.weight.clone()];
        if self.side == 1 {
            let dy = Matrix::new(dy, self.outputs);
            T::product(self.precision, (dw, columns), Start::Target, dy.t().times(Matrix::new(x, columns)));
            if let Some(dx) = dx {
                T::product(self.precision, (dx, columns), Start::Target, dy.times(w));
            }
            return;
        }
        let ConvolutionScratch { taps, dtaps } = scratch;
        for (band, dy) in dy.chunks(BAND * self.outputs).enumerate() {
            let pixels = dy.len() / self.outputs;
            let band = band * BAND..band * BAND + pixels;
            let taps = fit(taps, pixels * columns);
            self.gather(grid, band.clone(), x, taps);
            let dy = Matrix::new(dy, self.outputs);
            T::product(
                self.precision,
                (&mut *dw, columns),
                Start::Target,
                dy.t().times(Matrix::new(taps, columns)),
            );
            if let Some(dx) = &mut dx {
                let dtaps = fit(dtaps, pixels * columns);
                T::product(self.precision, (&mut *dtaps, columns), Start::Zero, dy.times(w));
                self.visit(grid, band, |place, tap| {
                    if let Some(place) = place {
                        let sums = dx[place * n..(place + 1) * n].iter_mut();
                        sums.zip(&dtaps[tap * n..(tap + 1) * n]).for_each(|(dx, &d)| *dx += d);
                    }
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Role;
    use aoi_testing::lattice_f32;

    /// Entry by entry, by definition.
    #[expect(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "small places")]
    fn slow(side: usize, (n, o): (usize, usize), grid: Grid, x: &[f32], w: &[f32]) -> Vec<f32> {
        let (rows, columns) = (grid.rows as isize, grid.columns as isize);
        let reach = (side / 2) as isize;
        let mut y = vec![0.0; x.len() / n * o];
        for (place, y) in y.iter_mut().enumerate() {
            let (pixel, out) = (place / o, place % o);
            let (image, at) = (pixel / grid.len(), (pixel % grid.len()) as isize);
            for down in -reach..=reach {
                for across in -reach..=reach {
                    let (row, column) = (at / columns + down, at % columns + across);
                    if !(0..rows).contains(&row) || !(0..columns).contains(&column) {
                        continue;
                    }
                    let source = image * grid.len() + (row * columns + column) as usize;
                    let tap = (down + reach) as usize * side + (across + reach) as usize;
                    for i in 0..n {
                        *y += x[source * n + i] * w[(out * side * side + tap) * n + i];
                    }
                }
            }
        }
        y
    }

    #[test]
    fn every_size_gives_the_sum_over_the_taps_on_pictures_of_less_and_more_than_a_band() {
        for (side, n, o, rows, columns, images) in [
            (1, 3, 2, 2, 3, 2),
            (3, 1, 1, 1, 1, 1),
            (3, 3, 4, 5, 2, 2),
            (3, 2, 3, 7, 9, 3),
            (3, 2, 5, 8, 8, 1),
        ] {
            let grid = Grid { rows, columns };
            let mut table = Table::default();
            table.push(None, Role::Matrix, "c.weight", &[o, side, side, n]).unwrap();
            // Integers: every order of summation gives the same number.
            let (x, w) = (lattice_f32(images * grid.len() * n, 1), lattice_f32(table.len(), 2));
            let layer = Convolution::new(&table, "c");
            let mut y = vec![9.0; images * grid.len() * o];
            layer.forward(&w, (&x, grid), &mut y, &mut ConvolutionScratch::default());
            assert_eq!(y, slow(side, (n, o), grid, &x, &w), "{side} {n} {o} {grid:?}");
            // <dy, C x> is linear in x and in W, so both gradients are read off exactly.
            let dy = lattice_f32(y.len(), 3);
            let (mut g, mut dx) = (vec![0.0; w.len()], vec![0.0; x.len()]);
            layer.backward((&w, &mut g), (&x, grid), &dy, Some(&mut dx), &mut ConvolutionScratch::default());
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            let value = dot(&dy, &y);
            assert_eq!((dot(&dx, &x), dot(&g, &w)), (value, value), "{side} {n} {o} {grid:?}");
        }
    }
}
