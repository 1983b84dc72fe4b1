//! What the tests that read files share.

use std::path::{Path, PathBuf};

use aoi_tolerance::Error;
use aoi_tolerance::io::{ReadObserver, ReadOptions, Records, Reject, read_records};

/// Keeps what the reader rejects.
#[derive(Default)]
struct Rejects(Vec<Reject>);

impl ReadObserver for Rejects {
    fn reject(&mut self, _path: &Path, reject: &Reject) -> Result<(), Error> {
        self.0.push(reject.clone());
        Ok(())
    }
}

/// The records of some files, and the rejects.
pub(crate) fn try_read(paths: &[PathBuf], options: &ReadOptions) -> Result<(Records, Vec<Reject>), Error> {
    let mut rejects = Rejects::default();
    let records = read_records(paths, options, &mut rejects)?;
    Ok((records, rejects.0))
}
