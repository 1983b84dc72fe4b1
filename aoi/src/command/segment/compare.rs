//! `aoi segment compare`.

use std::path::PathBuf;

use aoi::patch_encoder::PcaOptions;
use aoi::segment::{ComparisonOptions, LabelledFolder, compare, fit_patches};
use clap::Args;
use serde_json::json;

use super::arguments::{EncoderArguments, MaskArguments, ThreadArguments};
use crate::command::outcome::{Failure, Outcome};
use crate::command::progress::Counter;

#[derive(Args)]
#[command(
    after_help = "Draws labelled and test images from one folder and prints the mean IoU of every method: the mean mask and whole-image\n\
    retrieval, which look at no patch, and the mixing rules over patches. Without --weights, pixel patches are fitted on all images.\n\n\
    Example:\n  aoi segment compare --weights vit.safetensors --cell 4 --images images --masks masks --classes chip --mask-values dark:128"
)]
pub(crate) struct Arguments {
    /// Encoder [default: pixel patches, fitted on the images without their masks]
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
    /// Pixels along one side of a pixel patch, without --weights
    #[arg(long, value_name = "PIXELS", default_value_t = 4, conflicts_with = "weights")]
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
    let encoder = if let Some(weights) = &arguments.weights {
        arguments.encoder.open(weights, threads)?
    } else {
        let bar = Counter::new("images read");
        let options = PcaOptions { patch: arguments.patch, ..PcaOptions::default() };
        Box::new(fit_patches(&arguments.images, &options, &mut bar.on())?)
    };
    let (labelled, tested) = (arguments.labelled.clone(), arguments.tested);
    let options = ComparisonOptions { labelled, tested, seeds: (0..arguments.draws).collect(), threads };
    let bar = Counter::new("draws");
    let comparison = compare(&*encoder, &labels, &options, &mut bar.on())?;
    drop(bar);
    if arguments.json {
        let row = |r: &aoi::segment::ComparisonRow| json!({"labelled": r.labelled, "method": r.method, "mean_iou": r.mean_iou});
        let rows: Vec<_> = comparison.rows.iter().map(row).collect();
        println!("{}", json!({"encoder": encoder.identity(), "tested": tested, "rows": rows}));
        return Ok(Outcome::Done);
    }
    println!(
        "{}\nmean IoU over {tested} test images, mean of {} draws and half their range\n",
        encoder.identity(),
        arguments.draws
    );
    println!("{:>8}  {:<26} {:>7} {:>9}", "labelled", "method", "mIoU", "+-");
    for row in &comparison.rows {
        let (mean, half) = row.summary();
        println!("{:>8}  {:<26} {mean:>7.3} {half:>9.3}", row.labelled, row.method);
    }
    Ok(Outcome::Done)
}
