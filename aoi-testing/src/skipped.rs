//! Tests that leave something out say so, and fail where it must not be left out.

use std::io::Write;

/// Names, with commas between them, of what no test may leave out on this machine.
const REQUIRED: &str = "AOI_REQUIRED";

/// Says that `what` is left out and why: on the standard error itself, since what a passing test prints is not shown.
///
/// # Panics
/// When the environment variable `AOI_REQUIRED`, a list of names with commas, has `what`.
pub fn skipped(what: &str, why: &str) {
    let required = std::env::var(REQUIRED).unwrap_or_default();
    assert!(!names(&required, what), "{REQUIRED}={required} wants {what}, but {why}");
    // Nothing depends on the note.
    let _ = writeln!(std::io::stderr(), "skipped {what}: {why}");
}

fn names(list: &str, what: &str) -> bool {
    list.split(',').any(|name| name.trim() == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_of_the_list_are_required() {
        for (list, required) in [("f16", true), ("int8, f16", true), ("", false), ("f16x,af16", false)] {
            assert_eq!(names(list, "f16"), required, "{list:?}");
        }
    }
}
