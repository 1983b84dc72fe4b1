//! How far limits move at a percentile, and what those that move together decide for each other.

use crate::binomial::{self, Claim};
use crate::error::Error;
use crate::options::{Options, Policy};

/// Where a percentile and the guard put a limit, in the mirrored frame.
///
/// A sweep holds one for each limit and percentile, so it is small. Counts are taken here, where the values have just been read; the rest is
/// worked out when a proposal is made of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Movement {
    /// The new limit; T0 where it stays.
    pub(crate) limit: f64,
    /// False calls that it flags.
    pub(crate) false_calls_after: u64,
    /// Confirmed defects that it flags.
    pub(crate) defects_after: u64,
    pub(crate) cause: Cause,
}

impl Movement {
    /// Whether the limit leaves T0.
    pub(crate) fn moves(&self) -> bool {
        self.cause.moves()
    }
}

/// Why a limit moved no further than it did; [`crate::candidate::Candidate`] says it in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// What keeps this limit at T0 whatever the percentile.
    Always,
    FewDefects,
    PercentileNotFinite,
    GuardBeyondLimit,
    ResolutionTooCoarse,
    /// Defects are missing for the certificate asked for.
    Uncertified,
    Percentile,
    Defect,
    Provisional,
}

impl Cause {
    /// Whether it sets the limit elsewhere than T0.
    pub(crate) fn moves(self) -> bool {
        matches!(self, Self::Percentile | Self::Defect | Self::Provisional)
    }
}

/// What the limits that move together decide for each of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) delta: f64,
    /// Defects that the policy's certificate takes, if it asks for one.
    pub(crate) needed: Option<u64>,
}

impl Terms {
    /// For so many limits that move.
    pub(crate) fn of(moved: usize, options: &Options) -> Result<Self, Error> {
        let delta = if options.simultaneous { options.delta / moved.max(1) as f64 } else { options.delta };
        let needed = match options.policy {
            Policy::Certified { alpha } => {
                Some(binomial::needed_defects(options.misses, Claim { alpha, delta })?)
            }
            Policy::Paper | Policy::Guarded => None,
        };
        Ok(Self { delta, needed })
    }
}
