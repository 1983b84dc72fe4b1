//! Queries, keys and values of tokens, in the form that attention reads.

use crate::Config;
use crate::kernel::{Arithmetic, BLOCK, Buffer, stride};

/// Rows of tokens: f32, or the bf16 slices of them. The other of the two is empty.
#[derive(Debug, Default)]
pub(crate) struct Projected {
    floats: Buffer,
    halves: Buffer<u16>,
    count: usize,
}

/// All rows of [`Projected`], to be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProjectedRows<'a> {
    pub(crate) floats: &'a [f32],
    pub(crate) halves: &'a [u16],
    count: usize,
}

/// Some rows of [`Projected`], to be written.
#[derive(Debug)]
pub(crate) struct ProjectedRowsMut<'a> {
    pub(crate) floats: &'a mut [f32],
    pub(crate) halves: &'a mut [u16],
    count: usize,
}

impl Projected {
    /// Makes room for n rows.
    pub(crate) fn resize(&mut self, arithmetic: Arithmetic, config: &Config, n: usize) {
        let row = arithmetic.slices().map(|slices| HeadLayout::new(config, slices).row());
        self.floats.resize(if row.is_none() { n * stride(3 * config.width) } else { 0 });
        self.halves.resize(n * row.unwrap_or(0));
        self.count = n;
    }

    pub(crate) fn all_mut(&mut self) -> ProjectedRowsMut<'_> {
        ProjectedRowsMut { floats: &mut self.floats, halves: &mut self.halves, count: self.count }
    }
}

impl ProjectedRows<'_> {
    /// Rows `first..first + n`.
    pub(crate) fn part(self, first: usize, n: usize) -> Self {
        let (float, half) = (self.floats.len() / self.count, self.halves.len() / self.count);
        Self {
            floats: &self.floats[first * float..(first + n) * float],
            halves: &self.halves[first * half..(first + n) * half],
            count: n,
        }
    }
}

impl ProjectedRowsMut<'_> {
    /// How many rows.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// All of them, to be read.
    pub(crate) fn rows(&self) -> ProjectedRows<'_> {
        ProjectedRows { floats: self.floats, halves: self.halves, count: self.count }
    }

    /// The rows before `middle`, and the others.
    pub(crate) fn split_at(self, middle: usize) -> (Self, Self) {
        let rest = self.count - middle;
        let (float, half) = (self.floats.len() / self.count, self.halves.len() / self.count);
        let (floats, later_floats) = self.floats.split_at_mut(middle * float);
        let (halves, later_halves) = self.halves.split_at_mut(middle * half);
        let before = Self { floats, halves, count: middle };
        (before, Self { floats: later_floats, halves: later_halves, count: rest })
    }

    /// Rows `first..first + n`, for a while.
    pub(crate) fn part(&mut self, first: usize, n: usize) -> ProjectedRowsMut<'_> {
        let all = ProjectedRowsMut { floats: self.floats, halves: self.halves, count: self.count };
        let (_, rest) = all.split_at(first);
        rest.split_at(n).0
    }
}

/// Where the numbers of a token lie in its row of halves: slices, in each queries, keys and values, in each the heads, each filled up with zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeadLayout {
    pub(crate) heads: usize,
    /// Numbers of a head.
    pub(crate) width: usize,
    pub(crate) slices: usize,
}

impl HeadLayout {
    pub(crate) fn new(config: &Config, slices: usize) -> Self {
        Self { heads: config.heads, width: config.head_width(), slices }
    }

    /// Numbers of a head and the zeros after them: whole blocks of columns of one product, and whole steps of the next.
    pub(crate) fn padded(self) -> usize {
        self.width.next_multiple_of(BLOCK)
    }

    /// Numbers of all heads.
    pub(crate) fn all_heads(self) -> usize {
        self.heads * self.padded()
    }

    /// Distance between slices.
    pub(crate) fn slice(self) -> usize {
        3 * self.all_heads()
    }

    /// Distance between rows: an odd number of cache lines, so that rows do not fall into one cache set.
    pub(crate) fn row(self) -> usize {
        ((self.slices * self.slice() / BLOCK) | 1) * BLOCK
    }

    /// Where queries (0), keys (1) or values (2) of a head begin in a row.
    pub(crate) fn start(self, part: usize, head: usize) -> usize {
        part * self.all_heads() + head * self.padded()
    }

    /// `groups` times heads of `width` numbers, each of `each` entries, with zeros after every head.
    pub(crate) fn pad(self, values: &[f32], groups: usize, each: usize) -> Vec<f32> {
        let mut padded = vec![0.0; groups * self.all_heads() * each];
        let heads = padded.chunks_exact_mut(self.padded() * each).zip(values.chunks_exact(self.width * each));
        heads.for_each(|(target, head)| target[..head.len()].copy_from_slice(head));
        padded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Instructions, Precision};

    #[test]
    fn heads_are_filled_up_with_zeros_and_rows_lie_an_odd_number_of_lines_apart() {
        let layout = HeadLayout { heads: 2, width: 3, slices: 1 };
        let padded = layout.pad(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 1, 1);
        assert_eq!(
            (padded.len(), &padded[..4], &padded[32..36]),
            (64, &[1.0, 2.0, 3.0, 0.0][..], &[4.0, 5.0, 6.0, 0.0][..])
        );
        assert_eq!((layout.slice(), layout.row(), layout.start(2, 1)), (192, 7 * 32, 160));
        let layout = HeadLayout { heads: 6, width: 64, slices: 3 };
        assert_eq!((layout.padded(), layout.row() / 32 % 2), (64, 1));
        assert!(layout.row() >= 3 * layout.slice());
    }

    #[test]
    fn rows_are_split_where_they_lie_in_either_form() {
        let config = Config { width: 48, heads: 3, ..Config::paper() };
        let mut all = Projected::default();
        for precision in [Precision::Bf16, Precision::F32, Precision::Bf16] {
            let arithmetic = Arithmetic { instructions: Instructions::Avx2, precision };
            all.resize(arithmetic, &config, 5);
            let (_, mut rest) = all.all_mut().split_at(2);
            let part = rest.part(1, 2);
            part.floats.fill(3.0);
            part.halves.fill(3);
            let changed = all.all_mut();
            let changed = changed.rows().part(3, 2);
            assert!(changed.floats.iter().all(|v| *v == 3.0) && changed.halves.iter().all(|v| *v == 3));
            assert_eq!(changed.floats.is_empty(), precision == Precision::Bf16);
            assert_eq!(changed.halves.is_empty(), precision == Precision::F32);
            let before = all.all_mut();
            let before = before.rows().part(0, 3);
            assert!(before.floats.iter().all(|v| *v != 3.0) && before.halves.iter().all(|v| *v != 3));
        }
    }
}
