//! Inspection limits from reviewed records.

pub mod binomial;
pub mod percentile;
