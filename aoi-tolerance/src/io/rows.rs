//! Rows of one file, turned into records.

mod refused;

use std::collections::HashSet;

use csv::StringRecord;

use crate::collect::{Collector, Intake, Place};
use crate::io::header::Field;
use crate::io::layout::{Layout, Measured, Quantity};
use crate::io::mapping::{Column, Mapping};
use crate::io::number::parse_number;
use crate::io::reject::{Reject, RejectReason};
use crate::io::repeated::Repeated;
use crate::io::tolerances::ToleranceTable;
use crate::io::verdict::{Reading, VerdictReader};
use crate::limit::Tolerance;
use crate::record::{Record, Source, Verdict};
use crate::resolution::Resolution;

/// What all files share.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) mapping: Mapping,
    pub(crate) tolerances: Option<ToleranceTable>,
    pub(crate) acknowledged: HashSet<String>,
}

/// Hears every record as it is read, passes too.
pub(crate) trait Listener {
    /// A record that can be used.
    fn record(&mut self, record: &Record<'_>);

    /// A record that cannot be placed. With `alone`, all that is missing is a value: true if the record is known by its id, so that its verdict was
    /// all there was to say.
    fn unreadable(
        &mut self,
        key: [Option<&str>; 6],
        verdict: Option<Verdict>,
        record_id: &str,
        alone: bool,
    ) -> bool;
}

/// Reads the rows of blocks into a collector; one per thread.
pub(crate) struct RowReader<'s> {
    shared: &'s Shared,
    /// Where records go beside the collector.
    pub(crate) listener: Option<&'s mut dyn Listener>,
    pub(crate) collector: Collector,
    pub(crate) rejects: Vec<Reject>,
    /// Empty cells of wide rows.
    pub(crate) not_measured: u64,
    /// Where the last record was counted, if it passed and left nothing but counts.
    pub(crate) passed: Option<Place>,
}

/// A row with what its features have in common.
struct Row<'a> {
    fields: &'a StringRecord,
    layout: &'a Layout,
    source: Source,
    verdict: Reading,
    acknowledged: bool,
}

impl<'s> RowReader<'s> {
    pub(crate) fn new(shared: &'s Shared, collector: Collector) -> Self {
        Self { shared, listener: None, collector, rejects: Vec::new(), not_measured: 0, passed: None }
    }

    /// The byte between fields.
    pub(crate) fn delimiter(&self) -> u8 {
        self.shared.mapping.delimiter()
    }

    /// What all files share.
    pub(crate) fn mapping(&self) -> &'s Mapping {
        &self.shared.mapping
    }

    /// What all files share.
    pub(crate) fn shared(&self) -> &'s Shared {
        self.shared
    }

    /// Counts the rows of one file that repeated others.
    pub(crate) fn count_repeats(&mut self, verdicts: &mut VerdictReader, repeated: Repeated) {
        for passed in repeated.into_passed().filter(|p| p.repeats > 0) {
            verdicts.read_times(
                &passed.fields,
                |text| self.shared.mapping.file.is_missing(text),
                passed.repeats,
            );
            self.collector.count_passes(passed.place, passed.repeats);
        }
    }

    /// Reads one row.
    pub(crate) fn read(
        &mut self,
        layout: &Layout,
        verdicts: &mut VerdictReader,
        fields: &StringRecord,
        line: u64,
    ) {
        self.passed = None;
        let source = Source { file: layout.file, line };
        if fields.len() != layout.header.len() {
            self.reject_torn(layout, verdicts, fields, source);
            return;
        }
        let shared = self.shared;
        let missing = |text: &str| shared.mapping.file.is_missing(text);
        let verdict = verdicts.read(fields, missing);
        let acknowledged = self.is_acknowledged(layout, &layout.record_id.text(fields), line);
        let row = Row { fields, layout, source, verdict, acknowledged };
        if verdict == Reading::Unknown {
            let column = layout.header.field(Column::Verdict, &shared.mapping).unwrap_or(Field::Absent);
            let value = column.text(fields);
            self.note(
                &row,
                column.column_name(&layout.header, Column::Verdict),
                &value,
                RejectReason::UnknownVerdict,
            );
        }
        let mut placed = false;
        let mut empty = 0;
        for measured in &layout.measured {
            match self.measure(&row, measured, &missing) {
                Placed::Yes => placed = true,
                Placed::Empty => empty += 1,
            }
        }
        self.not_measured += if layout.wide { empty } else { 0 };
        // A wide row's empty cells were not measured; but a row without any value whose verdict guards is a defect that was lost.
        if !placed && empty > 0 && layout.has_values() {
            let lost = verdict.verdict().is_some_and(Verdict::guards) || machine_flagged(&row) == Some(true);
            if !layout.wide || lost {
                let measured = &layout.measured[0];
                self.unplaced(&row, measured, "value", "", RejectReason::Missing);
            }
        }
    }

    /// Whether somebody has looked at this row.
    pub(crate) fn is_acknowledged(&self, layout: &Layout, record_id: &str, line: u64) -> bool {
        let acknowledged = &self.shared.acknowledged;
        !acknowledged.is_empty()
            && (acknowledged.contains(record_id.trim())
                || acknowledged.contains(&format!("{}:{line}", layout.path.display())))
    }

    /// Reads one feature of a row.
    fn measure(&mut self, row: &Row<'_>, measured: &Measured, missing: &impl Fn(&str) -> bool) -> Placed {
        let Row { fields, layout, .. } = *row;
        let shared = self.shared;
        let comma = shared.mapping.file.decimal_comma;
        macro_rules! number {
            ($field:expr, $column:expr) => {{
                let field: &Field = $field;
                let text = field.text(fields);
                let text = text.trim();
                if missing(text) {
                    None
                } else {
                    match parse_number(text, comma) {
                        Ok(number) => Some(number),
                        Err(fault) => {
                            let name = field.column_name(&layout.header, $column);
                            self.unplaced(row, measured, &name, text, RejectReason::Number(fault));
                            return Placed::Yes;
                        }
                    }
                }
            }};
        }
        let value = match &measured.value {
            Quantity::Absent => return Placed::Empty,
            Quantity::Plain(field) => number!(field, Column::Value),
            Quantity::Length(dx, dy) => {
                number!(dx, Column::Dx).zip(number!(dy, Column::Dy)).map(|(x, y)| x.hypot(y))
            }
        };
        let Some(value) = value else { return Placed::Empty };
        let mut written = Tolerance {
            lower: number!(&measured.lower, Column::Lower),
            upper: number!(&measured.upper, Column::Upper),
        };
        let mut nominal = number!(measured.nominal.as_ref().unwrap_or(&layout.nominal), Column::Nominal);
        let mut sigma = number!(&layout.sigma, Column::Sigma);
        if sigma.is_some_and(|s| s < 0.0) {
            let name = layout.sigma.column_name(&layout.header, Column::Sigma);
            self.unplaced(row, measured, &name, &layout.sigma.text(fields), RejectReason::Sigma);
            return Placed::Yes;
        }
        let mut resolution = match number!(&layout.resolution, Column::Resolution).map(Resolution::from_step)
        {
            None => None,
            Some(Ok(step)) => Some(step),
            Some(Err(_)) => {
                let name = layout.resolution.column_name(&layout.header, Column::Resolution);
                let text = layout.resolution.text(fields);
                self.unplaced(row, measured, &name, &text, RejectReason::Resolution);
                return Placed::Yes;
            }
        };
        let key = row.key(measured);
        let key_text: [&str; 6] = std::array::from_fn(|i| key[i].trim());
        if let Some(at) = [0].into_iter().find(|&i| key_text[i].is_empty()) {
            let name = layout.key[at].column_name(&layout.header, Column::Part);
            self.unplaced(row, measured, &name, "", RejectReason::Missing);
            return Placed::Yes;
        }
        let mut unit = key_text[5];
        let table = shared.tolerances.as_ref().and_then(|t| t.get(key_text));
        if let Some(entry) = table {
            if written == Tolerance::default() {
                written = entry.written;
            }
            nominal = nominal.or(entry.nominal);
            sigma = sigma.or(entry.sigma);
            resolution = resolution.or(entry.resolution);
            unit = if unit.is_empty() { &entry.unit } else { unit };
        }
        let Some(tolerance) = shared.mapping.limits.form.import(written, nominal) else {
            let name = layout.nominal.column_name(&layout.header, Column::Nominal);
            self.unplaced(row, measured, &name, &layout.nominal.text(fields), RejectReason::Nominal);
            return Placed::Yes;
        };
        let record = Record {
            key: [key_text[0], key_text[1], key_text[2], key_text[3], key_text[4], unit],
            value,
            tolerance,
            verdict: row.verdict.verdict(),
            nominal,
            sigma,
            resolution,
            machine_flagged: machine_flagged(row),
            source: row.source,
            ..Record::default()
        };
        self.take(row, measured, &record);
        Placed::Yes
    }

    /// Hands a record to the collector; names and times are read only for records that it keeps.
    fn take(&mut self, row: &Row<'_>, measured: &Measured, record: &Record<'_>) {
        let Row { fields, layout, .. } = *row;
        let usable = record.tolerance.sides().all(|(_, l)| l.is_finite())
            && record.tolerance.lower.zip(record.tolerance.upper).is_none_or(|(l, u)| l <= u);
        if record.tolerance == Tolerance::default() || !usable || !record.value.is_finite() {
            let (column, field, reason) = if record.tolerance == Tolerance::default() {
                (Column::Lower, &measured.lower, RejectReason::NoLimit)
            } else if usable {
                (
                    Column::Value,
                    &Field::Absent,
                    RejectReason::Number(crate::io::number::NumberFault::OutOfRange),
                )
            } else {
                (Column::Lower, &measured.lower, RejectReason::LimitsSwapped)
            };
            let name = field.column_name(&layout.header, column);
            self.unplaced(row, measured, &name, &field.text(fields), reason);
            return;
        }
        let flagged = record.tolerance.flagging_side(record.value, self.collector.options.boundary).is_some();
        let kept = flagged || record.verdict.is_some_and(Verdict::is_fault) || self.listener.is_some();
        let text = |field: &'_ Field| field.text(fields).trim().to_owned();
        let mut names = if kept {
            [&layout.record_id, &layout.defect_id, &layout.board, &layout.refdes, &layout.reviewer].map(text)
        } else {
            Default::default()
        };
        let [_, defect_id, board, refdes, _] = &mut names;
        if kept && layout.wide && defect_id.is_empty() && (board.is_empty() || refdes.is_empty()) {
            // The features of a wide row are those of one part: what one of them flags did not escape the others.
            *defect_id = format!("row {}:{}", row.source.file, row.source.line);
        }
        let time_text = if kept { text(&layout.time) } else { String::new() };
        let time = if time_text.is_empty() { None } else { layout.times.read(&time_text) };
        if time.is_none() && !time_text.is_empty() {
            let name = layout.time.column_name(&layout.header, Column::Time);
            self.note(row, name, &time_text, RejectReason::Time);
        }
        let record = Record {
            record_id: &names[0],
            defect_id: &names[1],
            board: &names[2],
            refdes: &names[3],
            reviewer: &names[4],
            time,
            ..*record
        };
        let (before, noted) = (self.collector.counts, self.rejects.len());
        let intake = self.collector.push(&record);
        if let Some(listener) = &mut self.listener {
            listener.record(&record);
        }
        debug_assert_eq!(intake, Intake::Counted);
        let after = self.collector.counts;
        if after.machine_disagrees > before.machine_disagrees {
            let name = layout.flagged.column_name(&layout.header, Column::Flagged);
            self.note(row, name, &layout.flagged.text(fields), RejectReason::MachineDisagrees);
        }
        if after.verdict_disagrees > before.verdict_disagrees {
            let word = row.verdict.verdict().map_or("", Verdict::word);
            self.note(row, Column::Verdict.name().to_owned(), word, RejectReason::VerdictDisagrees);
        }
        if row.verdict != Reading::Unknown && self.rejects.len() == noted && !kept {
            self.passed = self.collector.place_of_pass(&record);
        }
    }
}

/// The machine's own decision, where it is written in words that can only mean one thing.
fn machine_flagged(row: &Row<'_>) -> Option<bool> {
    let text = row.layout.flagged.text(row.fields);
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "y" | "fail" | "ng" | "flagged" => Some(true),
        "0" | "false" | "no" | "n" | "pass" | "ok" => Some(false),
        _ => None,
    }
}

/// Whether a feature of a row held anything.
enum Placed {
    Yes,
    Empty,
}

impl<'a> Row<'a> {
    /// The key's fields for one of its features.
    fn key(&self, measured: &'a Measured) -> [std::borrow::Cow<'a, str>; 6] {
        let mut key = std::array::from_fn(|i| self.layout.key[i].text(self.fields));
        if let Some(feature) = &measured.feature {
            key[4] = feature.as_str().into();
        }
        if let Some(unit) = &measured.unit {
            key[5] = unit.as_str().into();
        }
        key
    }
}
