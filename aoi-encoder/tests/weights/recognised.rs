//! What is told from the tensors alone, and what has to be said.

use aoi_encoder::weights::{ChannelRule, Family, LoadOptions, inspect, load};
use aoi_encoder::{Config, Grid, Params, Positions, Resampling};
use aoi_testing::assert_all_close;
use tempfile::TempDir;

use super::{data, load_bytes, raw, serialized};

#[test]
fn what_is_guessed_is_said() {
    let weights = load_bytes(&serialized(&raw("mae"), None)).unwrap();
    assert_eq!(weights.family, Family::Mae);
    assert!(weights.notes.iter().any(|n| n.contains("decoder_norm.bias")), "{:?}", weights.notes);
    let found = inspect(&data("mae"), &LoadOptions::default()).unwrap();
    assert!(found.notes.iter().any(|n| n.contains("guessed 1 heads")), "{:?}", found.notes);
    assert!(found.problems.is_empty());
    assert_eq!(found.number_types["f32"], raw("mae").len());
}

#[test]
fn families_and_their_resampling_are_recognised() {
    for (case, family, expected) in [
        ("timm_plain", Family::Timm, Resampling::Antialiased),
        ("dinov2", Family::DinoV2, Resampling::Offset),
        ("dinov2_registers", Family::DinoV2, Resampling::Antialiased),
        ("mae", Family::Mae, Resampling::Plain),
        ("hugging_face_vit", Family::HuggingFaceVit, Resampling::Plain),
        ("hugging_face_mae", Family::HuggingFaceMae, Resampling::Plain),
        ("hugging_face_dinov2", Family::HuggingFaceDinoV2, Resampling::Plain),
        ("hugging_face_registers", Family::HuggingFaceDinoV2, Resampling::Antialiased),
    ] {
        let found = inspect(&data(case), &LoadOptions::default()).unwrap();
        assert_eq!(found.family, family, "{case}");
        let Positions::Learned { resampling, .. } = found.config.positions else { panic!("{case}") };
        assert_eq!(resampling, expected, "{case}");
    }
}

#[test]
fn an_architecture_asked_for_gives_the_heads_and_is_compared() {
    let asked = Config { width: 16, depth: 2, heads: 4, hidden: 64, patch: 4, ..Config::paper() };
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("weights.safetensors");
    std::fs::copy(data("timm_plain"), &path).unwrap();
    let load_as =
        |config: Config| load(&path, &LoadOptions { config: Some(config), ..LoadOptions::default() });
    let weights = load_as(asked.clone()).unwrap();
    assert_eq!((weights.config.heads, weights.config.channels), (4, 3));
    assert!(!weights.notes.iter().any(|n| n.contains("guessed")), "{:?}", weights.notes);
    let message = load_as(Config { depth: 3, hidden: 32, ..asked }).unwrap_err().to_string();
    assert!(message.contains("depth 3 was asked for") && message.contains("hidden width 32"), "{message}");
}

#[test]
fn a_grid_that_is_not_square_needs_to_be_said() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("weights.safetensors");
    // 1 + 3 x 5 rows could as well be 4 x 4 without one for the class token: taken so, and said.
    std::fs::copy(data("timm_resampled_larger"), &path).unwrap();
    let guessed = load(&path, &LoadOptions { heads: Some(2), ..LoadOptions::default() }).unwrap();
    assert!(
        guessed.notes.iter().any(|n| n.contains("guessed 4 x 4 positions, None before")),
        "{:?}",
        guessed.notes
    );
    std::fs::copy(data("timm_two_lights"), &path).unwrap();
    let message = load(&path, &LoadOptions::default()).unwrap_err().to_string();
    assert!(message.contains("7 rows are no square grid"), "{message}");
    std::fs::copy(data("timm_resampled_larger"), &path).unwrap();
    let config = Config {
        grid: Grid { rows: 3, columns: 5 },
        width: 16,
        depth: 2,
        heads: 2,
        hidden: 64,
        patch: 4,
        ..Config::paper()
    };
    let options = LoadOptions { config: Some(config), ..LoadOptions::default() };
    assert_eq!(load(&path, &options).unwrap().config.grid, Grid { rows: 3, columns: 5 });
}

#[test]
fn an_adapted_patch_projection_answers_alike_channels_alike() {
    let plain = load_bytes(&serialized(&raw("timm_plain"), None)).unwrap();
    let sums = |params: &Params<f32>, c: usize| -> Vec<f32> {
        let area = plain.config.patch.pow(2);
        let filters = params.get("patch.weight").chunks_exact(c * area);
        filters
            .flat_map(|f| (0..area).map(|i| (0..c).map(|k| f[k * area + i]).sum::<f32>()).collect::<Vec<_>>())
            .collect()
    };
    for (channels, rule) in [(1, ChannelRule::Average), (2, ChannelRule::Average), (6, ChannelRule::Repeat)] {
        let options =
            LoadOptions { heads: Some(2), channels: Some((channels, rule)), ..LoadOptions::default() };
        let adapted = load(&data("timm_plain"), &options).unwrap();
        assert_eq!(adapted.config.channels, channels);
        assert!(adapted.notes.iter().any(|n| n.contains("from 3 to")), "{:?}", adapted.notes);
        assert_all_close(&sums(&adapted.params, channels), &sums(&plain.params, 3), 1e-6, 0.0);
        assert_eq!(adapted.params.get("norm.bias"), plain.params.get("norm.bias"));
    }
    let options =
        LoadOptions { heads: Some(2), channels: Some((17, ChannelRule::Repeat)), ..LoadOptions::default() };
    assert!(load(&data("timm_plain"), &options).is_err());
}
