//! Configurations as TOML, and the bounds that several of their numbers share.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// Reads a configuration; `path` and `expected` are for messages.
///
/// # Errors
/// [`Error::Format`] says line and field.
pub(crate) fn parse<C: DeserializeOwned>(text: &str, path: &Path, expected: &'static str) -> Result<C> {
    toml::from_str(text).map_err(|e| Error::Format {
        path: path.to_owned(),
        expected,
        found: e.to_string().trim_end().to_owned(),
    })
}

/// The configuration that a run was started with, if it was.
///
/// # Errors
/// [`Error::Io`], and those of `parse`.
pub(crate) fn stored<C>(
    path: &Path,
    started: bool,
    parse: impl FnOnce(&str, &Path) -> Result<C>,
) -> Result<Option<C>> {
    let read = || parse(&std::fs::read_to_string(path).map_err(Error::io(path))?, path);
    started.then(read).transpose()
}

/// A configuration as TOML.
///
/// # Errors
/// [`Error::Config`] for a number that TOML cannot hold: integers end at 2^63 - 1.
pub(crate) fn write(config: &impl Serialize) -> Result<String> {
    toml::to_string(config).map_err(|e| Error::config("configuration", "numbers that TOML can hold", &e))
}

/// Refuses a seed that TOML cannot hold, and a count that is zero or beyond reason.
///
/// # Errors
/// [`Error::Config`] for the first.
pub(crate) fn check_counts(seed: u64, counts: &[(&'static str, u64)]) -> Result<()> {
    if i64::try_from(seed).is_err() {
        return Err(Error::config("seed", "0 to 2^63 - 1, what TOML can hold", &seed));
    }
    match counts.iter().find(|(_, count)| !(1..=1 << 32).contains(count)) {
        Some(&(what, count)) => Err(Error::config(what, "1 to 4294967296", &count)),
        None => Ok(()),
    }
}

/// Refuses numbers of steps and of held-out pictures, the latter under its name, that no run can have.
///
/// # Errors
/// [`Error::Config`] for the first.
pub(crate) fn check_steps(
    (clip, average): (f64, f64),
    (name, held_out): (&'static str, f64),
    patience: u64,
) -> Result<()> {
    for (what, value, fits, range) in [
        (name, held_out, (0.0..=0.9).contains(&held_out), "0 to 0.9"),
        ("optimiser.clip", clip, clip >= 0.0 && clip.is_finite(), "0 or more"),
        ("optimiser.average", average, (0.0..1.0).contains(&average), "0 to below 1"),
    ] {
        if !fits {
            return Err(Error::config(what, range, &value));
        }
    }
    if patience > 0 && held_out == 0.0 {
        return Err(Error::config("run.patience", "0 where no picture is held out", &patience));
    }
    Ok(())
}

/// Refuses a run that resolves to another configuration than it was started with.
///
/// # Errors
/// [`Error::Format`] naming the lines that differ.
pub(crate) fn check_same<C: Serialize + PartialEq>(
    path: &Path,
    stored: Option<&C>,
    config: &C,
) -> Result<()> {
    let Some(stored) = stored.filter(|stored| *stored != config) else { return Ok(()) };
    let (old, new) = (write(stored)?, write(config)?);
    let differing: Vec<&str> = new.lines().filter(|line| !old.lines().any(|l| l == *line)).collect();
    Err(Error::Format {
        path: path.to_owned(),
        expected: "the configuration that the run was started with",
        found: format!("another one: {}", differing.join("; ")),
    })
}
