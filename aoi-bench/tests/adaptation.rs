//! The comparison of adaptations at its smallest size: everything is measured, written, and the same again.

use std::path::Path;

use aoi::demo::bonds::{BondOptions, CLASSES, write_bonds};
use aoi::masks::MaskFolder;
use aoi::measure::Parts;
use aoi_bench::adaptation::{
    self, ALL_WAYS, Comparison, Given, MAE, Measured, Options, PIXELS, Pool, SCRATCH, SCRATCH_EQUAL,
};
use aoi_encoder::weights::{ChannelRule, LoadOptions, save};
use aoi_encoder::{Config, Grid, Params, Positions, Table};

#[test]
fn every_encoder_is_adapted_in_every_way_at_the_budgets_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::generate(&folder.path().join("bonds"), 4, 3).unwrap();
    let mut said = Vec::new();
    let one =
        adaptation::compare(&pool, &Options::quick(2), folder.path(), &mut |what| said.push(what.to_owned()))
            .unwrap();
    assert_eq!(one.settings(), ["one device", "all devices"]);
    let mut seen = 0;
    for setting in one.settings() {
        for row in [SCRATCH, SCRATCH_EQUAL, MAE, PIXELS] {
            for way in ALL_WAYS {
                let measured = match row {
                    SCRATCH_EQUAL => way == "fine-tuning",
                    PIXELS => way != "fine-tuning",
                    _ => true,
                };
                let cell = one.cell(setting, row, way);
                assert_eq!(cell.is_some(), measured, "{setting} {row} {way}");
                let Some(cell) = cell else { continue };
                assert_eq!(cell.outcomes.len(), 2);
                for outcome in &cell.outcomes {
                    assert!((0.0..=1.0).contains(&outcome.mean_iou) && outcome.class_iou.len() == 4);
                    assert!(outcome.adapt_seconds > 0.0 && outcome.image_seconds > 0.0);
                }
                seen += 1;
            }
        }
    }
    assert_eq!(seen, one.cells.len());
    // Of every device, and of all together.
    let results = said.iter().filter(|what| what.contains("mean IoU")).count();
    assert_eq!(results, 2 * one.cells.len() / 2 * 4, "{said:?}");
    // The longer run from scratch takes what pre-training and fine-tuning take together, to the epoch.
    let gflop = |setting: &str, row: &str| {
        one.cell(setting, row, "fine-tuning").unwrap().outcomes[0].adapt_gflop.unwrap()
    };
    let epoch = |setting: &str| gflop(setting, SCRATCH) / if setting == "one device" { 2.0 } else { 1.0 };
    for (setting, devices) in [("one device", 3.0), ("all devices", 1.0)] {
        let (short, long) = (gflop(setting, SCRATCH), gflop(setting, SCRATCH_EQUAL));
        assert_eq!(short, gflop(setting, MAE));
        let expected = short + one.pretraining[0].gflop / devices;
        assert!((long - expected).abs() <= epoch(setting), "{setting}: {long} for {expected}");
    }

    let out = folder.path();
    let text = std::fs::read_to_string(out.join("adaptation.md")).unwrap();
    for judged in adaptation::claims::judge(&one) {
        assert!(text.contains(&judged.sentence()), "{}", judged.sentence());
    }
    assert_eq!(adaptation::claims::judge(&one).len(), 9, "four claims in two settings, one in one");
    for plot in ["adaptation-one-device.svg", "adaptation-all-devices.svg"] {
        assert!(text.contains(plot));
        let svg = std::fs::read_to_string(out.join(plot)).unwrap();
        assert!(
            svg.starts_with("<svg") && svg.contains("whitened pixels") && svg.trim_end().ends_with("</svg>")
        );
    }
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("adaptation.json")).unwrap()).unwrap();
    assert_eq!(json["cells"].as_array().unwrap().len(), one.cells.len());
    assert_eq!(json["pretraining"].as_array().unwrap().len(), 2);
}

#[test]
fn a_folder_of_one_device_is_compared_and_neither_threads_nor_halves_change_an_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    let options = BondOptions { labelled: 2, inspected: 0, defects: 0.0, seed: 5 };
    let bonds = write_bonds(&folder.path().join("bonds"), &options, &mut aoi::silent()).unwrap();
    let pool = || {
        let masks = MaskFolder::new(&bonds.labelled_masks, CLASSES.map(str::to_owned).to_vec()).unwrap();
        let parts = Parts::One("one".into());
        Pool::read(&bonds.labelled_images, masks, &parts, "six pictures".into()).unwrap()
    };
    let compared = |threads: usize, measured: Measured| -> Comparison {
        let out = folder.path().join(format!("{threads} {measured:?}"));
        let options = Options { measured, ..Options::quick(threads) };
        adaptation::compare(&pool(), &options, &out, &mut |_| ()).unwrap()
    };
    let whole = compared(1, Measured::All);
    let halves = [compared(2, Measured::FineTuning), compared(2, Measured::Retrieval)];
    assert_eq!(whole.settings(), ["one device"]);
    assert_eq!((whole.cells.len(), halves[0].cells.len() + halves[1].cells.len()), (15, 15));
    assert!(halves[0].cells.iter().all(|c| c.way == "fine-tuning"));
    assert!(halves[1].cells.iter().all(|c| c.way != "fine-tuning"));
    let mut largest = 0.0_f64;
    for again in halves.iter().flat_map(|half| &half.cells) {
        let cell = whole.cell(&again.setting, &again.row, &again.way).unwrap();
        for (outcome, again) in cell.outcomes.iter().zip(&again.outcomes) {
            assert_eq!(outcome.mean_iou.to_bits(), again.mean_iou.to_bits(), "{} {}", cell.row, cell.way);
            largest = largest.max(outcome.mean_iou);
        }
    }
    assert!(largest > 0.1, "nothing was segmented: {largest}");
    // Without the encoders drawn at random the others stay what they are, and so does a draw by itself.
    let options = Options { scratch: false, measured: Measured::FineTuning, ..Options::quick(2) };
    let later = Options { first_seed: 1, ..options.clone() };
    let later = adaptation::compare(&pool(), &later, &folder.path().join("later"), &mut |_| ()).unwrap();
    let alone = adaptation::compare(&pool(), &options, &folder.path().join("alone"), &mut |_| ()).unwrap();
    assert_eq!(alone.cells.iter().map(|c| c.row.as_str()).collect::<Vec<_>>(), [MAE]);
    let mae = halves[0].cell("one device", MAE, "fine-tuning").unwrap();
    assert_eq!(alone.cells[0].mean_iou(), mae.mean_iou());
    let one = |cell: &adaptation::Cell, i: usize| (cell.outcomes[i].seed, cell.outcomes[i].mean_iou);
    assert_eq!(one(&later.cells[0], 0), one(mae, 1));
    let text = std::fs::read_to_string(folder.path().join("2 FineTuning/adaptation.md")).unwrap();
    assert!(text.contains(" | - | - | - | - |") && text.contains("decoder 8 wide of depth 1"), "{text}");
    assert!(text.contains("2 epochs in steps of up to 8 pictures, highest rate 0.001"), "{text}");
}

/// An encoder of three channels, adapted to so many.
fn given(folder: &Path, channels: Option<usize>) -> Given {
    let config = Config {
        channels: 3,
        patch: 8,
        width: 16,
        depth: 1,
        heads: 2,
        hidden: 16,
        positions: Positions::SinCos,
        grid: Grid { rows: 4, columns: 4 },
        ..Config::paper()
    };
    let mut params = Params::<f32>::zeros(Table::new(&config).unwrap().into());
    let values = params.values_mut().iter_mut().enumerate();
    values.for_each(|(i, v)| *v = ((i * 37 % 19) as f32 - 9.0) / 20.0);
    let path = folder.join("other.safetensors");
    save(&path, &config, &params).unwrap();
    let options =
        LoadOptions { channels: channels.map(|n| (n, ChannelRule::Average)), ..LoadOptions::default() };
    Given::open(&path, &options).unwrap()
}

#[test]
fn an_encoder_of_other_channels_is_compared_where_it_is_adapted() {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::generate(&folder.path().join("bonds"), 4, 3).unwrap();
    let weights = Some(given(folder.path(), Some(2)));
    let options = Options { weights, measured: Measured::Retrieval, scratch: false, ..Options::quick(2) };
    let found = adaptation::compare(&pool, &options, folder.path(), &mut |_| ()).unwrap();
    for setting in found.settings() {
        assert_eq!(found.cell(setting, "other", "similarity").map(|c| c.outcomes.len()), Some(2));
    }
    let json = std::fs::read_to_string(folder.path().join("adaptation.json")).unwrap();
    assert!(json.contains("other.safetensors") && json.contains("from 3 to 2 channels"));
}

#[test]
fn what_cannot_be_compared_is_refused_before_anything_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    let pool = Pool::generate(&folder.path().join("bonds"), 2, 3).unwrap();
    let refused = |options: &Options, word: &str| {
        let error = adaptation::compare(&pool, options, folder.path(), &mut |_| ()).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    };
    refused(&Options { labelled: 0, ..Options::quick(1) }, "labelled");
    refused(&Options { seeds: 1, ..Options::quick(1) }, "no interval");
    refused(&Options::quick(1), "2 pictures");
    let weights = Some(given(folder.path(), None));
    refused(&Options { weights, ..Options::quick(1) }, "(or pass --channels 2)");
    assert!(!folder.path().join("runs").exists());
    std::fs::create_dir(folder.path().join("runs")).unwrap();
    refused(&Options::quick(1), "runs");
}
