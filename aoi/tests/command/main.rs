//! The command as its users meet it: exit codes, files, summaries, help.

#[path = "../support/mod.rs"]
mod support;

mod input;
mod limits;

use std::io::Write;

use support::{Bench, HEADER, records, records_and};

const OPTIMISE: &str = "tolerance optimise in.csv --out limits.csv";

/// A folder with the good file in it.
fn good() -> Bench {
    let bench = Bench::new();
    bench.file("in.csv", records());
    bench
}

#[test]
fn every_command_has_help_with_an_example() {
    let bench = Bench::new();
    for command in
        ["demo", "tolerance optimise", "tolerance inspect", "tolerance simulate", "tolerance validate"]
    {
        let said = bench.aoi(&format!("{command} --help"));
        assert_eq!(said.code, 0);
        assert!(said.out.contains("Example") && said.out.contains(&format!("aoi {command}")), "{}", said.out);
    }
    assert!(bench.aoi("--help").out.contains("Exit codes"));
    assert!(bench.files().is_empty(), "help writes nothing");
}

#[test]
fn wrong_usage_exits_with_2_and_writes_nothing() {
    let bench = good();
    for words in [
        "",
        "tolerance",
        "tolerance optimise in.csv",
        "tolerance optimise in.csv --out l.csv --percentile 101",
        "tolerance optimise in.csv --out l.csv --percentile nan",
        "tolerance optimise in.csv --out l.csv --percentile-type 10",
        "tolerance optimise in.csv --out l.csv --margin -1",
        "tolerance optimise in.csv --out l.csv --resolution 0",
        "tolerance optimise in.csv --out l.csv --policy brave",
        "tolerance optimise in.csv --out l.csv --policy certified --alpha 0",
        "tolerance optimise in.csv --out l.csv --delta 1",
        "tolerance optimise in.csv --out l.csv --threads 0",
        "tolerance optimise in.csv --out l.csv --pool feature",
        "tolerance optimise in.csv --out l.csv --joint --policy paper",
        "tolerance optimise in.csv --out l.csv --joint --misses 1",
        "tolerance optimise in.csv --out l.csv --held h.csv",
        "tolerance simulate in.csv --out s.csv --percentiles 90:80:1",
        "tolerance validate in.csv --out v.csv --split kfold:1",
    ] {
        let said = bench.aoi(words);
        assert_eq!(said.code, 2, "{words}: {said:?}");
        assert!(!said.err.is_empty(), "{words}");
    }
    assert_eq!(bench.files(), ["in.csv"]);
}

#[test]
fn a_blocked_limit_is_the_answer_no_only_under_strict() {
    let bench = Bench::new();
    bench.file("in.csv", records_and("R1,solder,height,39.5,40,,"));
    assert_eq!(bench.aoi(OPTIMISE).code, 0);
    let strict = bench.aoi(&format!("{OPTIMISE} --strict"));
    assert_eq!(strict.code, 3);
    assert!(strict.err.contains("blocked: R1 / solder / height lower limit"), "{}", strict.err);
    assert_eq!(bench.table("limits.csv").len(), 1, "the files are written all the same");
    assert_eq!(good().aoi(&format!("{OPTIMISE} --strict")).code, 0);
}

#[test]
fn no_defect_is_no_evidence_in_words() {
    let bench = Bench::new();
    let kept: Vec<String> =
        records().lines().filter(|l| !l.contains("defect")).map(|l| format!("{l}\n")).collect();
    bench.file("in.csv", kept.concat());
    bench.aoi(&format!("{OPTIMISE} --policy paper"));
    let row = &bench.table("limits.csv")[0];
    assert_eq!((row.get("decision"), row.get("escape_bound")), ("relaxed", "no evidence"));
    bench.aoi(OPTIMISE);
    let row = &bench.table("limits.csv")[0];
    assert_eq!((row.get("decision"), row.get("escape_bound")), ("kept", "0"));
}

#[test]
fn the_summary_is_one_json_object_on_request() {
    let bench = good();
    for words in [
        format!("{OPTIMISE} --json"),
        "tolerance inspect in.csv --json".into(),
        "tolerance simulate in.csv --out s.csv --json".into(),
        "tolerance validate in.csv --split loo --out v.csv --json".into(),
    ] {
        let said = bench.aoi(&words);
        assert_eq!(said.code, 0, "{words}: {said:?}");
        let summary: serde_json::Value = serde_json::from_str(&said.out).unwrap();
        assert!(summary.is_object(), "{words}");
    }
    let said = bench.aoi(&format!("{OPTIMISE} --json"));
    let summary: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&summary["false_calls_after"], &summary["defects_after"]), (&16.into(), &2.into()));
}

#[test]
fn an_unwritable_place_is_named_and_the_old_file_stays() {
    let bench = good();
    bench.file("limits.csv", "old");
    let said = bench.aoi("tolerance optimise in.csv --out no/such/place/limits.csv");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("no/such/place/limits.csv"), "{}", said.err);
    assert_eq!(bench.aoi("tolerance optimise nothing.csv --out limits.csv").code, 1);
    assert_eq!(std::fs::read_to_string(bench.path("limits.csv")).unwrap(), "old");
    assert_eq!(bench.files(), ["in.csv", "limits.csv"]);
}

#[test]
fn the_demo_writes_everything_it_names_and_repeats_itself() {
    let run = || {
        let bench = Bench::new();
        let said = bench.aoi("demo --quick --report-time 2026-01-01T00:00:00Z");
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.out.contains("54 of 54 known defects stay flagged"), "{}", said.out);
        let names =
            ["records.csv", "limits.csv", "sweep.csv", "validation.csv", "rejects.csv", "report.html"];
        let mean = said.out.lines().find(|l| l.starts_with("mean ")).expect("the scores of the masks");
        let mean_iou: f64 = mean.split_whitespace().nth(1).expect("a number").parse().expect("a number");
        assert!(mean_iou > 0.65, "{mean}");
        let bonds = ["segmentation.html", "records.csv", "limits.csv", "report.html"]
            .map(|name| std::fs::read_to_string(bench.path("aoi-demo/bonds").join(name)).expect(name));
        let texts = names.map(|name| {
            let text = std::fs::read_to_string(bench.path("aoi-demo").join(name)).unwrap();
            assert!(said.out.contains(name) && !text.is_empty(), "{name}");
            text
        });
        (texts, bonds)
    };
    assert!(run() == run());
}

#[cfg(unix)]
#[test]
fn an_interrupted_command_leaves_no_file() {
    use std::process::{Command, Stdio};

    let bench = Bench::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_aoi"))
        .args(["tolerance", "optimise", "-", "--out"])
        .arg(bench.path("limits.csv"))
        .arg("--rejects")
        .arg(bench.path("rejects.csv"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{HEADER}").unwrap();
    let rows: String = records().split_once('\n').unwrap().1.repeat(2000);
    stdin.write_all(rows.as_bytes()).unwrap();
    // The rejects file has been started under its temporary name by now; nothing else is there.
    assert_eq!(bench.files().len(), 1, "{:?}", bench.files());
    // The shell's own kill: a bare machine may lack the program.
    let kill = Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap();
    assert!(kill.success());
    // The command looks at the request when the next block has been read; then it stops reading.
    while stdin.write_all(rows.as_bytes()).is_ok() {}
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("stopped on request"));
    assert!(bench.files().is_empty(), "{:?}", bench.files());
}
