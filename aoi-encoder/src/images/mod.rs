//! Inspection images: files and lighting stacks in, normalised planes of whole patches out, tiles taken apart and put together.
//!
//! A picture is an array \[c, height, width\] of f32; decoding gives 0 to 1 (8-bit values over 255, 16-bit over 65,535).

mod decode;
mod prepare;
mod resize;
mod stack;
mod tiles;

pub use decode::decode;
#[cfg(feature = "training")]
pub(crate) use prepare::channels_expected;
pub use prepare::{Normalisation, crop, pad, repeat_grey};
pub use resize::resize;
pub use stack::{Stack, list};
pub use tiles::{Stitch, Tile, tiles};
