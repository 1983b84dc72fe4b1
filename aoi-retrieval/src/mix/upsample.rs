//! Bilinear interpolation of scores, pixel centres aligned (`align_corners = false`).

use ndarray::{Array3, ArrayView3};

/// For each of `to` positions: the two of `from` positions it lies between, and the share of the second.
fn taps(from: usize, to: usize) -> Vec<(usize, usize, f64)> {
    let scale = from as f64 / to as f64;
    (0..to)
        .map(|i| {
            let at = ((i as f64 + 0.5) * scale - 0.5).max(0.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "at least 0, below `from`"
            )]
            let low = (at as usize).min(from - 1);
            (low, (low + 1).min(from - 1), at - low as f64)
        })
        .collect()
}

/// Enlarges each plane of `scores` to `height` x `width`.
///
/// Position i reads the source at `(i + 0.5) from / to - 0.5`, held at the border.
///
/// # Shapes
/// `scores` `[c, h, w]`; the answer `[c, height, width]`; all zero when a side of `scores` is zero.
///
/// # Examples
/// ```
/// use ndarray::array;
/// let up = aoi_retrieval::upsample_bilinear(array![[[0.0, 1.0]]].view(), (1, 4));
/// assert_eq!(up, array![[[0.0, 0.25, 0.75, 1.0]]]);
/// ```
pub fn upsample_bilinear(scores: ArrayView3<'_, f64>, (height, width): (usize, usize)) -> Array3<f64> {
    let (classes, h, w) = scores.dim();
    let mut out = Array3::zeros((classes, height, width));
    if h == 0 || w == 0 {
        return out;
    }
    let (rows, columns) = (taps(h, height), taps(w, width));
    for ((c, y, x), out) in out.indexed_iter_mut() {
        let ((y0, y1, fy), (x0, x1, fx)) = (rows[y], columns[x]);
        let top = scores[[c, y0, x0]] * (1.0 - fx) + scores[[c, y0, x1]] * fx;
        let bottom = scores[[c, y1, x0]] * (1.0 - fx) + scores[[c, y1, x1]] * fx;
        *out = top * (1.0 - fy) + bottom * fy;
    }
    out
}
