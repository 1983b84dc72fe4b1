//! Arguments that the segmentation commands share.

use std::path::{Path, PathBuf};

use aoi::LoadArguments;
use aoi::masks::{MaskFolder, MaskValues, check_classes_of};
use aoi::patch_encoder::{PatchEncoder, VitOptions, open};
use aoi::segment::{Decision, NetworkSegmenter, Predictor, Segmenter, Settings};
use aoi_encoder::finetune::Tuned;
use aoi_retrieval::{Bank, Metric, Rule};
use clap::{Args, ValueEnum};

use crate::command::devices::Device;
use crate::command::normalisation::NormalisationArguments;
use crate::command::outcome::Failure;
use crate::command::precision::PrecisionName;
use crate::command::progress::Counter;
use crate::command::search::{CPU, GpuScan, PlaceArguments};
use crate::command::threads::ThreadArguments;
use crate::command::tiling::TilingArguments;

/// How pictures become patches.
#[derive(Args)]
#[command(next_help_heading = "Encoder")]
pub(crate) struct EncoderArguments {
    #[command(flatten)]
    load: LoadArguments,
    #[command(flatten)]
    normalisation: NormalisationArguments,
    /// Pixels of an image along one side of a patch [default: the encoder's patch]; fewer enlarge small images
    #[arg(long, value_name = "PIXELS")]
    cell: Option<usize>,
    #[command(flatten)]
    tiling: TilingArguments,
    /// Tiles in one forward pass; results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 8)]
    batch: usize,
    /// Numbers that products are made of; a bank and the images looked up in it take the same
    #[arg(long, value_enum, default_value = "f32")]
    precision: PrecisionName,
}

impl EncoderArguments {
    /// Whether any of them was given that says how pictures are prepared.
    fn is_any(&self) -> bool {
        let prepared = self.normalisation.is_any() || self.cell.is_some() || self.tiling.is_any();
        prepared || self.load.is_any() || self.precision != PrecisionName::F32
    }

    /// Opens pixel patches or a transformer; what was guessed goes to standard error.
    pub(crate) fn open(&self, weights: &Path, threads: usize) -> Result<Box<dyn PatchEncoder>, Failure> {
        let options = VitOptions {
            load: self.load.options(),
            mean: self.normalisation.mean.clone(),
            std: self.normalisation.std.clone(),
            cell: self.cell,
            tiling: self.tiling.tiling(),
            batch: self.batch,
            threads,
            precision: self.precision.into(),
        };
        let (encoder, notes) = open(weights, &options)?;
        for note in notes {
            eprintln!("note: {note}");
        }
        Ok(encoder)
    }
}

/// How mask files are read.
#[derive(Args)]
pub(crate) struct MaskArguments {
    /// What mask files hold: index (class numbers, or one file a class), dark:LEVEL or bright:LEVEL (drawings of one class)
    #[arg(long, value_name = "VALUES", default_value = "index")]
    mask_values: MaskValues,
}

impl MaskArguments {
    /// A folder of masks.
    pub(crate) fn folder(&self, folder: &Path, classes: Vec<String>) -> Result<MaskFolder, Failure> {
        Ok(MaskFolder::new(folder, classes)?.with_values(self.mask_values))
    }
}

/// How neighbours become masks.
#[derive(Args)]
#[command(next_help_heading = "Segmentation")]
pub(crate) struct SettingArguments {
    /// Settings written by `aoi segment tune`; the options below go before them
    #[arg(long, value_name = "SETTINGS.json")]
    settings: Option<PathBuf>,
    /// Neighbours per patch [default: 10]
    #[arg(long)]
    k: Option<usize>,
    /// similarity, uniform, attention:BETA or multi-scale:BETA; BETA may be one per class, with commas [default: similarity]
    #[arg(long, value_name = "RULE")]
    mix: Option<Rule>,
    /// Threshold of the score, or one per class [default: 0.5]
    #[arg(long, value_name = "T,..", value_delimiter = ',')]
    thresholds: Option<Vec<f64>>,
    /// How scores become masks [default: threshold]
    #[arg(long, value_enum)]
    decision: Option<DecisionName>,
}

#[derive(Clone, Copy, ValueEnum)]
enum DecisionName {
    /// Every class above its threshold; classes may overlap
    Threshold,
    /// The best class, or background: label maps
    Best,
}

impl SettingArguments {
    /// The file's settings, or the defaults, with what was asked for.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        let from = match &self.settings {
            Some(path) => Settings::load(path)?,
            None => Settings::default(),
        };
        let decision = self.decision.map(|d| match d {
            DecisionName::Threshold => Decision::Threshold,
            DecisionName::Best => Decision::Best,
        });
        Ok(Settings {
            k: self.k.unwrap_or(from.k),
            rule: self.mix.clone().unwrap_or(from.rule),
            thresholds: self.thresholds.clone().unwrap_or(from.thresholds),
            decision: decision.unwrap_or(from.decision),
        })
    }
}

/// A bank with its encoder, or a fine-tuned network, at work.
#[derive(Args)]
pub(crate) struct PredictorArguments {
    /// Encoder that the bank was made with, or a fine-tuned network (`aoi encoder finetune`), which needs no bank
    #[arg(long, value_name = "W")]
    weights: PathBuf,
    /// Bank of labelled patches
    #[arg(long, value_name = "BANK")]
    bank: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingArguments,
    #[command(flatten)]
    encoder: EncoderArguments,
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    threads: ThreadArguments,
}

impl PredictorArguments {
    /// Opens what was named and hands it to `work`.
    pub(crate) fn with<R>(
        &self,
        work: &mut dyn FnMut(&dyn Predictor) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let (settings, threads) = (self.settings.settings()?, self.threads.count());
        let Some(path) = &self.bank else {
            if !Tuned::is_file(&self.weights).map_err(aoi::Error::from)? {
                let words = "holds an encoder without a head: give its --bank too, or a fine-tuned network";
                return Err(Failure::Usage(format!("{} {words}", self.weights.display())));
            }
            if self.encoder.is_any() || self.settings.k.is_some() || self.settings.mix.is_some() {
                let words =
                    "a network says itself how pictures are prepared; neighbours and mixing need a --bank";
                return Err(Failure::Usage(words.into()));
            }
            if self.place.device == Device::Gpu || self.place.gpu_scan != GpuScan::Auto {
                return Err(Failure::Usage(
                    "a network is computed on the CPU: --device gpu and --gpu-scan need a --bank".into(),
                ));
            }
            return work(&NetworkSegmenter::load(&self.weights, settings, threads)?);
        };
        let encoder = self.encoder.open(&self.weights, threads)?;
        let bank = bank(path)?;
        let place = self.place.open()?;
        let bar = Counter::new("rows read");
        let mut on = bar.on();
        let placed = place.prepare(bank.keys(), Metric::Cosine, threads, &mut |p| on(p.done, p.total))?;
        drop(bar);
        if placed.device != CPU {
            eprintln!("note: searching on {}", placed.device);
        }
        work(&Segmenter::with_search(&*encoder, &bank, placed.search, settings, threads)?)
    }
}

/// Opens a bank, whose classes have to be able to name files.
pub(crate) fn bank(path: &Path) -> Result<Bank, Failure> {
    let bank = Bank::open(path).map_err(aoi::Error::from)?;
    check_classes_of(path, bank.classes())?;
    Ok(bank)
}
