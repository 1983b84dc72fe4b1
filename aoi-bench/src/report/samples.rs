//! Records for tests.

use crate::machine::Machine;
use crate::record::{Comparison, Record, Runs};

/// A record of this machine.
pub(super) fn record(comparisons: Vec<Comparison>) -> Record {
    Record {
        date: String::new(),
        machine: Machine::describe(),
        command: String::new(),
        load_before: 0.0,
        versions: std::collections::BTreeMap::new(),
        comparisons,
    }
}

/// A comparison that counts no operations and no bytes.
pub(super) fn comparison(work: &str, size: u64, runs: Vec<Runs>) -> Comparison {
    let (input, checked) = ("i.".to_owned(), "c.".to_owned());
    let (operations, bytes, input_bytes) = (None, None, None);
    Comparison { work: work.into(), size, input, checked, operations, bytes, input_bytes, runs }
}

/// Runs of an implementation.
pub(super) fn runs(name: &str, seconds: &[f64], peak_mib: &[f64]) -> Runs {
    Runs { name: name.into(), seconds: seconds.to_vec(), peak_mib: peak_mib.to_vec(), held_mib: Vec::new() }
}
