//! A fine-tuning run keeps its promises: it learns, keeps the best, resumes to the same bits, tunes what it should, and refuses nonsense.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aoi_encoder::finetune::{Example, FinetuneConfig, FinetuneJob, FinetuneSummary, Tuned, finetune};
use aoi_encoder::ndarray::{Array3, Axis};
use aoi_encoder::train::Ending;
use aoi_encoder::weights::{Family, LoadOptions, Weights, load, save};
use aoi_encoder::{Config, Grid, Params, Positions, Result, Role, Table, Workspace};
use aoi_testing::Seeded;

/// An encoder drawn at random.
#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn encoder() -> Weights {
    let config = Config {
        channels: 2,
        patch: 4,
        width: 16,
        depth: 3,
        heads: 2,
        hidden: 32,
        positions: Positions::SinCos,
        grid: Grid { rows: 4, columns: 4 },
        ..Config::paper()
    };
    let table = Arc::new(Table::new(&config).unwrap());
    let (mut params, mut seeded) = (Params::<f32>::zeros(table.clone()), Seeded::new(3));
    for tensor in table.tensors() {
        let inputs = (tensor.len() / tensor.shape[0]) as f64;
        let (centre, spread) = match tensor.role {
            Role::Norm => (1.0, 0.0),
            Role::Matrix => (0.0, (1.0 / inputs).sqrt()),
            _ => (0.0, 0.02),
        };
        params.get_mut(&tensor.name).iter_mut().for_each(|p| *p = (centre + spread * seeded.normal()) as f32);
    }
    Weights { config, params, family: Family::Own, normalisation: None, whitening: None, notes: Vec::new() }
}

/// Bright squares ("pad") and dark bars ("bar") on grey ground, 24 x 28 pixels.
fn examples(count: usize) -> Vec<Example> {
    let one = |i: usize| {
        let mut seeded = Seeded::new(100 + i as u64);
        let (mut picture, mut mask) = (Array3::from_elem((2, 24, 28), 0.4_f32), Array3::zeros((2, 24, 28)));
        for (class, (tall, wide), value) in [(0, (8, 8), 0.9), (1, (4, 16), 0.1)] {
            let (top, left) = (seeded.below(24 - tall), seeded.below(28 - wide));
            for y in top..top + tall {
                for x in left..left + wide {
                    (0..2).for_each(|c| picture[[c, y, x]] = value);
                    (0..2).for_each(|c| mask[[c, y, x]] = u8::from(c == class));
                }
            }
        }
        Example { name: format!("p{i}"), picture, mask }
    };
    (0..count).map(one).collect()
}

const CONFIG: &str = "seed = 4
mean = [0.4]
std = [0.2]
optimiser = { rate = 5e-3, warm_up_epochs = 1 }
augmentation = { zoom = [0.9, 1.1], blur = 0.0 }
run = { epochs = 6, crops = 2, batch = 4, checkpoint_steps = 3, validate_epochs = 2 }
";

struct Bench {
    folder: tempfile::TempDir,
    examples: Vec<Example>,
    classes: Vec<String>,
    weights: Weights,
}

impl Bench {
    fn new(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let classes = vec!["pad".into(), "bar".into()];
        Self { folder, examples: examples(count), classes, weights: encoder() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn job(&self, run: &str, config: &str) -> FinetuneJob<'_> {
        FinetuneJob {
            examples: &self.examples,
            classes: &self.classes,
            weights: &self.weights,
            run: self.path(run),
            config: Some(FinetuneConfig::parse(config, Path::new("test.toml")).unwrap()),
            resume: false,
            threads: 1,
        }
    }

    fn assert_same(&self, one: &str, other: &str) {
        for name in [
            "config.toml",
            "checkpoint.safetensors",
            "network.safetensors",
            "loss.svg",
            "prediction.png",
            "metrics.csv",
        ] {
            let read = |run: &str| std::fs::read(self.path(run).join(name)).unwrap();
            assert!(read(one) == read(other), "{name} differs");
        }
    }
}

/// Runs to the end, or to `stop` steps.
fn run(job: &FinetuneJob<'_>, stop: u64) -> Result<FinetuneSummary> {
    let mut progress = |report: &aoi_encoder::train::Report| {
        if report.step >= stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    finetune(job, &mut progress, &|| 1.0)
}

#[test]
fn every_tuning_learns_and_full_learns_best() {
    let bench = Bench::new(10);
    let mut found = Vec::new();
    for tune in ["\"frozen\"", "{ lora = { rank = 3, alpha = 16.0 } }", "\"full\""] {
        let config = format!("tune = {tune}\n{}", CONFIG.replace("epochs = 6", "epochs = 40"));
        let name = format!("run{}", found.len());
        let done = run(&bench.job(&name, &config), u64::MAX).unwrap();
        assert_eq!((done.ending, done.pictures), (Ending::Finished, (8, 2)));
        found.push(done.best_mean_iou.unwrap());

        // What was written predicts what the run measured, on pictures larger than a crop.
        let network = Tuned::load(&bench.path(&name).join("network.safetensors")).unwrap();
        assert_eq!((network.classes(), network.channels()), (&bench.classes[..], 2));
        let probabilities =
            network.probabilities(&bench.examples[0].picture, &mut Workspace::new(2).unwrap()).unwrap();
        assert_eq!(probabilities.dim(), (2, 24, 28));
        assert!(probabilities.iter().all(|p| (0.0..=1.0).contains(p)));
        let metrics = std::fs::read_to_string(bench.path(&name).join("metrics.csv")).unwrap();
        let missed = metrics.lines().filter_map(|l| l.split(',').nth(6)?.parse::<f64>().ok());
        assert_eq!(missed.reduce(f64::min).map(|m| 1.0 - m), done.best_mean_iou, "the best was kept");
    }
    // A random encoder whose head alone is trained finds brightness; edges between patches need more.
    assert!(found[0] > 0.3 && found[2] > 0.7 && found[2] > found[0], "{found:?}");
}

#[test]
fn a_single_class_is_learned_in_either_precision_and_with_either_head() {
    let mut bench = Bench::new(10);
    bench.classes.truncate(1);
    for example in &mut bench.examples {
        example.mask = example.mask.slice(aoi_encoder::ndarray::s![..1, .., ..]).to_owned();
    }
    for (precision, head) in ["f32", "bf16"].into_iter().flat_map(|p| [(p, "linear"), (p, "upernet")]) {
        let config = CONFIG.replace("epochs = 6", &format!("epochs = 24, precision = \"{precision}\""));
        let config = format!("head = \"{head}\"\n{config}");
        let done = run(&bench.job(&format!("{precision}-{head}"), &config), u64::MAX).unwrap();
        let best = done.best_mean_iou.unwrap();
        assert!(best > 0.3, "{precision} {head}: {best}");
    }
}

#[test]
fn frozen_and_low_rank_runs_leave_the_rest_of_the_encoder_as_it_was() {
    let bench = Bench::new(5);
    for (tune, same) in [("\"frozen\"", true), ("{ lora = { rank = 2, alpha = 4.0 } }", false)] {
        run(&bench.job(tune, &format!("tune = {tune}\n{CONFIG}")), u64::MAX).unwrap();
        let tuned = load(&bench.path(tune).join("network.safetensors"), &LoadOptions::default()).unwrap();
        for tensor in bench.weights.params.table().tensors() {
            let (now, before) = (tuned.params.get(&tensor.name), bench.weights.params.get(&tensor.name));
            assert_eq!(now == before, same || !tensor.name.ends_with("qkv.weight"), "{tune} {}", tensor.name);
        }
    }
}

#[test]
fn the_layer_wise_rate_is_what_every_block_is_moved_by() {
    let bench = Bench::new(5);
    // The first step of Adam moves every number by the rate, whatever its gradient is; warm-up starts at zero, so there is none here.
    let config = "optimiser = { rate = 1e-3, layer_decay = 0.5, warm_up_epochs = 0, weight_decay = 0.0 }\n\
                  augmentation = { zoom = [1.0, 1.0] }\nrun = { epochs = 1, crops = 1, batch = 4, validate_epochs = 1 }\n";
    let done = run(&bench.job("run", config), u64::MAX).unwrap();
    assert_eq!(done.step, 1);
    let tuned = load(&bench.path("run/network.safetensors"), &LoadOptions::default()).unwrap();
    let mut moved = 0;
    for tensor in bench.weights.params.table().tensors() {
        let expected = match (tensor.block, tensor.name.starts_with("norm.")) {
            (Some(block), _) => 1e-3 * [0.125, 0.25, 0.5][block],
            (None, true) => 1e-3,
            (None, false) => 1e-3 * 0.0625,
        };
        let pairs = tuned.params.get(&tensor.name).iter().zip(bench.weights.params.get(&tensor.name));
        let largest = pairs.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
        // Weights near 1 are rounded to 6e-8.
        assert!(
            (largest - expected).abs() < 0.01 * expected + 1.2e-7,
            "{}: {largest} {expected}",
            tensor.name
        );
        moved += 1;
    }
    assert_eq!(moved, 3 + 3 * 12 + 2);
}

#[test]
fn an_interrupted_and_resumed_run_ends_in_the_same_bits_on_any_number_of_threads() {
    let bench = Bench::new(6);
    let averaged = CONFIG.replace("rate = 5e-3", "rate = 5e-3, average = 0.9");
    let lora = "{ lora = { rank = 2, alpha = 4.0 } }";
    for (case, tune, config) in
        [("full", "\"full\"", CONFIG), ("lora", lora, CONFIG), ("averaged", lora, &averaged)]
    {
        let config = format!("tune = {tune}\n{config}");
        let job = |name: &str| bench.job(&format!("{name}-{case}"), &config);
        let whole = run(&job("whole"), u64::MAX).unwrap();
        assert_eq!(run(&job("cut"), 4).unwrap().ending, Ending::Interrupted);
        let resumed = FinetuneJob { resume: true, config: None, threads: 3, ..job("cut") };
        assert_eq!(run(&resumed, u64::MAX).unwrap(), whole);
        bench.assert_same(&format!("whole-{case}"), &format!("cut-{case}"));
    }
}

#[test]
fn the_running_mean_of_the_trained_numbers_is_what_is_written() {
    const STEPS: u8 = 8;
    let bench = Bench::new(5);
    let config = |average: &str| {
        format!(
            "held_out = 0.0\ntune = \"frozen\"\noptimiser = {{ rate = 1e-2, warm_up_epochs = 0{average} }}\n\
             run = {{ epochs = {STEPS}, crops = 1, batch = 5, validate_epochs = 1, checkpoint_steps = 1 }}"
        )
    };
    let head = |file: &Path, name: &str| -> Vec<f64> {
        let bytes = std::fs::read(file).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let view = file.tensor(name).unwrap();
        view.data().as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b).into()).collect()
    };
    // The weights go their way with and without a mean, so the mean is one of the plain run's checkpoints; the first of them is of step 0.
    let mut mean: Option<Vec<f64>> = None;
    for step in 0..=STEPS {
        let mut job = bench.job("plain", &config(""));
        job.resume = step > 1;
        if step == 0 {
            // A rate of nothing leaves the first weights.
            job = bench.job("first", &config("").replace("rate = 1e-2", "rate = 1e-30, last_rate = 0.0"));
        }
        run(&job, step.max(1).into()).unwrap();
        let weights = head(&job.run.join("checkpoint.safetensors"), "weights/head.weight");
        let t = f64::from(step);
        let decay = f64::min(0.8, (1.0 + t) / (10.0 + t));
        mean = Some(match mean {
            None => weights,
            Some(mean) => mean.iter().zip(weights).map(|(m, w)| decay * m + (1.0 - decay) * w).collect(),
        });
    }
    run(&bench.job("mean", &config(", average = 0.8")), u64::MAX).unwrap();
    let written = head(&bench.path("mean/network.safetensors"), "head.weight");
    // Eight roundings of numbers below 0.1 to f32.
    aoi_testing::assert_all_close(&written, &mean.unwrap(), 1e-7, 0.0);
    let last = head(&bench.path("plain/network.safetensors"), "head.weight");
    let moved = written.iter().zip(last).map(|(w, l)| (w - l).abs()).fold(0.0, f64::max);
    assert!(moved > 1e-3, "the mean lags behind the weights: {moved}");
}

#[test]
fn a_pyramid_learns_predicts_what_it_measured_and_resumes_to_the_same_bits_on_any_number_of_threads() {
    let bench = Bench::new(10);
    let config = format!("head = \"upernet\"\n{CONFIG}[upernet]\nwidth = 8\ngroup = 3\n");
    let long = config.replace("epochs = 6", "epochs = 40");
    let whole = run(&bench.job("whole", &long), u64::MAX).unwrap();
    let best = whole.best_mean_iou.unwrap();
    assert!(best > 0.7, "{best}");
    let network = Tuned::load(&bench.path("whole/network.safetensors")).unwrap();
    // The held-out pictures are larger than a tile: four of them, and of every number of threads the same bits.
    let probabilities = |threads| {
        network.probabilities(&bench.examples[0].picture, &mut Workspace::new(threads).unwrap()).unwrap()
    };
    assert_eq!(probabilities(1), probabilities(3));
    let metrics = std::fs::read_to_string(bench.path("whole/metrics.csv")).unwrap();
    let missed = metrics.lines().filter_map(|l| l.split(',').nth(6)?.parse::<f64>().ok());
    assert_eq!(missed.reduce(f64::min).map(|m| 1.0 - m), whole.best_mean_iou, "the best was kept");
    let bytes = std::fs::read(bench.path("whole/network.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let statistics = file.tensor("head.statistics").unwrap();
    // Three levels: two laterals, four coarse grids, the bottleneck, two smoothings, the fusion.
    assert_eq!(statistics.shape(), [10, 2, 8]);
    let numbers: Vec<f32> =
        statistics.data().as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
    assert!(numbers.chunks_exact(16).all(|unit| unit[8..].iter().all(|&v| v > 0.0)), "variances");

    let job = |name: &str| bench.job(name, &config);
    let whole = run(&job("short"), u64::MAX).unwrap();
    assert_eq!(run(&job("cut"), 4).unwrap().ending, Ending::Interrupted);
    let resumed = FinetuneJob { resume: true, config: None, threads: 3, ..job("cut") };
    assert_eq!(run(&resumed, u64::MAX).unwrap(), whole);
    bench.assert_same("short", "cut");
}

#[test]
fn a_run_is_not_resumed_with_other_classes_pictures_or_masks() {
    let bench = Bench::new(6);
    assert_eq!(run(&bench.job("cut", CONFIG), 4).unwrap().ending, Ending::Interrupted);
    let before = std::fs::read(bench.path("cut/checkpoint.safetensors")).unwrap();
    let refused = |classes: &[&str], examples: &[Example], word: &str| {
        let classes: Vec<String> = classes.iter().map(|&c| c.to_owned()).collect();
        let job = FinetuneJob {
            classes: &classes,
            examples,
            resume: true,
            config: None,
            ..bench.job("cut", CONFIG)
        };
        let message = run(&job, u64::MAX).unwrap_err().to_string();
        let words = [word, "checkpoint.safetensors", "with which the run was started", "another folder"];
        assert!(words.iter().all(|w| message.contains(w)), "{word}: {message}");
    };
    let (same, own) = (["pad", "bar"], &bench.examples[..]);
    refused(&["bar", "pad"], own, r#"["pad", "bar"], with which the run was started, found ["bar", "pad"]"#);
    refused(&["pad", "wire"], own, "classes");
    refused(&same, &examples(7), "the number of pictures 6");
    let changed = |change: &dyn Fn(&mut Vec<Example>)| {
        let mut examples = own.to_vec();
        change(&mut examples);
        examples
    };
    refused(&same, &changed(&|e| e.swap(1, 2)), "names of the pictures");
    refused(&same, &changed(&|e| e[5].name.push('x')), "names of the pictures");
    refused(&same, &changed(&|e| e[5].picture[[1, 23, 27]] += 1e-6), "pictures with the digest");
    refused(&same, &changed(&|e| e[5].mask[[1, 23, 27]] ^= 1), "masks with the digest");
    assert_eq!(std::fs::read(bench.path("cut/checkpoint.safetensors")).unwrap(), before);
    let again = FinetuneJob { resume: true, config: None, ..bench.job("cut", CONFIG) };
    assert_eq!(run(&again, u64::MAX).unwrap().ending, Ending::Finished);
}

#[test]
fn nonsense_is_refused_with_a_clear_word() {
    let mut bench = Bench::new(5);
    let refused = |job: &FinetuneJob<'_>, words: &[&str]| {
        let message = run(job, u64::MAX).unwrap_err().to_string();
        assert!(words.iter().all(|w| message.contains(w)), "{words:?}: {message}");
    };
    refused(&FinetuneJob { resume: true, ..bench.job("run", CONFIG) }, &["no checkpoint"]);
    refused(
        &bench.job("run", &CONFIG.replace("rate = 5e-3", "rate = 1e30")),
        &["step", "lower optimiser.rate"],
    );
    refused(&bench.job("run", CONFIG), &["--resume"]);
    assert_eq!(run(&bench.job("other", CONFIG), 1).unwrap().ending, Ending::Interrupted);
    let seed = CONFIG.replace("seed = 4", "seed = 5");
    refused(&FinetuneJob { resume: true, ..bench.job("other", &seed) }, &["seed = 5"]);
    let mut changed = bench.weights.clone();
    changed.params.get_mut("norm.bias")[0] = 0.5;
    refused(&FinetuneJob { resume: true, weights: &changed, ..bench.job("other", CONFIG) }, &["encoder = "]);
    refused(
        &bench.job("wide", &format!("head = \"upernet\"\nupernet = {{ width = 0 }}\n{CONFIG}")),
        &["upernet.width", "0"],
    );
    refused(
        &bench.job("three", &format!("tune = {{ lora = {{ rank = 17, alpha = 1.0 }} }}\n{CONFIG}")),
        &["rank", "16"],
    );

    let two = bench.examples[0].picture.clone();
    bench.examples[0].picture = Array3::zeros((3, 24, 28));
    refused(&bench.job("colour", CONFIG), &["[2 or 1, height, width]", "of picture p0", "[3, 24, 28]"]);
    bench.examples[0].picture = two;
    for example in &mut bench.examples {
        example.mask.index_axis_mut(Axis(0), 1).fill(0);
    }
    refused(&bench.job("empty", CONFIG), &["bar on 0 of", "4 pictures"]);
    bench.examples[2].mask = Array3::zeros((2, 24, 20));
    refused(&bench.job("shape", CONFIG), &["p2", "24, 28"]);
    bench.examples[2].picture = Array3::zeros((3, 24, 20));
    refused(&bench.job("channels", CONFIG), &["p2", "2 or 1"]);
    bench.examples.truncate(1);
    refused(&bench.job("one", CONFIG), &["1, 1 of them held out"]);
    for name in ["three", "wide", "empty", "shape", "channels", "one"] {
        assert!(!bench.path(name).exists(), "nothing was written for {name}");
    }
}

#[test]
fn other_files_are_no_network() {
    let bench = Bench::new(3);
    let path = bench.path("encoder.safetensors");
    save(&path, &bench.weights.config, &bench.weights.params).unwrap();
    assert!(!Tuned::is_file(&path).unwrap());
    assert!(Tuned::load(&path).unwrap_err().to_string().contains("no head"));
    std::fs::write(&path, b"nonsense").unwrap();
    assert!(Tuned::is_file(&path).is_err());
}
