//! Average labels: one share per class and patch.

use ndarray::Array2;

use super::{PatchShape, check_row};
use crate::RetrievalError;

/// The mean mask of each patch: the share of its pixels that have each class.
#[derive(Debug, Clone, PartialEq)]
pub struct AverageLabels {
    pub(super) patch: usize,
    pub(super) means: Array2<f32>,
}

impl AverageLabels {
    /// Shares `[n, c]` of patches of `patch` pixels a side.
    ///
    /// # Errors
    /// When the patch or the number of classes is zero, or a share lies outside 0..=1.
    pub fn new(patch: usize, means: Array2<f32>) -> Result<Self, RetrievalError> {
        PatchShape { patch, classes: means.ncols() }.row_bytes()?;
        if let Some(bad) = means.iter().find(|m| !(0.0..=1.0).contains(*m)) {
            return Err(RetrievalError::bad_option("average label", "between 0 and 1", bad));
        }
        Ok(Self { patch, means })
    }

    /// Number of patches.
    pub fn rows(&self) -> usize {
        self.means.nrows()
    }

    /// Side and classes.
    pub fn shape(&self) -> PatchShape {
        PatchShape { patch: self.patch, classes: self.means.ncols() }
    }

    /// The shares, `[n, c]`.
    pub fn means(&self) -> &Array2<f32> {
        &self.means
    }

    /// The patches `rows`, in that order.
    ///
    /// # Errors
    /// When a row is beyond the last.
    pub fn select(&self, rows: &[usize]) -> Result<Self, RetrievalError> {
        rows.iter().try_for_each(|&row| check_row(row, self.rows()))?;
        Ok(Self { patch: self.patch, means: self.means.select(ndarray::Axis(0), rows) })
    }

    /// Appends other patches of the same shape.
    ///
    /// # Errors
    /// When their shape differs.
    pub fn append(&mut self, other: &Self) -> Result<(), RetrievalError> {
        if self.shape() != other.shape() {
            return Err(RetrievalError::shape("labels", self.shape(), other.shape()));
        }
        let grown = self.means.append(ndarray::Axis(0), other.means.view());
        grown.map_err(|_| RetrievalError::shape("labels", self.shape(), other.shape()))
    }
}
