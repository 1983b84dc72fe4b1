//! What patch search has to beat: the mean mask, and the masks of the most similar whole pictures.

use aoi_encoder::images::resize;
use aoi_encoder::ndarray::{Array1, Array3};
use aoi_retrieval::{Rule, cosine_distance, mix_whole_images};

use crate::{Error, Result};

/// The mean of the labelled masks: what is known of an aligned picture before it is looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct MeanMask {
    masks: Vec<Array3<u8>>,
}

impl MeanMask {
    /// Masks of the same classes, of any sizes.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(masks: Vec<Array3<u8>>) -> Result<Self> {
        if masks.is_empty() {
            return Err(Error::option("masks", "at least one", 0));
        }
        Ok(Self { masks })
    }

    /// The share of masks that have each class, brought to (height, width).
    ///
    /// # Errors
    /// When a mask has no pixel.
    pub fn scores(&self, (height, width): (usize, usize)) -> Result<Array3<f64>> {
        let mut sum: Option<Array3<f64>> = None;
        for mask in &self.masks {
            let resized = resize(&mask.mapv(f32::from), height, width)?.mapv(f64::from);
            sum = Some(sum.map_or(resized.clone(), |sum| sum + &resized));
        }
        let sum = sum.unwrap_or_else(|| Array3::zeros((0, height, width)));
        Ok(sum / self.masks.len() as f64)
    }
}

/// Retrieval of whole pictures: masks of the k nearest by their whole-picture vectors, each weighted by 1 over its distance.
#[derive(Debug, Clone, PartialEq)]
pub struct WholeImages {
    pictures: Vec<(Array1<f32>, Array3<u8>)>,
}

impl WholeImages {
    /// Whole-picture vectors with their masks.
    ///
    /// # Errors
    /// When there is none.
    pub fn new(pictures: Vec<(Array1<f32>, Array3<u8>)>) -> Result<Self> {
        if pictures.is_empty() {
            return Err(Error::option("labelled pictures", "at least one", 0));
        }
        Ok(Self { pictures })
    }

    /// The mixed masks of the `k` nearest, brought to (height, width); of equally near pictures the first.
    ///
    /// # Errors
    /// When a mask has no pixel or other classes.
    pub fn scores(
        &self,
        whole: &Array1<f32>,
        k: usize,
        (height, width): (usize, usize),
    ) -> Result<Array3<f64>> {
        let flat = |v: &Array1<f32>| v.to_vec();
        let query = flat(whole);
        let mut nearest: Vec<(f64, usize)> = self
            .pictures
            .iter()
            .enumerate()
            .map(|(i, (vector, _))| (cosine_distance(&query, &flat(vector)), i))
            .collect();
        nearest.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        nearest.truncate(k.max(1));
        let distances: Vec<f64> = nearest.iter().map(|n| n.0).collect();
        let masks = nearest
            .iter()
            .map(|&(_, i)| {
                let resized = resize(&self.pictures[i].1.mapv(f32::from), height, width)?;
                Ok(resized.mapv(|v| u8::from(v > 0.5)))
            })
            .collect::<Result<Vec<_>>>()?;
        let views: Vec<_> = masks.iter().map(|m| m.view()).collect();
        Ok(mix_whole_images(&views, &distances, &Rule::Similarity)?)
    }
}

#[cfg(test)]
mod tests {
    use aoi_encoder::ndarray::array;

    use super::*;

    #[test]
    fn the_mean_mask_is_the_share_of_masks_at_the_size_asked_for() {
        let mean = MeanMask::new(vec![array![[[1, 0]]], array![[[1, 1]]]]).unwrap();
        assert_eq!(mean.scores((1, 2)).unwrap(), array![[[1.0, 0.5]]]);
        assert_eq!(mean.scores((3, 4)).unwrap().dim(), (1, 3, 4));
        assert!(MeanMask::new(vec![]).is_err());
    }

    #[test]
    fn the_nearest_picture_lends_its_mask() {
        let pictures = vec![(array![1.0, 0.0], array![[[1, 0]]]), (array![0.0, 1.0], array![[[0, 1]]])];
        let images = WholeImages::new(pictures).unwrap();
        assert_eq!(images.scores(&array![0.1, 2.0], 1, (1, 2)).unwrap(), array![[[0.0, 1.0]]]);
        let both = images.scores(&array![1.0, 1.0], 2, (1, 2)).unwrap();
        assert!((both[[0, 0, 0]] - 0.5).abs() < 1e-9, "equally near: {both}");
        assert!(WholeImages::new(vec![]).is_err());
    }
}
