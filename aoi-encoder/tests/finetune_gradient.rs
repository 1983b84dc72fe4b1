//! The gradient of fine-tuning: against central differences over every trained number, and against torch (`tools/fixtures/finetuning.py`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aoi_encoder::finetune::{Depth, Loss, Network, NetworkTape, Standard, Trained, Tuning};
use aoi_encoder::{Config, Feedforward, Grid, Params, Positions, PrefixPositions, Resampling, Role, Scalar};
use aoi_testing::{Seeded, check_gradient, for_each_case};
use safetensors::SafeTensors;

const CLASSES: usize = 2;

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

fn standard(d: usize) -> Standard {
    let mut seeded = Seeded::new(30);
    #[expect(clippy::cast_possible_truncation, reason = "statistics are f32")]
    let mut draw = |centre: f64| (0..d).map(|_| (centre + 0.2 * seeded.normal()) as f32).collect();
    Standard { mean: draw(0.0), scale: draw(1.5) }
}

/// Parameters far from any symmetry, so that every tensor matters.
fn params(network: &Network, seed: u64) -> Params<f64> {
    let table = network.table();
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

fn example(config: &Config) -> (Vec<f64>, Vec<u8>) {
    examples(config, 1)
}

/// So many images, one after the other.
fn examples(config: &Config, images: usize) -> (Vec<f64>, Vec<u8>) {
    let pixels = images * config.grid.len() * config.patch * config.patch;
    let mut seeded = Seeded::new(31);
    let image = (0..config.channels * pixels).map(|_| seeded.normal()).collect();
    (image, (0..CLASSES * pixels).map(|_| u8::from(seeded.unit() < 0.4)).collect())
}

#[test]
fn every_trained_number_agrees_with_central_differences() {
    let lora = Tuning::Lora { rank: 2, alpha: 3.0 };
    let gated = Config { feedforward: Feedforward::SwiGlu, layer_scale: false, ..full() };
    let fixed = Config { positions: Positions::SinCos, registers: 0, qkv_bias: false, ..full() };
    for_each_case(
        [
            ("full", (full(), Tuning::Full, 0.0)),
            ("full with dice, gated", (gated, Tuning::Full, 0.8)),
            ("low-rank", (full(), lora, 0.8)),
            ("low-rank, no bias of q, k, v", (fixed, lora, 0.0)),
            ("frozen", (full(), Tuning::Frozen, 0.8)),
        ],
        |(config, tuning, dice)| {
            let network = Network::new(&config, CLASSES, standard(config.width)).unwrap();
            let trained = Trained::new(&network, tuning).unwrap();
            let loss = Loss::new(&[0.1, 0.4], 0.5, dice).unwrap();
            let base = params(&network, 1);
            let mut at = Params::<f64>::zeros(trained.table().clone());
            let mut seeded = Seeded::new(2);
            at.values_mut().iter_mut().for_each(|v| *v = 0.4 * seeded.normal());
            if tuning == Tuning::Full {
                at.values_mut().copy_from_slice(base.values());
            }
            let (image, truth) = example(&config);
            let (mut tape, mut weights) = (NetworkTape::new(false), base.clone());
            trained.expand(base.values(), at.values(), weights.values_mut());
            let mut dweights = Params::zeros(network.table().clone());
            let wanted = (&loss, trained.depth());
            network.gradient(&weights, (&image, &truth), wanted, &mut tape, &mut dweights).unwrap();
            let mut gradient = vec![0.0; at.values().len()];
            trained.pull(at.values(), dweights.values(), &mut gradient);
            let value = |values: &[f64]| {
                trained.expand(base.values(), values, weights.values_mut());
                network.loss(&weights, &image, &truth, &loss, &mut tape).unwrap()
            };
            let tensors: Vec<(&str, usize)> =
                trained.table().tensors().iter().map(|t| (t.name.as_str(), t.len())).collect();
            // Rounding of the differences: 2e-16 / 1e-5; their truncation: 1e-10 of a third derivative.
            let compared = check_gradient(&tensors, at.values(), &gradient, 1e-5, (1e-9, 1e-6), value);
            assert_eq!(compared.unwrap_or_else(|e| panic!("{e}")), trained.table().len());
        },
    );
}

/// Five blocks, so that the head leaves one out, on a grid that the coarse cells neither divide nor are fewer than.
fn five() -> Config {
    Config { depth: 5, width: 4, hidden: 6, layer_scale: false, registers: 1, ..full() }
}

#[test]
fn every_trained_number_of_a_pyramid_agrees_with_central_differences() {
    let lora = Tuning::Lora { rank: 2, alpha: 3.0 };
    for_each_case(
        [
            ("full, two images", (five(), 3, Tuning::Full, 2)),
            ("full, two blocks, one image", (full(), 2, Tuning::Full, 1)),
            ("one block", (Config { depth: 1, ..full() }, 2, Tuning::Full, 2)),
            ("low-rank", (five(), 2, lora, 2)),
            ("frozen", (five(), 3, Tuning::Frozen, 3)),
        ],
        |(config, width, tuning, images)| {
            let network = Network::upernet(&config, CLASSES, width).unwrap();
            let trained = Trained::new(&network, tuning).unwrap();
            let loss = Loss::new(&[0.1, 0.4], 0.5, 0.8).unwrap();
            let base = params(&network, 5);
            let mut at = Params::<f64>::zeros(trained.table().clone());
            let mut seeded = Seeded::new(6);
            at.values_mut().iter_mut().for_each(|v| *v = 0.4 * seeded.normal());
            for tensor in network.table().tensors() {
                let values = at.get_mut(&tensor.name);
                let n = values.len();
                values.copy_from_slice(&base.get(&tensor.name)[..n]);
            }
            let (image, truth) = examples(&config, images);
            let (mut tape, mut weights) = (NetworkTape::new(false), base.clone());
            trained.expand(base.values(), at.values(), weights.values_mut());
            let mut dweights = Params::zeros(network.table().clone());
            let wanted = (&loss, trained.depth());
            network.gradient(&weights, (&image, &truth), wanted, &mut tape, &mut dweights).unwrap();
            let mut gradient = vec![0.0; at.values().len()];
            trained.pull(at.values(), dweights.values(), &mut gradient);
            let value = |values: &[f64]| {
                trained.expand(base.values(), values, weights.values_mut());
                network.loss(&weights, &image, &truth, &loss, &mut tape).unwrap()
            };
            let tensors: Vec<(&str, usize)> =
                trained.table().tensors().iter().map(|t| (t.name.as_str(), t.len())).collect();
            // As above; no rectifier or maximum changes sides within the step at these numbers.
            let compared = check_gradient(&tensors, at.values(), &gradient, 1e-5, (1e-9, 1e-6), value);
            assert_eq!(compared.unwrap_or_else(|e| panic!("{e}")), trained.table().len());
        },
    );
}

#[test]
fn recomputing_gives_the_same_bits() {
    for network in
        [Network::new(&full(), CLASSES, standard(8)).unwrap(), Network::upernet(&full(), CLASSES, 4).unwrap()]
    {
        recomputed_alike(&network);
    }
}

fn recomputed_alike(network: &Network) {
    let (p, (image, truth)) = (params(network, 3), example(&full()));
    let loss = Loss::new(&[0.2, 0.3], 0.5, 1.0).unwrap();
    let gradient = |recompute| {
        let (mut tape, mut g) = (NetworkTape::new(recompute), Params::zeros(network.table().clone()));
        network.gradient(&p, (&image, &truth), (&loss, Depth::Whole), &mut tape, &mut g).unwrap();
        g
    };
    assert_eq!(gradient(false), gradient(true));
}

#[test]
fn rates_fall_from_the_head_to_the_first_block_and_reach_every_tensor() {
    let config = Config { depth: 4, ..full() };
    let network = Network::new(&config, CLASSES, Standard::none(8)).unwrap();
    for tuning in [Tuning::Full, Tuning::LORA] {
        let trained = Trained::new(&network, tuning).unwrap();
        let factors = trained.rate_factors(4, 0.5);
        assert_eq!(factors.len(), trained.table().tensors().len());
        let mut blocks = [0; 4];
        for (tensor, factor) in trained.table().tensors().iter().zip(factors) {
            let expected = match (tensor.block, tensor.name.split('.').next()) {
                (Some(block), _) => {
                    blocks[block] += 1;
                    [0.0625, 0.125, 0.25, 0.5][block]
                }
                (None, Some("norm" | "head")) => 1.0,
                (None, _) => 0.03125,
            };
            assert!((factor - expected).abs() < 1e-12, "{}: {factor}", tensor.name);
        }
        assert!(blocks.iter().all(|&n| n >= 4), "{blocks:?}");
    }
}

#[test]
fn a_low_rank_change_starts_at_nothing_and_touches_queries_and_values_alone() {
    let config = full();
    let network = Network::new(&config, CLASSES, Standard::none(8)).unwrap();
    let trained = Trained::new(&network, Tuning::LORA).unwrap();
    #[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
    let base: Vec<f32> = params(&network, 4).values().iter().map(|&v| v as f32).collect();
    let base = Params::new(network.table().clone(), base).unwrap();
    let mut numbers = trained.initial(&base, &[0.1, 1.0], 7);
    let mut weights = base.clone();
    trained.expand(base.values(), numbers.values(), weights.values_mut());
    let head = network.table().get("head.weight").unwrap().offset;
    assert_eq!(weights.values()[..head], base.values()[..head]);
    assert!((weights.get("head.bias")[0] - 0.1_f32.ln()).abs() < 1e-6, "the first logit says how frequent");
    numbers.values_mut().fill(0.5);
    trained.expand(base.values(), numbers.values(), weights.values_mut());
    for tensor in network.table().tensors().iter().filter(|t| t.offset < head) {
        let same =
            |from: usize, to: usize| weights.get(&tensor.name)[from..to] == base.get(&tensor.name)[from..to];
        if tensor.name.ends_with("qkv.weight") {
            assert!(!same(0, 64) && same(64, 128) && !same(128, 192), "{}", tensor.name);
            // alpha / rank B A = 16 / 3 * 3 * 0.25
            assert!((weights.get(&tensor.name)[5] - base.get(&tensor.name)[5] - 4.0).abs() < 1e-5);
        } else {
            assert!(same(0, tensor.len()), "{}", tensor.name);
        }
    }
    for tuning in [Tuning::Lora { rank: 0, alpha: 1.0 }, Tuning::Lora { rank: 2, alpha: f64::NAN }] {
        assert!(Trained::new(&network, tuning).is_err());
    }
}

/// Shape and numbers of every tensor of a file.
fn tensors(path: &Path) -> BTreeMap<String, Vec<f64>> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let number = |b: &[u8]| f64::from(f32::from_le_bytes(b.try_into().unwrap()));
    file.tensors().into_iter().map(|(n, v)| (n, v.data().chunks_exact(4).map(number).collect())).collect()
}

/// The inputs of a case of the fixtures.
type Found = BTreeMap<String, Vec<f64>>;

/// The encoder of the cases with a linear head, and the network.
fn linear(found: &Found) -> (Network, f64) {
    #[expect(clippy::cast_possible_truncation, reason = "they are f32")]
    let singles = |name: &str| found[name].iter().map(|&v| v as f32).collect::<Vec<f32>>();
    let config = Config {
        channels: 2,
        patch: 4,
        width: 16,
        depth: 2,
        heads: 2,
        hidden: 32,
        grid: Grid { rows: 2, columns: 3 },
        positions: Positions::Learned { prefix: PrefixPositions::Class, resampling: Resampling::Antialiased },
        ..Config::paper()
    };
    let statistics = Standard { mean: singles("standard.mean"), scale: singles("standard.scale") };
    (Network::new(&config, 3, statistics).unwrap(), 0.7)
}

/// The network with the head over several blocks; its case has no Dice.
fn pyramid(_: &Found) -> (Network, f64) {
    let config = Config {
        channels: 2,
        patch: 4,
        width: 8,
        depth: 5,
        heads: 2,
        hidden: 12,
        grid: Grid { rows: 3, columns: 5 },
        positions: Positions::Learned { prefix: PrefixPositions::Class, resampling: Resampling::Antialiased },
        ..Config::paper()
    };
    (Network::upernet(&config, 3, 4).unwrap(), 0.0)
}

/// Loss and gradient at torch's weights; `off` is the largest difference over the tensor's largest entry.
fn against_torch<T: Scalar>(case: &str, network: fn(&Found) -> (Network, f64), tuning: Tuning, off: f64) {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/training").join(case);
    let (found, expected) =
        (tensors(&folder.join("inputs.safetensors")), tensors(&folder.join("gradient.safetensors")));
    let numbers = |name: &str| found[name].iter().map(|&v| T::of(v)).collect::<Vec<T>>();
    let (network, dice) = network(&found);
    let trained = Trained::new(&network, tuning).unwrap();
    let laid_out = |params: &mut Params<T>| {
        let table = params.table().clone();
        for tensor in table.tensors() {
            let values = numbers(&tensor.name);
            assert_eq!(values.len(), tensor.len(), "{}", tensor.name);
            params.get_mut(&tensor.name).copy_from_slice(&values);
        }
    };
    let mut base = Params::zeros(network.table().clone());
    laid_out(&mut base);
    let mut at = Params::zeros(trained.table().clone());
    laid_out(&mut at);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 and 1")]
    let truth: Vec<u8> = found["truth"].iter().map(|&t| t as u8).collect();
    let loss = Loss::new(&found["shares"], 0.5, dice).unwrap();
    let (mut weights, mut tape) = (base.clone(), NetworkTape::new(false));
    trained.expand(base.values(), at.values(), weights.values_mut());
    let mut dweights = Params::zeros(network.table().clone());
    let wanted = (&loss, trained.depth());
    let value =
        network.gradient(&weights, (&numbers("image"), &truth), wanted, &mut tape, &mut dweights).unwrap();
    aoi_testing::assert_close(value, expected["loss"][0], 0.0, off);
    let mut gradient = Params::zeros(trained.table().clone());
    trained.pull(at.values(), dweights.values(), gradient.values_mut());
    assert_eq!(expected.len(), 1 + trained.table().tensors().len(), "every gradient is compared");
    for tensor in trained.table().tensors() {
        let (ours, theirs) = (gradient.get(&tensor.name), &expected[&tensor.name]);
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

/// Folder, network and weight of Dice, what is trained, the largest difference in f32.
type Case = (&'static str, fn(&Found) -> (Network, f64), Tuning, f64);

#[test]
fn gradients_are_those_of_torch() {
    let lora = Tuning::Lora { rank: 3, alpha: 16.0 };
    // In f32: sums of a few hundred products; five blocks and twelve norms over 30 rows round a few times more than two blocks do.
    let cases: [Case; 3] = [
        ("finetune_full", linear, Tuning::Full, 1e-5),
        ("finetune_lora", linear, lora, 1e-5),
        ("finetune_upernet", pyramid, Tuning::Full, 5e-5),
    ];
    for (case, network, tuning, off) in cases {
        // The fixture is f64 rounded to f32: half an ulp of the entry, 6e-8.
        against_torch::<f64>(case, network, tuning, 1.2e-7);
        against_torch::<f32>(case, network, tuning, off);
    }
}
