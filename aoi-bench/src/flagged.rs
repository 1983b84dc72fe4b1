//! Flagged values in memory form: what is left of a records file when reading is done, as three flat columns.
//!
//! `values.f64`, `limits.u32` and `defects.u8` hold one little-endian entry per flagged value: the value, the number of its limit, and
//! whether it is a defect. All limits are lower limits at 100. A program that measures "optimise alone" starts from these.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use aoi_testing::Seeded;
use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::limit::Side;

use crate::error::Error;

/// T0 of every limit.
pub const LIMIT: f64 = 100.0;

/// How many values and limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlaggedOptions {
    /// Flagged values.
    pub values: usize,
    /// Limits that they are spread over.
    pub limits: u32,
    /// Decides everything else.
    pub seed: u64,
}

/// The columns; equally long.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Flagged {
    /// Measured values, below [`LIMIT`].
    pub values: Vec<f64>,
    /// Which limit flagged each.
    pub limits: Vec<u32>,
    /// Whether each is a defect, else a false call.
    pub defects: Vec<u8>,
}

impl Flagged {
    /// Draws the columns: 2 % defects, values with an exponential-like tail and no grid.
    pub fn draw(options: &FlaggedOptions) -> Self {
        let mut random = Seeded::new(options.seed);
        let mut columns = Self::default();
        for _ in 0..options.values {
            let limit = random.below(options.limits as usize);
            let defect = random.below(50) == 0;
            let distance = 10.0 * random.unit() * random.unit() + f64::from(u8::from(defect)) * 4.0;
            columns.values.push((LIMIT - distance).min(LIMIT.next_down()));
            columns.limits.push(u32::try_from(limit).unwrap_or(u32::MAX));
            columns.defects.push(u8::from(defect));
        }
        columns
    }

    /// Writes the three files into `folder`.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
        let write = |name: &str, bytes: &mut dyn Iterator<Item = u8>| -> Result<(), Error> {
            let path = folder.join(name);
            let file = File::create(&path).map_err(Error::file(&path))?;
            let mut out = BufWriter::with_capacity(1 << 20, file);
            for byte in bytes {
                out.write_all(&[byte]).map_err(Error::file(&path))?;
            }
            out.flush().map_err(Error::file(&path))
        };
        write("values.f64", &mut self.values.iter().flat_map(|v| v.to_le_bytes()))?;
        write("limits.u32", &mut self.limits.iter().flat_map(|l| l.to_le_bytes()))?;
        write("defects.u8", &mut self.defects.iter().copied())
    }

    /// Reads what [`Flagged::write`] wrote.
    ///
    /// # Errors
    /// When a file cannot be read, or their lengths do not belong together.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let read = |name: &str| {
            let path = folder.join(name);
            std::fs::read(&path).map_err(Error::file(&path))
        };
        let (values, limits, defects) = (read("values.f64")?, read("limits.u32")?, read("defects.u8")?);
        let columns = Self {
            values: values.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
            limits: limits.as_chunks::<4>().0.iter().map(|b| u32::from_le_bytes(*b)).collect(),
            defects,
        };
        let n = columns.defects.len();
        if (values.len(), limits.len()) != (8 * n, 4 * n) {
            let reason = format!("{n} verdicts with {} and {} bytes", values.len(), limits.len());
            return Err(Error::Record { path: folder.to_owned(), reason });
        }
        Ok(columns)
    }

    /// Groups the columns into one piece of evidence per limit, in the order of the limits.
    pub fn evidence(&self) -> Vec<Evidence> {
        let count = self.limits.iter().max().map_or(0, |&l| l as usize + 1);
        let mut evidence = vec![Evidence::new(Side::Lower, LIMIT); count];
        for ((&value, &limit), &defect) in self.values.iter().zip(&self.limits).zip(&self.defects) {
            let e = &mut evidence[limit as usize];
            if defect == 0 { e.false_calls.push(value) } else { e.defects.push(value) }
        }
        evidence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_back_and_grouped_without_loss() {
        let folder = tempfile::tempdir().unwrap();
        let columns = Flagged::draw(&FlaggedOptions { values: 5_000, limits: 30, seed: 9 });
        columns.write(folder.path()).unwrap();
        assert_eq!(Flagged::read(folder.path()).unwrap(), columns);
        let evidence = columns.evidence();
        let held: usize = evidence.iter().map(|e| e.false_calls.len() + e.defects.len()).sum();
        assert_eq!((evidence.len(), held), (30, 5_000));
        assert!(columns.values.iter().all(|v| *v < LIMIT));
    }

    #[test]
    fn columns_of_different_lengths_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        Flagged::draw(&FlaggedOptions { values: 10, limits: 3, seed: 1 }).write(folder.path()).unwrap();
        std::fs::write(folder.path().join("defects.u8"), [0; 9]).unwrap();
        assert!(matches!(Flagged::read(folder.path()), Err(Error::Record { .. })));
    }
}
