//! Input files: plain, gzip, zstd or Parquet by their first bytes, hashed as they are read.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::io::cfx::messages;
#[cfg(feature = "parquet")]
use crate::io::parquet::Stored;

/// One input file, after it was read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputFile {
    /// Where it was read; `-` is standard input.
    pub path: PathBuf,
    /// SHA-256 of its bytes as stored, compressed or not, in hexadecimal.
    pub sha256: String,
    /// Bytes as stored.
    pub bytes: u64,
    /// Data rows.
    pub rows: u64,
}

/// The digest of a set of files: of one file its own, of several that of their sorted digests, one per line.
pub fn digest_of(inputs: &[InputFile]) -> String {
    if let [one] = inputs {
        return one.sha256.clone();
    }
    let mut digests: Vec<&str> = inputs.iter().map(|i| i.sha256.as_str()).collect();
    digests.sort_unstable();
    let mut lines = digests.join("\n");
    lines.push('\n');
    hexadecimal(&Sha256::digest(lines.as_bytes()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}

/// Bytes read so far from the stored files, shared with whoever shows progress.
pub(crate) type BytesRead = Arc<AtomicU64>;

/// A reader that hashes and counts what passes.
struct Hashing<R> {
    inner: R,
    state: Arc<Mutex<Sha256>>,
    read: BytesRead,
    bytes: Arc<AtomicU64>,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if let Ok(mut state) = self.state.lock() {
            state.update(&buffer[..n]);
        }
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        self.bytes.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// The decompressed bytes of one input file.
pub(crate) struct Input {
    reader: Box<dyn Read + Send>,
    state: Arc<Mutex<Sha256>>,
    bytes: Arc<AtomicU64>,
    path: PathBuf,
    #[cfg_attr(not(feature = "store"), expect(dead_code, reason = "asked by the reader of growing files"))]
    compressed: bool,
    is_parquet: bool,
    #[cfg(feature = "parquet")]
    stored: Option<Stored>,
}

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const PARQUET: [u8; 4] = *b"PAR1";

impl Input {
    /// Opens `path`, or standard input for `-`, and looks at its first bytes.
    pub(crate) fn open(path: &Path, read: BytesRead) -> Result<Self, Error> {
        let fail = |source| Error::Read { path: path.to_owned(), source };
        let file = if path == Path::new("-") {
            None
        } else {
            if path.is_dir() {
                return Err(fail(io::Error::other("is a folder; name its files")));
            }
            Some(File::open(path).map_err(fail)?)
        };
        let mut head = Vec::with_capacity(ZSTD.len());
        let first = ZSTD.len() as u64;
        match &file {
            Some(file) => file.take(first).read_to_end(&mut head),
            None => io::stdin().take(first).read_to_end(&mut head),
        }
        .map_err(fail)?;
        let (gzip, zstd, is_parquet) =
            (head.starts_with(&GZIP), head.starts_with(&ZSTD), head.starts_with(&PARQUET));
        #[cfg(feature = "parquet")]
        let mut stored = None;
        let rest: Box<dyn Read + Send> = match file {
            #[cfg(feature = "parquet")]
            Some(file) if is_parquet => {
                Box::new(stored.insert(Stored::new(file).map_err(fail)?).reader(first))
            }
            Some(file) => Box::new(file),
            None => Box::new(io::stdin()),
        };
        let state = Arc::new(Mutex::new(Sha256::new()));
        let bytes = Arc::new(AtomicU64::new(0));
        let inner = io::Cursor::new(head).chain(rest);
        let hashing = Hashing { inner, state: Arc::clone(&state), read, bytes: Arc::clone(&bytes) };
        let buffered = |hashing| BufReader::with_capacity(1 << 18, hashing);
        let reader: Box<dyn Read + Send> = if gzip {
            Box::new(flate2::bufread::MultiGzDecoder::new(buffered(hashing)))
        } else if zstd {
            Box::new(zstd::Decoder::with_buffer(buffered(hashing)).map_err(fail)?)
        } else if is_parquet {
            Box::new(buffered(hashing))
        } else {
            // Read in whole blocks: a buffer between would copy each once more.
            Box::new(hashing)
        };
        Ok(Self {
            reader,
            state,
            bytes,
            path: path.to_owned(),
            compressed: gzip || zstd,
            is_parquet,
            #[cfg(feature = "parquet")]
            stored,
        })
    }

    /// Whether it is a Parquet file, which is no stream of text.
    pub(crate) fn is_parquet(&self) -> bool {
        self.is_parquet
    }

    /// The Parquet file, to be read at any place; none from standard input.
    #[cfg(feature = "parquet")]
    pub(crate) fn stored(&self) -> Option<Stored> {
        self.stored.clone()
    }

    /// The error of whoever cannot read it, as it is a Parquet file; `remedy` says why and what to do.
    pub(crate) fn refuse_parquet(&self, remedy: &str) -> Error {
        Error::Header { path: self.path.clone(), reason: format!("it is a Parquet file; {remedy}") }
    }

    /// Reads until `buffer` is full or the input ends; how much was read.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Read { path: self.path.clone(), source }),
            }
        }
        Ok(filled)
    }

    /// Whether the text starts as IPC-CFX messages do.
    pub(crate) fn starts_as_json(&mut self) -> Result<bool, Error> {
        let mut head = vec![0; 64];
        let read = self.fill(&mut head)?;
        head.truncate(read);
        let is_json = messages::start(&head);
        let rest = std::mem::replace(&mut self.reader, Box::new(io::empty()));
        self.reader = Box::new(io::Cursor::new(head).chain(rest));
        Ok(is_json)
    }

    /// Whether it is compressed: then its end is where its content ends, and not just where a writer stands.
    #[cfg(feature = "store")]
    pub(crate) fn is_compressed(&self) -> bool {
        self.compressed
    }

    /// Where it is read.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What was read, to be called at its end.
    pub(crate) fn finish(self, rows: u64) -> InputFile {
        let state = self.state.lock().map(|s| s.clone()).unwrap_or_default();
        InputFile {
            path: self.path,
            sha256: hexadecimal(&state.finalize()),
            bytes: self.bytes.load(Ordering::Relaxed),
            rows,
        }
    }
}
