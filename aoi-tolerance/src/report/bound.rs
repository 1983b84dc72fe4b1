//! What the known defects prove about those not yet seen.

use super::format::{AtMost, Count, percent};
use super::name::visible;
use crate::binomial::{Claim, needed_defects};
use crate::certificate::EscapeBound;
use crate::error::Error;
use crate::options::Options;
use crate::proposal::Proposal;

/// Escape rates for which the report says how many defects they need.
const ASKED: [f64; 3] = [0.05, 0.01, 0.001];

/// The section on certificates.
#[derive(Debug)]
pub(super) struct Bounds {
    /// Limits that move by the strength of their bound.
    pub(super) classes: Vec<(String, Count)>,
    pub(super) moved: Count,
    pub(super) no_evidence: Count,
    /// The least and the greatest bound of a limit that moves, with their n.
    pub(super) range: Option<[(String, Count); 2]>,
    pub(super) confidence: String,
    pub(super) misses: Count,
    pub(super) simultaneous: bool,
    /// Escape rates and the confirmed defects they need.
    pub(super) needed: Vec<(String, Count)>,
    pub(super) groups: Vec<String>,
}

impl Bounds {
    /// Sorts the certificates of the limits that move.
    pub(super) fn new(proposals: &[Proposal], options: &Options) -> Result<Self, Error> {
        let moved: Vec<&Proposal> = proposals.iter().filter(|p| p.moves()).collect();
        let mut bounds: Vec<(f64, u64)> = moved
            .iter()
            .filter_map(|p| match p.certificate.bound {
                EscapeBound::AtMost(bound) => Some((bound, p.certificate.defects)),
                EscapeBound::NoChange | EscapeBound::NoEvidence => None,
            })
            .collect();
        bounds.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let no_evidence = moved.iter().filter(|p| p.certificate.bound == EscapeBound::NoEvidence).count();
        let edges = [0.0, 0.001, 0.01, 0.05, 0.2, 0.5, 1.0];
        let mut classes: Vec<(String, Count)> = edges
            .windows(2)
            .map(|edge| {
                let inside = bounds.iter().filter(|b| b.0 > edge[0] && b.0 <= edge[1]).count();
                let name = if edge[0] == 0.0 {
                    AtMost(edge[1]).to_string()
                } else {
                    format!("above {} to {}", percent(edge[0]), percent(edge[1]))
                };
                (name, Count(inside as u64))
            })
            .collect();
        classes.push(("no evidence (n = 0)".to_owned(), Count(no_evidence as u64)));
        let said = |(bound, n): &(f64, u64)| {
            (AtMost(*bound).to_string().trim_start_matches("\u{2264}\u{a0}").to_owned(), Count(*n))
        };
        let stated = moved.first().map_or(1.0 - options.delta, |p| p.certificate.confidence);
        // Where all bounds hold at once, each is stated at a smaller delta, and needs more defects.
        let delta = if options.simultaneous { 1.0 - stated } else { options.delta };
        let needed = ASKED.into_iter().map(|alpha| {
            let defects = needed_defects(options.misses, Claim { alpha, delta })?;
            Ok((percent(alpha), Count(defects)))
        });
        let mut groups: Vec<String> =
            moved.iter().filter_map(|p| p.certificate.pooled.as_deref().map(visible)).collect();
        groups.sort_unstable();
        groups.dedup();
        Ok(Self {
            classes,
            moved: Count(moved.len() as u64),
            no_evidence: Count(no_evidence as u64),
            range: bounds.first().zip(bounds.last()).map(|(least, greatest)| [said(least), said(greatest)]),
            confidence: percent(stated),
            misses: Count(options.misses),
            simultaneous: options.simultaneous,
            needed: needed.collect::<Result<_, Error>>()?,
            groups,
        })
    }
}
