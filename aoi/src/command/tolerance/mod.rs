//! `aoi tolerance`: limits from reviewed records.

mod aggregates;
pub(crate) mod arguments;
mod inspect;
mod live;
pub(crate) mod optimise;
mod simulate;
mod summary;
mod validate;

use clap::Subcommand;

use super::outcome::{Failure, Outcome};
pub(crate) use summary::{print_joint, print_optimised};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Compute new limits, with their certificates and a report.
    Optimise(Box<optimise::Arguments>),
    /// Say what is in record files, and what is wrong with them.
    Inspect(inspect::Arguments),
    /// Ask what every percentile would do to every limit, without changing anything.
    Simulate(Box<simulate::Arguments>),
    /// Hold defects back and see whether the limits computed without them would have flagged them.
    Validate(Box<validate::Arguments>),
    /// Print the SQL that aggregates a table of records inside the engine that holds it.
    Sql(Box<aggregates::SqlArguments>),
    /// Compute new limits from what the SQL gave.
    ImportAggregates(Box<aggregates::ImportArguments>),
    /// Take in records as they come and keep proposals, status page and report current.
    Watch(Box<live::watch::Arguments>),
    /// Draw released values for review, and say what the review proves about escapes.
    #[command(subcommand)]
    Audit(live::audit::Command),
    /// Propose, approve, apply, revert and look up changes of limits.
    #[command(subcommand)]
    Ledger(live::ledger::Command),
}

/// Runs one of the subcommands.
pub(crate) fn run(command: Command) -> Result<Outcome, Failure> {
    match command {
        Command::Optimise(arguments) => optimise::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Validate(arguments) => validate::run(&arguments),
        Command::Sql(arguments) => aggregates::print(&arguments),
        Command::ImportAggregates(arguments) => aggregates::import(&arguments),
        Command::Watch(arguments) => live::watch::run(&arguments),
        Command::Audit(command) => live::audit::run(&command),
        Command::Ledger(command) => live::ledger::run(&command),
    }
}
