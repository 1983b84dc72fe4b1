//! The certificate under attack: every level and route against the reference on data made to mislead it.

#![expect(clippy::cast_possible_truncation, reason = "small numbers made for a test")]

use std::ops::ControlFlow;

use aoi_testing::Seeded;
use ndarray::{Array2, CowArray};
use proptest::prelude::*;

use super::compact_pass::CompactPass;
use super::isa::Isa;
use super::scan::Pass;
use super::tile::{GROUP, LANES, Scores};
use super::{CompactCopy, CpuOptions, CpuSearch};
use crate::progress::silent;
use crate::search::Rows;
use crate::search::trouble::{KINDS, trouble};
use crate::{Metric, Progress, Reference, RetrievalError, Route, Search, SearchOptions, metric};

fn agree(bank: &Array2<f32>, queries: &Array2<f32>, metric: Metric, k: usize) {
    let options = SearchOptions { k, threads: 1 };
    let expected = Reference::new(bank.view(), metric).unwrap().search(queries.view(), &options).unwrap();
    for isa in Isa::available() {
        for (copy, axes) in [(CompactCopy::Never, 0), (CompactCopy::Always, 0), (CompactCopy::Always, 32)] {
            let build = CpuOptions { copy, axes, threads: 2 };
            let search = CpuSearch::with_isa(bank.view().into(), metric, &build, isa, &mut silent()).unwrap();
            let found = search.search(queries.view(), &SearchOptions { k, threads: 2 }).unwrap();
            assert_eq!(found.indices, expected.indices, "{isa:?} {copy:?} {axes} {metric} k {k}");
            assert_eq!(found.scores, expected.scores, "{isa:?} {copy:?} {axes} {metric} k {k}");
        }
    }
}

/// Rows and neighbours: few neighbours as a rule, now and then so many that bins of larger lists must be chosen from.
fn sizes() -> impl Strategy<Value = (usize, usize)> {
    prop_oneof![
        9 => (1..700_usize, 1..40_usize),
        1 => (1..3000_usize, prop_oneof![Just(1024), 40..1100_usize]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn every_route_gives_the_reference_answer(
        bank_kind in 0..KINDS, query_kind in 0..KINDS, metric in 0..3_usize,
        (n, k) in sizes(), d in 1..70_usize, seed in 0..u64::MAX,
    ) {
        let mut s = Seeded::new(seed);
        let bank = trouble(bank_kind, n, d, &mut s);
        let mut queries = trouble(query_kind, 17, d, &mut s);
        queries.row_mut(3).assign(&bank.row(n / 2));
        agree(&bank, &queries, Metric::ALL[metric], k);
    }
}

#[test]
fn a_query_the_bound_cannot_decide_falls_back_and_says_so() {
    let bank = Array2::from_shape_fn((16 * 600, 8), |(_, j)| j as f32 + 1.0);
    let search = CpuSearch::new(bank.view(), Metric::Cosine, &CpuOptions::default()).unwrap();
    let found = search.search(bank.slice(ndarray::s![..2, ..]), &SearchOptions { k: 3, threads: 1 }).unwrap();
    assert_eq!(found.route_counts(), [0, 0, 2]);
    assert_eq!(found.certificates[0].route, Route::Exhaustive);
    assert_eq!(found.certificates[0].rescored as usize, bank.nrows());
    assert_eq!(found.indices.row(1).to_vec(), [0, 1, 2]);
}

#[test]
fn clusters_are_decided_by_the_copy_with_few_rows_scored_again() {
    let mut s = Seeded::new(3);
    let centres = Array2::from_shape_fn((40, 64), |_| s.normal() as f32);
    let bank = Array2::from_shape_fn((8000, 64), |(i, j)| centres[[i % 40, j]] + 0.5 * s.normal() as f32);
    let queries = Array2::from_shape_fn((20, 64), |(i, j)| centres[[i, j]] + 0.5 * s.normal() as f32);
    let options = SearchOptions { k: 10, threads: 2 };
    let search = CpuSearch::new(bank.view(), Metric::Cosine, &CpuOptions::default()).unwrap();
    let found = search.search(queries.view(), &options).unwrap();
    assert_eq!(found.route_counts(), [20, 0, 0]);
    assert!(found.certificates.iter().all(|c| c.rescored < 200), "{:?}", found.certificates);
    assert!(search.extra_bytes() * 2 < bank.len() * 4 * 3, "half as much again is the most");
}

#[test]
fn sums_that_are_left_early_are_never_below_whole_ones() {
    let mut checked = 0;
    for (kind, metric) in (0..KINDS).flat_map(|kind| Metric::ALL.map(|metric| (kind, metric))) {
        let mut s = Seeded::new(kind as u64);
        let (n, d) = (75, 61 + kind);
        let (bank, queries) = (trouble(kind, n, d, &mut s), trouble(kind, 17, d, &mut s));
        let queries = Rows::new("queries", CowArray::from(queries.view())).unwrap();
        for (isa, axes) in Isa::available().into_iter().flat_map(|isa| [(isa, 0), (isa, 32)]) {
            let build = CpuOptions { copy: CompactCopy::Always, axes, threads: 1 };
            let search = CpuSearch::with_isa(bank.view().into(), metric, &build, isa, &mut silent()).unwrap();
            let in_range = |q: &usize| search.frame.coefficients(metric::norm(queries.row(*q))).is_some();
            let chosen: Vec<usize> = (0..17).filter(in_range).collect();
            let codes = search.panels.codes.as_ref().unwrap();
            let pass =
                CompactPass::new((&search.panels, codes), &search.frame, isa, n, (&queries, &chosen), 1);
            assert_eq!(pass.stops() > 0, !isa.has_tiles());
            let mut scratch = pass.scratch();
            let mut scores = [Scores::EMPTY; 2];
            for pair in 0..n.div_ceil(2 * LANES) {
                let whole = pass.maxima(&mut scratch, (pair, 0), None, &mut scores);
                for (query, p) in (0..chosen.len()).flat_map(|query| [(query, 0), (query, 1)]) {
                    let (group, lane) = (query / GROUP, query % GROUP);
                    let alone = pass.scores(2 * pair + p, query);
                    let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
                    assert!(alone.iter().zip(&scores[group].0[p][lane]).all(same), "{isa:?} {kind} {metric}");
                    for stop in 0..pass.stops() {
                        let upper = pass.maxima(&mut scratch, (pair, 0), Some(stop), &mut [Scores::EMPTY; 2]);
                        assert!(
                            upper[group][p][lane] >= whole[group][p][lane],
                            "{isa:?} {kind} {metric} stop {stop}"
                        );
                        checked += 1;
                    }
                }
            }
        }
    }
    assert!(checked > 1000 || Isa::detect().has_tiles());
}

#[test]
fn scans_that_leave_sums_early_give_the_reference_answer() {
    // Clusters of 100 rows, of which 5 are wanted, so that what a row must reach lies high above the rows of other clusters; more than two blocks
    // of them after it has been reached.
    let mut s = Seeded::new(9);
    let centres = Array2::from_shape_fn((60, 72), |_| s.normal() as f32);
    let bank = Array2::from_shape_fn((6000, 72), |(i, j)| centres[[i % 60, j]] + 0.3 * s.normal() as f32);
    let queries = Array2::from_shape_fn((31, 72), |(i, j)| centres[[i, j]] + 0.3 * s.normal() as f32);
    for metric in Metric::ALL {
        agree(&bank, &queries, metric, 5);
    }
}

#[test]
fn certificates_do_not_depend_on_the_number_of_threads() {
    let mut s = Seeded::new(4);
    let bank = Array2::from_shape_fn((3000, 33), |_| s.normal() as f32);
    let search = CpuSearch::new(
        bank.view(),
        Metric::InnerProduct,
        &CpuOptions { copy: CompactCopy::Always, ..CpuOptions::default() },
    )
    .unwrap();
    // Few queries share the bank between threads, many are shared out themselves, in more than one batch.
    for count in [50, 1300] {
        let queries = bank.slice(ndarray::s![..count, ..]);
        let find = |threads| search.search(queries, &SearchOptions { k: 9, threads }).unwrap();
        let one = find(1);
        assert_eq!(one.certificates.len(), count);
        for threads in [2, 3, 7] {
            assert_eq!(find(threads), one, "{count} queries, {threads} threads");
        }
    }
}

#[test]
fn rows_too_wide_for_the_copy_or_its_axes_are_answered_all_the_same() {
    let mut s = Seeded::new(6);
    for (n, d, route) in [(40, 2100, 0), (20, 16_384, 0), (20, 16_385, 1)] {
        // The largest codes everywhere: integer sums come as close to overflow as they can.
        let bank = Array2::from_shape_fn((n, d), |(i, _)| if i % 2 == 0 { 1.0 } else { s.unit() as f32 });
        let build = CpuOptions { copy: CompactCopy::Always, ..CpuOptions::default() };
        let search = CpuSearch::new(bank.view(), Metric::InnerProduct, &build).unwrap();
        let queries = bank.slice(ndarray::s![..3, ..]);
        let options = SearchOptions { k: 3, threads: 1 };
        let found = search.search(queries, &options).unwrap();
        let expected =
            Reference::new(bank.view(), Metric::InnerProduct).unwrap().search(queries, &options).unwrap();
        assert_eq!((&found.indices, &found.scores), (&expected.indices, &expected.scores), "width {d}");
        assert_eq!(found.route_counts()[route], 3, "width {d}");
    }
}

/// Keeps what is reported, and stops where so much is done.
fn keep(calls: &mut Vec<Progress>, stop: usize) -> impl FnMut(Progress) -> ControlFlow<()> {
    move |p| {
        calls.push(p);
        if p.done >= stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[test]
fn building_reports_every_reading_of_every_row_and_stops_where_it_is_told() {
    let mut s = Seeded::new(8);
    let n = 9000;
    let bank = Array2::from_shape_vec((n, 20), s.normals_f32(n * 20)).unwrap();
    for (copy, readings) in [(CompactCopy::Never, 3), (CompactCopy::Always, 4)] {
        for threads in [1, 3] {
            let options = CpuOptions { copy, threads, ..CpuOptions::default() };
            let build = |calls: &mut Vec<Progress>, stop| {
                CpuSearch::with_progress(bank.view(), Metric::L2, &options, &mut keep(calls, stop))
            };
            let mut calls = Vec::new();
            build(&mut calls, usize::MAX).unwrap();
            assert_eq!(calls.first(), Some(&Progress { done: 0, total: readings * n }));
            assert_eq!(calls.last(), Some(&Progress { done: readings * n, total: readings * n }));
            assert!(calls.windows(2).all(|two| two[0].done <= two[1].done && two[0].total == two[1].total));
            // Once a reading at the least: the bank is not read in silence.
            for reading in 0..readings {
                assert!(
                    calls.iter().any(|p| p.done > reading * n && p.done <= (reading + 1) * n),
                    "{calls:?}"
                );
            }
            for stop in [0, 1, n + 1, 2 * n + 1, (readings - 1) * n + 1] {
                let stopped = build(&mut Vec::new(), stop).unwrap_err();
                let RetrievalError::Cancelled { done, total } = stopped else { panic!("{stopped}") };
                assert!((stop..=stop + n).contains(&done) && total == readings * n, "{done} of {total}");
            }
        }
    }
}

#[test]
fn searching_reports_every_comparison_and_those_of_another_scan_and_stops_where_it_is_told() {
    let mut s = Seeded::new(9);
    let n = 6000;
    let easy = Array2::from_shape_vec((n, 20), s.normals_f32(n * 20)).unwrap();
    // All rows point the same way: only scoring each of them decides.
    let hard = Array2::from_shape_fn((n, 8), |(_, j)| j as f32 + 1.0);
    for (bank, scans) in [(&easy, 1), (&hard, 3)] {
        let search = CpuSearch::new(bank.view(), Metric::Cosine, &CpuOptions::default()).unwrap();
        // Threads share the bank, or the queries.
        for q in [5, 300] {
            let queries = bank.slice(ndarray::s![..q, ..]);
            for threads in [1, 2] {
                let options = SearchOptions { k: 3, threads };
                let mut calls = Vec::new();
                let found = search.search_with_progress(queries, &options, &mut keep(&mut calls, usize::MAX));
                let route = found.unwrap().route_counts();
                assert_eq!(route, if scans == 1 { [q, 0, 0] } else { [0, 0, q] });
                assert_eq!(calls.first(), Some(&Progress { done: 0, total: q * n }));
                assert_eq!(calls.last(), Some(&Progress { done: scans * q * n, total: scans * q * n }));
                assert!(
                    calls.windows(2).all(|two| two[0].done <= two[1].done && two[0].total <= two[1].total)
                );
                assert!(calls.len() > 4, "{calls:?}");
                let stop = scans * q * n / 4;
                let stopped = search.search_with_progress(queries, &options, &mut keep(&mut calls, stop));
                assert!(matches!(stopped, Err(RetrievalError::Cancelled { done, .. }) if done >= stop));
            }
        }
    }
}
