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
    let said = bench.aoi(
        "encoder embed run/encoder.safetensors --images images --mean 0.3 --std 0.3 --out x.safetensors",
    );
    assert!(said.code == 0 && said.out.contains("[6, 16, 16]"), "{said:?}");
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
