//! The parts of the encoder, each with its weights packed for the fast path.
//!
//! A layer reads rows of tokens and writes rows of tokens; rows lie [`crate::kernel::stride`] apart. The backward of a layer belongs
//! beside its forward, with the derivation.

pub(crate) mod activations;
pub(crate) mod attention;
pub(crate) mod block;
pub(crate) mod chunk;
pub(crate) mod feedforward;
pub(crate) mod linear;
pub(crate) mod norm;
pub(crate) mod patch;
pub(crate) mod projected;
pub(crate) mod tile_attention;
