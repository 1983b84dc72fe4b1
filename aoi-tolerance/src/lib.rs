//! Inspection limits from reviewed records.

pub mod percentile;
