//! Scalars in the events format of `TensorBoard`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// An events file: records of length, masked CRC-32C of the length, a protobuf `Event`, masked CRC-32C of it.
pub(super) struct Events {
    file: File,
    path: PathBuf,
}

impl Events {
    /// A new file in `folder`; `seconds` since 1970 and `step` are part of its name, since every start of a run has its own.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn create(folder: &Path, seconds: f64, step: u64) -> Result<Self> {
        let path = folder.join(format!("events.out.tfevents.{seconds:.0}.aoi.{step}"));
        let mut events = Self { file: File::create(&path).map_err(Error::io(&path))?, path };
        // Field 3 of an event: the version that readers look for in the first record.
        events.write(seconds, None, &bytes_field(3, b"brain.Event:2"))?;
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
