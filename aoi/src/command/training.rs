//! What pre-training and fine-tuning share: arguments, progress, the clock, how a run ends.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aoi_encoder::Error;
use aoi_encoder::train::{Ending, Report};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::interrupt;
use super::outcome::Failure;
use super::threads::ThreadArguments;

/// Where no bar can be drawn, a line is printed this often.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// The arguments of every run.
#[derive(Args)]
pub(crate) struct RunArguments {
    /// Configuration [default: the run's when resuming, else every default]
    #[arg(long, value_name = "C.toml")]
    config: Option<PathBuf>,
    /// Folder for checkpoints, metrics, pictures and the result
    #[arg(long, value_name = "DIR")]
    pub(crate) run: PathBuf,
    /// Go on from the run's last checkpoint, to the same bits as without the interruption
    #[arg(long)]
    pub(crate) resume: bool,
    #[command(flatten)]
    pub(crate) threads: ThreadArguments,
    /// Print the summary as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

impl RunArguments {
    /// The configuration, where one was given.
    pub(crate) fn config<C>(
        &self,
        parse: impl Fn(&str, &Path) -> Result<C, Error>,
    ) -> Result<Option<C>, Failure> {
        let read = |path: &PathBuf| {
            let text =
                std::fs::read_to_string(path).map_err(|source| Error::Io { path: path.clone(), source })?;
            parse(&text, path)
        };
        Ok(self.config.as_ref().map(read).transpose().map_err(aoi::Error::from)?)
    }
}

/// Seconds since 1970.
pub(crate) fn clock() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// How a run ended, in words; an interrupted one is no success, so that what follows in a script does not go on with half an encoder.
pub(crate) fn ended(ending: Ending, step: u64) -> Result<&'static str, Failure> {
    match ending {
        Ending::Finished => Ok("finished"),
        Ending::Early => Ok("stopped early"),
        Ending::Interrupted => {
            Err(Failure::Other(format!("interrupted after {step} steps; --resume goes on from there")))
        }
    }
}

/// A bar on a terminal, a line now and then elsewhere.
pub(crate) struct Shown {
    bar: ProgressBar,
    first_step: Option<(u64, Instant)>,
    last_line: Instant,
}

impl Shown {
    /// Nothing shown yet.
    pub(crate) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(4));
        let style = "{bar:32} {pos}/{len} steps  {msg}  {eta} left";
        bar.set_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar, first_step: None, last_line: Instant::now() }
    }

    /// The callback to hand to the library: shows where the run stands, and stops on Ctrl-C.
    pub(crate) fn update(&mut self, report: &Report) -> ControlFlow<()> {
        let &Report { step, steps, loss, held_out_loss, images_per_second } = report;
        let first = *self.first_step.get_or_insert_with(|| {
            self.bar.set_length(steps);
            // A resumed run's earlier steps say nothing of how fast this one is.
            self.bar.set_position(step);
            self.bar.reset_eta();
            (step, Instant::now())
        });
        let held_out = held_out_loss.map_or_else(String::new, |l| format!("  held out {l:.4}"));
        let numbers = format!("{images_per_second:.1} images/s  loss {loss:.4}{held_out}");
        if self.bar.is_hidden() && self.last_line.elapsed() >= LINE_EVERY && step > first.0 {
            self.last_line = Instant::now();
            let left = first.1.elapsed().as_secs_f64() / (step - first.0) as f64 * (steps - step) as f64;
            eprintln!("{step}/{steps} steps  {numbers}  {left:.0} s left");
        }
        self.bar.set_message(numbers);
        self.bar.set_position(step);
        if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
