//! The search on whatever device there is, a program that plays one included. Ignored by default: a device is needed.

use std::sync::{Arc, Once, OnceLock};

use aoi_testing::{Seeded, lattice_f32};
use ndarray::{Array2, s};
use proptest::prelude::*;

use super::*;
use crate::Reference;
use crate::search::trouble::{KINDS, trouble};

/// The one device of the tests.
pub(super) fn device() -> &'static Gpu {
    static DEVICE: OnceLock<Gpu> = OnceLock::new();
    DEVICE.get_or_init(|| Gpu::open(DeviceChoice::Any).unwrap_or_else(|e| panic!("{e}")))
}

/// The scans that the device knows; one that it does not is said, once a program.
fn scans() -> impl Iterator<Item = Scan> {
    static SAID: Once = Once::new();
    let knows_f16 = device().kernels().unwrap().stages(Form::F16).is_some();
    if !knows_f16 {
        let why = format!("{} does not know f16", device().info());
        SAID.call_once(|| aoi_testing::skipped("f16", &why));
    }
    Scan::ALL.into_iter().filter(move |scan| knows_f16 || *scan != Scan::F16)
}

fn normals(n: usize, d: usize, seed: u64) -> Array2<f32> {
    Array2::from_shape_vec((n, d), Seeded::new(seed).normals_f32(n * d)).unwrap()
}

/// Asserts the reference's answer.
fn agree(search: &GpuSearch<'_>, bank: &Array2<f32>, queries: &Array2<f32>, k: usize) -> GpuReport {
    let options = SearchOptions { k, threads: 2 };
    let metric = search.metric();
    let expected = Reference::new(bank.view(), metric).unwrap().search(queries.view(), &options).unwrap();
    let (found, report) = search.search_with_report(queries.view(), &options).unwrap();
    assert_eq!(found.indices, expected.indices, "{metric} k {k}");
    assert_eq!(found.scores, expected.scores, "{metric} k {k}");
    assert_eq!(report.on_device + report.on_host, queries.nrows());
    report
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    #[ignore = "needs a GPU, or a program that plays one"]
    fn every_scan_gives_the_reference_answer_on_data_made_to_mislead_it(
        bank_kind in 0..KINDS, query_kind in 0..KINDS, metric in 0..3_usize,
        n in 1..700_usize, d in 1..70_usize, k in 1..40_usize, seed in 0..u64::MAX,
    ) {
        let mut s = Seeded::new(seed);
        let bank = trouble(bank_kind, n, d, &mut s);
        let mut queries = trouble(query_kind, 17, d, &mut s);
        queries.row_mut(3).assign(&bank.row(n / 2));
        for scan in scans() {
            let options = GpuOptions { scan, ..GpuOptions::default() };
            let search = GpuSearch::new(device(), bank.view(), Metric::ALL[metric], &options).unwrap();
            agree(&search, &bank, &queries, k);
        }
    }
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn clusters_are_answered_by_the_device_and_little_comes_back() {
    let centres = normals(40, 64, 3);
    let near = |n: usize, seed: u64| {
        let noise = normals(n, 64, seed);
        Array2::from_shape_fn((n, 64), |(i, j)| centres[[i % 40, j]] + 0.5 * noise[[i, j]])
    };
    let (bank, queries) = (near(6000, 4), near(50, 5));
    for scan in scans() {
        let search = GpuSearch::new(
            device(),
            bank.view(),
            Metric::Cosine,
            &GpuOptions { scan, ..GpuOptions::default() },
        )
        .unwrap();
        let options = SearchOptions { k: 10, threads: 1 };
        let (found, _) = search.search_with_report(queries.view(), &options).unwrap();
        let report = agree(&search, &bank, &queries, 10);
        assert_eq!((report.on_device, report.on_host), (50, 0), "{scan:?}");
        assert!(report.bytes_back < 50 * 4096, "{scan:?}: {report:?}");
        assert!(found.certificates.iter().all(|c| c.rescored >= 10 && c.rescored < 20), "{scan:?}");
        let route = if scan == Scan::F32 { Route::F32 } else { Route::Compact };
        assert!(found.certificates.iter().all(|c| c.route == route), "{scan:?}");
        let timed = device().info().features.contains(&"timestamps");
        assert_eq!(report.kernels.is_some_and(|t| !t.total().is_zero()), timed, "{scan:?}: {report:?}");
    }
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn a_bank_larger_than_the_memory_allowed_is_streamed() {
    let (bank, queries) = (normals(5000, 24, 6), normals(40, 24, 7));
    for scan in scans() {
        let options = GpuOptions { scan, memory: Some(300_000), threads: 2 };
        let search = GpuSearch::new(device(), bank.view(), Metric::L2, &options).unwrap();
        assert!(search.is_streamed() && search.bank.shards().count() >= 4, "{:?}", search.bank);
        assert!(search.device_bytes() <= 300_000);
        // More than one batch, and the second time with the buffers of the first.
        for k in [5, 5, 40] {
            let report = agree(&search, &bank, &queries, k);
            assert_eq!(report.on_host, 0, "k {k}");
        }
    }
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn a_device_of_the_callers_with_small_limits_serves_a_bank_in_many_shards() {
    let found = adapter::adapters();
    let infos: Vec<DeviceInfo> = found.iter().map(|f| f.1.clone()).collect();
    let best = choose_device(&infos, DeviceChoice::Any).unwrap();
    let limits = wgpu::Limits { max_storage_buffer_binding_size: 1 << 18, ..wgpu::Limits::default() };
    let descriptor = wgpu::DeviceDescriptor { required_limits: limits, ..wgpu::DeviceDescriptor::default() };
    let (own, queue) = pollster::block_on(found[best].0.request_device(&descriptor)).unwrap();
    let gpu = Gpu::from_wgpu(own, queue);
    assert_eq!(gpu.info().features, [""; 0], "nothing optional was asked for");
    assert!(!gpu.uses_cooperative_matrices().unwrap());
    let bank = Array2::from_shape_vec((3000, 60), lattice_f32(180_000, 8)).unwrap();
    let queries = Array2::from_shape_vec((70, 60), lattice_f32(4200, 9)).unwrap();
    for metric in Metric::ALL {
        let search = GpuSearch::new(&gpu, bank.view(), metric, &GpuOptions::default()).unwrap();
        assert!(!search.is_streamed() && search.bank.shards().count() >= 3);
        let report = agree(&search, &bank, &queries, 12);
        assert_eq!((report.on_host, report.kernels), (0, None));
    }
    let refused = GpuSearch::new(
        &gpu,
        bank.view(),
        Metric::L2,
        &GpuOptions { scan: Scan::F16, ..GpuOptions::default() },
    );
    assert!(matches!(refused, Err(RetrievalError::BadOption { option: "scan", .. })));
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn the_automatic_scan_says_what_it_has_become_and_answers_alike() {
    let (mut bank, queries) = (normals(900, 24, 20), normals(6, 24, 21));
    let automatic = |bank: &Array2<f32>| {
        let options = GpuOptions { scan: Scan::Auto, ..GpuOptions::default() };
        let search = GpuSearch::new(device(), bank.view(), Metric::L2, &options).unwrap();
        agree(&search, bank, &queries, 9);
        search.scan()
    };
    assert_eq!(automatic(&bank), Scan::F32);
    for mut row in bank.outer_iter_mut() {
        let length = row.dot(&row).sqrt();
        row /= length;
    }
    let knows_f16 = device().info().features.contains(&"f16");
    assert_eq!(automatic(&bank), if knows_f16 { Scan::F16 } else { Scan::F32 });
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn lists_that_overflow_grow_and_then_the_host_answers() {
    let mut bank = normals(4000, 16, 10);
    // k = 3 leaves room for 68 rows at first, for 523 the second time.
    for (equal, on_host) in [(20, 0), (200, 0), (2000, 1)] {
        for i in 0..equal {
            bank.row_mut(i).fill(1.0);
        }
        let search = GpuSearch::new(device(), bank.view(), Metric::L2, &GpuOptions::default()).unwrap();
        let queries = Array2::ones((1, 16));
        assert_eq!(agree(&search, &bank, &queries, 3).on_host, on_host, "{equal} equal rows");
    }
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn a_query_that_a_copy_cannot_decide_is_scanned_again_by_the_f32_rows_of_the_device() {
    // One coordinate is large in every row, with either sign, and lies between two f16 numbers: what tells rows apart is lost beside a code's step.
    let far = |n: usize, seed: u64| {
        let mut rows = normals(n, 16, seed) * 0.25;
        rows.column_mut(3)
            .indexed_iter_mut()
            .for_each(|(i, x)| *x += if i % 3 == 0 { 3001.0 } else { -3001.0 });
        rows
    };
    // So many that a shard has more bins than the lists of a byte scan, streamed or not.
    let bank = far(40_000, 22);
    let queries = far(5, 23);
    let coded = scans().filter(|scan| *scan != Scan::F32);
    for (scan, memory) in coded.flat_map(|scan| [(scan, None), (scan, Some(5_100_000))]) {
        let options = GpuOptions { scan, memory, threads: 2 };
        let search = GpuSearch::new(device(), bank.view(), Metric::InnerProduct, &options).unwrap();
        assert_eq!(search.is_streamed(), memory.is_some());
        let report = agree(&search, &bank, &queries, 6);
        assert_eq!((report.on_device, report.on_host), (5, 0), "{scan:?}");
        let options = SearchOptions { k: 6, threads: 1 };
        let found = search.search(queries.view(), &options).unwrap();
        assert_eq!(found.route_counts(), [0, 5, 0], "{scan:?} in {memory:?}: {:?}", search.bank);
        assert!(found.certificates.iter().all(|c| c.rescored < 20), "{scan:?}: {:?}", found.certificates);
    }
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn a_query_outside_the_range_of_f32_products_is_answered_by_the_host() {
    let bank = normals(300, 8, 11);
    let mut queries = normals(4, 8, 12);
    queries.row_mut(2).mapv_inplace(|x| x * 1e20);
    let search = GpuSearch::new(device(), bank.view(), Metric::L2, &GpuOptions::default()).unwrap();
    let report = agree(&search, &bank, &queries, 7);
    assert_eq!((report.on_device, report.on_host), (3, 1));
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn searches_of_one_device_may_run_at_the_same_time() {
    let (bank, queries) = (normals(600, 16, 18), normals(9, 16, 19));
    let search = GpuSearch::new(device(), bank.view(), Metric::L2, &GpuOptions::default()).unwrap();
    std::thread::scope(|scope| {
        for k in 1..5 {
            let (search, bank, queries) = (&search, &bank, &queries);
            scope.spawn(move || {
                for _ in 0..10 {
                    agree(search, bank, queries, k);
                }
            });
        }
    });
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn k_of_a_thousand_is_answered_by_the_device() {
    let (bank, queries) = (normals(5000, 12, 13), normals(5, 12, 14));
    let search = GpuSearch::new(device(), bank.view(), Metric::InnerProduct, &GpuOptions::default()).unwrap();
    assert_eq!(agree(&search, &bank, &queries, 1024).on_host, 0);
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn too_little_memory_is_an_error_that_says_how_much_is_needed() {
    let options = GpuOptions { memory: Some(1000), ..GpuOptions::default() };
    let bank = normals(300, 8, 15);
    let error = GpuSearch::new(device(), bank.view(), Metric::L2, &options).unwrap_err();
    assert!(matches!(error, RetrievalError::DeviceLimit { limit: 750, .. }), "{error}");
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn a_lost_device_is_an_error_before_and_during_a_search() {
    let gpu = Gpu::open(DeviceChoice::Any).unwrap();
    let bank = normals(300, 8, 16);
    let search = GpuSearch::new(&gpu, bank.view(), Metric::L2, &GpuOptions::default()).unwrap();
    search.search(bank.slice(s![..3, ..]), &SearchOptions::default()).unwrap();
    gpu.device().destroy();
    for _ in 0..2 {
        let error = search.search(bank.slice(s![..3, ..]), &SearchOptions::default()).unwrap_err();
        assert!(matches!(error, RetrievalError::DeviceLost { .. }), "{error}");
    }
    let error = GpuSearch::new(&gpu, bank.view(), Metric::L2, &GpuOptions::default()).unwrap_err();
    assert!(matches!(error, RetrievalError::DeviceLost { .. }), "{error}");
}

/// The best adapter, and a device of its own with a handler of its own, as a caller of the crate might have it.
fn callers_device() -> (wgpu::Adapter, DeviceInfo, wgpu::Device, wgpu::Queue) {
    let mut found = adapter::adapters();
    let infos: Vec<DeviceInfo> = found.iter().map(|f| f.1.clone()).collect();
    let (adapter, info) = found.swap_remove(choose_device(&infos, DeviceChoice::Any).unwrap());
    let (own, queue) =
        pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default())).unwrap();
    (adapter, info, own, queue)
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn the_loss_of_a_callers_device_is_told_by_the_callers_handler() {
    let bank = normals(300, 8, 16);
    for told in [true, false] {
        let (_, _, own, queue) = callers_device();
        let gpu = Gpu::from_wgpu(own.clone(), queue);
        let (tell, seen) = (gpu.loss_handler(), Arc::new(OnceLock::new()));
        let note = Arc::clone(&seen);
        own.set_device_lost_callback(move |_, reason| {
            if told {
                tell(&reason);
            }
            let _ = note.set(reason);
        });
        let search = GpuSearch::new(&gpu, bank.view(), Metric::L2, &GpuOptions::default()).unwrap();
        agree(&search, &bank, &bank, 3);
        own.destroy();
        let error = search.search(bank.slice(s![..3, ..]), &SearchOptions::default()).unwrap_err();
        assert_eq!(matches!(error, RetrievalError::DeviceLost { .. }), told, "{error}");
        assert!(told || matches!(error, RetrievalError::Device { .. }), "{error}");
        assert!(seen.get().is_some(), "the caller's handler is still there");
    }
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn a_callers_device_with_its_adapter_knows_the_matrices_that_it_was_opened_for() {
    let (adapter, info, own, queue) = callers_device();
    let gpu = Gpu::from_adapter(&adapter, own, queue);
    assert_eq!(gpu.info().cooperative, info.cooperative);
    assert!(!gpu.uses_cooperative_matrices().unwrap(), "it was not opened for them");
    let experimental = Gpu::open_experimental(DeviceChoice::Any).unwrap();
    let same = Gpu::from_adapter(&adapter, experimental.device().clone(), experimental.queue().clone());
    assert_eq!(same.uses_cooperative_matrices().unwrap(), experimental.uses_cooperative_matrices().unwrap());
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn a_buffer_that_the_device_cannot_have_is_an_error() {
    let asked = device().guarded(|| device().buffer("too large", 1 << 60, wgpu::BufferUsages::STORAGE));
    assert!(matches!(asked, Err(RetrievalError::Device { .. } | RetrievalError::DeviceMemory { .. })));
    // The device goes on.
    let bank = normals(40, 8, 17);
    let search = GpuSearch::new(device(), bank.view(), Metric::Cosine, &GpuOptions::default()).unwrap();
    agree(&search, &bank, &bank, 4);
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn building_and_searching_report_every_row_and_stop_where_they_are_told() {
    use std::ops::ControlFlow;
    let (n, q) = (5000, 40);
    let (bank, queries) = (normals(n, 24, 6), normals(q, 24, 7));
    for memory in [None, Some(300_000)] {
        let options = GpuOptions { scan: Scan::F32, memory, threads: 2 };
        let build = |progress: &mut ProgressFn<'_>| {
            GpuSearch::with_progress(device(), bank.view(), Metric::L2, &options, progress)
        };
        let mut calls = Vec::new();
        let search = build(&mut |p| {
            calls.push(p);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(calls.first(), Some(&Progress { done: 0, total: 4 * n }));
        assert_eq!(calls.last(), Some(&Progress { done: 4 * n, total: 4 * n }));
        assert!(calls.windows(2).all(|two| two[0].done <= two[1].done), "{calls:?}");
        // When all but what goes to the device is done.
        let stopped = build(&mut |p| {
            if p.done > 3 * n { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(matches!(stopped, Err(RetrievalError::Cancelled { .. })), "{stopped:?}");

        let mut between = 0;
        let mut last = Progress { done: 0, total: 0 };
        let options = SearchOptions { k: 5, threads: 2 };
        let mut watch = |p: Progress| {
            assert!(p.done >= last.done);
            between += usize::from(p.done > 0 && p.done < p.total);
            last = p;
            ControlFlow::Continue(())
        };
        search.search_with_progress(queries.view(), &options, &mut watch).unwrap();
        assert_eq!(last, Progress { done: q * n, total: q * n });
        // A streamed bank is reported shard by shard.
        assert!(between >= if memory.is_some() { 3 } else { 0 }, "{between}");
    }
}
