//! The state as bytes and back, for snapshots. What counts is written; what follows from it (ranks, windows, indices) is made again.

use super::row::{LiveRow, Slot};
use super::seen::Seen;
use super::{LiveCounts, LiveOptions, Recalibrator};
use crate::collect::Row;
use crate::limit::Tolerance;
use crate::record::{Identity, Source, Verdict};
use crate::resolution::Resolution;
use crate::store::codec::{Damaged, Reader, Writer};

impl Recalibrator {
    pub(crate) fn write(&self, out: &mut Writer) {
        out.signed(self.newest);
        let LiveCounts { records, kept, released, known, corrected, refused } = self.counts;
        for n in [records, kept, released, known, corrected, refused] {
            out.count(n);
        }
        out.count(self.keys.len() as u64);
        for known in &self.keys {
            for f in known.key.fields() {
                out.text(f);
            }
        }
        out.count(self.unreadable.len() as u64);
        for (key, (guards, pending)) in &self.unreadable {
            for f in key {
                out.maybe_text(f.as_deref());
            }
            out.count(*guards);
            out.count(*pending);
        }
        out.count(self.slots.len() as u64);
        for slot in &self.slots {
            slot.write(out);
        }
        out.count(self.rows.len() as u64);
        for row in &self.rows {
            row.write(out);
        }
        // Names in the order of rows, so that the same state gives the same bytes.
        let mut names: Vec<(u32, u32)> = self.names.iter().map(|((_, key), row)| (*row, *key)).collect();
        names.sort_unstable();
        out.count(names.len() as u64);
        for (row, key) in names {
            out.count(row.into());
            out.count(key.into());
        }
        out.count(self.withheld.len() as u64);
        for (row, verdict) in &self.withheld {
            out.count((*row).into());
            out.byte(*verdict as u8);
        }
        out.count(self.seen.slots().len() as u64);
        for name in self.seen.slots() {
            out.fixed(&name.to_le_bytes());
        }
    }

    pub(crate) fn read(input: &mut Reader<'_>, options: LiveOptions) -> Result<Self, Damaged> {
        let mut live = Self::new(options);
        live.newest = input.signed()?;
        let mut counts = [0; 6];
        for n in &mut counts {
            *n = input.count()?;
        }
        for _ in 0..input.count()? {
            let mut fields = [""; 6];
            for field in &mut fields {
                *field = input.text()?;
            }
            live.find_key(fields);
            let [part, model, _, inspection, feature, unit] = fields;
            live.families.insert(Identity::of(&[part, model, inspection, feature, unit]));
        }
        for _ in 0..input.count()? {
            let mut key: [Option<String>; 6] = Default::default();
            for field in &mut key {
                *field = input.maybe_text()?.map(str::to_owned);
            }
            live.unreadable.insert(key, (input.count()?, input.count()?));
        }
        for number in 0..input.small()? {
            let slot = Slot::read(input)?;
            live.keys.get_mut(slot.key as usize).ok_or(Damaged)?.slots.push(number);
            live.slots.push(slot);
        }
        let rows = input.count()?;
        for _ in 0..rows {
            let row = LiveRow::read(input)?;
            if row.slot as usize >= live.slots.len() {
                return Err(Damaged);
            }
            live.rows.push(row);
        }
        for number in 0..u32::try_from(rows).map_err(|_| Damaged)? {
            live.add(number);
        }
        live.names.reserve(live.rows.len());
        for _ in 0..input.count()? {
            let (row, key) = (input.small()?, input.small()?);
            let name = live.rows.get(row as usize).and_then(|r| r.row.record).ok_or(Damaged)?;
            live.names.insert((name, key), row);
        }
        for _ in 0..input.count()? {
            let row = input.small()?;
            let verdict = Verdict::ALL.get(usize::from(input.byte()?)).ok_or(Damaged)?;
            live.withheld.insert(row, *verdict);
        }
        let slots = usize::try_from(input.count()?).map_err(|_| Damaged)?;
        let table = input.bytes(slots.checked_mul(8).ok_or(Damaged)?)?;
        let table = table.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect();
        live.seen = Seen::from_slots(table).ok_or(Damaged)?;
        let [records, kept, released, known, corrected, refused] = counts;
        live.counts = LiveCounts { records, kept, released, known, corrected, refused };
        // What was told before is not told again; what changed may be asked for anew.
        live.notices.clear();
        Ok(live)
    }
}

fn write_tolerance(out: &mut Writer, tolerance: Tolerance) {
    out.maybe_real(tolerance.lower);
    out.maybe_real(tolerance.upper);
}

fn read_tolerance(input: &mut Reader<'_>) -> Result<Tolerance, Damaged> {
    Ok(Tolerance { lower: input.maybe_real()?, upper: input.maybe_real()? })
}

impl Slot {
    fn write(&self, out: &mut Writer) {
        out.count(self.key.into());
        write_tolerance(out, self.baseline);
        write_tolerance(out, self.live);
        out.count(self.earlier.len() as u64);
        for t in &self.earlier {
            write_tolerance(out, *t);
        }
        out.maybe_signed(self.first_time);
        out.count(self.records);
        for x in [self.nominal, self.sigma, self.resolution.map(Resolution::step)] {
            out.maybe_real(x);
        }
        out.byte(u8::from(self.resolution_conflict) | u8::from(self.unsettled) << 1);
        out.count(self.pending_unreadable);
        out.count(self.unreadable_defects);
        out.count(self.passes.steps.len() as u64);
        for (bucket, count) in &self.passes.steps {
            out.signed(*bucket);
            out.count(*count);
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Damaged> {
        let mut slot = Self::new(input.small()?, read_tolerance(input)?);
        slot.live = read_tolerance(input)?;
        for _ in 0..input.count()? {
            slot.earlier.push(read_tolerance(input)?);
        }
        slot.first_time = input.maybe_signed()?;
        slot.records = input.count()?;
        (slot.nominal, slot.sigma) = (input.maybe_real()?, input.maybe_real()?);
        slot.resolution =
            input.maybe_real()?.map(|s| Resolution::from_step(s).map_err(|_| Damaged)).transpose()?;
        let flags = input.byte()?;
        (slot.resolution_conflict, slot.unsettled) = (flags & 1 != 0, flags & 2 != 0);
        slot.pending_unreadable = input.count()?;
        slot.unreadable_defects = input.count()?;
        for _ in 0..input.count()? {
            let (bucket, count) = (input.signed()?, input.count()?);
            slot.passes.add(bucket, count);
        }
        Ok(slot)
    }
}

impl LiveRow {
    fn write(&self, out: &mut Writer) {
        let Row { value, verdict, record, defect, defect_named, board, time, .. } = self.row;
        out.real(value);
        out.byte(verdict as u8);
        for name in [record, defect, board] {
            out.byte(u8::from(name.is_some()));
            if let Some(name) = name {
                out.fixed(&name.to_bytes());
            }
        }
        out.maybe_signed(time);
        out.count(self.sequence);
        out.signed(self.time);
        out.count(self.slot.into());
        out.byte(u8::from(self.presumed) | u8::from(self.released) << 1 | u8::from(defect_named) << 2);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, Damaged> {
        let value = input.real()?;
        let verdict = *Verdict::ALL.get(usize::from(input.byte()?)).ok_or(Damaged)?;
        let mut names = [None; 3];
        for name in &mut names {
            if input.byte()? == 1 {
                *name = Some(Identity::from_bytes(input.fixed()?).ok_or(Damaged)?);
            }
        }
        let [record, defect, board] = names;
        let measured = input.maybe_signed()?;
        let (sequence, time, slot) = (input.count()?, input.signed()?, input.small()?);
        let flags = input.byte()?;
        let row = Row {
            value,
            verdict,
            record,
            defect,
            defect_named: flags & 4 != 0,
            board,
            reviewer: None,
            time: measured,
            source: Source::default(),
        };
        Ok(Self { row, sequence, time, slot, presumed: flags & 1 != 0, released: flags & 2 != 0 })
    }
}
