//! What is proposed for a limit, and why.

use std::fmt;

use crate::certificate::Certificate;
use crate::limit::Side;

/// What became of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// The percentile stands: the limit moves to it.
    Relaxed,
    /// A known defect holds the limit: it moves less far than the percentile.
    Guarded,
    /// The limit stays, by rule or for lack of evidence.
    Kept,
    /// The limit stays until records are cleared.
    Blocked,
    /// The limit stays, and a defect that it let escape asks for the suggested limit.
    Tighten,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Relaxed => "relaxed",
            Self::Guarded => "guarded",
            Self::Kept => "kept",
            Self::Blocked => "blocked",
            Self::Tighten => "tighten",
        })
    }
}

/// Why a limit moved no further than it did.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// Relaxed: nothing stood in the percentile's way.
    PercentileStands,
    /// Guarded: the worst confirmed defect holds the limit.
    DefectHolds,
    /// Guarded: a borderline or provisional value holds the limit.
    ProvisionalHolds,
    /// Kept: no value was falsely flagged.
    NoFalseCalls,
    /// Kept: fewer false calls than the rule asks for.
    FewFalseCalls {
        /// How many there are.
        have: u64,
        /// How many are needed.
        need: u64,
    },
    /// Kept: fewer confirmed defects than the rule asks for.
    FewDefects {
        /// How many there are.
        have: u64,
        /// How many are needed.
        need: u64,
    },
    /// Kept: not more confirmed defects than may be missed.
    MissesSpendAll {
        /// Confirmed defects.
        defects: u64,
        /// Misses asked for.
        misses: u64,
    },
    /// Kept: the guard with its margin reaches beyond the old limit.
    GuardBeyondLimit,
    /// Kept: rounded towards flagging on the machine's grid, the limit would not move.
    ResolutionTooCoarse,
    /// Kept: the records name different resolutions.
    ResolutionConflict,
    /// Kept: the margin is in sigmas and no sigma is recorded.
    NoSigma,
    /// Kept: the percentile of these values overflows.
    PercentileNotFinite,
    /// Kept: too few confirmed defects for the certificate asked for.
    Uncertified {
        /// How many more are needed.
        missing: u64,
    },
    /// Kept: only aggregates are known, and they do not tell what the new limit would flag.
    NotInAggregates,
    /// Blocked: flagged values without a usable verdict.
    Pending {
        /// How many.
        pending: u64,
        /// Of how many flagged.
        flagged: u64,
    },
    /// Blocked: defect rows that cannot be read.
    UnreadableDefects {
        /// How many.
        rows: u64,
    },
    /// Tighten: defects that no limit flagged.
    Escaped {
        /// How many this limit would have caught.
        defects: u64,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PercentileStands => f.write_str("the percentile stands"),
            Self::DefectHolds => f.write_str("the worst known defect holds the limit"),
            Self::ProvisionalHolds => f.write_str("a borderline or provisional value holds the limit"),
            Self::NoFalseCalls => f.write_str("no false calls"),
            Self::FewFalseCalls { have, need } => write!(f, "{have} false calls; {need} needed"),
            Self::FewDefects { have, need } => write!(f, "{have} confirmed defects; {need} needed"),
            Self::MissesSpendAll { defects, misses } => {
                write!(f, "{defects} confirmed defects are not more than the {misses} that may be missed")
            }
            Self::GuardBeyondLimit => f.write_str("the worst defect and its margin reach the old limit"),
            Self::ResolutionTooCoarse => {
                f.write_str("rounded to the machine's resolution the limit would not move")
            }
            Self::ResolutionConflict => f.write_str("the records name different resolutions"),
            Self::NoSigma => f.write_str("the margin is in sigmas and no sigma is recorded"),
            Self::PercentileNotFinite => f.write_str("the percentile overflows"),
            Self::Uncertified { missing } => {
                write!(f, "{missing} more confirmed defects are needed for the certificate")
            }
            Self::NotInAggregates => f.write_str(
                "the aggregates do not tell what the new limit would flag; compute it from the records",
            ),
            Self::Pending { pending, flagged } => {
                write!(f, "{pending} of {flagged} flagged values have no verdict")
            }
            Self::UnreadableDefects { rows } => write!(f, "defect rows that cannot be read: {rows}"),
            Self::Escaped { defects } => write!(f, "defects that escaped all limits: {defects}"),
        }
    }
}

/// A new limit, or the old one and the reason it stays.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// The side that the limit bounds.
    pub side: Side,
    /// The limit in force, T0.
    pub old_limit: f64,
    /// The limit proposed; T0 unless `decision` is relaxed or guarded.
    pub new_limit: f64,
    /// What became of the limit.
    pub decision: Decision,
    /// Why.
    pub reason: Reason,
    /// False calls that T0 flags.
    pub false_calls_before: u64,
    /// False calls that the new limit flags.
    pub false_calls_after: u64,
    /// Confirmed defects that T0 flags.
    pub defects_before: u64,
    /// Confirmed defects that the new limit flags.
    pub defects_after: u64,
    /// Distance from the new limit to the nearest confirmed defect that it flags, in the unit of the value.
    pub nearest_defect: Option<f64>,
    /// Margin asked for, in the unit of the value; zero where it could not be computed.
    pub margin: f64,
    /// What the defects prove.
    pub certificate: Certificate,
    /// The limit that would have caught the escaped defects.
    pub suggested_limit: Option<f64>,
    /// Confirmed defects measured by this limit that it did not flag.
    pub defects_unflagged: u64,
    /// Step of the stored limit, where one was used.
    pub resolution: Option<f64>,
}

impl Proposal {
    /// Whether the limit moves.
    pub fn moves(&self) -> bool {
        matches!(self.decision, Decision::Relaxed | Decision::Guarded)
    }
}
