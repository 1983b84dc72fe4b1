//! The command line: arguments, exit codes, what goes to which stream.

mod demo;
mod devices;
mod encoder;
mod finetune;
mod interrupt;
mod normalisation;
mod outcome;
mod precision;
mod pretrain;
mod progress;
mod retrieval;
mod search;
mod segment;
mod threads;
mod tiling;
mod tolerance;
mod training;
mod whiten;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use outcome::Outcome;

/// Automated optical inspection: fewer false calls, every known defect still flagged.
#[derive(Parser)]
#[command(
    name = "aoi",
    version,
    propagate_version = true,
    after_help = "Results go to files, summaries to standard output, progress and warnings to standard error.\n\
                  Exit codes: 0 done, 1 could not, 2 wrong usage, 3 done but the answer is no (such as a blocked limit under --strict).\n\n\
                  Start with:  aoi demo"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the whole job on a generated production line, with its report.
    Demo(demo::Arguments),
    /// Compute inspection limits from reviewed records.
    #[command(subcommand)]
    Tolerance(tolerance::Command),
    /// Look at encoder weights; turn images into patch embeddings; pre-train and fine-tune encoders.
    #[command(subcommand)]
    Encoder(encoder::Command),
    /// Search for nearest neighbours.
    #[command(subcommand)]
    Retrieval(retrieval::Command),
    /// List the GPUs, and which one a command would take.
    Devices(devices::Arguments),
    /// Segment images with a few labelled ones; measure the masks.
    #[command(subcommand)]
    Segment(segment::Command),
}

/// Parses the arguments, runs the command, and says how it went.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Tolerance(command) => tolerance::run(command),
        Command::Encoder(command) => encoder::run(&command),
        Command::Retrieval(command) => retrieval::run(&command),
        Command::Devices(arguments) => devices::run(&arguments),
        Command::Segment(command) => segment::run(&command),
    };
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::No) => ExitCode::from(3),
        Err(failure) => {
            eprintln!("aoi: {failure}");
            ExitCode::from(failure.code())
        }
    }
}
