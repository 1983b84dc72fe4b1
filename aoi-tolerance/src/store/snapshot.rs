//! The state at a place of the log, so that a restart need not repeat the whole past.
//!
//! `"AOIS"`, format (u32), offset in the log, digest and event count there, state, and the SHA-256 of all that. A snapshot that is damaged, of
//! another format or of another log is passed over: the log alone says everything.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::codec::{Damaged, Reader, Writer};
use super::line::Line;
use super::log::Position;
use crate::drift::DriftOptions;
use crate::error::Error;
use crate::io::write_whole;
use crate::recalibrate::LiveOptions;

const MAGIC: [u8; 4] = *b"AOIS";
const FORMAT: u32 = 2;

/// Writes a snapshot whole or not at all.
pub(crate) fn write(path: &Path, line: &Line, at: Position, settings: &[u8]) -> Result<(), Error> {
    let mut out = Writer::default();
    out.fixed(&MAGIC);
    out.fixed(&FORMAT.to_le_bytes());
    out.count(settings.len() as u64);
    out.fixed(settings);
    out.count(at.offset);
    out.fixed(&at.head);
    out.count(at.sequence);
    out.signed(at.received);
    line.write(&mut out);
    let digest = Sha256::digest(&out.bytes);
    write_whole(path, |file| {
        file.write_all(&out.bytes)?;
        file.write_all(&digest)
    })
}

/// The snapshot, if there is one that can be used.
pub(crate) fn read(
    path: &Path,
    options: LiveOptions,
    drift: DriftOptions,
    settings: &[u8],
) -> Option<(Line, Position)> {
    let bytes = std::fs::read(path).ok()?;
    let (body, digest) = bytes.split_last_chunk::<32>()?;
    if Sha256::digest(body)[..] != digest[..] {
        return None;
    }
    parse(body, options, drift, settings).ok()
}

fn parse(
    body: &[u8],
    options: LiveOptions,
    drift: DriftOptions,
    settings: &[u8],
) -> Result<(Line, Position), Damaged> {
    let mut input = Reader::new(body);
    if input.fixed()? != MAGIC || u32::from_le_bytes(input.fixed()?) != FORMAT {
        return Err(Damaged);
    }
    let length = usize::try_from(input.count()?).map_err(|_| Damaged)?;
    // Another window or flag rule makes another state of the same log.
    if input.bytes(length)? != settings {
        return Err(Damaged);
    }
    let at = Position {
        offset: input.count()?,
        head: input.fixed()?,
        sequence: input.count()?,
        received: input.signed()?,
    };
    Ok((Line::read(&mut input, options, drift)?, at))
}
