//! Pictures with their masks.

use std::path::Path;

use aoi_encoder::images::{Stack, list};
use aoi_encoder::ndarray::Array3;

use crate::masks::MaskFolder;
use crate::patch_encoder::{PcaEncoder, PcaOptions};
use crate::progress::{Progress, report};
use crate::{Error, Result};

/// A picture and its mask.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled {
    /// Name of the picture.
    pub name: String,
    /// \[channels, height, width\], 0 to 1.
    pub picture: Array3<f32>,
    /// \[c, height, width\], 0 and 1.
    pub mask: Array3<u8>,
}

/// A folder of pictures and a folder of their masks.
#[derive(Debug, Clone)]
pub struct LabelledFolder {
    stacks: Vec<Stack>,
    masks: MaskFolder,
}

impl LabelledFolder {
    /// The pictures of `images`, in the order of their names; masks are read when they are asked for.
    ///
    /// # Errors
    /// When the folder cannot be read, holds no picture, or a picture is not complete.
    pub fn new(images: &Path, masks: MaskFolder) -> Result<Self> {
        Ok(Self { stacks: list(images)?, masks })
    }

    /// How many pictures there are; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a folder without pictures is an error")]
    pub fn len(&self) -> usize {
        self.stacks.len()
    }

    /// The names of the pictures.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.stacks.iter().map(|s| s.name.as_str())
    }

    /// The classes.
    pub fn classes(&self) -> &[String] {
        self.masks.classes()
    }

    /// Reads picture `i` and its mask.
    ///
    /// # Errors
    /// When one of them cannot be read, or they do not belong together.
    pub fn read(&self, i: usize) -> Result<Labelled> {
        let stack = &self.stacks[i];
        let picture = stack.read()?;
        let (_, height, width) = picture.dim();
        let mask = self.masks.read(&stack.name, (height, width))?;
        Ok(Labelled { name: stack.name.clone(), picture, mask })
    }
}

/// Fits pixel patches on the pictures of a folder.
///
/// # Errors
/// When a picture cannot be read, [`PcaEncoder::fit`] refuses, or `progress` breaks off.
pub fn fit_patches(images: &Path, options: &PcaOptions, progress: &mut Progress<'_>) -> Result<PcaEncoder> {
    /// More pictures add little to the axes and much to the time.
    const MOST: usize = 256;
    let stacks = list(images)?;
    let step = stacks.len().div_ceil(MOST);
    let chosen: Vec<&Stack> = stacks.iter().step_by(step).collect();
    let mut pictures: Vec<Array3<f32>> = Vec::new();
    for (done, stack) in chosen.iter().enumerate() {
        report(progress, "pictures", done, chosen.len())?;
        let picture = stack.read()?;
        if let Some(first) = pictures.first()
            && first.dim().0 != picture.dim().0
        {
            return Err(Error::Mismatch {
                what: format!("picture {}", stack.name),
                expected: format!("{} channels like {}", first.dim().0, chosen[0].name),
                found: picture.dim().0.to_string(),
                remedy: "give every picture the same lightings",
            });
        }
        pictures.push(picture);
    }
    report(progress, "pictures", chosen.len(), chosen.len())?;
    PcaEncoder::fit(&pictures, options)
}
