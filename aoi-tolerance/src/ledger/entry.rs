//! One line of the ledger.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::drawing::Drawing;
use crate::certificate::Certificate;
use crate::limit::Side;
use crate::recalibrate::{LiveLimit, Recalibrator};
use crate::record::Key;

/// One entry, without the digests that chain it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 1.
    pub number: u64,
    /// When, RFC 3339 with zone.
    pub time: String,
    /// Who.
    pub who: String,
    /// Why, in that person's words.
    pub why: String,
    /// Program and version that wrote it.
    pub software: String,
    /// What was done.
    #[serde(flatten)]
    pub act: Act,
}

/// What the caller of an act signs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// When, RFC 3339 with zone.
    pub time: String,
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
    /// Program and version.
    pub software: String,
}

/// What was done; `proposal` is the number of the entry that proposed it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Act {
    /// A change is proposed; it replaces an earlier proposal on the same limit that nobody has approved.
    Propose {
        /// What is to change.
        change: Change,
        /// The records that it rests on.
        input: Evidenced,
    },
    /// What other percentiles would have given.
    Simulate {
        /// The proposal.
        proposal: u64,
        /// One for each percentile.
        points: Vec<SimulatedPoint>,
    },
    /// Would limits computed without each known defect have flagged it?
    Validate {
        /// The proposal.
        proposal: u64,
        /// Defects held back in turn.
        held_back: u64,
        /// Of these, flagged by the limit computed without them.
        flagged: u64,
        /// Lower bound on the recall at 1 - delta; none without a defect.
        recall_at_least: Option<f64>,
    },
    /// Somebody agrees.
    Approve {
        /// The proposal.
        proposal: u64,
    },
    /// Somebody does not.
    Reject {
        /// The proposal.
        proposal: u64,
    },
    /// It is in force.
    Apply {
        /// The proposal.
        proposal: u64,
    },
    /// The limit before it is in force again.
    Revert {
        /// The proposal.
        proposal: u64,
        /// Who agreed, where the limit is loosened by it.
        approved_by: Option<String>,
    },
    /// A sample of released values is to be reviewed.
    Draw {
        /// What was drawn, and from what.
        drawing: Drawing,
    },
    /// Something that happened: an escape, drift, a freeze.
    Note {
        /// `escape`, `drift`, `freeze`, `unsettled` or `withheld`.
        kind: String,
        /// In words.
        text: String,
    },
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Propose { change, .. } => write!(f, "propose: {change}"),
            Self::Simulate { proposal, points } => {
                write!(f, "simulate {proposal} at {} percentiles", points.len())
            }
            Self::Validate { proposal, held_back, flagged, .. } => {
                write!(f, "validate {proposal}: {flagged} of {held_back} held-back defects flagged")
            }
            Self::Approve { proposal } => write!(f, "approve {proposal}"),
            Self::Reject { proposal } => write!(f, "reject {proposal}"),
            Self::Apply { proposal } => write!(f, "apply {proposal}"),
            Self::Revert { proposal, approved_by: None } => write!(f, "revert {proposal}"),
            Self::Revert { proposal, approved_by: Some(by) } => {
                write!(f, "revert {proposal}, approved by {by}")
            }
            Self::Draw { drawing } => {
                write!(f, "draw {} of {} released values for review", drawing.drawn, drawing.released)
            }
            Self::Note { kind, text } => write!(f, "{kind}: {text}"),
        }
    }
}

/// The records that a proposal rests on: the first so many events of the store, whose digest chain ends in `sha256`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidenced {
    /// Events.
    pub events: u64,
    /// The log's digest after them.
    pub sha256: String,
}

/// What a proposal would change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// The limit in force.
    Limit {
        /// Which.
        limit: LimitName,
        /// The limit in force when it was proposed.
        from: f64,
        /// The new one.
        to: f64,
        /// It flags less than before: always needs a person's approval.
        loosens: bool,
        /// The policy lets it be applied without asking.
        automatic: bool,
        /// What became of the proposal: relaxed, guarded, ..., and why.
        reason: String,
        /// False calls that T0 flags, and that the new limit would.
        false_calls: (u64, u64),
        /// Confirmed defects that T0 flags, and that the new limit would.
        defects: (u64, u64),
        /// Defects that support the certificate.
        certificate_defects: u64,
        /// Misses that it allows.
        certificate_misses: u64,
        /// Upper bound on the escape rate, relative to what T0 flags; none without evidence.
        escape_bound: Option<f64>,
        /// At this confidence.
        confidence: f64,
    },
    /// A fault leaves: it is now said to be none.
    Withdraw {
        /// The limit that it guards.
        limit: LimitName,
        /// The store's number of it.
        row: u32,
        /// The measured value.
        value: f64,
        /// The verdict that was given instead.
        verdict: String,
    },
    /// Unreadable records were looked at and block nothing any more.
    Acknowledge {
        /// What could be read of their key.
        key: [Option<String>; 6],
        /// How many may be defects.
        guards: u64,
        /// How many have no verdict.
        pending: u64,
    },
    /// Drift was looked into: what is measured from now on is the new reference.
    Reference {
        /// The limit whose measurements drifted.
        limit: LimitName,
    },
}

/// What other percentiles would have given.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SimulatedPoint {
    /// The percentile.
    pub percentile: f64,
    /// The limit that it gives.
    pub limit: f64,
    /// False calls left.
    pub false_calls: u64,
    /// Confirmed defects that stay flagged.
    pub defects: u64,
}

/// A limit by what never changes: its key, its side and T0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LimitName {
    /// Part number.
    pub part: String,
    /// Board model or recipe.
    pub model: String,
    /// Revision of the recipe.
    pub revision: String,
    /// Kind of inspection.
    pub inspection: String,
    /// The measured quantity.
    pub feature: String,
    /// Unit of the value.
    pub unit: String,
    /// `lower` or `upper`.
    pub side: String,
    /// T0.
    pub baseline: f64,
}

impl LimitName {
    /// The name of a limit of a recalibrator.
    pub fn of(live: &Recalibrator, limit: LiveLimit) -> Self {
        let id = live.name(limit);
        let [part, model, revision, inspection, feature, unit] = id.key.fields().map(str::to_owned);
        let (baseline, _) = live.in_force(limit);
        Self { part, model, revision, inspection, feature, unit, side: id.side.to_string(), baseline }
    }

    /// The limit of this name, if the recalibrator knows it.
    pub fn find(&self, live: &Recalibrator) -> Option<LiveLimit> {
        let Self { part, model, revision, inspection, feature, unit, .. } = self.clone();
        live.find(&Key { part, model, revision, inspection, feature, unit }, self.side(), self.baseline)
    }

    /// Its side.
    pub fn side(&self) -> Side {
        if self.side == "upper" { Side::Upper } else { Side::Lower }
    }
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { part, model, revision, inspection, feature, unit, side, baseline } = self;
        let fields = [part, model, revision, inspection, feature, unit];
        for field in fields.into_iter().filter(|s| !s.is_empty()) {
            write!(f, "{field} / ")?;
        }
        write!(f, "{side} {baseline}")
    }
}

impl Change {
    /// A change of a limit, with what its proposal and certificate say.
    pub fn of(
        limit: LimitName,
        from: f64,
        motion: &crate::motion::Motion,
        proposal: &crate::proposal::Proposal,
        flagged: (u64, u64),
    ) -> Option<Self> {
        use crate::motion::Motion;
        let to = motion.target()?;
        let (loosens, automatic, cause) = match motion {
            Motion::Loosen { capped, .. } => (true, false, capped.then(|| "a cap holds the step".to_owned())),
            Motion::Tighten { automatic, cause, .. } => {
                (false, *automatic, cause.as_ref().map(ToString::to_string))
            }
            Motion::Stay | Motion::Frozen(_) => return None,
        };
        let said = format!("{}: {}", proposal.decision, proposal.reason);
        let reason = cause.map_or_else(|| said.clone(), |cause| format!("{cause} ({said})"));
        let Certificate { defects, misses, bound, confidence, .. } = &proposal.certificate;
        Some(Self::Limit {
            limit,
            from,
            to,
            loosens,
            automatic,
            reason,
            false_calls: (proposal.false_calls_before, flagged.0),
            defects: (proposal.defects_before, flagged.1),
            certificate_defects: *defects,
            certificate_misses: *misses,
            escape_bound: bound.value(),
            confidence: *confidence,
        })
    }

    /// The limit it is about; none for unreadable records.
    pub fn limit(&self) -> Option<&LimitName> {
        match self {
            Self::Limit { limit, .. } | Self::Withdraw { limit, .. } | Self::Reference { limit } => {
                Some(limit)
            }
            Self::Acknowledge { .. } => None,
        }
    }

    /// What it is about, as text: of two changes with one subject the later replaces the earlier.
    pub(super) fn subject(&self) -> String {
        match self {
            Self::Limit { limit, .. } => format!("limit {:016x} {limit:?}", limit.baseline.to_bits()),
            Self::Withdraw { row, .. } => format!("row {row}"),
            Self::Acknowledge { key, .. } => format!("unreadable {key:?}"),
            Self::Reference { limit } => format!("reference {limit:?}"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit { limit, from, to, loosens, .. } => {
                write!(f, "{} {limit}: {from} -> {to}", if *loosens { "loosen" } else { "tighten" })
            }
            Self::Withdraw { limit, value, verdict, .. } => {
                write!(f, "withdraw the defect at {value} (now {verdict}) from {limit}")
            }
            Self::Acknowledge { key, guards, pending } => {
                let known: Vec<&str> = key.iter().flatten().map(String::as_str).collect();
                write!(f, "acknowledge {} unreadable records of {}", guards + pending, known.join(" / "))
            }
            Self::Reference { limit } => write!(f, "take a new reference for {limit}"),
        }
    }
}
