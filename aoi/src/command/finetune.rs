//! `aoi encoder finetune`: an encoder and a few labelled pictures become a segmentation network.

use std::path::PathBuf;

use aoi::LoadArguments;
use aoi::segment::{Labelled, LabelledFolder};
use aoi_encoder::finetune::{Example, FinetuneConfig, FinetuneJob, finetune};
use aoi_encoder::weights::load;
use clap::Args;
use serde_json::json;

use super::interrupt;
use super::outcome::{Failure, Outcome};
use super::progress::Counter;
use super::segment::arguments::MaskArguments;
use super::training::{RunArguments, Shown, clock, ended};

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    aoi encoder finetune --weights encoder.safetensors --images taught --masks taught-masks --classes wire,ball --run runs/wires\n  \
    aoi segment predict --weights runs/wires/network.safetensors --images new --out masks\n\n\
A configuration is TOML; what it leaves out has a default, and RUN/config.toml says what was used:\n\n  \
    head = \"upernet\"                               # or \"linear\", the default\n  \
    tune = { lora = { rank = 3, alpha = 16.0 } }   # or \"full\", \"frozen\"\n  \
    loss = { balance = 0.5, dice = 1.0 }\n  \
    optimiser = { rate = 1e-3, average = 0.99 }    # validated and written is a running mean\n  \
    run = { epochs = 50, batch = 8 }\n\n\
RUN/network.safetensors is the network with the best mean IoU on the held-out images; RUN/prediction.png shows some of them.")]
pub(crate) struct Arguments {
    /// Encoder to start from: any weights that `aoi encoder info` understands
    #[arg(long, value_name = "W")]
    weights: PathBuf,
    /// Folder of images
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// Folder of their masks
    #[arg(long, value_name = "DIR")]
    masks: PathBuf,
    /// Classes, in the order of the label maps
    #[arg(long, value_name = "A,B", value_delimiter = ',', required = true)]
    classes: Vec<String>,
    #[command(flatten)]
    mask: MaskArguments,
    #[command(flatten)]
    load: LoadArguments,
    #[command(flatten)]
    run: RunArguments,
}

/// Runs the command; Ctrl-C writes a checkpoint first.
pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    interrupt::watch();
    let config = arguments.run.config(FinetuneConfig::parse)?;
    let weights = load(&arguments.weights, &arguments.load.options()).map_err(aoi::Error::from)?;
    for note in &weights.notes {
        eprintln!("note: {note}");
    }
    let examples = examples(arguments)?;
    let job = FinetuneJob {
        examples: &examples,
        classes: &arguments.classes,
        weights: &weights,
        run: arguments.run.run.clone(),
        config,
        resume: arguments.run.resume,
        threads: arguments.run.threads.count(),
    };
    let mut shown = Shown::new();
    let done = finetune(&job, &mut |report| shown.update(report), &clock).map_err(aoi::Error::from)?;
    drop(shown);
    let ending = ended(done.ending, done.step)?;
    let (training, held_out) = done.pictures;
    let network = arguments.run.run.join("network.safetensors");
    if arguments.run.json {
        let summary = json!({
            "ending": ending, "steps": done.step, "loss": done.loss, "held_out_mean_iou": done.best_mean_iou,
            "training_pictures": training, "held_out_pictures": held_out, "trained_parameters": done.parameters,
            "network": network,
        });
        println!("{summary}");
    } else {
        let best = done.best_mean_iou.map_or_else(|| "none".to_owned(), |iou| format!("{iou:.3}"));
        println!(
            "{ending} after {} steps on {training} pictures, {} numbers trained",
            done.step, done.parameters
        );
        println!("loss {:.5}, best held-out mean IoU {best} ({held_out} pictures)", done.loss);
        println!("network: {}", network.display());
    }
    Ok(Outcome::Done)
}

/// Every picture with its mask.
fn examples(arguments: &Arguments) -> Result<Vec<Example>, Failure> {
    let masks = arguments.mask.folder(&arguments.masks, arguments.classes.clone())?;
    let labelled = LabelledFolder::new(&arguments.images, masks)?;
    let bar = Counter::new("images read");
    let mut on = bar.on();
    let read = |i| {
        if on(i, labelled.len()).is_break() {
            let (done, total) = (i, labelled.len());
            return Err(aoi::Error::Cancelled { what: "images", done, total }.into());
        }
        let Labelled { name, picture, mask } = labelled.read(i)?;
        Ok(Example { name, picture, mask })
    };
    (0..labelled.len()).map(read).collect()
}
