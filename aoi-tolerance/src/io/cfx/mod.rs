//! IPC-CFX messages in: `CFX.Production.TestAndInspection.UnitsInspected`, as JSON, with or without its envelope.
//!
//! Every feature of every measurement becomes one row of the record format, in columns of the same names; from there on it is read as a
//! CSV would be. Messages of other kinds are passed over. Names are taken in any case, members that a version lacks are absent.
//!
//! # Source
//! IPC-2591 (CFX); the names are those of its published library, versions 1.0 to 2.1.

mod json;
mod measured;
pub(crate) mod messages;
mod review;

use csv::StringRecord;
use memchr::{memchr_iter, memmem};
use serde_json::Value;

use crate::io::blocks::Block;
use crate::io::header::Header;
use crate::io::layout::Layout;
use crate::io::mapping::Mapping;
use crate::io::number::parse_number;
use crate::io::reject::{Reject, RejectReason, shortened};
use crate::io::rows::{RowReader, Shared};
use crate::io::verdict::VerdictReader;
use crate::limit::Tolerance;
use crate::record::{Source, Verdict};
use json::{list, member, text};
use measured::Feature;
use review::{Review, Said, without_pin};

/// The columns that a feature fills.
const COLUMNS: [&str; 17] = [
    "part",
    "model",
    "revision",
    "inspection",
    "feature",
    "unit",
    "value",
    "lower",
    "upper",
    "nominal",
    "flagged",
    "verdict",
    "defect_id",
    "board",
    "refdes",
    "time",
    "record_id",
];

/// The header that stands in for a message's own names.
pub(crate) fn header() -> Header {
    Header::new(COLUMNS.into_iter())
}

/// What of a mapping concerns messages: not the columns and rules, which name those of a table.
pub(crate) fn mapping_of(mapping: &Mapping) -> Mapping {
    let mut own = mapping.clone();
    own.columns.clear();
    own.wide = None;
    own.verdict.rules.clear();
    own
}

/// Reads the messages of a block; gives the number of measured values.
pub(crate) fn read_block(
    reader: &mut RowReader<'_>,
    verdicts: &mut VerdictReader,
    layout: &Layout,
    block: &Block,
) -> u64 {
    let mut rows = 0;
    let (mut line, mut counted) = (block.first_line, 0);
    for range in messages::ranges(&block.bytes) {
        line += memchr_iter(b'\n', &block.bytes[counted..range.start]).count() as u64;
        counted = range.start;
        let bytes = &block.bytes[range];
        match serde_json::from_slice::<Value>(bytes) {
            Ok(message) => rows += Message { reader, verdicts, layout, line }.read(&message),
            Err(error) => {
                rows += 1;
                reject_message(reader, layout, line, bytes, &error);
            }
        }
    }
    rows
}

/// A message that is no JSON: if it says defect anywhere, it may be a defect on any limit.
fn reject_message(
    reader: &mut RowReader<'_>,
    layout: &Layout,
    line: u64,
    bytes: &[u8],
    error: &serde_json::Error,
) {
    let says = |word: &str| memmem::find(bytes, word.as_bytes()).is_some();
    let guards =
        ["DefectConfirmed", "DefectRepaired", "DefectClosed", "DefectAccepted"].into_iter().any(says);
    let blocks = guards && !reader.is_acknowledged(layout, "", line);
    if blocks {
        reader.lose([None; 6], Some(Verdict::Defect));
    }
    let value = shortened(&String::from_utf8_lossy(bytes));
    let column = format!("line {}, column {} of the message", error.line(), error.column());
    let source = Source { file: layout.file, line };
    reader.rejects.push(Reject { source, column, value, reason: RejectReason::NotJson, blocks });
}

/// One message on its way into the reader.
struct Message<'r, 's> {
    reader: &'r mut RowReader<'s>,
    verdicts: &'r mut VerdictReader,
    layout: &'r Layout,
    /// Line on which it starts.
    line: u64,
}

/// What the measurements of one unit share.
struct Unit<'v> {
    model: String,
    revision: String,
    board: String,
    time: &'v str,
    /// The unit as it came.
    whole: &'v Value,
}

impl Message<'_, '_> {
    fn read(&mut self, message: &Value) -> u64 {
        let body = member(message, "MessageBody").unwrap_or(message);
        let (name, kind) = (text(message, "MessageName"), text(body, "$type"));
        let inspected = member(body, "InspectedUnits");
        if !name.ends_with("UnitsInspected") && !kind.contains(".UnitsInspected") && inspected.is_none() {
            return 0;
        }
        let panel = member(body, "InspectedPanel").map(|panel| ("InspectedPanel".to_owned(), panel));
        let units = list(body, "InspectedUnits").iter().enumerate();
        let units: Vec<(String, &Value)> =
            panel.into_iter().chain(units.map(|(i, unit)| (format!("InspectedUnits[{i}]"), unit))).collect();
        let mut rows = 0;
        for (place, unit) in units {
            let id = text(unit, "UnitIdentifier");
            let position = json::field(unit, "UnitPositionNumber");
            let shared = Unit {
                model: json::field(body, "RecipeName"),
                revision: json::field(body, "RecipeRevision"),
                board: if position.is_empty() { id.to_owned() } else { format!("{id}#{position}") },
                time: text(message, "TimeStamp"),
                whole: unit,
            };
            for (i, inspection) in list(unit, "Inspections").iter().enumerate() {
                rows += self.inspection(&shared, inspection, &format!("{place}.Inspections[{i}]"));
            }
        }
        rows
    }

    fn inspection(&mut self, shared: &Unit<'_>, inspection: &Value, place: &str) -> u64 {
        let review = Review::of(shared.whole, inspection);
        let mut shown = vec![false; review.defects.len()];
        let mut rows = 0;
        for (i, measurement) in list(inspection, "Measurements").iter().enumerate() {
            let features = measured::features(measurement);
            rows += features.len() as u64;
            let time =
                [text(measurement, "TimeRecorded"), text(inspection, "InspectionEndTime"), shared.time];
            let refdes = text(measurement, "CRDs");
            let part = part(self.reader.shared(), refdes).to_owned();
            let (id, result) = (text(measurement, "UniqueIdentifier"), text(measurement, "Result"));
            let keys: Vec<[&str; 6]> = features
                .iter()
                .map(|f| {
                    let inspection = text(inspection, "InspectionName");
                    [part.as_str(), &shared.model, &shared.revision, inspection, &f.name, &f.unit]
                })
                .collect();
            let limits: Vec<Option<Tolerance>> =
                keys.iter().zip(&features).map(|(key, f)| tolerance(self.reader.shared(), *key, f)).collect();
            let boundary = self.reader.collector.options.boundary;
            let outside: Vec<bool> =
                limits.iter().zip(&features).map(|(limits, f)| f.is_outside(*limits, boundary)).collect();
            let named = review.by_name(id);
            for ((at, feature), key) in features.iter().enumerate().zip(&keys) {
                // A defect that names a measurement of several features means those outside their limits, or all if none is.
                let said = match named {
                    Some(said) if outside[at] || !outside.contains(&true) => said,
                    _ if outside[at] => review.by_place(refdes),
                    _ => Said::default(),
                };
                if let Some(defect) = said.defect {
                    shown[defect] = true;
                }
                // With a tolerance table, what it does not name is not judged; a defect there is not passed over.
                if limits[at].is_none() && self.reader.shared().tolerances.is_some() && said.word.is_empty() {
                    continue;
                }
                let flagged = match (result, features.len()) {
                    ("Passed", _) => "pass",
                    ("Failed", 1) => "fail",
                    _ => "",
                };
                let defect = said.defect.map_or("", |d| review.defects[d].id);
                let row: [&str; COLUMNS.len()] = [
                    key[0],
                    key[1],
                    key[2],
                    key[3],
                    key[4],
                    key[5],
                    &feature.value,
                    &feature.lower,
                    &feature.upper,
                    &feature.nominal,
                    flagged,
                    said.word,
                    defect,
                    &shared.board,
                    refdes,
                    time.into_iter().find(|t| !t.is_empty()).unwrap_or(""),
                    id,
                ];
                self.row(&row, &format!("{place}.Measurements[{i}].{}", feature.place));
            }
        }
        self.report_unmeasured(&review, &shown, place);
        rows
    }

    /// Reads a row; what is said of it names the place in the message.
    fn row(&mut self, fields: &[&str], place: &str) {
        let before = self.reader.rejects.len();
        self.reader.read(self.layout, self.verdicts, &StringRecord::from(fields.to_vec()), self.line);
        for reject in &mut self.reader.rejects[before..] {
            reject.column = format!("{place} ({})", reject.column);
        }
    }

    /// Confirmed defects that no measurement shows: a check without a number found them, so no limit can hold them.
    fn report_unmeasured(&mut self, review: &Review<'_>, shown: &[bool], place: &str) {
        for (at, defect) in review.defects.iter().enumerate().filter(|(at, _)| !shown[*at]) {
            if matches!(defect.word, "DefectConfirmed" | "DefectRepaired" | "DefectClosed") {
                self.reader.rejects.push(Reject {
                    source: Source { file: self.layout.file, line: self.line },
                    column: format!("{place}.DefectsFound[{at}]"),
                    value: shortened(&format!("{} {}", defect.code, defect.designator)),
                    reason: RejectReason::NotMeasured,
                    blocks: false,
                });
            }
        }
    }
}

/// The part number that the mapping gives a designator, else the designator itself; both without a pin.
fn part<'a>(shared: &'a Shared, designator: &'a str) -> &'a str {
    let part = without_pin(designator);
    shared.mapping.cfx.parts.get(part).map_or(part, String::as_str)
}

/// The limits that a feature is judged by: its own, or the tolerance table's; none if there are none or they cannot be read.
fn tolerance(shared: &Shared, key: [&str; 6], feature: &Feature) -> Option<Tolerance> {
    let number = |text: &str| parse_number(text, false).ok();
    let mut written = Tolerance { lower: number(&feature.lower), upper: number(&feature.upper) };
    let mut nominal = number(&feature.nominal);
    if let Some(entry) = shared.tolerances.as_ref().and_then(|t| t.get(key)) {
        if written == Tolerance::default() {
            written = entry.written;
        }
        nominal = nominal.or(entry.nominal);
    }
    let has_limit = written != Tolerance::default() || !feature.lower.is_empty() || !feature.upper.is_empty();
    shared.mapping.limits.form.import(written, nominal).filter(|_| has_limit)
}
