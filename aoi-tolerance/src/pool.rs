//! A certificate shared by a group of limits.
//!
//! A limit with three defects cannot prove a 1 % bound; a hundred such limits of one kind can prove it together. Each defect of the group
//! is put on one scale, `u = (T0 - x) / sigma` (how many repeatability sigmas beyond its own limit it lies), the guard is the
//! (r + 1)-th smallest u, and each limit may move to `T0 - u sigma` at most. The bound that follows is for the group's *mix* of
//! defects: it says nothing about one limit alone.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::evidence::Evidence;
use crate::optimise::{optimise, prepare_all, propose_all};
use crate::options::{Options, Policy};
use crate::proposal::Proposal;
use crate::sample::Ascending;

/// What a group's defects allow one of its limits.
#[derive(Debug, Clone)]
pub(crate) struct PoolGuard {
    pub(crate) group: String,
    /// Confirmed defects of the whole group.
    pub(crate) defects: u64,
    /// Where the group's guard lies for this limit, in the mirrored frame.
    pub(crate) limit: f64,
}

/// As [`crate::optimise::optimise`], with `groups[i]` naming the group whose defects may certify `evidence[i]` under
/// [`crate::options::Policy::Certified`] where its own are too few.
///
/// Under other policies the groups change nothing. A limit without a sigma has no scale and joins no group; a group with an unreadable defect row gives no certificate.
///
/// # Errors
/// As [`crate::optimise::optimise`]; also when the two slices differ in length.
pub fn optimise_pooled(
    evidence: &[Evidence],
    groups: &[Option<String>],
    options: &Options,
) -> Result<Vec<Proposal>, Error> {
    if groups.len() != evidence.len() {
        return Err(Error::Option {
            option: "groups",
            got: format!("{} entries", groups.len()),
            expected: "one per limit",
        });
    }
    if !matches!(options.policy, Policy::Certified { .. }) {
        return optimise(evidence, options);
    }
    let mut candidates = prepare_all(evidence, options)?;
    let mut members: BTreeMap<&str, Vec<(usize, f64)>> = BTreeMap::new();
    for (i, (e, group)) in evidence.iter().zip(groups).enumerate() {
        if let (Some(group), Some(sigma)) = (group, e.sigma.filter(|s| s.is_finite() && *s > 0.0)) {
            members.entry(group).or_default().push((i, sigma));
        }
    }
    for (group, members) in members {
        if members.iter().any(|&(i, _)| evidence[i].unreadable_defects > 0) {
            continue;
        }
        let mut distances: Vec<f64> = members
            .iter()
            .flat_map(|&(i, sigma)| {
                let ordered = &candidates[i].ordered;
                (0..ordered.defects.count())
                    .map(move |at| (ordered.baseline - ordered.defects.at(at)) / sigma)
            })
            .collect();
        distances.sort_unstable_by(f64::total_cmp);
        let misses = usize::try_from(options.misses).unwrap_or(usize::MAX);
        let Some(&distance) = distances.get(misses) else { continue };
        for (i, sigma) in members {
            // The quotient, the product and the difference are each rounded; the slack outweighs all three, towards flagging.
            let (baseline, reach) = (candidates[i].ordered.baseline, distance * sigma);
            let slack = 4.0 * f64::EPSILON * (baseline.abs() + reach);
            let limit = (baseline - reach + slack).next_up();
            candidates[i].pool =
                Some(PoolGuard { group: group.to_owned(), defects: distances.len() as u64, limit });
        }
    }
    propose_all(&candidates, options.percentile, options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Side;
    use crate::proposal::{Decision, Reason};

    /// Twelve limits with five defects each: 60 together, which is what 5 % at 95 % needs (59).
    fn family(sigma: Option<f64>) -> (Vec<Evidence>, Vec<Option<String>>) {
        let evidence: Vec<Evidence> = (0..12)
            .map(|i| {
                let mut e = Evidence::new(Side::Lower, 40.0 + f64::from(i));
                e.sigma = sigma;
                e.false_calls = (1..=30).map(|j| e.limit - 0.1 * f64::from(j)).collect();
                e.defects = (1..=5).map(|j| e.limit - 10.0 - f64::from(i + j)).collect();
                e
            })
            .collect();
        let groups = vec![Some("height".to_owned()); evidence.len()];
        (evidence, groups)
    }

    fn certified() -> Options {
        Options {
            policy: Policy::Certified { alpha: 0.05 },
            margin: crate::margin::Margin::Absolute(0.0),
            ..Options::default()
        }
    }

    #[test]
    fn a_group_certifies_what_its_limits_cannot_alone() {
        let (evidence, groups) = family(Some(0.5));
        let alone = optimise(&evidence, &certified()).unwrap();
        assert!(alone.iter().all(|p| p.reason == Reason::Uncertified { missing: 54 }));
        let pooled = optimise_pooled(&evidence, &groups, &certified()).unwrap();
        assert!(pooled.iter().all(Proposal::moves), "{pooled:?}");
        for p in &pooled {
            assert_eq!((p.certificate.defects, p.certificate.pooled.as_deref()), (60, Some("height")));
            assert!(p.certificate.bound.value().unwrap() <= 0.05);
            assert_eq!(p.defects_after, p.defects_before);
        }
    }

    #[test]
    fn the_groups_nearest_defect_holds_every_member() {
        let (mut evidence, groups) = family(Some(0.5));
        evidence[3].defects[0] = evidence[3].limit - 0.05;
        let pooled = optimise_pooled(&evidence, &groups, &certified()).unwrap();
        for p in &pooled {
            assert_eq!(p.decision, Decision::Guarded);
            assert!(p.old_limit - p.new_limit <= 0.05, "no limit moves past 0.1 sigma");
        }
    }

    #[test]
    fn no_scale_no_group_and_an_unreadable_defect_voids_it() {
        let (evidence, groups) = family(None);
        assert!(optimise_pooled(&evidence, &groups, &certified()).unwrap().iter().all(|p| !p.moves()));
        let (mut evidence, groups) = family(Some(0.5));
        evidence[0].unreadable_defects = 1;
        assert!(optimise_pooled(&evidence, &groups, &certified()).unwrap().iter().all(|p| !p.moves()));
        assert!(optimise_pooled(&evidence, &groups[1..], &certified()).is_err());
    }
}
