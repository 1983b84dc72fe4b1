//! The numbers of every step: a table that grows, and what is read back from it.

use std::fs::{File, OpenOptions};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::whole::write_whole;
use crate::{Error, Result};

/// One step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    /// Steps taken, this one included.
    pub(super) step: u64,
    /// Passes over the pictures, in parts.
    pub(super) epoch: f64,
    /// Learning rate.
    pub(super) rate: f64,
    /// Loss of the step's pictures before it.
    pub(super) loss: f64,
    /// Norm of the gradient before clipping.
    pub(super) gradient_norm: f64,
    /// Pictures a second.
    pub(super) images_per_second: f64,
    /// Loss of the held-out pictures after it, where it was taken.
    pub(super) held_out_loss: Option<f64>,
}

/// The open table.
pub(super) struct Metrics {
    writer: csv::Writer<File>,
    path: std::path::PathBuf,
    /// All rows, for the curve.
    pub(super) rows: Vec<Row>,
}

impl Metrics {
    /// Opens the table of a run that has taken `steps` steps: later rows, left by a run that was killed, are dropped, and a last line cut short
    /// with them.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Format`] when rows of the steps taken are missing.
    pub(super) fn open(path: &Path, steps: u64) -> Result<Self> {
        let mut rows: Vec<Row> = Vec::new();
        if steps > 0 {
            let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
            let all = csv::Reader::from_reader(text.as_bytes())
                .into_deserialize::<Row>()
                .map_while(std::result::Result::ok);
            rows = all.take_while(|row| row.step <= steps).collect();
            if rows.len() as u64 != steps {
                return Err(Error::Format {
                    path: path.to_owned(),
                    expected: "one row for every step of the checkpoint",
                    found: format!("{} rows, {steps} steps", rows.len()),
                });
            }
        }
        let mut writer = csv::Writer::from_writer(Vec::new());
        let failed = |e: csv::Error| Error::io(path)(e.into());
        rows.iter().try_for_each(|row| writer.serialize(row)).map_err(failed)?;
        let kept = writer.into_inner().map_err(|e| Error::io(path)(std::io::Error::other(e.to_string())))?;
        write_whole(path, &kept)?;
        let file = OpenOptions::new().append(true).open(path).map_err(Error::io(path))?;
        let writer = csv::WriterBuilder::new().has_headers(rows.is_empty()).from_writer(file);
        Ok(Self { writer, path: path.to_owned(), rows })
    }

    /// Adds a row, on the disk when this returns.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn add(&mut self, row: Row) -> Result<()> {
        self.writer.serialize(&row).map_err(|e| Error::io(&self.path)(e.into()))?;
        self.writer.flush().map_err(Error::io(&self.path))?;
        self.rows.push(row);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: u64) -> Row {
        let held_out_loss = step.is_multiple_of(2).then_some(0.25);
        Row {
            step,
            epoch: 0.5,
            rate: 1e-3,
            loss: 1.0 / step as f64,
            gradient_norm: 2.0,
            images_per_second: 9.0,
            held_out_loss,
        }
    }

    #[test]
    fn rows_after_the_checkpoint_and_a_cut_line_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.csv");
        let mut metrics = Metrics::open(&path, 0).unwrap();
        (1..=5).for_each(|i| metrics.add(row(i)).unwrap());
        drop(metrics);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("step,epoch,rate,loss,"), "{text}");
        std::fs::write(&path, &text[..text.len() - 7]).unwrap();
        let mut again = Metrics::open(&path, 3).unwrap();
        assert_eq!(again.rows, [row(1), row(2), row(3)]);
        (4..=5).for_each(|i| again.add(row(i)).unwrap());
        drop(again);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        assert!(Metrics::open(&path, 6).is_err(), "a row is missing");
    }
}
