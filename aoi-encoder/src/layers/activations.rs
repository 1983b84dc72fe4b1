//! Rows of tokens in the form that products read.

use crate::kernel::{Arithmetic, Buffer, TileRows};

/// The left-hand side of linear layers: f32 rows, or the bf16 slices of them in tiles.
///
/// What makes a row writes it here while it is in the first-level cache; nothing is read again to be converted.
#[derive(Debug, Default)]
pub(crate) struct Activations {
    floats: Buffer,
    rows: TileRows,
    width: usize,
    stride: usize,
}

impl Activations {
    /// Makes room for `n` rows of `width` numbers, `stride` apart where they are f32.
    pub(crate) fn resize(&mut self, arithmetic: Arithmetic, n: usize, (width, stride): (usize, usize)) {
        (self.width, self.stride) = (width, stride);
        self.floats.resize(n * stride);
        if let Some(slices) = arithmetic.slices() {
            self.rows.resize(n, width, slices);
        }
    }

    /// Distance between rows of [`Activations::floats`].
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// The rows as f32: what products read in f32, and scratch elsewhere until [`Activations::cut`].
    pub(crate) fn floats(&self) -> &[f32] {
        &self.floats
    }

    /// As [`Activations::floats`], to be written.
    pub(crate) fn floats_mut(&mut self) -> &mut [f32] {
        &mut self.floats
    }

    /// The rows in tiles.
    pub(crate) fn rows(&self) -> &TileRows {
        &self.rows
    }

    /// As [`Activations::rows`], to be written.
    pub(crate) fn rows_mut(&mut self) -> &mut TileRows {
        &mut self.rows
    }

    /// Lets `write` fill row i.
    pub(crate) fn write(&mut self, arithmetic: Arithmetic, i: usize, write: impl FnOnce(&mut [f32])) {
        if arithmetic.slices().is_none() {
            return write(&mut self.floats[i * self.stride..][..self.width]);
        }
        let row = &mut self.floats[..self.width];
        write(row);
        self.rows.fill_row(arithmetic.instructions, i, row, 1.0);
    }

    /// Takes the first `n` rows of the floats for what products read.
    pub(crate) fn cut(&mut self, arithmetic: Arithmetic, n: usize) {
        if arithmetic.slices().is_some() {
            let floats = (&*self.floats, self.stride);
            self.rows.fill(arithmetic.instructions, n, floats, self.width, 1.0);
        }
    }
}
