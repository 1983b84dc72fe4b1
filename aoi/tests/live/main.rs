//! `watch` and `ledger` with real processes and files: the steps of a change, audits, crashes, full disks, torn files, tampering.

#[path = "../support/mod.rs"]
mod support;

mod audits;
mod crashes;
mod files;
mod messages;
mod steps;
mod tampering;

use support::{Bench, Said};

pub(crate) const HEADER: &str = "part,inspection,feature,value,lower,upper,verdict,record_id,time\n";

/// Reading needs `--once`; small lines need no settling and large steps are fine.
pub(crate) const WATCH: &str = "tolerance watch --ledger line --once --max-step none --max-total none --json";

/// Rows `from..to` of a stream without end: nine in ten pass, others are false calls or, one in fifty, a defect.
pub(crate) fn rows(from: u32, to: u32) -> String {
    let row = |i: u32| {
        let (value, verdict) = match i {
            i if i % 10 != 0 => (44.0 + f64::from(i % 37) / 10.0, "pass"),
            i if i % 50 == 0 => (20.0 + f64::from(i % 7), "defect"),
            i => (39.9 - f64::from(i % 83) / 20.0, "false_call"),
        };
        format!("R{},solder,height,{value:.2},40,,{verdict},id{i},2026-03-01T00:00:00Z\n", i % 3)
    };
    (from..to).map(row).collect::<Vec<_>>().concat()
}

/// The number under a name in a summary.
pub(crate) fn number(said: &Said, name: &str) -> u64 {
    assert_eq!(said.code, 0, "{said:?}");
    let value: serde_json::Value =
        serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {said:?}"));
    value[name].as_u64().unwrap_or_else(|| panic!("no {name}: {said:?}"))
}

/// The chain of the ledger in `line` holds.
pub(crate) fn assert_verifies(bench: &Bench) {
    let said = bench.aoi("tolerance ledger verify --ledger line");
    assert_eq!(said.code, 0, "{said:?}");
}

/// What the store in `line` knows, without its history: counts of each limit by the report's own table.
pub(crate) fn limits_of(bench: &Bench) -> Vec<String> {
    let said = bench.aoi("tolerance ledger log --ledger line --json");
    assert_eq!(said.code, 0, "{said:?}");
    let mut proposals: Vec<String> = said
        .out
        .lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).expect("an entry"))
        .filter(|e| e["act"] == "propose")
        .map(|e| e["change"].to_string())
        .collect();
    proposals.sort();
    proposals
}
