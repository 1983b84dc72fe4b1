//! `aoi tolerance ledger`: the steps by which a limit changes.

use std::path::{Path, PathBuf};

use aoi_tolerance::ledger::{Act, Book, Evidenced, Ledger, draft, read_ledger, recheck};
use aoi_tolerance::store::{Store, verify_log};
use clap::{Args, Subcommand};

use super::LiveArguments;
use crate::command::outcome::{Failure, Outcome};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Propose what the records call for, with its simulation and validation.
    Propose(Box<StepArguments>),
    /// Agree to a proposal, or not.
    Approve(Box<ApproveArguments>),
    /// Put an approved proposal in force.
    Apply(Box<NumberedArguments>),
    /// Put the limit before a change in force again.
    Revert(Box<RevertArguments>),
    /// List the entries.
    Log(LookArguments),
    /// Show one entry whole, or the limits as they were in force after it.
    Show(ShowArguments),
    /// Check the chain of the ledger and of the records.
    Verify(VerifyArguments),
}

/// Who and why.
#[derive(Args)]
pub(crate) struct Signature {
    /// Who does it
    #[arg(long, value_name = "NAME")]
    pub(crate) who: String,
    /// Why, in a sentence
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: String,
}

#[derive(Args)]
#[command(
    after_help = "Example:\n  aoi tolerance ledger propose --ledger line4/ --who \"A. Berg\" --why \"end of the pilot\""
)]
pub(crate) struct StepArguments {
    #[command(flatten)]
    live: LiveArguments,
    #[command(flatten)]
    signature: Signature,
}

#[derive(Args)]
#[command(
    after_help = "Example:\n  aoi tolerance ledger apply 12 --ledger line4/ --who \"A. Berg\" --why \"recipe changed on all machines\""
)]
pub(crate) struct NumberedArguments {
    /// Number of the proposal
    #[arg(value_name = "PROPOSAL")]
    proposal: u64,
    #[command(flatten)]
    live: LiveArguments,
    #[command(flatten)]
    signature: Signature,
}

#[derive(Args)]
#[command(
    after_help = "Example:\n  aoi tolerance ledger approve 12 --ledger line4/ --who \"C. Lund\" --why \"checked against the rework list\""
)]
pub(crate) struct ApproveArguments {
    #[command(flatten)]
    step: NumberedArguments,
    /// Say no
    #[arg(long)]
    reject: bool,
}

#[derive(Args)]
#[command(
    after_help = "Example:\n  aoi tolerance ledger revert 12 --ledger line4/ --who \"A. Berg\" --why \"false calls came back\""
)]
pub(crate) struct RevertArguments {
    #[command(flatten)]
    step: NumberedArguments,
    /// Who agrees, where the limit is loosened by it
    #[arg(long, value_name = "NAME")]
    approved_by: Option<String>,
}

#[derive(Args)]
#[command(after_help = "Example:\n  aoi tolerance ledger log --ledger line4/")]
pub(crate) struct LookArguments {
    /// Folder of the store and its ledger
    #[arg(long, value_name = "DIR")]
    ledger: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[command(
    after_help = "Examples:\n  aoi tolerance ledger show 12 --ledger line4/\n  aoi tolerance ledger show 12 --limits --ledger line4/"
)]
pub(crate) struct ShowArguments {
    /// Number of the entry
    #[arg(value_name = "ENTRY")]
    entry: u64,
    #[command(flatten)]
    look: LookArguments,
    /// The limits that were in force after it, away from the old ones
    #[arg(long)]
    limits: bool,
}

#[derive(Args)]
#[command(after_help = "Example:\n  aoi tolerance ledger verify --ledger line4/ --head 3f5a...\n\n\
    A hash chain is not a signature. It shows entries that were altered, removed from within or moved. It cannot show that the end was cut off or\n\
    that everything was written anew: keep the head somewhere else, and give it to --head.")]
pub(crate) struct VerifyArguments {
    #[command(flatten)]
    look: LookArguments,
    /// A head printed earlier and kept elsewhere
    #[arg(long, value_name = "SHA256")]
    head: Option<String>,
}

/// Runs one of the subcommands.
pub(crate) fn run(command: &Command) -> Result<Outcome, Failure> {
    match command {
        Command::Propose(arguments) => propose(arguments),
        Command::Approve(arguments) => approve(arguments),
        Command::Apply(arguments) => step(arguments, |proposal| Act::Apply { proposal }, true),
        Command::Revert(arguments) => {
            let by = arguments.approved_by.clone();
            step(&arguments.step, |proposal| Act::Revert { proposal, approved_by: by.clone() }, false)
        }
        Command::Log(arguments) => super::log::log(&arguments.ledger, arguments.json),
        Command::Show(ShowArguments { entry, look, limits }) => {
            super::log::show(&look.ledger, *entry, *limits, look.json)
        }
        Command::Verify(arguments) => verify(arguments),
    }
}

fn propose(arguments: &StepArguments) -> Result<Outcome, Failure> {
    let StepArguments { live, signature } = arguments;
    let (options, policy) = (live.options()?, live.policy()?);
    let store = Store::look(&live.ledger, live.store())?;
    let mut ledger = Ledger::open(&live.ledger)?;
    let by = live.signed(&signature.who, &signature.why);
    let (events, sha256) = store.head();
    let input = Evidenced { events, sha256 };
    let drafts = draft(store.line(), ledger.book(), &options, &policy)?;
    for draft in &drafts {
        let number = ledger.propose(draft, &input, &by)?;
        println!("proposal {number}: {}", draft.change);
    }
    if drafts.is_empty() {
        println!("nothing to propose: the records call for no change that is not waiting already");
    }
    Ok(Outcome::Done)
}

fn approve(arguments: &ApproveArguments) -> Result<Outcome, Failure> {
    if arguments.reject {
        return step(&arguments.step, |proposal| Act::Reject { proposal }, false);
    }
    step(&arguments.step, |proposal| Act::Approve { proposal }, true)
}

/// Adds one entry about a proposal; with `recheck`, only if the records still support it.
fn step(arguments: &NumberedArguments, act: impl Fn(u64) -> Act, again: bool) -> Result<Outcome, Failure> {
    let NumberedArguments { proposal, live, signature } = arguments;
    let mut ledger = open(&live.ledger)?;
    let act = act(*proposal);
    ledger.book().check(&act, &signature.who)?;
    if again && let Some(open) = ledger.book().proposal(*proposal) {
        let store = Store::look(&live.ledger, live.store())?;
        recheck(store.line(), &open.change, &live.options()?, &live.policy()?)?;
    }
    let number = ledger.add(act.clone(), &live.signed(&signature.who, &signature.why))?;
    println!("entry {number}: {act}");
    println!("head         {}", ledger.book().head());
    Ok(Outcome::Done)
}

/// Opens a ledger that must be there.
pub(crate) fn open(folder: &Path) -> Result<Ledger, Failure> {
    if !folder.join("ledger.jsonl").exists() {
        return Err(Failure::Other(format!("{}: there is no ledger here", folder.display())));
    }
    Ok(Ledger::open(folder)?)
}

fn verify(arguments: &VerifyArguments) -> Result<Outcome, Failure> {
    let folder = &arguments.look.ledger;
    if !folder.join("ledger.jsonl").exists() && !folder.join("records.log").exists() {
        return Err(Failure::Other(format!("{}: there is no ledger here", folder.display())));
    }
    let verified = read_ledger(folder)?;
    let head = arguments.head.as_deref().map(str::trim);
    let records = verify_log(folder);
    let mut faults: Vec<String> = verified.fault.iter().cloned().collect();
    if verified.fault.is_none() && !verified.holds(head) {
        faults.push(
            "the head given is none of this ledger's: entries were cut off, or the ledger was written anew"
                .into(),
        );
    }
    let records = match records {
        Ok(records) => records,
        Err(error) => {
            faults.push(error.to_string());
            None
        }
    };
    if verified.torn > 0 {
        eprintln!(
            "note: {} bytes after the last entry: an entry that was cut short and never acknowledged",
            verified.torn
        );
    }
    let (entries, head) = (Book::of(verified.chain.clone()).entries().len(), verified.chain.head());
    if arguments.look.json {
        let log = records
            .as_ref()
            .map(|(events, sha256)| serde_json::json!({ "events": events, "sha256": sha256 }));
        println!(
            "{}",
            serde_json::json!({ "holds": faults.is_empty(), "faults": faults, "entries": entries, "head": head, "records": log })
        );
    } else {
        for fault in &faults {
            println!("BROKEN       {fault}");
        }
        println!("ledger       {entries} entries, head {head}");
        if let Some((events, sha256)) = records {
            println!("records      {events} events, sha256 {sha256}");
        }
        println!(
            "             a hash chain is not a signature: keep the head elsewhere and give it to --head"
        );
    }
    Ok(if faults.is_empty() { Outcome::Done } else { Outcome::No })
}
