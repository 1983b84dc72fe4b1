//! The measure that the best network is chosen by.

use ndarray::{Array3, Axis};

/// Mean over the classes of intersection over union, both counted over all pictures first; classes without a pixel on either side do not count, and
/// without any there is no number.
pub(super) fn mean_iou<'a>(
    pairs: impl Iterator<Item = (&'a Array3<u8>, &'a Array3<u8>)>,
    classes: usize,
) -> Option<f64> {
    let mut counts = vec![[0_u64; 2]; classes];
    for (mask, truth) in pairs {
        for (class, [both, either]) in counts.iter_mut().enumerate() {
            for (m, t) in mask.index_axis(Axis(0), class).iter().zip(truth.index_axis(Axis(0), class)) {
                *both += u64::from(*m != 0 && *t != 0);
                *either += u64::from(*m != 0 || *t != 0);
            }
        }
    }
    let found: Vec<f64> =
        counts.iter().filter(|[_, either]| *either > 0).map(|[b, e]| *b as f64 / *e as f64).collect();
    (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_summed_before_they_are_divided_and_absent_classes_left_out() {
        let mask = |bits: [u8; 6]| Array3::from_shape_vec((3, 1, 2), bits.to_vec()).unwrap();
        let pairs = [
            (mask([1, 1, 0, 1, 0, 0]), mask([1, 0, 0, 1, 0, 0])),
            (mask([0, 0, 1, 1, 0, 0]), mask([1, 1, 1, 1, 0, 0])),
        ];
        // First class 1 of 4, second 3 of 3, third nowhere.
        assert_eq!(mean_iou(pairs.iter().map(|(m, t)| (m, t)), 3), Some(0.625));
        assert_eq!(mean_iou(std::iter::empty(), 3), None);
    }
}
