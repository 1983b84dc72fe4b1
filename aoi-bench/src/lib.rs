//! Benchmarks of the workspace, and peers beside them.
//!
//! One rule: a number counts only with its record. [`generate`] makes the inputs that every implementation reads, [`machine`] says where
//! a number was measured, [`ceilings`] what that machine could do at best, [`record`] is the file of a result, [`estimates`] that
//! of criterion's, and [`report`] turns them into tables and plots. [`adaptation`] compares accuracies: fine-tuning with retrieval, at counted budgets; [`compact_copies`] what copies of a bank can prove. [`quoted`] finds numbers in a text that differ from their record. The peers live in `tools/peers`.

pub mod adaptation;
pub mod ceilings;
pub mod compact_copies;
#[cfg(feature = "gpu")]
pub mod device;
mod error;
pub mod estimates;
pub mod features;
pub mod flagged;
pub mod forward;
pub mod generate;
pub mod in_memory;
pub mod live;
pub mod live_store;
pub mod machine;
pub mod neighbours;
pub mod network;
pub mod pipeline;
pub mod quoted;
pub mod record;
pub mod report;
pub mod resident;
mod results;
pub mod training_steps;
pub mod trial;

pub use error::Error;
