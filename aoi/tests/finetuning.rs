//! `aoi encoder finetune`: generated wire bonds become a network that `aoi segment predict` and `evaluate` take without a bank.

mod support;

use aoi::demo::bonds::{BondOptions, write_bonds};
use support::Bench;

const CLASSES: &str = "wire,ball,wedge,epoxy";

/// Six labelled pictures, three to predict, and an encoder pre-trained for one step.
fn bench() -> Bench {
    let bench = Bench::new();
    let options = BondOptions { labelled: 2, inspected: 1, defects: 0.0, seed: 3 };
    write_bonds(&bench.path("bonds"), &options, &mut |_, _| std::ops::ControlFlow::Continue(())).unwrap();
    bench.file(
        "pretrain.toml",
        "seed = 1\nencoder = { width = 32, depth = 2, heads = 2, patch = 8, size = [64, 64], positions = \"sin-cos\" }\n\
         augmentation = { zoom = [1.0, 1.0] }\nrun = { epochs = 1, batch = 5, half = true }\n",
    );
    let said =
        bench.aoi("encoder pretrain --images bonds/labelled/images --config pretrain.toml --run first");
    assert_eq!(said.code, 0, "{said:?}");
    bench.file(
        "c.toml",
        "seed = 1\noptimiser = { rate = 3e-3, warm_up_epochs = 1 }\naugmentation = { zoom = [1.0, 1.0], blur = 0.0 }\n\
         run = { epochs = 10, crops = 8, batch = 8, validate_epochs = 5 }\n",
    );
    bench
}

fn finetune(more: &str) -> String {
    format!(
        "encoder finetune --weights first/encoder.safetensors --images bonds/labelled/images --masks bonds/labelled/masks --classes {CLASSES} {more}"
    )
}

#[test]
fn labelled_pictures_become_a_network_that_predicts_and_is_evaluated_without_a_bank() {
    let bench = bench();
    let said = bench.aoi(&finetune("--config c.toml --run run --json"));
    assert_eq!(said.code, 0, "{said:?}");
    let summary: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!((&summary["training_pictures"], &summary["held_out_pictures"]), (&5.into(), &1.into()));
    for file in ["config.toml", "metrics.csv", "loss.svg", "prediction.png", "network.safetensors"] {
        assert!(bench.path("run").join(file).is_file(), "{file}");
    }
    let images = "--images bonds/line/images";
    let said = bench.aoi(&format!(
        "segment evaluate --weights run/network.safetensors {images} --masks bonds/line/masks --json --report r.html"
    ));
    assert_eq!(said.code, 0, "{said:?}");
    let scores: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    // The die's epoxy is large: a network that learned anything finds it.
    let epoxy = &scores["classes"][3];
    assert!(epoxy["class"] == "epoxy" && epoxy["iou"].as_f64() > Some(0.3), "{epoxy}");
    let report = std::fs::read_to_string(bench.path("r.html")).unwrap();
    assert!(report.contains("Fine-tuned network") && report.contains("run/network.safetensors"));
    let said = bench
        .aoi(&format!("segment predict --weights run/network.safetensors {images} --out masks --overlay"));
    assert!(said.code == 0 && said.out.starts_with("3 images segmented"), "{said:?}");
    let name = "SIDE4-B002";
    for class in CLASSES.split(',') {
        assert!(bench.path(&format!("masks/{name}/{class}.png")).is_file(), "{class}");
    }
    // The network's encoder serves a bank as well.
    let said = bench.aoi(&format!(
        "segment index --weights run/network.safetensors --images bonds/labelled/images --masks bonds/labelled/masks --classes {CLASSES} --out bank.safetensors"
    ));
    assert_eq!(said.code, 0, "{said:?}");
}

#[test]
fn a_head_over_several_blocks_is_trained_predicts_and_is_evaluated_alike() {
    let bench = bench();
    bench.file(
        "pyramid.toml",
        "seed = 1\nhead = \"upernet\"\nupernet = { width = 12, group = 4 }\noptimiser = { rate = 3e-3, warm_up_epochs = 1 }\n\
         augmentation = { zoom = [1.0, 1.0], blur = 0.0 }\nrun = { epochs = 40, crops = 8, batch = 8, validate_epochs = 10 }\n",
    );
    let said = bench.aoi(&finetune("--config pyramid.toml --run run"));
    assert_eq!(said.code, 0, "{said:?}");
    let told = std::fs::read_to_string(bench.path("run/config.toml")).unwrap();
    assert!(told.contains("head = \"upernet\"") && told.contains("width = 12"), "{told}");
    let images = "--images bonds/line/images";
    let said = bench.aoi(&format!(
        "segment evaluate --weights run/network.safetensors {images} --masks bonds/line/masks --json"
    ));
    assert_eq!(said.code, 0, "{said:?}");
    let scores: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let epoxy = &scores["classes"][3];
    assert!(epoxy["class"] == "epoxy" && epoxy["iou"].as_f64() > Some(0.3), "{epoxy}");
    let said = bench.aoi(&format!("segment predict --weights run/network.safetensors {images} --out masks"));
    assert!(said.code == 0 && bench.path("masks/SIDE4-B002/wire.png").is_file(), "{said:?}");
}

#[test]
fn mistakes_are_named() {
    let bench = bench();
    bench
        .file("typo.toml", "[run]\nepoch = 3\n")
        .file("rank.toml", "tune = { lora = { rank = 0, alpha = 1.0 } }\n");
    let predict =
        |weights: &str| format!("segment predict --weights {weights} --images bonds/line/images --out masks");
    for (words, code, word) in [
        (finetune("--config typo.toml --run run"), 1, "typo.toml"),
        (finetune("--config rank.toml --run run"), 2, "rank"),
        (finetune("--config c.toml --run run --resume"), 1, "no checkpoint"),
        (finetune("--config c.toml --run run").replace(CLASSES, "wire,solder"), 1, "solder"),
        (predict("first/encoder.safetensors"), 2, "--bank"),
        (predict("nowhere.safetensors"), 1, "nowhere"),
    ] {
        let said = bench.aoi(&words);
        assert!(said.code == code && said.err.contains(word), "{words}: {said:?}");
    }
    assert!(!bench.path("run").exists() && !bench.path("masks").exists(), "nothing was written");
}
