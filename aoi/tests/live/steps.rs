//! Propose, simulate, validate, approve, apply, revert: in that order, by name, and only while the records support it.

use super::support::Bench;
use super::{HEADER, WATCH, assert_verifies, number, rows};

const SIGNED: &str = "--ledger line --who A.Berg --why because --max-step none --max-total none";

/// A line of 1,500 rows with three limits that could be relaxed: proposals 1, 4 and 7, each with its simulation and validation.
fn line() -> Bench {
    let bench = Bench::new();
    bench.file("in.csv", format!("{HEADER}{}", rows(0, 1500)));
    let said = bench.aoi(&format!("{WATCH} in.csv"));
    assert_eq!((number(&said, "records"), number(&said, "waiting")), (1500, 3), "{said:?}");
    bench
}

fn log(bench: &Bench) -> String {
    bench.aoi("tolerance ledger log --ledger line").out
}

#[test]
fn a_change_takes_every_step_and_can_be_reverted() {
    let bench = line();
    let first = log(&bench);
    for word in ["propose: loosen R0", "simulate 1", "validate 1", "waits for approval", "aoi watch"] {
        assert!(first.contains(word), "{word}: {first}");
    }
    let early = bench.aoi(&format!("tolerance ledger apply 1 {SIGNED}"));
    assert_eq!(early.code, 1);
    assert!(early.err.contains("proposal 1 cannot be applied: it waits for approval"), "{early:?}");
    for step in ["approve 1", "apply 1"] {
        let said = bench.aoi(&format!("tolerance ledger {step} {SIGNED}"));
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.out.contains("head"), "{said:?}");
    }
    let shown = bench.aoi("tolerance ledger show 11 --limits --ledger line").out;
    assert!(shown.starts_with("R0 / solder / height / lower 40 -> 3"), "{shown}");
    assert!(
        bench
            .aoi("tolerance ledger show 10 --limits --ledger line")
            .out
            .contains("every limit was the old one")
    );
    let entry = bench.aoi("tolerance ledger show 1 --ledger line").out;
    for field in [
        "certificate_defects",
        "escape_bound",
        "confidence",
        "sha256",
        "software",
        "\"aoi 0",
        "who",
        "why",
        "Z\"",
    ] {
        assert!(entry.contains(field), "{field}: {entry}");
    }
    // The line goes on under the new limit: what it releases is presumed a false call, what it flags is reviewed.
    let limit: f64 = shown.trim().rsplit(' ').next().unwrap().parse().unwrap();
    let between = format!(
        "{HEADER}R0,solder,height,{:.2},{limit},,,late1,2026-03-02T00:00:00Z\n",
        f64::midpoint(limit, 40.0)
    );
    bench.file("next.csv", between);
    let said = bench.aoi(&format!("{WATCH} next.csv"));
    assert_eq!((number(&said, "released"), number(&said, "new")), (1, 1));
    let reverted = bench.aoi(&format!("tolerance ledger revert 1 {SIGNED}"));
    assert_eq!(reverted.code, 0, "{reverted:?}");
    let last = log(&bench).lines().count();
    let shown = bench.aoi(&format!("tolerance ledger show {last} --limits --ledger line")).out;
    assert!(shown.contains("every limit was the old one"), "{shown}");
    assert!(log(&bench).contains("[was reverted]"));
    assert_verifies(&bench);
    let status = std::fs::read_to_string(bench.path("line/status.html")).unwrap();
    assert!(status.contains("No alarm") && status.contains("Waiting for approval"), "{status}");
    assert!(bench.path("line/report.html").exists());
}

#[test]
fn an_escape_is_an_alarm_and_tightens_by_itself_where_the_policy_says_so() {
    let bench = line();
    for step in ["approve 1", "apply 1"] {
        assert_eq!(bench.aoi(&format!("tolerance ledger {step} {SIGNED}")).code, 0);
    }
    let shown = bench.aoi("tolerance ledger show 11 --limits --ledger line").out;
    let limit: f64 = shown.trim().rsplit(' ').next().unwrap().parse().unwrap();
    let value = limit + 0.5;
    bench.file(
        "bad.csv",
        format!("{HEADER}R0,solder,height,{value},{limit},,escape,bad,2026-03-03T00:00:00Z\n"),
    );
    let said = bench.aoi(&format!("{WATCH} bad.csv --tighten-automatically"));
    assert_eq!(said.code, 0);
    assert!(said.err.contains("ALARM: ESCAPE"), "{said:?}");
    let log = log(&bench);
    assert!(log.contains("escape: ESCAPE") && log.contains("propose: tighten R0"), "{log}");
    let last = log.lines().filter(|l| l.contains("apply")).count();
    assert_eq!(last, 2, "{log}");
    // The defect is flagged now.
    let entries = log.lines().count();
    let shown = bench.aoi(&format!("tolerance ledger show {entries} --limits --ledger line")).out;
    let now: f64 = shown.trim().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(now > value, "{now} {value}");
    // Going back would loosen: that takes a second name.
    let tightened = log.lines().find(|l| l.contains("propose: tighten")).unwrap();
    let proposal: u64 = tightened.split_whitespace().next().unwrap().parse().unwrap();
    let said = bench.aoi(&format!("tolerance ledger revert {proposal} {SIGNED}"));
    assert_eq!(said.code, 1);
    assert!(said.err.contains("approved-by"), "{said:?}");
    assert_verifies(&bench);
}

#[test]
fn a_proposal_that_the_records_no_longer_support_cannot_be_approved() {
    let bench = line();
    bench.file("more.csv", format!("{HEADER}R0,solder,height,39.9,40,,defect,worst,2026-03-03T00:00:00Z\n"));
    // Taken in, but the waiting proposal is not renewed: nothing may be proposed inside a dead band of everything.
    let said = bench.aoi(&format!("{WATCH} more.csv --dead-band 1000"));
    assert_eq!(said.code, 0, "{said:?}");
    let said = bench.aoi(&format!("tolerance ledger approve 1 {SIGNED}"));
    assert_eq!(said.code, 1);
    assert!(said.err.contains("no longer support"), "{said:?}");
    let said = bench.aoi(&format!("tolerance ledger approve 1 --reject {SIGNED}"));
    assert_eq!(said.code, 0, "{said:?}");
    assert!(log(&bench).contains("[was rejected]"));
}

#[test]
fn a_defect_leaves_only_by_an_approved_withdrawal() {
    let bench = line();
    let defects = || {
        let log = bench.aoi("tolerance ledger log --ledger line --json").out;
        let last = log
            .lines()
            .rfind(|l| l.contains("\"change\":\"limit\"") && l.contains("\"R0\""))
            .unwrap()
            .to_owned();
        let entry: serde_json::Value = serde_json::from_str(&last).unwrap();
        entry["change"]["defects"][0].as_u64().unwrap()
    };
    let before = defects();
    bench.file(
        "talk.csv",
        format!("{HEADER}R0,solder,height,26.00,40,,false_call,id300,2026-03-01T00:00:00Z\n"),
    );
    let said = bench.aoi(&format!("{WATCH} talk.csv"));
    assert!(
        said.err.contains("verdict withdrawn") && said.err.contains("withdraw the defect at"),
        "{said:?}"
    );
    let log = log(&bench);
    let asked = log.lines().find(|l| l.contains("propose: withdraw")).unwrap_or_else(|| panic!("{log}"));
    let number: u64 = asked.split_whitespace().next().unwrap().parse().unwrap();
    for step in ["approve", "apply"] {
        let said = bench.aoi(&format!("tolerance ledger {step} {number} {SIGNED}"));
        assert_eq!(said.code, 0, "{said:?}");
    }
    // One value more among the false calls, one defect fewer: proposed anew when records come.
    bench.file("more.csv", format!("{HEADER}{}", rows(1500, 1900)));
    assert_eq!(bench.aoi(&format!("{WATCH} more.csv --dead-band 0")).code, 0);
    let added = (1500..1900).filter(|i| i % 50 == 0 && i % 3 == 0).count() as u64;
    assert_eq!(defects(), before + added - 1);
}

#[test]
fn wrong_usage_is_told() {
    let bench = Bench::new();
    for (words, code) in [
        ("tolerance ledger log --ledger nowhere", 1),
        ("tolerance ledger verify --ledger nowhere", 1),
        ("tolerance ledger propose --ledger nowhere --who a --why b", 1),
        ("tolerance watch --ledger line --once missing.csv", 1),
        ("tolerance watch --ledger line --once in.csv --window days:0", 2),
        ("tolerance watch --ledger line --once in.csv --max-step -1", 2),
        ("tolerance ledger approve 1 --ledger line", 2),
        ("tolerance watch in.csv", 2),
    ] {
        let said = bench.aoi(words);
        assert_eq!(said.code, code, "{words}: {said:?}");
        assert!(!said.err.is_empty(), "{words}");
    }
    for command in [
        "watch",
        "ledger propose",
        "ledger approve",
        "ledger apply",
        "ledger revert",
        "ledger log",
        "ledger show",
        "ledger verify",
    ] {
        let said = bench.aoi(&format!("tolerance {command} --help"));
        assert!(
            said.out.contains("Example") && said.out.contains(&format!("aoi tolerance {command}")),
            "{}",
            said.out
        );
    }
}
