//! The pipeline over the aoi libraries, and the generator of the data that `aoi demo` runs on.
//!
//! [`demo::line`] makes a production line's review history from a seed: parts, limits, false calls, defects.

pub mod demo;
