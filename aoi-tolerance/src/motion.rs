//! May a limit move, how far, and who has to agree.
//!
//! A proposal says where the evidence puts a limit. This module says what may be done about it on a line that runs: tightening may be
//! automatic, loosening never is; a step and the whole way from T0 are capped; small moves are left alone; and some states freeze a limit. A
//! cap can only keep a limit nearer to T0 than the proposal, so that every value the proposal flags stays flagged.

use std::fmt;

use crate::error::Error;
use crate::limit::Side;
use crate::margin::Margin;
use crate::proposal::{Decision, Proposal, Reason};
use crate::recalibrate::Standing;
use crate::resolution::Resolution;

/// How far limits may move and on whose word; distances are written as margins are (`0.5`, `2%` of T0, `3sigma`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MotionPolicy {
    /// Tighten without asking. Loosening always asks.
    pub tighten_automatically: bool,
    /// Largest step of one loosening.
    pub max_step: Option<Margin>,
    /// Largest distance from T0.
    pub max_total: Option<Margin>,
    /// Moves up to this size are not proposed; a move that a known defect asks for always is.
    pub dead_band: Margin,
    /// Records that a new revision or changed limits must show before anything is loosened.
    pub settle_records: u64,
}

impl Default for MotionPolicy {
    /// Tightening asks too; steps of at most 5 % of T0 and 10 % in all; a dead band of 0.1 %; a thousand records to settle.
    fn default() -> Self {
        Self {
            tighten_automatically: false,
            max_step: Some(Margin::PercentOfLimit(5.0)),
            max_total: Some(Margin::PercentOfLimit(10.0)),
            dead_band: Margin::PercentOfLimit(0.1),
            settle_records: 1000,
        }
    }
}

impl MotionPolicy {
    /// Refuses distances that are negative or not finite.
    ///
    /// # Errors
    /// Names the distance.
    pub fn check(&self) -> Result<(), Error> {
        let distances = [self.max_step, self.max_total, Some(self.dead_band)];
        distances.into_iter().flatten().try_for_each(Margin::check)
    }
}

/// Why a limit is not loosened, whatever the evidence.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Freeze {
    /// A new revision, or limits that nobody applied here.
    Unsettled {
        /// Records so far.
        have: u64,
        /// Records needed.
        need: u64,
    },
    /// Too many flagged values without a verdict, or records that cannot be read.
    Blocked(Reason),
    /// A known defect lies inside the margin of the limit in force.
    DefectInsideMargin,
    /// The measurements no longer look like those that the evidence comes from; the certificate is void.
    Drift,
    /// The limit let a defect pass.
    Escape {
        /// Known faults that T0 flags and the limit in force does not.
        missed: u64,
    },
}

impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsettled { have, need } => {
                write!(f, "new revision or changed limits: {have} of {need} records seen")
            }
            Self::Blocked(reason) => write!(f, "{reason}"),
            Self::DefectInsideMargin => {
                f.write_str("a known defect lies inside the margin of the limit in force")
            }
            Self::Drift => f.write_str("the measurements have drifted: the certificate is void"),
            Self::Escape { missed } => write!(f, "the limit in force lets {missed} known defects pass"),
        }
    }
}

/// Which way a limit should go.
#[derive(Debug, Clone, PartialEq)]
pub enum Motion {
    /// Not at all.
    Stay,
    /// Not at all; the evidence would loosen it, or cannot be read.
    Frozen(Freeze),
    /// Towards T0: flags more.
    Tighten {
        /// The limit to be put in force.
        to: f64,
        /// The policy lets it happen without asking.
        automatic: bool,
        /// What calls for it, where it is more than the percentile.
        cause: Option<Freeze>,
    },
    /// Away from T0: flags less. Always needs an approval.
    Loosen {
        /// The limit to be put in force.
        to: f64,
        /// The evidence would go further; a cap holds it.
        capped: bool,
    },
}

impl Motion {
    /// Where the limit should go; none if it stays.
    pub fn target(&self) -> Option<f64> {
        match self {
            Self::Stay | Self::Frozen(_) => None,
            Self::Tighten { to, .. } | Self::Loosen { to, .. } => Some(*to),
        }
    }
}

/// What is known of a limit beside the proposal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Situation {
    /// The limit in force.
    pub in_force: f64,
    /// What its evidence rests on.
    pub standing: Standing,
    /// Its measurements have drifted.
    pub drifted: bool,
    /// Repeatability, for distances in sigmas.
    pub sigma: Option<f64>,
}

impl MotionPolicy {
    /// What to do about a proposal.
    ///
    /// In the frame of a lower limit, with T the limit in force and P the proposal: towards T0 if P > T or if the limit let a defect pass, if a defect escaped
    /// all limits, if a defect cannot be read, or on drift (then T0 itself); away from it, to `max(P, T - max_step, T0 - max_total)`, rounded
    /// towards flagging, if P < T and nothing freezes the limit. Missing evidence moves nothing.
    pub fn decide(&self, proposal: &Proposal, situation: &Situation) -> Motion {
        let side = proposal.side;
        let baseline = side.mirror(proposal.old_limit);
        let live = side.mirror(situation.in_force);
        let alarm = self.alarm(proposal, situation);
        let to_baseline = situation.drifted
            || matches!(alarm, Some(Freeze::Blocked(Reason::UnreadableDefects { .. })))
            || proposal.decision == Decision::Tighten;
        let wanted = if to_baseline {
            baseline
        } else if proposal.moves() {
            side.mirror(proposal.new_limit)
        } else {
            live
        };
        let distance = |d: Margin| d.resolve(baseline, situation.sigma).unwrap_or(0.0);
        if wanted > live {
            // A defect's word is not weighed against a dead band.
            if alarm.is_none() && !to_baseline && wanted - live <= distance(self.dead_band) {
                return Motion::Stay;
            }
            let to = side.mirror(wanted) + 0.0;
            return Motion::Tighten { to, automatic: self.tighten_automatically, cause: alarm };
        }
        if wanted >= live {
            let grave = |f: &Freeze| matches!(f, Freeze::Blocked(_) | Freeze::Drift | Freeze::Escape { .. });
            return alarm.filter(|f| proposal.moves() || grave(f)).map_or(Motion::Stay, Motion::Frozen);
        }
        if let Some(freeze) = alarm {
            return Motion::Frozen(freeze);
        }
        let floor = |d: Option<Margin>, from: f64| d.map_or(f64::NEG_INFINITY, |d| from - distance(d));
        let capped = wanted.max(floor(self.max_step, live)).max(floor(self.max_total, baseline));
        let grid = proposal.resolution.and_then(|step| Resolution::from_step(step).ok());
        let to = grid.map_or(capped, |grid| grid.round_up(capped)).max(wanted);
        if live - to <= distance(self.dead_band) {
            return Motion::Stay;
        }
        Motion::Loosen { to: side.mirror(to) + 0.0, capped: to > wanted }
    }

    /// The gravest state that keeps the limit from being loosened.
    fn alarm(&self, proposal: &Proposal, situation: &Situation) -> Option<Freeze> {
        let Standing { missed, unsettled, records, .. } = situation.standing;
        if missed > 0 {
            return Some(Freeze::Escape { missed });
        }
        if situation.drifted {
            return Some(Freeze::Drift);
        }
        if proposal.decision == Decision::Blocked {
            return Some(Freeze::Blocked(proposal.reason.clone()));
        }
        if is_inside_margin(proposal, situation.in_force) {
            return Some(Freeze::DefectInsideMargin);
        }
        let need = self.settle_records;
        (unsettled && records < need).then_some(Freeze::Unsettled { have: records, need })
    }
}

/// Whether the proposal is held by a defect and stands tighter than the limit in force: then that defect lies inside its margin.
fn is_inside_margin(proposal: &Proposal, in_force: f64) -> bool {
    let Proposal { side, new_limit, decision, .. } = proposal;
    *decision == Decision::Guarded && tighter(*side, *new_limit, in_force)
}

/// Whether `a` flags more than `b`.
fn tighter(side: Side, a: f64, b: f64) -> bool {
    side.mirror(a) > side.mirror(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Evidence;
    use crate::limit::Boundary;
    use crate::optimise::optimise_limit;
    use crate::options::Options;
    use proptest::prelude::*;

    /// A hundred false calls just under 40 and these defects.
    fn proposal(defects: &[f64]) -> Proposal {
        let mut evidence = Evidence::new(Side::Lower, 40.0);
        evidence.false_calls = (1..=100).map(|i| 40.0 - 0.1 * f64::from(i)).collect();
        evidence.defects = defects.to_vec();
        optimise_limit(&evidence, &Options::default()).unwrap()
    }

    fn at(in_force: f64) -> Situation {
        Situation { in_force, standing: Standing::default(), drifted: false, sigma: None }
    }

    fn free() -> MotionPolicy {
        MotionPolicy { max_step: None, max_total: None, ..MotionPolicy::default() }
    }

    #[test]
    fn loosening_always_asks_and_tightening_asks_unless_the_policy_says_otherwise() {
        let p = proposal(&[10.0]);
        let Motion::Loosen { to, capped: false } = free().decide(&p, &at(40.0)) else { panic!() };
        assert_eq!(to, p.new_limit);
        for automatic in [false, true] {
            let policy = MotionPolicy { tighten_automatically: automatic, ..free() };
            let motion = policy.decide(&p, &at(35.0));
            assert_eq!(motion, Motion::Tighten { to: p.new_limit, automatic, cause: None });
            assert!(matches!(policy.decide(&p, &at(40.0)), Motion::Loosen { .. }));
        }
    }

    #[test]
    fn steps_and_the_whole_way_are_capped() {
        let p = proposal(&[10.0]); // wants about 38
        let step = MotionPolicy { max_step: Some(Margin::Absolute(0.5)), ..free() };
        assert_eq!(step.decide(&p, &at(40.0)), Motion::Loosen { to: 39.5, capped: true });
        assert_eq!(step.decide(&p, &at(39.5)), Motion::Loosen { to: 39.0, capped: true });
        let total = MotionPolicy { max_total: Some(Margin::PercentOfLimit(2.5)), ..free() };
        assert_eq!(total.decide(&p, &at(40.0)), Motion::Loosen { to: 39.0, capped: true });
        assert_eq!(total.decide(&p, &at(39.0)), Motion::Stay);
    }

    #[test]
    fn small_moves_are_left_alone_unless_a_defect_asks() {
        let band = MotionPolicy { dead_band: Margin::Absolute(1.0), ..free() };
        let p = proposal(&[10.0]);
        assert_eq!(band.decide(&p, &at(p.new_limit + 0.9)), Motion::Stay);
        assert_eq!(band.decide(&p, &at(p.new_limit - 0.9)), Motion::Stay);
        let held = proposal(&[38.5]);
        let motion = band.decide(&held, &at(38.4));
        let missed = Situation { standing: Standing { missed: 1, ..Standing::default() }, ..at(38.4) };
        assert_eq!(
            motion,
            Motion::Tighten { to: held.new_limit, automatic: false, cause: Some(Freeze::DefectInsideMargin) }
        );
        let Motion::Tighten { cause: Some(Freeze::Escape { missed: 1 }), .. } = band.decide(&held, &missed)
        else {
            panic!()
        };
    }

    #[test]
    fn each_freeze_holds_and_says_why() {
        let p = proposal(&[10.0]);
        let unsettled = Standing { unsettled: true, records: 7, ..Standing::default() };
        let frozen = free().decide(&p, &Situation { standing: unsettled, ..at(40.0) });
        assert_eq!(frozen, Motion::Frozen(Freeze::Unsettled { have: 7, need: 1000 }));
        let drifted = Situation { drifted: true, ..at(39.0) };
        let motion = free().decide(&p, &drifted);
        assert_eq!(motion, Motion::Tighten { to: 40.0, automatic: false, cause: Some(Freeze::Drift) });
        let both = Situation { standing: Standing { missed: 2, ..Standing::default() }, ..drifted };
        let Motion::Tighten { to: 40.0, cause: Some(Freeze::Escape { missed: 2 }), .. } =
            free().decide(&p, &both)
        else {
            panic!("drift asks for T0 whatever else has happened")
        };
        assert_eq!(
            free().decide(&p, &Situation { drifted: true, ..at(40.0) }),
            Motion::Frozen(Freeze::Drift),
            "at T0 already"
        );
        let mut pending = Evidence::new(Side::Lower, 40.0);
        pending.false_calls = vec![39.0; 20];
        pending.pending = 3;
        let p = optimise_limit(&pending, &Options::default()).unwrap();
        let frozen = Motion::Frozen(Freeze::Blocked(p.reason.clone()));
        assert_eq!(free().decide(&p, &at(39.5)), frozen, "a missing verdict moves nothing");
        let mut unreadable = pending.clone();
        unreadable.unreadable_defects = 1;
        let p = optimise_limit(&unreadable, &Options::default()).unwrap();
        assert!(matches!(free().decide(&p, &at(39.5)), Motion::Tighten { to: 40.0, .. }));
        let mut escaped = Evidence::new(Side::Lower, 40.0);
        escaped.escapes = vec![41.0];
        let p = optimise_limit(&escaped, &Options::default()).unwrap();
        assert!(matches!(free().decide(&p, &at(39.5)), Motion::Tighten { to: 40.0, .. }));
    }

    #[test]
    fn lack_of_evidence_moves_nothing() {
        let p = optimise_limit(&Evidence::new(Side::Lower, 40.0), &Options::default()).unwrap();
        assert_eq!(free().decide(&p, &at(38.0)), Motion::Stay);
    }

    proptest! {
        /// Whatever the caps: a limit that moves flags every defect that the proposal flags, never goes past T0 and never past the proposal.
        #[test]
        fn no_motion_loses_a_defect_that_the_proposal_keeps(
            defects in prop::collection::vec(0.0..39.9_f64, 1..6),
            live in 25.0..40.0_f64, upper in any::<bool>(), drifted in any::<bool>(),
            step in prop::option::of(0.0..3.0_f64), total in prop::option::of(0.0..3.0_f64),
            grid in prop::option::of(prop::sample::select(vec![0.1, 0.25])),
        ) {
            let side = if upper { Side::Upper } else { Side::Lower };
            let mut evidence = Evidence::new(side, side.mirror(40.0));
            evidence.false_calls = (1..=100).map(|i| side.mirror(40.0 - 0.1 * f64::from(i))).collect();
            evidence.defects = defects.iter().map(|d| side.mirror(*d)).collect();
            evidence.resolution = grid.map(|g| Resolution::from_step(g).unwrap());
            let p = optimise_limit(&evidence, &Options::default()).unwrap();
            let policy = MotionPolicy {
                max_step: step.map(Margin::Absolute), max_total: total.map(Margin::Absolute), ..MotionPolicy::default()
            };
            let situation = Situation { drifted, ..at(side.mirror(live)) };
            if let Some(to) = policy.decide(&p, &situation).target() {
                let to = side.mirror(to);
                prop_assert!(to >= side.mirror(p.new_limit) && to <= 40.0, "{to}");
                prop_assert!(defects.iter().all(|d| Boundary::Passes.flags_below(*d, to)));
                if to < live {
                    prop_assert!(!drifted);
                    prop_assert!(step.is_none_or(|s| live - to <= s + 1e-9));
                    prop_assert!(total.is_none_or(|t| 40.0 - to <= t + 1e-9));
                }
            }
        }
    }
}
