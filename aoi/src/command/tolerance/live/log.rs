//! What the ledger says, for people and programs.

use std::collections::BTreeMap;
use std::path::Path;

use aoi_tolerance::ledger::{Book, read_ledger};

use crate::command::outcome::{Failure, Outcome};

/// The entries of a folder's ledger, and what is wrong with its chain.
pub(super) fn book(folder: &Path) -> Result<(Book, Option<String>), Failure> {
    if !folder.join("ledger.jsonl").exists() {
        return Err(Failure::Other(format!("{}: there is no ledger here", folder.display())));
    }
    let verified = read_ledger(folder)?;
    Ok((Book::of(verified.chain), verified.fault))
}

/// Says that the chain is broken, where it is.
fn outcome(fault: Option<String>) -> Outcome {
    let Some(fault) = fault else { return Outcome::Done };
    eprintln!("aoi: the ledger is broken: {fault}; what stands before is shown");
    Outcome::No
}

/// Lists the entries, oldest first.
pub(super) fn log(folder: &Path, json: bool) -> Result<Outcome, Failure> {
    let (book, fault) = book(folder)?;
    for entry in book.entries() {
        if json {
            println!("{}", serde_json::to_string(entry).map_err(|e| Failure::Other(e.to_string()))?);
        } else {
            let state =
                book.proposal(entry.number).map_or_else(String::new, |o| format!(" [{}]", o.stage.word()));
            println!("{:>5}  {}  {}: {}{state}", entry.number, entry.time, entry.who, entry.act);
        }
    }
    Ok(outcome(fault))
}

/// Shows one entry, or the limits after it.
pub(super) fn show(folder: &Path, number: u64, limits: bool, json: bool) -> Result<Outcome, Failure> {
    let (book, fault) = book(folder)?;
    let Some(entry) = book.entries().iter().find(|e| e.number == number) else {
        let last = book.entries().len();
        return Err(Failure::Other(format!("there is no entry {number}; the last is {last}")));
    };
    if !limits {
        let text = if json { serde_json::to_string(entry) } else { serde_json::to_string_pretty(entry) };
        println!("{}", text.map_err(|e| Failure::Other(e.to_string()))?);
        return Ok(outcome(fault));
    }
    let mut in_force: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for (entry, change, value) in book.in_force().filter(|(e, _, _)| e.number <= number) {
        if let Some(limit) = change.limit().filter(|_| entry.number <= number) {
            in_force.insert(limit.to_string(), (limit.baseline, value));
        }
    }
    in_force.retain(|_, (baseline, value)| baseline.to_bits() != value.to_bits());
    if json {
        let all: Vec<_> = in_force
            .iter()
            .map(|(limit, (baseline, value))| serde_json::json!({ "limit": limit, "old": baseline, "in_force": value }))
            .collect();
        println!("{}", serde_json::Value::from(all));
    } else if in_force.is_empty() {
        println!("after entry {number} every limit was the old one");
    }
    for (limit, (_, value)) in in_force.iter().filter(|_| !json) {
        println!("{limit} -> {value}");
    }
    Ok(outcome(fault))
}
