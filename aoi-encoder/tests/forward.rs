//! Laws of the forward pass: it is the reference's, whatever the sizes, the batch, the threads and the workspace.

use std::sync::Arc;

use aoi_encoder::ndarray::{Array4, Axis, s};
use aoi_encoder::{
    Config, Encoder, EncoderOptions, Error, Features, Feedforward, Grid, Instructions, Params, Positions,
    Precision, PrefixPositions, Resampling, Role, Table, Workspace, reference,
};
use aoi_testing::{Seeded, for_each_case};
use proptest::prelude::*;

/// Random parameters of sensible size: norms and scales around one, matrices by their inputs.
fn params(config: &Config, seed: u64) -> Params<f32> {
    let table = Arc::new(Table::new(config).unwrap());
    let (mut params, mut seeded) = (Params::<f32>::zeros(table.clone()), Seeded::new(seed));
    for tensor in table.tensors() {
        let inputs: usize = tensor.shape[1..].iter().product();
        let (centre, spread) = match tensor.role {
            Role::Norm | Role::Scale => (1.0, 0.2),
            Role::Matrix => (0.0, (2.0 / inputs as f32).sqrt()),
            _ => (0.0, 0.4),
        };
        let noise = seeded.normals_f32(tensor.len());
        params.get_mut(&tensor.name).iter_mut().zip(noise).for_each(|(p, n)| *p = centre + spread * n);
    }
    params
}

fn images(config: &Config, (b, rows, columns): (usize, usize, usize), seed: u64) -> Array4<f32> {
    let shape = (b, config.channels, rows * config.patch, columns * config.patch);
    let n = shape.0 * shape.1 * shape.2 * shape.3;
    Array4::from_shape_vec(shape, Seeded::new(seed).normals_f32(n)).unwrap()
}

fn small() -> Config {
    Config {
        channels: 2,
        patch: 4,
        width: 48,
        depth: 2,
        heads: 3,
        hidden: 80,
        layer_scale: true,
        registers: 2,
        grid: Grid { rows: 3, columns: 5 },
        ..Config::paper()
    }
}

fn with(config: &Config, params: &Params<f32>, instructions: Instructions, precision: Precision) -> Encoder {
    Encoder::with_options(config, params, &EncoderOptions { precision, instructions }).unwrap()
}

fn bits(features: &Features) -> Vec<u32> {
    let Features { class, registers, patches, blocks } = features;
    let all = class.iter().chain(registers).chain(patches).chain(blocks.iter().flatten());
    all.map(|v| v.to_bits()).collect()
}

/// Largest difference to the reference, over the largest entry of the same output.
fn error(
    config: &Config,
    params: &Params<f32>,
    images: &Array4<f32>,
    (instructions, precision): (Instructions, Precision),
) -> f64 {
    let encoder = with(config, params, instructions, precision);
    let blocks: Vec<usize> = (0..config.depth).collect();
    let features = encoder.forward(images, &blocks, &mut Workspace::new(2).unwrap()).unwrap();
    let exact = reference::forward(config, &params.to_f64(), &images.mapv(f64::from)).unwrap();
    let prefix = config.prefix();
    let worst = |actual: &mut dyn Iterator<Item = f32>, exact: &mut dyn Iterator<Item = f64>| {
        let (mut off, mut largest, mut count) = (0.0_f64, 0.0_f64, 0);
        for (a, e) in actual.zip(exact) {
            off = if (f64::from(a) - e).abs() <= off { off } else { (f64::from(a) - e).abs() };
            largest = largest.max(e.abs());
            count += 1;
        }
        assert!(count > 0, "nothing was compared");
        if off.is_nan() { f64::INFINITY } else { off / largest }
    };
    let last = exact.last().unwrap();
    let mut errors = vec![
        worst(&mut features.class.iter().copied(), &mut last.index_axis(Axis(1), 0).iter().copied()),
        worst(&mut features.patches.iter().copied(), &mut last.slice(s![.., prefix.., ..]).iter().copied()),
    ];
    if config.registers > 0 {
        let exact = last.slice(s![.., 1..prefix, ..]);
        errors.push(worst(&mut features.registers.iter().copied(), &mut exact.iter().copied()));
    }
    for (block, exact) in features.blocks.iter().zip(&exact) {
        errors
            .push(worst(&mut block.iter().copied(), &mut exact.slice(s![.., prefix.., ..]).iter().copied()));
    }
    errors.into_iter().fold(0.0, f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_architecture_agrees_with_the_reference(
        // Norms over fewer than 16 numbers may divide by almost nothing, and then no f32 path is close to f64.
        (heads, head_width, depth, hidden) in (1_usize..5, 4_usize..20, 1_usize..4, 1_usize..70),
        (channels, patch, registers) in (1_usize..5, 1_usize..6, 0_usize..4),
        (b, rows, columns, stored_rows, stored_columns) in (1_usize..4, 1_usize..7, 1_usize..9, 1_usize..5, 1_usize..5),
        (gated, qkv_bias, layer_scale, positions) in (any::<bool>(), any::<bool>(), any::<bool>(), 0_usize..5),
        seed: u64,
    ) {
        let width = 4 * heads * head_width;
        let learned = |prefix, resampling| Positions::Learned { prefix, resampling };
        let config = Config {
            channels, patch, width, depth, heads, hidden, qkv_bias, layer_scale, registers,
            feedforward: if gated { Feedforward::SwiGlu } else { Feedforward::Gelu },
            positions: [
                Positions::SinCos,
                learned(PrefixPositions::None, Resampling::Antialiased),
                learned(PrefixPositions::Class, Resampling::Plain),
                learned(PrefixPositions::All, Resampling::Offset),
                learned(PrefixPositions::Class, Resampling::Antialiased),
            ][positions],
            grid: Grid { rows: stored_rows, columns: stored_columns },
            norm_epsilon: 1e-6,
        };
        let (params, images) = (params(&config, seed), images(&config, (b, rows, columns), seed ^ 1));
        for instructions in Instructions::ALL.into_iter().filter(|i| i.is_available()) {
            let error = error(&config, &params, &images, (instructions, Precision::F32));
            prop_assert!(error < 1e-5, "{instructions:?}: {error:e} for {config:?}");
            let rounded = self::error(&config, &params, &images, (instructions, Precision::Bf16));
            prop_assert!(rounded < 0.1, "{instructions:?} bf16: {rounded:e} for {config:?}");
        }
    }
}

#[test]
fn many_tokens_in_several_chunks_agree_with_the_reference() {
    // 3 + 18 * 17 = 309 tokens: ten groups of queries, the last with five, and more than one chunk of rows.
    let config = Config { hidden: 1100, ..small() };
    let (params, images) = (params(&config, 1), images(&config, (1, 18, 17), 2));
    let error = error(&config, &params, &images, (Instructions::best(), Precision::F32));
    assert!(error < 1e-5, "{error:e}");
}

#[test]
fn bf16_stays_within_the_bound_that_is_stated() {
    let config = Config { width: 192, heads: 3, hidden: 768, depth: 6, ..small() };
    let (params, images) = (params(&config, 21), images(&config, (2, 9, 11), 22));
    let mut found = Vec::new();
    for instructions in Instructions::ALL.into_iter().filter(|i| i.is_available()) {
        let error = error(&config, &params, &images, (instructions, Precision::Bf16));
        // Rounding to 8 bits moves a number by up to 2^-8; six blocks of products and softmax over such numbers add up to this.
        assert!(error < 0.03, "{instructions:?}: {error:e}");
        assert!(error > 1e-4, "{instructions:?}: {error:e} is what f32 gives, so nothing was rounded");
        found.push(error);
    }
    assert!(!found.is_empty());
}

#[test]
fn threads_do_not_change_a_bit() {
    let config = small();
    // Seven images of 66 tokens: one thread takes three, three and one; two, three and four threads leave one or three to all, seven nothing, and
    // eight are dealt none. With a block between, no image has a thread of its own.
    let (params, images) = (params(&config, 3), images(&config, (7, 9, 7), 4));
    let mut compared = 0;
    for instructions in Instructions::ALL.into_iter().filter(|i| i.is_available()) {
        for precision in [Precision::F32, Precision::Bf16] {
            let encoder = with(&config, &params, instructions, precision);
            for blocks in [&[0][..], &[]] {
                let one = encoder.forward(&images, blocks, &mut Workspace::new(1).unwrap()).unwrap();
                for threads in [2, 3, 4, 7, 8] {
                    let many =
                        encoder.forward(&images, blocks, &mut Workspace::new(threads).unwrap()).unwrap();
                    assert_eq!(
                        bits(&one),
                        bits(&many),
                        "{threads} threads, {blocks:?}, {instructions:?} {precision:?}"
                    );
                    compared += 1;
                }
            }
        }
    }
    assert!(compared >= 20);
}

#[test]
fn the_rest_of_the_batch_does_not_change_a_bit() {
    let config = small();
    let encoder = Encoder::new(&config, &params(&config, 5)).unwrap();
    let images = images(&config, (5, 6, 4), 6);
    let mut workspace = Workspace::new(2).unwrap();
    let all = encoder.forward(&images, &[1], &mut workspace).unwrap();
    let dealt = encoder.forward(&images, &[], &mut workspace).unwrap();
    for i in 0..5 {
        let alone = encoder.forward(&images.slice(s![i..=i, .., .., ..]), &[1], &mut workspace).unwrap();
        for all in [&all, &dealt] {
            assert_eq!(alone.class.row(0), all.class.row(i));
            assert_eq!(alone.registers.index_axis(Axis(0), 0), all.registers.index_axis(Axis(0), i));
            assert_eq!(alone.patches.index_axis(Axis(0), 0), all.patches.index_axis(Axis(0), i));
        }
        assert_eq!(alone.blocks[0].index_axis(Axis(0), 0), all.blocks[0].index_axis(Axis(0), i));
    }
}

#[test]
fn workspaces_of_one_and_more_threads_serve_the_threads_of_another_pool() {
    let config = small();
    let encoder = Encoder::new(&config, &params(&config, 16)).unwrap();
    let images = images(&config, (3, 5, 4), 17);
    let expected = bits(&encoder.forward(&images, &[], &mut Workspace::new(1).unwrap()).unwrap());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    let found = pool.broadcast(|context| {
        let mut workspace = Workspace::new(1 + context.index() % 2).unwrap();
        bits(&encoder.forward(&images, &[], &mut workspace).unwrap())
    });
    assert_eq!(found, vec![expected; 4]);
}

#[test]
fn a_workspace_used_by_other_sizes_and_encoders_leaves_no_trace() {
    let (first, second) = (small(), Config { registers: 0, hidden: 33, ..small() });
    let make = |config: &Config, seed| Encoder::new(config, &params(config, seed)).unwrap();
    let (a, b) = (make(&first, 7), make(&second, 8));
    let (large, tiny) = (images(&first, (2, 8, 8), 9), images(&second, (1, 2, 3), 10));
    let fresh =
        |encoder: &Encoder, images| encoder.forward(images, &[], &mut Workspace::new(2).unwrap()).unwrap();
    let mut workspace = Workspace::new(2).unwrap();
    for _ in 0..2 {
        assert_eq!(bits(&a.forward(&large, &[], &mut workspace).unwrap()), bits(&fresh(&a, &large)));
        // The same grid for two encoders: neither may get the other's positions.
        assert_eq!(bits(&a.forward(&tiny, &[], &mut workspace).unwrap()), bits(&fresh(&a, &tiny)));
        assert_eq!(bits(&b.forward(&tiny, &[], &mut workspace).unwrap()), bits(&fresh(&b, &tiny)));
    }
}

#[test]
fn images_in_another_memory_order_give_the_same() {
    let config = small();
    let encoder = Encoder::new(&config, &params(&config, 11)).unwrap();
    let images = images(&config, (2, 3, 3), 12);
    let mut channels_last = Array4::zeros((2, 12, 12, 2));
    channels_last.assign(&images.view().permuted_axes([0, 2, 3, 1]));
    let mut workspace = Workspace::new(1).unwrap();
    let view = channels_last.view().permuted_axes([0, 3, 1, 2]);
    let (a, b) = (encoder.forward(&images, &[], &mut workspace), encoder.forward(&view, &[], &mut workspace));
    assert_eq!(bits(&a.unwrap()), bits(&b.unwrap()));
}

#[test]
fn images_that_do_not_fit_are_refused() {
    let config = small();
    let encoder = Encoder::new(&config, &params(&config, 13)).unwrap();
    let refused = |images: Array4<f32>, blocks: &[usize]| {
        encoder.forward(&images, blocks, &mut Workspace::new(1).unwrap()).unwrap_err()
    };
    for_each_case(
        [
            ("no image", (0, 2, 8, 8)),
            ("channels", (1, 3, 8, 8)),
            ("part of a patch", (1, 2, 8, 9)),
            ("empty", (1, 2, 0, 8)),
        ],
        |shape| {
            assert!(matches!(refused(Array4::zeros(shape), &[]), Error::Shape { .. } | Error::Config { .. }));
        },
    );
    let fitting = Array4::zeros((1, 2, 8, 8));
    assert!(matches!(refused(fitting.clone(), &[0, 2]), Error::Block { found: 2, last: 1 }));
    for bad in [f32::NAN, f32::INFINITY] {
        let mut images = fitting.clone();
        images[[0, 1, 3, 2]] = bad;
        assert!(matches!(refused(images, &[]), Error::NotFinite { entry: 90, .. }));
        let mut images = Array4::zeros((1, 2, 64, 64));
        images[[0, 1, 63, 2]] = bad;
        assert!(matches!(refused(images, &[]), Error::NotFinite { entry: 8130, .. }));
    }
    assert!(Workspace::new(0).is_err());
}

#[test]
fn parameters_that_are_not_finite_or_of_another_architecture_are_refused() {
    let config = small();
    let mut broken = params(&config, 14);
    broken.get_mut("block.1.scale2")[3] = f32::NAN;
    assert!(matches!(Encoder::new(&config, &broken), Err(Error::NotFinite { entry: 3, .. })));
    let other = Config { depth: 3, ..small() };
    assert!(matches!(Encoder::new(&other, &params(&config, 15)), Err(Error::Shape { .. })));
}
