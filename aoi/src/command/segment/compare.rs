//! `aoi segment compare`.

use std::path::PathBuf;

use aoi::patch_encoder::{PatchEncoder, PcaOptions};
use aoi::segment::{Comparison, ComparisonOptions, ComparisonRow, LabelledFolder, compare, fit_patches};
use clap::Args;
use serde_json::json;

use super::arguments::{EncoderArguments, MaskArguments};
use crate::command::outcome::{Failure, Outcome};
use crate::command::progress::Counter;
use crate::command::threads::ThreadArguments;

#[derive(Args)]
#[command(
    after_help = "Draws labelled and test images from one folder and prints the mean IoU of every method: the mean mask and whole-image\n\
    retrieval, which look at no patch, and the mixing rules over patches. Pixel patches are fitted on all images and stand beside the\n\
    encoder of --weights on the same draws: an encoder that has learned something does better than they do.\n\n\
    Example:\n  aoi segment compare --weights vit.safetensors --cell 4 --images images --masks masks --classes chip --mask-values dark:128"
)]
pub(crate) struct Arguments {
    /// Encoder to show beside pixel patches [default: pixel patches alone, fitted on the images without their masks]
    #[arg(long, value_name = "W")]
    weights: Option<PathBuf>,
    /// Folder of labelled images
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// Folder of their masks
    #[arg(long, value_name = "DIR")]
    masks: PathBuf,
    /// Names of the classes, in the order of their numbers in label maps
    #[arg(long, value_name = "A,B,..", value_delimiter = ',', required = true)]
    classes: Vec<String>,
    /// Numbers of labelled images
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "1,5,20")]
    labelled: Vec<usize>,
    /// Test images of every draw
    #[arg(long, value_name = "N", default_value_t = 60)]
    tested: usize,
    /// Draws
    #[arg(long, value_name = "N", default_value_t = 3)]
    draws: u64,
    /// Pixels along one side of a pixel patch
    #[arg(long, value_name = "PIXELS", default_value_t = 4)]
    patch: usize,
    #[command(flatten)]
    mask: MaskArguments,
    #[command(flatten)]
    encoder: EncoderArguments,
    #[command(flatten)]
    threads: ThreadArguments,
    /// Print the rows as one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let threads = arguments.threads.count();
    let labels = LabelledFolder::new(
        &arguments.images,
        arguments.mask.folder(&arguments.masks, arguments.classes.clone())?,
    )?;
    let learned = arguments.weights.as_ref().map(|w| arguments.encoder.open(w, threads)).transpose()?;
    let bar = Counter::new("images read");
    let options = PcaOptions { patch: arguments.patch, ..PcaOptions::default() };
    let pixels = fit_patches(&arguments.images, &options, &mut bar.on())?;
    drop(bar);
    let (labelled, tested) = (arguments.labelled.clone(), arguments.tested);
    let options = ComparisonOptions { labelled, tested, seeds: (0..arguments.draws).collect(), threads };
    let bar = Counter::new("draws");
    let mut shown: Vec<(&dyn PatchEncoder, Comparison)> = Vec::new();
    for encoder in learned.as_deref().into_iter().chain([&pixels as &dyn PatchEncoder]) {
        shown.push((encoder, compare(encoder, &labels, &options, &mut bar.on())?));
    }
    drop(bar);
    if arguments.json {
        print_json(&shown, tested);
    } else {
        print_table(&shown, tested, arguments.draws);
    }
    Ok(Outcome::Done)
}

/// The row of the encoder in question with that of pixel patches, where they are another one.
fn rows<'a>(
    shown: &'a [(&dyn PatchEncoder, Comparison)],
) -> impl Iterator<Item = (&'a ComparisonRow, Option<&'a ComparisonRow>)> {
    let beside = |i| shown.get(1).and_then(|(_, pixels)| pixels.rows.get(i));
    shown[0].1.rows.iter().enumerate().map(move |(i, row)| (row, beside(i)))
}

fn print_json(shown: &[(&dyn PatchEncoder, Comparison)], tested: usize) {
    let row = |(row, pixels): (&ComparisonRow, Option<&ComparisonRow>)| {
        let mut object = json!({"labelled": row.labelled, "method": row.method, "mean_iou": row.mean_iou});
        if let Some(pixels) = pixels {
            object["mean_iou_of_pixel_patches"] = json!(pixels.mean_iou);
        }
        object
    };
    let rows: Vec<_> = rows(shown).map(row).collect();
    let mut object = json!({"encoder": shown[0].0.identity(), "tested": tested, "rows": rows});
    if let Some((pixels, _)) = shown.get(1) {
        object["pixel_patches"] = json!(pixels.identity());
    }
    println!("{object}");
}

fn print_table(shown: &[(&dyn PatchEncoder, Comparison)], tested: usize, draws: u64) {
    println!("{}", shown[0].0.identity());
    if let Some((pixels, _)) = shown.get(1) {
        println!("beside it, on the same draws: {}", pixels.identity());
    }
    println!("mean IoU over {tested} test images, mean of {draws} draws and half their range\n");
    let beside =
        if shown.len() > 1 { format!("  {:>13} {:>9}", "pixel patches", "+-") } else { String::new() };
    println!("{:>8}  {:<26} {:>7} {:>9}{beside}", "labelled", "method", "mIoU", "+-");
    for (row, pixels) in rows(shown) {
        let (mean, half) = row.summary();
        let beside = pixels.map_or_else(String::new, |pixels| {
            let (mean, half) = pixels.summary();
            format!("  {mean:>13.3} {half:>9.3}")
        });
        println!("{:>8}  {:<26} {mean:>7.3} {half:>9.3}{beside}", row.labelled, row.method);
    }
}
