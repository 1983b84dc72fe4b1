//! A hand-written vision transformer: dense patch embeddings of inspection images.
//!
//! The crate turns images of one to sixteen channels into one vector a patch, with anybody's `ViT` weights.

mod config;
mod error;
mod params;
mod positions;
mod preset;
pub mod reference;
pub mod weights;

pub use config::{Config, Feedforward, Grid, Positions, PrefixPositions, Resampling};
pub use error::{Error, Result};
pub use ndarray;
pub use params::{Params, Role, Table, Tensor};
pub use positions::PositionTable;
pub use preset::preset_names;

/// Checks the shape \[b, c, height, width\] of a batch of images and returns their grid of patches.
pub(crate) fn images_grid(config: &Config, shape: &[usize]) -> Result<Grid> {
    config.check()?;
    let expected = || format!("[1 or more, {}, height, width]", config.channels);
    match *shape {
        [b, c, height, width] if b > 0 && c == config.channels => config.grid_of(height, width),
        _ => Err(Error::Shape { what: "images", expected: expected(), found: shape.to_vec() }),
    }
}
