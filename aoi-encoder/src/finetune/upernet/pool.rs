//! The largest value of every cell of a coarse grid.

use crate::Grid;
use crate::gradient::{Scalar, fit};

/// A picture's grid cut into `bins` x `bins` cells: cell i of an axis of n goes from `floor(i n / bins)` to `ceil((i + 1) n / bins)`, so that cells
/// share a line where they do not divide the axis, and repeat where there are more of them than lines.
#[derive(Debug, Clone, Copy)]
pub(super) struct MaxPool {
    grid: Grid,
    bins: usize,
}

impl MaxPool {
    pub(super) fn new(grid: Grid, bins: usize) -> Self {
        Self { grid, bins }
    }

    /// The coarse grid.
    pub(super) fn cells(&self) -> Grid {
        Grid { rows: self.bins, columns: self.bins }
    }

    /// The pixels of a cell, in reading order.
    fn pixels(self, cell: usize) -> impl Iterator<Item = usize> {
        let part = |i: usize, n: usize| i * n / self.bins..((i + 1) * n).div_ceil(self.bins);
        let columns = part(cell % self.bins, self.grid.columns);
        part(cell / self.bins, self.grid.rows)
            .flat_map(move |row| columns.clone().map(move |column| row * self.grid.columns + column))
    }

    /// # Shapes
    /// `x` \[b * t, c\] -> `y` \[b * bins * bins, c\]; `places` of the same shape says which row of `x` each value came from, of equal ones the first.
    pub(super) fn forward<T: Scalar>(&self, c: usize, x: &[T], (y, places): (&mut Vec<T>, &mut Vec<usize>)) {
        let images = x.len() / (self.grid.len() * c);
        let cells = self.cells().len();
        let y = fit(y, images * cells * c);
        places.resize(y.len(), 0);
        for (row, (y, places)) in y.chunks_exact_mut(c).zip(places.chunks_exact_mut(c)).enumerate() {
            let first = row / cells * self.grid.len();
            for (turn, pixel) in self.pixels(row % cells).enumerate() {
                let place = first + pixel;
                for ((y, kept), &x) in y.iter_mut().zip(&mut *places).zip(&x[place * c..(place + 1) * c]) {
                    if turn == 0 || x > *y {
                        (*y, *kept) = (x, place);
                    }
                }
            }
        }
    }

    /// A maximum is one of its inputs: that one gets the whole gradient.
    ///
    /// # Shapes
    /// `dy`, `places` \[b * bins * bins, c\]; `dx` \[b * t, c\] is added to.
    pub(super) fn backward<T: Scalar>(c: usize, places: &[usize], dy: &[T], dx: &mut [T]) {
        for (i, (&place, &dy)) in places.iter().zip(dy).enumerate() {
            dx[place * c + i % c] += dy;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_cover_the_grid_share_lines_where_they_must_and_repeat_where_they_are_many() {
        let cells = |rows, columns, bins| {
            let pool = MaxPool::new(Grid { rows, columns }, bins);
            (0..bins * bins).map(|cell| pool.pixels(cell).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        assert_eq!(cells(2, 4, 2), [vec![0, 1], vec![2, 3], vec![4, 5], vec![6, 7]]);
        assert_eq!(cells(1, 3, 2), [vec![0, 1], vec![1, 2], vec![0, 1], vec![1, 2]]);
        assert_eq!(cells(1, 1, 2), vec![vec![0]; 4]);
    }

    #[test]
    fn the_first_of_equal_values_is_kept_image_by_image() {
        let pool = MaxPool::new(Grid { rows: 1, columns: 3 }, 1);
        let (mut y, mut places) = (Vec::new(), Vec::new());
        let x = [-1.0_f64, 5.0, -3.0, 5.0, -1.0, 4.0, -7.0, 1.0, -8.0, 2.0, -9.0, 3.0];
        pool.forward(2, &x, (&mut y, &mut places));
        assert_eq!((y, places.clone()), (vec![-1.0, 5.0, -7.0, 3.0], vec![0, 0, 3, 5]));
        let mut dx = [0.0; 12];
        MaxPool::backward(2, &places, &[1.0, 2.0, 3.0, 4.0], &mut dx);
        assert_eq!(dx, [1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 4.0]);
    }
}
