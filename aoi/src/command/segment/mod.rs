//! `aoi segment`: masks of new images from a few labelled ones, and records from masks.

pub(crate) mod arguments;
mod compare;
pub(crate) mod evaluate;
mod index;
pub(crate) mod measure;
pub(crate) mod predict;
mod tune;

use clap::Subcommand;

use super::outcome::{Failure, Outcome};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a bank of the patches of labelled images.
    Index(Box<index::Arguments>),
    /// Write the masks of new images.
    Predict(Box<predict::Arguments>),
    /// Say how good the predicted masks of labelled images are.
    Evaluate(Box<evaluate::Arguments>),
    /// Search for the best neighbours, mixing rule and thresholds by cross-validation over the images of a bank.
    Tune(Box<tune::Arguments>),
    /// Measure masks and write records for `aoi tolerance`.
    Measure(Box<measure::Arguments>),
    /// Compare every way of segmenting, from a few labelled images to many, with the baselines.
    Compare(Box<compare::Arguments>),
}

/// Runs one of the subcommands.
pub(crate) fn run(command: &Command) -> Result<Outcome, Failure> {
    match command {
        Command::Index(arguments) => index::run(arguments),
        Command::Predict(arguments) => predict::run(arguments),
        Command::Evaluate(arguments) => evaluate::run(arguments),
        Command::Tune(arguments) => tune::run(arguments),
        Command::Measure(arguments) => measure::run(arguments),
        Command::Compare(arguments) => compare::run(arguments),
    }
}
