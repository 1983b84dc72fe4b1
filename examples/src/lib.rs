//! Numbered short programs; run one with `cargo run --release -p aoi-examples --example NAME`.
