//! The search for k, mixing rule, temperature and thresholds by cross-validation over images.
//!
//! Neighbours are looked up once per fold, at the largest k; every other k is a prefix of them, and a prefix of the mix as well,
//! because weights are divided by their sum only at the end. Pixels are counted as an evaluation counts them: those in the image.

use ndarray::{Array2, ArrayView2, Axis};

use crate::chance::Chance;
use crate::progress::report;
use crate::{
    BankImage, Beta, ClassCounts, CompleteLabels, Confusion, CpuOptions, CpuSearch, Metric, ProgressFn,
    RetrievalError, Rule, Search, SearchOptions, neighbour_distances,
};

/// What is tried: every k with every rule; the best threshold of `thresholds` is found for each class by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct TuneGrid {
    /// Numbers of neighbours.
    pub k: Vec<usize>,
    /// Mixing rules, temperatures included.
    pub rules: Vec<Rule>,
    /// Thresholds.
    pub thresholds: Vec<f64>,
}

impl Default for TuneGrid {
    /// The values searched by AOI-SSL (arXiv 2605.12430).
    fn default() -> Self {
        let attention = [0.3, 0.15, 0.1, 0.02, 0.002].map(|b| Rule::Attention(Beta::Shared(b)));
        Self {
            k: vec![2, 4, 6, 10, 20, 30, 50],
            rules: [vec![Rule::Similarity], attention.to_vec()].concat(),
            thresholds: vec![0.5, 0.2, 0.1, 0.05, 0.01],
        }
    }
}

/// How the images are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TuneOptions {
    /// Parts; each is segmented by the others.
    pub folds: usize,
    /// Seed of the split.
    pub seed: u64,
    /// Threads, 0 for as many as the system offers.
    pub threads: usize,
}

impl Default for TuneOptions {
    fn default() -> Self {
        Self { folds: 5, seed: 0, threads: 0 }
    }
}

/// Labelled images: keys `[n, d]`, one complete label a row, and how the rows are shared out between the images.
///
/// An image of known size has all its patches, and only the pixels in it are counted. Of an image without a size every pixel of every patch
/// is counted, those beyond its border included.
#[derive(Debug, Clone, Copy)]
pub struct TuneImages<'a> {
    /// Keys of all patches.
    pub keys: ArrayView2<'a, f32>,
    /// Their masks, which are the truth as well.
    pub labels: &'a CompleteLabels,
    /// The images in the order of their rows, as a [`Bank`](crate::Bank) has them.
    pub images: &'a [BankImage],
}

impl TuneImages<'_> {
    /// The places of each image's rows, and rows and columns of every patch that are counted.
    fn layout(&self) -> Layout {
        let patch = self.labels.shape().patch;
        let mut layout = Layout { rows: Vec::new(), counted: Vec::with_capacity(self.keys.nrows()) };
        for image in self.images {
            let start = layout.counted.len();
            let inside = |i| image.size.map_or((patch, patch), |size| size.inside(patch, i));
            layout.counted.extend((0..image.rows).map(inside));
            layout.rows.push(start..layout.counted.len());
        }
        layout
    }
}

struct Layout {
    rows: Vec<std::ops::Range<usize>>,
    counted: Vec<(usize, usize)>,
}

/// One k with one rule, and its best threshold for each class.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Number of neighbours.
    pub k: usize,
    /// Mixing rule.
    pub rule: Rule,
    /// The best threshold of each class.
    pub thresholds: Vec<f64>,
    /// Counts over all held-out images at these thresholds.
    pub counts: Confusion,
}

/// All trials, the best first.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    /// From the highest mean `IoU` to the lowest; ties in the order of the grid.
    pub trials: Vec<Trial>,
}

impl Tuned {
    /// The best trial.
    pub fn best(&self) -> Option<&Trial> {
        self.trials.first()
    }
}

/// Tries every combination of `grid` by k-fold cross-validation over images.
///
/// # Errors
/// When the grid is empty or senseless, there are fewer images than folds or fewer than two folds, shapes do not fit, an image of known
/// size lacks patches (a coreset), a key is not finite, or `progress` (one step a fold and rule) cancels.
pub fn tune(
    data: &TuneImages<'_>,
    grid: &TuneGrid,
    options: &TuneOptions,
    progress: &mut ProgressFn<'_>,
) -> Result<Tuned, RetrievalError> {
    let build = CpuOptions { threads: options.threads, ..CpuOptions::default() };
    tune_with(
        data,
        grid,
        options,
        &mut |bank| Ok(Box::new(CpuSearch::new(bank, Metric::Cosine, &build)?)),
        progress,
    )
}

/// Makes the search over the bank of a fold, by cosine; borrows the bank.
pub type SearchMaker<'a, E> = dyn for<'b> FnMut(ArrayView2<'b, f32>) -> Result<Box<dyn Search + 'b>, E> + 'a;

/// [`tune`] with searches that `search` makes, one a fold; trials do not depend on them.
///
/// # Errors
/// As [`tune`]; when `search` fails.
pub fn tune_with<E: From<RetrievalError>>(
    data: &TuneImages<'_>,
    grid: &TuneGrid,
    options: &TuneOptions,
    search: &mut SearchMaker<'_, E>,
    progress: &mut ProgressFn<'_>,
) -> Result<Tuned, E> {
    check(data, grid, options)?;
    let classes = data.labels.shape().classes;
    let mut order = grid.k.clone();
    order.sort_unstable();
    order.dedup();
    let largest = order.last().copied().unwrap_or(1);
    // counts[rule][k][threshold][class]
    let blank = vec![vec![vec![ClassCounts::default(); classes]; grid.thresholds.len()]; order.len()];
    let mut counts = vec![blank; grid.rules.len()];
    let layout = data.layout();
    let shuffled = Chance::new(options.seed).choose(data.images.len(), data.images.len());
    let steps = options.folds * grid.rules.len();
    for fold in 0..options.folds {
        let part = |held: bool| -> Vec<usize> {
            let of_fold =
                |(i, &image): (usize, &usize)| ((i % options.folds == fold) == held).then_some(image);
            let mut images: Vec<usize> = shuffled.iter().enumerate().filter_map(of_fold).collect();
            images.sort_unstable();
            images.iter().flat_map(|&i| layout.rows[i].clone()).collect()
        };
        let (held, kept) = (part(true), part(false));
        let (queries, bank) = (data.keys.select(Axis(0), &held), data.keys.select(Axis(0), &kept));
        let asked = SearchOptions { k: largest, threads: options.threads };
        let found = search(bank.view())?.search(queries.view(), &asked)?;
        let distances = neighbour_distances(bank.view(), queries.view(), &found)?;
        let rows = found.indices.mapv(|i| kept[i as usize]);
        for (r, rule) in grid.rules.iter().enumerate() {
            report(progress, fold * grid.rules.len() + r, steps)?;
            for (q, &truth) in held.iter().enumerate() {
                count_patch(
                    data.labels,
                    rule,
                    (&rows, &distances, q),
                    (truth, layout.counted[truth]),
                    (&order, &grid.thresholds),
                    &mut counts[r],
                );
            }
        }
    }
    report(progress, steps, steps)?;
    let mut trials = Vec::new();
    for (rule, by_k) in grid.rules.iter().zip(&counts) {
        for (&k, by_threshold) in order.iter().zip(by_k) {
            trials.push(best_thresholds(k, rule, &grid.thresholds, by_threshold, classes));
        }
    }
    trials.sort_by(|a, b| {
        let score = |t: &Trial| t.counts.mean_iou().unwrap_or(0.0);
        score(b).total_cmp(&score(a))
    });
    Ok(Tuned { trials })
}

fn check(data: &TuneImages<'_>, grid: &TuneGrid, options: &TuneOptions) -> Result<(), RetrievalError> {
    if grid.k.is_empty() || grid.k.contains(&0) {
        return Err(RetrievalError::bad_option(
            "k",
            "at least one number, each at least 1",
            format!("{:?}", grid.k),
        ));
    }
    if grid.rules.is_empty() || grid.thresholds.is_empty() || grid.thresholds.iter().any(|t| !t.is_finite()) {
        return Err(RetrievalError::bad_option("grid", "at least one rule and one finite threshold", "less"));
    }
    for rule in &grid.rules {
        rule.check(data.labels.shape().classes)?;
    }
    if options.folds < 2 || options.folds > data.images.len() {
        let expected = format!("2 to {} (one image a fold)", data.images.len());
        return Err(RetrievalError::bad_option("folds", expected, options.folds));
    }
    if data.labels.rows() != data.keys.nrows() {
        return Err(RetrievalError::shape("labels", data.keys.nrows(), data.labels.rows()));
    }
    let patch = data.labels.shape().patch;
    if let Some(image) = data.images.iter().find(|image| image.is_whole(patch) == Some(false)) {
        return Err(RetrievalError::PartOfImage {
            name: image.name.clone(),
            expected: image.size.map_or(0, |size| size.patches(patch)),
            actual: image.rows,
        });
    }
    let rows = data.images.iter().fold(0_usize, |sum, image| sum.saturating_add(image.rows));
    if rows == data.keys.nrows() {
        return Ok(());
    }
    Err(RetrievalError::shape("images together", data.keys.nrows(), rows))
}

/// Counts the pixels of one held-out patch that are in its image, at every k and threshold.
fn count_patch(
    labels: &CompleteLabels,
    rule: &Rule,
    (rows, distances, q): (&Array2<usize>, &Array2<f64>, usize),
    (truth, (rows_in, columns_in)): (usize, (usize, usize)),
    (order, thresholds): (&[usize], &[f64]),
    counts: &mut [Vec<Vec<ClassCounts>>],
) {
    let (patch, pixels, classes) = (labels.shape().patch, labels.shape().pixels(), labels.shape().classes);
    let mut sums = vec![0.0; pixels * classes];
    let mut weights = vec![0.0; classes];
    let mut done = 0;
    let nearest = distances.row(q).first().copied().unwrap_or(0.0);
    for (i, &k) in order.iter().enumerate() {
        let k = k.min(rows.ncols());
        for j in done..k {
            let w: Vec<f64> =
                (0..classes).map(|class| rule.raw_weight(distances[[q, j]], nearest, class)).collect();
            weights.iter_mut().zip(&w).for_each(|(sum, w)| *sum += w);
            labels.for_each_set(rows[[q, j]], |bit| sums[bit] += w[bit / pixels]);
        }
        done = k;
        let scores = rule.finished(&sums, &weights, pixels);
        for (t, &threshold) in thresholds.iter().enumerate() {
            for (class, counts) in counts[i][t].iter_mut().enumerate() {
                for pixel in (0..rows_in * patch).filter(|pixel| pixel % patch < columns_in) {
                    counts.add(scores[class * pixels + pixel] > threshold, labels.get(truth, class, pixel));
                }
            }
        }
    }
}

#[expect(clippy::needless_range_loop, reason = "a class is the second index of a table")]
fn best_thresholds(
    k: usize,
    rule: &Rule,
    thresholds: &[f64],
    by_threshold: &[Vec<ClassCounts>],
    classes: usize,
) -> Trial {
    let mut trial = Trial { k, rule: rule.clone(), thresholds: Vec::new(), counts: Confusion::default() };
    for class in 0..classes {
        let score = |t: usize| by_threshold[t][class].iou().unwrap_or(0.0);
        let best = (0..thresholds.len()).fold(0, |best, t| if score(t) > score(best) { t } else { best });
        trial.thresholds.push(thresholds[best]);
        trial.counts.classes.push(by_threshold[best][class]);
    }
    trial
}

#[cfg(test)]
mod tests;
