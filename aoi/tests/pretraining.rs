//! `aoi encoder pretrain`: a folder of pictures becomes an encoder that `aoi encoder info` and `embed` read.

mod support;

use support::{Bench, Said};

/// A grey BMP of 16 x 16 pixels with a bright bar at `place`.
fn picture(place: usize) -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    let (header, palette, pixels) = (54_u32, 1024_u32, 256_u32);
    for word in
        [header + palette + pixels, 0, header + palette, 40, 16, 16, 8 << 16 | 1, 0, pixels, 0, 0, 256, 0]
    {
        bytes.extend(word.to_le_bytes());
    }
    (0..=255_u8).for_each(|v| bytes.extend([v, v, v, 0]));
    for i in 0..256_usize {
        let bar = (i % 16 + 16 - place) % 16 < 5;
        bytes.push(if bar { 200 } else { u8::try_from(i / 4).expect("below 64") });
    }
    bytes
}

fn bench() -> Bench {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("images")).unwrap();
    for i in 0..6 {
        bench.file(&format!("images/crop{i}.bmp"), picture(3 * i));
    }
    bench.file(
        "c.toml",
        "seed = 1\nencoder = { width = 16, depth = 1, heads = 2, patch = 4, size = [16, 16] }\n\
         optimiser = { rate = 1e-3, warm_up_epochs = 1 }\nrun = { epochs = 3, batch = 3, validate_epochs = 1 }\n",
    );
    bench
}

#[test]
fn pictures_become_an_encoder_that_the_other_commands_read() {
    let bench = bench();
    let said = bench.aoi("encoder pretrain --images images --config c.toml --run run --threads 2 --json");
    assert_eq!(said.code, 0, "{said:?}");
    let summary: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&summary["ending"], &summary["training_pictures"]), (&"finished".into(), &5.into()));
    let mut files: Vec<String> = std::fs::read_dir(bench.path("run"))
        .unwrap()
        .map(|f| f.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    files.retain(|f| !f.starts_with("events.out.tfevents."));
    let expected = [
        "checkpoint.safetensors",
        "config.toml",
        "encoder.safetensors",
        "loss.svg",
        "metrics.csv",
        "reconstruction.png",
    ];
    assert_eq!(files, expected);
    let Said { code, out, .. } = bench.aoi("encoder info run/encoder.safetensors");
    assert!(code == 0 && out.contains("width 16"), "{out}");
    // The file says how pictures are normalised: other numbers have to be asked for.
    let embed = |more: &str| {
        let said = bench
            .aoi(&format!("encoder embed run/encoder.safetensors --images images --out x.safetensors{more}"));
        assert!(said.code == 0 && said.out.contains("[6, 16, 16]"), "{said:?}");
        // The numbers behind the header, whose metadata have no order.
        let bytes = std::fs::read(bench.path("x.safetensors")).unwrap();
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap());
        bytes[8 + usize::try_from(header).unwrap()..].to_vec()
    };
    let number = |key: &str| summary[key][0].as_f64().unwrap();
    let own = embed("");
    assert!(own == embed(&format!(" --mean {} --std {}", number("mean"), number("std"))));
    assert!(own != embed(" --mean 0.9"));
    // Images of a tile and a half each way: two tiles with two patches shared, three with three.
    let enlarged = |more: &str| {
        let words =
            "encoder embed run/encoder.safetensors --images images --out x.safetensors --resize 24x24";
        let said = bench.aoi(&format!("{words}{more}"));
        (said.code, said.err)
    };
    let tiles =
        |said: &(i32, String), expected: &str| assert!(said.0 == 0 && said.1.contains(expected), "{said:?}");
    tiles(&enlarged(" --overlap 2"), "4 tiles of 4 x 4 patches a picture, 2 or more shared");
    tiles(&enlarged(" --overlap 3"), "9 tiles of 4 x 4 patches a picture, 3 or more shared");
    let (code, err) = enlarged(" --overlap 4");
    assert!(code == 2 && err.contains("below the crop of 4 patches"), "{err}");
    assert_eq!(enlarged(" --overlap 1 --whole").0, 2);
    // The patches of these pictures, whitened: f32 numbers behind a header.
    let said = bench.aoi("encoder whiten run/encoder.safetensors --images images --out white.safetensors");
    assert!(said.code == 0 && said.out.contains("16 numbers a patch"), "{said:?}");
    let said = bench.aoi("encoder embed white.safetensors --images images --out x.safetensors");
    assert!(said.code == 0 && said.err.contains("patches whitened"), "{said:?}");
    let bytes = std::fs::read(bench.path("x.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let patches = tensors.tensor("patches").unwrap();
    let numbers: Vec<f64> =
        patches.data().as_chunks::<4>().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect();
    let rows = numbers.chunks_exact(16);
    let mean = |of: &dyn Fn(&[f64]) -> f64| rows.clone().map(of).sum::<f64>() / rows.len() as f64;
    assert!((0..16).all(|i| mean(&|row| row[i]).abs() < 1e-3), "their mean is gone");
    let variances: Vec<f64> = (0..16).map(|i| mean(&|row| row[i] * row[i])).collect();
    assert!(variances[0] > 0.9 && variances.iter().all(|v| *v < 1.001), "{variances:?}");
}

#[cfg(unix)]
#[test]
fn interrupted_and_killed_runs_are_resumed_to_the_same_bits() {
    let bench = bench();
    let long = std::fs::read_to_string(bench.path("c.toml"))
        .unwrap()
        .replace("epochs = 3", "epochs = 400, checkpoint_steps = 7");
    bench.file("c.toml", long);
    let start = |words: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_aoi"));
        command
            .args(words.split_whitespace())
            .current_dir(bench.path(""))
            .stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    // Waits until so many steps are in the table, then sends the signal.
    let stop = |mut child: std::process::Child, steps: usize, signal: &str| {
        loop {
            let lines =
                std::fs::read_to_string(bench.path("cut/metrics.csv")).unwrap_or_default().lines().count();
            if lines > steps {
                break;
            }
            assert!(child.try_wait().unwrap().is_none(), "ended by itself");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let sent =
            std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        child.wait_with_output().unwrap()
    };
    let words = "encoder pretrain --images images --config c.toml --run";
    let interrupted = stop(start(&format!("{words} cut")), 10, "-INT");
    let said = String::from_utf8(interrupted.stderr).unwrap();
    assert!(interrupted.status.code() == Some(1) && said.contains("--resume goes on"), "{said}");
    let killed = stop(start(&format!("{words} cut --resume")), 40, "-KILL");
    assert_eq!(killed.status.code(), None);
    assert_eq!(bench.aoi(&format!("{words} cut --resume")).code, 0);
    assert_eq!(bench.aoi(&format!("{words} whole")).code, 0);
    for file in ["checkpoint.safetensors", "encoder.safetensors", "config.toml", "loss.svg"] {
        let read = |run: &str| std::fs::read(bench.path(run).join(file)).unwrap();
        assert!(read("cut") == read("whole"), "{file} differs");
    }
}

#[test]
fn a_second_start_asks_for_resume_and_a_finished_run_says_so() {
    let bench = bench();
    assert_eq!(bench.aoi("encoder pretrain --images images --config c.toml --run run").code, 0);
    let again = bench.aoi("encoder pretrain --images images --config c.toml --run run");
    assert!(again.code == 1 && again.err.contains("--resume"), "{again:?}");
    let resumed = bench.aoi("encoder pretrain --images images --run run --resume");
    assert!(resumed.code == 0 && resumed.out.starts_with("finished after 3 steps"), "{resumed:?}");
}

#[test]
fn mistakes_are_named() {
    let bench = bench();
    bench.file("typo.toml", "[run]\nepoch = 3\n").file("rate.toml", "[optimiser]\nrate = -1.0\n");
    for (words, code, word) in [
        ("encoder pretrain --images images --config typo.toml --run run", 1, "typo.toml"),
        ("encoder pretrain --images images --config rate.toml --run run", 2, "learning rate"),
        ("encoder pretrain --images nowhere --config c.toml --run run", 1, "nowhere"),
        ("encoder pretrain --images images --config c.toml --run run --threads 0", 2, "threads"),
    ] {
        let said = bench.aoi(words);
        assert!(said.code == code && said.err.contains(word), "{words}: {said:?}");
    }
}

#[test]
fn the_example_configurations_are_complete_and_understood() {
    use aoi_encoder::finetune::{FinetuneConfig, Tuning};
    use aoi_encoder::train::PretrainConfig;
    let read = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("formats").join(name);
        (std::fs::read_to_string(&path).unwrap(), path)
    };
    let (text, path) = read("pretrain.example.toml");
    let pretrain = PretrainConfig::parse(&text, &path).unwrap();
    pretrain.check().unwrap();
    let encoder = pretrain.encoder.architecture(2).unwrap();
    assert_eq!((encoder.width, encoder.grid.len()), (96, 256));
    let (text, path) = read("finetune.example.toml");
    let finetune = FinetuneConfig::parse(&text, &path).unwrap();
    finetune.check().unwrap();
    assert_eq!(finetune.tune, Tuning::LORA);
}
