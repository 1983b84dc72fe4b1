//! Batches read back: event by event, and carried out on a line.

use super::codec::{Damaged, Reader};
use super::event::{
    ACKNOWLEDGE, APPLY, FORM, Forms, JUDGE, LEDGER, READ, RECORD, RESTART, ReadMark, SILENT, UNREADABLE,
    WITHDRAW,
};
use super::line::Line;
use crate::limit::Side;
use crate::recalibrate::LiveLimit;
use crate::record::{Record, Verdict};

/// One event as it stands in a payload.
enum Event<'a> {
    Record(Measured<'a>),
    Unreadable { key: [Option<&'a str>; 6], verdict: Option<Verdict> },
    Judge { record_id: &'a str, key: Option<[&'a str; 6]>, verdict: Verdict },
    Withdraw { row: u32 },
    Acknowledge { key: [Option<&'a str>; 6] },
    Apply { limit: LiveLimit, value: f64 },
    Restart { limit: LiveLimit },
    Read { mark: ReadMark, replaces: Option<[u8; 32]> },
    Ledger { number: u64, hash: [u8; 32] },
}

/// A record, without what it shares with others of its form.
struct Measured<'a> {
    form: usize,
    value: f64,
    verdict: Option<Verdict>,
    time: Option<i64>,
    record_id: &'a str,
    /// Defect, board, designator.
    names: [&'a str; 3],
}

impl<'a> Measured<'a> {
    fn read(input: &mut Reader<'a>) -> Result<Self, Damaged> {
        Ok(Self {
            form: usize::try_from(input.count()?).map_err(|_| Damaged)?,
            value: input.real()?,
            verdict: verdict(input)?,
            time: input.maybe_signed()?,
            record_id: input.text()?,
            names: if input.byte()? == 1 { [input.text()?, input.text()?, input.text()?] } else { [""; 3] },
        })
    }

    /// The whole record.
    fn record<'r>(&'r self, forms: &'r Forms) -> Result<Record<'r>, Damaged> {
        let form = forms.listed.get(self.form).ok_or(Damaged)?;
        Ok(Record {
            key: std::array::from_fn(|i| form.key[i].as_str()),
            value: self.value,
            tolerance: form.tolerance,
            verdict: self.verdict,
            nominal: form.nominal,
            sigma: form.sigma,
            resolution: form.resolution,
            record_id: self.record_id,
            defect_id: self.names[0],
            board: self.names[1],
            refdes: self.names[2],
            time: self.time,
            ..Record::default()
        })
    }
}

impl<'a> Event<'a> {
    fn read(kind: u8, input: &mut Reader<'a>) -> Result<Self, Damaged> {
        Ok(match kind {
            RECORD => Self::Record(Measured::read(input)?),
            UNREADABLE => Self::Unreadable { key: pattern(input)?, verdict: verdict(input)? },
            JUDGE => {
                let record_id = input.text()?;
                let mut key = None;
                if input.byte()? == 1 {
                    let fields: &mut [&str; 6] = key.insert([""; 6]);
                    for field in fields {
                        *field = input.text()?;
                    }
                }
                Self::Judge { record_id, key, verdict: verdict(input)?.ok_or(Damaged)? }
            }
            WITHDRAW => Self::Withdraw { row: input.small()? },
            ACKNOWLEDGE => Self::Acknowledge { key: pattern(input)? },
            APPLY => Self::Apply { limit: limit(input)?, value: input.real()? },
            RESTART => Self::Restart { limit: limit(input)? },
            READ => {
                let mark = ReadMark {
                    name: input.text()?.to_owned(),
                    bytes: input.count()?,
                    digest: input.fixed()?,
                    lines: input.count()?,
                };
                Self::Read { mark, replaces: if input.byte()? == 1 { Some(input.fixed()?) } else { None } }
            }
            LEDGER => Self::Ledger { number: input.count()?, hash: input.fixed()? },
            _ => return Err(Damaged),
        })
    }

    fn carry_out(self, line: &mut Line) -> Result<(), Damaged> {
        match self {
            Self::Record(measured) => {
                // Taken out for the call, because the record borrows it while the line changes.
                let forms = std::mem::take(&mut line.forms);
                let done = measured.record(&forms).map(|record| line.take(&record));
                line.forms = forms;
                done?;
            }
            Self::Unreadable { key, verdict } => line.recalibrator.push_unreadable(key, verdict),
            Self::Judge { record_id, key, verdict } => {
                line.recalibrator.judge(record_id, key, verdict);
            }
            Self::Withdraw { row } => {
                line.recalibrator.withdraw(row);
            }
            Self::Acknowledge { key } => {
                line.recalibrator.acknowledge(&key.map(|f| f.map(str::to_owned)));
            }
            Self::Apply { limit, value } => line.recalibrator.apply(known(line, limit)?, value),
            Self::Restart { limit } => line.restart(known(line, limit)?),
            Self::Read { mark, replaces } => line.mark(mark, replaces),
            Self::Ledger { number, hash } => {
                line.followed = Some((number, hash));
                // What was to be heard before stands in the ledger; what comes after it may not.
                line.take_notices();
                line.take_drifted();
            }
        }
        Ok(())
    }
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
        Event::read(kind, &mut input)?.carry_out(line)?;
    }
    line.sequence = sequence;
    if sequence == first + count { Ok(()) } else { Err(Damaged) }
}

/// Hands every record of a payload to `each`; `forms` are those of the payloads before.
pub(crate) fn each_record(
    forms: &mut Forms,
    payload: &[u8],
    each: &mut dyn FnMut(&Record<'_>),
) -> Result<(), Damaged> {
    let mut input = Reader::new(payload);
    input.count()?;
    while !input.is_empty() {
        match input.byte()? {
            FORM => forms.add(&mut input)?,
            kind => {
                if let Event::Record(measured) = Event::read(kind, &mut input)? {
                    each(&measured.record(forms)?);
                }
            }
        }
    }
    Ok(())
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

fn limit(input: &mut Reader<'_>) -> Result<LiveLimit, Damaged> {
    let slot = input.small()?;
    let side = if input.byte()? == 1 { Side::Upper } else { Side::Lower };
    Ok(LiveLimit { slot, side })
}

/// The limit, if the line has seen it.
fn known(line: &Line, limit: LiveLimit) -> Result<LiveLimit, Damaged> {
    line.recalibrator.limits().find(|l| *l == limit).ok_or(Damaged)
}
