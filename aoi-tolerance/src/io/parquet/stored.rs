//! One open file that several readers share, each at a place of its own.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use ::parquet::errors::Result;
use ::parquet::file::reader::{ChunkReader, Length};
use bytes::Bytes;

/// A file as it was when it was opened.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    file: Arc<Mutex<File>>,
    length: u64,
    modified: Option<SystemTime>,
}

impl Stored {
    /// Notes how long the file is and when it was last written.
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let (length, modified) = (metadata.len(), metadata.modified().ok());
        Ok(Self { file: Arc::new(Mutex::new(file)), length, modified })
    }

    /// A reader from byte `at` on.
    pub(crate) fn reader(&self, at: u64) -> Place {
        Place { stored: self.clone(), at }
    }

    /// Bytes in the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// `length` bytes from byte `at` on.
    pub(super) fn bytes(&self, at: u64, length: u64) -> io::Result<Bytes> {
        // Looked at before memory is taken: a damaged length may name more than any machine has.
        if at.checked_add(length).is_none_or(|end| end > self.length) {
            let reason = format!("bytes {at} and {length} more lie behind the end of the file");
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
        }
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let mut buffer = vec![0; length];
        self.reader(at).read_exact(&mut buffer)?;
        Ok(buffer.into())
    }

    /// Whether nobody has written to it since: it is read twice, for its digest and for its records.
    pub(super) fn is_unchanged(&self) -> io::Result<bool> {
        let metadata = self.locked()?.metadata()?;
        Ok(metadata.len() == self.length && metadata.modified().ok() == self.modified)
    }

    fn locked(&self) -> io::Result<std::sync::MutexGuard<'_, File>> {
        self.file.lock().map_err(|_| io::Error::other("another reader of the file has failed"))
    }
}

/// A place in a file, which reading moves.
pub(crate) struct Place {
    stored: Stored,
    at: u64,
}

impl Read for Place {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut file = self.stored.locked()?;
        file.seek(SeekFrom::Start(self.at))?;
        let read = file.read(buffer)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Length for Stored {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Stored {
    type T = BufReader<Place>;

    fn get_read(&self, start: u64) -> Result<Self::T> {
        Ok(BufReader::new(self.reader(start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        Ok(self.bytes(start, length as u64)?)
    }
}
