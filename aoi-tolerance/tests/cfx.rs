//! IPC-CFX messages give the limits that the same measurements give as a CSV. Data: `tools/fixtures/cfx.py`.
#![cfg(feature = "io")]

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};

use aoi_tolerance::Error;
use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::io::mapping::Mapping;
use aoi_tolerance::io::{ReadOptions, Records, Reject, RejectReason, ToleranceTable, files_of, read_records};
use aoi_tolerance::optimise::optimise;
use aoi_tolerance::options::Options;
use aoi_tolerance::population::Limit;
use aoi_tolerance::proposal::{Decision, Proposal};
use aoi_tolerance::record::Verdict;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cfx").join(name)
}

fn options(threads: usize) -> ReadOptions {
    let mapping = Mapping::read(&data("map.toml")).unwrap();
    let tolerances = ToleranceTable::read(&data("tolerances.csv"), &mapping).unwrap();
    ReadOptions { mapping, tolerances: Some(tolerances), threads, ..ReadOptions::default() }
}

fn read(paths: &[PathBuf], options: &ReadOptions) -> (Records, Vec<Reject>) {
    support::try_read(&files_of(paths).unwrap(), options).unwrap()
}

/// Messages written for one test.
fn read_text(text: &str, options: &ReadOptions) -> (Records, Vec<Reject>) {
    let mut file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    read(&[file.path().to_owned()], options)
}

fn messages() -> Vec<PathBuf> {
    ["heights.jsonl", "offsets.json", "paste"].map(data).to_vec()
}

fn proposals(records: &Records) -> Vec<Proposal> {
    let evidence: Vec<Evidence> = records.population.limits.iter().map(Limit::evidence).collect();
    let options = Options { max_pending_share: 1.0, min_false_calls: Some(3), ..Options::default() };
    optimise(&evidence, &options).unwrap()
}

/// Everything that a limit's rows say, in an order of its own.
fn rows(limit: &Limit) -> Vec<String> {
    let mut rows: Vec<String> = limit
        .rows
        .iter()
        .map(|r| {
            format!("{} {} {:?} {:?} {:?} {:?}", r.value, r.verdict, r.defect, r.board, r.time, r.record)
        })
        .collect();
    rows.sort();
    rows
}

#[test]
fn messages_and_the_same_measurements_as_csv_give_the_same_limits() {
    let (csv, none) = read(&[data("same.csv")], &ReadOptions { threads: 1, ..ReadOptions::default() });
    assert!(none.is_empty());
    for threads in [1, 3] {
        let (cfx, rejects) = read(&messages(), &options(threads));
        assert_eq!(rejects, []);
        assert_eq!(cfx.population.counts, csv.population.counts);
        assert_eq!(cfx.inputs.len(), 14, "one, one, and a folder of twelve");
        let ids =
            |r: &Records| r.population.limits.iter().map(|l| (l.id.clone(), l.tolerance)).collect::<Vec<_>>();
        assert_eq!(ids(&cfx), ids(&csv));
        for (a, b) in cfx.population.limits.iter().zip(&csv.population.limits) {
            assert_eq!(rows(a), rows(b), "{:?}", a.id);
            assert_eq!(a.records, b.records);
        }
        assert_eq!(proposals(&cfx), proposals(&csv));
        assert!(
            proposals(&cfx).iter().filter(|p| p.moves()).count() > 3,
            "the comparison is about something"
        );
    }
}

#[test]
fn one_message_a_line_an_array_and_compressed_files_are_read_alike() {
    let lines = std::fs::read_to_string(data("heights.jsonl")).unwrap();
    let (expected, _) = read(&[data("heights.jsonl")], &options(1));
    let array = format!("\u{feff}[\n{}\n]\n", lines.trim_end().replace('\n', ",\n"));
    for text in [array, lines.replace('\n', " "), lines.replace("{\"Unit", "{\n \"Unit")] {
        assert_eq!(proposals(&read_text(&text, &options(2)).0), proposals(&expected));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("heights.jsonl.gz");
    let mut gz =
        flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), flate2::Compression::fast());
    gz.write_all(lines.as_bytes()).unwrap();
    gz.finish().unwrap();
    assert_eq!(proposals(&read(&[folder.path().to_owned()], &options(2)).0), proposals(&expected));
}

/// A message with one unit and one inspection.
fn message(inspection: &str) -> String {
    format!(
        r#"{{"MessageName": "CFX.Production.TestAndInspection.UnitsInspected", "MessageBody": {{"InspectedUnits":
        [{{"UnitIdentifier": "P1", "Inspections": [{{"InspectionName": "I", {inspection}}}]}}]}}}}"#
    )
}

fn height(value: &str, more: &str) -> String {
    format!(
        r#"{{"UniqueIdentifier": "m", "MeasurementName": "h", "CRDs": "R1.2", "MeasuredValue":
        {{"Value": {value}, "ValueUnits": "um", "MinimumAcceptableValue": 40.0 {more}}}}}"#
    )
}

#[test]
fn what_cannot_be_read_is_rejected_with_its_place_and_fails_closed() {
    let confirmed = r#""DefectsFound": [{"Verification": "DefectConfirmed"}]"#;
    let good = message(&format!(r#""Measurements": [{}]"#, height("41", "")));
    for (bad, column) in [
        (height("\"NaN\"", ""), "Inspections[0].Measurements[0].h.Value (value)"),
        (height("39", r#", "MinimumAcceptableValueUnits": "mm""#), "Measurements[0].h.Value (lower)"),
        (height("null", ""), "Measurements[0].h.Value (value)"),
    ] {
        let bad =
            message(&format!(r#"{confirmed}, "Verification": "DefectConfirmed", "Measurements": [{bad}]"#));
        let (records, rejects) = read_text(&format!("{good}\n{bad}"), &ReadOptions::default());
        let found =
            rejects.iter().find(|r| r.column.contains(column)).unwrap_or_else(|| panic!("{rejects:?}"));
        assert_eq!(found.source.line, 2 + good.matches('\n').count() as u64, "{found:?}");
        assert!(found.blocks, "{found:?}");
        assert_eq!(proposals(&records)[0].decision, Decision::Blocked, "{rejects:?}");
    }
}

#[test]
fn a_broken_message_that_speaks_of_a_defect_blocks_what_it_may_belong_to() {
    let good = message(&format!(r#""Measurements": [{}]"#, height("41", "")));
    for (broken, blocked) in [(r#"{"a": DefectConfirmed}"#, true), (r#"{"a": ]}"#, false)] {
        let (records, rejects) = read_text(&format!("{good}\n{broken}\n"), &ReadOptions::default());
        assert_eq!((rejects[0].reason, rejects[0].blocks), (RejectReason::NotJson, blocked));
        assert_eq!(proposals(&records)[0].decision == Decision::Blocked, blocked);
    }
}

#[test]
fn a_defect_goes_to_what_lies_outside_and_a_scratch_to_nothing() {
    let defects = r#""DefectsFound": [
        {"UniqueIdentifier": "d", "Verification": "DefectConfirmed", "ComponentOfInterest": {"ReferenceDesignator": "R1"}},
        {"UniqueIdentifier": "s", "DefectCode": "SCR", "Verification": "DefectConfirmed", "ComponentOfInterest": {"ReferenceDesignator": "U9"}}]"#;
    let text =
        message(&format!(r#"{defects}, "Measurements": [{}, {}]"#, height("39", ""), height("41", "")));
    let (records, rejects) = read_text(&text, &ReadOptions::default());
    let limit = &records.population.limits[0];
    assert_eq!(
        limit.rows.iter().map(|r| (r.value, r.verdict)).collect::<Vec<_>>(),
        [(39.0, Verdict::Defect)]
    );
    assert_eq!(limit.records, 2);
    assert!(records.population.escapes.is_empty());
    assert_eq!(rejects.len(), 1);
    assert_eq!((rejects[0].reason, rejects[0].value.as_str()), (RejectReason::NotMeasured, "SCR U9"));
}

#[test]
fn a_file_without_messages_about_units_and_a_folder_without_files_say_so() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(br#"{"MessageName": "CFX.Production.WorkStarted", "MessageBody": {}}"#).unwrap();
    let error = read_records(&[file.path().to_owned()], &ReadOptions::default(), &mut ()).unwrap_err();
    assert!(matches!(error, Error::NoRecords { .. }), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let error = files_of(&[folder.path().to_owned()]).unwrap_err().to_string();
    assert!(error.contains("folder") && error.contains(".jsonl"), "{error}");
}
