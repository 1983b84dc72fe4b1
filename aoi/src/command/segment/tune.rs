//! `aoi segment tune`.

use std::ops::ControlFlow;
use std::path::PathBuf;

use aoi::segment::Settings;
use aoi_retrieval::{Beta, Labels, Metric, Rule, TuneGrid, TuneImages, TuneOptions, Tuned, tune_with};
use aoi_tolerance::io::{shortest, write_whole};
use clap::Args;
use serde_json::json;

use super::arguments::bank;
use crate::command::outcome::{Failure, Outcome};
use crate::command::progress::Counter;
use crate::command::search::{CPU, PlaceArguments};
use crate::command::threads::ThreadArguments;

#[derive(Args)]
#[command(
    after_help = "Neighbours are looked up once per fold, at the largest k. Needs a bank with complete labels\n\
    and all patches of its images, so none of --coreset or --rows. Only pixels in an image are counted, as `aoi segment evaluate` counts; in\n\
    a bank written before image sizes were kept, all pixels of border patches are.\n\n\
    Example:\n  aoi segment tune --bank bank.safetensors --out settings.json --trials trials.csv"
)]
pub(crate) struct Arguments {
    /// Bank of labelled patches
    #[arg(long, value_name = "BANK")]
    bank: PathBuf,
    /// Where the best settings go, for --settings
    #[arg(long, value_name = "SETTINGS.json")]
    out: PathBuf,
    /// Write every trial, the best first
    #[arg(long, value_name = "TRIALS.csv")]
    trials: Option<PathBuf>,
    /// Numbers of neighbours to try
    #[arg(long, value_name = "K,..", value_delimiter = ',', default_value = "2,4,6,10,20,30,50")]
    k: Vec<usize>,
    /// Temperatures of attention to try, beside similarity
    #[arg(long, value_name = "B,..", value_delimiter = ',', default_value = "0.3,0.15,0.1,0.02,0.002")]
    beta: Vec<f64>,
    /// Try uniform and multi-scale mixing as well
    #[arg(long)]
    all_rules: bool,
    /// Thresholds to try, for every class by itself
    #[arg(long, value_name = "T,..", value_delimiter = ',', default_value = "0.5,0.2,0.1,0.05,0.01")]
    thresholds: Vec<f64>,
    /// Parts that the images are split into [default: 5, or as many as there are images]
    #[arg(long)]
    folds: Option<usize>,
    /// Seed of the split
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    threads: ThreadArguments,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let bank = bank(&arguments.bank)?;
    let Labels::Complete(labels) = bank.labels() else {
        return Err(Failure::Other(format!(
            "{}: expected complete labels, found averages; index again with --labels complete",
            arguments.bank.display()
        )));
    };
    let images = bank.images();
    if let Some(part) = images.iter().find(|image| image.is_whole(bank.shape().patch) == Some(false)) {
        return Err(Failure::Other(format!(
            "{}: expected all patches of every image, found {} of {}; index again without --coreset and --rows",
            arguments.bank.display(),
            part.rows,
            part.name
        )));
    }
    let unsized_images = images.iter().filter(|image| image.size.is_none()).count();
    if unsized_images > 0 {
        eprintln!(
            "note: the bank does not say how large {unsized_images} of its images are: pixels beyond their borders are counted too; \
             index them again to leave those out"
        );
    }
    let mut rules = vec![Rule::Similarity];
    rules.extend(arguments.beta.iter().map(|&b| Rule::Attention(Beta::Shared(b))));
    if arguments.all_rules {
        rules.push(Rule::Uniform);
        rules.extend(arguments.beta.iter().map(|&b| Rule::MultiScale(Beta::Shared(b))));
    }
    let grid = TuneGrid { k: arguments.k.clone(), rules, thresholds: arguments.thresholds.clone() };
    let options = TuneOptions {
        folds: arguments.folds.unwrap_or_else(|| images.len().min(5)),
        seed: arguments.seed,
        threads: arguments.threads.count(),
    };
    let data = TuneImages { keys: bank.keys(), labels, images };
    let place = arguments.place.open()?;
    let bar = Counter::new("rules and folds");
    let mut on = bar.on();
    let mut device = CPU.to_owned();
    let tuned = tune_with::<Failure>(
        &data,
        &grid,
        &options,
        &mut |bank| {
            let mut silent = |_| ControlFlow::Continue(());
            let placed = place.prepare(bank, Metric::Cosine, options.threads, &mut silent)?;
            device = placed.device;
            Ok(placed.search)
        },
        &mut |p| on(p.done, p.total),
    )?;
    drop(bar);
    if device != CPU {
        eprintln!("note: searched on {device}");
    }
    let Some(best) = tuned.best() else {
        return Err(Failure::Other("nothing was tried".into()));
    };
    let (k, thresholds) = (best.k, best.thresholds.clone());
    let settings = Settings { k, rule: best.rule.clone(), thresholds, ..Settings::default() };
    settings.save(&arguments.out)?;
    if let Some(path) = &arguments.trials {
        write_whole(path, |out| trials(out, &tuned, bank.classes()))?;
    }
    let mean = best.counts.mean_iou();
    if arguments.json {
        let summary = json!({"k": k, "mix": best.rule.to_string(), "thresholds": best.thresholds,
                             "mean_iou": mean, "trials": tuned.trials.len(), "images": images.len()});
        println!("{summary}");
    } else {
        let thresholds: Vec<String> = best.thresholds.iter().map(f64::to_string).collect();
        println!(
            "best of {} trials: k {k}, {}, thresholds {}: mean IoU {:.3} over {} held-out images",
            tuned.trials.len(),
            best.rule,
            thresholds.join(","),
            mean.unwrap_or(0.0),
            images.len()
        );
    }
    Ok(Outcome::Done)
}

/// One row a trial: k, rule, mean `IoU`, then threshold and `IoU` of each class.
fn trials(out: &mut dyn std::io::Write, tuned: &Tuned, classes: &[String]) -> std::io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    let mut header = vec!["k".to_owned(), "mix".to_owned(), "mean_iou".to_owned()];
    header.extend(classes.iter().flat_map(|c| [format!("threshold {c}"), format!("iou {c}")]));
    writer.write_record(&header)?;
    let text = |v: Option<f64>| v.map_or_else(String::new, shortest);
    for trial in &tuned.trials {
        let mut row = vec![trial.k.to_string(), trial.rule.to_string(), text(trial.counts.mean_iou())];
        for (threshold, counts) in trial.thresholds.iter().zip(&trial.counts.classes) {
            row.extend([shortest(*threshold), text(counts.iou())]);
        }
        writer.write_record(&row)?;
    }
    writer.flush()
}
