//! Where records come from: standard input, several files, mappings, tolerance tables, verdicts of two columns.

use std::io::Write;

use super::support::{Bench, HEADER, records};
use super::{OPTIMISE, good};

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
fn the_published_example_of_records_is_read_without_a_reject() {
    let example = include_bytes!("../../../aoi-tolerance/formats/records.example.csv");
    let bench = Bench::new();
    let said = bench.file("in.csv", example).aoi("tolerance inspect in.csv --rejects rejects.csv --json");
    let summary: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        (&summary["measured"], &summary["outside"], &summary["limits"]),
        (&4.into(), &3.into(), &3.into())
    );
    assert!(bench.table("rejects.csv").is_empty());
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
