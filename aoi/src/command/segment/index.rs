//! `aoi segment index`.

use std::path::{Path, PathBuf};

use aoi::patch_encoder::{PatchEncoder, PcaEncoder, PcaOptions};
use aoi::segment::{Choice, IndexOptions, LabelKind, LabelledFolder, add_pictures, fit_patches, index};
use clap::{Args, ValueEnum};
use serde_json::json;

use super::arguments::{EncoderArguments, MaskArguments, bank};
use crate::command::outcome::{Failure, Outcome};
use crate::command::progress::Counter;
use crate::command::threads::ThreadArguments;

#[derive(Args)]
#[command(
    after_help = "Images: NAME.png, or one file a lighting: NAME_buffer0.png, NAME_buffer1.png. Masks: NAME.png (0 background, i class i), or NAME/CLASS.png.\n\n\
    Examples:\n  \
    aoi segment index --weights vit.safetensors --images images --masks masks --classes wire,ball --out bank.safetensors\n  \
    aoi segment index --fit patches.safetensors --images images --masks masks --classes wire,ball --out bank.safetensors\n  \
    aoi segment index --weights vit.safetensors --extend bank.safetensors --images more --masks more-masks --classes wire,ball --out bank.safetensors"
)]
pub(crate) struct Arguments {
    /// Encoder: the weights of a vision transformer, or pixel patches made with --fit
    #[arg(long, value_name = "W", required_unless_present_any = ["fit", "remove"])]
    weights: Option<PathBuf>,
    /// Fit pixel patches on these images, and write them here: an encoder without learning
    #[arg(long, value_name = "PATCHES", conflicts_with_all = ["weights", "extend"])]
    fit: Option<PathBuf>,
    /// Folder of labelled images
    #[arg(long, value_name = "DIR", required_unless_present = "remove")]
    images: Option<PathBuf>,
    /// Folder of their masks
    #[arg(long, value_name = "DIR", required_unless_present = "remove")]
    masks: Option<PathBuf>,
    /// Names of the classes, in the order of their numbers in label maps
    #[arg(long, value_name = "A,B,..", value_delimiter = ',', required_unless_present = "remove")]
    classes: Vec<String>,
    /// Where the bank goes
    #[arg(long, value_name = "BANK")]
    out: PathBuf,
    /// Add the images to this bank
    #[arg(long, value_name = "BANK")]
    extend: Option<PathBuf>,
    /// Take these images out of the bank given with --extend
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', requires = "extend", conflicts_with_all = ["images", "weights"])]
    remove: Vec<String>,
    /// What a patch is labelled with
    #[arg(long, value_enum, default_value = "complete")]
    labels: LabelName,
    /// Keep this share of the rows
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, conflicts_with = "extend")]
    coreset: f64,
    /// Keep at most this many rows
    #[arg(long, value_name = "N", conflicts_with = "extend")]
    rows: Option<usize>,
    /// Which rows are kept
    #[arg(long, value_enum, default_value = "k-centre")]
    choice: ChoiceName,
    /// Seed of the choice and of --fit
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Pixels along one side of a patch, with --fit
    #[arg(long, value_name = "PIXELS", default_value_t = 4, requires = "fit")]
    patch: usize,
    /// Numbers per patch, with --fit
    #[arg(long, value_name = "D", default_value_t = 64, requires = "fit")]
    width: usize,
    /// Patches that the surroundings of a patch reach across, odd, with --fit
    #[arg(long, value_name = "N", default_value_t = 5, requires = "fit")]
    reach: usize,
    #[command(flatten)]
    mask: MaskArguments,
    #[command(flatten)]
    encoder: EncoderArguments,
    #[command(flatten)]
    threads: ThreadArguments,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum LabelName {
    /// Its whole mask, one bit a pixel and class
    Complete,
    /// The mean of its mask
    Average,
}

#[derive(Clone, Copy, ValueEnum)]
enum ChoiceName {
    /// Those that leave no row far from all kept ones
    KCentre,
    /// Any
    Random,
    /// Of every image those with rare classes
    ClassBalanced,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let made = match (&arguments.extend, &arguments.images, &arguments.masks) {
        (Some(path), None, _) => {
            let mut bank = bank(path)?;
            for name in &arguments.remove {
                bank.remove_image(name).map_err(aoi::Error::from)?;
            }
            bank
        }
        (extend, Some(images), Some(masks)) => {
            let labels =
                LabelledFolder::new(images, arguments.mask.folder(masks, arguments.classes.clone())?)?;
            let fitted = arguments.fit.as_ref().map(|_| fit(arguments, images)).transpose()?;
            let open = |weights: &PathBuf| arguments.encoder.open(weights, arguments.threads.count());
            let opened = arguments.weights.as_ref().map(open).transpose()?;
            let encoder: &dyn PatchEncoder = match (&fitted, &opened) {
                (Some(fitted), _) => fitted,
                (None, Some(opened)) => &**opened,
                (None, None) => return Err(Failure::Usage("give --weights or --fit".into())),
            };
            let bar = Counter::new("images");
            let made = if let Some(path) = extend {
                let mut bank = bank(path)?;
                add_pictures(&mut bank, encoder, &labels, &mut bar.on())?;
                bank
            } else {
                index(encoder, &labels, &options(arguments), &mut bar.on())?
            };
            drop(bar);
            // Only now, when every picture and mask has proved usable, is anything written.
            if let (Some(path), Some(fitted)) = (&arguments.fit, &fitted) {
                fitted.save(path)?;
            }
            made
        }
        _ => return Err(Failure::Usage("--images and --masks belong together".into())),
    };
    made.save(&arguments.out).map_err(aoi::Error::from)?;
    let (images, rows, width) = (made.images().len(), made.rows(), made.width());
    if arguments.json {
        let summary = json!({"images": images, "rows": rows, "width": width, "patch": made.shape().patch,
                             "classes": made.classes(), "encoder": made.attributes().get("encoder")});
        println!("{summary}");
    } else {
        let patch = made.shape().patch;
        println!("{images} images, {rows} patches of {patch} x {patch} pixels, {width} numbers each");
    }
    Ok(Outcome::Done)
}

/// Fits pixel patches on the labelled images.
fn fit(arguments: &Arguments, images: &Path) -> Result<PcaEncoder, Failure> {
    let Arguments { patch, width, reach, seed, .. } = *arguments;
    let options = PcaOptions { patch, width, reach, seed, ..PcaOptions::default() };
    let bar = Counter::new("images read");
    Ok(fit_patches(images, &options, &mut bar.on())?)
}

fn options(arguments: &Arguments) -> IndexOptions {
    IndexOptions {
        labels: match arguments.labels {
            LabelName::Complete => LabelKind::Complete,
            LabelName::Average => LabelKind::Average,
        },
        rows: arguments.rows,
        share: arguments.coreset,
        choice: match arguments.choice {
            ChoiceName::KCentre => Choice::KCentre,
            ChoiceName::Random => Choice::Random,
            ChoiceName::ClassBalanced => Choice::ClassBalanced,
        },
        seed: arguments.seed,
        threads: arguments.threads.count(),
    }
}
