//! The store as a library: what is committed comes back, from the log and from a snapshot alike; and the status page says what is so.
#![cfg(all(feature = "store", feature = "report"))]

use aoi_tolerance::drift::DriftOptions;
use aoi_tolerance::ledger::{Act, Book, Evidenced, Ledger, Signed, draft, read_ledger};
use aoi_tolerance::limit::Tolerance;
use aoi_tolerance::motion::MotionPolicy;
use aoi_tolerance::options::Options;
use aoi_tolerance::recalibrate::{Fate, LiveOptions, Window};
use aoi_tolerance::record::{Record, Verdict};
use aoi_tolerance::report::{StatusContext, write_status};
use aoi_tolerance::store::{Line, ReadMark, Store, StoreOptions, verify_log};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn record<'a>(part: &'a str, id: &'a str, value: f64, limit: f64, verdict: Option<Verdict>) -> Record<'a> {
    Record {
        key: [part, "m", "a", "solder", "height", "um"],
        value,
        tolerance: Tolerance { lower: Some(limit), upper: None },
        verdict,
        record_id: id,
        board: "B1",
        refdes: id,
        sigma: Some(0.01),
        time: Some(1_000_000_000),
        ..Record::default()
    }
}

fn by(who: &str) -> Signed {
    Signed {
        time: "2026-03-01T06:00:00+01:00".into(),
        who: who.into(),
        why: "a test".into(),
        software: "test 1".into(),
    }
}

/// Everything that can be asked of a line, as text.
fn said(line: &Line) -> String {
    let live = line.recalibrator();
    let drift: Vec<_> = live
        .limits()
        .map(|l| line.monitor(l).map(|m| (m.subgroups(), m.drift(), m.points().copied().collect::<Vec<_>>())))
        .collect();
    let marks: Vec<_> = line.marks().collect();
    let withheld: Vec<_> = live.withheld().collect();
    let unreadable: Vec<_> = live.unreadable().collect();
    let in_force: Vec<_> = live.limits().map(|l| (live.in_force(l), live.standing(l))).collect();
    let proposals = live.propose(&Options::default()).unwrap();
    format!(
        "{proposals:?} {in_force:?} {:?} {:?} {drift:?} {marks:?} {withheld:?} {unreadable:?}",
        live.counts(),
        live.population()
    )
}

fn options(window: Window) -> StoreOptions {
    let drift = DriftOptions { subgroup: 2, reference: 3, sample: 5, ..DriftOptions::default() };
    StoreOptions { live: LiveOptions { window, ..LiveOptions::default() }, drift }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn what_was_committed_comes_back_from_log_and_snapshot(
        steps in vec((0..4_u8, 0..30_u32, -40..25_i32, select(Verdict::ALL.to_vec()), any::<bool>()), 1..60),
        count in any::<bool>(),
        commit_every in 1..9_usize,
        snapshot_at in 0..60_usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let window = if count { Window::Count(std::num::NonZeroU64::new(5).unwrap()) } else { Window::All };
        let mut store = Store::open(folder.path(), options(window)).unwrap();
        for (at, (kind, id, tenths, verdict, silent)) in steps.iter().enumerate() {
            let id = format!("r{id}");
            let value = 40.0 + f64::from(*tenths) / 10.0;
            match kind {
                0 | 1 => {
                    store.push(&record("P", &id, value, 40.0, (!silent).then_some(*verdict)));
                }
                2 => {
                    store.judge(&id, None, *verdict);
                }
                _ => store.push_unreadable([Some("P"), None, None, None, None, None], Some(*verdict)),
            }
            store.mark(ReadMark { name: id, bytes: at as u64, digest: [7; 32], lines: 3 }, None);
            if at % commit_every == 0 {
                store.commit().unwrap();
            }
            if at == snapshot_at {
                store.commit().unwrap();
                store.write_snapshot().unwrap();
            }
        }
        store.commit().unwrap();
        let (before, head) = (said(store.line()), store.head());
        prop_assert!(Store::open(folder.path(), options(window)).is_err(), "it is locked");
        let looked = Store::look(folder.path(), options(window)).unwrap();
        prop_assert_eq!(said(looked.line()), before.clone());
        drop(store);
        let again = Store::open(folder.path(), options(window)).unwrap();
        prop_assert_eq!(said(again.line()), before.clone());
        prop_assert_eq!(again.head(), head.clone());
        drop(again);
        let _ = std::fs::remove_file(folder.path().join("snapshot.bin"));
        let replayed = Store::open(folder.path(), options(window)).unwrap();
        prop_assert_eq!(said(replayed.line()), before);
        prop_assert_eq!(verify_log(folder.path()).unwrap(), Some(head));
    }
}

/// Thirty false calls of two parts and a defect each.
fn filled(folder: &std::path::Path) -> Store {
    let mut store = Store::open(folder, StoreOptions::default()).unwrap();
    for part in ["P1", "<b>\u{202e}&P2"] {
        for i in 0..40_u32 {
            let id = format!("{part}{i}");
            let verdict = if i == 39 { Verdict::Defect } else { Verdict::FalseCall };
            let value = if i == 39 { 20.0 } else { 39.9 - 0.1 * f64::from(i) };
            assert_eq!(store.push(&record(part, &id, value, 40.0, Some(verdict))), Fate::New);
        }
    }
    store.commit().unwrap();
    store
}

/// Proposes everything and approves and applies the first.
fn run_ledger(store: &mut Store) -> Book {
    let (events, sha256) = store.head();
    let input = Evidenced { events, sha256 };
    {
        let mut ledger = Ledger::open(store.folder()).unwrap();
        let drafts =
            draft(store.line(), ledger.book(), &Options::default(), &MotionPolicy::default()).unwrap();
        assert_eq!(drafts.len(), 2);
        assert!(drafts.iter().all(|d| d.points.len() == 6 && d.validation.is_some_and(|v| v.0 == 1)));
        for d in &drafts {
            ledger.propose(d, &input, &by("watcher")).unwrap();
        }
        ledger.add(Act::Approve { proposal: 1 }, &by("C. Lund")).unwrap();
        ledger.add(Act::Apply { proposal: 1 }, &by("C. Lund")).unwrap();
        let twice =
            draft(store.line(), ledger.book(), &Options::default(), &MotionPolicy::default()).unwrap();
        assert_eq!(
            twice.len(),
            1,
            "what waits is not proposed again; what was applied is, until the store follows"
        );
    }
    let book = Book::of(read_ledger(store.folder()).unwrap().chain);
    assert_eq!(store.follow(&book).unwrap(), 8);
    assert_eq!(store.follow(&book).unwrap(), 0);
    store.commit().unwrap();
    book
}

fn context() -> StatusContext {
    StatusContext {
        title: "Line 4".into(),
        software: "test 1".into(),
        created: "2026-03-01T06:00:00Z".into(),
        options: Options::default(),
        policy: MotionPolicy::default(),
        broken: String::new(),
    }
}

fn page(store: &Store, book: &Book) -> String {
    let mut page = Vec::new();
    write_status(&mut page, store, book, &context()).unwrap();
    String::from_utf8(page).unwrap()
}

#[test]
fn an_applied_limit_is_in_force_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = filled(folder.path());
    run_ledger(&mut store);
    let in_force = |store: &Store| {
        let live = store.line().recalibrator();
        live.limits().map(|l| live.in_force(l)).collect::<Vec<_>>()
    };
    let before = in_force(&store);
    assert!(before[0].1 < 40.0 && before[1].1 == 40.0, "{before:?}");
    drop(store);
    assert_eq!(in_force(&Store::open(folder.path(), StoreOptions::default()).unwrap()), before);
}

#[test]
fn the_status_page_shows_what_waits_what_changed_and_the_chain_and_escapes_every_name() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = filled(folder.path());
    let book = run_ledger(&mut store);
    let text = page(&store, &book);
    for words in
        ["No alarm", "waits for approval", "1 changes; T0 40", "C. Lund", book.head(), "not a signature"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("<b>\u{202e}") && !text.contains('\u{202e}') && !text.contains("<script"));
    assert_eq!(text, page(&store, &book), "the same state gives the same bytes");
}

#[test]
fn an_escape_stands_first_on_the_status_page() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = filled(folder.path());
    let book = run_ledger(&mut store);
    let live = store.line().recalibrator();
    let (_, limit) = live.in_force(live.limits().next().unwrap());
    store.push(&record("P1", "bad", limit + 0.01, limit, Some(Verdict::Escape)));
    store.commit().unwrap();
    let text = page(&store, &book);
    assert!(text.contains("Escape.") && text.contains("lets 1 known defects pass"), "{text}");
    let loud = store.line_mut().take_notices();
    assert!(loud.iter().any(aoi_tolerance::recalibrate::Notice::is_escape), "{loud:?}");
}

/// A notice that was not noted before a crash is heard again after it; one that was is not.
#[test]
fn notices_since_the_ledger_was_followed_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = filled(folder.path());
    store.push(&record("P1", "beyond", 41.0, 40.0, Some(Verdict::Escape)));
    store.commit().unwrap();
    drop(store);
    let mut store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    let notices = store.line_mut().take_notices();
    assert!(notices.iter().any(aoi_tolerance::recalibrate::Notice::is_escape), "{notices:?}");
    let mut ledger = Ledger::open(folder.path()).unwrap();
    ledger.add(Act::Note { kind: "escape".into(), text: notices[0].to_string() }, &by("watcher")).unwrap();
    drop(ledger);
    let book = Book::of(read_ledger(folder.path()).unwrap().chain);
    store.follow(&book).unwrap();
    store.commit().unwrap();
    drop(store);
    let mut store = Store::open(folder.path(), StoreOptions::default()).unwrap();
    assert!(store.line_mut().take_notices().is_empty());
}

#[test]
fn steps_out_of_order_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = filled(folder.path());
    run_ledger(&mut store);
    let mut ledger = Ledger::open(folder.path()).unwrap();
    let mut refused = |act: Act, who: &str| ledger.add(act, &by(who)).unwrap_err().to_string();
    assert!(refused(Act::Approve { proposal: 99 }, "a").contains("no proposal 99"));
    assert!(refused(Act::Approve { proposal: 1 }, "a").contains("in force"));
    assert!(refused(Act::Apply { proposal: 4 }, "a").contains("waits for approval"));
    assert!(refused(Act::Revert { proposal: 4, approved_by: None }, "a").contains("cannot be reverted"));
    assert!(refused(Act::Approve { proposal: 4 }, " ").contains("who"));
}

/// A limit one ulp too low lets the worst defect pass: what the ledger puts in force is the number that was proposed, bit for bit.
#[test]
fn limits_come_back_from_the_ledger_bit_for_bit() {
    let mut random = aoi_testing::Seeded::new(12);
    let mut looked = 0;
    let mut value = 37.5_f64.next_up();
    while looked < 2_000 {
        let act = Act::Propose {
            change: aoi_tolerance::ledger::Change::Reference {
                limit: aoi_tolerance::ledger::LimitName {
                    part: "P".into(),
                    model: String::new(),
                    revision: String::new(),
                    inspection: String::new(),
                    feature: String::new(),
                    unit: String::new(),
                    side: "lower".into(),
                    baseline: value,
                },
            },
            input: Evidenced { events: 1, sha256: String::new() },
        };
        let text = serde_json::to_string(&act).unwrap();
        assert_eq!(serde_json::from_str::<Act>(&text).unwrap(), act, "{text}");
        value = if looked % 2 == 0 { f64::from_bits(random.bits()) } else { 100.0 * random.unit() };
        if !value.is_finite() {
            value = 41.16_f64.next_up();
        }
        looked += 1;
    }
}

/// The published example is what the program reads.
#[test]
fn the_example_ledger_verifies() {
    let example =
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/formats/ledger.example.jsonl")).unwrap();
    let verified = aoi_tolerance::ledger::verify(&example);
    assert_eq!((verified.fault.as_deref(), verified.torn), (None, 0));
    let book = Book::of(verified.chain);
    assert_eq!(book.entries().len(), 4);
    assert!(book.proposal(2).is_some_and(|o| o.simulated && o.validated));
}
