//! One limit and the options for it, chosen by bytes, and the laws of the optimiser over them.

use aoi_tolerance::certificate::EscapeBound;
use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::limit::{Boundary, Side, is_flagged};
use aoi_tolerance::margin::Margin;
use aoi_tolerance::optimise::optimise_limit;
use aoi_tolerance::options::{Options, Policy};
use aoi_tolerance::percentile::HyndmanFan;
use aoi_tolerance::proposal::{Proposal, Reason};
use aoi_tolerance::resolution::ResolutionRule;
use aoi_tolerance::simulate::{Outcome, simulate};

/// The bytes that choose; zeros when they run out.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let byte = self.0.first().copied().unwrap_or(0);
        self.0 = self.0.get(1..).unwrap_or_default();
        byte
    }

    fn real(&mut self) -> f64 {
        f64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.byte()) % of.len()]
    }

    /// A limit; any number at all where the byte says so.
    fn limit(&mut self) -> f64 {
        match self.byte() % 6 {
            0 => self.real(),
            1 => self.pick(&[0.0, -0.0, 5e-324, f64::MIN_POSITIVE, 1.0, 1e16]),
            2 => f64::from(self.byte()) * 1e300,
            _ => f64::from(self.byte()) / 10.0,
        }
    }

    /// A value for a limit of `side` at `limit`, most often flagged by it.
    fn value(&mut self, side: Side, limit: f64) -> f64 {
        let limit = side.mirror(limit);
        let value = match self.byte() % 8 {
            0 => self.real(),
            1 => limit,
            2 => (0..=self.byte() % 8).fold(limit, |x, _| x.next_down()),
            3 => limit - f64::from(self.byte()) * 5e-324,
            4 => limit - f64::from(self.byte()) * 1e300,
            5 => limit - f64::from(self.byte()) / 7.0,
            _ => ((limit * 10.0).round() - f64::from(self.byte())) / 10.0,
        };
        side.mirror(value)
    }

    fn margin(&mut self) -> Margin {
        match self.byte() % 5 {
            0 => Margin::Absolute(self.real()),
            1 => Margin::Absolute(f64::from(self.byte()) / 100.0),
            2 => Margin::PercentOfLimit(f64::from(self.byte()) / 10.0),
            3 => Margin::Sigmas(f64::from(self.byte()) / 32.0),
            _ => Margin::Gauge,
        }
    }

    fn options(&mut self) -> Options {
        let percentile = if self.byte() == 0 { self.real() } else { f64::from(self.byte()) / 2.55 };
        let step = |text: &str| ResolutionRule::Step(text.parse().expect("a step"));
        let steps = [ResolutionRule::Recorded, ResolutionRule::Auto, step("0.01"), step("0.5"), step("1e3")];
        let policies = [Policy::Paper, Policy::Guarded, Policy::Certified { alpha: 0.5 }];
        Options {
            percentile,
            policy: self.pick(&policies),
            percentile_kind: self.pick(&HyndmanFan::ALL),
            margin: self.margin(),
            resolution: self.pick(&steps),
            misses: self.pick(&[0, 0, 0, 1, 3, u64::MAX]),
            min_false_calls: self.pick(&[Some(1), Some(1), Some(0), None, Some(3)]),
            min_defects: self.pick(&[None, None, Some(0), Some(2)]),
            max_pending_share: f64::from(self.byte() % 3) / 2.0,
            boundary: self.pick(&[Boundary::Passes, Boundary::Flagged]),
            simultaneous: self.byte() % 2 == 1,
            ..Options::default()
        }
    }

    fn evidence(&mut self) -> Evidence {
        let side = self.pick(&[Side::Lower, Side::Upper]);
        let mut evidence = Evidence::new(side, self.limit());
        evidence.sigma = match self.byte() % 6 {
            0 => Some(self.real()),
            1 => Some(f64::from(self.byte()) / 50.0),
            _ => None,
        };
        evidence.resolution =
            self.pick(&[None, None, Some("0.1"), Some("0.25")]).map(|s| s.parse().expect("a step"));
        evidence.resolution_conflict = self.byte() == 1;
        evidence.unreadable_defects = u64::from(self.byte() == 1);
        evidence.pending = u64::from(self.byte() % 8 == 1);
        evidence.defects_unflagged = u64::from(self.byte() % 8);
        while !self.0.is_empty() {
            let to = self.byte() % 16;
            let value = self.value(side, evidence.limit);
            match to {
                0 => evidence.escapes.push(value),
                1 => evidence.provisional.push(value),
                2..6 => evidence.defects.push(value),
                _ => evidence.false_calls.push(value),
            }
        }
        evidence
    }
}

/// Whether there is a reason to refuse the evidence or the options.
fn refusable(evidence: &Evidence, options: &Options) -> bool {
    let Evidence { side, limit, .. } = *evidence;
    let wrong = |v: &f64| !v.is_finite() || !is_flagged(*v, limit, side, options.boundary);
    // No count of defects could certify a limit that may miss more than any count.
    let certified = matches!(options.policy, Policy::Certified { .. });
    options.check().is_err()
        || (certified && options.misses == u64::MAX)
        || !limit.is_finite()
        || evidence.sigma.is_some_and(|s| !s.is_finite() || s < 0.0)
        || evidence.escapes.iter().any(|v| !v.is_finite())
        || [&evidence.false_calls, &evidence.defects, &evidence.provisional].into_iter().flatten().any(wrong)
}

/// The proposal with every number by its bits, but for the sign of zero.
fn exact(p: &Proposal) -> String {
    format!("{p:?}")
}

fn flagged(values: &[f64], limit: f64, side: Side, boundary: Boundary) -> u64 {
    values.iter().filter(|&&v| is_flagged(v, limit, side, boundary)).count() as u64
}

/// Panics where the optimiser breaks one of its laws over the case that `bytes` choose.
pub(crate) fn check(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let options = bytes.options();
    let evidence = bytes.evidence();
    let outcome = optimise_limit(&evidence, &options);
    assert_eq!(outcome.is_err(), refusable(&evidence, &options), "{outcome:?} {evidence:?} {options:?}");
    let Ok(p) = outcome else { return };

    keeps_its_word(&evidence, &options, &p);
    let mut reversed = evidence.clone();
    for values in [&mut reversed.false_calls, &mut reversed.defects, &mut reversed.provisional] {
        values.reverse();
    }
    assert_eq!(
        exact(&optimise_limit(&reversed, &options).expect("in any order")),
        exact(&p),
        "order decides"
    );
    mirrors(&evidence, &options, &p);
    sweeps(&evidence, &options, &p);
}

/// Nothing known is lost, nothing new is flagged, and the counts are those of a plain count.
fn keeps_its_word(evidence: &Evidence, options: &Options, p: &Proposal) {
    let Evidence { side, limit, .. } = *evidence;
    let mirrored = |x: f64| side.mirror(x);
    assert!(p.new_limit.is_finite() && p.old_limit == limit, "{p:?}");
    assert!(mirrored(p.new_limit) <= mirrored(limit), "something new is flagged: {p:?}");
    assert_eq!(p.moves(), p.new_limit != limit, "{p:?}");
    let count = |values: &[f64]| flagged(values, p.new_limit, side, options.boundary);
    assert_eq!(p.false_calls_after, count(&evidence.false_calls), "{p:?}");
    assert_eq!(p.defects_after, count(&evidence.defects), "{p:?}");
    assert!(p.defects_before - p.defects_after <= options.misses, "a known defect was lost: {p:?}");
    assert_eq!(count(&evidence.provisional), evidence.provisional.len() as u64, "a guard was lost: {p:?}");
    if let EscapeBound::AtMost(bound) = p.certificate.bound {
        assert!(p.moves() && (0.0..=1.0).contains(&bound), "{p:?}");
    }
    if let (Policy::Certified { alpha }, true) = (options.policy, p.moves()) {
        assert!(p.certificate.bound.value().is_some_and(|bound| bound <= alpha), "{p:?}");
    }
}

/// The mirror image of the evidence gives the mirror image of the proposal.
fn mirrors(evidence: &Evidence, options: &Options, p: &Proposal) {
    let negated = |values: &[f64]| values.iter().map(|v| -v).collect();
    let mirrored = Evidence {
        side: if evidence.side == Side::Lower { Side::Upper } else { Side::Lower },
        limit: -evidence.limit,
        false_calls: negated(&evidence.false_calls),
        defects: negated(&evidence.defects),
        provisional: negated(&evidence.provisional),
        escapes: negated(&evidence.escapes),
        ..evidence.clone()
    };
    let image = optimise_limit(&mirrored, options).expect("the image of what was accepted");
    let back = Proposal {
        side: p.side,
        old_limit: -image.old_limit + 0.0,
        new_limit: -image.new_limit + 0.0,
        suggested_limit: image.suggested_limit.map(|l| -l + 0.0),
        ..image
    };
    assert_eq!(exact(&back), exact(p), "the mirror decides");
}

/// A sweep says at each percentile what one optimisation says there; limits rise with it, but under the paper's policy.
fn sweeps(evidence: &Evidence, options: &Options, p: &Proposal) {
    let percentiles = [0.0, options.percentile / 2.0, options.percentile, 100.0];
    let mut least = f64::NEG_INFINITY;
    let mut seen = 0;
    simulate(std::slice::from_ref(evidence), &percentiles, options, |what_if| {
        let swept = &what_if.proposals()?[0];
        assert!(what_if.outcomes().eq([Outcome::from(swept)]), "the short answer differs");
        if what_if.percentile() == options.percentile {
            assert_eq!(exact(swept), exact(p), "the sweep decides");
        }
        // A percentile that overflows keeps the old limit, which a later one need not.
        if options.policy != Policy::Paper && swept.reason != Reason::PercentileNotFinite {
            let tightness = swept.side.mirror(swept.new_limit);
            assert!(tightness >= least, "{least} at a lower percentile than {swept:?}");
            least = tightness;
        }
        seen += 1;
        Ok(())
    })
    .expect("what was accepted once");
    assert_eq!(seen, percentiles.len());
}
