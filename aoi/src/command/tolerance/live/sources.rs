//! Where `watch` takes records from: a file, standard input, or a folder that files are dropped into.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::command::outcome::Failure;

/// Endings of files that are taken for records.
const ENDINGS: [&str; 7] = ["csv", "txt", "json", "jsonl", "ndjson", "gz", "zst"];

/// A place to look for records.
pub(crate) struct Source {
    path: PathBuf,
    /// Length and time of change of each file when it was last read.
    seen: HashMap<PathBuf, (u64, Option<SystemTime>)>,
}

impl Source {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), seen: HashMap::new() }
    }

    /// Standard input is read once, to its end.
    pub(crate) fn is_stream(&self) -> bool {
        self.path == Path::new("-")
    }

    /// Files that have changed since they were last read, by name; hidden ones are somebody's work in progress.
    pub(crate) fn changed(&self) -> Result<Vec<PathBuf>, Failure> {
        if self.is_stream() {
            return Ok(vec![self.path.clone()]);
        }
        let fail =
            |e: std::io::Error| Failure::Other(format!("{}: cannot be read: {e}", self.path.display()));
        let mut files = if self.path.is_dir() {
            let entries = std::fs::read_dir(&self.path).map_err(fail)?;
            entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>().map_err(fail)?
        } else {
            std::fs::metadata(&self.path).map_err(fail)?;
            vec![self.path.clone()]
        };
        if self.path.is_dir() {
            files.retain(|f| is_records(f));
        }
        files.retain(|f| self.seen.get(f) != state(f).as_ref());
        files.sort();
        Ok(files)
    }

    /// Remembers what a file looked like before it was read: what is added meanwhile is found the next time.
    pub(crate) fn remember(&mut self, file: &Path, before: Option<(u64, Option<SystemTime>)>) {
        if let Some(before) = before {
            self.seen.insert(file.to_owned(), before);
        }
    }
}

/// Length and time of change of a file.
pub(crate) fn state(file: &Path) -> Option<(u64, Option<SystemTime>)> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.len(), metadata.modified().ok()))
}

fn is_records(file: &Path) -> bool {
    let hidden = file.file_name().is_none_or(|n| n.to_string_lossy().starts_with('.'));
    let ending = file.extension().is_some_and(|e| ENDINGS.iter().any(|known| e.eq_ignore_ascii_case(known)));
    !hidden && ending && file.is_file()
}
