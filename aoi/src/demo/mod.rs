//! Generated data: what the demo, the examples and the benches run on.

pub mod line;
