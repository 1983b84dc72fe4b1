//! Training is transformers' and torch's: loss, every gradient, and ten steps (`tools/fixtures/training.py`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aoi_encoder::mae::{Decoder, Mae, MaeTape, Mask};
use aoi_encoder::ndarray::Array4;
use aoi_encoder::optimise::{AdamW, AdamWOptions, Schedule, clip};
use aoi_encoder::{Config, Grid, Params, Positions, Scalar};
use aoi_testing::assert_close;
use safetensors::SafeTensors;

const CASES: [(&str, bool); 2] = [("mae", false), ("mae_normalised", true)];

fn folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/training").join(case)
}

/// Shape and numbers of every tensor of a file.
fn tensors(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f64>)> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let number = |b: &[u8]| f64::from(f32::from_le_bytes(b.try_into().unwrap()));
    let all = file.tensors().into_iter();
    all.map(|(n, v)| (n, (v.shape().to_vec(), v.data().chunks_exact(4).map(number).collect()))).collect()
}

fn network(normalised: bool) -> Mae {
    let config = Config {
        channels: 2,
        patch: 4,
        width: 16,
        depth: 2,
        heads: 2,
        hidden: 24,
        positions: Positions::SinCos,
        grid: Grid { rows: 4, columns: 4 },
        ..Config::paper()
    };
    Mae::new(&config, Decoder { width: 8, depth: 1, heads: 2 }, normalised).unwrap()
}

/// The numbers of a file laid out by the network's table; every tensor of both sides is used.
fn laid_out<T: Scalar>(mae: &Mae, path: &Path) -> Params<T> {
    let found = tensors(path);
    assert_eq!(found.len(), mae.table().tensors().len());
    let mut params = Params::zeros(mae.table().clone());
    for tensor in mae.table().tensors() {
        let (shape, values) = &found[&tensor.name];
        assert_eq!(*shape, tensor.shape, "{}", tensor.name);
        params.get_mut(&tensor.name).iter_mut().zip(values).for_each(|(p, &v)| *p = T::of(v));
    }
    params
}

struct Run<T> {
    images: Array4<T>,
    masks: Vec<Vec<Mask>>,
    losses: Vec<f64>,
    norms: Vec<f64>,
    rates: Vec<f64>,
}

fn run<T: Scalar>(case: &str) -> Run<T> {
    let mut found = tensors(&folder(case).join("run.safetensors"));
    let (shape, values) = found.remove("images").unwrap();
    let shape: [usize; 4] = shape.try_into().unwrap();
    let images = Array4::from_shape_vec(shape, values.into_iter().map(T::of).collect()).unwrap();
    let (shape, visible) = found.remove("visible").unwrap();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of patches")]
    let visible: Vec<usize> = visible.into_iter().map(|v| v as usize).collect();
    let mask = |v: &[usize]| Mask::new(16, v).unwrap();
    let masks =
        visible.chunks_exact(shape[1] * shape[2]).map(|step| step.chunks_exact(shape[2]).map(mask).collect());
    let mut numbers = |name: &str| found.remove(name).unwrap().1;
    let (losses, norms, rates) = (numbers("losses"), numbers("norms"), numbers("rates"));
    Run { images, masks: masks.collect(), losses, norms, rates }
}

/// Loss and gradient at the first weights; `off` is the largest difference over the tensor's largest entry.
fn first_gradient<T: Scalar>(off: f64) {
    for (case, normalised) in CASES {
        let mae = network(normalised);
        let params = laid_out::<T>(&mae, &folder(case).join("weights.safetensors"));
        let expected = laid_out::<f64>(&mae, &folder(case).join("gradient.safetensors"));
        let Run { images, masks, losses, .. } = run::<T>(case);
        let mut gradient = Params::zeros(mae.table().clone());
        let loss =
            mae.gradient(&params, &images, &masks[0], 1.0, &mut MaeTape::new(false), &mut gradient).unwrap();
        assert_close(loss, losses[0], 0.0, off);
        for tensor in mae.table().tensors() {
            let (ours, theirs) = (gradient.get(&tensor.name), expected.get(&tensor.name));
            let largest = theirs.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
            assert!(largest > 0.0, "{} does not matter", tensor.name);
            for (i, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                let difference = (ours.to_f64() - theirs).abs();
                assert!(
                    difference <= off * largest,
                    "{case} {}[{i}]: {difference:e} of {largest:e}",
                    tensor.name
                );
            }
        }
    }
}

#[test]
fn gradients_in_f64_are_those_of_torch() {
    // The fixture is f64 rounded to f32: half an ulp of the entry, 6e-8.
    first_gradient::<f64>(1.2e-7);
}

#[test]
fn gradients_in_f32_are_those_of_torch() {
    // Sums of a few hundred f32 products; seen are up to 2e-6.
    first_gradient::<f32>(1e-5);
}

/// Ten steps of `AdamW` with clipping; `off` is relative.
fn ten_steps<T: Scalar>(off: f64) {
    for (case, normalised) in CASES {
        let mae = network(normalised);
        let mut params = laid_out::<T>(&mae, &folder(case).join("weights.safetensors"));
        let Run { images, masks, losses, norms, rates } = run::<T>(case);
        assert_eq!((losses.len(), masks.len(), norms.len()), (10, 10, 10));
        let schedule = Schedule { peak: 2e-2, last: 0.0, warm_up: 3, steps: 10 };
        let mut optimiser = AdamW::new(mae.table(), AdamWOptions::default()).unwrap();
        let (mut tape, mut gradient) = (MaeTape::new(false), Params::zeros(mae.table().clone()));
        let expected = losses.iter().zip(&norms).zip(&rates);
        for (step, (masks, ((&loss, &norm), &rate))) in (0..).zip(masks.iter().zip(expected)) {
            gradient.values_mut().fill(T::of(0.0));
            let ours = mae.gradient(&params, &images, masks, 1.0, &mut tape, &mut gradient).unwrap();
            assert_close(ours, loss, 0.0, off);
            assert_close(clip(gradient.values_mut(), 1.0), norm, 0.0, 10.0 * off);
            assert_close(schedule.rate(step), rate, 0.0, 1e-7);
            optimiser.step(&mut params, &gradient, |_| schedule.rate(step)).unwrap();
        }
        assert!(losses[9] < 0.9 * losses[0], "it has to learn something");
        assert!(norms.iter().filter(|n| **n > 1.0).count() >= 4, "the bound has to bite");
    }
}

#[test]
fn ten_steps_in_f64_are_those_of_torch() {
    ten_steps::<f64>(1.2e-7);
}

#[test]
fn ten_steps_in_f32_are_those_of_torch() {
    ten_steps::<f32>(1e-5);
}
