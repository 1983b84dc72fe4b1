//! The gradient of the masked autoencoder: against central differences over every parameter, and its laws.

use std::sync::Arc;

use aoi_encoder::mae::{Decoder, Mae, MaeBatches, MaeTape, Mask};
use aoi_encoder::ndarray::{Array4, Axis, s};
use aoi_encoder::{
    Config, Error, Feedforward, Grid, Params, Positions, Precision, PrefixPositions, Resampling, Role,
    Scalar, Table,
};
use aoi_testing::{Seeded, check_gradient, for_each_case};

const DECODER: Decoder = Decoder { width: 8, depth: 1, heads: 2 };

/// Every part there is, at the smallest size: two channels, an oblong grid, registers, scales.
fn full() -> Config {
    Config {
        channels: 2,
        patch: 2,
        width: 8,
        depth: 2,
        heads: 2,
        hidden: 12,
        layer_scale: true,
        registers: 2,
        grid: Grid { rows: 2, columns: 3 },
        positions: Positions::Learned { prefix: PrefixPositions::All, resampling: Resampling::Plain },
        ..Config::paper()
    }
}

/// Parameters far from any symmetry, so that every tensor matters.
fn params(table: &Arc<Table>, seed: u64) -> Params<f64> {
    let (mut params, mut seeded) = (Params::<f64>::zeros(table.clone()), Seeded::new(seed));
    for tensor in table.tensors() {
        let inputs = (tensor.len() / tensor.shape[0]) as f64;
        let (centre, spread) = match tensor.role {
            Role::Norm | Role::Scale => (1.0, 0.3),
            Role::Matrix => (0.0, (1.0 / inputs).sqrt()),
            _ => (0.0, 0.3),
        };
        params.get_mut(&tensor.name).iter_mut().for_each(|p| *p = centre + spread * seeded.normal());
    }
    params
}

fn images(config: &Config, b: usize, seed: u64) -> Array4<f64> {
    let shape = (b, config.channels, config.grid.rows * config.patch, config.grid.columns * config.patch);
    let mut seeded = Seeded::new(seed);
    Array4::from_shape_simple_fn(shape, || seeded.normal())
}

fn masks(config: &Config, b: usize) -> Vec<Mask> {
    (0..b).map(|i| Mask::draw(config.grid.len(), 0.6, 5, [0, i as u64]).unwrap()).collect()
}

fn gradient(
    mae: &Mae,
    p: &Params<f64>,
    images: &Array4<f64>,
    masks: &[Mask],
    recompute: bool,
) -> (f64, Params<f64>) {
    let mut gradient = Params::zeros(mae.table().clone());
    let loss = mae.gradient(p, images, masks, 1.0, &mut MaeTape::new(recompute), &mut gradient).unwrap();
    (loss, gradient)
}

#[test]
fn every_parameter_agrees_with_central_differences() {
    let plain = Config { registers: 0, layer_scale: false, ..full() };
    for_each_case(
        [
            ("everything", (full(), true)),
            ("plain, raw pixels", (plain.clone(), false)),
            ("gated", (Config { feedforward: Feedforward::SwiGlu, ..full() }, false)),
            (
                "fixed positions, no bias of q, k, v",
                (Config { positions: Positions::SinCos, qkv_bias: false, ..plain }, true),
            ),
        ],
        |(config, normalised)| {
            let mae = Mae::new(&config, DECODER, normalised).unwrap();
            let p = params(mae.table(), 1);
            let (images, masks) = (images(&config, 2, 2), masks(&config, 2));
            let (loss, gradient) = gradient(&mae, &p, &images, &masks, false);
            assert!(loss > 0.1, "{loss}");
            let tensors: Vec<(&str, usize)> =
                mae.table().tensors().iter().map(|t| (t.name.as_str(), t.len())).collect();
            let mut tape = MaeTape::new(false);
            let at = |values: &[f64]| {
                let p = Params::new(mae.table().clone(), values.to_vec()).unwrap();
                mae.loss(&p, &images, &masks, &mut tape).unwrap()
            };
            // Rounding of the differences: 2e-16 / 1e-5; their truncation: 1e-10 of a third derivative.
            let compared = check_gradient(&tensors, p.values(), gradient.values(), 1e-5, (1e-9, 1e-6), at);
            assert_eq!(compared.unwrap_or_else(|e| panic!("{e}")), mae.table().len());
        },
    );
}

/// Sides of products beyond a tile, and such that tiles are not filled: what trains runs on other paths than the smallest sizes.
fn larger() -> Config {
    let grid = Grid { rows: 5, columns: 7 };
    Config { patch: 4, width: 72, depth: 2, heads: 2, hidden: 100, grid, ..full() }
}

#[test]
fn gradients_of_f32_and_bf16_are_near_those_of_f64() {
    let decoder = Decoder { width: 40, depth: 1, heads: 2 };
    let mae = Mae::new(&larger(), decoder, true).unwrap();
    let p = params(mae.table(), 13);
    let (images, masks) = (images(&larger(), 3, 14), masks(&larger(), 3));
    let (loss, exact) = gradient(&mae, &p, &images, &masks, false);
    let mut single = Params::<f32>::zeros(mae.table().clone());
    single.values_mut().iter_mut().zip(p.values()).for_each(|(s, &p)| *s = Scalar::of(p));
    let pixels = images.mapv(<f32 as Scalar>::of);
    // Relative to the largest entry of each tensor: roundings of 2^-24 add up to some tens of them, those of 2^-9 likewise. The upper bound of f32 is
    // below the lower one of bf16, so that neither can stand for the other.
    for (precision, off, at_least) in [(Precision::F32, 2e-5, 0.0), (Precision::Bf16, 6e-2, 1e-3)] {
        let mae = mae.clone().with_precision(precision);
        let mut found = Params::zeros(mae.table().clone());
        let tape = &mut MaeTape::new(false);
        let near = mae.gradient(&single, &pixels, &masks, 1.0, tape, &mut found).unwrap();
        assert!((near - loss).abs() <= off * loss, "{precision:?}: {near} for {loss}");
        let mut worst = 0.0_f64;
        for tensor in mae.table().tensors() {
            let (found, exact) = (found.get(&tensor.name), exact.get(&tensor.name));
            // The keys' bias has no gradient; its part of the tensor is judged with the rest.
            let largest = exact.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
            let wrong = found.iter().zip(exact).map(|(&f, e)| (f64::from(f) - e).abs() / largest);
            let here = wrong.fold(0.0_f64, f64::max);
            assert!(here <= off, "{precision:?} {}: {here}", tensor.name);
            worst = worst.max(here);
        }
        assert!(worst >= at_least, "{precision:?} was not used: {worst}");
    }
}

#[test]
fn recomputing_gives_the_same_bits() {
    let mae = Mae::new(&full(), DECODER, true).unwrap();
    let p = params(mae.table(), 3);
    let (images, masks) = (images(&full(), 3, 4), masks(&full(), 3));
    assert_eq!(gradient(&mae, &p, &images, &masks, false), gradient(&mae, &p, &images, &masks, true));
}

#[test]
fn portions_with_their_shares_add_up_to_the_whole() {
    let mae = Mae::new(&full(), DECODER, true).unwrap();
    let p = params(mae.table(), 5);
    let (images, masks) = (images(&full(), 4, 6), masks(&full(), 4));
    let (loss, whole) = gradient(&mae, &p, &images, &masks, false);
    let (mut tape, mut sum, mut loss_sum) = (MaeTape::new(false), Params::zeros(mae.table().clone()), 0.0);
    for part in [0..1, 1..4] {
        let share = part.len() as f64 / 4.0;
        let some = images.slice(s![part.clone(), .., .., ..]);
        loss_sum += share * mae.gradient(&p, &some, &masks[part], share, &mut tape, &mut sum).unwrap();
    }
    assert!((loss_sum - loss).abs() < 1e-13);
    let largest = whole.values().iter().fold(0.0_f64, |m, g| m.max(g.abs()));
    aoi_testing::assert_all_close(sum.values(), whole.values(), 1e-13 * largest, 0.0);
}

#[test]
fn a_batch_on_any_number_of_threads_has_the_gradient_of_its_parts() {
    let mae = Mae::new(&full(), DECODER, true).unwrap();
    let p = params(mae.table(), 11);
    let (images, masks) = (images(&full(), 7, 12), masks(&full(), 7));
    let (loss, whole) = gradient(&mae, &p, &images, &masks, false);
    let on = |threads, at_once| {
        let mut batches = MaeBatches::new(threads, at_once, false).unwrap();
        let mut gradient = Params::zeros(mae.table().clone());
        // Twice: what the first call left must not count.
        batches.gradient(&mae, &p, &images, &masks, &mut gradient).unwrap();
        (batches.gradient(&mae, &p, &images, &masks, &mut gradient).unwrap(), gradient)
    };
    let one = on(1, 2);
    assert!((one.0 - loss).abs() < 1e-13);
    let largest = whole.values().iter().fold(0.0_f64, |m, g| m.max(g.abs()));
    aoi_testing::assert_all_close(one.1.values(), whole.values(), 1e-13 * largest, 0.0);
    for threads in [2, 3, 8] {
        assert_eq!(on(threads, 2), one, "{threads} threads");
    }
    assert!(MaeBatches::<f64>::new(0, 1, false).is_err() && MaeBatches::<f64>::new(1, 0, false).is_err());
}

#[test]
fn masked_pixels_do_not_reach_the_encoder_and_visible_ones_are_not_scored() {
    let config = full();
    let mae = Mae::new(&config, DECODER, false).unwrap();
    let p = params(mae.table(), 7);
    let images = images(&config, 1, 8);
    let mask = masks(&config, 1);
    let mut tape = MaeTape::new(false);
    let image = images.index_axis(Axis(0), 0);
    let filled = mae.reconstruct(&p, &image, &mask[0], &mut tape).unwrap();
    let mut changed = image.to_owned();
    for &patch in mask[0].masked() {
        let (y, x) = (patch / 3 * 2, patch % 3 * 2);
        changed.slice_mut(s![.., y..y + 2, x..x + 2]).fill(9.0);
    }
    // Predictions do not depend on what is masked ...
    assert_eq!(mae.reconstruct(&p, &changed.view(), &mask[0], &mut tape).unwrap(), filled);
    // ... visible patches come back as they are, and the loss is that of the masked ones alone.
    let (mut visible, mut squares, mut masked) = (0, 0.0, 0);
    for ((c, y, x), &v) in filled.indexed_iter() {
        if mask[0].visible().contains(&(y / 2 * 3 + x / 2)) {
            assert_eq!(v, image[[c, y, x]]);
            visible += 1;
        } else {
            squares += (v - image[[c, y, x]]).powi(2);
            masked += 1;
        }
    }
    assert!(visible > 0 && masked > 0);
    let loss = mae.loss(&p, &images, &mask, &mut tape).unwrap();
    assert!((loss - squares / f64::from(masked)).abs() < 1e-12);
}

#[test]
fn what_does_not_fit_is_refused() {
    let config = full();
    let mae = Mae::new(&config, DECODER, false).unwrap();
    let p = params(mae.table(), 9);
    let good = images(&config, 2, 10);
    let mut tape = MaeTape::new(false);
    let two = masks(&config, 2);
    let uneven = [two[0].clone(), Mask::new(6, &[0]).unwrap()];
    let shape = |images: &Array4<f64>, masks: &[Mask], tape: &mut MaeTape<f64>| {
        matches!(mae.loss(&p, images, masks, tape), Err(Error::Shape { .. }))
    };
    assert!(!shape(&good, &two, &mut tape));
    assert!(shape(&good, &two[..1], &mut tape), "a mask is missing");
    assert!(shape(&good, &uneven, &mut tape), "masks show differently many");
    assert!(shape(&Array4::zeros((2, 2, 6, 6)), &two, &mut tape), "another grid");
    let other = Mae::new(&config, Decoder { width: 12, ..DECODER }, false).unwrap();
    let foreign = params(other.table(), 1);
    assert!(matches!(mae.loss(&foreign, &good, &two, &mut tape), Err(Error::Shape { .. })));
    assert!(Mae::new(&config, Decoder { width: 6, ..DECODER }, false).is_err(), "sin-cos needs quarters");
    let dots = Config { patch: 1, channels: 1, ..config };
    assert!(Mae::new(&dots, DECODER, true).is_err(), "a single number has no deviation");
}
