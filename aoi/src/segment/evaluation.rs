//! How good predictions are, picture by picture and over all: counted in pixels, divided once.

use aoi_encoder::ndarray::{ArrayRef3, ArrayView3};
use aoi_retrieval::{ClassCounts, Confusion};
use serde_json::{Value, json};

use super::labelled::{Labelled, LabelledFolder};
use super::{Figure, Predictor};
use crate::progress::{Progress, report};
use crate::{Error, Result};

/// The counts of one picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageScores {
    /// Its name.
    pub name: String,
    /// Its counts.
    pub counts: Confusion,
}

/// The counts of all pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// The classes.
    pub classes: Vec<String>,
    /// One entry a picture, in the order of their names.
    pub images: Vec<ImageScores>,
    /// Their sum: the figures over the data set, which no batch size can change.
    pub total: Confusion,
    /// The worst pictures with their mean `IoU`, the worst first.
    worst: Vec<(f64, Figure)>,
    /// How many of them are kept.
    figures: usize,
}

/// Predicts every labelled picture and counts; the `figures` worst by mean `IoU` are drawn.
///
/// # Errors
/// When the classes differ from the predictor's, a picture or mask cannot be used, or `progress` (over pictures) breaks off.
pub fn evaluate(
    predictor: &dyn Predictor,
    labels: &LabelledFolder,
    figures: usize,
    progress: &mut Progress<'_>,
) -> Result<Evaluated> {
    if predictor.classes() != labels.classes() {
        return Err(Error::Mismatch {
            what: "classes".to_owned(),
            expected: predictor.classes().join(", "),
            found: labels.classes().join(", "),
            remedy: "name the classes of the bank or network, in its order",
        });
    }
    let mut evaluated = Evaluated::new(labels.classes().to_vec(), figures);
    for i in 0..labels.len() {
        report(progress, "pictures", i, labels.len())?;
        let Labelled { name, picture, mask } = labels.read(i)?;
        let predicted = predictor.predict(&picture)?;
        evaluated.add(&name, &picture, predicted.view(), mask.view())?;
    }
    report(progress, "pictures", labels.len(), labels.len())?;
    Ok(evaluated)
}

impl Evaluated {
    /// Nothing counted yet; the `figures` worst pictures will be drawn.
    pub fn new(classes: Vec<String>, figures: usize) -> Self {
        Self { classes, images: Vec::new(), total: Confusion::default(), worst: Vec::new(), figures }
    }

    /// Counts a picture.
    ///
    /// # Shapes
    /// `predicted` and `truth` \[c, height, width\]
    ///
    /// # Errors
    /// When the shapes differ, or the picture cannot be drawn.
    #[expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]
    pub fn add(
        &mut self,
        name: &str,
        picture: &ArrayRef3<f32>,
        predicted: ArrayView3<'_, u8>,
        truth: ArrayView3<'_, u8>,
    ) -> Result<()> {
        let counts = Confusion::of(predicted.view(), truth.view())?;
        // A picture without any class, predicted as such, has nothing wrong with it.
        let score = counts.mean_iou().unwrap_or(1.0);
        if self.worst.len() < self.figures || self.worst.last().is_some_and(|w| score < w.0) {
            let figure = Figure::new(name, picture, predicted.view(), truth.view(), &self.classes)?;
            let place = self.worst.partition_point(|w| w.0 <= score);
            self.worst.insert(place, (score, figure));
            self.worst.truncate(self.figures);
        }
        self.total.merge(&counts);
        self.images.push(ImageScores { name: name.to_owned(), counts });
        Ok(())
    }

    /// The worst pictures drawn, the worst first.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.worst.iter().map(|w| &w.1)
    }

    /// The pictures, those with the lowest mean `IoU` first, then by name; pictures without any class last.
    pub fn worst_first(&self) -> Vec<&ImageScores> {
        let score = |i: &ImageScores| i.counts.mean_iou().unwrap_or(f64::INFINITY);
        let mut images: Vec<&ImageScores> = self.images.iter().collect();
        images.sort_by(|a, b| score(a).total_cmp(&score(b)).then_with(|| a.name.cmp(&b.name)));
        images
    }

    /// Everything but the drawings as JSON; a figure that is not defined (a class that is nowhere) is null.
    pub fn json(&self) -> Value {
        let image = |i: &ImageScores| {
            json!({"image": i.name, "mean_iou": i.counts.mean_iou(), "mean_dice": i.counts.mean_dice(),
                   "classes": self.classes_json(&i.counts)})
        };
        json!({
            "images": self.images.len(),
            "mean_iou": self.total.mean_iou(),
            "mean_dice": self.total.mean_dice(),
            "classes": self.classes_json(&self.total),
            "per_image": self.images.iter().map(image).collect::<Vec<_>>(),
        })
    }

    fn classes_json(&self, counts: &Confusion) -> Vec<Value> {
        let class = |(name, c): (&String, &ClassCounts)| {
            json!({"class": name, "iou": c.iou(), "dice": c.dice(), "precision": c.precision(), "recall": c.recall(),
                   "hits": c.hits, "false_alarms": c.false_alarms, "misses": c.misses})
        };
        self.classes.iter().zip(&counts.classes).map(class).collect()
    }
}
