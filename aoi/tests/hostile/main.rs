//! Input that is wrong in every way files are wrong: never a panic, and never a silently different answer.
//!
//! Each test says what the file does and what must come of it: an error that names the file, the line and the remedy, or the answer of the
//! good file with the bad row in the rejects file, or a limit that stays.

#[path = "../support/mod.rs"]
mod support;

mod bytes;
mod files;
mod rows;

use support::{Bench, Row, Said, records};

const OPTIMISE: &str = "tolerance optimise in.csv --out limits.csv --rejects rejects.csv";

/// Optimises `bytes`.
fn optimise(bytes: impl AsRef<[u8]>) -> (Bench, Said) {
    let bench = Bench::new();
    let said = bench.file("in.csv", bytes).aoi(OPTIMISE);
    assert!(!said.err.contains("panicked"), "{said:?}");
    (bench, said)
}

/// `bytes` must be refused with words that name the file and hold all of `words`, and leave no output behind.
#[track_caller]
fn refused(bytes: impl AsRef<[u8]>, words: &[&str]) {
    let (bench, said) = optimise(bytes);
    assert_eq!(said.code, 1, "{said:?}");
    for word in words.iter().chain(&["in.csv"]) {
        assert!(said.err.contains(word), "{word:?} in {:?}", said.err);
    }
    assert!(!bench.files().iter().any(|f| f == "limits.csv" || f.contains(".part")), "{:?}", bench.files());
}

/// `bytes` must give the limits of the good file; gives the rejects.
#[track_caller]
fn same_answer(bytes: impl AsRef<[u8]>) -> Vec<Row> {
    let (bench, said) = optimise(bytes);
    assert_eq!(said.code, 0, "{said:?}");
    let (good, _) = optimise(records());
    let answer = |b: &Bench| -> Vec<(String, String, String)> {
        let field = |r: &Row, c: &str| r.get(c).to_owned();
        b.table("limits.csv")
            .iter()
            .map(|r| (field(r, "part"), field(r, "new_limit"), field(r, "decision")))
            .collect()
    };
    assert_eq!(answer(&bench), answer(&good));
    bench.table("rejects.csv")
}

/// `bytes` must leave the one limit where it is, blocked; gives the rejects.
#[track_caller]
fn blocked(bytes: impl AsRef<[u8]>) -> Vec<Row> {
    let (bench, said) = optimise(bytes);
    assert_eq!(said.code, 0, "{said:?}");
    let limits = bench.table("limits.csv");
    assert_eq!((limits[0].get("decision"), limits[0].number("new_limit")), ("blocked", 40.0), "{limits:?}");
    bench.table("rejects.csv")
}

#[track_caller]
fn rejected(rejects: &[Row], line: &str, column: &str, word: &str) {
    assert_eq!(rejects.len(), 1, "{rejects:?}");
    let row = &rejects[0];
    assert_eq!((row.get("file"), row.get("row"), row.get("column")), ("in.csv", line, column));
    assert!(row.get("reason").contains(word), "{row:?}");
}

#[test]
fn the_good_file_moves_its_limit() {
    let (bench, said) = optimise(records());
    assert_eq!(said.code, 0, "{said:?}");
    let limits = bench.table("limits.csv");
    assert_eq!((limits.len(), limits[0].get("decision")), (1, "relaxed"));
    // numpy.percentile of 38.0, 38.1 ... 39.9 at 80.
    assert!((limits[0].number("new_limit") - 39.52).abs() < 1e-13);
    assert!(bench.table("rejects.csv").is_empty());
}
