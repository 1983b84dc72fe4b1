//! The exact search on a GPU: the kernels by the device's clock, and end to end.
//!
//! A program that plays a GPU is measured only when `AOI_BENCH_SOFTWARE=1` asks for it.

use std::hint::black_box;
use std::time::Duration;

use aoi_bench::features::{FeaturesOptions, draw};
use aoi_bench::trial::is_trial;
use aoi_retrieval::gpu::{DeviceChoice, Gpu, GpuOptions, GpuSearch, Scan};
use aoi_retrieval::{CpuOptions, CpuSearch, Metric, Search, SearchOptions};
use criterion::{BenchmarkId, Criterion, Throughput};

/// Bank rows, queries, width, neighbours.
const SIZES: [[usize; 4]; 4] = [
    [2_000, 40, 64, 30],
    [100_000, 1_024, 384, 30],
    [1_000_000, 1_024, 384, 30],
    [1_000_000, 4_096, 384, 30],
];

pub(crate) fn search(criterion: &mut Criterion) {
    let software = is_trial() || std::env::var_os("AOI_BENCH_SOFTWARE").is_some_and(|v| v == "1");
    let choice = if software { DeviceChoice::Any } else { DeviceChoice::Hardware };
    let gpu = match Gpu::open(choice) {
        Ok(gpu) => gpu,
        Err(e) => {
            eprintln!("skipped retrieval/search on a GPU: {e}");
            return;
        }
    };
    eprintln!("measuring on {}", gpu.info());
    let mut group = criterion.benchmark_group("retrieval/search");
    group.sample_size(10);
    let sizes = if is_trial() || !gpu.info().is_hardware() { &SIZES[..1] } else { &SIZES[1..] };
    for &[n, q, d, k] in sizes {
        let (bank, queries) = draw(&FeaturesOptions { rows: n, queries: q, width: d, seed: 8 });
        let options = SearchOptions { k, threads: 0 };
        let expected = CpuSearch::new(bank.view(), Metric::Cosine, &CpuOptions::default())
            .and_then(|cpu| cpu.search(queries.view(), &options))
            .expect("a search on the host");
        group.throughput(Throughput::Elements((n * q) as u64));
        for scan in Scan::ALL {
            let build = GpuOptions { scan, ..GpuOptions::default() };
            let search = match GpuSearch::new(&gpu, bank.view(), Metric::Cosine, &build) {
                Ok(search) => search,
                Err(e) => {
                    eprintln!("skipped {scan:?}: {e}");
                    continue;
                }
            };
            let (found, report) = search.search_with_report(queries.view(), &options).expect("a search");
            assert_eq!((&found.indices, &found.scores), (&expected.indices, &expected.scores), "{scan:?}");
            eprintln!("{scan:?}, {n} x {d}, {q} queries: {report:?}, {} bytes held", search.device_bytes());
            let sizes = format!("{n}x{d}_q{q}_k{k}");
            let name = format!("{scan:?}").to_lowercase();
            group.bench_function(BenchmarkId::new(format!("gpu_end_to_end_{name}"), &sizes), |b| {
                b.iter(|| black_box(search.search(queries.view(), &options)));
            });
            if report.kernels.is_some() {
                group.bench_function(BenchmarkId::new(format!("gpu_kernel_{name}"), &sizes), |b| {
                    b.iter_custom(|times| {
                        let run =
                            |_| search.search_with_report(queries.view(), &options).expect("a search").1;
                        (0..times).map(run).filter_map(|r| r.kernels).map(|t| t.total()).sum::<Duration>()
                    });
                });
            }
        }
    }
    group.finish();
}
