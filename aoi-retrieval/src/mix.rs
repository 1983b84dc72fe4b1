//! From neighbours to a segmentation: weights, mixed masks, pictures, decisions.

#![expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]

mod decide;
mod name;
mod upsample;

pub use decide::{decide_by_threshold, decide_single};
pub use upsample::upsample_bilinear;

use ndarray::{Array2, Array3, ArrayView2, s};

use crate::metric::{distance_with_norm, norm};
use crate::search::cpu::isa::Isa;
use crate::{CompleteLabels, Labels, Neighbours, RetrievalError};

/// Keeps the similarity weight of an equal row finite.
const NEAREST: f64 = 1e-8;
/// Share of the patch means in [`Rule::MultiScale`].
const COARSE: f64 = 0.3;

/// One temperature for all classes, or one per class.
#[derive(Debug, Clone, PartialEq)]
pub enum Beta {
    /// The same for every class.
    Shared(f64),
    /// One for each class.
    PerClass(Vec<f64>),
}

/// How the masks of the neighbours `j` of a patch are mixed, `s_j` their cosines.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Rule {
    /// `w_j` proportional to `1 / (1 - s_j + 1e-8)`.
    #[default]
    Similarity,
    /// `w_j = 1 / k`.
    Uniform,
    /// `w_j` proportional to `exp(s_j / beta)`.
    Attention(Beta),
    /// 0.3 of the attention mix of patch means and 0.7 of that of whole patches.
    MultiScale(Beta),
}

impl Rule {
    /// The temperature for a class; none for rules without one.
    fn beta(&self, class: usize) -> Option<f64> {
        match self {
            Self::Similarity | Self::Uniform => None,
            Self::Attention(Beta::Shared(b)) | Self::MultiScale(Beta::Shared(b)) => Some(*b),
            Self::Attention(Beta::PerClass(b)) | Self::MultiScale(Beta::PerClass(b)) => b.get(class).copied(),
        }
    }

    fn per_class(&self) -> bool {
        matches!(self, Self::Attention(Beta::PerClass(_)) | Self::MultiScale(Beta::PerClass(_)))
    }

    /// Checks temperatures against the number of classes.
    pub(crate) fn check(&self, classes: usize) -> Result<(), RetrievalError> {
        let (Self::Attention(beta) | Self::MultiScale(beta)) = self else { return Ok(()) };
        let all = match beta {
            Beta::Shared(b) => std::slice::from_ref(b),
            Beta::PerClass(b) if b.len() == classes => b,
            Beta::PerClass(b) => {
                return Err(RetrievalError::bad_option("beta", format!("one or {classes} numbers"), b.len()));
            }
        };
        match all.iter().find(|b| !(b.is_finite() && **b > 0.0)) {
            Some(bad) => Err(RetrievalError::bad_option("beta", "a finite number above 0", bad)),
            None => Ok(()),
        }
    }

    /// Weight of a neighbour before division by their sum; `nearest` is the smallest distance of the query.
    pub(crate) fn raw_weight(&self, distance: f64, nearest: f64, class: usize) -> f64 {
        match (self, self.beta(class)) {
            (Self::Similarity, _) => 1.0 / (distance + NEAREST),
            (_, Some(beta)) => ((nearest - distance) / beta).exp(),
            _ => 1.0,
        }
    }

    /// Scores from sums of weighted masks `[c, p, p]` and the sum of weights of each class.
    pub(crate) fn finished(&self, sums: &[f64], weights: &[f64], pixels: usize) -> Vec<f64> {
        let mut scores = Vec::with_capacity(sums.len());
        for (plane, &weight) in sums.chunks_exact(pixels).zip(weights) {
            let coarse = if matches!(self, Self::MultiScale(_)) { COARSE } else { 0.0 };
            let mean = plane.iter().sum::<f64>() / pixels as f64;
            scores.extend(plane.iter().map(|s| (coarse * mean + (1.0 - coarse) * s) / weight));
        }
        scores
    }

    /// The weights of one class from the distances `1 - s_j` of a query's neighbours; they sum to 1.
    ///
    /// # Errors
    /// When a temperature is missing or not above 0.
    ///
    /// # Examples
    /// ```
    /// use aoi_retrieval::{Beta, Rule};
    /// assert_eq!(Rule::Uniform.weights(&[0.1, 0.2], 0)?, [0.5, 0.5]);
    /// let w = Rule::Attention(Beta::Shared(0.1)).weights(&[0.0, 0.1], 0)?;
    /// assert!((w[0] / w[1] - 1_f64.exp()).abs() < 1e-12);
    /// # Ok::<(), aoi_retrieval::RetrievalError>(())
    /// ```
    pub fn weights(&self, distances: &[f64], class: usize) -> Result<Vec<f64>, RetrievalError> {
        let needed = if let Self::Attention(Beta::PerClass(b)) | Self::MultiScale(Beta::PerClass(b)) = self {
            if class >= b.len() {
                return Err(RetrievalError::OutOfRange { what: "class", limit: b.len(), actual: class });
            }
            b.len()
        } else {
            class + 1
        };
        self.check(needed)?;
        let nearest = distances.iter().copied().fold(f64::INFINITY, f64::min);
        let mut weights: Vec<f64> = distances.iter().map(|&d| self.raw_weight(d, nearest, class)).collect();
        let sum: f64 = weights.iter().sum();
        for w in &mut weights {
            *w /= sum;
        }
        Ok(weights)
    }
}

/// Patches of an image, counted down and across.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PatchGrid {
    /// Patches from top to bottom.
    pub down: usize,
    /// Patches from left to right.
    pub across: usize,
}

/// `1 - s` of every neighbour, computed from the rows without cancellation.
///
/// # Shapes
/// `bank` `[n, d]`, `queries` `[q, d]`; the answer is `[q, k]`.
///
/// # Errors
/// When widths or numbers of queries differ, or a neighbour is not a row of the bank.
pub fn neighbour_distances(
    bank: ArrayView2<'_, f32>,
    queries: ArrayView2<'_, f32>,
    neighbours: &Neighbours,
) -> Result<Array2<f64>, RetrievalError> {
    if queries.ncols() != bank.ncols() {
        return Err(RetrievalError::WidthMismatch {
            what: "queries",
            expected: bank.ncols(),
            actual: queries.ncols(),
        });
    }
    if queries.nrows() != neighbours.queries() {
        let expected = (neighbours.queries(), bank.ncols());
        return Err(RetrievalError::shape("queries", expected, queries.dim()));
    }
    let (bank, queries) = (bank.as_standard_layout(), queries.as_standard_layout());
    if let Some(&row) = neighbours.indices.iter().find(|&&row| row as usize >= bank.nrows()) {
        return Err(RetrievalError::OutOfRange {
            what: "neighbour",
            limit: bank.nrows(),
            actual: row as usize,
        });
    }
    let mut distances = Array2::zeros(neighbours.indices.dim());
    Isa::detect().run(
        #[inline(always)]
        || fill_distances(bank.view(), queries.view(), neighbours.indices.view(), &mut distances),
    );
    Ok(distances)
}

/// The distances of rows that are in the bank.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
fn fill_distances(
    bank: ArrayView2<'_, f32>,
    queries: ArrayView2<'_, f32>,
    indices: ArrayView2<'_, u32>,
    distances: &mut Array2<f64>,
) {
    // Rows of arrays in standard layout are slices.
    for ((query, rows), mut found) in queries.rows().into_iter().zip(indices.rows()).zip(distances.rows_mut())
    {
        let query = query.to_slice().unwrap_or_default();
        let norm = norm(query);
        for (&row, distance) in rows.iter().zip(&mut found) {
            let row = bank.row(row as usize);
            *distance = distance_with_norm(query, norm, row.to_slice().unwrap_or_default());
        }
    }
}

/// The scores of every pixel of one image: neighbours' masks mixed and laid side by side.
///
/// Complete labels are placed without interpolation, average labels are upsampled bilinearly.
///
/// # Shapes
/// `rows` and `distances` are `[down * across, k]`, patches row by row; the answer is `[c, down * p, across * p]`.
///
/// # Errors
/// When shapes do not fit, there are no neighbours, a row is beyond the labels, or a temperature is not above 0.
pub fn mix(
    rows: ArrayView2<'_, u32>,
    distances: ArrayView2<'_, f64>,
    labels: &Labels,
    rule: &Rule,
    grid: PatchGrid,
) -> Result<Array3<f64>, RetrievalError> {
    let shape = labels.shape();
    rule.check(shape.classes)?;
    let cells = grid.down.saturating_mul(grid.across);
    if rows.dim() != distances.dim() || rows.nrows() != cells || rows.ncols() == 0 {
        return Err(RetrievalError::shape(
            "neighbours",
            (cells, "at least 1"),
            (rows.dim(), distances.dim()),
        ));
    }
    if let Some(&row) = rows.iter().find(|&&row| row as usize >= labels.rows()) {
        return Err(RetrievalError::OutOfRange { what: "row", limit: labels.rows(), actual: row as usize });
    }
    let p = shape.patch;
    let full = (shape.classes, grid.down * p, grid.across * p);
    match labels {
        Labels::Complete(complete) => {
            let mut picture = Array3::zeros(full);
            let mut patch = vec![0.0; shape.classes * shape.pixels()];
            for q in 0..cells {
                let distances = distances.row(q).to_vec();
                mix_patch(
                    rows.row(q).as_slice().unwrap_or(&rows.row(q).to_vec()),
                    &distances,
                    complete,
                    rule,
                    &mut patch,
                )?;
                let (y, x) = (q / grid.across * p, q % grid.across * p);
                let mut cell = picture.slice_mut(s![.., y..y + p, x..x + p]);
                cell.iter_mut().zip(&patch).for_each(|(cell, &score)| *cell = score);
            }
            Ok(picture)
        }
        Labels::Average(average) => {
            let mut coarse = Array3::zeros((shape.classes, grid.down, grid.across));
            for q in 0..cells {
                let distances = distances.row(q).to_vec();
                for class in 0..shape.classes {
                    let weights = rule.weights(&distances, class)?;
                    let mixed = rows
                        .row(q)
                        .iter()
                        .zip(weights)
                        .map(|(&row, w)| w * f64::from(average.means()[[row as usize, class]]))
                        .sum();
                    coarse[[class, q / grid.across, q % grid.across]] = mixed;
                }
            }
            Ok(upsample_bilinear(coarse.view(), (full.1, full.2)))
        }
    }
}

/// Mixes whole masks into `patch`, `[c, p, p]` flat.
fn mix_patch(
    rows: &[u32],
    distances: &[f64],
    labels: &CompleteLabels,
    rule: &Rule,
    patch: &mut [f64],
) -> Result<(), RetrievalError> {
    let pixels = labels.shape().pixels();
    let classes = labels.shape().classes;
    let tables = if rule.per_class() { classes } else { 1 };
    let weights: Vec<Vec<f64>> =
        (0..tables).map(|class| rule.weights(distances, class)).collect::<Result<_, _>>()?;
    patch.fill(0.0);
    for (j, &row) in rows.iter().enumerate() {
        if tables == 1 {
            let w = weights[0][j];
            labels.for_each_set(row as usize, |bit| patch[bit] += w);
        } else {
            labels.for_each_set(row as usize, |bit| patch[bit] += weights[bit / pixels][j]);
        }
    }
    if matches!(rule, Rule::MultiScale(_)) {
        for plane in patch.chunks_exact_mut(pixels) {
            let mean = plane.iter().sum::<f64>() / pixels as f64;
            for score in plane {
                *score = COARSE * mean + (1.0 - COARSE) * *score;
            }
        }
    }
    Ok(())
}

/// The weaker baseline: whole masks of the most similar images, mixed with one weight an image.
///
/// # Shapes
/// `masks` holds the k masks `[c, H, W]` that belong to the k `distances` (1 - cosine of whole-image features).
///
/// # Errors
/// When there are no masks, their shapes or number differ, or a temperature is not above 0.
pub fn mix_whole_images(
    masks: &[ndarray::ArrayView3<'_, u8>],
    distances: &[f64],
    rule: &Rule,
) -> Result<Array3<f64>, RetrievalError> {
    let Some(first) = masks.first().filter(|_| masks.len() == distances.len()) else {
        return Err(RetrievalError::shape("masks", (distances.len(), "at least 1"), masks.len()));
    };
    if let Some(other) = masks.iter().find(|m| m.dim() != first.dim()) {
        return Err(RetrievalError::shape("mask", first.dim(), other.dim()));
    }
    rule.check(first.dim().0)?;
    let mut picture = Array3::<f64>::zeros(first.dim());
    for (class, mut plane) in picture.outer_iter_mut().enumerate() {
        for (mask, w) in masks.iter().zip(rule.weights(distances, class)?) {
            plane.zip_mut_with(&mask.slice(s![class, .., ..]), |score, &bit| *score += w * f64::from(bit));
        }
    }
    Ok(picture)
}

#[cfg(test)]
mod tests;
