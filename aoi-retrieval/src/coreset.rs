//! Smaller banks: which rows to keep. Every choice depends on its seed alone, and comes back in ascending order.

mod centres;
mod k_centre;
mod projection;

use std::ops::Range;

use crate::chance::Chance;
use crate::{Labels, RetrievalError};
pub use k_centre::k_centre;

/// `count` rows of `n`, all equally likely.
///
/// # Errors
/// When `count` is larger than `n`.
///
/// # Examples
/// ```
/// let rows = aoi_retrieval::coreset::random(100, 10, 7)?;
/// assert_eq!(rows.len(), 10);
/// assert_eq!(rows, aoi_retrieval::coreset::random(100, 10, 7)?);
/// # Ok::<(), aoi_retrieval::RetrievalError>(())
/// ```
pub fn random(n: usize, count: usize, seed: u64) -> Result<Vec<usize>, RetrievalError> {
    check_count(n, count)?;
    let mut rows = Chance::new(seed).choose(n, count);
    rows.sort_unstable();
    Ok(rows)
}

/// Of each image the `per_image` patches with the smallest `u x sum` of how many patches of the image hold each of the patch's
/// classes, u uniform in 0..1: rare classes stay. A patch without any class counts the patches without any class.
///
/// # Errors
/// When an image reaches beyond the labels.
pub fn class_balanced(
    labels: &Labels,
    images: &[Range<usize>],
    per_image: usize,
    seed: u64,
) -> Result<Vec<usize>, RetrievalError> {
    let mut chance = Chance::new(seed);
    let mut kept = Vec::new();
    for image in images {
        if image.end > labels.rows() {
            let limit = labels.rows() + 1;
            return Err(RetrievalError::OutOfRange { what: "end of an image", limit, actual: image.end });
        }
        let present: Vec<Vec<usize>> = image.clone().map(|row| classes_of(labels, row)).collect();
        let mut patches = vec![0_u32; labels.shape().classes + 1];
        present.iter().flatten().for_each(|&class| patches[class] += 1);
        let mut ranked: Vec<(f64, usize)> = image
            .clone()
            .zip(&present)
            .map(|(row, classes)| {
                let sum: f64 = classes.iter().map(|&class| f64::from(patches[class])).sum();
                (sum * chance.unit(), row)
            })
            .collect();
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        kept.extend(ranked.into_iter().take(per_image).map(|r| r.1));
    }
    kept.sort_unstable();
    kept.dedup();
    Ok(kept)
}

/// The classes of a patch; the number of classes stands for none.
fn classes_of(labels: &Labels, row: usize) -> Vec<usize> {
    let classes = labels.shape().classes;
    let mut found: Vec<usize> = match labels {
        Labels::Complete(l) => {
            l.counts(row).iter().enumerate().filter(|(_, n)| **n > 0).map(|(class, _)| class).collect()
        }
        Labels::Average(l) => (0..classes).filter(|&class| l.means()[[row, class]] > 0.0).collect(),
    };
    if found.is_empty() {
        found.push(classes);
    }
    found
}

fn check_count(n: usize, count: usize) -> Result<(), RetrievalError> {
    if count <= n {
        return Ok(());
    }
    Err(RetrievalError::bad_option("rows to keep", format!("at most {n}"), count))
}

#[cfg(test)]
#[expect(clippy::single_range_in_vec_init, reason = "one image is a list of one range")]
mod tests {
    use super::*;
    use crate::CompleteLabels;
    use ndarray::Array4;

    #[test]
    fn random_rows_are_distinct_ascending_and_seeded() {
        let rows = random(50, 20, 1).unwrap();
        assert!(rows.windows(2).all(|w| w[0] < w[1]) && rows[19] < 50);
        assert_ne!(rows, random(50, 20, 2).unwrap());
        assert_eq!(random(5, 5, 3).unwrap(), [0, 1, 2, 3, 4]);
        assert!(random(5, 6, 3).is_err());
    }

    #[test]
    fn rare_classes_survive_balancing() {
        // Patch 7 alone has class 1; all others have class 0.
        let masks = Array4::from_shape_fn((40, 1, 1, 2), |(n, _, _, c)| u8::from((n == 7) == (c == 1)));
        let labels = Labels::Complete(CompleteLabels::from_patches(masks.view()).unwrap());
        let mut kept = 0;
        for seed in 0..200 {
            let rows = class_balanced(&labels, &[0..40], 4, seed).unwrap();
            assert_eq!(rows.len(), 4);
            kept += usize::from(rows.contains(&7));
        }
        // Its u must be below the fourth smallest of 39 x 39 u: nearly always; a random choice keeps it one time in ten.
        assert!(kept > 180, "{kept} of 200");
        assert!(class_balanced(&labels, &[30..41], 4, 0).is_err());
        assert_eq!(class_balanced(&labels, &[0..3, 10..12], 9, 0).unwrap(), [0, 1, 2, 10, 11]);
    }
}
