//! Tables of named cases.

/// Runs `body` for each (name, case) and asserts that there was at least one; a failing case is named.
///
/// # Panics
/// When the table is empty or a case fails.
pub fn for_each_case<C>(cases: impl IntoIterator<Item = (&'static str, C)>, mut body: impl FnMut(C)) {
    let mut ran = 0;
    for (name, case) in cases {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| body(case)));
        if let Err(cause) = outcome {
            eprintln!("case failed: {name}");
            std::panic::resume_unwind(cause);
        }
        ran += 1;
    }
    assert!(ran > 0, "the table of cases is empty");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_runs() {
        let mut seen = Vec::new();
        for_each_case([("one", 1), ("two", 2)], |n| seen.push(n));
        assert_eq!(seen, [1, 2]);
    }

    #[test]
    #[should_panic(expected = "table of cases is empty")]
    fn an_empty_table_fails() {
        for_each_case(Vec::<(&str, i32)>::new(), |_| ());
    }

    #[test]
    #[should_panic(expected = "two is wrong")]
    fn a_failing_case_fails_the_table() {
        for_each_case([("one", 1), ("two", 2)], |n| assert!(n == 1, "two is wrong"));
    }
}
