//! From a gradient to the next weights: clipping, `AdamW`, learning rates, running means of weights.
//!
//! Loops over parameters run on the caller's rayon threads (see [`crate::mae::MaeBatches::install`]); no number depends on how many there are.

mod adamw;
mod average;
mod clip;
mod schedule;

pub use adamw::{AdamW, AdamWOptions};
pub use average::Average;
pub use clip::clip;
pub use schedule::Schedule;

/// Parameters that one thread handles at a time.
const PIECE: usize = 1 << 14;
