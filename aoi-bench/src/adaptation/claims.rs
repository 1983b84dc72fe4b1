//! What the numbers say of the method's claims.

use serde::Serialize;

use super::interval::Interval;
use super::outcome::Comparison;
use super::ways::{ATTENTION, FINETUNING, SIMILARITY, WHOLE};
use super::{MAE, SCRATCH_EQUAL};

/// Two results within this much of each other are taken for alike.
pub const ALIKE: f64 = 0.02;

/// Whether a claim holds here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The whole interval is on the claim's side.
    Holds,
    /// The whole interval is on the other side.
    Fails,
    /// The interval is on both sides.
    Open,
}

/// A claim, judged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// The claim in words.
    pub claim: &'static str,
    /// Where it was looked at.
    pub setting: String,
    /// The difference of mean `IoU`, seed by seed.
    pub difference: Interval,
    /// What follows.
    pub verdict: Verdict,
}

impl Judged {
    /// A sentence with its numbers.
    pub fn sentence(&self) -> String {
        let (low, high) = self.difference.ends();
        let verdict = match self.verdict {
            Verdict::Holds => "holds here",
            Verdict::Fails => "does not hold here",
            Verdict::Open => "is not decided by these draws",
        };
        format!(
            "{} ({}): {verdict}. Difference of mean IoU {:+.3}, 95 % interval {low:+.3} to {high:+.3}.",
            self.claim, self.setting, self.difference.mean
        )
    }
}

/// On which side of zero an interval lies.
fn above(difference: Interval) -> Verdict {
    match difference.ends() {
        (low, _) if low > 0.0 => Verdict::Holds,
        (_, high) if high < 0.0 => Verdict::Fails,
        _ => Verdict::Open,
    }
}

/// Whether it lies within [`ALIKE`] of zero.
fn alike(difference: Interval) -> Verdict {
    match difference.ends() {
        (low, high) if low > -ALIKE && high < ALIKE => Verdict::Holds,
        (low, high) if low > ALIKE || high < -ALIKE => Verdict::Fails,
        _ => Verdict::Open,
    }
}

/// Every claim in every setting that it speaks of.
pub fn judge(comparison: &Comparison) -> Vec<Judged> {
    type Claim = (
        &'static str,
        bool,
        (&'static str, &'static str),
        (&'static str, &'static str),
        fn(Interval) -> Verdict,
    );
    let claims: [Claim; 5] = [
        (
            "Fine-tuning after pre-training is better than from scratch at an equal budget",
            false,
            (MAE, FINETUNING),
            (SCRATCH_EQUAL, FINETUNING),
            above,
        ),
        (
            "Retrieval with a pre-trained encoder is better than with one drawn at random",
            false,
            (MAE, SIMILARITY),
            (super::SCRATCH, SIMILARITY),
            above,
        ),
        (
            "Mixing by similarity and by attention are within 0.02 of each other",
            false,
            (MAE, SIMILARITY),
            (MAE, ATTENTION),
            alike,
        ),
        (
            "For one device with few labels, retrieval is better than fine-tuning",
            true,
            (MAE, SIMILARITY),
            (MAE, FINETUNING),
            above,
        ),
        (
            "Retrieval by patches is better than by whole images",
            false,
            (MAE, SIMILARITY),
            (MAE, WHOLE),
            above,
        ),
    ];
    let settings = comparison.settings();
    let judged = claims.iter().flat_map(|&(claim, one_device, over, under, verdict)| {
        let settings = settings.iter().filter(move |s| !one_device || **s == "one device");
        settings.filter_map(move |&setting| {
            let difference = comparison.difference(setting, over, under)?;
            Some(Judged { claim, setting: setting.to_owned(), difference, verdict: verdict(difference) })
        })
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_open_while_the_interval_is_on_both_sides() {
        let interval = |mean, half| Interval { mean, half };
        assert_eq!(above(interval(0.1, 0.05)), Verdict::Holds);
        assert_eq!(above(interval(-0.1, 0.05)), Verdict::Fails);
        assert_eq!(above(interval(0.1, 0.15)), Verdict::Open);
        assert_eq!(above(interval(0.1, f64::INFINITY)), Verdict::Open);
        assert_eq!(alike(interval(0.005, 0.01)), Verdict::Holds);
        assert_eq!(alike(interval(0.05, 0.01)), Verdict::Fails);
        assert_eq!(alike(interval(0.0, 0.05)), Verdict::Open);
    }
}
