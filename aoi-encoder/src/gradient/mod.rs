//! Layers with their backward, written by hand: what training runs on.
//!
//! A layer knows where its tensors lie in the flat array of a [`crate::Table`]; weights and gradient are two arrays of that layout. Its forward
//! keeps what its backward cannot cheaply compute again. A gradient is `d` and the name of what it belongs to; gradients of tensors are added
//! to, so that images can come in several portions. All layers are generic over [`Scalar`]: f32 is what trains, and the same
//! code in f64 is compared with central differences. Work stays on the caller's thread; `shards` shares images out.

mod attention;
mod block;
mod feedforward;
mod linear;
mod norm;
mod product;
mod scalar;
mod shards;
mod stack;
mod tokens;

pub use scalar::Scalar;

pub(crate) use linear::Linear;
pub(crate) use norm::Norm;
pub(crate) use product::{Matrix, Start};
pub(crate) use scalar::{fit, vectorised};
pub(crate) use shards::Shards;
pub(crate) use stack::{Stack, Tape};
pub(crate) use tokens::Tokens;
