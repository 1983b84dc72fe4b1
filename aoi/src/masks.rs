//! Masks on disk: one label map a picture, or one folder a picture with one file a class.
//!
//! ```text
//! MASKS/NAME.png          grey label map: 0 background, i class i
//! MASKS/NAME/CLASS.png    multi-label: one file a class, 0 off, any one other value on
//! ```
//!
//! A mask is an array \[c, height, width\] of 0 and 1.

mod names;
mod read;
mod write;

use std::path::{Path, PathBuf};

pub use self::names::{check_classes, check_classes_of};
pub(crate) use self::write::{encode_rgb, save_grey};
pub use self::write::{save_rgb, write_label_map, write_multi_label};
use crate::{Error, Result};

/// Ending of overlays that stand beside masks and are none.
pub const OVERLAY_ENDING: &str = "_overlay";

/// What the values of a mask file mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MaskValues {
    /// A class number in a label map; 0 or one other value in the file of a class.
    #[default]
    Index,
    /// The class is where the picture is darker than this (0 to 255): for drawings, JPEG files and one class.
    Dark(u8),
    /// The class is where the picture is this bright or brighter.
    Bright(u8),
}

impl std::str::FromStr for MaskValues {
    type Err = Error;

    /// `index`, `dark:128` or `bright:128`.
    fn from_str(text: &str) -> Result<Self> {
        let level = |word: &str| word.parse::<u8>().ok();
        match text.split_once(':') {
            None if text == "index" => Some(Self::Index),
            Some(("dark", word)) => level(word).map(Self::Dark),
            Some(("bright", word)) => level(word).map(Self::Bright),
            _ => None,
        }
        .ok_or_else(|| {
            Error::option("mask values", "index, dark:LEVEL or bright:LEVEL, level 0 to 255", text)
        })
    }
}

/// A folder of masks and what they are masks of.
///
/// # Examples
/// ```
/// use aoi::masks::{MaskFolder, write_multi_label};
/// use aoi_encoder::ndarray::Array3;
///
/// let folder = tempfile::tempdir().expect("a temporary folder");
/// let classes = vec!["wire".to_owned(), "ball".to_owned()];
/// let mask = Array3::from_shape_fn((2, 6, 5), |(c, y, x)| u8::from(x + c > y));
/// write_multi_label(folder.path(), "board-7", &classes, mask.view())?;
/// let masks = MaskFolder::new(folder.path(), classes)?;
/// assert_eq!(masks.read("board-7", (6, 5))?, mask);
/// # Ok::<(), aoi::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaskFolder {
    folder: PathBuf,
    classes: Vec<String>,
    values: MaskValues,
}

impl MaskFolder {
    /// Masks of `classes` in `folder`, label maps numbering the classes from 1 in this order.
    ///
    /// # Errors
    /// As [`check_classes`].
    pub fn new(folder: &Path, classes: Vec<String>) -> Result<Self> {
        check_classes(&classes)?;
        Ok(Self { folder: folder.to_owned(), classes, values: MaskValues::Index })
    }

    /// The same folder, its files read in another way.
    #[must_use]
    pub fn with_values(self, values: MaskValues) -> Self {
        Self { values, ..self }
    }

    /// The classes.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}
