//! A file without quotes takes a shorter way through the reader than the same file with a quoted field in each row; both must say the same.

#![cfg(feature = "io")]

mod support;

use std::path::PathBuf;

use aoi_testing::Seeded;
use aoi_tolerance::io::mapping::Mapping;
use aoi_tolerance::io::{ReadOptions, Records, Reject};

/// Reads the text as two files, with paths and digests, which must differ, left out.
fn read(text: &str, threads: usize, missing: &[&str]) -> (Records, Vec<Reject>) {
    let folder = tempfile::tempdir().expect("a folder");
    let paths: Vec<PathBuf> = ["a.csv", "b.csv"].iter().map(|name| folder.path().join(name)).collect();
    for path in &paths {
        std::fs::write(path, text).expect("room");
    }
    let mut mapping = Mapping::default();
    mapping.file.missing = missing.iter().map(|&m| m.to_owned()).collect();
    let options = ReadOptions { threads, mapping, ..ReadOptions::default() };
    let (mut records, rejects) = support::try_read(&paths, &options).expect("records");
    records.inputs.clear();
    (records, rejects)
}

fn rows(random: &mut Seeded, count: usize) -> Vec<String> {
    let mut pick = |words: &[&str]| words[random.below(words.len())].to_owned();
    let row = |_| {
        let part = pick(&["A", "B", "B ", ""]);
        let feature = pick(&["height", "height", "height", "width"]);
        let value =
            pick(&["41", "41.5", "40.000", "-0.0", "39.9", "80", "81", "", "-999", "x", "4e1", " 42", "nan"]);
        let (lower, upper) = (pick(&["40", "40", "40.0", "50", ""]), pick(&["80", "80", "80", ""]));
        let verdict =
            pick(&["pass", "PASS", "pass", "false_call", "defect", "escape", "", "what", "pending", "ok"]);
        let (flagged, board) = (pick(&["", "", "0", "1"]), pick(&["B1", "B2", "B3", ""]));
        let time = pick(&["", "2026-01-01T00:00:00Z", "soon"]);
        let torn = pick(&["", "", "", "", "", "", "", "", "", ",more"]);
        let blank = pick(&["", "", "", "", "", "", "", "", "", "\n"]);
        format!("{part},{feature},{value},{lower},{upper},{verdict},{flagged},{board},{time}{torn}\n{blank}")
    };
    (0..count).map(row).collect()
}

#[test]
fn rows_without_quotes_say_what_the_same_rows_with_quotes_say() {
    let header = "part,feature,value,lower,upper,verdict,flagged,board,time\n";
    let mut random = Seeded::new(20);
    let (mut inside, mut rejected) = (0, 0);
    for round in 0..40 {
        let rows = rows(&mut random, 400);
        let plain = header.to_owned() + &rows.concat();
        let quote = |row: &String| {
            row.split_once(',').map_or(String::new(), |(part, rest)| format!("\"{part}\",{rest}"))
        };
        let quoted = header.to_owned() + &rows.iter().map(quote).collect::<String>();
        let missing: &[&str] = if round % 2 == 0 { &["-999", "n/a"] } else { &[] };
        let expected = read(&quoted, 1, missing);
        assert_eq!(read(&plain, 1, missing), expected, "round {round}");
        assert_eq!(read(&plain, 2, missing), expected, "round {round}, two threads");
        // Quotes from some row on: what stands before them is read the short way, part by part.
        let mixed: String =
            rows.iter().take(10 * round).cloned().chain(rows.iter().skip(10 * round).map(quote)).collect();
        assert_eq!(read(&(header.to_owned() + &mixed), 1, missing), expected, "round {round}, mixed");
        inside += expected.0.population.counts.inside;
        rejected += expected.1.len();
    }
    assert!(inside > 1_000 && rejected > 1_000, "{inside} {rejected}");
}
