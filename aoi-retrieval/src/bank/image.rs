//! What a bank knows of an image, and which pixels of its patches are in it.

use serde::{Deserialize, Serialize};

/// Pixels of an image, before it is padded to whole patches.
///
/// # Examples
/// ```
/// use aoi_retrieval::ImageSize;
///
/// let size = ImageSize { height: 5, width: 8 };
/// assert_eq!(size.patches(4), 4);
/// assert_eq!(size.inside(4, 3), (1, 4), "one row of the last patch is in the image, and all its columns");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSize {
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
}

impl ImageSize {
    /// Patches of `patch` x `patch` pixels that cover the image, padded to the right and below.
    ///
    /// # Panics
    /// When `patch` is 0.
    pub fn patches(self, patch: usize) -> usize {
        self.height.div_ceil(patch).saturating_mul(self.width.div_ceil(patch))
    }

    /// Rows and columns of patch `i` that are in the image, counted from its upper left pixel; patches in rows of the image.
    ///
    /// # Panics
    /// When the image has no such patch.
    pub fn inside(self, patch: usize, i: usize) -> (usize, usize) {
        assert!(i < self.patches(patch), "{self:?} has {} patches, but not number {i}", self.patches(patch));
        let across = self.width.div_ceil(patch);
        (patch.min(self.height - i / across * patch), patch.min(self.width - i % across * patch))
    }
}

/// An image whose patches are in the bank.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BankImage {
    /// Its name, unique in the bank.
    pub name: String,
    /// How many rows it has.
    pub rows: usize,
    /// Its size; none where nobody said it, as in files of before it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<ImageSize>,
}

impl BankImage {
    /// Whether every patch of the image has its row; unknown without its size.
    ///
    /// # Panics
    /// When `patch` is 0.
    pub fn is_whole(&self, patch: usize) -> Option<bool> {
        self.size.map(|size| size.patches(patch) == self.rows)
    }
}
