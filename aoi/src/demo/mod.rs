//! Generated data: what the demo, the examples and the benches run on.

mod chance;
pub mod line;
pub mod year;
