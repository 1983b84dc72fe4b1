//! `aoi encoder whiten`: weights whose patch features have unit covariance on some pictures.

use std::path::PathBuf;

use aoi::LoadArguments;
use aoi_encoder::weights::{NumberType, SaveOptions, load, save_with};
use aoi_encoder::{EmbedOptions, Encoder, EncoderOptions, Error, fit_whitening};
use clap::Args;
use serde_json::json;

use super::normalisation::NormalisationArguments;
use super::outcome::Outcome;
use super::precision::PrecisionName;
use super::progress::Counter;
use super::threads::ThreadArguments;
use super::tiling::TilingArguments;

#[derive(Args)]
#[command(
    after_help = "Example:\n  aoi encoder whiten run/encoder.safetensors --images crops --out whitened.safetensors\n\n\
    Cosines of patches are then not ruled by the few directions in which all of them are long. `aoi segment` and `aoi encoder embed` apply what the file holds."
)]
pub(crate) struct Arguments {
    /// Weights that `aoi encoder info` knows
    #[arg(value_name = "WEIGHTS")]
    weights: PathBuf,
    #[command(flatten)]
    load: LoadArguments,
    /// Folder of images as the encoder will see them; masks are not needed
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// Where the weights go, whitening included, in this project's own format
    #[arg(long, value_name = "OUT.safetensors")]
    out: PathBuf,
    #[command(flatten)]
    normalisation: NormalisationArguments,
    #[command(flatten)]
    tiling: TilingArguments,
    /// Write numbers in half precision
    #[arg(long)]
    half: bool,
    /// Numbers that products are made of while it is fitted
    #[arg(long, value_enum, default_value = "f32")]
    precision: PrecisionName,
    #[command(flatten)]
    threads: ThreadArguments,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

/// Fits the whitening and writes the weights with it.
pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Error> {
    let weights = load(&arguments.weights, &arguments.load.options())?;
    for note in &weights.notes {
        eprintln!("note: {note}");
    }
    let NormalisationArguments { mean, std } = &arguments.normalisation;
    let normalisation = weights.normalisation(mean.as_deref(), std.as_deref())?;
    let precision = arguments.precision.into();
    let encoder = EncoderOptions { precision, ..EncoderOptions::default() };
    let encoder = Encoder::with_options(&weights.config, &weights.params, &encoder)?;
    let options = EmbedOptions {
        mean: Some(normalisation.mean.clone()),
        std: Some(normalisation.std.clone()),
        tiling: arguments.tiling.tiling(),
        threads: arguments.threads.count(),
        precision,
        ..EmbedOptions::default()
    };
    let bar = Counter::new("images");
    let whitening = fit_whitening(&encoder, &arguments.images, &options, &mut bar.on())?;
    let number_type = if arguments.half { NumberType::F16 } else { NumberType::F32 };
    let saved = SaveOptions { normalisation: Some(normalisation), whitening: Some(whitening), number_type };
    save_with(&arguments.out, &weights.config, &weights.params, &saved)?;
    if arguments.json {
        println!("{}", json!({"out": arguments.out, "width": weights.config.width, "notes": weights.notes}));
    } else {
        println!("whitened, {} numbers a patch: {}", weights.config.width, arguments.out.display());
    }
    Ok(Outcome::Done)
}
