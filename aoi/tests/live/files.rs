//! Files that come twice, grow, end in the middle of a line, or come while the clock runs back.

use std::io::Write;

use super::support::Bench;
use super::{HEADER, WATCH, assert_verifies, number, rows};

fn watch(bench: &Bench, what: &str) -> super::support::Said {
    bench.aoi(&format!("{WATCH} {what}"))
}

/// The same rows without names: only the content can tell that they came before.
fn nameless(text: &str) -> String {
    let strip = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        format!("{},{}\n", fields[..7].join(","), fields[8])
    };
    text.lines().map(strip).collect::<Vec<_>>().concat()
}

#[test]
fn a_file_that_comes_twice_counts_once_also_without_record_ids_and_under_another_name() {
    for strip in [false, true] {
        let bench = Bench::new();
        let text = format!("{HEADER}{}", rows(0, 800));
        let text = if strip { nameless(&text) } else { text };
        bench.file("a.csv", &text);
        assert_eq!(number(&watch(&bench, "a.csv"), "records"), 800);
        let again = watch(&bench, "a.csv");
        assert_eq!((number(&again, "records"), number(&again, "rows")), (800, 0));
        std::fs::create_dir(bench.path("drop")).unwrap();
        std::fs::write(bench.path("drop/b.csv"), &text).unwrap();
        let copied = watch(&bench, "drop");
        assert_eq!((number(&copied, "records"), number(&copied, "rows")), (800, 0));
        // A copy that goes on adds what is new in it.
        let more = rows(800, 900);
        let more = if strip { nameless(&more) } else { more };
        std::fs::write(bench.path("drop/c.csv"), format!("{text}{more}")).unwrap();
        let grown = watch(&bench, "drop");
        assert_eq!((number(&grown, "records"), number(&grown, "rows")), (900, 100));
        assert_verifies(&bench);
    }
}

/// The shift's file is exported again with verdicts filled in: nothing repeats its beginning, yet every record has its name.
#[test]
fn a_file_exported_again_with_later_verdicts_corrects_and_counts_nothing_twice() {
    let bench = Bench::new();
    let text = format!("{HEADER}{}", rows(0, 600));
    bench.file("early.csv", text.replace("false_call", "").replace("defect", ""));
    let early = watch(&bench, "early.csv");
    assert_eq!((number(&early, "records"), number(&early, "waiting")), (600, 0));
    bench.file("late.csv", &text);
    let late = watch(&bench, "late.csv");
    assert_eq!((number(&late, "records"), number(&late, "new"), number(&late, "corrected")), (600, 0, 60));
    assert_eq!(number(&late, "waiting"), 3);
    // Verdicts alone, by name.
    bench.file(
        "words.csv",
        "part,inspection,feature,value,lower,upper,verdict,record_id\nR1,solder,height,,,,borderline,id10\n",
    );
    assert_eq!(number(&watch(&bench, "words.csv"), "corrected"), 1);
}

#[test]
fn a_torn_last_line_waits_for_its_end() {
    let bench = Bench::new();
    let text = format!("{HEADER}{}", rows(0, 300));
    let mut counted = 0;
    // Cut in the middle of a value: the rest must not become a record of its own, nor the piece.
    for cut in [30, HEADER.len() + 5, text.len() / 2, text.len() - 40, text.len() - 1, text.len()] {
        bench.file("grow.csv", &text[..cut]);
        let said = watch(&bench, "grow.csv");
        counted = number(&said, "records");
        let whole = text[..cut].matches('\n').count().saturating_sub(1) as u64;
        assert_eq!(counted, whole, "cut at {cut}");
        assert_eq!(said.err.contains("no end"), !text[..cut].ends_with('\n'), "cut at {cut}: {said:?}");
    }
    assert_eq!(counted, 300);
}

#[test]
fn compressed_files_and_standard_input_are_read_to_their_end() {
    let bench = Bench::new();
    let text = format!("{HEADER}{}", rows(0, 200));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.trim_end().as_bytes()).unwrap();
    bench.file("in.csv.gz", gzip.finish().unwrap());
    assert_eq!(
        number(&watch(&bench, "in.csv.gz"), "records"),
        200,
        "the last line of a compressed file is whole"
    );
    let said = bench.aoi_with(&format!("{WATCH} -"), format!("{HEADER}{}", rows(150, 260)).as_bytes());
    assert_eq!((number(&said, "records"), number(&said, "known")), (260, 50));
}

#[test]
fn a_clock_that_runs_back_loses_nothing_and_orders_nothing_anew() {
    let bench = Bench::new();
    let window = "--window days:30 --dead-band 0";
    bench.file("a.csv", format!("{HEADER}{}", nameless_times(&rows(0, 400))));
    bench.file("b.csv", format!("{HEADER}{}", nameless_times(&rows(400, 800))));
    let early = bench.aoi(&format!("{WATCH} a.csv {window} --time 2026-05-01T00:00:00Z"));
    assert_eq!(number(&early, "records"), 400);
    // A battery has died: it is 1970 again. What comes now was received no earlier than what came before.
    let back = bench.aoi(&format!("{WATCH} b.csv {window} --time 1970-01-01T00:00:00Z"));
    assert_eq!((number(&back, "records"), number(&back, "kept")), (800, 80));
    let again = bench.aoi(&format!("{WATCH} b.csv {window} --time 2026-05-01T00:00:00Z"));
    assert_eq!((number(&again, "records"), number(&again, "rows")), (800, 0));
    // All false calls are inside the window: the proposals count them all.
    let log = bench.aoi("tolerance ledger log --ledger line --json").out;
    let last = log.lines().rfind(|l| l.contains("\"change\":\"limit\"")).unwrap();
    let entry: serde_json::Value = serde_json::from_str(last).unwrap();
    assert!(entry["change"]["false_calls"][0].as_u64().unwrap() > 18, "{last}");
    assert_verifies(&bench);
}

/// Without times of their own, records have the time of receipt.
fn nameless_times(text: &str) -> String {
    text.replace("2026-03-01T00:00:00Z", "")
}
