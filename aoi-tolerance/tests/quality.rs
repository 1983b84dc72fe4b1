//! Verdicts that deserve a second look are found, named, and left as they are.

use aoi_tolerance::collect::Collector;
use aoi_tolerance::limit::Tolerance;
use aoi_tolerance::options::Options;
use aoi_tolerance::population::Population;
use aoi_tolerance::quality::{Agreement, Quality, QualityOptions, assess};
use aoi_tolerance::record::{Record, Source, Verdict};

/// Pushes one record on an upper limit of 10 if the value is positive, on a lower limit of -10 if it is negative.
fn push(collector: &mut Collector, value: f64, verdict: Option<Verdict>, more: &Record<'_>, line: u64) {
    let upper = value > 0.0;
    let tolerance = Tolerance { lower: (!upper).then_some(-10.0), upper: upper.then_some(10.0) };
    let key = ["p", "", "", "", if upper { "up" } else { "down" }, ""];
    let source = Source { file: 0, line };
    collector.push(&Record { key, value, tolerance, verdict, source, ..*more });
}

fn found(population: &Population) -> Quality {
    assess(population, &QualityOptions::default(), &Options::default()).unwrap()
}

#[test]
fn a_defect_among_the_false_calls_is_named_with_what_it_costs_on_either_side() {
    for sign in [1.0, -1.0] {
        let mut collector = Collector::default();
        for i in 1..=100 {
            push(
                &mut collector,
                sign * (10.0 + 0.1 * f64::from(i)),
                Some(Verdict::FalseCall),
                &Record::default(),
                0,
            );
        }
        push(&mut collector, sign * 10.05, Some(Verdict::Defect), &Record::default(), 7);
        push(&mut collector, sign * 30.0, Some(Verdict::Defect), &Record::default(), 8);
        let population = collector.finish();
        let quality = found(&population);
        let [suspect] = quality.defects[..] else { panic!("{:?}", quality.defects) };
        assert_eq!((suspect.value, suspect.source.line, suspect.share), (sign * 10.05, 7, 1.0));
        // With it all 100 stay flagged; without it the percentile 80 keeps 80.
        assert_eq!(suspect.false_calls_held, 20);
        let text = quality.findings(&population).join("\n");
        assert!(text.contains("row 7") && text.contains("keeps 20 flagged"), "{text}");
    }
}

#[test]
fn a_false_call_deeper_than_the_defects_is_named() {
    let mut collector = Collector::default();
    for i in 1..=40 {
        push(&mut collector, 10.0 + 0.01 * f64::from(i), Some(Verdict::FalseCall), &Record::default(), 0);
        push(&mut collector, 20.0 + f64::from(i), Some(Verdict::Defect), &Record::default(), 0);
    }
    push(&mut collector, 55.5, Some(Verdict::FalseCall), &Record::default(), 9);
    let quality = found(&collector.finish());
    let [suspect] = quality.false_calls[..] else { panic!("{:?}", quality.false_calls) };
    assert_eq!((suspect.value, suspect.source.line, suspect.share), (55.5, 9, 35.0 / 40.0));
    assert!(quality.defects.is_empty());
}

#[test]
fn a_board_judged_with_one_word_and_flags_without_a_word_are_counted() {
    let mut collector = Collector::default();
    for i in 0..25_u32 {
        let value = 10.5 + f64::from(i);
        let on = |board| Record { board, ..Record::default() };
        push(&mut collector, value, Some(Verdict::FalseCall), &on("one word"), 30 + u64::from(i));
        let mixed = if i == 3 { Verdict::Defect } else { Verdict::FalseCall };
        push(&mut collector, value, Some(mixed), &on("two words"), 0);
        push(&mut collector, value, (i > 4).then_some(Verdict::FalseCall), &Record::default(), 0);
    }
    let quality = found(&collector.finish());
    let [bulk] = quality.bulk[..] else { panic!("{:?}", quality.bulk) };
    assert_eq!((bulk.verdict, bulk.values, bulk.source.line), (Verdict::FalseCall, 25, 30));
    assert_eq!((quality.pending, quality.flagged), (5, 75));
    assert!(!quality.is_clear());
}

#[test]
fn the_last_review_judges_the_earlier_ones_of_others() {
    use Verdict::{Defect, FalseCall};
    let mut collector = Collector::default();
    let cases = [
        (vec![("ann", FalseCall), ("bob", FalseCall)], 10),
        (vec![("ann", Defect), ("bob", Defect)], 4),
        (vec![("ann", FalseCall), ("bob", Defect)], 1),
        (vec![("ann", Defect), ("bob", FalseCall)], 2),
        // One reviewer twice, and nobody by name: no comparison.
        (vec![("ann", Defect), ("ann", FalseCall)], 3),
        (vec![("", Defect), ("bob", FalseCall)], 3),
    ];
    let mut line = 0;
    for (reviews, times) in cases {
        for _ in 0..times {
            line += 10;
            let record_id = format!("r{line}");
            for ((reviewer, verdict), at) in reviews.iter().zip(line..) {
                let more = Record { record_id: &record_id, reviewer, ..Record::default() };
                push(&mut collector, 11.0, Some(*verdict), &more, at);
            }
        }
    }
    let population = collector.finish();
    let agreement = population.agreement;
    assert_eq!(agreement, Agreement { reviews: 17, of_defects: 5, missed: 1, false_alarms: 2 });
    assert_eq!(agreement.effectiveness(), Some(14.0 / 17.0));
    assert_eq!((agreement.miss_rate(), agreement.false_alarm_rate()), (Some(0.2), Some(2.0 / 12.0)));
    assert_eq!(agreement.is_acceptable(), Some(false));
    assert!(found(&population).findings(&population).iter().any(|f| f.contains("not acceptable")));
    assert_eq!(Agreement::default().is_acceptable(), None);
}

#[test]
fn clean_records_give_no_finding() {
    let mut collector = Collector::default();
    for i in 1..=100 {
        push(&mut collector, 10.0 + 0.1 * f64::from(i), Some(Verdict::FalseCall), &Record::default(), 0);
        push(&mut collector, 30.0 + f64::from(i), Some(Verdict::Defect), &Record::default(), 0);
    }
    let population = collector.finish();
    let quality = found(&population);
    assert!(quality.is_clear() && quality.findings(&population).is_empty(), "{quality:?}");
}
