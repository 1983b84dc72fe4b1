//! The limits that come out: their files, their forms, and what is asked of them.

use std::io::Write;

use aoi::demo::line::{LineOptions, write_line};

use super::support::{Bench, records_and};
use super::{OPTIMISE, good};

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
