//! Generated data: what `aoi demo` runs on.

pub mod bonds;
mod chance;
pub mod line;
pub mod year;
