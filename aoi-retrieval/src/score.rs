//! How good a segmentation is: pixels are counted over images and divided once, so that no figure depends on batches.

#![expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]

use ndarray::ArrayView3;

use crate::RetrievalError;

/// Pixels of one class, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassCounts {
    /// Predicted and true, TP.
    pub hits: u64,
    /// Predicted but not true, FP.
    pub false_alarms: u64,
    /// True but not predicted, FN.
    pub misses: u64,
}

impl ClassCounts {
    /// `TP / (TP + FP + FN)`; none when the class appears neither in the prediction nor in the truth.
    pub fn iou(&self) -> Option<f64> {
        share(self.hits, self.hits + self.false_alarms + self.misses)
    }

    /// `2 TP / (2 TP + FP + FN)`; none as for [`Self::iou`].
    pub fn dice(&self) -> Option<f64> {
        share(2 * self.hits, 2 * self.hits + self.false_alarms + self.misses)
    }

    /// `TP / (TP + FP)`; none when nothing was predicted.
    pub fn precision(&self) -> Option<f64> {
        share(self.hits, self.hits + self.false_alarms)
    }

    /// `TP / (TP + FN)`; none when nothing was there.
    pub fn recall(&self) -> Option<f64> {
        share(self.hits, self.hits + self.misses)
    }

    /// Counts one pixel.
    #[inline]
    pub(crate) fn add(&mut self, predicted: bool, truth: bool) {
        self.hits += u64::from(predicted && truth);
        self.false_alarms += u64::from(predicted && !truth);
        self.misses += u64::from(!predicted && truth);
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Counts of every class, over one image or many.
///
/// # Examples
/// ```
/// use aoi_retrieval::Confusion;
/// use ndarray::array;
///
/// let (predicted, truth) = (array![[[1_u8, 1, 0, 0]]], array![[[1_u8, 0, 1, 0]]]);
/// let image = Confusion::of(predicted.view(), truth.view())?;
/// assert_eq!(image.classes[0].iou(), Some(1.0 / 3.0));
/// assert_eq!(image.mean_iou(), Some(1.0 / 3.0));
/// # Ok::<(), aoi_retrieval::RetrievalError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confusion {
    /// One entry a class.
    pub classes: Vec<ClassCounts>,
}

impl Confusion {
    /// Counts one image.
    ///
    /// # Shapes
    /// Both masks are `[c, H, W]`; anything but 0 counts as set.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn of(predicted: ArrayView3<'_, u8>, truth: ArrayView3<'_, u8>) -> Result<Self, RetrievalError> {
        if predicted.dim() != truth.dim() {
            return Err(RetrievalError::shape("prediction", truth.dim(), predicted.dim()));
        }
        let count = |(p, t): (ndarray::ArrayView2<'_, u8>, ndarray::ArrayView2<'_, u8>)| {
            let mut counts = ClassCounts::default();
            p.iter().zip(t.iter()).for_each(|(&p, &t)| counts.add(p != 0, t != 0));
            counts
        };
        Ok(Self { classes: predicted.outer_iter().zip(truth.outer_iter()).map(count).collect() })
    }

    /// Adds the counts of other images; missing classes count as empty.
    pub fn merge(&mut self, other: &Self) {
        let classes = self.classes.len().max(other.classes.len());
        self.classes.resize(classes, ClassCounts::default());
        for (sum, more) in self.classes.iter_mut().zip(&other.classes) {
            sum.hits += more.hits;
            sum.false_alarms += more.false_alarms;
            sum.misses += more.misses;
        }
    }

    /// Mean `IoU` over the classes with a non-empty union; none when there is no such class.
    pub fn mean_iou(&self) -> Option<f64> {
        mean(self.classes.iter().filter_map(ClassCounts::iou))
    }

    /// Mean Dice over the same classes.
    pub fn mean_dice(&self) -> Option<f64> {
        mean(self.classes.iter().filter_map(ClassCounts::dice))
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), v| (sum + v, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// Counts per image and over the data set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evaluation {
    /// One entry an image, in the order they came.
    pub images: Vec<Confusion>,
    /// Their sum.
    pub total: Confusion,
}

impl Evaluation {
    /// Adds one image.
    ///
    /// # Errors
    /// When the shapes of the masks differ.
    pub fn add(
        &mut self,
        predicted: ArrayView3<'_, u8>,
        truth: ArrayView3<'_, u8>,
    ) -> Result<(), RetrievalError> {
        let image = Confusion::of(predicted, truth)?;
        self.total.merge(&image);
        self.images.push(image);
        Ok(())
    }

    /// Images from the lowest mean `IoU` to the highest; those without any class come last, ties in order.
    pub fn worst_first(&self) -> Vec<usize> {
        let score = |i: &usize| self.images[*i].mean_iou().unwrap_or(f64::INFINITY);
        let mut order: Vec<usize> = (0..self.images.len()).collect();
        order.sort_by(|a, b| score(a).total_cmp(&score(b)));
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, array};

    #[test]
    fn figures_are_the_textbook_ones() {
        let c = ClassCounts { hits: 6, false_alarms: 2, misses: 4 };
        assert_eq!(
            [c.iou(), c.dice(), c.precision(), c.recall()],
            [Some(0.5), Some(12.0 / 18.0), Some(0.75), Some(0.6)]
        );
        assert_eq!(ClassCounts::default().iou(), None);
    }

    #[test]
    fn the_total_divides_once_and_absent_classes_do_not_count() {
        let mut e = Evaluation::default();
        // Class 0: 1 of 1, then 0 of 4; class 1 never appears.
        let (ones, zeros) = (array![[[1_u8, 0, 0, 0]], [[0, 0, 0, 0]]], Array3::zeros((2, 1, 4)));
        let full = array![[[1_u8, 1, 1, 1]], [[0, 0, 0, 0]]];
        e.add(ones.view(), ones.view()).unwrap();
        e.add(zeros.view(), full.view()).unwrap();
        e.add(zeros.view(), zeros.view()).unwrap();
        assert_eq!(e.total.mean_iou(), Some(0.2), "1 / 5, not the mean of 1 and 0");
        assert_eq!(e.worst_first(), [1, 0, 2]);
        assert_eq!(e.images[2].mean_iou(), None);
    }

    #[test]
    fn the_order_and_grouping_of_images_changes_nothing() {
        let image =
            |i: usize| Array3::from_shape_fn((2, 3, 5), |(c, y, x)| u8::from((i * 3 + c + y * x) % 4 < 2));
        let mut one_by_one = Evaluation::default();
        for i in 0..6 {
            one_by_one.add(image(i).view(), image(i + 1).view()).unwrap();
        }
        let mut halves = [Confusion::default(), Confusion::default()];
        for i in (0..6).rev() {
            halves[i % 2].merge(&Confusion::of(image(i).view(), image(i + 1).view()).unwrap());
        }
        let [mut all, rest] = halves;
        all.merge(&rest);
        assert_eq!(all, one_by_one.total);
        assert!(all.mean_iou().unwrap() > 0.0);
    }

    #[test]
    fn masks_of_other_shapes_are_errors() {
        assert!(Confusion::of(Array3::zeros((1, 2, 2)).view(), Array3::zeros((1, 2, 3)).view()).is_err());
    }
}
