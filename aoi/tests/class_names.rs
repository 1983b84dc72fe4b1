//! Classes name files: a bank or a network from elsewhere must not choose where masks are written.

mod support;

use std::sync::Arc;

use aoi_encoder::finetune::{Head, HeadLayers, Standard, Tuned};
use aoi_encoder::images::Normalisation;
use aoi_encoder::ndarray::{Array2, Array3};
use aoi_encoder::weights::save;
use aoi_encoder::{Config, Grid, Params, Positions, Table};
use aoi_retrieval::{Bank, CompleteLabels, Labels};
use image::{GrayImage, Luma};
use support::Bench;

const GOOD: &str = "solder ball";
const BAD: [&str; 5] = ["../../x", "/abs", "", "a/b", ".."];

/// A picture of 16 x 16 pixels, an encoder, and the folder that all commands run in.
fn bench() -> (Bench, Config, Params<f32>) {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("images")).unwrap();
    GrayImage::from_fn(16, 16, |x, y| Luma([u8::try_from(x * y).unwrap()]))
        .save(bench.path("images/p.png"))
        .unwrap();
    let config = Config {
        channels: 1,
        patch: 4,
        width: 8,
        depth: 1,
        heads: 2,
        hidden: 8,
        positions: Positions::SinCos,
        grid: Grid { rows: 4, columns: 4 },
        ..Config::paper()
    };
    let mut params = Params::zeros(Arc::new(Table::new(&config).unwrap()));
    params.get_mut("norm.bias").fill(1.0);
    save(&bench.path("encoder.st"), &config, &params).unwrap();
    (bench, config, params)
}

/// Predicts with files that call their class `class`; what was said and whether only `masks` is new.
fn refused(bench: &Bench, words: &str, file: &str, class: &str) {
    let before = bench.files();
    let said = bench.aoi(&format!("segment predict --images images --out masks {words}"));
    assert_eq!(said.code, 1, "{class:?}: {said:?}");
    assert!(said.err.contains(file) && said.err.contains(&format!("{class:?}")), "{said:?}");
    assert_eq!(bench.files(), before, "{class:?}: nothing was written");
}

#[test]
fn a_network_with_a_path_for_a_class_is_refused_and_named() {
    let (bench, config, params) = bench();
    let normalisation = Normalisation::new(1, None, None).unwrap();
    let write = |class: &str| {
        let layers =
            HeadLayers::Linear { standard: Standard::none(8), weight: vec![1.0; 8], bias: vec![0.0] };
        let head = Head { classes: vec![class.to_owned()], layers };
        Tuned::write(&bench.path("n.st"), (&config, &params), &normalisation, &head).unwrap();
    };
    for class in BAD {
        write(class);
        refused(&bench, "--weights n.st", "n.st", class);
        refused(&bench, "--weights n.st --decision best", "n.st", class);
    }
    write(GOOD);
    let said = bench.aoi("segment predict --images images --out masks --weights n.st");
    assert!(said.code == 0 && bench.path("masks/p/solder ball.png").is_file(), "{said:?}");
}

#[test]
fn a_bank_with_a_path_for_a_class_is_refused_and_named() {
    let (bench, ..) = bench();
    let write = |class: &str| {
        let labels = Labels::Complete(CompleteLabels::from_image(Array3::ones((1, 4, 4)).view(), 4).unwrap());
        let mut bank = Bank::new(8, vec![class.to_owned()], labels.select(&[]).unwrap()).unwrap();
        bank.add_image("taught", Array2::ones((1, 8)).view(), &labels).unwrap();
        bank.save(&bench.path("b.st")).unwrap();
    };
    for class in BAD {
        write(class);
        refused(&bench, "--weights encoder.st --bank b.st", "b.st", class);
    }
    write(GOOD);
    let said = bench.aoi("segment predict --images images --out masks --weights encoder.st --bank b.st");
    assert!(said.code == 0 && bench.path("masks/p/solder ball.png").is_file(), "{said:?}");
}
