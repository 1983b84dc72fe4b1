//! Processes killed at any moment, disks that are full, and two processes at once.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aoi_testing::Seeded;

use super::support::Bench;
use super::{HEADER, WATCH, assert_verifies, limits_of, number, rows};

/// How many processes are killed: `AOI_KILLS`, or enough to meet every phase once in a while.
fn kills() -> u32 {
    std::env::var("AOI_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(15)
}

/// Starts `aoi` and does not wait.
fn start(bench: &Bench, words: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_aoi"))
        .args(words.split_whitespace())
        .current_dir(bench.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command starts")
}

/// A watcher is killed again and again while a file grows and another is dropped beside it; in the end every record is there once, and the
/// proposals are those of a store that was never disturbed.
#[test]
fn killed_at_random_moments_nothing_is_lost_and_nothing_counted_twice() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("drop")).unwrap();
    let mut random = Seeded::new(41);
    let mut written = 0;
    let mut file = std::fs::File::create(bench.path("drop/grow.csv")).unwrap();
    file.write_all(HEADER.as_bytes()).unwrap();
    let (mut killed, mut met_records) = (0, 0);
    for round in 0..kills() {
        let mut child =
            start(&bench, "tolerance watch --ledger line --poll 0.002 --max-step none --max-total none drop");
        // Rows arrive in pieces that end anywhere.
        let more = rows(written, written + 150);
        written += 150;
        for piece in more.as_bytes().chunks(more.len() / 4 + random.below(50)) {
            file.write_all(piece).unwrap();
            std::thread::sleep(Duration::from_micros(random.below(12_000) as u64));
        }
        if round % 4 == 0 {
            // Somebody copies the file as it stands: half of a line at its end, perhaps.
            std::fs::copy(bench.path("drop/grow.csv"), bench.path(&format!("drop/copy{round}.csv"))).unwrap();
        }
        child.kill().expect("it runs");
        killed += u32::from(!child.wait().expect("it ends").success());
        met_records +=
            u32::from(std::fs::metadata(bench.path("line/records.log")).is_ok_and(|m| m.len() > 0));
    }
    drop(file);
    assert_eq!(killed, kills(), "every one was killed");
    assert!(met_records * 2 > kills(), "too few had begun to write: {met_records}");
    let said = bench.aoi(&format!("{WATCH} drop"));
    assert_eq!(number(&said, "records"), u64::from(written));
    assert_verifies(&bench);

    let calm = Bench::new();
    calm.file("in.csv", format!("{HEADER}{}", rows(0, written)));
    let once = calm.aoi(&format!("{WATCH} in.csv"));
    assert_eq!(number(&said, "kept"), number(&once, "kept"));
    // The last proposal on each limit is that of the store that was never disturbed.
    let last = |bench: &Bench| {
        let said = bench.aoi("tolerance ledger propose --ledger line --who a --why b --dead-band 0 --max-step none --max-total none");
        assert_eq!(said.code, 0, "{said:?}");
        let log = bench.aoi("tolerance ledger log --ledger line --json").out;
        let mut of_limit = std::collections::BTreeMap::new();
        for line in log.lines().filter(|l| l.contains("\"change\":\"limit\"")) {
            let entry: serde_json::Value = serde_json::from_str(line).unwrap();
            let change = &entry["change"];
            of_limit.insert(change["limit"]["part"].to_string(), change["to"].to_string());
        }
        of_limit
    };
    assert_eq!(last(&bench), last(&calm));
    assert_eq!(last(&calm).len(), 3);
}

/// A limit on the size of files stands in for a full disk: the system refuses the write in the middle.
#[test]
fn a_full_disk_is_an_error_and_what_was_acknowledged_stays() {
    let bench = Bench::new();
    bench.file("a.csv", format!("{HEADER}{}", rows(0, 500)));
    assert_eq!(number(&bench.aoi(&format!("{WATCH} a.csv")), "records"), 500);
    bench.file("b.csv", format!("{HEADER}{}", rows(500, 9000)));
    let mut refused = 0;
    for kib in [1, 30, 60, 120] {
        let script = format!("ulimit -f {kib}; trap '' XFSZ; exec \"$0\" {WATCH} b.csv");
        let said = Command::new("bash")
            .args(["-c", &script, env!("CARGO_BIN_EXE_aoi")])
            .current_dir(bench.path(""))
            .output()
            .expect("bash runs");
        let error = String::from_utf8_lossy(&said.stderr).into_owned();
        assert_eq!(said.status.code(), Some(1), "{kib} KiB: {error}");
        assert!(error.contains("cannot be written") && error.contains("line/"), "{error}");
        refused += 1;
        assert_verifies(&bench);
    }
    assert_eq!(refused, 4);
    let said = bench.aoi(&format!("{WATCH} b.csv"));
    assert_eq!(number(&said, "records"), 9000);
    let names: Vec<String> = std::fs::read_dir(bench.path("line"))
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|n| n.contains(".part"))
        .collect();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn one_process_takes_in_records_and_many_may_sign() {
    let bench = Bench::new();
    bench.file("a.csv", format!("{HEADER}{}", rows(0, 900)));
    assert_eq!(number(&bench.aoi(&format!("{WATCH} a.csv")), "records"), 900);
    let mut running =
        start(&bench, "tolerance watch --ledger line --poll 0.01 --max-step none --max-total none a.csv");
    // It locks the folder within its first moments.
    let refused = (0..200)
        .find_map(|_| {
            std::thread::sleep(Duration::from_millis(5));
            let said = bench.aoi(&format!("{WATCH} a.csv"));
            (said.code == 1).then_some(said)
        })
        .expect("the second is refused");
    assert!(refused.err.contains("another process"), "{refused:?}");
    let signing: Vec<Child> = (0..6)
        .map(|i| start(&bench, &format!("tolerance ledger approve {} --ledger line --who p{i} --why x --max-step none --max-total none", 1 + 3 * (i % 3))))
        .collect();
    let done = signing.into_iter().map(|mut c| c.wait().unwrap().success()).filter(|ok| *ok).count();
    assert_eq!(done, 3, "each of three proposals is approved once");
    running.kill().unwrap();
    running.wait().unwrap();
    assert_verifies(&bench);
    assert_eq!(limits_of(&bench).len(), 3);
}

/// Damage in the middle of the log is not what a crash leaves: it is refused, and named.
#[test]
fn a_damaged_log_is_refused_and_a_torn_one_is_taken_up() {
    let bench = Bench::new();
    bench.file("a.csv", format!("{HEADER}{}", rows(0, 300)));
    bench.file("b.csv", format!("{HEADER}{}", rows(300, 600)));
    for file in ["a.csv", "b.csv"] {
        assert_eq!(bench.aoi(&format!("{WATCH} {file}")).code, 0);
    }
    let path = bench.path("line/records.log");
    let good = std::fs::read(&path).unwrap();
    std::fs::remove_file(bench.path("line/snapshot.bin")).unwrap();
    let mut bad = good.clone();
    bad[200] ^= 1;
    std::fs::write(&path, &bad).unwrap();
    let said = bench.aoi(&format!("{WATCH} a.csv"));
    assert_eq!(said.code, 1);
    assert!(said.err.contains("damaged") && said.err.contains("restore"), "{said:?}");
    assert_eq!(bench.aoi("tolerance ledger verify --ledger line").code, 3);
    // Cut anywhere: the last whole batch counts, and reading the files again brings the rest back.
    let mut cuts = 0;
    for cut in [good.len() - 1, good.len() / 2, good.len() / 3, 60, 0] {
        std::fs::write(&path, &good[..cut]).unwrap();
        std::fs::remove_file(bench.path("line/snapshot.bin")).ok();
        for file in ["a.csv", "b.csv"] {
            assert_eq!(bench.aoi(&format!("{WATCH} {file}")).code, 0, "cut at {cut}");
        }
        let said = bench.aoi(&format!("{WATCH} b.csv"));
        assert_eq!(number(&said, "records"), 600, "cut at {cut}");
        cuts += 1;
    }
    assert_eq!(cuts, 5);
}

/// A snapshot that is damaged or of another log only costs time.
#[test]
fn a_bad_snapshot_is_passed_over() {
    let bench = Bench::new();
    bench.file("a.csv", format!("{HEADER}{}", rows(0, 300)));
    assert_eq!(number(&bench.aoi(&format!("{WATCH} a.csv")), "records"), 300);
    let path = bench.path("line/snapshot.bin");
    let good = std::fs::read(&path).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0x40;
    for bad in [&flipped[..], &good[..good.len() / 2], &[]] {
        std::fs::write(&path, bad).unwrap();
        let said = bench.aoi(&format!("{WATCH} a.csv"));
        assert_eq!((number(&said, "records"), number(&said, "kept")), (300, 30));
    }
}
