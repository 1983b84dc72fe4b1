//! What adapts to a new device best: fine-tuning or retrieval, with an encoder pre-trained on unlabelled pictures or not.
//!
//! One program makes the comparison that the method's claims rest on, on generated wire bonds or on a folder of labelled pictures. Per seed, the pictures of every
//! device are drawn into a few labelled ones, those tested on, and the rest, whose masks nobody sees and on which a masked autoencoder is trained. Then every
//! encoder is adapted in every way, to one device at a time and to all together. Budgets are counted in multiplications and additions ([`operations`]), so that what is
//! compared does not depend on the machine; seconds are measured beside them.
//!
//! What is compared at equal budgets: `scratch, equal budget` takes as many operations in fine-tuning as pre-training and fine-tuning together take in the row above it,
//! the pre-training shared by the devices it serves.
//!
//! Encoders that know something and encoders drawn at random are fine-tuned at rates of their own ([`Rates`]): of the few that were tried on pictures of another
//! seed, those that served each best. A pre-trained encoder at one rate for all blocks learned hardly faster than one drawn at random; it wants a fast head. Features of
//! both are centred ([`aoi_encoder::centred`]), without which attention, which weighs neighbours by differences of cosines, finds too few.
//!
//! # What was tried
//! On generated wire bonds, an encoder 96 wide of 4 blocks, patches of 8, crops of 64, 75 % hidden, normalised targets, 300 unlabelled pictures. Mean `IoU` of one device; no more than three draws,
//! so these numbers led to the defaults and prove nothing.
//! - Length: after 135 steps the loss was 0.81 and retrieval (similarity, attention) reached 0.44 and 0.35 of three labelled pictures; after 2,000 steps 0.56 (held out), and
//!   0.71 and 0.66, of other draws of pictures.
//! - Centred features took attention from 0.66 to 0.79, and from 0.50 to 0.67 with one labelled picture of another seed. Whitening them did no better; the block before the last, as it
//!   is, did as well as the last centred. Whitened pixels of the same patch reached 0.82 and 0.69 there, and with patches of 4 pixels 0.89 and 0.78.
//! - Rates, 1,000 crops in steps of 8: one rate of 2e-3 0.57, head 2e-3 (factor 0.5 a block) 0.54, 5e-3 (0.5) 0.60, 1e-2 (0.3) 0.63. In steps of 2 or 4 crops 0.72.
//! - Against random weights, steps of 4: 0.77 against 0.71 after 2,000 crops each (three labelled pictures). At an equal budget (one labelled picture, pre-training shared by three devices)
//!   0.72 after 2,000 crops, against 0.74 for random weights after 8,440: three draws do not tell them apart.
//! - Patches of 4 and crops of 32, everything else as by default, three draws of three labelled pictures: of one device 0.628 against 0.551 for random weights at an equal budget
//!   (difference 0.078, 95 % interval 0.049 to 0.107), all rates as found for patches of 8. Of all devices together, where pre-training is not shared and random weights see eleven times the crops,
//!   0.531 against 0.676 (-0.145, -0.387 to 0.096). Both are below retrieval (0.693 and 0.747, of whitened pixels 0.805 and 0.873): so few crops of so few pixels do not teach a head enough.
//! - Patches of 8, three draws of three labelled pictures, 1,920 crops: 0.712 +- 0.012; what is missing is mostly wires (0.67), which are thin beside a patch.
//! - The same with half of the patches hidden 0.704 +- 0.018, with plain targets 0.710 +- 0.012: neither decides anything.
//! - 90 % hidden 0.700 +- 0.021: no difference either. **Three times the epochs 0.744 +- 0.026**, better in each draw (+0.034, +0.045, +0.016; 95 % interval of the mean -0.005 to 0.068), the loss at 0.40
//!   instead of 0.52 and still falling: of all settings only length has mattered, and 2,000 steps were not enough.
//! - A decoder as wide as the encoder and two blocks deep 0.723 +- 0.016 (+0.016, +0.010, +0.006; -0.002 to 0.023), at 2.3 times the operations: more epochs are the better use of them.
//! - Steps of 8 pictures instead of 32, as many pictures: 0.727 and 0.721 instead of 0.714 and 0.707 in two draws, now the default. Higher rates did worse: 2e-3 with steps of 8 0.697 and 0.700,
//!   4e-3 with 16 0.683 and 0.667, 3e-3 with 32 0.694 and 0.665.
//! - Three times the epochs in steps of 8, retrieval of three labelled pictures with that one encoder (its unlabelled pictures are among those that the second and third draw
//!   label or test): similarity 0.789 +- 0.018, attention 0.809 +- 0.032. Whitened pixels of the same patch reached 0.728 +- 0.030 and 0.822 +- 0.027 there: by similarity learning is
//!   better in each draw (+0.067, +0.058, +0.056), by attention worse (-0.014, -0.014, -0.010), and whitened pixels of patches of 4 are better than both.
//! - **At an equal budget pre-training wins** where fine-tuning is long enough to use it: 7,680 crops (`--finetune-crops 7680`), three labelled pictures, one device, five draws: 0.812 +- 0.014
//!   against 0.762 +- 0.025 for random weights at the budget of both (+0.020, +0.070, +0.056, +0.051, +0.055; mean 0.050, 95 % interval 0.027 to 0.073; three draws left it open, so two were
//!   added) and 0.711 +- 0.025 at the fine-tuning budget alone. Of all devices together, where pre-training is not shared and random weights see nearly four times the crops, three draws do not decide
//!   (0.794 and 0.805, -0.051 to 0.028).
//! - **Patches of 4 want more surroundings**: with crops of 32 and 660 epochs one draw came to 0.757 by similarity and 0.779 by attention, with crops of 64 and 220 epochs to 0.807 and
//!   0.819, with 660 to 0.849 and 0.848 (0.852 by similarity of whitened features), against 0.785 and 0.858 of whitened pixels. With 2,000
//!   epochs, whitened, and tiles that share more, it is ahead of them with tuned rules too, and ships (`aoi/assets`).
//! - Not tried: longer still; rates of random weights for patches of 4. `--only fine-tuning --no-scratch` tries a draw in two minutes and a half.
//!
//! Tables, and which claims hold: `aoi-bench/adaptation`.
//!
//! # On pictures of others
//! - 400 grey crops of resistors, five labelled, 60 tested, the rest for pre-training, three draws: fine-tuning 0.599 +- 0.097 after pre-training, 0.466 +- 0.056 from random weights, 0.666 +- 0.033 from these at the
//!   budget of both, which is not shared with another device. Similarity 0.503 +- 0.028 after pre-training, 0.434 +- 0.100 with random weights, 0.349 +- 0.149 with whitened pixels. Whole
//!   images 0.763 +- 0.054: the crops are aligned, and what is missing inside them is found best by where it lies.
//! - 66 binary pictures of circuit boards with six kinds of defects of a few pixels, five labelled, one draw: nothing here finds any (mean `IoU` 0.00 to 0.02): patches of 8 without the template to compare
//!   with do not tell a defect from a pattern.
//!
//! [`compare`] measures and writes a table in Markdown, plots, a JSON record and sentences on what the numbers say ([`claims`]).

pub mod claims;
mod encoders;
pub mod interval;
pub mod operations;
mod outcome;
mod plot;
mod pool;
mod table;
mod ways;
mod whitened;

use std::path::Path;

use aoi::patch_encoder::{PatchEncoder, PcaEncoder, PcaOptions, VitEncoder, VitOptions};
use aoi_encoder::Encoder;
use aoi_tolerance::io::write_whole;

pub use self::encoders::Given;
use self::encoders::Source;
pub use self::outcome::{Cell, Comparison, Outcome, PreTraining};
pub use self::pool::Pool;
use self::pool::{Setting, Split};
use crate::error::Error;

/// Sizes and budgets.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Options {
    /// One draw of pictures, masks, weights and crops a seed.
    pub seeds: u64,
    /// The first seed: draws can be added to those of an earlier comparison.
    pub first_seed: u64,
    /// Labelled pictures of every device.
    pub labelled: usize,
    /// Pictures of every device that results are tested on.
    pub tested: usize,
    /// Pictures of every device without masks, where pictures are generated; of a folder all that are left over.
    pub unlabelled: usize,
    /// Epochs of pre-training.
    pub pretrain_epochs: u64,
    /// Its highest learning rate.
    pub pretrain_rate: f64,
    /// Its pictures a step.
    pub pretrain_batch: usize,
    /// Crops of one fine-tuning.
    pub finetune_crops: usize,
    /// Rates of fine-tuning encoders that have learned something: the head fast, the first blocks hardly.
    pub trained_rates: Rates,
    /// Rates of fine-tuning encoders drawn at random: all blocks alike.
    pub scratch_rates: Rates,
    /// Side of a patch of the encoder.
    pub patch: usize,
    /// Side of its crops.
    pub crop: usize,
    /// Its width, depth and heads.
    pub encoder: [usize; 3],
    /// Width, depth and heads of the decoder that pre-training needs.
    pub decoder: [usize; 3],
    /// Share of the patches masked in pre-training.
    pub mask_ratio: f64,
    /// Whether pre-training predicts pixels relative to mean and deviation of their patch.
    pub normalised_targets: bool,
    /// What is measured.
    pub measured: Measured,
    /// Whether encoders drawn at random are fine-tuned and searched with too, beside that with pre-training.
    pub scratch: bool,
    /// Another encoder to compare.
    pub weights: Option<Given>,
    /// Threads; accuracies do not depend on it, seconds do.
    pub threads: usize,
}

/// What a comparison measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Measured {
    /// Every way of adapting.
    #[value(skip)]
    All,
    /// Fine-tuning alone: for trying what pre-training is good for.
    FineTuning,
    /// Retrieval alone.
    Retrieval,
}

/// Learning rates of fine-tuning.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Rates {
    /// The highest, that of the head.
    pub head: f64,
    /// Factor from a block to the one before it.
    pub layer_decay: f64,
}

impl Options {
    /// Some half an hour on two cores: about eight thousand steps of pre-training, since a masked autoencoder knows little after a few hundred.
    pub fn full(threads: usize) -> Self {
        Self {
            seeds: 3,
            first_seed: 0,
            labelled: 3,
            tested: 8,
            unlabelled: 100,
            pretrain_epochs: 220,
            pretrain_rate: 1e-3,
            pretrain_batch: 8,
            finetune_crops: 1920,
            trained_rates: Rates { head: 3e-2, layer_decay: 0.2 },
            scratch_rates: Rates { head: 2e-3, layer_decay: 1.0 },
            patch: 8,
            crop: 64,
            encoder: [96, 4, 3],
            // Half the encoder's width, one block: reconstruction is not what the encoder is kept for.
            decoder: [48, 1, 2],
            measured: Measured::All,
            scratch: true,
            mask_ratio: 0.75,
            normalised_targets: true,
            weights: None,
            threads,
        }
    }

    /// Seconds: whether everything works, not what is best.
    pub fn quick(threads: usize) -> Self {
        Self {
            seeds: 2,
            labelled: 1,
            tested: 1,
            unlabelled: 2,
            pretrain_epochs: 2,
            finetune_crops: 16,
            patch: 8,
            crop: 32,
            encoder: [16, 2, 2],
            decoder: [8, 1, 2],
            ..Self::full(threads)
        }
    }

    fn check(&self) -> Result<(), Error> {
        let counts = [
            ("seeds", usize::try_from(self.seeds).unwrap_or(0)),
            ("labelled", self.labelled),
            ("tested", self.tested),
            ("pretrain-epochs", usize::try_from(self.pretrain_epochs).unwrap_or(0)),
            ("pretrain-batch", self.pretrain_batch),
            ("finetune-crops", self.finetune_crops),
            ("threads", self.threads),
        ];
        match counts.into_iter().find(|(_, n)| *n == 0) {
            Some((what, _)) => Err(Error::Option {
                what: format!("--{what}"),
                expected: "1 or more".into(),
                got: "0".into(),
            }),
            None if self.seeds < 2 => Err(Error::Option {
                what: "--seeds".into(),
                expected: "2 or more, since one draw has no interval".into(),
                got: self.seeds.to_string(),
            }),
            None => Ok(()),
        }
    }
}

/// Name of the row without pre-training, at the fine-tuning budget of the others.
pub const SCRATCH: &str = "scratch";
/// Name of the row without pre-training, at the budget of pre-training and fine-tuning.
pub const SCRATCH_EQUAL: &str = "scratch, equal budget";
/// Name of the row with pre-training.
pub const MAE: &str = "MAE-pre-trained";
/// Name of the row without learning.
pub const PIXELS: &str = "whitened pixels, no learning";

/// The ways, in the order in which they are shown.
pub const ALL_WAYS: [&str; 5] =
    [ways::FINETUNING, ways::SIMILARITY, ways::ATTENTION, ways::WHITENED, ways::WHOLE];

/// Adapts every encoder in every way; `say` hears what is being done and what came of it.
///
/// Table, plots and record are written into `out` after the second draw and every one after it, so that a long run that ends early has shown something.
///
/// # Errors
/// When an option is impossible, a device has too few pictures, a file cannot be read or written, or a training diverges.
pub fn compare(
    pool: &Pool,
    options: &Options,
    out: &Path,
    say: &mut dyn FnMut(&str),
) -> Result<Comparison, Error> {
    options.check()?;
    let runs = out.join("runs");
    if runs.exists() {
        let source =
            std::io::Error::new(std::io::ErrorKind::AlreadyExists, "remove it or choose another --out");
        return Err(Error::File { path: runs, source });
    }
    let given = options.weights.as_ref().map(|given| given.source(pool)).transpose()?;
    let mut comparison = Comparison::new(pool, options);
    for seed in options.first_seed..options.first_seed.saturating_add(options.seeds) {
        let split = pool.split(options.labelled, options.tested, seed)?;
        let folder = runs.join(format!("seed-{seed}"));
        say(&format!("seed {seed}: pre-training on {} pictures", split.unlabelled.len()));
        let pretrained = encoders::pretrain(pool, &split, options, &folder.join("pretrain"), seed)?;
        comparison.pretraining.push(pretrained.cost(seed));
        let drawn = || encoders::scratch(pool, &split, &pretrained.normalisation, options, seed);
        let scratch = options.scratch.then(drawn).transpose()?;
        let scratch = scratch.as_ref();
        let budget = pretrained.source.operations;
        if options.measured != Measured::FineTuning {
            for source in scratch.into_iter().chain([&pretrained.source]).chain(&given) {
                retrieval(pool, &split, (options, seed), source, &mut comparison, say)?;
            }
            pixels(pool, &split, (options, seed), &mut comparison, say)?;
        }
        for setting in split.settings.iter().filter(|_| options.measured != Measured::Retrieval) {
            let devices = if setting.mixed { 1.0 } else { split.devices as f64 };
            let mut rows = vec![(MAE, &pretrained.source, 0.0)];
            rows.extend(scratch.map(|scratch| (SCRATCH, scratch, 0.0)));
            rows.extend(scratch.map(|scratch| (SCRATCH_EQUAL, scratch, budget / devices)));
            rows.extend(given.iter().map(|given| (given.name.as_str(), given, 0.0)));
            for (place, (row, source, more)) in rows.into_iter().enumerate() {
                say(&format!("seed {seed}: fine-tuning, {}, {row}", setting.name));
                let run = folder.join(format!("{}-{place}", setting.name));
                let found = ways::finetune(pool, setting, (options, seed, more), source, &run)?;
                say(&format!("seed {seed}: mean IoU {:.3}", found.mean_iou()));
                comparison.add((setting, row, ways::FINETUNING), seed, found);
            }
        }
        comparison.finish();
        if comparison.pretraining.len() > 1 {
            write(&comparison, out)?;
        }
    }
    Ok(comparison)
}

/// Every way of retrieval by one transformer.
fn retrieval(
    pool: &Pool,
    split: &Split,
    (options, seed): (&Options, u64),
    source: &Source,
    comparison: &mut Comparison,
    say: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    say(&format!("seed {seed}: retrieval, {}", source.name));
    let normalisation = source.weights.normalisation(None, None)?;
    let vit = VitOptions {
        mean: Some(normalisation.mean),
        std: Some(normalisation.std),
        threads: options.threads,
        ..VitOptions::default()
    };
    let encoder = Encoder::new(&source.weights.config, &source.weights.params)?;
    let encoder = VitEncoder::new(encoder, &source.name, &vit)?;
    for setting in &split.settings {
        let work = |size| operations::picture(&source.weights.config, size);
        every(pool, setting, (options, seed), (&encoder, &source.name, &work), comparison, say)?;
    }
    Ok(())
}

/// The same by pixels, fitted on the unlabelled pictures.
fn pixels(
    pool: &Pool,
    split: &Split,
    (options, seed): (&Options, u64),
    comparison: &mut Comparison,
    say: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    let pictures: Vec<_> =
        split.unlabelled.iter().take(64).map(|&i| pool.picture(i).picture.clone()).collect();
    let pca = PcaOptions { patch: options.patch, seed, ..PcaOptions::default() };
    let encoder = PcaEncoder::fit(&pictures, &pca)?;
    for setting in &split.settings {
        every(pool, setting, (options, seed), (&encoder, PIXELS, &|_| f64::NAN), comparison, say)?;
    }
    Ok(())
}

/// Encoder, its row, and the operations of encoding a picture of (height, width).
type Encoding<'a> = (&'a dyn PatchEncoder, &'a str, &'a dyn Fn((usize, usize)) -> f64);

fn every(
    pool: &Pool,
    setting: &Setting,
    (options, seed): (&Options, u64),
    (encoder, row, work): Encoding<'_>,
    comparison: &mut Comparison,
    say: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    let whitened = whitened::Whitened::fit(encoder, pool, &setting.labelled)?;
    for (encoder, plain) in [(encoder, true), (&whitened as &dyn PatchEncoder, false)] {
        for (way, found) in ways::retrieve(pool, setting, options.threads, (encoder, work))? {
            let way = match (plain, way) {
                (true, _) => way,
                (false, ways::SIMILARITY) => ways::WHITENED,
                (false, _) => continue,
            };
            say(&format!("seed {seed}: {way}, {}, {row}: mean IoU {:.3}", setting.name, found.mean_iou()));
            comparison.add((setting, row, way), seed, found);
        }
    }
    Ok(())
}

/// Writes `adaptation.md`, `adaptation.json` and a plot for each setting into `folder`.
fn write(comparison: &Comparison, folder: &Path) -> Result<(), Error> {
    let mut files = vec![
        ("adaptation.md".to_owned(), table::markdown(comparison)),
        ("adaptation.json".to_owned(), serde_json::to_string_pretty(comparison).unwrap_or_default() + "\n"),
    ];
    for setting in comparison.settings() {
        files.push((plot::file(setting), plot::svg(comparison, setting)));
    }
    for (name, text) in files {
        write_whole(&folder.join(name), |out| out.write_all(text.as_bytes()))?;
    }
    Ok(())
}
