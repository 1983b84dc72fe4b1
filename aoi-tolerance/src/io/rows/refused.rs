//! Rows that cannot be used, in whole or in part: what the rejects say of them, and which limits they block.

use csv::StringRecord;

use super::{Row, RowReader, machine_flagged};
use crate::io::header::Field;
use crate::io::layout::{Layout, Measured};
use crate::io::reject::{Reject, RejectReason, shortened};
use crate::io::verdict::VerdictReader;
use crate::record::{Source, Verdict};

impl RowReader<'_> {
    /// A row whose fields cannot be told apart: if any of them says defect, its limit is blocked.
    pub(super) fn reject_torn(
        &mut self,
        layout: &Layout,
        verdicts: &VerdictReader,
        fields: &StringRecord,
        source: Source,
    ) {
        let guarding = verdicts.guarding_word(fields.iter());
        let acknowledged = self.is_acknowledged(layout, "", source.line);
        let blocks = guarding.is_some() && !acknowledged;
        if blocks {
            // Fields before the first torn one still stand in their place, but which that is cannot be known: only the part is trusted.
            let part = layout.key[0].text(fields).trim().to_owned();
            let part = (!part.is_empty()).then_some(part);
            self.lose([part.as_deref(), None, None, None, None, None], guarding);
        }
        let value = shortened(&fields.iter().collect::<Vec<_>>().join(","));
        let column = format!("{} of {} fields", fields.len(), layout.header.len());
        self.rejects.push(Reject { source, column, value, reason: RejectReason::FieldCount, blocks });
    }

    /// A row that is not UTF-8.
    pub(crate) fn reject_bytes(
        &mut self,
        layout: &Layout,
        verdicts: &VerdictReader,
        row: &csv::ByteRecord,
        line: u64,
    ) {
        let lossy = StringRecord::from_byte_record_lossy(row.clone());
        let guarding = verdicts.guarding_word(lossy.iter());
        let source = Source { file: layout.file, line };
        let blocks = guarding.is_some() && !self.is_acknowledged(layout, "", line);
        if blocks {
            let readable = |field: &Field| {
                let text = field.text(&lossy).trim().to_owned();
                (!text.is_empty() && !text.contains('\u{fffd}')).then_some(text)
            };
            let key: [Option<String>; 6] = std::array::from_fn(|i| readable(&layout.key[i]));
            self.lose(std::array::from_fn(|i| key[i].as_deref()), guarding);
        }
        let value = shortened(&lossy.iter().collect::<Vec<_>>().join(","));
        self.rejects.push(Reject {
            source,
            column: String::new(),
            value,
            reason: RejectReason::NotUtf8,
            blocks,
        });
    }

    /// Passes on a record that cannot be placed.
    pub(crate) fn lose(&mut self, key: [Option<&str>; 6], verdict: Option<Verdict>) {
        if let Some(listener) = &mut self.listener {
            listener.unreadable(key, verdict, "", false);
        }
        self.collector.push_unreadable(key, verdict);
    }

    /// A row, or a feature of it, whose value or limits cannot be used.
    pub(super) fn unplaced(
        &mut self,
        row: &Row<'_>,
        measured: &Measured,
        column: &str,
        value: &str,
        reason: RejectReason,
    ) {
        let verdict = row.verdict.verdict();
        let guards = verdict.is_some_and(Verdict::guards);
        if let Some(listener) = &mut self.listener
            && reason == RejectReason::Missing
        {
            let id = row.layout.record_id.text(row.fields);
            let key = row.key(measured);
            let known = |i: usize| Some(key[i].trim()).filter(|t| !t.is_empty());
            if listener.unreadable(std::array::from_fn(known), verdict, id.trim(), true) {
                return;
            }
        }
        // What cannot be read counts as flagged; what is empty or has no limit only where the machine says that it flagged it.
        let silent = matches!(reason, RejectReason::Missing | RejectReason::NoLimit);
        let flagged = !silent || machine_flagged(row) == Some(true);
        if !row.acknowledged {
            let key = row.key(measured);
            let known = |i: usize| Some(key[i].trim()).filter(|t| !t.is_empty());
            let verdict = if guards || flagged { verdict } else { Some(Verdict::Pass) };
            self.lose(std::array::from_fn(known), verdict);
        }
        self.rejects.push(Reject {
            source: row.source,
            column: column.to_owned(),
            value: shortened(value),
            reason,
            blocks: guards && !row.acknowledged,
        });
    }

    /// An oddity of a row that counts all the same.
    pub(super) fn note(&mut self, row: &Row<'_>, column: String, value: &str, reason: RejectReason) {
        self.rejects.push(Reject {
            source: row.source,
            column,
            value: shortened(value),
            reason,
            blocks: false,
        });
    }
}
