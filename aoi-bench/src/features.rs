//! Patch features by the million: unit rows around a thousand centres, as `.npy` files that every implementation reads.
//!
//! Real features lie closer together and in fewer directions than these; both kinds are measured.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use aoi_retrieval::ndarray::Array2;
use aoi_testing::Seeded;
use ndarray_npy::{ReadNpyExt, WriteNpyExt};

use crate::error::Error;

/// How many rows, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeaturesOptions {
    /// Rows of the bank, n.
    pub rows: usize,
    /// Queries, q, from the same centres.
    pub queries: usize,
    /// Numbers per row, d.
    pub width: usize,
    /// Decides everything else.
    pub seed: u64,
}

impl Default for FeaturesOptions {
    fn default() -> Self {
        Self { rows: 1_000_000, queries: 1_024, width: 384, seed: 20_261_122 }
    }
}

/// Centres that the rows scatter around.
const CENTRES: usize = 1_000;
/// Standard deviation of the scatter, where that of a centre's entries is 1.
const SCATTER: f32 = 0.5;

/// Bank `[n, d]` and queries `[q, d]`, each row of length 1.
///
/// # Examples
/// ```
/// use aoi_bench::features::{FeaturesOptions, draw};
/// let (bank, queries) = draw(&FeaturesOptions { rows: 50, queries: 3, width: 16, seed: 1 });
/// assert_eq!((bank.dim(), queries.dim()), ((50, 16), (3, 16)));
/// assert!((bank.row(7).dot(&bank.row(7)) - 1.0).abs() < 1e-6);
/// ```
pub fn draw(options: &FeaturesOptions) -> (Array2<f32>, Array2<f32>) {
    let FeaturesOptions { rows, queries, width, seed } = *options;
    let mut random = Seeded::new(seed);
    let centres: Vec<Vec<f32>> = (0..CENTRES).map(|_| random.normals_f32(width)).collect();
    let mut scattered = |count: usize| {
        let mut flat = Vec::with_capacity(count * width);
        for _ in 0..count {
            let centre = &centres[random.below(CENTRES)];
            let mut row = random.normals_f32(width);
            row.iter_mut().zip(centre).for_each(|(x, c)| *x = c + SCATTER * *x);
            let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            flat.extend(row.iter().map(|x| x / norm));
        }
        Array2::from_shape_vec((count, width), flat)
            .unwrap_or_else(|_| unreachable!("count rows of one width"))
    };
    (scattered(rows), scattered(queries))
}

/// Writes `rows` as an `.npy` file of f32.
///
/// # Errors
/// When the file cannot be written.
pub fn write(rows: &Array2<f32>, path: &Path) -> Result<(), Error> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).map_err(Error::file(path))?);
    rows.write_npy(&mut out).map_err(std::io::Error::other).map_err(Error::file(path))?;
    out.flush().map_err(Error::file(path))
}

/// Reads an `.npy` file of f32 with two axes.
///
/// # Errors
/// When it cannot be read or holds something else.
pub fn read(path: &Path) -> Result<Array2<f32>, Error> {
    let file = File::open(path).map_err(Error::file(path))?;
    Array2::read_npy(file).map_err(|e| Error::Record {
        path: path.to_owned(),
        reason: format!("expected an .npy file of f32 with two axes: {e}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_give_back_what_was_drawn_and_the_seed_decides() {
        let options = FeaturesOptions { rows: 40, queries: 2, width: 9, seed: 3 };
        let (bank, _) = draw(&options);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank.npy");
        write(&bank, &path).unwrap();
        assert_eq!(read(&path).unwrap(), bank);
        assert_ne!(draw(&FeaturesOptions { seed: 4, ..options }).0, bank);
    }

    #[test]
    fn a_file_of_another_kind_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank.npy");
        std::fs::write(&path, b"not an array").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("bank.npy: expected an .npy file"));
    }
}
