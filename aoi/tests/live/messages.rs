//! IPC-CFX messages as they come in: from a file that grows, a folder, standard input; the same limits as the same records in rows.

use std::io::Write;

use serde_json::json;

use super::support::{Bench, Said};
use super::{HEADER, WATCH, assert_verifies, limits_of, number, rows};

/// The records of some rows, one message each; with `judged` they carry their verdicts.
fn messages(from: u32, to: u32, judged: bool) -> Vec<String> {
    let text = rows(from, to);
    let message = |row: &str| {
        let field: Vec<&str> = row.split(',').collect();
        let value: f64 = field[3].parse().unwrap();
        let word = match field[6] {
            "defect" if judged => "DefectConfirmed",
            "false_call" if judged => "DefectRejected",
            _ => "NotVerifiedYet",
        };
        let measured = json!({
            "Value": value, "ValueUnits": "", "MinimumAcceptableValue": 40.0, "MaximumAcceptableValue": null,
        });
        json!({"MessageName": "CFX.Production.TestAndInspection.UnitsInspected", "MessageBody": {"InspectedUnits": [{
            "UnitIdentifier": "", "Inspections": [{"InspectionName": "solder", "Verification": word, "Measurements": [{
                "$type": "CFX.Structures.NumericMeasurement, CFX", "MeasurementName": "height", "MeasuredValue": measured,
                "UniqueIdentifier": field[7], "CRDs": field[0], "TimeRecorded": field[8]}]}]}]}})
        .to_string()
    };
    text.lines().map(message).collect()
}

fn lines(from: u32, to: u32, judged: bool) -> String {
    messages(from, to, judged).join("\n") + "\n"
}

fn watch(bench: &Bench, what: &str) -> Said {
    bench.aoi(&format!("{WATCH} {what}"))
}

/// A stream in which each of its records was read as a row.
fn as_rows(from: u32, to: u32) -> Bench {
    let bench = Bench::new();
    // A message without a designator names no board either; and its limits have no name of their own.
    let text = format!("{HEADER}{}", rows(from, to));
    bench.file("rows.csv", text);
    assert_eq!(number(&watch(&bench, "rows.csv"), "records"), u64::from(to - from));
    bench
}

#[test]
fn messages_propose_what_the_same_rows_do() {
    let expected = limits_of(&as_rows(0, 800));
    assert!(!expected.is_empty());
    let array = format!("\u{feff}[\n{}\n]\n", messages(0, 800, true).join(",\n"));
    for (name, text) in [("a.jsonl", lines(0, 800, true)), ("a.json", array)] {
        let bench = Bench::new();
        bench.file(name, &text);
        let said = watch(&bench, name);
        assert_eq!((number(&said, "records"), number(&said, "rejected")), (800, 0), "{said:?}");
        assert!(!said.err.contains("no end"), "{said:?}");
        assert_eq!(limits_of(&bench), expected, "{name}");
        let again = watch(&bench, name);
        assert_eq!((number(&again, "records"), number(&again, "rows")), (800, 0));
        assert_verifies(&bench);
    }
}

#[test]
fn a_message_that_is_not_closed_waits_for_its_end() {
    let bench = Bench::new();
    let all = messages(0, 60, true);
    let array = format!("[{}]", all.join(","));
    // Places where whole messages end.
    let mut ends = vec![1];
    for message in &all {
        ends.push(ends[ends.len() - 1] + message.len() + usize::from(ends.len() > 1));
    }
    for cut in [1, 40, ends[3] - 1, ends[3], ends[3] + 1, ends[30] + 200, ends[60], array.len()] {
        bench.file("grow.json", &array[..cut]);
        let said = watch(&bench, "grow.json");
        let whole = ends.iter().filter(|e| **e <= cut).count() - 1;
        assert_eq!(number(&said, "records"), whole as u64, "cut at {cut}");
        let between = array[..cut].ends_with(['}', ',', '[', ']'])
            && (ends.contains(&cut) || ends.contains(&(cut - 1)));
        assert_eq!(said.err.contains("no end"), !between, "cut at {cut}: {said:?}");
    }
    assert_verifies(&bench);
}

#[test]
fn a_folder_takes_messages_and_rows_and_verdicts_may_come_later() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("drop")).unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(bench.path("drop").join(name), bytes).unwrap();
    write("early.json", lines(0, 300, false).as_bytes());
    write("rows.csv", format!("{HEADER}{}", rows(300, 500)).as_bytes());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(lines(500, 600, true).trim_end().as_bytes()).unwrap();
    write("more.jsonl.gz", &gzip.finish().unwrap());
    let said = watch(&bench, "drop");
    assert_eq!((number(&said, "records"), number(&said, "corrected")), (600, 0), "{said:?}");
    // The flagged ones of the first 300 have been reviewed.
    let late = bench.aoi_with(&format!("{WATCH} -"), lines(0, 300, true).as_bytes());
    assert_eq!((number(&late, "records"), number(&late, "corrected")), (600, 30), "{late:?}");
    assert_verifies(&bench);
}

#[test]
fn a_compressed_file_that_ends_inside_a_message_is_said_with_its_line_and_stops_no_other() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("drop")).unwrap();
    let text = lines(0, 40, true);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&text.as_bytes()[..text.len() - 10]).unwrap();
    std::fs::write(bench.path("drop/a.json.gz"), gzip.finish().unwrap()).unwrap();
    std::fs::write(bench.path("drop/b.json"), lines(40, 100, true)).unwrap();
    let said = watch(&bench, "drop");
    assert!(said.err.contains("a.json.gz") && said.err.contains("line 40"), "{said:?}");
    assert_eq!(number(&said, "records"), 60, "nothing of a file that is cut short, all of the other");
    let alone = watch(&bench, "drop/a.json.gz");
    assert_eq!(alone.code, 1, "{alone:?}");
}
