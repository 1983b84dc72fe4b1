//! Benchmarks of the workspace, and peers beside them.
