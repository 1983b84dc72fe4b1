//! What a batch is made of: what was measured, what was said later, and what was put in force.
//!
//! A payload starts with the number of its events. Events that are alike but for value and names share a *form* (key, limits, nominal, sigma,
//! resolution), written before its first use and referred to by number; forms are numbered over the whole log.

use std::collections::HashMap;

use super::codec::{Damaged, Reader, Writer};
use super::line::Line;
use crate::limit::{Side, Tolerance};
use crate::recalibrate::LiveLimit;
use crate::record::{Record, Verdict};
use crate::resolution::Resolution;

const FORM: u8 = 0;
const RECORD: u8 = 1;
const UNREADABLE: u8 = 2;
const JUDGE: u8 = 3;
const WITHDRAW: u8 = 4;
const ACKNOWLEDGE: u8 = 5;
const APPLY: u8 = 6;
const READ: u8 = 7;
const RESTART: u8 = 8;
const LEDGER: u8 = 9;

/// No verdict.
const SILENT: u8 = 0xff;

/// What records share.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Form {
    key: [String; 6],
    tolerance: Tolerance,
    nominal: Option<f64>,
    sigma: Option<f64>,
    resolution: Option<Resolution>,
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
    listed: Vec<Form>,
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

    fn add(&mut self, input: &mut Reader<'_>) -> Result<(), Damaged> {
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

/// Carries out every event of a payload that was received at `received` and starts at place `first` of the stream.
pub(crate) fn replay(line: &mut Line, payload: &[u8], first: u64, received: i64) -> Result<(), Damaged> {
    let mut input = Reader::new(payload);
    let count = input.count()?;
    let mut sequence = first;
    line.received = received;
    while !input.is_empty() {
        let kind = input.byte()?;
        if kind == FORM {
            line.forms.add(&mut input)?;
            continue;
        }
        line.sequence = sequence;
        sequence += 1;
        match kind {
            RECORD => record(line, &mut input)?,
            UNREADABLE => {
                let key = pattern(&mut input)?;
                let verdict = verdict(&mut input)?;
                line.recalibrator.push_unreadable(key, verdict);
            }
            JUDGE => {
                let id = input.text()?;
                let mut key = [""; 6];
                let named = input.byte()? == 1;
                if named {
                    for field in &mut key {
                        *field = input.text()?;
                    }
                }
                let verdict = verdict(&mut input)?.ok_or(Damaged)?;
                line.recalibrator.judge(id, named.then_some(key), verdict);
            }
            WITHDRAW => {
                line.recalibrator.withdraw(input.small()?);
            }
            ACKNOWLEDGE => {
                let key = pattern(&mut input)?.map(|f| f.map(str::to_owned));
                line.recalibrator.acknowledge(&key);
            }
            APPLY => {
                let limit = limit(line, &mut input)?;
                line.recalibrator.apply(limit, input.real()?);
            }
            RESTART => {
                let limit = limit(line, &mut input)?;
                line.restart(limit);
            }
            READ => {
                let mark = ReadMark {
                    name: input.text()?.to_owned(),
                    bytes: input.count()?,
                    digest: input.fixed()?,
                    lines: input.count()?,
                };
                let replaces = if input.byte()? == 1 { Some(input.fixed()?) } else { None };
                line.mark(mark, replaces);
            }
            LEDGER => {
                line.followed = Some((input.count()?, input.fixed()?));
                // What was to be heard before stands in the ledger; what comes after it may not.
                line.take_notices();
                line.take_drifted();
            }
            _ => return Err(Damaged),
        }
    }
    line.sequence = sequence;
    if sequence == first + count { Ok(()) } else { Err(Damaged) }
}

fn record(line: &mut Line, input: &mut Reader<'_>) -> Result<(), Damaged> {
    let form = usize::try_from(input.count()?).map_err(|_| Damaged)?;
    let value = input.real()?;
    let verdict = verdict(input)?;
    let time = input.maybe_signed()?;
    let record_id = input.text()?;
    let names = if input.byte()? == 1 { [input.text()?, input.text()?, input.text()?] } else { [""; 3] };
    // Taken out for the call, because the record borrows it while the line changes.
    let forms = std::mem::take(&mut line.forms);
    let done = forms.listed.get(form).map(|form| {
        let Form { key, tolerance, nominal, sigma, resolution } = form;
        let record = Record {
            key: std::array::from_fn(|i| key[i].as_str()),
            value,
            tolerance: *tolerance,
            verdict,
            nominal: *nominal,
            sigma: *sigma,
            resolution: *resolution,
            record_id,
            defect_id: names[0],
            board: names[1],
            refdes: names[2],
            time,
            ..Record::default()
        };
        line.take(&record);
    });
    line.forms = forms;
    done.ok_or(Damaged)
}

fn verdict(input: &mut Reader<'_>) -> Result<Option<Verdict>, Damaged> {
    match input.byte()? {
        SILENT => Ok(None),
        n => Verdict::ALL.get(usize::from(n)).copied().map(Some).ok_or(Damaged),
    }
}

fn pattern<'a>(input: &mut Reader<'a>) -> Result<[Option<&'a str>; 6], Damaged> {
    let mut key = [None; 6];
    for field in &mut key {
        *field = input.maybe_text()?;
    }
    Ok(key)
}

fn limit(line: &Line, input: &mut Reader<'_>) -> Result<LiveLimit, Damaged> {
    let slot = input.small()?;
    let side = if input.byte()? == 1 { Side::Upper } else { Side::Lower };
    line.recalibrator.limits().find(|l| l.slot == slot && l.side == side).ok_or(Damaged)
}
