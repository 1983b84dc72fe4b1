//! The chain of digests, and what it proves.

use std::fmt;

use sha2::{Digest, Sha256};

use super::entry::Entry;
use crate::store::hexadecimal;

/// The digest that the first entry holds as that of the entry before.
pub(super) const START: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Entries whose chain holds, with their digests.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Chain {
    pub(super) entries: Vec<(Entry, String)>,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq)]
pub struct Verified {
    /// The entries up to the first fault.
    pub chain: Chain,
    /// The first fault, with the line it stands on; none if the chain holds.
    pub fault: Option<String>,
    /// Bytes after the last whole line: an entry that a crash cut short and that was never acknowledged.
    pub torn: usize,
    /// Bytes of the whole lines.
    pub length: usize,
}

impl Verified {
    /// Whether the chain holds, and ends in `head` where one is given, or held it once and has grown since.
    pub fn holds(&self, head: Option<&str>) -> bool {
        self.fault.is_none() && head.is_none_or(|head| self.chain.contains(head))
    }
}

impl Chain {
    /// Digest of the last entry; zeros where there is none.
    pub fn head(&self) -> &str {
        self.entries.last().map_or(START, |(_, hash)| hash)
    }

    /// Whether an entry has this digest; the empty chain has that of the start.
    pub fn contains(&self, head: &str) -> bool {
        head == START || self.entries.iter().any(|(_, hash)| hash == head)
    }
}

/// The line of an entry that follows one with digest `previous`, its line end included; and its digest.
///
/// The digest is that of the entry's JSON with `previous` as its last member, and is then put behind it: who wants to check a line by hand takes
/// `,"hash":"..."` out and hashes the rest.
pub(super) fn line_of(entry: &Entry, previous: &str) -> Result<(String, String), serde_json::Error> {
    let mut body = serde_json::to_string(entry)?;
    body.pop();
    body.push_str(",\"previous\":\"");
    body.push_str(previous);
    body.push_str("\"}");
    let hash = hexadecimal(&Sha256::digest(body.as_bytes()));
    body.pop();
    body.push_str(",\"hash\":\"");
    body.push_str(&hash);
    body.push_str("\"}\n");
    Ok((body, hash))
}

/// Checks the bytes of a ledger, entry by entry.
///
/// Found are entries that were altered, removed from within, repeated or moved, and lines that are no entries. Not found are entries cut off at the end, and a file that was
/// written anew from start to end: compare the head with one kept elsewhere ([`Verified::holds`]).
pub fn verify(bytes: &[u8]) -> Verified {
    let length = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
    let mut found = Verified { chain: Chain::default(), fault: None, torn: bytes.len() - length, length };
    for (number, line) in (1_u64..).zip(bytes[..length].split_inclusive(|b| *b == b'\n')) {
        match check(line, number, found.chain.head()) {
            Ok(entry) => found.chain.entries.push(entry),
            Err(fault) => {
                found.fault = Some(format!("line {number}: {fault}"));
                break;
            }
        }
    }
    found
}

/// What is wrong with a line.
enum Fault {
    NotAnEntry,
    Altered,
    Unchained,
    Misnumbered(u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnEntry => f.write_str("this is not an entry of a ledger"),
            Self::Altered => f.write_str("the entry was altered: its digest is not that of its content"),
            Self::Unchained => f.write_str(
                "the entry does not follow the one before: entries were removed, repeated or moved",
            ),
            Self::Misnumbered(number) => write!(f, "the entry has number {number}"),
        }
    }
}

fn check(line: &[u8], number: u64, previous: &str) -> Result<(Entry, String), Fault> {
    const TAIL: usize = ",\"hash\":\"".len() + 64 + "\"}\n".len();
    let text = std::str::from_utf8(line).map_err(|_| Fault::NotAnEntry)?;
    let (body, tail) =
        text.len().checked_sub(TAIL).and_then(|at| text.split_at_checked(at)).ok_or(Fault::NotAnEntry)?;
    let hash =
        tail.strip_prefix(",\"hash\":\"").and_then(|t| t.strip_suffix("\"}\n")).ok_or(Fault::NotAnEntry)?;
    let body = format!("{body}}}");
    if hexadecimal(&Sha256::digest(body.as_bytes())) != hash {
        return Err(Fault::Altered);
    }
    if !body.ends_with(&format!(",\"previous\":\"{previous}\"}}")) {
        return Err(Fault::Unchained);
    }
    let entry: Entry = serde_json::from_str(&body).map_err(|_| Fault::NotAnEntry)?;
    if entry.number == number { Ok((entry, hash.to_owned())) } else { Err(Fault::Misnumbered(entry.number)) }
}
