//! Benches under `--test`: every body once, on the smallest size.

/// Whether bodies are only tried out.
pub fn is_trial() -> bool {
    std::env::args().any(|a| a == "--test")
}

/// The sizes to measure; the first one in a trial.
pub fn sizes<T>(all: &[T]) -> &[T] {
    if is_trial() { &all[..all.len().min(1)] } else { all }
}
