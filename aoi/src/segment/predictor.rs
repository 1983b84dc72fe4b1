//! What turns a picture into masks, however it does so.

use aoi_encoder::ndarray::{Array3, ArrayRef3};

use super::{Segmenter, Settings, decide};
use crate::Result;

/// A bank at work, or a fine-tuned network: scores of every pixel for every class, and the decision on them.
pub trait Predictor {
    /// The classes.
    fn classes(&self) -> &[String];

    /// Thresholds and decision, and for a bank its neighbours and mixing rule.
    fn settings(&self) -> &Settings;

    /// What it is, for reports: headings and words.
    fn described(&self) -> Vec<(&'static str, String)>;

    /// The score of every pixel for every class.
    ///
    /// # Shapes
    /// `picture` \[channels, height, width\], 0 to 1 -> \[c, height, width\]
    ///
    /// # Errors
    /// When the picture cannot be encoded.
    fn scores(&self, picture: &ArrayRef3<f32>) -> Result<Array3<f64>>;

    /// The mask of a picture.
    ///
    /// # Errors
    /// As [`Self::scores`].
    fn predict(&self, picture: &ArrayRef3<f32>) -> Result<Array3<u8>> {
        decide(self.scores(picture)?.view(), self.settings())
    }
}

/// Thresholds as words.
pub(super) fn thresholds(settings: &Settings) -> (&'static str, String) {
    let all: Vec<String> = settings.thresholds.iter().map(f64::to_string).collect();
    ("Thresholds", all.join(", "))
}

impl Predictor for Segmenter<'_> {
    fn classes(&self) -> &[String] {
        self.classes()
    }

    fn settings(&self) -> &Settings {
        self.settings()
    }

    fn described(&self) -> Vec<(&'static str, String)> {
        let (images, rows) = self.taught();
        vec![
            ("Encoder", self.encoder().identity().to_owned()),
            ("Labelled images", images.to_string()),
            ("Patches in the bank", rows.to_string()),
            ("Neighbours", self.settings().k.to_string()),
            ("Mixing", self.settings().rule.to_string()),
            thresholds(self.settings()),
        ]
    }

    fn scores(&self, picture: &ArrayRef3<f32>) -> Result<Array3<f64>> {
        self.scores(picture)
    }
}
