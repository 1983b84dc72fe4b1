//! `aoi encoder pretrain`: a folder of unlabelled pictures becomes an encoder.

use std::path::PathBuf;

use aoi_encoder::train::{Job, PretrainConfig, pretrain};
use clap::Args;
use serde_json::json;

use super::interrupt;
use super::outcome::{Failure, Outcome};
use super::training::{RunArguments, Shown, clock, ended};

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    aoi encoder pretrain --images crops/ --config pretrain.toml --run runs/first\n  \
    aoi encoder pretrain --images crops/ --run runs/first --resume\n\n\
A configuration is TOML; what it leaves out has a default, and RUN/config.toml says what was used:\n\n  \
    seed = 0\n  \
    encoder = { preset = \"vit-ti/16\", size = [128, 128] }\n  \
    run = { epochs = 400, batch = 32 }\n\n\
RUN/encoder.safetensors is the encoder with the lowest held-out loss; RUN/loss.svg, RUN/reconstruction.png (RUN/reconstruction_training.png where no picture is held out) and RUN/metrics.csv (or TensorBoard) show how it went.")]
pub(crate) struct Arguments {
    /// Folder of pictures: NAME.png, or one file per lighting: `NAME_buffer0.png`, `NAME_buffer1.png` ...
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    #[command(flatten)]
    run: RunArguments,
}

/// Runs the command; Ctrl-C writes a checkpoint first.
pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    interrupt::watch();
    let config = arguments.run.config(PretrainConfig::parse)?;
    let job = Job {
        images: arguments.images.clone(),
        run: arguments.run.run.clone(),
        config,
        resume: arguments.run.resume,
        threads: arguments.run.threads.count(),
    };
    let mut shown = Shown::new();
    let done = pretrain(&job, &mut |report| shown.update(report), &clock).map_err(aoi::Error::from)?;
    drop(shown);
    let ending = ended(done.ending, done.step)?;
    let (training, held_out) = done.pictures;
    let encoder = arguments.run.run.join("encoder.safetensors");
    if arguments.run.json {
        let summary = json!({
            "ending": ending, "steps": done.step, "loss": done.loss, "held_out_loss": done.best_held_out_loss,
            "training_pictures": training, "held_out_pictures": held_out, "encoder": encoder,
            "mean": done.normalisation.mean, "std": done.normalisation.std,
        });
        println!("{summary}");
    } else {
        let best = done.best_held_out_loss.map_or_else(|| "none".to_owned(), |l| format!("{l:.5}"));
        println!("{ending} after {} steps on {training} pictures", done.step);
        println!("loss {:.5}, best held-out loss {best} ({held_out} pictures)", done.loss);
        println!("encoder: {}", encoder.display());
    }
    Ok(Outcome::Done)
}
