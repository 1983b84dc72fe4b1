//! The masked autoencoder: an encoder learns by filling in patches it was not shown.
//!
//! [`Mae`] is the network and its gradient, [`Mask`] says what an image shows,
//! [`MaeBatches`] takes a batch on several threads. The encoder gets the visible patches only; the decoder gets their
//! tokens and a mask token for every other patch, each at its own place, and predicts the pixels of the masked ones. A token's target is
//! the pixels of its own patch.
//!
//! # Source
//! He et al. 2021, arXiv 2111.06377.

mod batch;
mod initial;
mod mask;
mod model;
mod pass;
mod target;

pub use batch::MaeBatches;
pub use mask::Mask;
pub use model::{Decoder, Mae};
pub use pass::MaeTape;
