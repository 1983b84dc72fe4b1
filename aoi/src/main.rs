//! The `aoi` command.
fn main() {}
