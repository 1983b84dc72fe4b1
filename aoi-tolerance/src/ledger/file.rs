//! The ledger's file: locked, appended to, synced.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::book::Book;
use super::chain::{Verified, line_of, verify};
use super::entry::{Act, Entry, Signed};
use crate::error::Error;

/// A ledger, locked for writing until it is dropped; others wait their turn.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    book: Book,
    length: u64,
    _lock: File,
}

/// Reads and checks the ledger of a folder, without locking it; one that was never written has no entries.
///
/// # Errors
/// When it cannot be read.
pub fn read_ledger(folder: &Path) -> Result<Verified, Error> {
    let path = path_of(folder);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(verify(&bytes)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(verify(&[])),
        Err(source) => Err(Error::Read { path, source }),
    }
}

fn path_of(folder: &Path) -> PathBuf {
    folder.join("ledger.jsonl")
}

impl Ledger {
    /// Opens the ledger of a folder for writing, waits for whoever writes to it, and cuts off an entry that a crash left half written.
    ///
    /// # Errors
    /// When it cannot be read or its chain is broken: nothing is added to a broken ledger.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = path_of(folder);
        let fail = |source| Error::Write { path: path.clone(), source };
        std::fs::create_dir_all(folder).map_err(fail)?;
        let lock = File::create(folder.join("ledger.lock")).map_err(fail)?;
        lock.lock().map_err(fail)?;
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(fail)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|source| Error::Read { path: path.clone(), source })?;
        let Verified { chain, fault, torn, length } = verify(&bytes);
        if let Some(fault) = fault {
            let reason = format!(
                "{fault}; restore the file from a copy, or start a new folder and keep this one as it is"
            );
            return Err(Error::Store { path, reason });
        }
        let length = length as u64;
        if torn > 0 {
            file.set_len(length).and_then(|()| file.sync_all()).map_err(fail)?;
        }
        Ok(Self { path, file, book: Book::of(chain), length, _lock: lock })
    }

    /// The entries.
    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Adds an entry if it is allowed; it is on the disk when this returns. Its number.
    ///
    /// # Errors
    /// When the step is not allowed (see [`Book::check`]) or the entry cannot be written; a half-written one is taken back.
    pub fn add(&mut self, act: Act, by: &Signed) -> Result<u64, Error> {
        self.book.check(&act, &by.who)?;
        let Signed { time, who, why, software } = by.clone();
        let number = self.book.entries().len() as u64 + 1;
        let entry = Entry { number, time, who, why, software, act };
        let fail = |source| Error::Write { path: self.path.clone(), source };
        let (line, hash) = line_of(&entry, self.book.head()).map_err(|e| fail(e.into()))?;
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // If this fails too, the torn line is cut off when the ledger is opened the next time.
            let _ = self.file.set_len(self.length);
            return Err(fail(source));
        }
        self.length += line.len() as u64;
        self.book.add(entry, hash);
        Ok(number)
    }
}
