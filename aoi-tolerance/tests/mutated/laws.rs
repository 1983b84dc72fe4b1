//! The laws that hold for any records at all.

use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::io::Records;
use aoi_tolerance::joint::optimise_joint;
use aoi_tolerance::limit::is_flagged;
use aoi_tolerance::optimise::optimise;
use aoi_tolerance::options::Options;
use aoi_tolerance::population::Limit;
use aoi_tolerance::quality::{QualityOptions, assess};

/// Panics where what was read breaks a law, or cannot be computed.
pub(crate) fn obeys_the_laws(records: &Records) {
    let population = &records.population;
    let evidence: Vec<Evidence> = population.limits.iter().map(Limit::evidence).collect();
    let options = Options { min_false_calls: Some(1), max_pending_share: 1.0, ..Options::default() };
    let alone = optimise(&evidence, &options).expect("what was read can be computed");
    for (limit, p) in population.limits.iter().zip(&alone) {
        assert_eq!(p.defects_after, p.defects_before, "a known defect was lost: {p:?}");
        assert!(p.false_calls_after <= p.false_calls_before, "{p:?}");
        assert!(p.new_limit.is_finite() && p.old_limit == limit.value(), "{p:?}");
        for row in limit.rows.iter().filter(|r| !is_flagged(r.value, p.new_limit, p.side, options.boundary)) {
            assert!(!row.verdict.guards(), "{row:?} passes {p:?}");
        }
    }
    let joint = optimise_joint(population, &options).expect("what was read can be computed");
    assert!(joint.released >= joint.released_one_by_one && joint.released <= joint.at_most);
    for held in &joint.held {
        let holder = joint.held.iter().find(|h| h.limit == held.held_by && h.flagged);
        assert!(holder.is_some(), "nothing holds {held:?}");
    }
    assess(population, &QualityOptions::default(), &options).expect("what was read can be looked at");
}
