//! What peers and we start from: weights, images and what is said of them, in one file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aoi_encoder::{Config, Params, Table};
use safetensors::SafeTensors;

use crate::error::Error;

/// Tensors of f32, by name.
pub(super) struct Inputs {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl Inputs {
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        Ok(Self { path: path.to_owned(), bytes: std::fs::read(path).map_err(Error::file(path))? })
    }

    fn bad(&self, reason: String) -> Error {
        Error::Record { path: self.path.clone(), reason }
    }

    /// A tensor of so many axes.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn tensor<const AXES: usize>(&self, name: &str) -> Result<([usize; AXES], Vec<f32>), Error> {
        let (shape, numbers) = self.any(name)?;
        let shape =
            shape.try_into().map_err(|s| self.bad(format!("{name}: shape {s:?}, not {AXES} axes")))?;
        Ok((shape, numbers))
    }

    fn any(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), Error> {
        let file = SafeTensors::deserialize(&self.bytes).map_err(|e| self.bad(e.to_string()))?;
        let view = file.tensor(name).map_err(|e| self.bad(format!("{name}: {e}")))?;
        let numbers = view.data().as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        Ok((view.shape().to_vec(), numbers))
    }

    /// The tensors of a table.
    ///
    /// # Errors
    /// When one is not there, or of another shape.
    pub(super) fn params(&self, table: &Arc<Table>) -> Result<Params<f32>, Error> {
        let mut params = Params::zeros(table.clone());
        for t in table.tensors() {
            let (shape, numbers) = self.any(&t.name)?;
            if shape != t.shape {
                return Err(self.bad(format!("{}: shape {shape:?}, expected {:?}", t.name, t.shape)));
            }
            params.get_mut(&t.name).copy_from_slice(&numbers);
        }
        Ok(params)
    }
}

/// An architecture by name, for images [b, c, h, w].
///
/// # Errors
/// When there is none of this name, or it does not take such images.
pub(super) fn architecture(preset: &str, [_, channels, height, width]: [usize; 4]) -> Result<Config, Error> {
    let config = Config { channels, ..Config::preset(preset)? };
    Ok(Config { grid: config.grid_of(height, width)?, ..config })
}
