//! The pipeline over the aoi libraries: image, mask, measurement, record, limit; and the generators of the data that `aoi demo` runs on.
//!
//! - [`patch_encoder`]: one vector a patch, by a vision transformer or by whitened pixels, behind one trait.
//! - [`masks`]: masks on disk, as label maps or as one file a class.
//! - [`segment`]: a bank of labelled patches, masks of new pictures from it, and how good they are.
//! - [`measure`]: components, shapes, instances of a drawing, records for `aoi-tolerance`.
//! - [`LoadArguments`]: what a weights file does not say, for commands that load one.
//! - [`demo`]: a production line's review history, and pictures of wire bonds with their truth, from a seed.

pub mod demo;
mod error;
mod load_arguments;
pub mod masks;
pub mod measure;
pub mod patch_encoder;
mod progress;
pub mod segment;

pub use error::{Error, Result};
pub use load_arguments::LoadArguments;
pub use progress::{Progress, silent};
