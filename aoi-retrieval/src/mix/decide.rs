//! From scores to masks.

use ndarray::{Array2, Array3, ArrayView3};

use crate::RetrievalError;

/// Multi-label decision: a pixel has class c when its score is above `thresholds[c]`.
///
/// # Shapes
/// `scores` `[c, H, W]`, one threshold or c; the answer holds 0 and 1.
///
/// # Errors
/// When the number of thresholds is neither 1 nor c.
pub fn decide_by_threshold(
    scores: ArrayView3<'_, f64>,
    thresholds: &[f64],
) -> Result<Array3<u8>, RetrievalError> {
    let classes = scores.dim().0;
    if thresholds.len() != 1 && thresholds.len() != classes {
        return Err(RetrievalError::bad_option(
            "thresholds",
            format!("1 or {classes} numbers"),
            thresholds.len(),
        ));
    }
    let mut mask = Array3::zeros(scores.dim());
    for ((c, y, x), bit) in mask.indexed_iter_mut() {
        *bit = u8::from(scores[[c, y, x]] > thresholds[c.min(thresholds.len() - 1)]);
    }
    Ok(mask)
}

/// Single-label decision: 0 for background, i for class i counted from 1.
///
/// Background scores `1 - max_c score_c`; it wins ties, then the lower class does.
///
/// # Errors
/// When there are more than 65,535 classes.
pub fn decide_single(scores: ArrayView3<'_, f64>) -> Result<Array2<u16>, RetrievalError> {
    let (classes, height, width) = scores.dim();
    if classes > usize::from(u16::MAX) {
        return Err(RetrievalError::bad_option("classes", "at most 65535", classes));
    }
    Ok(Array2::from_shape_fn((height, width), |(y, x)| {
        let mut best = (0, f64::NEG_INFINITY);
        for (class, c) in (1_u16..).zip(0..classes) {
            if scores[[c, y, x]] > best.1 {
                best = (class, scores[[c, y, x]]);
            }
        }
        if best.1 > 1.0 - best.1 { best.0 } else { 0 }
    }))
}
