//! How limits are to be computed.

use crate::error::Error;
use crate::limit::Boundary;
use crate::margin::Margin;
use crate::percentile::HyndmanFan;
use crate::resolution::ResolutionRule;

/// What a limit must show before it moves.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Policy {
    /// The published steps: the percentile, lifted above the worst known defect (plus margin) only where it would lose it. Limits
    /// without a defect are relaxed too, on no evidence.
    Paper,
    /// The larger of percentile and guard; a limit with too few false calls or defects stays.
    #[default]
    Guarded,
    /// Guarded, and the limit moves only if its certificate bounds the escape rate by `alpha`.
    Certified {
        /// Largest escape rate accepted.
        alpha: f64,
    },
}

/// Settings of [`crate::optimise::optimise`]; checked once by it.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// What a limit must show before it moves.
    pub policy: Policy,
    /// Percentile P of the false calls, 0 to 100: about P % of them stay flagged.
    pub percentile: f64,
    /// Definition of the percentile.
    pub percentile_kind: HyndmanFan,
    /// Distance kept from the worst known defect.
    pub margin: Margin,
    /// Where the step of the stored limits comes from.
    pub resolution: ResolutionRule,
    /// r: confirmed defects per limit that may be given up. Above 0 a known defect may escape.
    pub misses: u64,
    /// delta: a certificate's bound may fail with at most this probability.
    pub delta: f64,
    /// Divide `delta` by the number of limits moved, so that all certificates hold at once (Bonferroni).
    pub simultaneous: bool,
    /// False calls a limit needs to move; none = the policy's own (10; paper 1).
    pub min_false_calls: Option<u64>,
    /// Confirmed defects a limit needs to move; none = the policy's own (1; paper 0).
    pub min_defects: Option<u64>,
    /// Largest share of pending verdicts among the flagged values of a limit that does not block it.
    pub max_pending_share: f64,
    /// What happens to a value equal to its limit.
    pub boundary: Boundary,
    /// Worker threads; results do not depend on it.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            policy: Policy::Guarded,
            percentile: 80.0,
            percentile_kind: HyndmanFan::default(),
            margin: Margin::Gauge,
            resolution: ResolutionRule::Recorded,
            misses: 0,
            delta: 0.05,
            simultaneous: false,
            min_false_calls: None,
            min_defects: None,
            max_pending_share: 0.0,
            boundary: Boundary::Passes,
            threads: 1,
        }
    }
}

impl Options {
    /// False calls a limit needs to move.
    pub fn needed_false_calls(&self) -> u64 {
        self.min_false_calls.unwrap_or(if self.policy == Policy::Paper { 1 } else { 10 })
    }

    /// Confirmed defects a limit needs to move.
    pub fn needed_defects(&self) -> u64 {
        self.min_defects.unwrap_or(u64::from(self.policy != Policy::Paper))
    }

    /// Refuses settings outside their range.
    ///
    /// # Errors
    /// Names the option, what it is and what would be accepted.
    pub fn check(&self) -> Result<(), Error> {
        let inside = |option, value: f64, range: std::ops::RangeInclusive<f64>, expected| {
            if range.contains(&value) {
                Ok(())
            } else {
                Err(Error::Option { option, got: value.to_string(), expected })
            }
        };
        let open = f64::MIN_POSITIVE..=1.0_f64.next_down();
        inside("percentile", self.percentile, 0.0..=100.0, "a number from 0 to 100")?;
        inside("delta", self.delta, open.clone(), "a number between 0 and 1, such as 0.05")?;
        inside("max_pending_share", self.max_pending_share, 0.0..=1.0, "a share from 0 to 1")?;
        if let Policy::Certified { alpha } = self.policy {
            inside("alpha", alpha, open, "a number between 0 and 1, such as 0.01")?;
        }
        if self.threads == 0 {
            return Err(Error::Option { option: "threads", got: "0".into(), expected: "at least 1" });
        }
        self.margin.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_accepted_and_nonsense_is_named() {
        Options::default().check().unwrap();
        let wrong = [
            (Options { percentile: 101.0, ..Options::default() }, "percentile"),
            (Options { percentile: f64::NAN, ..Options::default() }, "percentile"),
            (Options { delta: 0.0, ..Options::default() }, "delta"),
            (Options { delta: 1.0, ..Options::default() }, "delta"),
            (Options { max_pending_share: 1.5, ..Options::default() }, "max_pending_share"),
            (Options { policy: Policy::Certified { alpha: 0.0 }, ..Options::default() }, "alpha"),
            (Options { threads: 0, ..Options::default() }, "threads"),
            (Options { margin: Margin::Absolute(-1.0), ..Options::default() }, "margin"),
        ];
        for (options, name) in wrong {
            let error = options.check().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }

    #[test]
    fn the_paper_policy_asks_for_less_evidence_unless_told_otherwise() {
        let paper = Options { policy: Policy::Paper, ..Options::default() };
        assert_eq!((paper.needed_false_calls(), paper.needed_defects()), (1, 0));
        let guarded = Options::default();
        assert_eq!((guarded.needed_false_calls(), guarded.needed_defects()), (10, 1));
        let told = Options { min_false_calls: Some(3), min_defects: Some(2), ..paper };
        assert_eq!((told.needed_false_calls(), told.needed_defects()), (3, 2));
    }
}
