//! The tolerance table: limits that stand in a file of their own.

use std::collections::HashMap;
use std::path::Path;

use csv::StringRecord;

use crate::error::Error;
use crate::io::blocks::Blocks;
use crate::io::header::Header;
use crate::io::input::{BytesRead, Input};
use crate::io::mapping::{Column, Mapping};
use crate::io::number::parse_number;
use crate::limit::Tolerance;
use crate::resolution::Resolution;

/// What the table says of one key.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct TableEntry {
    pub(crate) written: Tolerance,
    pub(crate) nominal: Option<f64>,
    pub(crate) sigma: Option<f64>,
    pub(crate) resolution: Option<Resolution>,
    pub(crate) unit: String,
}

/// The columns that may key a table: those of the key but the unit, in the key's order.
const KEY: [Column; 5] = [Column::Part, Column::Model, Column::Revision, Column::Inspection, Column::Feature];

/// Limits keyed by those of part, model, revision, inspection and feature that the table has.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ToleranceTable {
    /// Which of [`KEY`] key the table.
    keyed: [bool; KEY.len()],
    entries: HashMap<[String; KEY.len()], TableEntry>,
}

impl ToleranceTable {
    /// Reads a table; `mapping.tolerances` names its columns, `mapping.file` its delimiter and decimal sign.
    ///
    /// # Errors
    /// When the file cannot be read, a needed column is missing, a number cannot be read, lower lies above upper, or two rows give one
    /// key different limits. A table decides about every record, so nothing in it is skipped.
    pub fn read(path: &Path, mapping: &Mapping) -> Result<Self, Error> {
        let fail = |line: u64, reason: String| Error::Row { path: path.to_owned(), line, reason };
        let mut blocks = Blocks::new(Input::open(path, BytesRead::default())?, mapping.delimiter());
        let mut bytes = Vec::new();
        while let Some(block) = blocks.next()? {
            bytes.extend(block.bytes);
        }
        let text = String::from_utf8(bytes).map_err(|_| fail(1, "the table is not UTF-8".into()))?;
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(mapping.delimiter())
            .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
        let described = |e: &csv::Error| {
            let line = e.position().map_or(1, csv::Position::line);
            fail(line, e.to_string())
        };
        let header = Header::new(reader.headers().map_err(|e| described(&e))?.iter());
        let column = |column: Column| -> Result<Option<usize>, Error> {
            let found = match mapping.tolerances.get(&column) {
                Some(name) => header.position(name).map(Some),
                None => header.position(column.name()).map(Some).or(Ok(None)),
            };
            found.map_err(|reason| fail(1, reason))
        };
        let key: Vec<Option<usize>> = KEY.iter().map(|c| column(*c)).collect::<Result<_, _>>()?;
        let (lower, upper) = (column(Column::Lower)?, column(Column::Upper)?);
        let [nominal, sigma] = [column(Column::Nominal)?, column(Column::Sigma)?];
        let [resolution, unit] = [column(Column::Resolution)?, column(Column::Unit)?];
        if key.iter().all(Option::is_none) || (lower.is_none() && upper.is_none()) {
            let reason = format!(
                "a tolerance table needs a part, inspection or feature column and a lower or upper column; the header has {}",
                header.listed()
            );
            return Err(fail(1, reason));
        }
        let mut table = Self { keyed: std::array::from_fn(|i| key[i].is_some()), entries: HashMap::new() };
        let mut row = StringRecord::new();
        while reader.read_record(&mut row).map_err(|e| described(&e))? {
            let line = row.position().map_or(0, csv::Position::line);
            let text = |at: Option<usize>| at.and_then(|at| row.get(at)).unwrap_or("").trim();
            let number = |at: Option<usize>| -> Result<Option<f64>, Error> {
                let field = text(at);
                if mapping.file.is_missing(field) {
                    return Ok(None);
                }
                parse_number(field, mapping.file.decimal_comma)
                    .map(Some)
                    .map_err(|fault| fail(line, format!("{field:?} is {fault}")))
            };
            let written = Tolerance { lower: number(lower)?, upper: number(upper)? };
            let step = number(resolution)?.map(Resolution::from_step).transpose();
            let entry = TableEntry {
                written,
                nominal: number(nominal)?,
                sigma: number(sigma)?,
                resolution: step.map_err(|e| fail(line, e.to_string()))?,
                unit: text(unit).to_owned(),
            };
            if let Some(got) = entry.sigma.filter(|s| *s < 0.0) {
                return Err(fail(line, Error::Sigma { got }.to_string()));
            }
            if written == Tolerance::default() {
                continue;
            }
            let key: [String; KEY.len()] = std::array::from_fn(|i| text(key[i]).to_owned());
            if table.entries.get(&key).is_some_and(|known| *known != entry) {
                let named = key.iter().filter(|k| !k.is_empty()).cloned().collect::<Vec<_>>().join(" / ");
                return Err(fail(line, format!("{named} stands in the table before with other limits")));
            }
            table.entries.insert(key, entry);
        }
        Ok(table)
    }

    /// What the table says of a record's key (in the order of the key's fields).
    pub(crate) fn get(&self, key: [&str; 6]) -> Option<&TableEntry> {
        let wanted: [String; KEY.len()] =
            std::array::from_fn(|i| if self.keyed[i] { key[i].to_owned() } else { String::new() });
        self.entries.get(&wanted)
    }

    /// The limits that the table has for a key: part, model, revision, inspection, feature.
    pub fn limits(&self, key: [&str; 5]) -> Option<Tolerance> {
        let [part, model, revision, inspection, feature] = key;
        self.get([part, model, revision, inspection, feature, ""]).map(|entry| entry.written)
    }

    /// The features that the table names, sorted.
    pub(crate) fn features(&self) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.entries.keys().map(|k| k[4].as_str()).filter(|n| !n.is_empty()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("formats")
    }

    #[test]
    fn the_example_is_read_and_found_by_its_key() {
        let table =
            ToleranceTable::read(&folder().join("tolerances.example.csv"), &Mapping::default()).unwrap();
        let entry = table.get(["R0402", "any model", "", "placement", "offset x", ""]).unwrap();
        assert_eq!(entry.written, Tolerance { lower: Some(-75.0), upper: Some(75.0) });
        assert_eq!((entry.sigma, entry.unit.as_str()), (Some(1.5), "um"));
        assert_eq!(table.get(["R0402", "", "", "solder", "offset x", ""]), None);
        let limits = table.limits(["U17", "", "", "lead", "coplanarity"]);
        assert_eq!(limits, Some(Tolerance { lower: None, upper: Some(80.0) }));
        assert_eq!(table.features(), ["coplanarity", "fillet height", "offset x"]);
    }

    #[test]
    fn the_schema_has_the_columns_that_are_read() {
        let text = std::fs::read_to_string(folder().join("tolerances.schema.json")).unwrap();
        let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut named: Vec<&str> =
            schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let others =
            [Column::Lower, Column::Upper, Column::Nominal, Column::Sigma, Column::Resolution, Column::Unit];
        let mut read: Vec<&str> = KEY.iter().chain(&others).map(|c| c.name()).collect();
        named.sort_unstable();
        read.sort_unstable();
        assert_eq!(named, read);
    }
}
