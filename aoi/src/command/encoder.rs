//! `aoi encoder`: what a weights file holds, embeddings of images, pre-training, fine-tuning.

use std::path::PathBuf;

use aoi::LoadArguments;
use aoi_encoder::weights::{Inspection, architecture, inspect};
use aoi_encoder::{EmbedOptions, Error, embed};
use clap::{Args, Subcommand};
use serde_json::json;

use super::normalisation::NormalisationArguments;
use super::outcome::{Failure, Outcome};
use super::precision::PrecisionName;
use super::progress::Counter;
use super::threads::ThreadArguments;
use super::tiling::TilingArguments;
use super::{finetune, pretrain, whiten};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Say which architecture a weights file holds, and what is missing or unused.
    Info(InfoArguments),
    /// Turn images into patch embeddings.
    Embed(Box<EmbedArguments>),
    /// Fit a map behind an encoder that gives its patch features unit covariance.
    Whiten(Box<whiten::Arguments>),
    /// Learn an encoder from unlabelled pictures (masked autoencoder).
    Pretrain(pretrain::Arguments),
    /// Turn an encoder into a segmentation network, with labelled pictures.
    Finetune(Box<finetune::Arguments>),
}

/// A weights file and what it does not say itself.
#[derive(Args)]
struct WeightArguments {
    /// Weights: safetensors with timm, Hugging Face, `DINOv2` or MAE names, or this project's own; a config.json beside them is read
    #[arg(value_name = "WEIGHTS")]
    weights: PathBuf,
    #[command(flatten)]
    load: LoadArguments,
}

#[derive(Args)]
#[command(after_help = "Example:\n  aoi encoder info vit.safetensors")]
pub(crate) struct InfoArguments {
    #[command(flatten)]
    weights: WeightArguments,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    aoi encoder embed vit.safetensors --images crops/ --out crops.safetensors --blocks 2,5\n  \
    aoi encoder embed vit.safetensors --images batch.npy --out batch.safetensors")]
pub(crate) struct EmbedArguments {
    #[command(flatten)]
    weights: WeightArguments,
    /// Folder of images, or an f32 array [b, c, h, w] that is already normalised
    #[arg(long, value_name = "DIR|X.npy")]
    images: PathBuf,
    /// Where the tensors go: cls, patches, registers, `block_<i>`
    #[arg(long, value_name = "OUT.safetensors")]
    out: PathBuf,
    /// Blocks whose patch tokens are wanted too, from 0
    #[arg(long, value_name = "I,J", value_delimiter = ',')]
    blocks: Vec<usize>,
    #[command(flatten)]
    normalisation: NormalisationArguments,
    /// Resize every image first
    #[arg(long, value_name = "HEIGHTxWIDTH", value_parser = size)]
    resize: Option<(usize, usize)>,
    #[command(flatten)]
    tiling: TilingArguments,
    /// Images or tiles in one forward pass; results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 8)]
    batch: usize,
    /// Numbers that products are made of
    #[arg(long, value_enum, default_value = "f32")]
    precision: PrecisionName,
    #[command(flatten)]
    threads: ThreadArguments,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

fn size(text: &str) -> Result<(usize, usize), String> {
    let side = |t: &str| t.parse::<usize>().ok().filter(|n| *n > 0);
    let sides = text.split_once('x').and_then(|(h, w)| Some((side(h)?, side(w)?)));
    sides.ok_or_else(|| "expected HEIGHTxWIDTH, such as 512x512".to_owned())
}

/// Runs one of the subcommands.
pub(crate) fn run(command: &Command) -> Result<Outcome, Failure> {
    match command {
        Command::Info(arguments) => info(arguments),
        Command::Embed(arguments) => embeddings(arguments),
        Command::Whiten(arguments) => whiten::run(arguments),
        Command::Pretrain(arguments) => return pretrain::run(arguments),
        Command::Finetune(arguments) => return finetune::run(arguments),
    }
    .map_err(|e| match e {
        Error::Config { .. } => Failure::Usage(e.to_string()),
        other => Failure::Other(other.to_string()),
    })
}

fn info(arguments: &InfoArguments) -> Result<Outcome, Error> {
    let found = inspect(&arguments.weights.weights, &arguments.weights.load.options())?;
    if arguments.json {
        let Inspection { family, config, parameters, number_types, notes, problems } = &found;
        let mut summary = architecture(config);
        for (key, value) in [
            ("family", json!(family.name())),
            ("image", json!([config.grid.rows * config.patch, config.grid.columns * config.patch])),
            ("parameters", json!(parameters)),
            ("number_types", json!(number_types)),
            ("notes", json!(notes)),
            ("problems", json!(problems)),
        ] {
            summary[key] = value;
        }
        println!("{summary}");
    } else {
        print!("{found}");
    }
    Ok(if found.problems.is_empty() { Outcome::Done } else { Outcome::No })
}

fn embeddings(arguments: &EmbedArguments) -> Result<Outcome, Error> {
    let options = EmbedOptions {
        blocks: arguments.blocks.clone(),
        mean: arguments.normalisation.mean.clone(),
        std: arguments.normalisation.std.clone(),
        resize: arguments.resize,
        tiling: arguments.tiling.tiling(),
        threads: arguments.threads.count(),
        batch: arguments.batch,
        precision: arguments.precision.into(),
    };
    let bar = Counter::new("images");
    let done = embed(
        &arguments.weights.weights,
        &arguments.weights.load.options(),
        &arguments.images,
        &arguments.out,
        &options,
        &mut bar.on(),
    )?;
    drop(bar);
    for note in &done.notes {
        eprintln!("note: {note}");
    }
    let tensors = done.tensors();
    if arguments.json {
        let shapes: serde_json::Map<String, serde_json::Value> =
            tensors.iter().map(|(name, shape, _)| (name.clone(), json!(shape))).collect();
        println!("{}", json!({"images": done.names.len(), "tensors": shapes, "notes": done.notes}));
    } else {
        for (name, shape, _) in &tensors {
            println!("{name:<10} {shape:?}");
        }
    }
    Ok(Outcome::Done)
}
