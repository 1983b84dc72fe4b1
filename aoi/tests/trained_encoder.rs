//! The encoder that comes with the demo, on pictures of another seed: better than pixel patches of the same size.

use aoi::demo::bonds::{BondOptions, CLASSES, ENCODER, ENCODER_OVERLAP, write_bonds};
use aoi::masks::MaskFolder;
use aoi::patch_encoder::{PatchEncoder, PcaOptions, VitEncoder, VitOptions};
use aoi::segment::{IndexOptions, LabelledFolder, Segmenter, Settings, evaluate, fit_patches, index};
use aoi::silent;
use aoi_encoder::Tiling;

#[test]
fn it_is_small_and_finds_more_than_pixel_patches_do() {
    assert!(ENCODER.len() < 5_000_000, "{} bytes", ENCODER.len());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("encoder.safetensors");
    std::fs::write(&path, ENCODER).unwrap();
    let options = BondOptions { labelled: 2, inspected: 2, defects: 0.0, seed: 4711 };
    let drawn = write_bonds(&folder.path().join("bonds"), &options, &mut silent()).unwrap();
    let classes = CLASSES.map(str::to_owned).to_vec();
    let open = |images, masks: &std::path::Path| {
        LabelledFolder::new(images, MaskFolder::new(masks, classes.clone()).unwrap()).unwrap()
    };
    let labelled = open(&drawn.labelled_images, &drawn.labelled_masks);
    let line = open(&drawn.line_images, &drawn.line_masks);
    let mean_iou = |encoder: &dyn PatchEncoder| {
        let bank = index(encoder, &labelled, &IndexOptions::default(), &mut silent()).unwrap();
        let segmenter = Segmenter::new(encoder, &bank, Settings::default(), 2).unwrap();
        evaluate(&segmenter, &line, 0, &mut silent()).unwrap().json()["mean_iou"].as_f64().unwrap()
    };
    let tiling = Tiling::Overlap(Some(ENCODER_OVERLAP));
    let (learned, notes) =
        VitEncoder::load(&path, &VitOptions { tiling, threads: 2, ..VitOptions::default() }).unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    let pixels = fit_patches(&drawn.labelled_images, &PcaOptions::default(), &mut silent()).unwrap();
    assert_eq!((learned.patch(), learned.channels()), (pixels.patch(), 2));
    let (learned, pixels) = (mean_iou(&learned), mean_iou(&pixels));
    assert!(learned > pixels + 0.03, "mean IoU {learned:.3} learned, {pixels:.3} pixel patches");
}
