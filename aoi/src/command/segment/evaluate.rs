//! `aoi segment evaluate`.

use std::path::{Path, PathBuf};

use aoi::segment::{Evaluated, EvaluationContext, LabelledFolder, Predictor, evaluate, write_evaluation};
use aoi_tolerance::io::write_whole;
use clap::Args;

use super::arguments::{MaskArguments, PredictorArguments};
use crate::command::outcome::{Failure, Outcome};
use crate::command::progress::Counter;
use crate::command::tolerance::optimise::created;

/// Pictures drawn in a report.
pub(crate) const FIGURES: usize = 12;

#[derive(Args)]
#[command(
    after_help = "IoU, Dice, precision and recall are counted over all pixels of all images and divided once.\n\n\
    Example:\n  aoi segment evaluate --weights vit.safetensors --bank bank.safetensors --images test --masks test-masks --report report.html"
)]
pub(crate) struct Arguments {
    /// Folder of images
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// Folder of their true masks
    #[arg(long, value_name = "DIR")]
    masks: PathBuf,
    /// Write every figure, image by image, as JSON
    #[arg(long, value_name = "E.json")]
    out: Option<PathBuf>,
    /// Write a report as one HTML file, the worst images first
    #[arg(long, value_name = "R.html")]
    report: Option<PathBuf>,
    /// Time to state in the report, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    report_time: Option<String>,
    #[command(flatten)]
    predictor: PredictorArguments,
    #[command(flatten)]
    mask: MaskArguments,
    /// Print every figure as one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    arguments.predictor.with(&mut |predictor| evaluated(arguments, predictor))?;
    Ok(Outcome::Done)
}

fn evaluated(arguments: &Arguments, predictor: &dyn Predictor) -> Result<(), Failure> {
    let masks = arguments.mask.folder(&arguments.masks, predictor.classes().to_vec())?;
    let labels = LabelledFolder::new(&arguments.images, masks)?;
    let figures = if arguments.report.is_some() { FIGURES } else { 0 };
    let bar = Counter::new("images");
    let evaluated = evaluate(predictor, &labels, figures, &mut bar.on())?;
    drop(bar);
    if let Some(path) = &arguments.out {
        let json = evaluated.json();
        write_whole(path, |out| writeln!(out, "{json:#}"))?;
    }
    if let Some(path) = &arguments.report {
        let time = created(arguments.report_time.as_deref())?;
        report(path, &evaluated, predictor, time)?;
    }
    if arguments.json {
        println!("{}", evaluated.json());
    } else {
        print_scores(&evaluated);
    }
    Ok(())
}

/// The table of classes.
pub(crate) fn print_scores(evaluated: &Evaluated) {
    let number = |v: Option<f64>| v.map_or_else(|| "-".to_owned(), |v| format!("{v:.3}"));
    println!("{:<12} {:>7} {:>7} {:>9} {:>7}", "class", "IoU", "Dice", "precision", "recall");
    for (class, c) in evaluated.classes.iter().zip(&evaluated.total.classes) {
        let [iou, dice, precision, recall] = [c.iou(), c.dice(), c.precision(), c.recall()].map(number);
        println!("{class:<12} {iou:>7} {dice:>7} {precision:>9} {recall:>7}");
    }
    let (iou, dice) = (number(evaluated.total.mean_iou()), number(evaluated.total.mean_dice()));
    println!("{:<12} {iou:>7} {dice:>7}   over {} images", "mean", evaluated.images.len());
}

/// Writes the HTML report.
pub(crate) fn report(
    path: &Path,
    evaluated: &Evaluated,
    predictor: &dyn Predictor,
    created: String,
) -> Result<(), Failure> {
    let context = EvaluationContext {
        title: "Segmentation".to_owned(),
        software: format!("aoi {}", env!("CARGO_PKG_VERSION")),
        created,
        settings: predictor.described(),
    };
    let mut page = Vec::new();
    write_evaluation(&mut page, evaluated, &context).map_err(|e| Failure::Other(e.to_string()))?;
    write_whole(path, |out| out.write_all(&page))?;
    Ok(())
}
