//! What a batch is made of: what was measured, what was said later, and what was put in force. Written here, read in `replay`.
//!
//! A payload starts with the number of its events. Events that are alike but for value and names share a *form* (key, limits, nominal, sigma,
//! resolution), written before its first use and referred to by number; forms are numbered over the whole log.

use std::collections::HashMap;

use super::codec::{Damaged, Reader, Writer};
use crate::limit::{Side, Tolerance};
use crate::recalibrate::LiveLimit;
use crate::record::{Record, Verdict};
use crate::resolution::Resolution;

pub(super) const FORM: u8 = 0;
pub(super) const RECORD: u8 = 1;
pub(super) const UNREADABLE: u8 = 2;
pub(super) const JUDGE: u8 = 3;
pub(super) const WITHDRAW: u8 = 4;
pub(super) const ACKNOWLEDGE: u8 = 5;
pub(super) const APPLY: u8 = 6;
pub(super) const READ: u8 = 7;
pub(super) const RESTART: u8 = 8;
pub(super) const LEDGER: u8 = 9;

/// No verdict.
pub(super) const SILENT: u8 = 0xff;

/// What records share.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Form {
    pub(super) key: [String; 6],
    pub(super) tolerance: Tolerance,
    pub(super) nominal: Option<f64>,
    pub(super) sigma: Option<f64>,
    pub(super) resolution: Option<Resolution>,
}

/// How far an input has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadMark {
    /// Where it was read, for people.
    pub name: String,
    /// Bytes read of it, decompressed.
    pub bytes: u64,
    /// SHA-256 of these bytes: the content is what an input is known by.
    pub digest: [u8; 32],
    /// Lines read of it.
    pub lines: u64,
}

/// The forms of a log by content and by number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Forms {
    by_content: HashMap<Vec<u8>, u64>,
    pub(super) listed: Vec<Form>,
    encoded: Vec<u8>,
}

/// Events being gathered into a batch.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    out: Writer,
    pub(crate) count: u64,
}

impl Batch {
    pub(crate) fn bytes(&self) -> usize {
        self.out.bytes.len()
    }

    /// The payload; the batch is empty afterwards.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let mut payload = Writer::default();
        payload.count(self.count);
        payload.fixed(&self.out.bytes);
        self.out.bytes.clear();
        self.count = 0;
        payload.bytes
    }

    pub(crate) fn record(&mut self, forms: &mut Forms, record: &Record<'_>, kept: bool) {
        let form = forms.number(record, &mut self.out);
        let out = &mut self.out;
        out.byte(RECORD);
        out.count(form);
        out.real(record.value);
        out.byte(record.verdict.map_or(SILENT, |v| v as u8));
        out.maybe_signed(record.time);
        out.text(record.record_id);
        // Where it belongs matters for flagged values and faults only.
        out.byte(u8::from(kept));
        if kept {
            for t in &[record.defect_id, record.board, record.refdes] {
                out.text(t);
            }
        }
        self.count += 1;
    }

    pub(crate) fn unreadable(&mut self, key: [Option<&str>; 6], verdict: Option<Verdict>) {
        self.out.byte(UNREADABLE);
        for f in &key {
            self.out.maybe_text(*f);
        }
        self.out.byte(verdict.map_or(SILENT, |v| v as u8));
        self.count += 1;
    }

    pub(crate) fn judge(&mut self, record_id: &str, key: Option<[&str; 6]>, verdict: Verdict) {
        self.out.byte(JUDGE);
        self.out.text(record_id);
        self.out.byte(u8::from(key.is_some()));
        for field in key.into_iter().flatten() {
            self.out.text(field);
        }
        self.out.byte(verdict as u8);
        self.count += 1;
    }

    pub(crate) fn withdraw(&mut self, row: u32) {
        self.out.byte(WITHDRAW);
        self.out.count(row.into());
        self.count += 1;
    }

    pub(crate) fn acknowledge(&mut self, key: &[Option<String>; 6]) {
        self.out.byte(ACKNOWLEDGE);
        for f in key {
            self.out.maybe_text(f.as_deref());
        }
        self.count += 1;
    }

    pub(crate) fn apply(&mut self, limit: LiveLimit, value: f64) {
        self.out.byte(APPLY);
        self.limit(limit);
        self.out.real(value);
        self.count += 1;
    }

    pub(crate) fn restart(&mut self, limit: LiveLimit) {
        self.out.byte(RESTART);
        self.limit(limit);
        self.count += 1;
    }

    pub(crate) fn read(&mut self, mark: &ReadMark, replaces: Option<[u8; 32]>) {
        self.out.byte(READ);
        self.out.text(&mark.name);
        self.out.count(mark.bytes);
        self.out.fixed(&mark.digest);
        self.out.count(mark.lines);
        self.out.byte(u8::from(replaces.is_some()));
        if let Some(d) = &replaces {
            self.out.fixed(d);
        }
        self.count += 1;
    }

    /// The ledger has been followed up to this entry.
    pub(crate) fn ledger(&mut self, number: u64, hash: &[u8; 32]) {
        self.out.byte(LEDGER);
        self.out.count(number);
        self.out.fixed(hash);
        self.count += 1;
    }

    fn limit(&mut self, limit: LiveLimit) {
        self.out.count(limit.slot.into());
        self.out.byte(u8::from(limit.side == Side::Upper));
    }
}

impl Forms {
    /// The number of the record's form; a new one is written first.
    fn number(&mut self, record: &Record<'_>, out: &mut Writer) -> u64 {
        let mut form = Writer { bytes: std::mem::take(&mut self.encoded) };
        form.bytes.clear();
        for f in &record.key {
            form.text(f);
        }
        for x in [record.tolerance.lower, record.tolerance.upper, record.nominal, record.sigma] {
            form.maybe_real(x);
        }
        form.maybe_real(record.resolution.map(Resolution::step));
        let known = self.by_content.get(&form.bytes).copied();
        let number = known.unwrap_or_else(|| {
            out.byte(FORM);
            out.fixed(&form.bytes);
            let number = self.listed.len() as u64;
            self.by_content.insert(form.bytes.clone(), number);
            if let Ok(form) = Form::read(&mut Reader::new(&form.bytes)) {
                self.listed.push(form);
            }
            number
        });
        self.encoded = form.bytes;
        number
    }

    /// All forms, to be stored.
    pub(crate) fn write(&self, out: &mut Writer) {
        let mut ordered: Vec<(&u64, &Vec<u8>)> =
            self.by_content.iter().map(|(bytes, n)| (n, bytes)).collect();
        ordered.sort_unstable();
        out.count(ordered.len() as u64);
        for (_, bytes) in &ordered {
            out.fixed(bytes);
        }
    }

    pub(crate) fn read(input: &mut Reader<'_>) -> Result<Self, Damaged> {
        let mut forms = Self::default();
        for _ in 0..input.count()? {
            forms.add(input)?;
        }
        Ok(forms)
    }

    pub(super) fn add(&mut self, input: &mut Reader<'_>) -> Result<(), Damaged> {
        let form = Form::read(input)?;
        let mut out = Writer::default();
        for f in &form.key {
            out.text(f);
        }
        for x in [form.tolerance.lower, form.tolerance.upper, form.nominal, form.sigma] {
            out.maybe_real(x);
        }
        out.maybe_real(form.resolution.map(Resolution::step));
        self.by_content.insert(out.bytes, self.listed.len() as u64);
        self.listed.push(form);
        Ok(())
    }
}

impl Form {
    fn read(input: &mut Reader<'_>) -> Result<Self, Damaged> {
        let mut key: [String; 6] = Default::default();
        for field in &mut key {
            input.text()?.clone_into(field);
        }
        let tolerance = Tolerance { lower: input.maybe_real()?, upper: input.maybe_real()? };
        let (nominal, sigma) = (input.maybe_real()?, input.maybe_real()?);
        let resolution =
            input.maybe_real()?.map(|step| Resolution::from_step(step).map_err(|_| Damaged)).transpose()?;
        Ok(Self { key, tolerance, nominal, sigma, resolution })
    }
}

/// How many events a payload holds; none if it is damaged.
pub(crate) fn count_of(payload: &[u8]) -> u64 {
    Reader::new(payload).count().unwrap_or(0)
}
