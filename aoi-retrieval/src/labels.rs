//! What a patch of the bank is labelled with: its whole mask, one bit per pixel and class, or the mean of it.

#![expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]

mod average;

pub use average::AverageLabels;

use ndarray::{Array2, ArrayView3, ArrayView4, s};

use crate::RetrievalError;

/// Side of a patch in pixels and number of classes, never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PatchShape {
    /// Pixels along one side, p.
    pub patch: usize,
    /// Classes, c.
    pub classes: usize,
}

impl PatchShape {
    /// Pixels of one class plane, p x p.
    pub fn pixels(self) -> usize {
        self.patch * self.patch
    }

    /// Bytes of one packed patch; an error when there are no pixels or more than memory could ever hold.
    fn row_bytes(self) -> Result<usize, RetrievalError> {
        let bits = self.patch.checked_mul(self.patch).and_then(|u| u.checked_mul(self.classes));
        match bits {
            Some(bits) if (1..=1 << 28).contains(&bits) => Ok(bits.div_ceil(8)),
            _ => Err(RetrievalError::bad_option(
                "patch and classes",
                "at least 1 each, at most 2^28 bits a patch",
                format!("patch {}, classes {}", self.patch, self.classes),
            )),
        }
    }
}

/// Complete masks, packed: bit `class * p * p + pixel` of a row, pixels row by row, least significant bit first.
///
/// # Examples
/// ```
/// use aoi_retrieval::CompleteLabels;
/// use ndarray::array;
///
/// // One image, one class, two by two patches of two pixels.
/// let mask = array![[[1_u8, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1]]];
/// let labels = CompleteLabels::from_image(mask.view(), 2)?;
/// assert_eq!(labels.rows(), 4);
/// assert_eq!(labels.counts(3), [3]);
/// # Ok::<(), aoi_retrieval::RetrievalError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompleteLabels {
    shape: PatchShape,
    row_bytes: usize,
    bytes: Vec<u8>,
}

impl CompleteLabels {
    /// No patches yet.
    ///
    /// # Errors
    /// When a patch would have no pixel or no class.
    pub fn empty(shape: PatchShape) -> Result<Self, RetrievalError> {
        Ok(Self { shape, row_bytes: shape.row_bytes()?, bytes: Vec::new() })
    }

    /// Packs masks of patches.
    ///
    /// # Shapes
    /// `masks` is `[n, p, p, c]`, entries 0 or 1.
    ///
    /// # Errors
    /// When patches are not square or an entry is neither 0 nor 1.
    pub fn from_patches(masks: ArrayView4<'_, u8>) -> Result<Self, RetrievalError> {
        let (n, p, width, classes) = masks.dim();
        if p != width {
            return Err(RetrievalError::shape("masks", (n, p, p, classes), masks.dim()));
        }
        let mut labels = Self::empty(PatchShape { patch: p, classes })?;
        for patch in masks.outer_iter() {
            labels.push(|class, y, x| patch[[y, x, class]])?;
        }
        Ok(labels)
    }

    /// Cuts the mask of an image into patches, row by row.
    ///
    /// # Shapes
    /// `mask` is `[c, H, W]` with H and W multiples of `patch`.
    ///
    /// # Errors
    /// When the sides are no multiples of the patch or an entry is neither 0 nor 1.
    pub fn from_image(mask: ArrayView3<'_, u8>, patch: usize) -> Result<Self, RetrievalError> {
        let (classes, height, width) = mask.dim();
        let mut labels = Self::empty(PatchShape { patch, classes })?;
        if !height.is_multiple_of(patch) || !width.is_multiple_of(patch) {
            let up = |side: usize| side.next_multiple_of(patch);
            return Err(RetrievalError::shape("mask", (classes, up(height), up(width)), mask.dim()));
        }
        for y in (0..height).step_by(patch) {
            for x in (0..width).step_by(patch) {
                let cell = mask.slice(s![.., y..y + patch, x..x + patch]);
                labels.push(|class, y, x| cell[[class, y, x]])?;
            }
        }
        Ok(labels)
    }

    /// Takes packed bytes as they were saved.
    pub(crate) fn from_bytes(shape: PatchShape, bytes: Vec<u8>) -> Result<Self, RetrievalError> {
        let row_bytes = shape.row_bytes()?;
        if !bytes.len().is_multiple_of(row_bytes) {
            return Err(RetrievalError::shape("packed labels", ("n", row_bytes), bytes.len()));
        }
        let spare = row_bytes * 8 - shape.pixels() * shape.classes;
        let used = 0xFF_u8 >> spare;
        if let Some(row) = bytes.chunks_exact(row_bytes).position(|r| r[row_bytes - 1] & !used != 0) {
            return Err(RetrievalError::NotBinary { row, value: bytes[(row + 1) * row_bytes - 1] });
        }
        Ok(Self { shape, row_bytes, bytes })
    }

    fn push(&mut self, entry: impl Fn(usize, usize, usize) -> u8) -> Result<(), RetrievalError> {
        let (p, row) = (self.shape.patch, self.rows());
        let start = self.bytes.len();
        self.bytes.resize(start + self.row_bytes, 0);
        let mut bit = 0;
        for class in 0..self.shape.classes {
            for y in 0..p {
                for x in 0..p {
                    match entry(class, y, x) {
                        0 => {}
                        1 => self.bytes[start + bit / 8] |= 1 << (bit % 8),
                        value => {
                            self.bytes.truncate(start);
                            return Err(RetrievalError::NotBinary { row, value });
                        }
                    }
                    bit += 1;
                }
            }
        }
        Ok(())
    }

    /// Number of patches.
    pub fn rows(&self) -> usize {
        self.bytes.len() / self.row_bytes
    }

    /// Side and classes.
    pub fn shape(&self) -> PatchShape {
        self.shape
    }

    /// The packed bytes, `[n, bytes per patch]`.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    fn row(&self, row: usize) -> &[u8] {
        &self.bytes[row * self.row_bytes..(row + 1) * self.row_bytes]
    }

    /// Whether a pixel (counted row by row) of a patch has a class.
    pub fn get(&self, row: usize, class: usize, pixel: usize) -> bool {
        let bit = class * self.shape.pixels() + pixel;
        self.row(row)[bit / 8] >> (bit % 8) & 1 == 1
    }

    /// Calls `set` with the index `class * p * p + pixel` of every set bit of a patch, in order.
    #[inline]
    pub(crate) fn for_each_set(&self, row: usize, mut set: impl FnMut(usize)) {
        for (i, &byte) in self.row(row).iter().enumerate() {
            let mut rest = byte;
            while rest != 0 {
                set(8 * i + rest.trailing_zeros() as usize);
                rest &= rest - 1;
            }
        }
    }

    /// Pixels of each class in a patch.
    pub fn counts(&self, row: usize) -> Vec<u32> {
        let mut counts = vec![0; self.shape.classes];
        self.for_each_set(row, |bit| counts[bit / self.shape.pixels()] += 1);
        counts
    }

    /// The mean mask of every patch.
    #[expect(clippy::cast_possible_truncation, reason = "a share is stored in f32 like the keys")]
    pub fn averages(&self) -> AverageLabels {
        let pixels = self.shape.pixels() as f64;
        let mut means = Array2::zeros((self.rows(), self.shape.classes));
        for (row, mut mean) in means.outer_iter_mut().enumerate() {
            for (mean, count) in mean.iter_mut().zip(self.counts(row)) {
                *mean = (f64::from(count) / pixels) as f32;
            }
        }
        AverageLabels { patch: self.shape.patch, means }
    }

    /// The patches `rows`, in that order; a row may be taken twice.
    ///
    /// # Errors
    /// When a row is beyond the last.
    pub fn select(&self, rows: &[usize]) -> Result<Self, RetrievalError> {
        let mut bytes = Vec::with_capacity(rows.len() * self.row_bytes);
        for &row in rows {
            check_row(row, self.rows())?;
            bytes.extend_from_slice(self.row(row));
        }
        Ok(Self { bytes, ..*self })
    }

    /// Appends other patches of the same shape.
    ///
    /// # Errors
    /// When their shape differs.
    pub fn append(&mut self, other: &Self) -> Result<(), RetrievalError> {
        if self.shape != other.shape {
            return Err(RetrievalError::shape("labels", self.shape, other.shape));
        }
        self.bytes.extend_from_slice(&other.bytes);
        Ok(())
    }
}

/// Labels of either kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Labels {
    /// Whole masks.
    Complete(CompleteLabels),
    /// Mean masks.
    Average(AverageLabels),
}

impl Labels {
    /// Number of patches.
    pub fn rows(&self) -> usize {
        match self {
            Self::Complete(l) => l.rows(),
            Self::Average(l) => l.rows(),
        }
    }

    /// Side and classes.
    pub fn shape(&self) -> PatchShape {
        match self {
            Self::Complete(l) => l.shape(),
            Self::Average(l) => l.shape(),
        }
    }

    /// The patches `rows`, in that order.
    ///
    /// # Errors
    /// When a row is beyond the last.
    pub fn select(&self, rows: &[usize]) -> Result<Self, RetrievalError> {
        Ok(match self {
            Self::Complete(l) => Self::Complete(l.select(rows)?),
            Self::Average(l) => Self::Average(l.select(rows)?),
        })
    }

    /// Appends other patches of the same kind and shape.
    ///
    /// # Errors
    /// When kind or shape differ.
    pub fn append(&mut self, other: &Self) -> Result<(), RetrievalError> {
        match (self, other) {
            (Self::Complete(a), Self::Complete(b)) => a.append(b),
            (Self::Average(a), Self::Average(b)) => a.append(b),
            (Self::Complete(_), _) => Err(RetrievalError::shape("labels", "complete", "average")),
            (Self::Average(_), _) => Err(RetrievalError::shape("labels", "average", "complete")),
        }
    }
}

fn check_row(actual: usize, limit: usize) -> Result<(), RetrievalError> {
    if actual < limit { Ok(()) } else { Err(RetrievalError::OutOfRange { what: "row", limit, actual }) }
}

#[cfg(test)]
mod tests;
