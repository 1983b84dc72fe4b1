//! The memory: one key and one label per patch, image by image.

mod file;
mod image;

use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::{Array2, ArrayView2, Axis, s};

use self::file::Keys;
pub use self::image::{BankImage, ImageSize};
use crate::{Labels, PatchShape, RetrievalError};

/// Keys, labels and the images they come from.
///
/// # Examples
/// ```
/// use aoi_retrieval::{Bank, CompleteLabels, Labels};
/// use ndarray::{Array2, Array3};
///
/// let mask = Array3::<u8>::ones((1, 4, 4));
/// let labels = Labels::Complete(CompleteLabels::from_image(mask.view(), 2)?);
/// let mut bank = Bank::new(8, vec!["wire".into()], labels.select(&[])?)?;
/// bank.add_image("first", Array2::ones((4, 8)).view(), &labels)?;
/// bank.add_image("second", Array2::zeros((4, 8)).view(), &labels)?;
/// bank.remove_image("first")?;
/// assert_eq!((bank.rows(), bank.images()[0].name.as_str()), (4, "second"));
/// # Ok::<(), aoi_retrieval::RetrievalError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Bank {
    keys: Keys,
    labels: Labels,
    classes: Vec<String>,
    images: Vec<BankImage>,
    attributes: BTreeMap<String, String>,
}

impl Bank {
    /// An empty bank for keys of `width` numbers; `labels` gives kind and shape and has no rows.
    ///
    /// # Errors
    /// When the width is 0, the labels have rows, or there is not one name per class.
    pub fn new(width: usize, classes: Vec<String>, labels: Labels) -> Result<Self, RetrievalError> {
        if labels.rows() != 0 {
            return Err(RetrievalError::shape("labels of an empty bank", 0, labels.rows()));
        }
        Self::from_parts(Keys::Owned(Array2::zeros((0, width))), labels, classes, Vec::new(), BTreeMap::new())
    }

    fn from_parts(
        keys: Keys,
        labels: Labels,
        classes: Vec<String>,
        images: Vec<BankImage>,
        attributes: BTreeMap<String, String>,
    ) -> Result<Self, RetrievalError> {
        let bank = Self { keys, labels, classes, images, attributes };
        if bank.width() == 0 {
            return Err(RetrievalError::ZeroWidth { what: "keys" });
        }
        if bank.classes.len() != bank.labels.shape().classes {
            return Err(RetrievalError::shape(
                "class names",
                bank.labels.shape().classes,
                bank.classes.len(),
            ));
        }
        if bank.labels.rows() != bank.rows() {
            return Err(RetrievalError::shape("labels", bank.rows(), bank.labels.rows()));
        }
        let mut rows = 0_usize;
        let mut names = std::collections::HashSet::new();
        for image in &bank.images {
            rows = rows.saturating_add(image.rows);
            let most = image.size.map_or(usize::MAX, |size| size.patches(bank.shape().patch));
            if image.rows > most {
                return Err(RetrievalError::shape("rows of an image", format!("at most {most}"), image.rows));
            }
            if !names.insert(image.name.as_str()) {
                return Err(RetrievalError::Image { name: image.name.clone(), expected: "once" });
            }
        }
        if rows != bank.rows() {
            return Err(RetrievalError::shape("images together", bank.rows(), rows));
        }
        drop(names);
        Ok(bank)
    }

    /// The keys, `[n, d]`.
    pub fn keys(&self) -> ArrayView2<'_, f32> {
        self.keys.view()
    }

    /// Whether the keys still lie in the mapped file that the bank was opened from, so that the system brings them into memory only as they are
    /// looked at. Where bytes are stored the other way round they never do.
    ///
    /// Keys are one piece, `4 n d` bytes, and what changes them needs them in memory: [`Self::add_image`] and [`Self::add_sized_image`] copy mapped keys there, up to
    /// twice their size as they grow; [`Self::remove_image`] and [`Self::subset`] copy the keys that stay beside those in memory.
    pub fn keys_are_mapped(&self) -> bool {
        matches!(self.keys, Keys::Mapped { .. })
    }

    /// The labels, one a row.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Names of the classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The images in the order of their rows.
    pub fn images(&self) -> &[BankImage] {
        &self.images
    }

    /// What the maker of the bank wrote on it, such as which encoder its keys come from; saved with it.
    pub fn attributes(&self) -> &BTreeMap<String, String> {
        &self.attributes
    }

    /// Writes something on the bank; an earlier text of that name is replaced.
    pub fn set_attribute(&mut self, name: &str, text: &str) {
        self.attributes.insert(name.to_owned(), text.to_owned());
    }

    /// Number of rows, n.
    pub fn rows(&self) -> usize {
        self.keys().nrows()
    }

    /// Numbers per key, d.
    pub fn width(&self) -> usize {
        self.keys().ncols()
    }

    /// Side of a patch and number of classes.
    pub fn shape(&self) -> PatchShape {
        self.labels.shape()
    }

    /// The rows of every image, in order.
    pub fn image_rows(&self) -> Vec<Range<usize>> {
        let mut end = 0;
        let range = |image: &BankImage| {
            end += image.rows;
            end - image.rows..end
        };
        self.images.iter().map(range).collect()
    }

    /// Appends the patches of an image; every pixel of them counts as one of the image.
    ///
    /// # Shapes
    /// `keys` is `[rows, d]`, with one label a row.
    ///
    /// # Errors
    /// When the name is taken, a shape does not fit, or a key is not finite; the bank is then unchanged.
    #[expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]
    pub fn add_image(
        &mut self,
        name: &str,
        keys: ArrayView2<'_, f32>,
        labels: &Labels,
    ) -> Result<(), RetrievalError> {
        self.add(name, None, &keys, labels)
    }

    /// Appends all patches of an image of which `size` is known, so that pixels beyond its border are told from its own.
    ///
    /// # Shapes
    /// `keys` is `[size.patches(patch), d]`, with one label a row.
    ///
    /// # Errors
    /// As [`Self::add_image`]; when there is not one key per patch.
    #[expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]
    pub fn add_sized_image(
        &mut self,
        name: &str,
        size: ImageSize,
        keys: ArrayView2<'_, f32>,
        labels: &Labels,
    ) -> Result<(), RetrievalError> {
        let patches = size.patches(self.shape().patch);
        if keys.nrows() != patches {
            return Err(RetrievalError::shape("keys", (patches, self.width()), keys.dim()));
        }
        self.add(name, Some(size), &keys, labels)
    }

    fn add(
        &mut self,
        name: &str,
        size: Option<ImageSize>,
        keys: &ArrayView2<'_, f32>,
        labels: &Labels,
    ) -> Result<(), RetrievalError> {
        if self.images.iter().any(|i| i.name == name) {
            return Err(RetrievalError::Image { name: name.to_owned(), expected: "absent" });
        }
        if keys.ncols() != self.width() {
            let (expected, actual) = (self.width(), keys.ncols());
            return Err(RetrievalError::WidthMismatch { what: "keys", expected, actual });
        }
        if keys.nrows() != labels.rows() {
            return Err(RetrievalError::shape("labels", keys.nrows(), labels.rows()));
        }
        let limit = u32::MAX as usize;
        if self.rows() + keys.nrows() > limit {
            return Err(RetrievalError::TooManyRows { limit, actual: self.rows() + keys.nrows() });
        }
        if let Some(((row, column), &value)) = keys.indexed_iter().find(|(_, x)| !x.is_finite()) {
            return Err(RetrievalError::NotFinite { what: "key", row, column, value });
        }
        self.labels.append(labels)?;
        let grown = self.keys.owned().append(Axis(0), keys.view());
        grown.map_err(|_| RetrievalError::shape("keys", (labels.rows(), self.width()), keys.dim()))?;
        self.images.push(BankImage { name: name.to_owned(), rows: keys.nrows(), size });
        Ok(())
    }

    /// Removes the patches of an image; the rows after it move up.
    ///
    /// # Errors
    /// When there is no such image.
    pub fn remove_image(&mut self, name: &str) -> Result<(), RetrievalError> {
        let Some(at) = self.images.iter().position(|i| i.name == name) else {
            return Err(RetrievalError::Image { name: name.to_owned(), expected: "present" });
        };
        let gone = self.image_rows()[at].clone();
        let rows: Vec<usize> = (0..self.rows()).filter(|r| !gone.contains(r)).collect();
        self.labels = self.labels.select(&rows)?;
        let keys = self.keys();
        let kept = ndarray::concatenate(
            Axis(0),
            &[keys.slice(s![..gone.start, ..]), keys.slice(s![gone.end.., ..])],
        );
        let kept = kept.map_err(|_| RetrievalError::shape("keys", self.rows(), gone.len()))?;
        self.keys = Keys::Owned(kept);
        self.images.remove(at);
        Ok(())
    }

    /// The bank with only `rows`, ascending; images keep the rows that are left to them.
    ///
    /// # Errors
    /// When the rows are not ascending or one is beyond the last.
    pub fn subset(&self, rows: &[usize]) -> Result<Self, RetrievalError> {
        if let Some(pair) = rows.windows(2).find(|w| w[0] >= w[1]) {
            return Err(RetrievalError::bad_option("rows", "strictly ascending", format!("{pair:?}")));
        }
        let labels = self.labels.select(rows)?;
        let keys = Keys::Owned(self.keys().select(Axis(0), rows));
        let images = self
            .images
            .iter()
            .zip(self.image_rows())
            .map(|(image, range)| {
                let start = rows.partition_point(|&r| r < range.start);
                let end = rows.partition_point(|&r| r < range.end);
                BankImage { name: image.name.clone(), rows: end - start, size: image.size }
            })
            .collect();
        Self::from_parts(keys, labels, self.classes.clone(), images, self.attributes.clone())
    }
}

#[cfg(test)]
mod tests;
