//! Files that are written whole or not at all: a temporary name beside the target, synced, then renamed.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::Error;
use crate::io::reject::Reject;
use crate::io::table::{Cell, write_row};

/// A file that appears under its name only when [`Whole::finish`] succeeds; dropped before, it leaves nothing.
struct Whole {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl Whole {
    fn create(path: &Path) -> Result<Self, Error> {
        let fail = |source| Error::Write { path: path.to_owned(), source };
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".").suffix(".part");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // As any other new file: the umask takes away what it takes away.
            builder.permissions(std::fs::Permissions::from_mode(0o666));
        }
        let file = builder.tempfile_in(folder).map_err(fail)?;
        Ok(Self { path: path.to_owned(), file: BufWriter::with_capacity(1 << 16, file) })
    }

    fn finish(self) -> Result<(), Error> {
        let path = self.path;
        let fail = |source| Error::Write { path: path.clone(), source };
        let file = self.file.into_inner().map_err(|e| fail(e.into_error()))?;
        file.as_file().sync_all().map_err(fail)?;
        file.persist(&path).map_err(|e| fail(e.error))?;
        Ok(())
    }
}

/// Writes a file whole or not at all; an existing file is replaced only when everything was written.
///
/// # Errors
/// When the folder does not exist or cannot be written, or `write` fails.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    let mut whole = Whole::create(path)?;
    write(&mut whole.file).map_err(|source| Error::Write { path: path.to_owned(), source })?;
    whole.finish()
}

/// The rejects CSV, written as rows are read: `file, row, column, value, reason`.
pub struct RejectsFile {
    whole: Whole,
}

impl RejectsFile {
    /// Starts a rejects file.
    ///
    /// # Errors
    /// When the folder does not exist or cannot be written.
    pub fn create(path: &Path) -> Result<Self, Error> {
        let mut whole = Whole::create(path)?;
        let header = ["file", "row", "column", "value", "reason"].map(Cell::text);
        write_row(&mut whole.file, &header)
            .map_err(|source| Error::Write { path: path.to_owned(), source })?;
        Ok(Self { whole })
    }

    /// Adds one row.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, path: &Path, reject: &Reject) -> Result<(), Error> {
        let cells = [
            Cell::Text(path.display().to_string()),
            Cell::Count(reject.source.line),
            Cell::Text(reject.column.clone()),
            Cell::Text(reject.value.clone()),
            Cell::Text(reject.said()),
        ];
        let target = self.whole.path.clone();
        write_row(&mut self.whole.file, &cells).map_err(|source| Error::Write { path: target, source })
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// When it cannot be synced or renamed.
    pub fn finish(self) -> Result<(), Error> {
        self.whole.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("limits.csv");
        write_whole(&path, |w| w.write_all(b"old")).unwrap();
        let failed = write_whole(&path, |w| {
            w.write_all(b"half of the n")?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.unwrap_err().to_string().contains("disk full"));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
        write_whole(&path, |w| w.write_all(b"new")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = write_whole(Path::new("no/such/folder/x.csv"), |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("no/such/folder/x.csv"), "{error}");
    }
}
