//! Files in memory without being read: pages come from the disk when they are looked at and go when memory is short.
//!
//! The one `unsafe` is the mapping itself: a file that another program shortens while it is mapped can end this program, which no check
//! prevents. What is in the file must be checked before it is used, like the bytes of any other.

use std::fs::File;
use std::path::Path;

use crate::RetrievalError;

/// The bytes of a file, mapped into memory: a bank in them may be larger than the memory there is.
///
/// Another program must not shorten the file meanwhile: reading beyond its new end ends this program.
///
/// # Examples
/// ```
/// use aoi_retrieval::MappedFile;
///
/// let path = std::env::temp_dir().join(format!("mapped-{}", std::process::id()));
/// std::fs::write(&path, [1, 2, 3])?;
/// assert_eq!(MappedFile::open(&path)?.bytes(), [1, 2, 3]);
/// std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MappedFile(memmap2::Mmap);

impl MappedFile {
    /// Maps a file.
    ///
    /// # Errors
    /// When the system cannot open or map it; pipes cannot be mapped.
    #[expect(unsafe_code, reason = "mapping a file")]
    pub fn open(path: &Path) -> Result<Self, RetrievalError> {
        let io = |source| RetrievalError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        // SAFETY: the mapping is read only and private to this value; see the head of this module for what remains.
        unsafe { memmap2::Mmap::map(&file) }.map(Self).map_err(io)
    }

    /// All bytes of the file; they start at a page, so that numbers in them are aligned as they are in the file.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}
