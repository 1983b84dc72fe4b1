//! The kernels against their twins on a device, and their sources without one.

use aoi_testing::{Seeded, assert_all_close, lattice_f32};

use super::bin_max::{Scanned, bin_max, bin_max_int8};
use super::rescore::{Rescored, rescore};
use super::select::{merge_rows, select_bins};
use super::*;
use crate::search::gpu::device::Gpu;
use crate::search::gpu::pack::NO_ROW;
use crate::search::gpu::tests::device;

fn sources() -> impl Iterator<Item = &'static Source> {
    [&BIN_MAX_F32, &BIN_MAX_F16, &BIN_MAX_INT8, &BIN_MAX_COOPERATIVE, &RESCORE]
        .into_iter()
        .chain(SELECT.as_flattened())
}

/// Both ways to select, as far as the device has them: `select_bins` and `merge_rows` each.
fn selections() -> Vec<&'static [Kernel; 2]> {
    let kernels = device().kernels().unwrap();
    std::iter::once(&kernels.select).chain(&kernels.select_by_subgroups).collect()
}

/// Parses and validates a source as a device with every feature would.
fn module(source: &Source) -> naga::Module {
    let module = naga::front::wgsl::parse_str(&source.text())
        .unwrap_or_else(|e| panic!("{}: {}", source.name, e.emit_to_string(&source.text())));
    let mut validator =
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::all());
    let checked = validator.validate(&module).unwrap_or_else(|e| panic!("{}: {e:?}", source.name));
    let options = naga::back::spv::Options::default();
    let words = naga::back::spv::write_vec(&module, &checked, &options, None)
        .unwrap_or_else(|e| panic!("{}: {e:?}", source.name));
    assert!(words.len() > 100, "{}: what Vulkan is given", source.name);
    module
}

#[test]
fn every_source_is_valid_and_keeps_the_limits_that_every_device_grants() {
    for source in sources() {
        let module = module(source);
        let storage = module
            .global_variables
            .iter()
            .filter(|(_, v)| matches!(v.space, naga::AddressSpace::Storage { .. }));
        assert!(storage.count() <= 8, "{}: storage buffers", source.name);
        let layout = |v: &naga::GlobalVariable| module.types[v.ty].inner.size(module.to_ctx());
        let workgroup: u32 = module
            .global_variables
            .iter()
            .filter(|(_, v)| v.space == naga::AddressSpace::WorkGroup)
            .map(|(_, v)| layout(v))
            .sum();
        assert!(workgroup <= 16_384, "{}: {workgroup} bytes of workgroup memory", source.name);
        let [x, y, z] = module.entry_points[0].workgroup_size;
        assert!(x * y * z <= 256, "{}", source.name);
    }
}

#[test]
fn cooperative_matrices_and_subgroup_operations_never_meet() {
    for source in sources() {
        let text = source.text();
        // Their names all go on with a capital: subgroupAdd, coopLoad, ...
        let uses = |start: &str| {
            text.match_indices(start)
                .any(|(at, _)| text[at + start.len()..].starts_with(|next: char| next.is_ascii_uppercase()))
        };
        assert!(!(uses("subgroup") && uses("coop")), "{}", source.name);
    }
    assert!(BIN_MAX_COOPERATIVE.text().contains("coopLoad"));
}

#[test]
fn structures_have_the_same_members_in_rust_and_in_the_kernels() {
    let module = module(&SELECT[0][0]);
    for (name, size, members) in [
        ("Parameters", size_of::<Parameters>(), format!("{:?}", Parameters::default())),
        ("State", size_of::<State>(), format!("{:?}", State::default())),
    ] {
        let (_, ty) = module.types.iter().find(|(_, t)| t.name.as_deref() == Some(name)).unwrap();
        let naga::TypeInner::Struct { members: theirs, span } = &ty.inner else { panic!("{name}") };
        assert_eq!(*span as usize, size, "{name}");
        let theirs: Vec<String> =
            theirs.iter().map(|m| format!("{}: 0", m.name.as_deref().unwrap())).collect();
        assert_eq!(members, format!("{name} {{ {} }}", theirs.join(", ")));
    }
}

/// One dispatch of `kernel` over the given buffers; they come back as they are afterwards.
fn dispatch(gpu: &Gpu, kernel: &Kernel, p: &Parameters, buffers: &[&[u8]], grid: [u32; 3]) -> Vec<Vec<u8>> {
    use wgpu::BufferUsages as Usage;
    let make = |bytes: &[u8], usage| {
        let buffer = gpu.buffer("test", bytes.len() as u64, usage | Usage::COPY_DST | Usage::COPY_SRC);
        gpu.queue().write_buffer(&buffer, 0, bytes);
        buffer
    };
    gpu.guarded(|| {
        let parameters = make(bytemuck::bytes_of(p), Usage::UNIFORM);
        let made: Vec<wgpu::Buffer> = buffers.iter().map(|b| make(b, Usage::STORAGE)).collect();
        let resources: Vec<_> =
            std::iter::once(&parameters).chain(&made).map(wgpu::Buffer::as_entire_binding).collect();
        let group = kernel.bind(gpu.device(), &resources);
        let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        kernel.dispatch(
            &mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()),
            &group,
            grid,
        );
        let back: Vec<wgpu::Buffer> = made
            .iter()
            .map(|b| {
                let back = gpu.buffer("back", b.size(), Usage::MAP_READ | Usage::COPY_DST);
                encoder.copy_buffer_to_buffer(b, 0, &back, 0, b.size());
                back
            })
            .collect();
        gpu.queue().submit([encoder.finish()]);
        back.iter().zip(buffers).map(|(b, bytes)| gpu.read(b, bytes.len() as u64).unwrap()).collect()
    })
    .unwrap()
}

fn bytes<T: bytemuck::NoUninit>(words: &[T]) -> &[u8] {
    bytemuck::cast_slice(words)
}

/// A scan of 300 rows and 140 queries in `words` words.
fn scan_parameters(words: u32) -> Parameters {
    Parameters {
        queries: 140,
        rows: 300,
        bins: 19,
        panels: 3,
        width: words,
        words,
        across: 2,
        ..Parameters::default()
    }
}

fn bias() -> Vec<f32> {
    let mut bias = lattice_f32(384, 3);
    bias[300..].fill(NO_ROW);
    bias
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn bin_maxima_of_f32_and_f16_numbers_equal_the_twins_on_a_lattice() {
    let kernels = device().kernels().unwrap();
    for words in [8, 24] {
        let p = scan_parameters(words);
        let (rows, queries) = (lattice_f32(384 * words as usize, 1), lattice_f32(256 * words as usize, 2));
        let bias = bias();
        let none = vec![0.0_f32; 140 * 19];
        let given = Scanned { rows: &rows, queries: &queries, bias: &bias, steps: [&[], &[]] };
        let expected = bin_max(&p, &given);
        let buffers = [bytes(&rows), bytes(&queries), bytes(&bias), bytes(&none)];
        let after = dispatch(device(), &kernels.bin_max_f32, &p, &buffers, [2, 2, 2]);
        assert_eq!(bytemuck::pod_collect_to_vec::<u8, f32>(&after[3]), expected);

        let Some(kernel) = &kernels.bin_max_f16 else { continue };
        let half = |x: &[f32]| -> Vec<u16> { x.iter().map(|&x| half::f16::from_f32(x).to_bits()).collect() };
        let power = |seed: u64, n: usize| -> Vec<f32> {
            lattice_f32(n, seed).iter().map(|e| (e / 2.0).floor().exp2()).collect()
        };
        let (steps, of_query) = (power(5, 384), power(6, 256));
        let given = Scanned { steps: [&steps, &of_query], ..given };
        let expected = bin_max(&p, &given);
        let (rows, queries) = (half(&rows), half(&queries));
        let buffers =
            [bytes(&rows), bytes(&queries), bytes(&bias), bytes(&none), bytes(&steps), bytes(&of_query)];
        let after = dispatch(device(), kernel, &p, &buffers, [2, 2, 2]);
        assert_eq!(bytemuck::pod_collect_to_vec::<u8, f32>(&after[3]), expected);
    }
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn bin_maxima_of_bytes_equal_the_twin() {
    let mut s = Seeded::new(9);
    let mut codes = |n: usize| -> Vec<[u8; 4]> {
        (0..n)
            .map(|_| std::array::from_fn(|_| (u8::try_from(s.below(255)).unwrap()).wrapping_sub(127)))
            .collect()
    };
    let p = scan_parameters(16);
    let (rows, queries, bias) = (codes(384 * 16), codes(256 * 16), bias());
    let steps = vec![0.5_f32; 384];
    let of_query = vec![0.25_f32; 256];
    let given = Scanned { rows: &rows, queries: &queries, bias: &bias, steps: [&steps, &of_query] };
    let expected = bin_max_int8(&p, &given);
    let none = vec![0.0_f32; 140 * 19];
    let buffers =
        [bytes(&rows), bytes(&queries), bytes(&bias), bytes(&none), bytes(&steps), bytes(&of_query)];
    let after = dispatch(device(), &device().kernels().unwrap().bin_max_int8, &p, &buffers, [2, 3, 1]);
    assert_eq!(bytemuck::pod_collect_to_vec::<u8, f32>(&after[3]), expected);
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn selected_bins_are_the_twins_at_every_size_of_shard_and_k() {
    let mut s = Seeded::new(11);
    for (bins, k, capacity) in [(1, 1, 1), (7, 9, 7), (300, 1, 64), (1000, 30, 200), (1000, 300, 310)] {
        let p = Parameters { queries: 3, bins, k, capacity, ..Parameters::default() };
        let count = bins as usize;
        // A coarse grid of values makes ties common.
        let best: Vec<f32> = (0..3 * count).map(|_| s.below(97) as f32 / 8.0 - 6.0).collect();
        let terms: Vec<[f32; 4]> = (0..count).map(|_| [s.below(64) as f32 / 64.0, 0.0, 0.5, 1e-3]).collect();
        let coefficients = [[[0.01, 1.0, 1e-3, 1e-3], [9.0; 4]]; 3];
        let states =
            [0, 0x8000_0000, 0xbfff_ffff].map(|threshold| State { threshold, total: 5, ..State::default() });
        let chosen = vec![u32::MAX; 3 * capacity as usize];
        let buffers = [bytes(&best), bytes(&terms), bytes(&coefficients), bytes(&states), bytes(&chosen)];
        for [kernel, _] in selections() {
            let after = dispatch(device(), kernel, &p, &buffers, [3, 1, 1]);
            let after_states: Vec<State> = bytemuck::pod_collect_to_vec(&after[3]);
            let after_chosen: Vec<u32> = bytemuck::pod_collect_to_vec(&after[4]);
            for q in 0..3 {
                let mut state = states[q];
                let best = &best[q * count..(q + 1) * count];
                let expected = select_bins(&p, best, &terms, coefficients[q][0], &mut state);
                assert_eq!(after_states[q], state, "{bins} bins, k {k}, query {q}");
                let mut kept = after_chosen[q * capacity as usize..(q + 1) * capacity as usize].to_vec();
                kept.truncate(state.bins as usize);
                kept.sort_unstable();
                if state.overflow == 0 {
                    assert_eq!(kept, expected, "{bins} bins, k {k}, query {q}");
                } else {
                    assert!(kept.iter().all(|bin| expected.contains(bin)));
                }
            }
        }
    }
}

/// A bin whose upper bound is the threshold itself may hold a row that ties with the k-th.
#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn bins_that_only_reach_the_threshold_are_kept() {
    // Zeros without any error have one key as both bounds.
    let best = [0.0_f32, -1.0, 0.0, 0.0, -1.0];
    let (terms, coefficients) = ([[0.0_f32; 4]; 5], [[[0.0_f32; 4]; 2]; 1]);
    let p = Parameters { queries: 1, bins: 5, k: 2, capacity: 5, ..Parameters::default() };
    let (states, chosen) = ([State::default()], [u32::MAX; 5]);
    let buffers = [bytes(&best), bytes(&terms), bytes(&coefficients), bytes(&states), bytes(&chosen)];
    assert_eq!(select_bins(&p, &best, &terms, coefficients[0][0], &mut { states[0] }), [0, 2, 3]);
    for [kernel, _] in selections() {
        let after = dispatch(device(), kernel, &p, &buffers, [1, 1, 1]);
        let mut kept: Vec<u32> = bytemuck::pod_collect_to_vec(&after[4]);
        kept.sort_unstable();
        assert_eq!(kept, [0, 2, 3, u32::MAX, u32::MAX]);
    }
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn rescored_bins_are_the_twins() {
    let p = Parameters { queries: 130, width: 16, capacity: 9, slices: 2, ..scan_parameters(16) };
    let mut s = Seeded::new(12);
    let (rows, queries, bias) = (lattice_f32(384 * 16, 1), lattice_f32(256 * 16, 2), bias());
    let terms = vec![[1.0, 0.5, 0.25, 0.125]; 24];
    let coefficients = vec![[[7.0; 4], [0.5, 0.25, 0.5, 0.0]]; 130];
    let chosen: Vec<u32> = (0..130 * 9).map(|_| u32::try_from(s.below(19)).unwrap()).collect();
    let state: Vec<State> =
        (0..130).map(|_| State { bins: u32::try_from(s.below(12)).unwrap(), ..State::default() }).collect();
    let given = Rescored {
        rows: &rows,
        queries: &queries,
        bias: &bias,
        terms: &terms,
        coefficients: &coefficients,
        chosen: &chosen,
        state: &state,
    };
    let expected = rescore(&p, &given);
    let nothing = vec![[0_u32; 2]; 130 * 9 * 16];
    let buffers = [
        bytes(&rows),
        bytes(&queries),
        bytes(&bias),
        bytes(&terms),
        bytes(&coefficients),
        bytes(&chosen),
        bytes(&state),
        bytes(&nothing),
    ];
    let after = dispatch(device(), &device().kernels().unwrap().rescore, &p, &buffers, [130, 2, 1]);
    let numbers = |keys: &[[u32; 2]]| -> Vec<f32> {
        keys.as_flattened()
            .iter()
            .map(|&k| f32::from_bits(if k >> 31 == 1 { k & !(1 << 31) } else { !k }))
            .map(|x| if x.is_nan() { 0.0 } else { x })
            .collect()
    };
    // The last step, scaling an error, may be fused or not.
    assert_all_close(&numbers(&bytemuck::pod_collect_to_vec(&after[7])), &numbers(&expected), 1e-6, 1e-6);
    assert!(expected.contains(&[0; 2]) && expected.iter().any(|k| k[0] > 1 << 31));
}

#[test]
#[ignore = "needs a GPU, or a program that plays one"]
fn merged_lists_are_the_twins() {
    let mut s = Seeded::new(13);
    for (k, list, bins, known) in
        [(5, 40, 3, 0), (5, 40, 3, 6), (30, 200, 12, 40), (3, 4, 2, 3), (1, 9, 0, 2)]
    {
        let p = Parameters {
            queries: 2,
            rows: 300,
            first_row: 1000,
            k,
            list,
            capacity: 12,
            ..Parameters::default()
        };
        let mut keys = || {
            let lower = 0x8000_0000 + u32::try_from(s.below(300)).unwrap();
            [lower, lower + u32::try_from(s.below(3)).unwrap()]
        };
        let scored: Vec<[u32; 2]> = (0..2 * 12 * 16).map(|_| keys()).collect();
        let before: Vec<[u32; 4]> = (0..2 * list)
            .map(|i| {
                let [low, high] = keys();
                [i, low, high, 0]
            })
            .collect();
        // The last bin of 300 rows holds twelve.
        let chosen: Vec<u32> = (0..2).flat_map(|_| (7..19).rev()).collect();
        let states =
            [0, 0x8000_0040].map(|threshold| State { bins, rows: known, threshold, ..State::default() });
        let after = vec![[0_u32; 4]; 2 * list as usize];
        let buffers = [bytes(&chosen), bytes(&scored), bytes(&before), bytes(&after), bytes(&states)];
        for [_, kernel] in selections() {
            let out = dispatch(device(), kernel, &p, &buffers, [2, 1, 1]);
            let lists: Vec<[u32; 4]> = bytemuck::pod_collect_to_vec(&out[3]);
            let out_states: Vec<State> = bytemuck::pod_collect_to_vec(&out[4]);
            for q in 0..2 {
                let mut state = states[q];
                let start = q * list as usize;
                let known: Vec<[u32; 3]> =
                    before[start..start + known as usize].iter().map(|r| [r[0], r[1], r[2]]).collect();
                let (from, until) = (q * 12, q * 12 + bins as usize);
                let expected =
                    merge_rows(&p, &known, &chosen[from..until], &scored[from * 16..until * 16], &mut state);
                assert_eq!(out_states[q], state, "k {k}, list {list}, query {q}");
                let kept = expected.len().min(list as usize);
                let mut found: Vec<[u32; 3]> =
                    lists[start..start + kept].iter().map(|r| [r[0], r[1], r[2]]).collect();
                found.sort_unstable();
                if state.overflow == 0 {
                    assert_eq!(found, expected, "k {k}, list {list}, query {q}");
                }
            }
        }
    }
}
