//! `aoi encoder pretrain`: a folder of unlabelled pictures becomes an encoder.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use aoi_encoder::Error;
use aoi_encoder::train::{Ending, Job, PretrainConfig, pretrain};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::interrupt;
use super::outcome::Outcome;

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    aoi encoder pretrain --images crops/ --config pretrain.toml --run runs/first\n  \
    aoi encoder pretrain --images crops/ --run runs/first --resume\n\n\
A configuration is TOML; what it leaves out has a default, and RUN/config.toml says what was used:\n\n  \
    seed = 0\n  \
    encoder = { preset = \"vit-ti/16\", size = [128, 128] }\n  \
    run = { epochs = 400, batch = 32 }")]
pub(crate) struct Arguments {
    /// Folder of pictures: NAME.png, or one file per lighting: `NAME_buffer0.png`, `NAME_buffer1.png` ...
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// Configuration [default: the run's when resuming, else the paper's encoder at 512 x 512]
    #[arg(long, value_name = "C.toml")]
    config: Option<PathBuf>,
    /// Folder for checkpoints, metrics, pictures and the encoder
    #[arg(long, value_name = "DIR")]
    run: PathBuf,
    /// Go on from the run's last checkpoint, to the same bits as without the interruption
    #[arg(long)]
    resume: bool,
    /// Threads [default: one per core]; results do not depend on it
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs the command; Ctrl-C writes a checkpoint first.
pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Error> {
    interrupt::watch();
    let config = match &arguments.config {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.clone(), source })?;
            Some(PretrainConfig::parse(&text, path)?)
        }
        None => None,
    };
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let job = Job {
        images: arguments.images.clone(),
        run: arguments.run.clone(),
        config,
        resume: arguments.resume,
        threads: arguments.threads.unwrap_or_else(cores),
    };
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(4));
    let style = "{bar:32} {pos}/{len} steps  {msg}  {eta} left";
    bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut started = false;
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
    let done = pretrain(
        &job,
        &mut |report| {
            if !std::mem::replace(&mut started, true) {
                bar.set_length(report.steps);
                // A resumed run's earlier steps say nothing of how fast this one is.
                bar.set_position(report.step.saturating_sub(1));
                bar.reset_eta();
            }
            let held_out = report.held_out_loss.map_or_else(String::new, |l| format!("  held out {l:.4}"));
            bar.set_message(format!(
                "{:.1} images/s  loss {:.4}{held_out}",
                report.images_per_second, report.loss
            ));
            bar.set_position(report.step);
            if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
        &clock,
    )?;
    bar.finish_and_clear();
    let ending = match done.ending {
        Ending::Finished => "finished",
        Ending::Early => "stopped early",
        Ending::Interrupted => "interrupted; --resume goes on",
    };
    let (training, held_out) = done.pictures;
    if arguments.json {
        let summary = json!({
            "ending": ending, "steps": done.step, "loss": done.loss, "held_out_loss": done.best_held_out_loss,
            "training_pictures": training, "held_out_pictures": held_out,
            "mean": done.normalisation.mean, "std": done.normalisation.std,
        });
        println!("{summary}");
    } else {
        let best = done.best_held_out_loss.map_or_else(|| "none".to_owned(), |l| format!("{l:.5}"));
        println!("{ending} after {} steps on {training} pictures", done.step);
        println!("loss {:.5}, best held-out loss {best} ({held_out} pictures)", done.loss);
        println!(
            "mean {:?}, std {:?}: pass them to `aoi encoder embed`",
            done.normalisation.mean, done.normalisation.std
        );
    }
    Ok(Outcome::Done)
}
