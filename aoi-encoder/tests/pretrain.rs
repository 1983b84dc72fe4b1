//! A run folder keeps its promises: resumed runs, other thread counts, killed runs, refusals.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use aoi_encoder::Result;
use aoi_encoder::train::{
    Augmentation, Ending, ImagesSection, Job, OptimiserSection, PretrainConfig, RunSection, Summary, pretrain,
};
use aoi_encoder::weights::{LoadOptions, load};
use aoi_testing::Seeded;
use image::{GrayImage, Luma};

/// Files of a run that depend on nothing but the configuration and the pictures.
const SAME: [&str; 5] =
    ["config.toml", "checkpoint.safetensors", "encoder.safetensors", "loss.svg", "reconstruction.png"];

/// A folder with pictures of two lightings, bright bars on dark ground.
struct Bench {
    folder: tempfile::TempDir,
}

/// Runs to the end, or to `stop` steps.
fn run(job: &Job, stop: u64) -> Result<Summary> {
    let mut steps = 0;
    let mut progress = |report: &aoi_encoder::train::Report| {
        steps += 1;
        assert!(report.loss > 0.0 && report.images_per_second > 0.0);
        if report.step >= stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let done = pretrain(job, &mut progress, &|| 1.0);
    assert!(steps > 0 || done.is_err());
    done
}

impl Bench {
    fn new(pictures: usize) -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        std::fs::create_dir(bench.path("images")).unwrap();
        for i in 0..pictures {
            let mut seeded = Seeded::new(i as u64);
            let (x0, y0) = (seeded.below(16), seeded.below(16));
            for lighting in 0..2 {
                let picture = GrayImage::from_fn(24, 20, |x, y| {
                    let inside = (x as usize + 24 - x0) % 12 < 5 || (y as usize + 20 - y0) % 10 < 3;
                    Luma([if inside { 200 - 60 * lighting } else { 30 }])
                });
                picture.save(bench.path(&format!("images/p{i:02}_buffer{lighting}.png"))).unwrap();
            }
        }
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn job(&self, run: &str, config: &str) -> Job {
        let config = Some(PretrainConfig::parse(config, Path::new("test.toml")).unwrap());
        Job { images: self.path("images"), run: self.path(run), config, resume: false, threads: 1 }
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    /// The steps that have a training loss in the events files, read as the format says: length, check, event, check.
    fn event_steps(&self, run: &str) -> Vec<u64> {
        let mut steps = Vec::new();
        let paths = std::fs::read_dir(self.path(run)).unwrap().map(|e| e.unwrap().path());
        for path in paths.filter(|p| p.to_str().unwrap().contains("events.out.")) {
            let bytes = std::fs::read(path).unwrap();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let length = usize::try_from(u64::from_le_bytes(rest[..8].try_into().unwrap())).unwrap();
                let event = &rest[12..12 + length];
                rest = &rest[12 + length + 4..];
                if event.windows(13).any(|w| w == b"loss/training") {
                    // Nine bytes of time, the key of the step, and a step below 128.
                    assert_eq!(event[9], 16);
                    steps.push(event[10].into());
                }
            }
        }
        steps.sort_unstable();
        steps
    }

    fn assert_same(&self, one: &str, other: &str) {
        for name in SAME {
            assert!(
                self.read(&format!("{one}/{name}")) == self.read(&format!("{other}/{name}")),
                "{name} differs"
            );
        }
        // The clock stands still here, so the speeds agree too.
        assert_eq!(self.read(&format!("{one}/metrics.csv")), self.read(&format!("{other}/metrics.csv")));
    }
}

const CONFIG: &str = r#"
seed = 5
encoder = { preset = "paper", width = 16, depth = 2, heads = 2, patch = 4, size = [16, 16] }
decoder = { width = 16, depth = 1, heads = 2 }
images = { held_out = 0.2 }
optimiser = { rate = 4e-3, warm_up_epochs = 2, average = 0.9 }
run = { epochs = 4, batch = 6, at_once = 2, checkpoint_steps = 3, validate_epochs = 1, pictures = 2 }
"#;

#[test]
fn an_interrupted_and_resumed_run_ends_in_the_same_bits() {
    let bench = Bench::new(15);
    let whole = run(&bench.job("whole", CONFIG), u64::MAX).unwrap();
    // 12 pictures of 15 are trained on: two steps an epoch.
    assert_eq!((whole.ending, whole.step, whole.pictures), (Ending::Finished, 8, (12, 3)));
    let mut job = bench.job("parts", CONFIG);
    let first = run(&job, 4).unwrap();
    assert_eq!((first.ending, first.step), (Ending::Interrupted, 4));
    job.resume = true;
    job.config = None;
    let rest = run(&job, u64::MAX).unwrap();
    assert_eq!((rest.ending, rest.step, rest.loss), (Ending::Finished, 8, whole.loss));
    bench.assert_same("whole", "parts");
}

#[test]
fn a_killed_run_loses_only_the_steps_since_its_checkpoint() {
    let bench = Bench::new(15);
    run(&bench.job("whole", CONFIG), u64::MAX).unwrap();
    // Killed in step 6, as the folder then is: the checkpoint of step 3, rows of five steps and half of the sixth.
    let mut job = bench.job("killed", CONFIG);
    run(&job, 3).unwrap();
    let checkpoint = bench.read("killed/checkpoint.safetensors");
    job.resume = true;
    run(&job, 6).unwrap();
    std::fs::write(bench.path("killed/checkpoint.safetensors"), checkpoint).unwrap();
    // The clock stands still: the next start would take the file of this one for its own.
    let events = |second: u64| bench.path(&format!("killed/events.out.tfevents.{second}.aoi.3"));
    std::fs::rename(events(1), events(0)).unwrap();
    let rows = bench.read("killed/metrics.csv");
    std::fs::write(bench.path("killed/metrics.csv"), &rows[..rows.len() - 9]).unwrap();
    run(&job, u64::MAX).unwrap();
    bench.assert_same("whole", "killed");
    assert_eq!(bench.event_steps("killed"), bench.event_steps("whole"), "no step twice");
    assert_eq!(bench.event_steps("whole"), (1..=8).collect::<Vec<_>>());
}

#[test]
fn a_run_is_not_resumed_with_other_pictures() {
    let bench = Bench::new(6);
    run(&bench.job("cut", CONFIG), 1).unwrap();
    let resumed = Job { resume: true, config: None, ..bench.job("cut", CONFIG) };
    let refused = |word: &str| {
        let message = run(&resumed, u64::MAX).unwrap_err().to_string();
        let words = [word, "checkpoint.safetensors", "with which the run was started", "another folder"];
        assert!(words.iter().all(|w| message.contains(w)), "{word}: {message}");
    };
    let (own, other) = (bench.path("images/p03_buffer0.png"), bench.path("images/p04_buffer0.png"));
    let bytes = std::fs::read(&own).unwrap();
    std::fs::copy(&other, &own).unwrap();
    refused("pictures with the digest");
    std::fs::write(&own, &bytes).unwrap();
    let one = bench.path("images/new.png");
    std::fs::copy(&own, &one).unwrap();
    refused("the number of pictures 6");
    std::fs::remove_file(&one).unwrap();
    for lighting in 0..2 {
        let named = |name: &str| bench.path(&format!("images/{name}_buffer{lighting}.png"));
        std::fs::rename(named("p00"), named("q00")).unwrap();
    }
    refused("names of the pictures");
    for lighting in 0..2 {
        let named = |name: &str| bench.path(&format!("images/{name}_buffer{lighting}.png"));
        std::fs::rename(named("q00"), named("p00")).unwrap();
    }
    assert_eq!(run(&resumed, u64::MAX).unwrap().ending, Ending::Finished);
}

#[test]
fn threads_and_the_cache_do_not_change_a_bit() {
    let bench = Bench::new(15);
    run(&bench.job("one", CONFIG), u64::MAX).unwrap();
    for threads in [2, 3, 5] {
        let name = format!("threads{threads}");
        run(&Job { threads, ..bench.job(&name, CONFIG) }, u64::MAX).unwrap();
        bench.assert_same("one", &name);
    }
    let uncached = CONFIG.replace("held_out = 0.2", "held_out = 0.2, cache_mib = 0");
    run(&bench.job("uncached", &uncached), u64::MAX).unwrap();
    assert_eq!(bench.read("one/encoder.safetensors"), bench.read("uncached/encoder.safetensors"));
    let recomputed = CONFIG.replace("batch = 6", "batch = 6, recompute = true");
    run(&bench.job("recomputed", &recomputed), u64::MAX).unwrap();
    assert_eq!(bench.read("one/encoder.safetensors"), bench.read("recomputed/encoder.safetensors"));
    let leaning = CONFIG.replace("pictures = 2", "pictures = 2, centred = false");
    run(&bench.job("leaning", &leaning), u64::MAX).unwrap();
    let weights = |run: &str| {
        load(&bench.path(&format!("{run}/encoder.safetensors")), &LoadOptions::default()).unwrap()
    };
    let (own, leaning) = (weights("one").params, weights("leaning").params);
    for tensor in own.table().tensors() {
        let same = own.get(&tensor.name) == leaning.get(&tensor.name);
        assert_eq!(same, tensor.name != "norm.bias", "{}", tensor.name);
    }
    let another = CONFIG.replace("seed = 5", "seed = 6");
    run(&bench.job("another", &another), u64::MAX).unwrap();
    assert_ne!(bench.read("one/encoder.safetensors"), bench.read("another/encoder.safetensors"));
}

#[test]
fn a_run_learns_and_leaves_an_encoder_that_loads() {
    let bench = Bench::new(15);
    // Twelve pictures shown again and again as they are: a network that learns anything learns these.
    let longer = CONFIG
        .replace("epochs = 4", "epochs = 150")
        .replace("validate_epochs = 1", "validate_epochs = 30")
        + "masking = { ratio = 0.5, normalised_targets = false }\n\
           augmentation = { scale = [1.0, 1.0], flips = false, rotations = false, gamma = 0.0, contrast = 0.0, blur = 0.0, noise = 0.0 }\n";
    let done = run(&bench.job("run", &longer), u64::MAX).unwrap();
    let metrics = String::from_utf8(bench.read("run/metrics.csv")).unwrap();
    let column =
        |i: usize| metrics.lines().skip(1).filter_map(move |l| l.split(',').nth(i)?.parse::<f64>().ok());
    let (losses, held_out): (Vec<f64>, Vec<f64>) = (column(3).collect(), column(6).collect());
    assert_eq!((losses.len(), held_out.len()), (300, 5));
    let mean = |l: &[f64]| l.iter().sum::<f64>() / l.len() as f64;
    let (first, last) = (mean(&losses[..5]), mean(&losses[280..]));
    assert!(last < 0.7 * first, "{first} {last} {held_out:?}");
    assert_eq!(done.best_held_out_loss, held_out.iter().copied().reduce(f64::min));
    let loaded = load(&bench.path("run/encoder.safetensors"), &LoadOptions::default()).unwrap();
    assert_eq!((loaded.config.channels, loaded.config.width, loaded.config.grid.len()), (2, 16, 16));
    assert!(image::load_from_memory(&bench.read("run/reconstruction.png")).is_ok());
    let events = std::fs::read_dir(bench.path("run")).unwrap();
    assert_eq!(
        events.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().contains("tfevents")).count(),
        1
    );
}

#[test]
fn reconstructions_are_of_held_out_pictures_or_say_that_they_are_of_training_pictures() {
    let bench = Bench::new(8);
    for (case, held_out, pictures, name, other) in [
        ("held-out", 0.2, 2, "reconstruction.png", "reconstruction_training.png"),
        ("training", 0.0, 3, "reconstruction_training.png", "reconstruction.png"),
    ] {
        let config = CONFIG
            .replace("held_out = 0.2", &format!("held_out = {held_out:?}"))
            .replace("pictures = 2", &format!("pictures = {pictures}"));
        run(&bench.job(case, &config), u64::MAX).unwrap();
        let png = image::load_from_memory(&bench.read(&format!("{case}/{name}"))).unwrap();
        // Three columns of 16 pixels, a row for each lighting of each picture, four pixels between.
        assert_eq!((png.width(), png.height()), (3 * 20 + 4, 2 * pictures * 20 + 4), "{case}");
        assert!(!bench.path(&format!("{case}/{other}")).exists(), "{case}");
    }
    let none = CONFIG.replace("held_out = 0.2", "held_out = 0.0").replace("pictures = 2", "pictures = 0");
    run(&bench.job("none", &none), u64::MAX).unwrap();
    assert!(!bench.path("none/reconstruction_training.png").exists());
}

#[test]
fn a_run_that_gets_no_better_stops_early() {
    let bench = Bench::new(8);
    let config = CONFIG
        .replace("epochs = 4", "epochs = 500, patience = 3")
        .replace("rate = 4e-3", "rate = 1e-12, last_rate = 0.0");
    let done = run(&bench.job("run", &config), u64::MAX).unwrap();
    assert_eq!(done.ending, Ending::Early);
    assert!(done.step < 100, "{}", done.step);
}

#[test]
fn nonsense_is_refused_with_a_clear_word() {
    let refused = |job: &Job, words: &[&str]| {
        let message = run(job, u64::MAX).unwrap_err().to_string();
        assert!(words.iter().all(|w| message.contains(w)), "{words:?}: {message}");
    };
    let one = Bench::new(1);
    refused(&one.job("run", CONFIG), &["two or more pictures", "1 picture"]);
    assert!(!one.path("run").exists(), "nothing was written");
    let bench = Bench::new(8);
    let with = |from: &str, to: &str| {
        assert!(CONFIG.contains(from));
        bench.job("refused", &CONFIG.replace(from, to))
    };
    refused(&with("size = [16, 16]", "size = [16, 17]"), &["multiple of the patch"]);
    refused(&with("seed = 5", "seed = 5\nmasking = { ratio = 0.99 }"), &["mask ratio"]);
    refused(&with("depth = 2, heads = 2, patch", "depth = 2, heads = 3, patch"), &["heads"]);
    refused(&with("preset = \"paper\"", "preset = \"paper\", channels = 3"), &["p0", "channels"]);
    let black = Bench::new(4);
    for file in std::fs::read_dir(black.path("images")).unwrap() {
        GrayImage::new(24, 20).save(file.unwrap().path()).unwrap();
    }
    refused(&black.job("run", CONFIG), &["same grey everywhere"]);
    refused(&with("rate = 4e-3", "rate = 1e30"), &["step", "lower optimiser.rate"]);
    refused(&Job { resume: true, ..bench.job("nothing", CONFIG) }, &["no checkpoint"]);
    run(&bench.job("run", CONFIG), 1).unwrap();
    refused(&bench.job("run", CONFIG), &["--resume"]);
    let other = Job { resume: true, ..bench.job("run", &CONFIG.replace("seed = 5", "seed = 7")) };
    refused(&other, &["seed = 7"]);
    std::fs::write(bench.path("run/checkpoint.safetensors"), b"not a checkpoint").unwrap();
    refused(&Job { resume: true, ..bench.job("run", CONFIG) }, &["checkpoint.safetensors"]);
}

#[test]
fn defaults_are_the_published_ones() {
    let PretrainConfig { masking, optimiser, augmentation, run, images, .. } = PretrainConfig::default();
    assert_eq!((masking.ratio, optimiser.base_rate, optimiser.betas), (0.75, 1.5e-4, (0.9, 0.95)));
    let OptimiserSection { weight_decay, warm_up_epochs, last_rate, clip, .. } = optimiser;
    assert_eq!((weight_decay, warm_up_epochs, last_rate, clip), (0.05, 40, 1e-7, 5.0));
    assert_eq!(augmentation, Augmentation::default());
    assert_eq!(
        (augmentation.scale, run, images),
        ((0.2, 1.0), RunSection::default(), ImagesSection::default())
    );
    assert!(
        matches!(PretrainConfig::default().encoder.architecture(2), Ok(c) if c.width == 384 && c.depth == 6)
    );
}
