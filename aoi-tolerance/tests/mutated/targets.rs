//! What is done with the bytes of one input, by the mutations and the replay here and by the fuzz targets of `fuzz/`.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use aoi_tolerance::Error;
use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::io::mapping::Mapping;
use aoi_tolerance::io::{Progress, ReadObserver, ReadOptions, Records, Reject, ToleranceTable, read_records};
use aoi_tolerance::population::{Limit, LimitId};

use crate::chosen;
use crate::laws::obeys_the_laws;

/// A few bytes of Parquet can stand for billions of records, which take their time and prove nothing more.
const MOST: u64 = 50_000;

struct Patience;

impl ReadObserver for Patience {
    fn reject(&mut self, _path: &Path, _reject: &Reject) -> Result<(), Error> {
        Ok(())
    }

    fn progress(&mut self, progress: Progress) -> ControlFlow<()> {
        if progress.rows > MOST { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// What a reading of `bytes` gives, as far as it can be compared.
pub(crate) fn read(bytes: &[u8], options: &ReadOptions) -> Result<Records, String> {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(bytes).expect("room");
    let mut records =
        read_records(&[file.path().to_owned()], options, &mut Patience).map_err(|e| e.to_string())?;
    records.inputs[0].path = PathBuf::new();
    Ok(records)
}

/// A file of the crate.
pub(crate) fn file(name: &str) -> PathBuf {
    // The fuzz targets are compiled elsewhere, beside this crate.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("the workspace").join("aoi-tolerance").join(name)
}

/// What a reading says, without the lines on which it says it.
#[derive(Debug, PartialEq)]
struct Said {
    limits: Vec<(LimitId, u64, Evidence)>,
    escapes: Vec<u64>,
    rest: String,
}

fn said(records: &Records) -> Said {
    let population = &records.population;
    let limit = |limit: &Limit| (limit.id.clone(), limit.records, limit.evidence());
    let mut escapes: Vec<u64> = population.escapes.iter().map(|e| e.value.to_bits()).collect();
    escapes.sort_unstable();
    let (words, rejected) = (&records.verdict_words, &records.rejected);
    let counted =
        (population.counts, population.keys_with_several_versions, population.unreadable_unattributed);
    Said {
        limits: population.limits.iter().map(limit).collect(),
        escapes,
        rest: format!("{counted:?} {words:?} {rejected:?} {}", population.duplicates.len()),
    }
}

/// The same table with every field quoted and no line blank.
fn quoted(bytes: &[u8]) -> Vec<u8> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut writer =
        csv::WriterBuilder::new().flexible(true).quote_style(csv::QuoteStyle::Always).from_writer(Vec::new());
    for row in reader.byte_records() {
        writer.write_byte_record(&row.expect("memory can be read")).expect("memory can be written");
    }
    writer.into_inner().expect("memory can be written")
}

/// A table: it is refused or obeys the laws, and says the same when its fields are quoted, which is a longer way through the reader.
pub(crate) fn records(bytes: &[u8]) {
    let options = ReadOptions { threads: 1, ..ReadOptions::default() };
    let Ok(records) = read(bytes, &options) else { return };
    obeys_the_laws(&records);
    let is_text = !bytes.starts_with(b"PAR1");
    let is_table =
        is_text && bytes.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|b| !b"{[".contains(b));
    if is_table && !bytes.starts_with(&[0xef, 0xbb, 0xbf]) {
        let again = read(&quoted(bytes), &options).expect("quotes take nothing away");
        assert_eq!(said(&again), said(&records), "quotes decide");
    }
}

/// A Parquet file: it is refused or obeys the laws, and says the same when threads share its batches. Other bytes are made one by their
/// beginning. Without the feature all are refused.
pub(crate) fn parquet(bytes: &[u8]) {
    let bytes = &[b"PAR1", bytes.get(4..).unwrap_or_default()].concat();
    let with = |threads| read(bytes, &ReadOptions { threads, ..ReadOptions::default() });
    let Ok(records) = with(1) else { return };
    obeys_the_laws(&records);
    assert_eq!(with(2).as_ref(), Ok(&records), "threads decide");
}

/// How the messages of the test data are read.
pub(crate) fn for_messages() -> ReadOptions {
    let mapping = Mapping::read(&file("tests/data/cfx/map.toml")).expect("a mapping");
    let tolerances = ToleranceTable::read(&file("tests/data/cfx/tolerances.csv"), &mapping).expect("a table");
    ReadOptions { mapping, tolerances: Some(tolerances), threads: 1, ..ReadOptions::default() }
}

/// IPC-CFX messages: they are refused or obey the laws, and one message says the same when it stands in an array.
pub(crate) fn messages(bytes: &[u8]) {
    static OPTIONS: OnceLock<ReadOptions> = OnceLock::new();
    let options = OPTIONS.get_or_init(for_messages);
    let Ok(records) = read(bytes, options) else { return };
    obeys_the_laws(&records);
    if matches!(serde_json::from_slice(bytes), Ok(serde_json::Value::Object(_))) {
        let again = read(&[b"[", bytes, b"]"].concat(), options).expect("an array of one message");
        assert_eq!(said(&again), said(&records), "the array decides");
    }
}

/// A mapping, then after a zero byte the table that it is for; without one, the example.
pub(crate) fn mapping(bytes: &[u8]) {
    let mut halves = bytes.splitn(2, |&b| b == 0);
    let text = halves.next().unwrap_or_default();
    let table = halves.next().unwrap_or(include_bytes!("../../formats/records.example.csv"));
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text).expect("room");
    let Ok(mapping) = Mapping::read(file.path()) else { return };
    let options = ReadOptions { mapping, threads: 1, ..ReadOptions::default() };
    if let Ok(records) = read(table, &options) {
        obeys_the_laws(&records);
    }
}

/// Evidence and options chosen by bytes: the optimiser refuses them for a reason that can be named, or keeps its laws.
pub(crate) fn optimiser(bytes: &[u8]) {
    chosen::check(bytes);
}
