//! What was found, in words.

use super::{Agreement, Quality, Suspect};
use crate::population::Population;

/// Suspects named one by one.
const NAMED: usize = 5;

impl Quality {
    /// One sentence per finding, the costliest first; none where nothing was found. `population` is the one that was assessed.
    pub fn findings(&self, population: &Population) -> Vec<String> {
        let mut findings = Vec::new();
        let place = |s: &Suspect| {
            let id = &population.limits[s.limit].id;
            format!(
                "{} {} limit, value {} (file {}, row {})",
                id.key,
                id.side,
                s.value,
                s.source.file + 1,
                s.source.line
            )
        };
        if !self.defects.is_empty() {
            findings.push(format!(
                "{} confirmed defects lie among the false calls of their limit. Look at these first: a wrong verdict there holds the limit.",
                self.defects.len()
            ));
            findings.extend(self.defects.iter().take(NAMED).map(|s| {
                let beyond = 100.0 * s.share;
                format!(
                    "defect: {}; {beyond:.0} % of the false calls lie beyond it; keeps {} flagged",
                    place(s),
                    s.false_calls_held
                )
            }));
        }
        if !self.false_calls.is_empty() {
            findings.push(format!(
                "{} false calls lie deeper than half of the defects of their limit: were they really good?",
                self.false_calls.len()
            ));
            findings.extend(self.false_calls.iter().take(NAMED).map(|s| {
                format!(
                    "false call: {}; {:.0} % of the defects lie nearer to the limit",
                    place(s),
                    100.0 * s.share
                )
            }));
        }
        if let Some(first) = self.bulk.first() {
            let (file, row) = (first.source.file + 1, first.source.line);
            findings.push(format!(
                "{} boards were judged with one word; the largest: {} flagged values, all {} (file {file}, row {row})",
                self.bulk.len(),
                first.values,
                first.verdict,
            ));
        }
        if self.conflicts > 0 {
            findings
                .push(format!("{} copies of records disagree; the severest verdict counts", self.conflicts));
        }
        if self.pending > 0 {
            findings.push(format!(
                "{} of {} flagged values ({:.2} %) have no usable verdict",
                self.pending,
                self.flagged,
                100.0 * self.pending_share()
            ));
        }
        findings.extend(said_of(&self.agreement));
        findings
    }
}

/// The three rates against the lines of the handbook.
fn said_of(agreement: &Agreement) -> Option<String> {
    let [effective, miss, alarm] = Agreement::ACCEPTABLE.map(|line| 100.0 * line);
    let percent =
        |rate: Option<f64>| rate.map_or_else(|| "unknown".to_owned(), |r| format!("{:.1} %", 100.0 * r));
    let judged = match agreement.is_acceptable() {
        Some(true) => "acceptable",
        Some(false) => "not acceptable",
        None => "not enough reviews to judge",
    };
    (agreement.reviews > 0).then(|| {
        format!(
            "{} reviews of records that somebody else reviewed later, whose word is taken as the standard: effectiveness {} (at least {effective} %), \
             misses {} (at most {miss} %), false alarms {} (at most {alarm} %): {judged}",
            agreement.reviews,
            percent(agreement.effectiveness()),
            percent(agreement.miss_rate()),
            percent(agreement.false_alarm_rate()),
        )
    })
}
