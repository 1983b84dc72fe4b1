//! Each way to falsify a ledger, and what finds it.

use super::support::{Bench, Said};
use super::{HEADER, WATCH, rows};

/// A ledger of twelve entries, its lines, and its head.
fn ledger() -> (Bench, Vec<String>, String) {
    let bench = Bench::new();
    bench.file("a.csv", format!("{HEADER}{}", rows(0, 900)));
    assert_eq!(bench.aoi(&format!("{WATCH} a.csv")).code, 0);
    for step in ["approve 1", "apply 1", "revert 1"] {
        let said = bench.aoi(&format!(
            "tolerance ledger {step} --ledger line --who a --why b --max-step none --max-total none"
        ));
        assert_eq!(said.code, 0, "{said:?}");
    }
    let text = std::fs::read_to_string(bench.path("line/ledger.jsonl")).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 12);
    let head =
        verify(&bench, "").out.split("head ").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    assert!(lines[11].contains(&head));
    (bench, lines, head)
}

fn verify(bench: &Bench, more: &str) -> Said {
    bench.aoi(&format!("tolerance ledger verify --ledger line {more}"))
}

fn write(bench: &Bench, lines: &[String]) {
    bench.file("line/ledger.jsonl", lines.join("\n") + "\n");
}

#[test]
fn an_altered_entry_is_found_wherever_it_stands() {
    let (bench, lines, _) = ledger();
    let mut found = 0;
    for at in 0..lines.len() {
        let mut bad = lines.clone();
        bad[at] = bad[at].replacen("\"why\":\"", "\"why\":\"!", 1);
        write(&bench, &bad);
        let said = verify(&bench, "");
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.out.contains(&format!("line {}: the entry was altered", at + 1)), "{said:?}");
        found += 1;
    }
    assert_eq!(found, 12);
}

#[test]
fn an_entry_altered_with_its_digest_no_longer_fits_the_next() {
    use std::fmt::Write;
    let (bench, mut lines, _) = ledger();
    let (body, _) = lines[4]
        .replacen("\"why\":\"", "\"why\":\"!", 1)
        .rsplit_once(",\"hash\"")
        .map(|(b, h)| (format!("{b}}}"), h.to_owned()))
        .unwrap();
    let digest = <sha2::Sha256 as sha2::Digest>::digest(body.as_bytes());
    let hash = digest.iter().fold(String::new(), |mut t, b| {
        let _ = write!(t, "{b:02x}");
        t
    });
    lines[4] = format!("{},\"hash\":\"{hash}\"}}", &body[..body.len() - 1]);
    write(&bench, &lines);
    assert!(verify(&bench, "").out.contains("line 6: the entry does not follow"));
}

#[test]
fn removed_repeated_and_moved_entries_are_found() {
    let (bench, lines, _) = ledger();
    let without = |at: usize| {
        lines.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, l)| l.clone()).collect::<Vec<_>>()
    };
    let mut moved = lines.clone();
    moved.swap(3, 4);
    let mut repeated = lines.clone();
    repeated.insert(5, lines[5].clone());
    for bad in [without(0), without(6), without(10), moved, repeated] {
        write(&bench, &bad);
        let said = verify(&bench, "");
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.out.contains("does not follow"), "{said:?}");
    }
    let mut foreign = lines.clone();
    foreign.insert(2, "not an entry".to_owned());
    write(&bench, &foreign);
    assert!(verify(&bench, "").out.contains("line 3: this is not an entry"));
}

/// The chain alone cannot see that its end was cut off; the head kept elsewhere can, and so can the store that had followed it.
#[test]
fn an_end_that_was_cut_off_is_found_with_the_head_and_by_the_store() {
    let (bench, lines, head) = ledger();
    bench.file("b.csv", format!("{HEADER}{}", rows(900, 960)));
    write(&bench, &lines[..10]);
    let said = verify(&bench, "");
    assert_eq!(said.code, 0, "the chain alone does not know: {said:?}");
    assert!(said.out.contains("not a signature"));
    let said = verify(&bench, &format!("--head {head}"));
    assert_eq!(said.code, 3);
    assert!(said.out.contains("cut off"), "{said:?}");
    write(&bench, &lines);
    assert_eq!(verify(&bench, &format!("--head {head}")).code, 0);
    // The store follows all twelve entries; then the last two disappear.
    assert_eq!(bench.aoi(&format!("{WATCH} b.csv --dead-band 1000")).code, 0);
    write(&bench, &lines[..10]);
    bench.file("c.csv", format!("{HEADER}{}", rows(960, 990)));
    let said = bench.aoi(&format!("{WATCH} c.csv"));
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("removed or altered"), "{said:?}");
}

#[test]
fn nothing_is_added_to_a_broken_ledger_and_watching_says_so() {
    let (bench, mut lines, _) = ledger();
    lines.remove(4);
    write(&bench, &lines);
    let said = bench.aoi("tolerance ledger approve 4 --ledger line --who a --why b");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("line 5"), "{said:?}");
    let said = bench.aoi(&format!("{WATCH} a.csv"));
    assert_eq!(said.code, 3, "{said:?}");
    let status = std::fs::read_to_string(bench.path("line/status.html")).unwrap();
    assert!(status.contains("is broken: line 5"));
    assert_eq!(bench.aoi("tolerance ledger log --ledger line").code, 3);
}

#[test]
fn an_entry_that_a_crash_cut_short_is_no_fault_and_goes() {
    let (bench, lines, head) = ledger();
    let text = lines.join("\n") + "\n";
    bench.file("line/ledger.jsonl", format!("{text}{{\"number\":13,\"ti"));
    let said = verify(&bench, &format!("--head {head}"));
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.err.contains("cut short"));
    assert_eq!(
        bench
            .aoi("tolerance ledger approve 4 --ledger line --who a --why b --max-step none --max-total none")
            .code,
        0
    );
    assert!(verify(&bench, "").out.contains("13 entries"));
}
