//! What a caller has to hear.

use std::fmt;

use crate::population::LimitId;

/// Something that happened in a stream and wants attention.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// A fault that the limit in force let pass and T0 would have flagged: the loudest event there is.
    Escape {
        /// The limit that let it pass.
        limit: LimitId,
        /// The measured value.
        value: f64,
        /// T0.
        baseline: f64,
        /// The limit in force.
        in_force: f64,
    },
    /// A fault that T0 itself does not flag.
    BeyondBaseline {
        /// The nearest limit.
        limit: LimitId,
        /// The measured value.
        value: f64,
    },
    /// A new revision of a recipe, or new limits under a known key: what was learned before does not speak for it.
    Unsettled {
        /// Its first limit.
        limit: LimitId,
        /// The key is known, the limits are new.
        changed_limits: bool,
    },
    /// A fault is now said to be none; it stays one until that is approved.
    Withheld {
        /// The limit that it guards.
        limit: LimitId,
        /// The measured value.
        value: f64,
    },
}

impl Notice {
    /// Whether it is an escape: a fault that a limit in force let pass.
    pub fn is_escape(&self) -> bool {
        matches!(self, Self::Escape { .. } | Self::BeyondBaseline { .. })
    }

    /// The limit it is about.
    pub fn limit(&self) -> &LimitId {
        match self {
            Self::Escape { limit, .. }
            | Self::BeyondBaseline { limit, .. }
            | Self::Unsettled { limit, .. }
            | Self::Withheld { limit, .. } => limit,
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LimitId { key, side, .. } = self.limit();
        match self {
            Self::Escape { value, baseline, in_force, .. } => write!(
                f,
                "ESCAPE: {key}: a defect at {value} passed the {side} limit in force, {in_force}; the old limit {baseline} would have flagged it"
            ),
            Self::BeyondBaseline { value, .. } => {
                write!(f, "ESCAPE: {key}: a defect at {value} that even the old {side} limit does not flag")
            }
            Self::Unsettled { changed_limits: false, .. } => {
                write!(f, "new revision: {key}: nothing moves until it has shown enough records of its own")
            }
            Self::Unsettled { changed_limits: true, .. } => write!(
                f,
                "new limits: {key}: the records carry limits that nobody applied here; nothing moves until they have shown enough records"
            ),
            Self::Withheld { value, .. } => write!(
                f,
                "verdict withdrawn: {key}: the defect at {value} is now said to be none; it keeps guarding the {side} limit until that is approved"
            ),
        }
    }
}
