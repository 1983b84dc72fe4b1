//! Steps of training, one a request, so that peers can take turns with them: pre-training ([`MaeSteps`]) and fine-tuning ([`FinetuneSteps`]).
//!
//! The request `step` is answered with the `seconds` of the step (gradient, clipping, `AdamW`), the `loss` before it and the process's peak memory.

mod finetune;
mod inputs;
mod mae;

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use aoi_encoder::Precision;
use serde_json::json;

pub use self::finetune::FinetuneSteps;
pub use self::mae::MaeSteps;
use crate::error::Error;

/// Learning rate of every step.
const RATE: f64 = 1e-4;
/// Gradients are shortened to this length.
const CLIP: f64 = 5.0;

/// How steps are worked on.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// Threads.
    pub threads: usize,
    /// Images that a thread works on at once.
    pub at_once: usize,
    /// What products are made of.
    pub precision: Precision,
}

/// A network, its batch, and where its training stands.
pub trait TrainingSteps {
    /// Takes a step; gives the loss before it.
    ///
    /// # Errors
    /// When the network refuses its batch.
    fn step(&mut self) -> Result<f64, Error>;
}

/// Answers requests until the input ends.
///
/// # Errors
/// When a request is not understood, a step fails, or a stream does.
pub fn serve(
    training: &mut impl TrainingSteps,
    requests: impl BufRead,
    mut answers: impl Write,
) -> Result<(), Error> {
    for line in requests.lines() {
        let line = line.map_err(Error::file(Path::new("requests")))?;
        if line != "step" {
            return Err(Error::Record {
                path: "requests".into(),
                reason: format!("{line:?} is not \"step\""),
            });
        }
        let start = Instant::now();
        let loss = training.step()?;
        let answer = json!({"seconds": start.elapsed().as_secs_f64(), "loss": loss, "peak_mib": peak_mib()});
        writeln!(answers, "{answer}").map_err(Error::file(Path::new("answers")))?;
        answers.flush().map_err(Error::file(Path::new("answers")))?;
    }
    Ok(())
}

/// The largest resident memory of this process so far; 0 where the system does not say.
fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}
