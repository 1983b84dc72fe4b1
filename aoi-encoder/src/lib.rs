//! A hand-written vision transformer: dense patch embeddings of inspection images, from anybody's `ViT` weights.
//!
//! **Purpose.** Images of one to sixteen channels (one a lighting) become one vector a patch. Weights come from safetensors files of timm,
//! Hugging Face, `DINOv2` or MAE, recognised by their tensors, from this crate's own format, or from a folder of unlabelled pictures
//! by masked-autoencoder pre-training ([`train`], with the networks' gradients written by hand, [`mae`]).
//!
//! **Promise.** The fast path agrees with the f64 [`reference`](mod@reference), and both with what the families' own code computes, within 1e-5 of
//! the largest entry of an output (the tests' models; timm 1.0, transformers 5; `tools/peers/trained_weights.py` compares a trained ViT-S/14 with ONNX Runtime). On one machine a result depends on the weights and
//! its image alone: no bit of it on threads, batch or earlier calls. [`Encoder::forward_into`] takes no memory for a
//! size it has seen. What is wrong with a file is an error that names it.
//! The gradient of pre-training agrees with central differences in f64 over every parameter, within 1e-6 of each tensor's largest entry plus 1e-9,
//! and ten training steps have the losses of transformers and torch within 1e-5; a resumed run ends in the bits of an uninterrupted one.
//!
//! [`Precision::Bf16`] is faster and rounds: class and patch tokens are then off by less than 3 % of the largest entry of an
//! output on the tests' six-block model, and by less than 10 % on models drawn at random: measured bounds, not derived ones.
//!
//! With masks, an encoder becomes a segmentation network ([`finetune`]), its gradient checked in the same two ways.
//!
//! **Limits.** On the CPU; fine-tuning with a linear head or `UPerNet`. Exact GELU or `SwiGLU`; a class token is required; patches are square. Different
//! instruction sets may round differently. Files of other architectures are refused, not guessed at.
//!
//! ```
//! use std::sync::Arc;
//! use aoi_encoder::{Config, Encoder, Params, Table, Workspace, ndarray::Array4, weights};
//!
//! // A small encoder of two lightings; real ones come from `weights::load`.
//! let config = Config { width: 32, depth: 2, heads: 2, hidden: 64, ..Config::paper() };
//! let params = Params::<f32>::zeros(Arc::new(Table::new(&config)?));
//! let folder = tempfile::tempdir().expect("a temporary folder");
//! let path = folder.path().join("encoder.safetensors");
//! weights::save(&path, &config, &params)?;
//!
//! let loaded = weights::load(&path, &weights::LoadOptions::default())?;
//! let encoder = Encoder::new(&loaded.config, &loaded.params)?;
//! let images = Array4::zeros((1, 2, 64, 48));
//! let features = encoder.forward(&images, &[], &mut Workspace::new(2)?)?;
//! assert_eq!(features.patches.shape(), [1, 4 * 3, 32]);
//! # Ok::<(), aoi_encoder::Error>(())
//! ```

mod centre;
#[cfg(feature = "training")]
mod chance;
mod config;
mod embed;
mod error;
#[cfg(feature = "training")]
pub mod finetune;
#[cfg(feature = "training")]
mod gradient;
pub mod images;
mod kernel;
mod layers;
#[cfg(feature = "training")]
pub mod mae;
mod npy;
#[cfg(feature = "training")]
pub mod optimise;
mod params;
mod pass;
mod positions;
mod preset;
pub mod reference;
mod tiled;
#[cfg(feature = "training")]
pub mod train;
mod vit;
pub mod weights;
mod whitening;
mod whole;
mod workspace;

pub use centre::centred;
pub use config::{Config, Feedforward, Grid, Positions, PrefixPositions, Resampling};
pub use embed::{EmbedOptions, Embeddings, Progress, embed, embed_array, embed_folder};
pub use error::{Error, Result};
#[cfg(feature = "training")]
pub use gradient::Scalar;
pub use kernel::{Instructions, Precision};
pub use ndarray;
pub use npy::read_npy;
pub use params::{Params, Role, Table, Tensor};
pub use positions::PositionTable;
pub use preset::preset_names;
pub use tiled::{PictureTokens, TiledPass, Tiling, encode_picture};
pub use vit::{Encoder, EncoderOptions, Features};
pub use whitening::{Whitening, WhiteningFit, fit_whitening};
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
