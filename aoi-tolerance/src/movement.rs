//! How far limits move at a percentile, and what those that move together decide for each other.

use crate::binomial::{self, Claim};
use crate::error::Error;
use crate::options::{Options, Policy};

/// Where a percentile and the guard put a limit, in the mirrored frame.
///
/// A sweep holds one for each limit and percentile. Counts are taken here, where the values have just been read, and the cause is spelled
/// out when a proposal is made of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Movement {
    /// The new limit; none = T0 stays.
    pub(crate) limit: Option<f64>,
    /// False calls that it flags.
    pub(crate) false_calls_after: u64,
    pub(crate) reach: Reach,
    pub(crate) cause: Cause,
}

/// What a limit flags of the confirmed defects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reach {
    pub(crate) defects: u64,
    /// Distance to the nearest of them.
    pub(crate) nearest: Option<f64>,
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
    /// So many defects are missing for a certificate.
    Uncertified(u64),
    Percentile,
    Defect,
    Provisional,
}

/// What the limits that move together decide for each of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) delta: f64,
    /// Defects that the policy's certificate takes, if it asks for one.
    pub(crate) needed: Option<u64>,
}

impl Terms {
    pub(crate) fn of<'m>(
        movements: impl IntoIterator<Item = &'m Movement>,
        options: &Options,
    ) -> Result<Self, Error> {
        let delta = if options.simultaneous {
            let moved = movements.into_iter().filter(|m| m.limit.is_some()).count().max(1);
            options.delta / moved as f64
        } else {
            options.delta
        };
        let needed = match options.policy {
            Policy::Certified { alpha } => {
                Some(binomial::needed_defects(options.misses, Claim { alpha, delta })?)
            }
            Policy::Paper | Policy::Guarded => None,
        };
        Ok(Self { delta, needed })
    }
}
