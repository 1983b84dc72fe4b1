//! The exact search on the CPU and choosing a coreset: cost against rows, queries, width and neighbours.

use std::hint::black_box;
use std::ops::ControlFlow;

use aoi_bench::features::{FeaturesOptions, draw};
use aoi_bench::trial::sizes;
use aoi_retrieval::ndarray::{Array2, s};
use aoi_retrieval::{
    CompactCopy, CpuOptions, CpuSearch, Metric, Neighbours, Reference, Search, SearchOptions, coreset,
};
use criterion::{BenchmarkId, Criterion, Throughput};

/// Queries whose neighbours are compared with those by every f64 score.
const CHECKED: usize = 2;

fn check(bank: &Array2<f32>, queries: &Array2<f32>, found: &Neighbours, k: usize) {
    let few = queries.slice(s![..CHECKED.min(queries.nrows()), ..]);
    let reference = Reference::new(bank.view(), Metric::InnerProduct).expect("a bank");
    let expected = reference.search(few, &SearchOptions { k, threads: 0 }).expect("neighbours");
    assert_eq!(found.indices.slice(s![..few.nrows(), ..]), expected.indices);
    assert_eq!(found.scores.slice(s![..few.nrows(), ..]), expected.scores);
}

/// Both ways of scanning on one size: checked, then measured.
fn measure(criterion: &mut Criterion, series: &str, size: usize, [n, q, d, k]: [usize; 4]) {
    let mut group = criterion.benchmark_group(format!("retrieval/search_{series}"));
    group.sample_size(10);
    let (bank, queries) = draw(&FeaturesOptions { rows: n, queries: q, width: d, seed: 8 });
    let options = SearchOptions { k, threads: 0 };
    group.throughput(Throughput::Elements((n * q) as u64));
    for (name, copy) in [("cpu_certified", CompactCopy::Always), ("cpu_f32", CompactCopy::Never)] {
        let build = CpuOptions { copy, ..CpuOptions::default() };
        let search = CpuSearch::new(bank.view(), Metric::InnerProduct, &build).expect("a bank");
        let found = search.search(queries.view(), &options).expect("neighbours");
        check(&bank, &queries, &found, k);
        group.bench_function(BenchmarkId::new(name, size), |b| {
            b.iter(|| black_box(search.search(queries.view(), &options)));
        });
    }
    group.finish();
}

pub(crate) fn growing_rows(criterion: &mut Criterion) {
    for &n in sizes(&[2_000, 10_000, 100_000, 1_000_000]) {
        measure(criterion, "rows", n, [n, 196, 384, 30]);
    }
}

pub(crate) fn growing_queries(criterion: &mut Criterion) {
    for &q in sizes(&[1, 12, 196, 1_024]) {
        measure(criterion, "queries", q, [if q == 1 { 2_000 } else { 100_000 }, q, 384, 30]);
    }
}

pub(crate) fn growing_width(criterion: &mut Criterion) {
    for &d in sizes(&[48, 96, 192, 384, 768, 1_536]) {
        measure(criterion, "width", d, [20_000, 196, d, 30]);
    }
}

pub(crate) fn growing_neighbours(criterion: &mut Criterion) {
    for &k in sizes(&[1, 10, 30, 100, 1_000]) {
        measure(criterion, "neighbours", k, [20_000, 196, 384, k]);
    }
}

pub(crate) fn building(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("retrieval/build");
    group.sample_size(10);
    for &rows in sizes(&[2_000, 100_000, 1_000_000]) {
        let (bank, queries) = draw(&FeaturesOptions { rows, queries: CHECKED, width: 384, seed: 8 });
        let build =
            || CpuSearch::new(bank.view(), Metric::InnerProduct, &CpuOptions::default()).expect("a bank");
        let options = SearchOptions { k: 30, threads: 0 };
        check(&bank, &queries, &build().search(queries.view(), &options).expect("neighbours"), 30);
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(BenchmarkId::new("cpu", rows), |b| b.iter(|| black_box(build())));
    }
    group.finish();
}

/// The squared distance of a row from the nearest of `chosen`.
fn nearest(bank: &Array2<f32>, row: usize, chosen: &[usize]) -> f64 {
    let apart = |c: &usize| {
        bank.row(row).iter().zip(bank.row(*c)).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
    };
    chosen.iter().map(apart).fold(f64::INFINITY, f64::min)
}

pub(crate) fn choosing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("retrieval/k_centre");
    group.sample_size(10);
    for &rows in sizes(&[1_000, 10_000, 100_000]) {
        let (bank, _) = draw(&FeaturesOptions { rows, queries: 1, width: 384, seed: 8 });
        let choose = || {
            coreset::k_centre(bank.view(), rows / 100, 1, 0, &mut |_| ControlFlow::Continue(()))
                .expect("rows")
        };
        // The greedy rule covers every row within twice the best possible radius; two chosen rows are never closer than that radius.
        let chosen = choose();
        assert_eq!(chosen.len(), rows / 100);
        let radius = (0..rows).step_by(rows / 100).map(|r| nearest(&bank, r, &chosen)).fold(0.0, f64::max);
        let last = chosen.len() - 1;
        assert!(nearest(&bank, chosen[last], &chosen[..last]) > 0.5 * radius);
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(BenchmarkId::new("cpu", rows), |b| b.iter(|| black_box(choose())));
    }
    group.finish();
}
