//! The command as its users meet it: exit codes, files, summaries, help.

mod support;

use std::io::Write;

use aoi::demo::line::{LineOptions, write_line};
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
fn the_limits_file_has_the_columns_of_the_format_in_their_order() {
    let bench = good();
    bench.aoi(OPTIMISE);
    let text = std::fs::read_to_string(bench.path("limits.csv")).unwrap();
    let expected = "part,model,inspection,feature,side,old_limit,new_limit,decision,reason,percentile,percentile_type,\
        false_calls_before,false_calls_after,defects_before,defects_after,nearest_defect,margin,certificate_n,certificate_r,\
        escape_bound,confidence,input_sha256,revision,unit,limit_version,suggested_limit,defects_unflagged,resolution";
    assert!(text.starts_with(expected), "{text}");
    let row = &bench.table("limits.csv")[0];
    let counts =
        ["false_calls_before", "false_calls_after", "defects_before", "defects_after", "certificate_n"];
    assert_eq!(counts.map(|c| row.get(c)), ["20", "16", "2", "2", "2"]);
    // 1 - 0.05^(1/2)
    assert!((row.number("escape_bound") - 0.776_393_202_250_021).abs() < 1e-14);
    assert_eq!(row.get("input_sha256").len(), 64);
}

#[test]
fn limits_as_json_say_the_same_as_csv() {
    let bench = good();
    bench.aoi(OPTIMISE);
    assert_eq!(bench.aoi("tolerance optimise in.csv --out limits.json").code, 0);
    let text = std::fs::read_to_string(bench.path("limits.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let row = &bench.table("limits.csv")[0];
    assert_eq!(json[0]["new_limit"].as_f64(), Some(row.number("new_limit")));
    assert_eq!(json[0]["part"], "R1");
    assert_eq!(json[0]["suggested_limit"], serde_json::Value::Null);
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
fn standard_input_and_several_files_are_one_set_of_records() {
    let bench = good();
    bench.aoi(OPTIMISE);
    let whole = bench.table("limits.csv")[0].get("new_limit").to_owned();
    let said = bench.aoi_with("tolerance optimise - --out limits.csv", records().as_bytes());
    assert_eq!((said.code, bench.table("limits.csv")[0].get("new_limit")), (0, whole.as_str()));
    let lines: Vec<String> = records().lines().skip(1).map(|l| format!("{l}\n")).collect();
    bench.file("a.csv", format!("{HEADER}\n{}", lines[..9].concat()));
    bench.file("b.csv", format!("{HEADER}\n{}", lines[9..].concat()));
    for order in ["a.csv b.csv", "b.csv a.csv"] {
        assert_eq!(bench.aoi(&format!("tolerance optimise {order} --out limits.csv")).code, 0);
        assert_eq!(bench.table("limits.csv")[0].get("new_limit"), whole);
    }
}

#[test]
fn threads_change_nothing_not_even_the_rejects() {
    let bench = Bench::new();
    // Over several blocks of a megabyte, with a bad row now and then.
    let mut text = format!("{HEADER}\n").into_bytes();
    for i in 0..60_000 {
        let value = if i % 5000 == 17 {
            "x".to_owned()
        } else {
            format!("{:.2}", 40.0 - f64::from(1 + i % 997) * 0.01)
        };
        let verdict = if i % 701 == 3 { "defect" } else { "false_call" };
        let verdict = if value == "x" { "false_call" } else { verdict };
        writeln!(text, "R{},solder joint of a package,height,{value},40,,{verdict}", i % 13).unwrap();
    }
    assert!(text.len() > 3 << 20);
    bench.file("in.csv", &text);
    let run = |threads: u32| {
        let said = bench.aoi(&format!("{OPTIMISE} --rejects rejects.csv --threads {threads}"));
        assert_eq!(said.code, 0, "{said:?}");
        ["limits.csv", "rejects.csv"].map(|f| std::fs::read(bench.path(f)).unwrap())
    };
    let one = run(1);
    assert_eq!(bench.table("rejects.csv").len(), 12);
    assert_eq!(bench.table("rejects.csv")[1].get("row"), "5019");
    assert!(one == run(2) && one == run(5));
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
fn a_sweep_holds_every_limit_at_every_percentile() {
    let bench = good();
    let said = bench.aoi("tolerance simulate in.csv --percentiles 50:100:1 --out s.csv");
    assert_eq!(said.code, 0);
    let rows = bench.table("s.csv");
    assert_eq!(rows.len(), 51);
    bench.aoi(OPTIMISE);
    let at = |p: f64| rows.iter().find(|r| r.number("percentile") == p).unwrap().number("limit");
    assert_eq!(at(80.0), bench.table("limits.csv")[0].number("new_limit"));
    assert!(at(100.0) > at(80.0) && at(80.0) > at(50.0));
}

#[test]
fn a_resolution_and_a_margin_reach_the_limit() {
    let bench = Bench::new();
    bench.file("in.csv", records_and("R1,solder,height,39.45,40,,defect"));
    let limit = |options: &str| {
        assert_eq!(bench.aoi(&format!("{OPTIMISE} {options}")).code, 0);
        bench.table("limits.csv")[0].number("new_limit")
    };
    // The percentile, 39.52, already keeps a defect at 39.45 flagged; with a margin it must move up.
    assert_eq!(limit("--resolution 0.1"), 39.6);
    assert_eq!(limit("--margin 0.25"), 39.45 + 0.25);
    assert_eq!(limit("--margin 0.25 --resolution auto"), 39.7);
    assert_eq!(limit("--margin 5"), 40.0);
}

#[test]
fn mapping_table_and_wide_files_meet_in_one_job() {
    let bench = Bench::new();
    let mut text = "Typ;Seriennummer;h [um];tilt;Urteil\n".to_owned().into_bytes();
    for i in 1..=20 {
        writeln!(text, "R1;B{i};{};;Pseudo", f64::from(400 - i) / 10.0).unwrap();
    }
    text.extend(b"R1;B21;31,5;0,5;echt\nR1;B22;;;nicht gemessen\n");
    let text = String::from_utf8(text).unwrap().replace('.', ",");
    let map = r#"
        [file]
        delimiter = ";"
        decimal_comma = true
        [columns]
        part = "Typ"
        board = "Seriennummer"
        verdict = "Urteil"
        [constants]
        inspection = "body"
        [verdict.words]
        "echt" = "defect"
        "nicht gemessen" = "pass"
        [wide]
        features_from_tolerances = true
        [tolerances]
        feature = "Merkmal"
        lower = "UGW"
        upper = "OGW"
    "#;
    bench
        .file("in.csv", text)
        .file("map.toml", map)
        .file("tol.csv", "Merkmal;UGW;OGW;unit\nh [um];40;;um\ntilt;-1;1;deg\n");
    let said = bench.aoi(&format!("{OPTIMISE} --map map.toml --limits tol.csv --rejects rejects.csv"));
    assert_eq!(said.code, 0, "{said:?}");
    assert!(bench.table("rejects.csv").is_empty(), "{:?}", bench.table("rejects.csv"));
    let limits = bench.table("limits.csv");
    let named: Vec<_> =
        limits.iter().map(|r| (r.get("feature"), r.get("side"), r.get("unit"), r.get("decision"))).collect();
    // The defect of board 21 was flagged by its height, so that its tilt inside the limits is no escape.
    assert_eq!(
        named,
        [
            ("h [um]", "lower", "um", "relaxed"),
            ("tilt", "lower", "deg", "kept"),
            ("tilt", "upper", "deg", "kept")
        ]
    );
}

#[test]
fn limits_written_about_a_nominal_value_go_back_in_that_form() {
    let bench = Bench::new();
    let mut text = b"part,feature,value,nominal,lower,upper,verdict\n".to_vec();
    for i in 1..=20 {
        writeln!(text, "R1,height,{},50,10,,false_call", 40.0 - 0.1 * f64::from(i)).unwrap();
    }
    text.extend(b"R1,height,30,50,10,,defect\n");
    bench.file("in.csv", text).file("map.toml", "[limits]\nform = \"plus_minus\"\n");
    assert_eq!(bench.aoi(&format!("{OPTIMISE} --map map.toml")).code, 0);
    let row = &bench.table("limits.csv")[0];
    assert_eq!((row.number("old_limit"), row.get("limit_form")), (40.0, "plus_minus"));
    let written = row.number("new_limit_in_form");
    assert!((written - 10.48).abs() < 1e-12 && 50.0 - written >= row.number("new_limit"));
}

#[test]
fn a_radial_limit_bounds_the_length_of_an_offset() {
    let bench = Bench::new();
    let mut text = b"part,feature,dx,dy,upper,verdict\n".to_vec();
    for i in 1..=20 {
        // 3-4-5 triangles: lengths 5.5, 6, 6.5 ...
        let scale = 1.0 + 0.1 * f64::from(i);
        writeln!(text, "R1,offset,{},{},5,false_call", 3.0 * scale, -4.0 * scale).unwrap();
    }
    text.extend(b"R1,offset,-30,40,5,defect\nR1,offset,3,4,5,pass\nR1,offset,x,4,5,false_call\n");
    bench.file("in.csv", text).file("map.toml", "[limits]\nform = \"radial\"\n");
    let said = bench.aoi(&format!("{OPTIMISE} --map map.toml --rejects rejects.csv"));
    assert_eq!(said.code, 0, "{said:?}");
    let row = &bench.table("limits.csv")[0];
    assert_eq!((row.get("side"), row.get("decision"), row.get("limit_form")), ("upper", "relaxed", "radial"));
    // -numpy.percentile(-lengths, 80) of 5.5, 6 ... 15.
    assert!((row.number("new_limit") - 7.4).abs() < 1e-12, "{row:?}");
    let rejects = bench.table("rejects.csv");
    assert_eq!((rejects.len(), rejects[0].get("column"), rejects[0].get("row")), (1, "dx", "24"));
}

#[test]
fn limits_in_percent_of_a_nominal_value_follow_each_rows_nominal() {
    let bench = Bench::new();
    let mut text = b"part,feature,value,nominal,lower,upper,verdict\n".to_vec();
    for i in 1..=20 {
        writeln!(text, "R1,height,{},50,-20,30,false_call", 40.0 - 0.1 * f64::from(i)).unwrap();
    }
    text.extend(b"R1,height,30,50,-20,30,defect\nR1,height,60,,-20,30,false_call\n");
    bench.file("in.csv", text).file("map.toml", "[limits]\nform = \"percent_deviation\"\n");
    let said = bench.aoi(&format!("{OPTIMISE} --map map.toml --rejects rejects.csv"));
    assert_eq!(said.code, 0, "{said:?}");
    let limits = bench.table("limits.csv");
    let old: Vec<_> = limits.iter().map(|r| (r.get("side"), r.number("old_limit"))).collect();
    assert_eq!(old, [("lower", 40.0), ("upper", 65.0)]);
    // 39.52 lies 20.96 % below 50.
    assert!((limits[0].number("new_limit_in_form") + 20.96).abs() < 1e-10, "{limits:?}");
    assert!(bench.table("rejects.csv")[0].get("reason").contains("nominal"));
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

#[test]
fn the_published_example_of_records_is_read_without_a_reject() {
    let example = include_bytes!("../../aoi-tolerance/formats/records.example.csv");
    let bench = Bench::new();
    let said = bench.file("in.csv", example).aoi("tolerance inspect in.csv --rejects rejects.csv --json");
    let summary: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (&summary["measured"], &summary["outside"], &summary["limits"]),
        (&4.into(), &3.into(), &3.into())
    );
    assert!(bench.table("rejects.csv").is_empty());
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

#[test]
fn a_verdict_built_from_two_columns_is_counted_by_rule() {
    let map = r#"
        [file]
        missing = ["NA"]
        [columns]
        part = "Component"
        inspection = "Test"
        [[verdict.rules]]
        name = "good"
        when = { Operator = "Good" }
        verdict = "false_call"
        [[verdict.rules]]
        name = "overturned"
        when = { Operator = "Bad", Repair = "FalseScrap" }
        verdict = "false_call"
        [[verdict.rules]]
        when = { Operator = "Bad", Repair = "" }
        verdict = "provisional"
    "#;
    let rows = "Component,Test,Operator,Repair\nC1,Size,Good,NA\nC1,Size,bad,FalseScrap\nC2,Size,Bad,NA\nC2,Size,Bad,Burnt\n";
    let bench = Bench::new();
    bench.file("in.csv", rows).file("map.toml", map);
    let said = bench.aoi("tolerance inspect in.csv --map map.toml");
    assert_eq!(said.code, 0, "{said:?}");
    let spaced = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in [
        "1 false_call good",
        "1 false_call overturned",
        "1 provisional Operator=Bad & Repair=",
        "1 - no rule matches",
    ] {
        assert!(spaced.contains(line), "{line:?} in {}", said.out);
    }
    assert!(said.out.contains("no value column"));
}

#[test]
fn limits_chosen_together_release_more_of_a_line_with_several_features_and_lose_no_defect() {
    let bench = Bench::new();
    let mut csv = Vec::new();
    write_line(&mut csv, &LineOptions { features: 3, ..LineOptions::default() }).unwrap();
    bench.file("records.csv", csv);
    let words = "tolerance optimise records.csv --out limits.csv --json";
    let alone: serde_json::Value = serde_json::from_str(&bench.aoi(words).out).unwrap();
    assert!(alone["joint"].is_null());
    let said = bench.aoi(&format!("{words} --joint --held held.csv"));
    let together: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let count = |name: &str| together["joint"][name].as_u64().unwrap();
    assert!(count("released") > count("released_one_by_one"), "{}", said.out);
    assert!(count("released") <= count("at_most") && count("at_most") <= count("instances"));
    assert!(together["false_calls_after"].as_u64() < alone["false_calls_after"].as_u64());

    // Every fault of the records is in the table, and one of its rows is still flagged.
    let mut faults = std::collections::BTreeMap::new();
    let held = bench.table("held.csv");
    let rows: std::collections::HashMap<_, _> =
        held.iter().map(|row| (row.get("row").to_owned(), row.get("still_flagged") == "true")).collect();
    let records = std::fs::read_to_string(bench.path("records.csv")).unwrap();
    for (number, line) in (1..).zip(records.lines()).filter(|(_, line)| line.contains(",defect,")) {
        let name = line.split(',').nth(9).unwrap().to_owned();
        *faults.entry(name).or_insert(false) |= rows[&number.to_string()];
    }
    assert_eq!(faults.len(), LineOptions::default().defects);
    assert!(faults.values().all(|held| *held), "{faults:?}");
    assert!(held.iter().any(|row| row.get("still_flagged") == "false"), "some limit was let go");
}
