//! Scalars in the events format of `TensorBoard`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::whole::write_whole;
use crate::{Error, Result};

/// An events file: records of length, masked CRC-32C of the length, a protobuf `Event`, masked CRC-32C of it.
pub(super) struct Events {
    file: File,
    path: PathBuf,
}

impl Events {
    /// A new file in `folder`; `seconds` since 1970 and `step` are part of its name, since every start of a run has its own.
    ///
    /// Events after `step`, left by a run that was killed, are taken out of the files of earlier starts: no step is there twice, whoever reads them. A
    /// `TensorBoard` that has read them already is told by a start of the session, at which it drops what it has from that step on.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn create(folder: &Path, seconds: f64, step: u64) -> Result<Self> {
        for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
            let path = entry.map_err(Error::io(folder))?.path();
            if path.file_name().and_then(|n| n.to_str()).is_some_and(is_ours) {
                trim(&path, step)?;
            }
        }
        let path = folder.join(format!("events.out.tfevents.{seconds:.0}.aoi.{step}"));
        let mut events = Self { file: File::create(&path).map_err(Error::io(&path))?, path };
        // Field 3 of an event: the version that readers look for in the first record.
        events.write(seconds, None, &bytes_field(3, b"brain.Event:2"))?;
        if step > 0 {
            // Field 7 of an event: the session; its field 1: a start.
            events.write(seconds, Some(step + 1), &bytes_field(7, &[1 << 3, 1]))?;
        }
        Ok(events)
    }

    /// Adds numbers at a step.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn add(&mut self, seconds: f64, step: u64, values: &[(&str, f64)]) -> Result<()> {
        let mut summary = Vec::new();
        for (tag, value) in values {
            #[expect(clippy::cast_possible_truncation, reason = "the format has f32")]
            let value = *value as f32;
            // A value: tag in field 1, number in field 2 (32-bit).
            let inner =
                [bytes_field(1, tag.as_bytes()), vec![2 << 3 | 5], value.to_le_bytes().to_vec()].concat();
            summary.extend(bytes_field(1, &inner));
        }
        self.write(seconds, Some(step), &bytes_field(5, &summary))
    }

    /// One event: wall time in field 1 (64-bit), step in field 2, and `content`.
    fn write(&mut self, seconds: f64, step: Option<u64>, content: &[u8]) -> Result<()> {
        let mut event = vec![1 << 3 | 1];
        event.extend(seconds.to_le_bytes());
        if let Some(step) = step {
            event.push(2 << 3);
            event.extend(varint(step));
        }
        event.extend(content);
        let length = (event.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(masked(&length).to_le_bytes());
        record.extend(&event);
        record.extend(masked(&event).to_le_bytes());
        self.file.write_all(&record).map_err(Error::io(&self.path))
    }
}

/// Whether a file of this name was written here.
fn is_ours(name: &str) -> bool {
    name.strip_prefix("events.out.tfevents.").is_some_and(|rest| rest.contains(".aoi."))
}

/// Takes the events after `step` out of a file, and what follows a record that is not whole.
fn trim(path: &Path, step: u64) -> Result<()> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let kept: Vec<u8> =
        records(&bytes).filter(|r| step_of(r.event) <= step).flat_map(|r| r.whole).copied().collect();
    if kept.len() == bytes.len() { Ok(()) } else { write_whole(path, &kept) }
}

/// A record, and the event in it.
#[derive(Clone, Copy)]
struct Record<'a> {
    whole: &'a [u8],
    event: &'a [u8],
}

/// The records of a file up to the first that is cut short or damaged.
fn records(mut bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    std::iter::from_fn(move || {
        let (&length, rest) = bytes.split_first_chunk::<8>()?;
        let (&check, rest) = rest.split_first_chunk::<4>()?;
        let (event, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(length)).ok()?)?;
        let (&own, rest) = rest.split_first_chunk::<4>()?;
        let fits = |check, of: &[u8]| u32::from_le_bytes(check) == masked(of);
        let whole = &bytes[..bytes.len() - rest.len()];
        bytes = rest;
        (fits(check, &length) && fits(own, event)).then_some(Record { whole, event })
    })
}

/// The step of an event as [`Events`] writes them: behind nine bytes of wall time, if it has one; else 0.
fn step_of(event: &[u8]) -> u64 {
    match event.get(9..) {
        Some([16, digits @ ..]) => {
            let last = digits.iter().position(|b| b & 0x80 == 0).unwrap_or_default();
            let digits = digits.iter().take((last + 1).min(10)).rev();
            digits.fold(0, |step, b| step << 7 | u64::from(b & 0x7f))
        }
        _ => 0,
    }
}

/// A protobuf field of bytes.
fn bytes_field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2][..], &varint(bytes.len() as u64), bytes].concat()
}

/// Seven bits a byte, the lowest first, the top bit set on all but the last.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
    bytes
}

/// CRC-32C, rotated right by 15 and shifted by a constant, as the record format has it.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit by bit: records are a hundred bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_published_one() {
        // RFC 3720, appendix B.4, and the check value of CRC-32C.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    /// The steps of all summaries in the files of `folder`, in the order of their names.
    fn steps(folder: &Path) -> Vec<u64> {
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
        paths.sort();
        let of = |path: &PathBuf| {
            let bytes = std::fs::read(path).unwrap();
            let whole: usize = records(&bytes).map(|r| r.whole.len()).sum();
            assert_eq!(whole, bytes.len(), "nothing but whole records");
            // Field 5 of an event of this kind is its last: a summary.
            let summary = |r: &Record<'_>| r.event.windows(4).any(|w| w == b"loss");
            records(&bytes).filter(summary).map(|r| step_of(r.event)).collect::<Vec<_>>()
        };
        paths.iter().flat_map(of).collect()
    }

    #[test]
    fn steps_are_read_as_they_were_written() {
        for step in [1, 127, 128, 300, 1 << 40, u64::MAX] {
            let event = [&[9; 9][..], &[16], &varint(step), &[42, 0]].concat();
            assert_eq!(step_of(&event), step);
        }
        assert_eq!(step_of(&[9; 9]), 0);
        assert_eq!(step_of(&[&[9; 9][..], &[16], &[0xff; 40]].concat()), 0x7f);
        assert_eq!(step_of(&[&[9; 9][..], &[26, 3]].concat()), 0);
    }

    #[test]
    fn a_start_at_a_checkpoint_takes_out_what_comes_after_it_and_a_record_cut_short() {
        let folder = tempfile::tempdir().unwrap();
        let start = |seconds: f64, from: u64, to: u64| {
            let mut events = Events::create(folder.path(), seconds, from).unwrap();
            (from + 1..=to).for_each(|step| events.add(seconds, step, &[("loss", 0.5)]).unwrap());
        };
        start(1.0, 0, 200);
        start(2.0, 150, 160);
        // Killed within a record, to go on from the same checkpoint.
        let path = folder.path().join("events.out.tfevents.2.aoi.150");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
        start(3.0, 150, 155);
        start(4.0, 153, 158);
        let other = folder.path().join("events.out.tfevents.9.elsewhere");
        std::fs::write(&other, b"not ours").unwrap();
        start(5.0, 158, 159);
        assert_eq!(std::fs::read(&other).unwrap(), b"not ours");
        std::fs::remove_file(&other).unwrap();
        assert_eq!(steps(folder.path()), (1..=159).collect::<Vec<_>>());

        // What a reader is told that has seen later steps: a start of the session at the next one.
        let bytes = std::fs::read(folder.path().join("events.out.tfevents.5.aoi.158")).unwrap();
        let told = records(&bytes).nth(1).unwrap().event;
        assert_eq!(told[9..], [&[16][..], &varint(159), &[7 << 3 | 2, 2, 8, 1]].concat());
    }

    #[test]
    fn a_record_is_laid_out_as_the_format_says() {
        let folder = tempfile::tempdir().unwrap();
        let mut events = Events::create(folder.path(), 2.0, 0).unwrap();
        events.add(3.0, 300, &[("loss", 0.5)]).unwrap();
        let path = folder.path().join("events.out.tfevents.2.aoi.0");
        let bytes = std::fs::read(path).unwrap();
        let first = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        // 1 + 8 of wall time, 2 + 13 of the version.
        assert_eq!(first, 24);
        let second = &bytes[12 + 24 + 4..];
        let event = &second[12..second.len() - 4];
        let expected: Vec<u8> = [
            &[9_u8][..],
            &3.0_f64.to_le_bytes(),
            &[16, 0xac, 0x02],
            // Field 5 of 13 bytes: field 1 of 11: tag "loss", then 0.5.
            &[0x2a, 13, 0x0a, 11, 0x0a, 4],
            b"loss",
            &[0x15],
            &0.5_f32.to_le_bytes(),
        ]
        .concat();
        assert_eq!(event, expected);
        assert_eq!(second[..8], (expected.len() as u64).to_le_bytes());
        assert_eq!(second[second.len() - 4..], masked(&expected).to_le_bytes());
    }
}
