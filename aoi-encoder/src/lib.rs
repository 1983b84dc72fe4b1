//! A hand-written vision transformer: dense patch embeddings of inspection images.
//!
//! The crate turns images of one to sixteen channels into one vector a patch, with anybody's `ViT` weights.

mod config;
mod error;
mod kernel;
mod layers;
mod params;
mod positions;
mod preset;
pub mod reference;
mod vit;
pub mod weights;
mod workspace;

pub use config::{Config, Feedforward, Grid, Positions, PrefixPositions, Resampling};
pub use error::{Error, Result};
pub use kernel::Instructions;
pub use ndarray;
pub use params::{Params, Role, Table, Tensor};
pub use positions::PositionTable;
pub use preset::preset_names;
pub use vit::{Encoder, Features};
pub use workspace::Workspace;

/// Checks the shape \[b, c, height, width\] of a batch of images and returns their grid of patches.
pub(crate) fn images_grid(config: &Config, shape: &[usize]) -> Result<Grid> {
    config.check()?;
    let expected = || format!("[1 or more, {}, height, width]", config.channels);
    match *shape {
        [b, c, height, width] if b > 0 && c == config.channels => config.grid_of(height, width),
        _ => Err(Error::Shape { what: "images", expected: expected(), found: shape.to_vec() }),
    }
}
