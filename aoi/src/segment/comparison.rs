//! How many labelled pictures are enough, and which way of using them is best: every method on the same draws.

use std::collections::BTreeMap;

use aoi_encoder::ndarray::Array3;
use aoi_retrieval::{Bank, Beta, Confusion, Labels, Rule, TuneGrid, TuneImages, TuneOptions, coreset, tune};

use super::baseline::{MeanMask, WholeImages};
use super::index::{patch_labels, size_of, unit_rows};
use super::labelled::{Labelled, LabelledFolder};
use super::{Segmenter, Settings, decide};
use crate::patch_encoder::{EncodedPicture, PatchEncoder};
use crate::progress::{Progress, report};
use crate::{Error, Result};

/// Neighbours of whole-picture retrieval.
const WHOLE_K: usize = 3;

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComparisonOptions {
    /// Numbers of labelled pictures.
    pub labelled: Vec<usize>,
    /// Pictures that every draw is tested on; drawn first, so that they are the same for all numbers of one seed.
    pub tested: usize,
    /// One draw a seed.
    pub seeds: Vec<u64>,
    /// Threads of the search; results do not depend on it.
    pub threads: usize,
}

impl Default for ComparisonOptions {
    fn default() -> Self {
        Self { labelled: vec![1, 5, 20], tested: 60, seeds: vec![0, 1, 2], threads: 1 }
    }
}

/// A method at one number of labelled pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparisonRow {
    /// How many.
    pub labelled: usize,
    /// What was done with them.
    pub method: &'static str,
    /// Mean `IoU` of each draw, in the order of the seeds.
    pub mean_iou: Vec<f64>,
}

impl ComparisonRow {
    /// Mean over the draws, and their spread: half the range.
    pub fn summary(&self) -> (f64, f64) {
        let n = self.mean_iou.len() as f64;
        let (low, high) =
            self.mean_iou.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
        (self.mean_iou.iter().sum::<f64>() / n, (high - low) / 2.0)
    }
}

/// All rows: by number of labelled pictures, then by method.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    /// The rows.
    pub rows: Vec<ComparisonRow>,
}

/// Methods in the order in which they are reported.
const METHODS: [&str; 6] = [
    "mean mask",
    "whole image, k=3",
    "similarity, k=10",
    "attention 0.02, k=30",
    "uniform, k=10",
    "tuned by cross-validation",
];

/// Draws labelled and test pictures, segments with every method, and counts over all pixels of the test pictures.
///
/// The baselines: the mean of the labelled masks, and the masks of the most similar whole pictures. The patch methods use complete
/// masks and thresholds of a half; the tuned one chooses k, rule and thresholds by cross-validation over the labelled pictures alone, and is
/// left out where there are fewer than two.
///
/// # Errors
/// When there are fewer pictures than the largest draw needs, one cannot be used, or `progress` (over draws) breaks off.
pub fn compare(
    encoder: &dyn PatchEncoder,
    labels: &LabelledFolder,
    options: &ComparisonOptions,
    progress: &mut Progress<'_>,
) -> Result<Comparison> {
    let most = options.labelled.iter().copied().max().unwrap_or(0);
    if options.labelled.contains(&0) || most == 0 || options.tested == 0 || options.seeds.is_empty() {
        return Err(Error::option(
            "comparison",
            "at least one labelled picture, one test picture and one seed",
            "none",
        ));
    }
    if most + options.tested > labels.len() {
        return Err(Error::option(
            "labelled and test pictures",
            format!("at most the {} there are", labels.len()),
            format!("{most} + {}", options.tested),
        ));
    }
    let mut cache = Cache { encoder, labels, known: BTreeMap::new() };
    let mut found: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
    let steps = options.seeds.len() * options.labelled.len();
    let mut done = 0;
    for &seed in &options.seeds {
        let order = shuffled(labels.len(), seed)?;
        let (tested, rest) = order.split_at(options.tested);
        for &n in &options.labelled {
            report(progress, "draws", done, steps)?;
            let scores = draw(&mut cache, tested, &rest[..n], seed, options.threads)?;
            for (method, score) in scores.into_iter().enumerate() {
                if let Some(score) = score {
                    found.entry((n, method)).or_default().push(score);
                }
            }
            done += 1;
        }
    }
    report(progress, "draws", steps, steps)?;
    let row = |((labelled, method), mean_iou)| ComparisonRow { labelled, method: METHODS[method], mean_iou };
    Ok(Comparison { rows: found.into_iter().map(row).collect() })
}

/// All numbers below `n` in an order that hangs on the seed.
fn shuffled(n: usize, seed: u64) -> Result<Vec<usize>> {
    let mut left: Vec<usize> = (0..n).collect();
    let mut order = Vec::with_capacity(n);
    while !left.is_empty() {
        let place =
            coreset::random(left.len(), 1, seed.wrapping_mul(1_000_003).wrapping_add(left.len() as u64))?[0];
        order.push(left.swap_remove(place));
    }
    Ok(order)
}

/// Pictures that were encoded before.
struct Cache<'a> {
    encoder: &'a dyn PatchEncoder,
    labels: &'a LabelledFolder,
    known: BTreeMap<usize, Known>,
}

#[derive(Clone)]
struct Known {
    name: String,
    mask: Array3<u8>,
    encoded: EncodedPicture,
}

impl Cache<'_> {
    fn get(&mut self, i: usize) -> Result<Known> {
        if let Some(known) = self.known.get(&i) {
            return Ok(known.clone());
        }
        let Labelled { name, picture, mask } = self.labels.read(i)?;
        let encoded = self.encoder.encode(&picture)?;
        let known = Known { name, mask, encoded };
        self.known.insert(i, known.clone());
        Ok(known)
    }
}

/// The mean `IoU` of every method on one draw.
fn draw(
    cache: &mut Cache<'_>,
    tested: &[usize],
    chosen: &[usize],
    seed: u64,
    threads: usize,
) -> Result<[Option<f64>; METHODS.len()]> {
    let (encoder, classes) = (cache.encoder, cache.labels.classes());
    let taught = chosen.iter().map(|&i| cache.get(i)).collect::<Result<Vec<_>>>()?;
    let mut bank: Option<Bank> = None;
    for Known { name, mask, encoded } in &taught {
        let own = Labels::Complete(patch_labels(mask, encoder.patch())?);
        let bank = match &mut bank {
            Some(bank) => bank,
            None => bank.insert(Bank::new(encoder.width(), classes.to_vec(), own.select(&[])?)?),
        };
        bank.add_sized_image(name, size_of(mask), unit_rows(encoded.patches.clone()).view(), &own)?;
    }
    let Some(bank) = bank else { unreachable!("at least one labelled picture was checked for") };
    let mean = MeanMask::new(taught.iter().map(|k| k.mask.clone()).collect())?;
    let whole = WholeImages::new(taught.iter().map(|k| (k.encoded.whole.clone(), k.mask.clone())).collect())?;
    let tuned = tuned(&bank, seed, threads)?;
    let patch = |k, rule| Settings { k, rule, ..Settings::default() };
    let mut ways = vec![
        patch(10, Rule::Similarity),
        patch(30, Rule::Attention(Beta::Shared(0.02))),
        patch(10, Rule::Uniform),
    ];
    ways.extend(tuned);
    let largest = ways.iter().map(|w| w.k).max().unwrap_or(1);
    let segmenter = Segmenter::new(encoder, &bank, Settings::default(), threads)?;
    let mut counts = vec![Confusion::default(); 2 + ways.len()];
    for &i in tested {
        let Known { mask, encoded, .. } = cache.get(i)?;
        let (_, height, width) = mask.dim();
        let mut count = |way: usize, scores: Array3<f64>, settings: &Settings| -> Result<()> {
            let predicted = decide(scores.view(), settings)?;
            counts[way].merge(&Confusion::of(predicted.view(), mask.view())?);
            Ok(())
        };
        count(0, mean.scores((height, width))?, &Settings::default())?;
        count(1, whole.scores(&encoded.whole, WHOLE_K, (height, width))?, &Settings::default())?;
        let lookup = segmenter.look_up(&encoded, largest)?;
        for (way, settings) in (2..).zip(&ways) {
            let scores = lookup.scores(bank.labels(), (settings.k, &settings.rule), (height, width))?;
            count(way, scores, settings)?;
        }
    }
    let mut scores = [None; METHODS.len()];
    for (score, counts) in scores.iter_mut().zip(&counts) {
        *score = Some(counts.mean_iou().unwrap_or(0.0));
    }
    Ok(scores)
}

/// The best settings by cross-validation over the pictures of a bank; none for a single picture.
fn tuned(bank: &Bank, seed: u64, threads: usize) -> Result<Option<Settings>> {
    let images = bank.images();
    let Labels::Complete(labels) = bank.labels() else { return Ok(None) };
    if images.len() < 2 {
        return Ok(None);
    }
    let data = TuneImages { keys: bank.keys(), labels, images };
    let options = TuneOptions { folds: images.len().min(5), seed, threads };
    let tuned = tune(&data, &TuneGrid::default(), &options, &mut |_| std::ops::ControlFlow::Continue(()))?;
    Ok(tuned.best().map(|best| Settings {
        k: best.k,
        rule: best.rule.clone(),
        thresholds: best.thresholds.clone(),
        ..Settings::default()
    }))
}
