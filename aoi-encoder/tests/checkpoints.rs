//! A damaged checkpoint is refused or goes on; nothing in it makes the process panic.

mod damage;

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aoi_encoder::finetune::{Example, FinetuneConfig, FinetuneJob, finetune};
use aoi_encoder::ndarray::Array3;
use aoi_encoder::train::{Job, PretrainConfig, Report, pretrain};
use aoi_encoder::weights::{Family, Weights};
use aoi_encoder::{Config, Grid, Params, Positions, Result, Role, Table};
use image::{GrayImage, Luma};
use proptest::prelude::*;
use safetensors::SafeTensors;
use serde_json::{Value, json};

/// Every kind of run, as the words of its configuration; the last one pre-trains.
const RUNS: [&str; 5] = [
    "tune = \"full\"",
    "tune = { lora = { rank = 2, alpha = 4.0 } }",
    "head = \"upernet\"\nupernet = { width = 3 }",
    "tune = \"frozen\"\noptimiser = { average = 0.9 }",
    "encoder = { width = 8, depth = 1, heads = 2, hidden = 8, patch = 4, size = [8, 8] }\noptimiser = { average = 0.9 }",
];

/// Files of a run that resuming it reads.
const FILES: [&str; 3] = ["config.toml", "metrics.csv", "checkpoint.safetensors"];

/// A run that was interrupted after two of its four steps.
struct Bench {
    folder: tempfile::TempDir,
    config: &'static str,
    files: Vec<Vec<u8>>,
}

impl Bench {
    fn new(config: &'static str) -> Self {
        let mut bench = Self { folder: tempfile::tempdir().unwrap(), config, files: Vec::new() };
        std::fs::create_dir(bench.path("images")).unwrap();
        for i in 0..4_u8 {
            let picture = GrayImage::from_fn(8, 8, |x, y| Luma([u8::try_from(x * y).unwrap() * (2 + i)]));
            picture.save(bench.path(&format!("images/{i}.png"))).unwrap();
        }
        bench.run(false, 2).unwrap();
        bench.files = FILES.map(|f| std::fs::read(bench.path("run").join(f)).unwrap()).to_vec();
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts the run or goes on with it, to its end or to `stop` steps; the steps taken.
    fn run(&self, resume: bool, stop: u64) -> Result<u64> {
        let run = self.path("run");
        let mut progress = |report: &Report| {
            if report.step >= stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let length = "epochs = 2, batch = 2, validate_epochs = 1, checkpoint_steps = 1";
        if self.config.starts_with("encoder") {
            let text = format!("{}\nrun = {{ {length} }}\nimages = {{ held_out = 0.0 }}", self.config);
            let config = Some(PretrainConfig::parse(&text, Path::new("test.toml")).unwrap());
            let job = Job { images: self.path("images"), run, config, resume, threads: 1 };
            return pretrain(&job, &mut progress, &|| 1.0).map(|done| done.step);
        }
        let text = format!("{}\nrun = {{ crops = 1, {length} }}\nheld_out = 0.2", self.config);
        let config = Some(FinetuneConfig::parse(&text, Path::new("test.toml")).unwrap());
        let (examples, classes) = (examples(), ["corner".to_owned()]);
        let weights = &encoder();
        let job =
            FinetuneJob { examples: &examples, classes: &classes, weights, run, config, resume, threads: 1 };
        finetune(&job, &mut progress, &|| 1.0).map(|done| done.step)
    }

    /// Goes on from `checkpoint`, everything else being as it was left.
    fn resume(&self, checkpoint: &[u8]) -> Result<u64> {
        for (name, bytes) in FILES.iter().zip(&self.files) {
            std::fs::write(self.path("run").join(name), bytes).unwrap();
        }
        std::fs::write(self.path("run/checkpoint.safetensors"), checkpoint).unwrap();
        self.run(true, u64::MAX)
    }

    fn checkpoint(&self) -> &[u8] {
        &self.files[2]
    }
}

fn encoder() -> Weights {
    let (positions, grid) = (Positions::SinCos, Grid { rows: 2, columns: 2 });
    let config = Config {
        channels: 1,
        patch: 4,
        width: 8,
        depth: 1,
        heads: 2,
        hidden: 8,
        positions,
        grid,
        ..Config::paper()
    };
    let mut params = Params::<f32>::zeros(Arc::new(Table::new(&config).unwrap()));
    for tensor in params.table().clone().tensors() {
        let centre = if tensor.role == Role::Norm { 1.0 } else { 0.0 };
        let values = params.get_mut(&tensor.name).iter_mut().enumerate();
        values.for_each(|(i, v)| *v = centre + ((i * 37 % 19) as f32 - 9.0) / 20.0);
    }
    Weights { config, params, family: Family::Own, normalisation: None, whitening: None, notes: Vec::new() }
}

fn examples() -> Vec<Example> {
    let one = |i: usize| Example {
        name: format!("p{i}"),
        picture: Array3::from_shape_fn((1, 8, 8), |(_, y, x)| ((x * y + i) as f32 / 64.0).min(1.0)),
        mask: Array3::from_shape_fn((1, 8, 8), |(_, y, x)| u8::from(x + y > 9)),
    };
    (0..5).map(one).collect()
}

#[test]
fn an_unchanged_checkpoint_goes_on() {
    for config in RUNS {
        let bench = Bench::new(config);
        assert_eq!(bench.resume(bench.checkpoint()).unwrap(), 4, "{config}");
    }
}

#[test]
fn a_checkpoint_cut_anywhere_is_refused() {
    for config in RUNS {
        let bench = Bench::new(config);
        let whole = bench.checkpoint();
        let cuts = (0..whole.len()).step_by(whole.len() / 60);
        assert!(cuts.len() >= 60);
        for cut in cuts {
            let message = bench.resume(&whole[..cut]).unwrap_err().to_string();
            assert!(message.contains("checkpoint.safetensors"), "cut at {cut}: {message}");
        }
    }
}

#[test]
fn hostile_counters_are_refused_or_go_on() {
    for config in RUNS {
        let bench = Bench::new(config);
        let (_, header) = SafeTensors::read_metadata(bench.checkpoint()).unwrap();
        let said = header.metadata().as_ref().unwrap()["aoi_encoder_run"].clone();
        let file = SafeTensors::deserialize(bench.checkpoint()).unwrap();
        for (field, value, fits) in [
            ("step", json!(u64::MAX), false),
            ("step", json!(3), false),
            ("step", json!(-1), false),
            ("step", json!(0), true),
            ("since_best", json!(u64::MAX), true),
            ("best", json!(1e308), true),
            ("best", json!(-1e308), true),
            ("ended", json!(true), true),
            ("origin", json!(null), false),
            ("config", json!(""), true),
        ] {
            let mut state: Value = serde_json::from_str(&said).unwrap();
            assert!(state.get(field).is_some(), "{field}");
            state[field] = value.clone();
            let metadata = HashMap::from([("aoi_encoder_run".to_owned(), state.to_string())]);
            let bytes = safetensors::serialize(file.tensors(), Some(metadata)).unwrap();
            let result = bench.resume(&bytes);
            assert_eq!(result.is_ok(), fits, "{config}: {field} {value}: {result:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn flipped_bytes_never_panic(seed: u64, count in 1_usize..8) {
        thread_local!(static BENCHES: [Bench; 5] = RUNS.map(Bench::new));
        BENCHES.with(|benches| {
            for bench in benches {
                if let Err(e) = bench.resume(&damage::damaged(bench.checkpoint(), seed, count)) {
                    prop_assert!(!e.to_string().is_empty());
                }
            }
            Ok(())
        })?;
    }
}
