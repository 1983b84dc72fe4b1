//! Matrix products of f32 and f64.

use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::{Accum, MatMut, MatRef, Par};

/// A matrix in a slice, row by row, or the transpose of one.
#[derive(Debug, Clone, Copy)]
pub struct Matrix<'a, T> {
    data: &'a [T],
    rows: usize,
    columns: usize,
    stride: usize,
    transposed: bool,
}

impl<'a, T> Matrix<'a, T> {
    /// Rows of `columns` entries that follow each other without gaps.
    pub(crate) fn new(data: &'a [T], columns: usize) -> Self {
        Self { data, rows: data.len() / columns, columns, stride: columns, transposed: false }
    }

    /// `rows` rows of `columns` entries, `stride` apart, the first at the start of `data`.
    pub(crate) fn part(data: &'a [T], (rows, columns): (usize, usize), stride: usize) -> Self {
        Self { data, rows, columns, stride, transposed: false }
    }

    /// Its transpose.
    pub(crate) fn t(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    fn view(self) -> MatRef<'a, T> {
        let view = MatRef::from_row_major_slice_with_stride(self.data, self.rows, self.columns, self.stride);
        if self.transposed { view.transpose() } else { view }
    }
}

/// What becomes of the target of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// It is replaced.
    Replace,
    /// It is added to.
    Add,
}

/// Numbers with a matrix product; sealed, since the module is private.
pub trait Product: Sized {
    /// `c = scale a b` or `c += scale a b`; row i of `c` starts at `i * stride`.
    fn product(
        c: (&mut [Self], usize),
        target: Target,
        a: Matrix<'_, Self>,
        b: Matrix<'_, Self>,
        scale: Self,
    );
}

/// By faer, on the caller's thread, so that a result depends on its operands alone.
impl<T: ComplexField> Product for T {
    fn product((c, stride): (&mut [T], usize), target: Target, a: Matrix<'_, T>, b: Matrix<'_, T>, scale: T) {
        let (a, b) = (a.view(), b.view());
        let accumulate = if target == Target::Add { Accum::Add } else { Accum::Replace };
        // Rows as the columns of the transpose: faer 0.24's own constructor for strided mutable rows lays them out as columns.
        let c =
            MatMut::from_column_major_slice_with_stride_mut(c, b.ncols(), a.nrows(), stride).transpose_mut();
        matmul(c, accumulate, a, b, scale, Par::Seq);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::lattice_f32;

    /// Entry (i, j) of a product of parts, by definition.
    fn entry(a: &[f32], b: &[f32], k: usize, at: impl Fn(usize) -> (usize, usize)) -> f32 {
        (0..k).map(at).map(|(i, j)| a[i] * b[j]).sum()
    }

    #[test]
    #[expect(clippy::many_single_char_names, reason = "sizes, indices and matrices of a product")]
    fn parts_and_transposes_are_multiplied_and_nothing_else_is_touched() {
        // Integers: every order of summation gives the same number.
        for (m, n, k) in
            [(1, 1, 1), (3, 2, 5), (17, 33, 16), (2, 40, 7), (31, 1, 3), (50, 50, 64), (64, 50, 49)]
        {
            let strides = (k + 3, n + 2, n + 5);
            let (a, b) = (lattice_f32(m * strides.0, 1), lattice_f32(k * strides.1, 2));
            let before = lattice_f32(m * strides.2, 3);
            for target in [Target::Replace, Target::Add] {
                let mut c = before.clone();
                let left = Matrix::part(&a, (m, k), strides.0);
                f32::product((&mut c, strides.2), target, left, Matrix::part(&b, (k, n), strides.1), 2.0);
                for (place, (&c, &before)) in c.iter().zip(&before).enumerate() {
                    let (i, j) = (place / strides.2, place % strides.2);
                    let product = if j < n {
                        2.0 * entry(&a, &b, k, |l| (i * strides.0 + l, l * strides.1 + j))
                    } else {
                        0.0
                    };
                    let kept = if j < n && target == Target::Replace { 0.0 } else { before };
                    assert_eq!(c, kept + product, "{m} x {n} x {k}, ({i}, {j}), {target:?}");
                }
            }
            // The transpose of [k, m] times the transpose of [n, k].
            let (a, b) = (lattice_f32(k * m, 4), lattice_f32(n * k, 5));
            let mut c = vec![0.0; m * n];
            f32::product((&mut c, n), Target::Replace, Matrix::new(&a, m).t(), Matrix::new(&b, k).t(), 1.0);
            for (place, &c) in c.iter().enumerate() {
                let (i, j) = (place / n, place % n);
                assert_eq!(c, entry(&a, &b, k, |l| (l * m + i, j * k + l)), "{m} x {n} x {k}, ({i}, {j})");
            }
        }
    }
}
