//! The aggregate file: one row per limit, as an engine gives it for [`aggregate_sql`](super::aggregate_sql).

use std::collections::HashMap;
use std::path::Path;

use csv::StringRecord;

use crate::aggregate::{Aggregate, Known};
use crate::error::Error;
use crate::io::blocks::Blocks;
use crate::io::header::Header;
use crate::io::input::{BytesRead, Input, InputFile};
use crate::io::number::parse_number;
use crate::limit::{Boundary, Side, Tolerance};
use crate::population::{Limit, LimitId, order_of_limits};
use crate::record::Key;
use crate::resolution::Resolution;

/// An aggregate file that was read.
#[derive(Debug, Clone)]
pub struct AggregateFile {
    /// The limits, sorted by name; their rows stayed in the engine.
    pub limits: Vec<Limit>,
    /// `aggregates[i]` belongs to `limits[i]`.
    pub aggregates: Vec<Aggregate>,
    /// The percentile that the statement was made for.
    pub percentile: f64,
    /// What the statement took a value equal to its limit for.
    pub boundary: Boundary,
    /// The file.
    pub input: InputFile,
}

/// One row, before its version is known.
struct Row {
    key: Key,
    tolerance: Tolerance,
    first_time: Option<jiff::Timestamp>,
    nominal: Option<f64>,
    records: u64,
    aggregate: Aggregate,
}

/// Reads an aggregate file. Each row decides about a limit, so nothing in it is skipped.
///
/// # Errors
/// When the file cannot be read, a column is missing, a field cannot be read, a row contradicts itself or another one, or there is no row; with
/// the line.
pub fn read_aggregates(path: &Path) -> Result<AggregateFile, Error> {
    let fail = |line: u64, reason: String| Error::Row { path: path.to_owned(), line, reason };
    let mut blocks = Blocks::new(Input::open(path, BytesRead::default())?, b',');
    let mut bytes = Vec::new();
    while let Some(block) = blocks.next()? {
        bytes.extend(block.bytes);
    }
    let text = String::from_utf8(bytes).map_err(|_| fail(1, "the file is not UTF-8".into()))?;
    let mut reader = csv::Reader::from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let described = |e: &csv::Error| fail(e.position().map_or(1, csv::Position::line), e.to_string());
    let header = Header::new(reader.headers().map_err(|e| described(&e))?.iter());
    let columns: HashMap<&str, usize> = COLUMNS
        .iter()
        .map(|name| header.position(name).map(|at| (*name, at)).map_err(|reason| fail(1, reason)))
        .collect::<Result<_, _>>()?;
    let mut rows: Vec<Row> = Vec::new();
    let mut asked: Option<(f64, Boundary)> = None;
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(|e| described(&e))? {
        let line = record.position().map_or(0, csv::Position::line);
        let fields = Fields { record: &record, columns: &columns };
        let (question, row) = fields.row().map_err(|reason| fail(line, reason))?;
        if *asked.get_or_insert(question) != question {
            let reason = "percentile and equal_is_flagged differ from those of the rows before; a file answers one statement";
            return Err(fail(line, reason.into()));
        }
        if let Some(contradiction) = row.aggregate.contradiction(question.1) {
            return Err(fail(line, contradiction));
        }
        let twin = |r: &Row| {
            r.key == row.key && r.tolerance == row.tolerance && r.aggregate.side == row.aggregate.side
        };
        if rows.last().is_some_and(twin) {
            return Err(fail(line, format!("{} has two rows for its {} limit", row.key, row.aggregate.side)));
        }
        rows.push(row);
    }
    let Some((percentile, boundary)) = asked else { return Err(Error::NoRecords { path: path.to_owned() }) };
    let count = rows.len() as u64;
    let (limits, aggregates) = numbered(rows).map_err(|reason| fail(1, reason))?;
    Ok(AggregateFile { limits, aggregates, percentile, boundary, input: blocks.into_input().finish(count) })
}

/// Sorts, and numbers the versions of each key as the records' own would be: by time, then by limits.
fn numbered(mut rows: Vec<Row>) -> Result<(Vec<Limit>, Vec<Aggregate>), String> {
    rows.sort_by(|a, b| {
        (a.key.cmp(&b.key))
            .then(a.first_time.cmp(&b.first_time))
            .then_with(|| order_of_limits(a.tolerance, b.tolerance))
            .then(a.aggregate.side.cmp(&b.aggregate.side))
    });
    let (mut limits, mut aggregates): (Vec<Limit>, Vec<Aggregate>) = (Vec::new(), Vec::new());
    for row in rows {
        let side = row.aggregate.side;
        let version = match limits.last() {
            Some(last) if last.id.key == row.key => {
                let same = last.tolerance == row.tolerance;
                if same && last.id.side == side {
                    return Err(format!("{} has two rows for its {side} limit", row.key));
                }
                last.id.version + u32::from(!same)
            }
            _ => 1,
        };
        let id = LimitId { key: row.key, version, side };
        limits.push(Limit::aggregated(id, row.tolerance, row.nominal, row.records));
        aggregates.push(row.aggregate);
    }
    Ok((limits, aggregates))
}

/// The columns of the file; all must be there.
const COLUMNS: [&str; 39] = [
    "part",
    "model",
    "revision",
    "inspection",
    "feature",
    "unit",
    "lower",
    "upper",
    "side",
    "percentile",
    "equal_is_flagged",
    "records",
    "first_time",
    "nominal",
    "sigma",
    "resolution",
    "finest_resolution",
    "false_calls",
    "low",
    "low_before",
    "low_through",
    "high",
    "high_before",
    "high_through",
    "held",
    "held_before",
    "held_through",
    "next",
    "next_before",
    "next_through",
    "defects",
    "nearest_defects",
    "provisional",
    "nearest_provisional",
    "pending",
    "escapes",
    "nearest_escape",
    "defects_unflagged",
    "unreadable_defects",
];

struct Fields<'a> {
    record: &'a StringRecord,
    columns: &'a HashMap<&'static str, usize>,
}

impl Fields<'_> {
    fn text(&self, column: &str) -> &str {
        self.columns.get(column).and_then(|&at| self.record.get(at)).unwrap_or("").trim()
    }

    fn real(&self, column: &str) -> Result<Option<f64>, String> {
        let text = self.text(column);
        if text.is_empty() {
            return Ok(None);
        }
        parse_number(text, false).map(Some).map_err(|fault| format!("{column} {text:?} is {fault}"))
    }

    fn count(&self, column: &str) -> Result<u64, String> {
        let text = self.text(column);
        text.parse().map_err(|_| format!("{column} {text:?} is not a whole number, not negative"))
    }

    fn known(&self, name: &str) -> Result<Option<Known>, String> {
        let Some(value) = self.real(name)? else { return Ok(None) };
        let [before, through] =
            [self.count(&format!("{name}_before"))?, self.count(&format!("{name}_through"))?];
        Ok(Some(Known { value, before, through }))
    }

    /// What the statement asked, and the row.
    fn row(&self) -> Result<((f64, Boundary), Row), String> {
        let side = match self.text("side") {
            "lower" => Side::Lower,
            "upper" => Side::Upper,
            other => return Err(format!("side {other:?} is neither lower nor upper")),
        };
        let boundary = match self.text("equal_is_flagged") {
            "0" => Boundary::Passes,
            "1" => Boundary::Flagged,
            other => return Err(format!("equal_is_flagged {other:?} is neither 0 nor 1")),
        };
        let percentile = self.real("percentile")?.filter(|p| (0.0..=100.0).contains(p));
        let percentile = percentile.ok_or_else(|| "percentile is not a number from 0 to 100".to_owned())?;
        let tolerance = Tolerance { lower: self.real("lower")?, upper: self.real("upper")? }.unsigned_zeros();
        let limit = tolerance.side(side).ok_or_else(|| format!("there is no {side} limit"))?;
        if tolerance.lower.zip(tolerance.upper).is_some_and(|(l, u)| l > u) {
            return Err("lower lies above upper".to_owned());
        }
        let step = |column: &str| -> Result<Option<Resolution>, String> {
            self.real(column)?.map(Resolution::from_step).transpose().map_err(|e| e.to_string())
        };
        let (resolution, finest) = (step("resolution")?, step("finest_resolution")?);
        let first_time = match self.text("first_time") {
            "" => None,
            text => Some(text.parse().map_err(|_| format!("first_time {text:?} is not an RFC 3339 time"))?),
        };
        let mut known = Vec::new();
        for name in ["low", "high", "held", "next"] {
            known.extend(self.known(name)?);
        }
        let nearest = self.text("nearest_defects").split_whitespace();
        let nearest_defects = nearest
            .map(|text| {
                parse_number(text, false).map_err(|fault| format!("nearest_defects {text:?} is {fault}"))
            })
            .collect::<Result<_, _>>()?;
        let sigma = self.real("sigma")?;
        if let Some(got) = sigma.filter(|s| *s < 0.0) {
            return Err(Error::Sigma { got }.to_string());
        }
        let key = |column: &str| self.text(column).to_owned();
        let row = Row {
            key: Key {
                part: key("part"),
                model: key("model"),
                revision: key("revision"),
                inspection: key("inspection"),
                feature: key("feature"),
                unit: key("unit"),
            },
            tolerance,
            first_time,
            nominal: self.real("nominal")?,
            records: self.count("records")?,
            aggregate: Aggregate {
                side,
                limit,
                false_calls: self.count("false_calls")?,
                known,
                defects: self.count("defects")?,
                nearest_defects,
                provisional: self.count("provisional")?,
                nearest_provisional: self.real("nearest_provisional")?,
                escapes: self.count("escapes")?,
                nearest_escape: self.real("nearest_escape")?,
                defects_unflagged: self.count("defects_unflagged")?,
                pending: self.count("pending")?,
                unreadable_defects: self.count("unreadable_defects")?,
                sigma,
                resolution,
                resolution_conflict: resolution != finest,
            },
        };
        Ok(((percentile, boundary), row))
    }
}
