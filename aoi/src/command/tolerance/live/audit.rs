//! `aoi tolerance audit`: which released values to review, and what the review proves.

use std::collections::HashSet;
use std::path::PathBuf;

use aoi_tolerance::io::{drawn_csv, write_whole};
use aoi_tolerance::ledger::{Act, DrawOptions, Evidenced, Reviewed, draw_released, review};
use aoi_tolerance::store::Store;
use clap::{Args, Subcommand};

use super::ledger::{Signature, open};
use super::{LiveArguments, nanoseconds};
use crate::command::outcome::{Failure, Outcome};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Draw released values at random, put the drawing on record, and write them as records to be judged.
    Draw(Box<DrawArguments>),
    /// Say what the verdicts on a drawing prove about escapes.
    Bound(Box<BoundArguments>),
}

#[derive(Args)]
#[command(
    after_help = "Example:\n  aoi tolerance audit draw --ledger line4/ --count 120 --seed 7 --out sample.csv --who \"A. Berg\" --why \"weekly audit\"\n\n\
    Released values are those that the first limits (T0) would have flagged and the limits in force let pass: nobody reviews them. Fill in the\n\
    column `verdict` of the sample (false_call or defect) and give the file to `watch`, then ask for `audit bound`."
)]
pub(crate) struct DrawArguments {
    #[command(flatten)]
    live: LiveArguments,
    #[command(flatten)]
    signature: Signature,
    /// Values to draw; all if there are fewer
    #[arg(long, value_name = "N")]
    count: u64,
    /// Decides which; choose it when you draw, not before, and keep it from those who could profit
    #[arg(long, value_name = "SEED")]
    seed: u64,
    /// Only values measured at this time or later, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = super::time)]
    from: Option<jiff::Timestamp>,
    /// Only values measured before this time, RFC 3339
    #[arg(long, value_name = "TIME", value_parser = super::time)]
    until: Option<jiff::Timestamp>,
    /// The sample, as records without verdicts
    #[arg(long, value_name = "SAMPLE.csv")]
    out: PathBuf,
}

#[derive(Args)]
#[command(after_help = "Example:\n  aoi tolerance audit bound 31 --ledger line4/\n\n\
    The bound is that of a sample drawn without replacement (hypergeometric). It assumes nothing about the defects, and that the drawing was random to\n\
    whoever made the parts. A drawn value without a verdict counts as a defect, and so does a released value without a record id.")]
pub(crate) struct BoundArguments {
    /// Number of the entry that `audit draw` wrote
    #[arg(value_name = "ENTRY")]
    entry: u64,
    #[command(flatten)]
    live: LiveArguments,
    /// Print the result as one JSON object
    #[arg(long)]
    json: bool,
}

/// Runs one of the subcommands.
pub(crate) fn run(command: &Command) -> Result<Outcome, Failure> {
    match command {
        Command::Draw(arguments) => draw(arguments),
        Command::Bound(arguments) => bound(arguments),
    }
}

fn draw(arguments: &DrawArguments) -> Result<Outcome, Failure> {
    let DrawArguments { live, signature, count, seed, from, until, out } = arguments;
    let store = Store::look(&live.ledger, live.store())?;
    let mut ledger = open(&live.ledger)?;
    let (events, sha256) = store.head();
    let options = DrawOptions {
        count: *count,
        seed: *seed,
        from: from.map(nanoseconds),
        until: until.map(nanoseconds),
    };
    let (drawing, units) = draw_released(store.line().recalibrator(), Evidenced { events, sha256 }, options)?;
    let mut named = store.named(&units.iter().copied().collect::<HashSet<_>>())?;
    let records: Vec<_> = units.iter().filter_map(|unit| named.remove(unit)).collect();
    if records.len() != units.len() {
        let missing = units.len() - records.len();
        return Err(Failure::Other(format!(
            "{}: {missing} of the values drawn are not in the records' log; `ledger verify` says more",
            live.ledger.display()
        )));
    }
    let unnamed = drawing.unnamed;
    let act = Act::Draw { drawing };
    ledger.book().check(&act, &signature.who)?;
    // The file first: a drawing on record whose sample nobody has cannot be reviewed, a file without an entry proves nothing.
    write_whole(out, |file| drawn_csv(file, records))?;
    let number = ledger.add(act.clone(), &live.signed(&signature.who, &signature.why))?;
    println!("entry {number}: {act}");
    println!("sample       {}", out.display());
    if unnamed > 0 {
        println!(
            "note         {unnamed} released values have no record id: the bound counts them as defects"
        );
    }
    println!("head         {}", ledger.book().head());
    Ok(Outcome::Done)
}

fn bound(arguments: &BoundArguments) -> Result<Outcome, Failure> {
    let BoundArguments { entry, live, json } = arguments;
    let delta = live.options()?.delta;
    let (book, fault) = super::log::book(&live.ledger)?;
    if let Some(fault) = fault {
        eprintln!("aoi: {}: the ledger is broken: {fault}", live.ledger.display());
        return Ok(Outcome::No);
    }
    let drawing = book.drawing(*entry)?;
    let store = Store::look(&live.ledger, live.store())?;
    let Reviewed { good, defects, unreviewed, flagged_defects, finding } =
        review(store.line().recalibrator(), drawing, delta)?;
    let confidence = 1.0 - delta;
    if *json {
        println!(
            "{}",
            serde_json::json!({
                "entry": entry, "released": drawing.released, "unnamed": drawing.unnamed, "drawn": drawing.drawn, "good": good,
                "defects": defects, "unreviewed": unreviewed, "flagged_defects": flagged_defects, "confidence": confidence,
                "defects_released_at_most": finding.defects_released, "escape_rate_at_most": finding.escape_rate,
            })
        );
        return Ok(Outcome::Done);
    }
    println!("released     {} values, and {} without a record id", drawing.released, drawing.unnamed);
    println!("drawn        {}: {good} good, {defects} defects, {unreviewed} not reviewed", drawing.drawn);
    println!("flagged      {flagged_defects} confirmed defects in the same period");
    println!(
        "at most      {} defects released, {:.3} % of the period's defects (confidence {confidence})",
        finding.defects_released,
        100.0 * finding.escape_rate
    );
    if unreviewed > 0 {
        println!(
            "             {unreviewed} drawn values without a verdict count as defects: judge them, and ask again"
        );
    }
    Ok(Outcome::Done)
}
