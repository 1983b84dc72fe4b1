//! Released values drawn for review, and what their review proves.

use std::fmt::Write;

use super::support::{Bench, Said};
use super::{HEADER, WATCH, assert_verifies, number, rows};

const SIGNED: &str = "--ledger line --who A.Berg --why audit";
const RELEASED: u64 = 200;

/// A line whose limit on R0 is relaxed, and `RELEASED` values that it let pass since; the last `nameless` of them without a record id.
fn line(nameless: u64) -> Bench {
    let bench = Bench::new();
    bench.file("in.csv", format!("{HEADER}{}", rows(0, 1500)));
    assert_eq!(number(&bench.aoi(&format!("{WATCH} in.csv")), "waiting"), 3);
    for step in ["approve 1", "apply 1"] {
        let said = bench.aoi(&format!("tolerance ledger {step} {SIGNED} --max-step none --max-total none"));
        assert_eq!(said.code, 0, "{said:?}");
    }
    let shown = bench.aoi("tolerance ledger show 11 --limits --ledger line").out;
    let limit: f64 = shown.trim().rsplit(' ').next().unwrap().parse().unwrap();
    let mut text = "part,inspection,feature,value,lower,verdict,board,refdes,record_id,time\n".to_owned();
    for i in 0..RELEASED {
        let value = limit + (40.0 - limit) * (i as f64 + 0.5) / RELEASED as f64;
        let id = if i + nameless < RELEASED { format!("late{i}") } else { String::new() };
        writeln!(text, "R0,solder,height,{value},{limit},,B{i},R{i},{id},2026-03-02T00:00:00Z").unwrap();
    }
    bench.file("next.csv", text);
    let said = bench.aoi(&format!("{WATCH} next.csv --dead-band 1000"));
    assert_eq!((number(&said, "released"), number(&said, "new")), (RELEASED, RELEASED), "{said:?}");
    bench
}

/// Draws and gives the number of the entry.
fn draw(bench: &Bench, count: u64, seed: u64) -> u64 {
    let said =
        bench.aoi(&format!("tolerance audit draw {SIGNED} --count {count} --seed {seed} --out sample.csv"));
    assert_eq!(said.code, 0, "{said:?}");
    let entry = said.out.lines().find_map(|l| l.strip_prefix("entry ")).unwrap();
    entry.split(':').next().unwrap().parse().unwrap()
}

fn bound(bench: &Bench, entry: u64) -> serde_json::Value {
    let said = bench.aoi(&format!("tolerance audit bound {entry} --ledger line --json"));
    assert_eq!(said.code, 0, "{said:?}");
    serde_json::from_str(&said.out).unwrap()
}

/// Fills in the verdicts of the sample; the first `defects` of it are defects.
fn judge(bench: &Bench, defects: usize) -> Said {
    let sample = std::fs::read_to_string(bench.path("sample.csv")).unwrap();
    let mut lines = sample.lines();
    let header = lines.next().unwrap();
    let at = header.split(',').position(|c| c == "verdict").unwrap();
    let mut judged = format!("{header}\n");
    for (i, line) in lines.enumerate() {
        let mut fields: Vec<&str> = line.split(',').collect();
        assert_eq!(fields[at], "");
        fields[at] = if i < defects { "defect" } else { "false_call" };
        writeln!(judged, "{}", fields.join(",")).unwrap();
    }
    bench.file("judged.csv", judged);
    bench.aoi(&format!("{WATCH} judged.csv --dead-band 1000"))
}

/// The most defects among `all` of which `sample` values show none with a chance above 5 %: multiplied out.
fn most_unseen(all: u64, sample: u64) -> u64 {
    let unseen = |defects: u64| {
        (0..sample).map(|i| (all - defects).saturating_sub(i) as f64 / (all - i) as f64).product::<f64>()
    };
    (0..=all).rev().find(|m| unseen(*m) > 0.05).unwrap()
}

#[test]
fn a_review_without_defects_bounds_the_escapes_by_the_size_of_the_sample() {
    let bench = line(0);
    let entry = draw(&bench, 40, 7);
    let sample = std::fs::read_to_string(bench.path("sample.csv")).unwrap();
    assert_eq!(sample.lines().count(), 41);
    let third = sample.lines().nth(3).unwrap();
    let (id, board) = (third.rsplit(',').next().unwrap(), third.split(',').nth(10).unwrap());
    assert_eq!(id.strip_prefix("late"), board.strip_prefix('B'), "{third}");
    assert!(third.contains("2026-03-02T00:00:00Z"), "{third}");
    // Nothing was looked at: every drawn value may be a defect.
    let early = bound(&bench, entry);
    assert_eq!((&early["unreviewed"], &early["good"]), (&40.into(), &0.into()));
    assert_eq!(early["defects_released_at_most"], RELEASED);

    let said = judge(&bench, 0);
    assert_eq!((number(&said, "corrected"), number(&said, "new")), (40, 0), "{said:?}");
    let after = bound(&bench, entry);
    assert_eq!((&after["good"], &after["defects"], &after["unreviewed"]), (&40.into(), &0.into(), &0.into()));
    let most = most_unseen(RELEASED, 40);
    assert_eq!(after["defects_released_at_most"], most);
    let caught = after["flagged_defects"].as_u64().unwrap();
    assert_eq!(caught, 30, "one row in fifty of 1,500");
    let rate = after["escape_rate_at_most"].as_f64().unwrap();
    assert!((rate - most as f64 / (most + caught) as f64).abs() < 1e-15);
    let said = bench.aoi(&format!("tolerance audit bound {entry} --ledger line")).out;
    assert!(
        said.contains("40 good, 0 defects") && said.contains(&format!("at most      {most} defects")),
        "{said}"
    );
    assert_verifies(&bench);
    assert!(bench.aoi("tolerance ledger log --ledger line").out.contains("draw 40 of 200 released values"));
}

#[test]
fn a_defect_in_the_sample_is_an_alarm_and_weakens_the_bound() {
    let bench = line(0);
    let entry = draw(&bench, 40, 8);
    let said = judge(&bench, 2);
    assert!(said.err.contains("ALARM: ESCAPE"), "{said:?}");
    let found = bound(&bench, entry);
    assert_eq!((&found["good"], &found["defects"]), (&38.into(), &2.into()));
    assert!(found["defects_released_at_most"].as_u64().unwrap() > most_unseen(RELEASED, 40));
}

#[test]
fn what_was_not_drawn_proves_nothing_but_a_defect_known_there_counts() {
    let bench = line(0);
    let entry = draw(&bench, 190, 9);
    judge(&bench, 0);
    let before = bound(&bench, entry)["defects_released_at_most"].as_u64().unwrap();
    assert!(before < 10, "{before}");
    // Of the ten that were not drawn nine are escapes that a test found.
    let sample = std::fs::read_to_string(bench.path("sample.csv")).unwrap();
    let next = std::fs::read_to_string(bench.path("next.csv")).unwrap();
    let drawn: Vec<&str> = sample.lines().map(|l| l.rsplit(',').next().unwrap()).collect();
    let mut escaped = "part,inspection,feature,value,lower,verdict,board,refdes,record_id,time\n".to_owned();
    let others = next.lines().skip(1).filter(|l| !drawn.contains(&l.split(',').nth(8).unwrap()));
    for line in others.take(9) {
        let mut fields: Vec<&str> = line.split(',').collect();
        fields[5] = "escape";
        writeln!(escaped, "{}", fields.join(",")).unwrap();
    }
    bench.file("escaped.csv", escaped);
    assert_eq!(number(&bench.aoi(&format!("{WATCH} escaped.csv --dead-band 1000")), "corrected"), 9);
    assert_eq!(bound(&bench, entry)["defects_released_at_most"], 9);
}

#[test]
fn values_without_a_record_id_count_as_defects_and_times_and_seeds_choose() {
    let bench = line(5);
    let entry = draw(&bench, 300, 1);
    judge(&bench, 0);
    let all = bound(&bench, entry);
    assert_eq!((&all["released"], &all["drawn"], &all["unnamed"]), (&195.into(), &195.into(), &5.into()));
    assert_eq!(all["defects_released_at_most"], 5, "everything with a name was looked at");

    let first = std::fs::read(bench.path("sample.csv")).unwrap();
    draw(&bench, 300, 2);
    assert_ne!(first, std::fs::read(bench.path("sample.csv")).unwrap());
    draw(&bench, 300, 1);
    assert_eq!(first, std::fs::read(bench.path("sample.csv")).unwrap());
    let none = "tolerance audit draw --ledger line --who A --why b --seed 1 --out none.csv";
    for (period, code) in [
        ("--count 5 --until 2026-03-02T00:00:00Z", 1),
        ("--count 0", 1),
        ("--count 5 --from 2026-03-02T00:00:00Z", 0),
    ] {
        let said = bench.aoi(&format!("{none} {period}"));
        assert_eq!(said.code, code, "{period} {said:?}");
        assert_eq!(bench.path("none.csv").exists(), code == 0);
        assert_eq!(said.err.contains("nothing to draw"), code == 1, "{said:?}");
    }
}

#[test]
fn a_sample_whose_values_were_measured_anew_is_refused_and_so_is_an_entry_of_another_kind() {
    let bench = line(0);
    let entry = draw(&bench, 40, 7);
    let sample = std::fs::read_to_string(bench.path("sample.csv")).unwrap();
    // Measured again, and now far inside: the value is released no longer.
    let again = sample.lines().nth(1).unwrap().split(',').collect::<Vec<_>>();
    bench.file(
        "again.csv",
        format!(
            "part,inspection,feature,value,lower,verdict,record_id\nR0,solder,height,60,{},pass,{}\n",
            again[7], again[13]
        ),
    );
    assert_eq!(number(&bench.aoi(&format!("{WATCH} again.csv --dead-band 1000")), "corrected"), 1);
    let said = bench.aoi(&format!("tolerance audit bound {entry} --ledger line"));
    assert_eq!(said.code, 1);
    assert!(said.err.contains("draw a new sample"), "{said:?}");
    for (wrong, word) in [(1, "is no drawing"), (999, "there is no entry 999")] {
        let said = bench.aoi(&format!("tolerance audit bound {wrong} --ledger line"));
        assert!(said.code == 1 && said.err.contains(word), "{said:?}");
    }
}
