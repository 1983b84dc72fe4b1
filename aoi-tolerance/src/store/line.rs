//! The state of a line as the log leaves it: limits, drift monitors, and how far each input has been read.

use std::collections::BTreeMap;

use super::codec::{Damaged, Reader, Writer};
use super::event::{Forms, ReadMark};
use crate::drift::{Drift, DriftOptions, Monitor};
use crate::recalibrate::{Arrival, Fate, LiveLimit, LiveOptions, Recalibrator};
use crate::record::Record;

/// Marks kept of one growing file, so that copies of its earlier states are recognised.
const MARKS: usize = 256;

/// Limits, drift monitors and read marks; changed by events alone.
#[derive(Debug, Clone)]
pub struct Line {
    pub(crate) recalibrator: Recalibrator,
    /// One for each tolerance, in the order of the recalibrator's slots.
    pub(crate) monitors: Vec<Monitor>,
    drift_options: DriftOptions,
    /// Inputs by how many bytes of them were read, and the digest of these.
    marks: BTreeMap<(u64, [u8; 32]), ReadMark>,
    pub(crate) forms: Forms,
    /// Place of the event at hand, then of the next.
    pub(crate) sequence: u64,
    pub(crate) received: i64,
    /// The last ledger entry that was followed, and its digest.
    pub(crate) followed: Option<(u64, [u8; 32])>,
    /// Drift found since this was last asked.
    drifted: Vec<(LiveLimit, Drift)>,
}

impl Line {
    /// A line that has seen nothing.
    pub fn new(options: LiveOptions, drift: DriftOptions) -> Self {
        Self {
            recalibrator: Recalibrator::new(options),
            monitors: Vec::new(),
            drift_options: drift,
            marks: BTreeMap::new(),
            forms: Forms::default(),
            sequence: 0,
            received: i64::MIN,
            followed: None,
            drifted: Vec::new(),
        }
    }

    /// The limits.
    pub fn recalibrator(&self) -> &Recalibrator {
        &self.recalibrator
    }

    /// What happened that somebody should hear, since this was last asked.
    pub fn take_notices(&mut self) -> Vec<crate::recalibrate::Notice> {
        self.recalibrator.take_notices()
    }

    /// Limits whose evidence changed since this was last asked.
    pub fn take_changed(&mut self) -> Vec<LiveLimit> {
        self.recalibrator.take_changed()
    }

    /// Drift found since this was last asked.
    pub fn take_drifted(&mut self) -> Vec<(LiveLimit, Drift)> {
        std::mem::take(&mut self.drifted)
    }

    /// The monitor of a limit's tolerance; none before its first value.
    pub fn monitor(&self, limit: LiveLimit) -> Option<&Monitor> {
        self.monitors.get(limit.slot as usize)
    }

    /// How far each input has been read.
    pub fn marks(&self) -> impl Iterator<Item = &ReadMark> {
        self.marks.values()
    }

    /// The mark that stands after `bytes` bytes with this digest, if an input with such a beginning was read so far.
    pub(crate) fn mark_at(&self, bytes: u64, digest: [u8; 32]) -> Option<&ReadMark> {
        self.marks.get(&(bytes, digest))
    }

    /// Lengths at which marks stand, ascending, from `least` on.
    pub(crate) fn mark_after(&self, least: u64) -> Option<u64> {
        self.marks.range((least, [0; 32])..).next().map(|((bytes, _), _)| *bytes)
    }

    /// Takes a record at the place and time at hand.
    pub(crate) fn take(&mut self, record: &Record<'_>) -> Fate {
        let arrival = Arrival { sequence: self.sequence, received: self.received };
        let (limit, fate) = self.recalibrator.push(record, arrival);
        if let Some(limit) = limit.filter(|_| fate == Fate::New) {
            let slot = limit.slot as usize;
            while self.monitors.len() <= slot {
                self.monitors.push(Monitor::new(self.drift_options));
            }
            if let Some(drift) = self.monitors[slot].push(record.value) {
                self.drifted.push((limit, drift));
            }
        }
        fate
    }

    pub(crate) fn restart(&mut self, limit: LiveLimit) {
        if let Some(monitor) = self.monitors.get_mut(limit.slot as usize) {
            monitor.restart();
        }
    }

    pub(crate) fn mark(&mut self, mark: ReadMark, replaces: Option<[u8; 32]>) {
        if let Some(old) = replaces {
            self.marks.retain(|(_, digest), _| *digest != old);
        }
        let mut same = self.marks.iter().filter(|(_, m)| m.name == mark.name).map(|(at, _)| *at);
        let oldest = same.next();
        if same.count() + 1 >= MARKS
            && let Some(oldest) = oldest
        {
            self.marks.remove(&oldest);
        }
        self.marks.insert((mark.bytes, mark.digest), mark);
    }

    /// The state as bytes.
    pub(crate) fn write(&self, out: &mut Writer) {
        out.count(self.sequence);
        out.signed(self.received);
        out.byte(u8::from(self.followed.is_some()));
        if let Some((number, hash)) = &self.followed {
            out.count(*number);
            out.fixed(hash);
        }
        self.forms.write(out);
        out.count(self.marks.len() as u64);
        for mark in self.marks.values() {
            out.text(&mark.name);
            out.count(mark.bytes);
            out.fixed(&mark.digest);
            out.count(mark.lines);
        }
        out.count(self.monitors.len() as u64);
        for m in &self.monitors {
            m.write(out);
        }
        self.recalibrator.write(out);
    }

    /// The state from bytes.
    pub(crate) fn read(
        input: &mut Reader<'_>,
        options: LiveOptions,
        drift: DriftOptions,
    ) -> Result<Self, Damaged> {
        let mut line = Self::new(options, drift);
        line.sequence = input.count()?;
        line.received = input.signed()?;
        line.followed = if input.byte()? == 1 { Some((input.count()?, input.fixed()?)) } else { None };
        line.forms = Forms::read(input)?;
        for _ in 0..input.count()? {
            let name = input.text()?.to_owned();
            let mark =
                ReadMark { name, bytes: input.count()?, digest: input.fixed()?, lines: input.count()? };
            line.mark(mark, None);
        }
        for _ in 0..input.count()? {
            line.monitors.push(Monitor::read(input, drift)?);
        }
        line.recalibrator = Recalibrator::read(input, options)?;
        if input.is_empty() { Ok(line) } else { Err(Damaged) }
    }
}
