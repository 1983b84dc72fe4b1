//! The options of the run, in words.

use super::curve::percentile;
use super::format::{Count, Number, Share, percent};
use crate::limit::Boundary;
use crate::margin::Margin;
use crate::options::{Options, Policy};
use crate::percentile::HyndmanFan;
use crate::resolution::ResolutionRule;

/// Name and value of every option that a result depends on.
pub(super) fn settings(options: &Options) -> Vec<(&'static str, String)> {
    let policy = match options.policy {
        Policy::Paper => {
            "paper: the percentile; lifted above the worst known defect where it would lose it".to_owned()
        }
        Policy::Guarded => {
            "guarded: the percentile or the worst known defect, whichever is tighter".to_owned()
        }
        Policy::Certified { alpha } => {
            format!("certified: guarded, and only where the escape bound is at most {}", percent(alpha))
        }
    };
    let kind = options.percentile_kind;
    let default = if kind == HyndmanFan::default() { " (linear)" } else { "" };
    let margin = match options.margin {
        Margin::Gauge => "3 repeatability sigmas where a sigma is recorded, else none".to_owned(),
        Margin::Absolute(m) => format!("{} in the unit of the value", Number(m)),
        Margin::PercentOfLimit(p) => format!("{}\u{a0}% of the old limit", Number(p)),
        Margin::Sigmas(k) => format!("{} repeatability sigmas", Number(k)),
    };
    let resolution = match options.resolution {
        ResolutionRule::Recorded => "as recorded, else not rounded".to_owned(),
        ResolutionRule::Step(step) => format!("as recorded, else {}", Number(step.step())),
        ResolutionRule::Auto => "as recorded, else the grid of the data".to_owned(),
    };
    let boundary = match options.boundary {
        Boundary::Passes => "passes",
        Boundary::Flagged => "is flagged",
    };
    let pending = match options.max_pending_share {
        0.0 => "any".to_owned(),
        share => format!("above {}", Share(share)),
    };
    let confidence = percent(1.0 - options.delta);
    vec![
        ("Policy", policy),
        ("Percentile P", percentile(options.percentile)),
        ("Percentile type", format!("Hyndman-Fan {}{default}", kind.number())),
        ("Margin to the worst defect", margin),
        ("Resolution of stored limits", resolution),
        ("False calls needed to move", Count(options.needed_false_calls()).to_string()),
        ("Confirmed defects needed to move", Count(options.needed_defects()).to_string()),
        ("Known defects that may be missed, r", Count(options.misses).to_string()),
        (
            "Confidence of escape bounds",
            if options.simultaneous {
                format!("{confidence}, all limits at once")
            } else {
                format!("{confidence}, each limit by itself")
            },
        ),
        ("Pending share that blocks a limit", pending),
        ("A value equal to its limit", boundary.to_owned()),
    ]
}
