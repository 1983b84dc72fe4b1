//! Records in Parquet give the limits that the same records give as a CSV, however they were written; damaged files give an error.
//! Data: `tools/fixtures/parquet.py`.
#![cfg(feature = "parquet")]

mod support;

use std::io::Write;
use std::path::{Path, PathBuf};

use aoi_testing::Seeded;
use aoi_tolerance::Error;
use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::io::mapping::{Column, Mapping, Names};
use aoi_tolerance::io::{
    LimitForm, LimitsTable, ReadObserver, ReadOptions, Records, Reject, RejectReason, digest_of, read_records,
};
use aoi_tolerance::optimise::optimise;
use aoi_tolerance::options::Options;
use aoi_tolerance::population::Limit;
use sha2::{Digest, Sha256};

/// The same records, each written in another way.
const WRITTEN: [&str; 5] =
    ["typed.parquet", "text.parquet", "second.parquet", "narrow.parquet", "duckdb.parquet"];

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/parquet").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(data(name)).unwrap()
}

fn options(threads: usize) -> ReadOptions {
    let mut mapping = Mapping::default();
    // For the file whose clock has no zone.
    mapping.file.time_offset = Some("+00:00".into());
    ReadOptions { mapping, threads, ..ReadOptions::default() }
}

fn try_read(path: &Path, options: &ReadOptions) -> Result<(Records, Vec<Reject>), Error> {
    support::try_read(&[path.to_owned()], options)
}

fn read(name: &str, options: &ReadOptions) -> (Records, Vec<Reject>) {
    try_read(&data(name), options).unwrap_or_else(|e| panic!("{e}"))
}

/// Reads bytes under a name that says nothing.
fn read_bytes(bytes: &[u8], options: &ReadOptions) -> Result<(Records, Vec<Reject>), Error> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    try_read(file.path(), options)
}

/// What a CSV says, its records counted from 1 without the header, as those of a Parquet file are.
fn without_header((mut records, mut rejects): (Records, Vec<Reject>)) -> (Records, Vec<Reject>) {
    let population = &mut records.population;
    let rows = population.limits.iter_mut().flat_map(|l| &mut l.rows).map(|r| &mut r.source);
    let escapes = population.escapes.iter_mut().map(|e| &mut e.source);
    let copies = population.duplicates.iter_mut().map(|d| &mut d.source);
    rows.chain(escapes)
        .chain(copies)
        .chain(rejects.iter_mut().map(|r| &mut r.source))
        .for_each(|s| s.line -= 1);
    (records, rejects)
}

/// The limits file, the digest left out.
fn limits(records: &Records) -> String {
    let evidence: Vec<Evidence> = records.population.limits.iter().map(Limit::evidence).collect();
    let options = Options { max_pending_share: 1.0, min_false_calls: Some(3), ..Options::default() };
    let table = LimitsTable {
        limits: &records.population.limits,
        proposals: &optimise(&evidence, &options).unwrap(),
        options: &options,
        input_sha256: "",
        form: LimitForm::Absolute,
    };
    let mut text = Vec::new();
    table.csv(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// A reject without the spelling of its number: `5` and `5.00` are one number.
fn said(reject: &Reject) -> (u64, String, String, RejectReason, bool) {
    let value =
        reject.value.parse::<f64>().map_or_else(|_| reject.value.clone(), |number| number.to_string());
    (reject.source.line, reject.column.clone(), value, reject.reason, reject.blocks)
}

#[test]
fn the_same_records_give_the_same_limits_and_rejects_however_they_were_written() {
    let (csv, csv_rejects) = without_header(read("records.csv", &options(1)));
    let expected: Vec<_> = csv_rejects.iter().map(said).collect();
    for reason in [
        RejectReason::Missing,
        RejectReason::NoLimit,
        RejectReason::LimitsSwapped,
        RejectReason::UnknownVerdict,
        RejectReason::MachineDisagrees,
        RejectReason::Conflict,
    ] {
        assert!(csv.rejected.contains_key(&reason), "the comparison is about {reason:?}");
    }
    assert!(limits(&csv).contains(",relaxed,") && limits(&csv).contains(",blocked,"), "{}", limits(&csv));
    for name in WRITTEN {
        for threads in [1, 3] {
            let (parquet, rejects) = read(name, &options(threads));
            assert_eq!(rejects.iter().map(said).collect::<Vec<_>>(), expected, "{name}");
            assert_eq!(parquet.population, csv.population, "{name}");
            assert_eq!(limits(&parquet), limits(&csv), "{name}");
            let counted = |r: &Records| {
                (
                    r.rows(),
                    r.verdict_words.clone(),
                    r.rejected.clone(),
                    r.not_measured,
                    r.has_values,
                    r.has_verdicts,
                )
            };
            assert_eq!(counted(&parquet), counted(&csv), "{name}");
        }
    }
}

#[test]
fn a_reject_names_the_number_of_the_record_and_can_be_acknowledged_by_it() {
    let (_, rejects) = read("typed.parquet", &options(2));
    let missing = rejects.iter().find(|r| r.reason == RejectReason::Missing && r.blocks).unwrap();
    assert_eq!((missing.source.line, missing.column.as_str()), (12, "value"));
    let mut options = options(2);
    options.acknowledged.insert(format!("{}:12", data("typed.parquet").display()));
    let (_, rejects) = read("typed.parquet", &options);
    assert!(!rejects.iter().any(|r| r.blocks), "{rejects:?}");
}

#[test]
fn the_digest_is_that_of_the_stored_bytes_and_progress_ends_at_their_number() {
    struct Watch(u64);
    impl ReadObserver for Watch {
        fn reject(&mut self, _path: &Path, _reject: &Reject) -> Result<(), Error> {
            Ok(())
        }
        fn progress(&mut self, progress: aoi_tolerance::io::Progress) -> std::ops::ControlFlow<()> {
            assert!(progress.bytes <= progress.bytes_total);
            self.0 = progress.rows;
            std::ops::ControlFlow::Continue(())
        }
    }
    for name in WRITTEN {
        let mut watch = Watch(0);
        let records = read_records(&[data(name)], &options(2), &mut watch).unwrap();
        let digest =
            Sha256::digest(bytes(name)).iter().fold(String::new(), |text, b| format!("{text}{b:02x}"));
        assert_eq!(digest_of(&records.inputs), digest);
        assert_eq!((records.inputs[0].bytes, watch.0), (bytes(name).len() as u64, 150));
    }
}

#[test]
fn files_of_both_kinds_are_read_together() {
    let paths = [data("records.csv"), data("second.parquet")];
    let both = read_records(&paths, &options(3), &mut ()).unwrap();
    assert_eq!((both.rows(), both.inputs.len()), (300, 2));
    let copies = both.population.duplicates.len();
    assert!(copies > 30, "{copies} records were known by their ids");
}

#[test]
fn a_mapping_names_columns_and_writes_numbers_as_it_reads_them() {
    let mut comma = options(1);
    comma.mapping.file.decimal_comma = true;
    // Typed times are not in the site's format.
    comma.mapping.file.time_format = Some("%d.%m.%Y %H:%M".into());
    let (expected, _) = read("typed.parquet", &options(1));
    let (records, rejects) = read("typed.parquet", &comma);
    assert_eq!(records.population, expected.population);
    assert!(!rejects.iter().any(|r| r.reason == RejectReason::Time), "{rejects:?}");
    let mut renamed = options(1);
    for (column, name) in [(Column::Value, "lower"), (Column::Lower, "value")] {
        renamed.mapping.columns.insert(column, Names::One(name.into()));
    }
    let (records, _) = read("typed.parquet", &renamed);
    assert_ne!(limits(&records), limits(&expected));
    assert_eq!(limits(&records), limits(&read("records.csv", &renamed).0));
}

#[test]
fn columns_that_cannot_be_fields_are_refused_by_name_where_they_are_read() {
    for (name, column, said) in [
        ("nested.parquet", "value", "nested"),
        ("listed.parquet", "value", "nested"),
        ("int96.parquet", "time", "INT96"),
        ("brotli.parquet", "record_id", "BROTLI"),
    ] {
        let error = try_read(&data(name), &options(1)).unwrap_err().to_string();
        for part in [name, &format!("column {column:?}"), said, "expected", "write"] {
            assert!(error.contains(part), "{part} is missing in: {error}");
        }
    }
    // Nobody asks for the time here.
    let mut without = options(1);
    without.mapping.constants.insert(Column::Time, "2026-03-01T00:00:00Z".into());
    assert_eq!(read("int96.parquet", &without).0.rows(), 3);
    let error = try_read(&data("empty.parquet"), &options(1)).unwrap_err();
    assert!(matches!(error, Error::NoRecords { .. }), "{error}");
}

#[test]
fn a_missing_column_is_named_with_those_that_are_there() {
    let mut options = options(1);
    options.mapping.columns.insert(Column::Value, Names::One("height".into()));
    let error = try_read(&data("typed.parquet"), &options).unwrap_err().to_string();
    assert!(error.contains("\"height\"") && error.contains("\"refdes\""), "{error}");
}

#[test]
fn text_that_is_not_utf_8_is_rejected_in_its_row_as_in_a_csv() {
    let spoilt = |name: &str| {
        let mut bytes = bytes(name);
        let text = "R\u{e4}nd".as_bytes();
        let at = bytes.windows(text.len()).position(|w| w == text).unwrap();
        bytes[at + 1] = 0xff;
        read_bytes(&bytes, &options(1)).unwrap()
    };
    let (csv, expected) = without_header(spoilt("records.csv"));
    let (parquet, rejects) = spoilt("text.parquet");
    let not_utf8 = |rejects: &[Reject]| {
        rejects
            .iter()
            .filter(|r| r.reason == RejectReason::NotUtf8)
            .map(|r| r.source.line)
            .collect::<Vec<_>>()
    };
    assert_eq!(not_utf8(&rejects).len(), 1);
    assert_eq!(not_utf8(&rejects), not_utf8(&expected));
    assert_eq!(parquet.population, csv.population);
}

#[test]
fn a_file_that_was_cut_short_is_an_error_at_every_length() {
    for name in WRITTEN {
        let whole = bytes(name);
        let mut cuts = 0;
        for length in (0..whole.len()).step_by(41).chain(whole.len() - 12..whole.len()) {
            let error = read_bytes(&whole[..length], &options(1)).unwrap_err().to_string();
            assert!(length < 4 || error.contains("damaged"), "{name} cut to {length}: {error}");
            cuts += 1;
        }
        assert!(cuts > 100);
    }
}

/// How many bytes apart damage is done: `AOI_MUTATIONS` of any number damages every single one.
fn stride() -> usize {
    if std::env::var_os("AOI_MUTATIONS").is_some() { 1 } else { 11 }
}

#[test]
fn damaged_bytes_give_an_error_or_records_and_never_more() {
    let (mut refused, mut read, mut random) = (0, 0, Seeded::new(8));
    for name in WRITTEN {
        let whole = bytes(name);
        for at in (0..whole.len()).step_by(stride()) {
            let mut bytes = whole.clone();
            bytes[at] ^= [0xff, 0x01, 0x80, 0x10][at / stride() % 4];
            // Every other time more than one byte.
            for _ in 0..at % 2 * random.below(5) {
                let other = random.below(bytes.len());
                bytes[other] = u8::try_from(random.below(256)).unwrap();
            }
            match read_bytes(&bytes, &options(1)) {
                Ok(_) => read += 1,
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 500 && read > 100, "{refused} refused, {read} read");
}

#[test]
fn with_checksums_a_damaged_page_is_found() {
    let whole = bytes("typed.parquet");
    let expected = limits(&read("typed.parquet", &options(1)).0);
    let footer =
        whole.len() - 8 - u32::from_le_bytes(whole[whole.len() - 8..][..4].try_into().unwrap()) as usize;
    let mut refused = 0;
    for at in (4..footer).step_by(stride()) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        match read_bytes(&bytes, &options(1)) {
            Ok((records, _)) => assert_eq!(limits(&records), expected, "byte {at}"),
            Err(error) => {
                assert!(error.to_string().contains("column \""), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > (footer / stride()) / 2, "{refused}");
}

#[cfg(feature = "store")]
#[test]
fn a_parquet_file_cannot_be_watched() {
    use aoi_tolerance::io::Follower;
    use aoi_tolerance::store::{Store, StoreOptions};

    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let error =
        Follower::new(options(1)).read(&data("typed.parquet"), &mut store, &mut (), &|| 0).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("typed.parquet") && error.contains("watched"), "{error}");
}
