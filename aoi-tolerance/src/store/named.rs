//! Records by name: the state keeps digests of names, the log keeps the names.

use std::collections::{HashMap, HashSet};

use super::event::Forms;
use super::log::{Log, Position};
use super::{Store, log_path, replay};
use crate::error::Error;
use crate::limit::Tolerance;
use crate::record::Identity;

/// A record as it came first.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedRecord {
    /// Part, model, revision, inspection, feature, unit.
    pub key: [String; 6],
    /// The measured value.
    pub value: f64,
    /// The limits in force when it was measured.
    pub tolerance: Tolerance,
    /// Its name.
    pub record_id: String,
    /// Where it was measured; empty if that was not said.
    pub board: String,
    /// The designator; empty if that was not said.
    pub refdes: String,
    /// When, in nanoseconds since 1970 UTC.
    pub time: Option<i64>,
}

impl Store {
    /// Looks up records by unit (see [`crate::recalibrate::Released::unit`]) by reading the log from its start; those that are not there are left out.
    ///
    /// # Errors
    /// When the log cannot be read or is damaged elsewhere than at its end.
    pub fn named(&self, units: &HashSet<Identity>) -> Result<HashMap<Identity, NamedRecord>, Error> {
        let path = log_path(&self.folder);
        let (mut forms, mut found) = (Forms::default(), HashMap::new());
        Log::open(&path, Position::default(), false, |payload, first, _| {
            let mut each = |record: &crate::record::Record<'_>| {
                if record.record_id.is_empty() {
                    return;
                }
                let unit = Identity::of(&[record.record_id]).under(record.key);
                if units.contains(&unit) {
                    found.entry(unit).or_insert_with(|| NamedRecord {
                        key: record.key.map(str::to_owned),
                        value: record.value,
                        tolerance: record.tolerance,
                        record_id: record.record_id.to_owned(),
                        board: record.board.to_owned(),
                        refdes: record.refdes.to_owned(),
                        time: record.time,
                    });
                }
            };
            replay::each_record(&mut forms, payload, &mut each).map_err(|_| Error::Store {
                path: path.clone(),
                reason: format!("the batch that starts with event {first} cannot be read"),
            })
        })?;
        Ok(found)
    }
}
