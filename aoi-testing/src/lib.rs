//! What the tests of the workspace share: comparison that fails on NaN, a gradient check that forgets no tensor,
//! integer-lattice data on which f32 sums are free of rounding, case tables, a seeded generator, and a word for
//! what a test leaves out.
//!
//! This crate knows none of the others and is never published.

mod cases;
mod close;
mod gradient;
mod lattice;
mod seeded;
mod skipped;

pub use cases::for_each_case;
pub use close::{assert_all_close, assert_close, is_close};
pub use gradient::{GradientMismatch, check_gradient};
pub use lattice::{LATTICE_LIMIT, lattice_f32};
pub use seeded::Seeded;
pub use skipped::skipped;
