//! Matrix products of f32 and f64.
//!
//! Needs `unsafe` for one instruction that only clears registers.

use std::cell::RefCell;

use faer::linalg::matmul::matmul;
use faer::traits::ComplexField;
use faer::{Accum, MatMut, MatRef, Par};

use super::Scalar;
use crate::Precision;
pub(crate) use crate::kernel::Start;
use crate::kernel::{Arithmetic, Instructions, Layout, Lines, ProductScratch};

/// Shortest side of a product that is cut into tiles, half a tile: tiles of shorter ones would be mostly zeros.
const LEAST: usize = 16;

/// A matrix in a slice, row by row, or the transpose of one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
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

    /// Rows and columns.
    fn shape(self) -> (usize, usize) {
        if self.transposed { (self.columns, self.rows) } else { (self.rows, self.columns) }
    }
}

impl<'a> Matrix<'a, f32> {
    /// Its rows.
    fn lines(self) -> Lines<'a> {
        let (row, inner) = if self.transposed { (1, self.stride) } else { (self.stride, 1) };
        Lines { data: self.data, layout: Layout { row, inner } }
    }
}

/// `scale a b`, to be added to something.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a, T> {
    a: Matrix<'a, T>,
    b: Matrix<'a, T>,
    scale: T,
}

impl<'a, T: Scalar> Matrix<'a, T> {
    /// The product with `b`.
    pub(crate) fn times(self, b: Self) -> Terms<'a, T> {
        Terms { a: self, b, scale: T::of(1.0) }
    }
}

impl<T> Terms<'_, T> {
    /// So many times the product.
    pub(crate) fn scaled(self, scale: T) -> Self {
        Self { scale, ..self }
    }
}

/// Numbers with a matrix product; sealed, since the module is private.
pub trait Product: Sized {
    /// `c = start + scale a b`; row i of `c` starts at `i * stride`. f32 factors are rounded first where the precision says so; f64 never
    /// are. On the caller's thread, so that a result depends on its operands and the processor alone.
    fn product(at: Precision, c: (&mut [Self], usize), start: Start<'_, Self>, terms: Terms<'_, Self>);
}

impl Product for f64 {
    fn product(_: Precision, c: (&mut [Self], usize), start: Start<'_, Self>, terms: Terms<'_, Self>) {
        by_faer(c, start, terms);
    }
}

thread_local! {
    /// What products of this thread are cut into.
    static SCRATCH: RefCell<ProductScratch> = RefCell::default();
}

/// In tiles; in f32 only where the processor has a matrix unit for them and they are not mostly filled up, otherwise by faer.
impl Product for f32 {
    fn product(at: Precision, c: (&mut [Self], usize), start: Start<'_, Self>, terms: Terms<'_, Self>) {
        let Terms { a, b, scale } = terms;
        let (rows, inner, columns) = (a.shape().0, a.shape().1, b.shape().1);
        let arithmetic = Arithmetic { instructions: Instructions::best(), precision: at };
        let least = if at == Precision::F32 { LEAST } else { 1 };
        let slices =
            arithmetic.slices().filter(|_| [rows, columns, inner].into_iter().all(|side| side >= least));
        let Some(slices) = slices else { return by_faer(c, start, terms) };
        let size = (rows, columns, inner);
        let (arithmetic, factors) = ((arithmetic.instructions, slices), (a.lines(), b.t().lines()));
        SCRATCH.with_borrow_mut(|scratch| scratch.multiply(arithmetic, size, factors, c, (scale, start)));
    }
}

fn by_faer<T: ComplexField + Copy>((c, stride): (&mut [T], usize), start: Start<'_, T>, terms: Terms<'_, T>) {
    let (a, b) = (terms.a.view(), terms.b.view());
    let accumulate = match start {
        Start::Zero => Accum::Replace,
        Start::Target => Accum::Add,
        Start::Bias(bias) => {
            c.chunks_mut(stride).take(a.nrows()).for_each(|row| row[..bias.len()].copy_from_slice(bias));
            Accum::Add
        }
    };
    // Rows as the columns of the transpose: faer 0.24's own constructor for strided mutable rows lays them out as columns.
    let c = MatMut::from_column_major_slice_with_stride_mut(c, b.ncols(), a.nrows(), stride).transpose_mut();
    matmul(c, accumulate, a, b, terms.scale, Par::Seq);
    #[cfg(target_arch = "x86_64")]
    clear_upper_halves();
}

/// faer 0.24 leaves the upper halves of the vector registers in use. Until they are cleared every instruction of SSE waits for them: the logarithms
/// and exponentials of a loss behind a narrow head then took a fifth of a step instead of a fiftieth.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "an instruction of AVX")]
fn clear_upper_halves() {
    if is_x86_feature_detected!("avx") {
        // SAFETY: the processor has AVX, and nothing is kept in those halves between functions.
        unsafe { std::arch::x86_64::_mm256_zeroupper() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::{Seeded, lattice_f32};

    /// Entry (i, j) of a product of parts, by definition.
    fn entry(a: &[f32], b: &[f32], k: usize, at: impl Fn(usize) -> (usize, usize)) -> f32 {
        (0..k).map(at).map(|(i, j)| a[i] * b[j]).sum()
    }

    #[test]
    #[expect(clippy::many_single_char_names, reason = "sizes, indices and matrices of a product")]
    fn parts_and_transposes_are_multiplied_and_nothing_else_is_touched() {
        // Integers: every order of summation gives the same number.
        for (m, n, k) in [
            (1, 1, 1),
            (3, 2, 5),
            (17, 33, 16),
            (2, 40, 7),
            (31, 1, 3),
            (1, 24, 64),
            (50, 50, 64),
            (64, 50, 49),
            (300, 20, 530),
        ] {
            let strides = (k + 3, n + 2, n + 5);
            let (a, b) = (lattice_f32(m * strides.0, 1), lattice_f32(k * strides.1, 2));
            let (before, bias) = (lattice_f32(m * strides.2, 3), lattice_f32(n, 6));
            let starts = [Start::Zero, Start::Target, Start::Bias(&bias)];
            let at = [Precision::F32, Precision::Bf16];
            for (start, precision) in starts.into_iter().flat_map(|start| at.map(|at| (start, at))) {
                let mut c = before.clone();
                let terms = Matrix::part(&a, (m, k), strides.0).times(Matrix::part(&b, (k, n), strides.1));
                f32::product(precision, (&mut c, strides.2), start, terms.scaled(2.0));
                for (place, (&c, &before)) in c.iter().zip(&before).enumerate() {
                    let (i, j) = (place / strides.2, place % strides.2);
                    let product = if j < n {
                        2.0 * entry(&a, &b, k, |l| (i * strides.0 + l, l * strides.1 + j))
                    } else {
                        0.0
                    };
                    let first = match start {
                        Start::Zero if j < n => 0.0,
                        Start::Bias(bias) if j < n => bias[j],
                        _ => before,
                    };
                    assert_eq!(c, first + product, "{m} x {n} x {k}, ({i}, {j}), {start:?}");
                }
            }
            // The transpose of [k, m] times the transpose of [n, k].
            let (a, b) = (lattice_f32(k * m, 4), lattice_f32(n * k, 5));
            for precision in at {
                let mut c = vec![0.0; m * n];
                let terms = Matrix::new(&a, m).t().times(Matrix::new(&b, k).t());
                f32::product(precision, (&mut c, n), Start::Zero, terms);
                for (place, &c) in c.iter().enumerate() {
                    let (i, j) = (place / n, place % n);
                    let product = entry(&a, &b, k, |l| (l * m + i, j * k + l));
                    assert_eq!(c, product, "{m} x {n} x {k}, ({i}, {j}), {precision:?}");
                }
            }
        }
    }

    #[test]
    fn factors_are_rounded_where_the_precision_says_so() {
        let mut seeded = Seeded::new(9);
        // Sides below and beyond a tile, more summed entries and rows than are cut at once.
        for (m, n, k) in [(1, 3, 2), (17, 40, 33), (300, 20, 700)] {
            let (a, b) = (seeded.normals_f32(m * k), seeded.normals_f32(k * n));
            // To the nearest number of eight binary digits, of two the even one.
            let rounded = |v: f32| {
                let (bits, odd) = (v.to_bits(), v.to_bits() >> 16 & 1);
                f64::from(f32::from_bits((bits + 0x7fff + odd) & 0xffff_0000))
            };
            let sums = |number: &dyn Fn(f32) -> f64| -> Vec<f64> {
                let at = |place: usize| (0..k).map(move |l| (place / n * k + l, l * n + place % n));
                (0..m * n).map(|place| at(place).map(|(i, j)| number(a[i]) * number(b[j])).sum()).collect()
            };
            let exact = [(Precision::F32, sums(&|v| f64::from(v))), (Precision::Bf16, sums(&rounded))];
            for (precision, exact) in exact {
                let mut c = vec![0.0; m * n];
                let terms = Matrix::new(&a, k).times(Matrix::new(&b, n));
                f32::product(precision, (&mut c, n), Start::Zero, terms);
                // Up to 700 roundings at 2^-24 of partial sums, which stay below 128.
                aoi_testing::assert_all_close(&c, &exact, 2e-6 * k as f64, 0.0);
            }
        }
    }
}
