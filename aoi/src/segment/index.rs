//! The memory: patches of labelled pictures as a bank.

use aoi_encoder::images::pad;
use aoi_encoder::ndarray::{Array2, Array3};
use aoi_retrieval::{AverageLabels, Bank, CompleteLabels, ImageSize, Labels, coreset};

use super::labelled::{Labelled, LabelledFolder};
use crate::patch_encoder::PatchEncoder;
use crate::progress::{Progress, report};
use crate::{Error, Result};

/// Attribute of a bank that names its encoder.
pub(super) const ENCODER: &str = "encoder";

/// What a patch is labelled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LabelKind {
    /// Its whole mask.
    #[default]
    Complete,
    /// The mean of its mask.
    Average,
}

/// Which rows a bounded bank keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// Those that leave no row far from all kept ones (greedy k-centre).
    #[default]
    KCentre,
    /// Any.
    Random,
    /// Of every picture those with rare classes.
    ClassBalanced,
}

/// How a bank is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IndexOptions {
    /// What a patch is labelled with.
    pub labels: LabelKind,
    /// Rows kept at most; none for all.
    pub rows: Option<usize>,
    /// Share of the rows kept, above 0 to 1; the smaller bound holds.
    pub share: f64,
    /// Which rows those are.
    pub choice: Choice,
    /// Seed of the choice.
    pub seed: u64,
    /// Threads of the choice; results do not depend on it.
    pub threads: usize,
}

impl Default for IndexOptions {
    fn default() -> Self {
        let (labels, choice) = (LabelKind::default(), Choice::default());
        Self { labels, rows: None, share: 1.0, choice, seed: 0, threads: 1 }
    }
}

/// A bank of the patches of all labelled pictures; keys have length 1, or 0 for a patch without features.
///
/// # Errors
/// When a picture or mask cannot be used, an option is impossible, or `progress` (over pictures, then over the rows that k-centre chooses) breaks off.
pub fn index(
    encoder: &dyn PatchEncoder,
    labels: &LabelledFolder,
    options: &IndexOptions,
    progress: &mut Progress<'_>,
) -> Result<Bank> {
    let empty = CompleteLabels::empty(aoi_retrieval::PatchShape {
        patch: encoder.patch(),
        classes: labels.classes().len(),
    })?;
    let empty = match options.labels {
        LabelKind::Complete => Labels::Complete(empty),
        LabelKind::Average => Labels::Average(empty.averages()),
    };
    let mut bank = Bank::new(encoder.width(), labels.classes().to_vec(), empty)?;
    bank.set_attribute(ENCODER, encoder.identity());
    add_pictures(&mut bank, encoder, labels, progress)?;
    bounded(bank, options, progress)
}

/// Adds labelled pictures to a bank made with the same encoder: new devices without training.
///
/// # Errors
/// As [`index`]; when the bank was made with another encoder or other classes, or has a picture of that name.
pub fn add_pictures(
    bank: &mut Bank,
    encoder: &dyn PatchEncoder,
    labels: &LabelledFolder,
    progress: &mut Progress<'_>,
) -> Result<()> {
    super::check_encoder(bank, encoder)?;
    if bank.classes() != labels.classes() {
        return Err(Error::Mismatch {
            what: "classes".to_owned(),
            expected: bank.classes().join(", "),
            found: labels.classes().join(", "),
            remedy: "name the classes of the bank, in its order",
        });
    }
    for i in 0..labels.len() {
        report(progress, "pictures", i, labels.len())?;
        let Labelled { name, picture, mask } = labels.read(i)?;
        let encoded = encoder.encode(&picture)?;
        let complete = patch_labels(&mask, encoder.patch())?;
        let own = match bank.labels() {
            Labels::Complete(_) => Labels::Complete(complete),
            Labels::Average(_) => Labels::Average(averages(&complete, &mask, encoder.patch())?),
        };
        bank.add_sized_image(&name, size_of(&mask), unit_rows(encoded.patches).view(), &own)?;
    }
    report(progress, "pictures", labels.len(), labels.len())
}

/// The size of the picture that `mask` \[c, height, width\] belongs to.
pub(super) fn size_of(mask: &Array3<u8>) -> ImageSize {
    let (_, height, width) = mask.dim();
    ImageSize { height, width }
}

/// The masks of the patches; what lies beyond the picture has no class.
pub(super) fn patch_labels(mask: &Array3<u8>, patch: usize) -> Result<CompleteLabels> {
    let padded = pad(&mask.mapv(f32::from), patch).mapv(|v| u8::from(v > 0.5));
    Ok(CompleteLabels::from_image(padded.view(), patch)?)
}

/// Means over the pixels that are in the picture, so that a class that fills a cut patch counts in full.
#[expect(clippy::cast_possible_truncation, reason = "a share is stored in f32 like the keys")]
fn averages(complete: &CompleteLabels, mask: &Array3<u8>, patch: usize) -> Result<AverageLabels> {
    let mut means = complete.averages().means().clone();
    for (i, mut mean) in means.outer_iter_mut().enumerate() {
        let (rows, columns) = size_of(mask).inside(patch, i);
        let inside = (rows * columns) as f64 / (patch * patch) as f64;
        mean.mapv_inplace(|m| (f64::from(m) / inside).min(1.0) as f32);
    }
    Ok(AverageLabels::new(patch, means)?)
}

/// Every row divided by its length; a row without length stays 0.
#[expect(clippy::cast_possible_truncation, reason = "back to the keys' own f32")]
pub(super) fn unit_rows(mut rows: Array2<f32>) -> Array2<f32> {
    for mut row in rows.outer_iter_mut() {
        let length = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
        if length > 0.0 {
            row.mapv_inplace(|x| (f64::from(x) / length) as f32);
        }
    }
    rows
}

/// The bank with no more rows than asked for.
fn bounded(bank: Bank, options: &IndexOptions, progress: &mut Progress<'_>) -> Result<Bank> {
    if !(options.share > 0.0 && options.share <= 1.0) {
        return Err(Error::option("coreset", "a share above 0, at most 1", options.share));
    }
    if options.rows == Some(0) {
        return Err(Error::option("rows", "at least 1", 0));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
    let share = ((options.share * bank.rows() as f64).round() as usize).max(1);
    let rows = options.rows.unwrap_or(usize::MAX).min(share);
    if rows >= bank.rows() {
        return Ok(bank);
    }
    let kept = match options.choice {
        Choice::Random => coreset::random(bank.rows(), rows, options.seed)?,
        Choice::ClassBalanced => {
            let each = (rows / bank.images().len()).max(1);
            coreset::class_balanced(bank.labels(), &bank.image_rows(), each, options.seed)?
        }
        Choice::KCentre => {
            let mut on = |p: aoi_retrieval::Progress| progress(p.done, p.total);
            coreset::k_centre(bank.keys(), rows, options.seed, options.threads, &mut on)?
        }
    };
    Ok(bank.subset(&kept)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_fills_a_cut_patch_counts_in_full() {
        let mask = Array3::from_elem((1, 5, 6), 1_u8);
        let complete = patch_labels(&mask, 4).unwrap();
        assert_eq!(complete.rows(), 4);
        assert_eq!(complete.counts(3), [2], "one row and two columns of the last patch are in the picture");
        assert!(averages(&complete, &mask, 4).unwrap().means().iter().all(|m| *m == 1.0));
    }

    #[test]
    fn rows_get_length_one_and_rows_without_length_stay() {
        let rows = unit_rows(aoi_encoder::ndarray::array![[3.0, 4.0], [0.0, 0.0]]);
        assert_eq!(rows, aoi_encoder::ndarray::array![[0.6, 0.8], [0.0, 0.0]]);
    }
}
