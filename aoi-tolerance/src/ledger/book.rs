//! What the entries add up to: which changes wait, are approved, are in force; and which next step is allowed.

use std::collections::{BTreeMap, HashMap};

use super::chain::Chain;
use super::drawing::Drawing;
use super::entry::{Act, Change, Entry};
use crate::error::Error;

/// How far a proposal has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Waits for approval.
    Proposed,
    /// Waits to be applied.
    Approved,
    /// In force.
    Applied,
    /// Was in force.
    Reverted,
    /// Somebody said no.
    Rejected,
    /// A later proposal speaks for the limit.
    Replaced,
}

impl Stage {
    /// In words that follow "it".
    pub fn word(self) -> &'static str {
        match self {
            Self::Proposed => "waits for approval",
            Self::Approved => "is approved and waits to be applied",
            Self::Applied => "is in force",
            Self::Reverted => "was reverted",
            Self::Rejected => "was rejected",
            Self::Replaced => "was replaced by a later proposal",
        }
    }
}

/// One proposal and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    /// Its number: that of the entry.
    pub number: u64,
    /// What it changes.
    pub change: Change,
    /// How far it has come.
    pub stage: Stage,
    /// What other percentiles would do is on record.
    pub simulated: bool,
    /// A validation is on record.
    pub validated: bool,
    /// Who approved it.
    pub approved_by: Option<String>,
}

/// The entries of a ledger and what they add up to.
#[derive(Debug, Clone, Default)]
pub struct Book {
    entries: Vec<Entry>,
    hashes: Vec<String>,
    proposals: BTreeMap<u64, Open>,
    /// The last proposal on each subject.
    latest: HashMap<String, u64>,
}

impl Book {
    /// Reads a chain from its start.
    pub fn of(chain: Chain) -> Self {
        let mut book = Self::default();
        for (entry, hash) in chain.entries {
            book.add(entry, hash);
        }
        book
    }

    /// All entries.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// All proposals, by number.
    pub fn proposals(&self) -> impl Iterator<Item = &Open> {
        self.proposals.values()
    }

    /// The drawing that this entry put on record.
    ///
    /// # Errors
    /// When there is no such entry, or it is something else.
    pub fn drawing(&self, number: u64) -> Result<&Drawing, Error> {
        let at = number.checked_sub(1).and_then(|n| usize::try_from(n).ok());
        match at.and_then(|at| self.entries.get(at)).map(|e| &e.act) {
            Some(Act::Draw { drawing }) => Ok(drawing),
            Some(other) => {
                let reason = format!("entry {number} is no drawing; it says {:?}", other.to_string());
                Err(Error::Ledger { reason })
            }
            None => {
                let last = self.entries.len();
                Err(Error::Ledger { reason: format!("there is no entry {number}; the last is {last}") })
            }
        }
    }

    /// The proposal of this number.
    pub fn proposal(&self, number: u64) -> Option<&Open> {
        self.proposals.get(&number)
    }

    /// Digest of the last entry; zeros where there is none.
    pub fn head(&self) -> &str {
        self.hashes.last().map_or(super::chain::START, String::as_str)
    }

    /// Digest of an entry.
    pub fn hash_of(&self, number: u64) -> Option<&str> {
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        self.hashes.get(index).map(String::as_str)
    }

    /// What an act puts in force: the change, and for a limit its value.
    pub fn effect(&self, act: &Act) -> Option<(&Change, Option<f64>)> {
        match act {
            Act::Apply { proposal } => {
                let change = &self.proposals.get(proposal)?.change;
                let value = if let Change::Limit { to, .. } = change { Some(*to) } else { None };
                Some((change, value))
            }
            Act::Revert { proposal, .. } => {
                let change = &self.proposals.get(proposal)?.change;
                if let Change::Limit { from, .. } = change { Some((change, Some(*from))) } else { None }
            }
            _ => None,
        }
    }

    /// Limits over time, as the entries put them in force: entry, change, value.
    pub fn in_force(&self) -> impl Iterator<Item = (&Entry, &Change, f64)> {
        self.entries.iter().filter_map(|e| {
            let (change, value) = self.effect(&e.act)?;
            Some((e, change, value?))
        })
    }

    /// The last proposal on the same subject, if it waits or was rejected; one that was in force is history.
    pub fn latest_on(&self, change: &Change) -> Option<&Open> {
        let number = self.latest.get(&change.subject())?;
        let settled = |o: &&Open| !matches!(o.stage, Stage::Applied | Stage::Reverted | Stage::Replaced);
        self.proposals.get(number).filter(settled)
    }

    /// Refuses an act that the entries so far do not allow; `who` would sign it.
    ///
    /// # Errors
    /// Says what is missing and what to do.
    pub fn check(&self, act: &Act, who: &str) -> Result<(), Error> {
        let refuse = |reason: String| Err(Error::Ledger { reason });
        if who.trim().is_empty() {
            return refuse("an entry needs a name: say who (--who)".into());
        }
        let (number, step) = match act {
            Act::Propose { change: Change::Limit { from, to, .. }, .. } => {
                return if from.is_finite() && to.is_finite() {
                    Ok(())
                } else {
                    refuse(format!("a limit from {from} to {to} is none"))
                };
            }
            Act::Propose { .. } | Act::Draw { .. } | Act::Note { .. } => return Ok(()),
            Act::Simulate { proposal, .. } => (*proposal, "simulated"),
            Act::Validate { proposal, .. } => (*proposal, "validated"),
            Act::Approve { proposal } => (*proposal, "approved"),
            Act::Reject { proposal } => (*proposal, "rejected"),
            Act::Apply { proposal } => (*proposal, "applied"),
            Act::Revert { proposal, .. } => (*proposal, "reverted"),
        };
        let Some(open) = self.proposals.get(&number) else {
            return refuse(format!("there is no proposal {number}; `ledger log` lists them"));
        };
        let wanted = match act {
            Act::Apply { .. } => Stage::Approved,
            Act::Revert { .. } => Stage::Applied,
            _ => Stage::Proposed,
        };
        if open.stage != wanted && !(matches!(act, Act::Reject { .. }) && open.stage == Stage::Approved) {
            return refuse(format!("proposal {number} cannot be {step}: it {}", open.stage.word()));
        }
        match act {
            Act::Approve { .. } => check_approval(open),
            Act::Apply { .. } => self.check_application(open),
            Act::Revert { approved_by, .. } => self.check_reversal(open, approved_by.as_deref()),
            _ => Ok(()),
        }
    }

    /// The limit must still be where it was when the change was proposed.
    fn check_application(&self, open: &Open) -> Result<(), Error> {
        let Change::Limit { limit, from, .. } = &open.change else { return Ok(()) };
        let now = self.value_of(&open.change).unwrap_or(limit.baseline);
        if now.to_bits() == from.to_bits() {
            return Ok(());
        }
        let reason = format!(
            "proposal {} starts from {from}, but the limit in force is {now} by now; propose it again",
            open.number
        );
        Err(Error::Ledger { reason })
    }

    /// Only the change that is in force is reverted; where that loosens, somebody else has to agree.
    fn check_reversal(&self, open: &Open, approved_by: Option<&str>) -> Result<(), Error> {
        let number = open.number;
        let refuse = |reason: String| Err(Error::Ledger { reason });
        let Change::Limit { to, loosens, .. } = &open.change else {
            return refuse(format!(
                "proposal {number} changed no limit and cannot be reverted; correct it by new records"
            ));
        };
        if self.value_of(&open.change).is_none_or(|now| now.to_bits() != to.to_bits()) {
            return refuse(format!(
                "proposal {number} is no longer the change in force; revert the later one first"
            ));
        }
        if !loosens && approved_by.is_none_or(|by| by.trim().is_empty()) {
            return refuse(format!(
                "reverting proposal {number} loosens the limit, which always needs an approval: name who approves (--approved-by)"
            ));
        }
        Ok(())
    }

    /// The value that the entries have put in force for the change's limit.
    fn value_of(&self, change: &Change) -> Option<f64> {
        let subject = change.subject();
        self.in_force().filter(|(_, c, _)| c.subject() == subject).last().map(|(_, _, value)| value)
    }

    /// Adds an entry that was checked.
    pub(super) fn add(&mut self, entry: Entry, hash: String) {
        let mut stage = |number: &u64, stage: Stage| {
            if let Some(open) = self.proposals.get_mut(number) {
                open.stage = stage;
            }
        };
        match &entry.act {
            Act::Propose { change, .. } => {
                let before = self.latest.insert(change.subject(), entry.number);
                if let Some(open) = before.and_then(|number| self.proposals.get_mut(&number))
                    && matches!(open.stage, Stage::Proposed | Stage::Approved)
                {
                    open.stage = Stage::Replaced;
                }
                let open = Open {
                    number: entry.number,
                    change: change.clone(),
                    stage: Stage::Proposed,
                    simulated: false,
                    validated: false,
                    approved_by: None,
                };
                self.proposals.insert(entry.number, open);
            }
            Act::Approve { proposal } => {
                stage(proposal, Stage::Approved);
                if let Some(open) = self.proposals.get_mut(proposal) {
                    open.approved_by = Some(entry.who.clone());
                }
            }
            Act::Reject { proposal } => stage(proposal, Stage::Rejected),
            Act::Apply { proposal } => stage(proposal, Stage::Applied),
            Act::Revert { proposal, .. } => stage(proposal, Stage::Reverted),
            Act::Simulate { proposal, .. } => {
                if let Some(open) = self.proposals.get_mut(proposal) {
                    open.simulated = true;
                }
            }
            Act::Validate { proposal, .. } => {
                if let Some(open) = self.proposals.get_mut(proposal) {
                    open.validated = true;
                }
            }
            Act::Draw { .. } | Act::Note { .. } => {}
        }
        self.entries.push(entry);
        self.hashes.push(hash);
    }
}

/// A limit is approved on what is on record.
fn check_approval(open: &Open) -> Result<(), Error> {
    let number = open.number;
    let reason = match open.change {
        Change::Limit { .. } if !open.simulated => {
            format!("proposal {number} was not simulated; propose it again")
        }
        Change::Limit { .. } if !open.validated => {
            format!("proposal {number} was not validated; propose it again")
        }
        _ => return Ok(()),
    };
    Err(Error::Ledger { reason })
}
