//! Verdicts from the words, codes and column combinations of a site.

use std::collections::{BTreeMap, HashMap};

use csv::StringRecord;

use crate::io::header::{Field, Header};
use crate::io::mapping::{Column, Mapping, VerdictMapping, VerdictRule};
use crate::record::Verdict;

/// What one record's verdict fields say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Nothing is written there.
    Missing,
    /// A word nobody has given a meaning.
    Unknown,
    /// A verdict.
    Known(Verdict),
}

impl Reading {
    pub(crate) fn verdict(self) -> Option<Verdict> {
        match self {
            Self::Known(verdict) => Some(verdict),
            Self::Missing | Self::Unknown => None,
        }
    }
}

/// How often each word, or combination, of verdicts was seen.
pub type VerdictWords = BTreeMap<String, (Option<Verdict>, u64)>;

/// Distinct unknown words that are counted one by one; a column of free text must not fill memory.
const UNKNOWN_WORDS: usize = 1000;

/// Reads verdicts and counts their words.
#[derive(Debug, Clone)]
pub(crate) struct VerdictReader {
    source: Source,
    seen: HashMap<String, (Option<Verdict>, u64)>,
}

#[derive(Debug, Clone)]
enum Source {
    Absent,
    Words { field: Field, words: HashMap<String, Verdict> },
    Rules(Vec<Rule>),
}

#[derive(Debug, Clone)]
struct Rule {
    when: Vec<(usize, String)>,
    verdict: Verdict,
    name: String,
}

impl Rule {
    fn new(rule: &VerdictRule, header: &Header) -> Result<Self, String> {
        let condition = |(column, word): (&String, &String)| Ok((header.position(column)?, normalised(word)));
        let said = || rule.when.iter().map(|(c, w)| format!("{c}={w}")).collect::<Vec<_>>().join(" & ");
        Ok(Self {
            when: rule.when.iter().map(condition).collect::<Result<_, String>>()?,
            verdict: rule.verdict.into(),
            name: rule.name.clone().unwrap_or_else(said),
        })
    }
}

impl VerdictReader {
    /// Finds the verdict columns; the error names a rule's column that the header lacks.
    pub(crate) fn new(mapping: &Mapping, header: &Header) -> Result<Self, String> {
        let VerdictMapping { words, rules } = &mapping.verdict;
        let source = if rules.is_empty() {
            match header.field(Column::Verdict, mapping)? {
                Field::Absent => Source::Absent,
                field => {
                    let site =
                        words.iter().map(|(word, verdict)| (normalised(word), Verdict::from(*verdict)));
                    Source::Words { field, words: site.collect() }
                }
            }
        } else {
            Source::Rules(rules.iter().map(|rule| Rule::new(rule, header)).collect::<Result<_, _>>()?)
        };
        Ok(Self { source, seen: HashMap::new() })
    }

    /// Whether the file has verdicts at all.
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self.source, Source::Absent)
    }

    /// The columns that verdicts are read from.
    pub(crate) fn columns(&self) -> Vec<usize> {
        match &self.source {
            Source::Absent => Vec::new(),
            Source::Words { field, .. } => field.columns().to_vec(),
            Source::Rules(rules) => rules.iter().flat_map(|rule| &rule.when).map(|(at, _)| *at).collect(),
        }
    }

    /// The verdict of a row, counted; `missing` tells which words mean that nothing is there.
    pub(crate) fn read(&mut self, row: &StringRecord, missing: impl Fn(&str) -> bool) -> Reading {
        self.read_times(row, missing, 1)
    }

    /// As [`VerdictReader::read`], for `times` rows with the same words.
    pub(crate) fn read_times(
        &mut self,
        row: &StringRecord,
        missing: impl Fn(&str) -> bool,
        times: u64,
    ) -> Reading {
        let reading = match &self.source {
            Source::Absent => return Reading::Missing,
            Source::Words { field, words } => {
                let text = field.text(row);
                let text = text.trim();
                if missing(text) {
                    (Reading::Missing, "")
                } else {
                    // Most files repeat a few words exactly: one look-up, no copy.
                    if let Some((verdict, count)) = self.seen.get_mut(text) {
                        *count += times;
                        return verdict.map_or(Reading::Unknown, Reading::Known);
                    }
                    let word = normalised(text);
                    let verdict = words.get(&word).copied().or_else(|| canonical(&word));
                    count(&mut self.seen, text, verdict, times);
                    return verdict.map_or(Reading::Unknown, Reading::Known);
                }
            }
            Source::Rules(rules) => {
                let holds = |(at, word): &(usize, String)| {
                    let text = row.get(*at).unwrap_or("").trim();
                    if missing(text) { word.is_empty() } else { normalised(text) == *word }
                };
                match rules.iter().find(|rule| rule.when.iter().all(holds)) {
                    Some(rule) => (Reading::Known(rule.verdict), rule.name.as_str()),
                    None => (Reading::Unknown, "no rule matches"),
                }
            }
        };
        let (reading, name) = reading;
        count(&mut self.seen, name, reading.verdict(), times);
        reading
    }

    /// The verdict in any field of a row whose fields cannot be told apart, if one of them guards.
    pub(crate) fn guarding_word<'a>(&self, fields: impl Iterator<Item = &'a str>) -> Option<Verdict> {
        fields.map(normalised).find_map(|word| {
            let by_rule = |rules: &[Rule]| {
                let names = |rule: &&Rule| rule.verdict.guards() && rule.when.iter().any(|(_, w)| *w == word);
                rules.iter().find(names).map(|rule| rule.verdict)
            };
            let verdict = match &self.source {
                Source::Absent => None,
                Source::Words { words, .. } => words.get(&word).copied().or_else(|| canonical(&word)),
                Source::Rules(rules) => by_rule(rules),
            };
            verdict.filter(|v| v.guards())
        })
    }

    /// Adds the counts to `words`.
    pub(crate) fn add_to(self, words: &mut VerdictWords) {
        for (word, (verdict, count)) in self.seen {
            words.entry(word).or_insert((verdict, 0)).1 += count;
        }
    }
}

fn count(
    seen: &mut HashMap<String, (Option<Verdict>, u64)>,
    word: &str,
    verdict: Option<Verdict>,
    times: u64,
) {
    let word = if seen.len() >= UNKNOWN_WORDS && !seen.contains_key(word) { "(other words)" } else { word };
    if let Some((_, count)) = seen.get_mut(word) {
        *count += times;
    } else {
        seen.insert(word.to_owned(), (verdict, times));
    }
}

/// Lower case, with one underscore for spaces and hyphens: "False Call" and "false-call" are one word.
pub(crate) fn normalised(word: &str) -> String {
    word.trim().to_lowercase().replace([' ', '-'], "_")
}

/// Canonical words, IPC-CFX `Verification` values and a review station's codes.
const WORDS: [(Verdict, &[&str]); 7] = [
    (Verdict::Pass, &["pass", "ok"]),
    (Verdict::FalseCall, &["false_call", "good", "pseudo", "defectrejected", "10002"]),
    (
        Verdict::Defect,
        &["defect", "bad", "real", "defectconfirmed", "defectrepaired", "defectclosed", "10001"],
    ),
    (Verdict::Borderline, &["borderline", "defectaccepted", "10003"]),
    (Verdict::Provisional, &["provisional", "not_yet_classified", "10004", "10005", "10006"]),
    (Verdict::Pending, &["pending", "notverifiedyet", "10000", "50000"]),
    (Verdict::Escape, &["escape"]),
];

/// Codes that name kinds of defects.
const DEFECT_CODES: std::ops::RangeInclusive<u32> = 10_010..=10_099;

/// Every canonical word, by verdict.
pub(crate) fn canonical_words() -> impl Iterator<Item = (Verdict, Vec<String>)> {
    let codes = DEFECT_CODES.map(|code| code.to_string()).collect();
    let words = WORDS.into_iter().map(|(v, words)| (v, words.iter().map(|w| (*w).to_owned()).collect()));
    words.chain([(Verdict::Defect, codes)])
}

/// The verdict of a canonical word.
fn canonical(word: &str) -> Option<Verdict> {
    let listed = WORDS.iter().find(|(_, words)| words.contains(&word)).map(|(verdict, _)| *verdict);
    let code = || word.parse().is_ok_and(|code: u32| DEFECT_CODES.contains(&code) && word.len() == 5);
    listed.or_else(|| code().then_some(Verdict::Defect))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_canonical_word_names_its_own_verdict() {
        for verdict in Verdict::ALL {
            assert_eq!(canonical(verdict.word()), Some(verdict));
        }
    }

    #[test]
    fn codes_and_spellings_are_those_of_the_format_and_no_others() {
        for (word, verdict) in [
            ("False Call", Some(Verdict::FalseCall)),
            ("DefectConfirmed", Some(Verdict::Defect)),
            ("10010", Some(Verdict::Defect)),
            ("10099", Some(Verdict::Defect)),
            ("10100", None),
            ("010010", None),
            ("10007", None),
            ("Not yet classified", Some(Verdict::Provisional)),
            ("OK", Some(Verdict::Pass)),
            ("okay", None),
            ("", None),
        ] {
            assert_eq!(canonical(&normalised(word)), verdict, "{word}");
        }
    }
}
