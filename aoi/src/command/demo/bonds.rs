//! Pictures of wire bonds: image, mask, measurement, record, limit.

use std::path::Path;

use aoi::demo::bonds::{
    BondFolders, BondOptions, CLASSES, ENCODER, ENCODER_OVERLAP, UM_PER_PIXEL, write_bonds,
};
use aoi::masks::MaskFolder;
use aoi::measure::{Calibration, Parts, write_records};
use aoi::patch_encoder::{PatchEncoder, PcaOptions, VitEncoder, VitOptions};
use aoi::segment::{Evaluated, IndexOptions, LabelledFolder, Segmenter, Settings, fit_patches, index};
use aoi_encoder::Tiling;
use aoi_retrieval::{Bank, Beta, Labels, Rule, TuneGrid, TuneImages, TuneOptions, tune};
use aoi_tolerance::io::write_whole;

use super::{Limited, limit};
use crate::command::outcome::Failure;
use crate::command::progress::Counter;
use crate::command::segment::evaluate::{FIGURES, print_scores, report};
use crate::command::segment::measure::{Tables, measure_folder};
use crate::command::segment::predict::predict_folder;
use crate::command::threads::one_per_core;
use crate::command::tolerance::print_optimised;

/// Components smaller than this are specks of the segmentation.
const SPECK_UM2: f64 = 400.0;
/// What is tried on the labelled pictures.
fn grid() -> TuneGrid {
    let attention = [0.02, 0.05, 0.1].map(|beta| Rule::Attention(Beta::Shared(beta)));
    TuneGrid {
        k: vec![5, 10, 20],
        rules: [vec![Rule::Similarity], attention.to_vec()].concat(),
        thresholds: vec![0.5, 0.4, 0.3, 0.2],
    }
}

/// The best settings by cross-validation over the labelled pictures: those from the line are not looked at.
fn tuned(bank: &Bank, seed: u64, threads: usize) -> Result<Settings, Failure> {
    let images = bank.images();
    let Labels::Complete(labels) = bank.labels() else { return Ok(Settings::default()) };
    let data = TuneImages { keys: bank.keys(), labels, images };
    let bar = Counter::new("rules and folds");
    let mut on = bar.on();
    let options = TuneOptions { folds: images.len().min(5), seed, threads };
    let tuned = tune(&data, &grid(), &options, &mut |p| on(p.done, p.total)).map_err(aoi::Error::from)?;
    let best = tuned.best().map(|best| {
        let (k, rule, thresholds) = (best.k, best.rule.clone(), best.thresholds.clone());
        println!("Tuned on the labelled pictures: k {k}, {rule}, thresholds {thresholds:?}.\n");
        Settings { k, rule, thresholds, ..Settings::default() }
    });
    Ok(best.unwrap_or_default())
}

/// What turns pictures into patches.
struct Chosen {
    encoder: Box<dyn PatchEncoder>,
    words: &'static str,
    /// Where it lies in the folder, and what is said of it.
    file: &'static str,
    said: &'static str,
}

/// The encoder that comes with the program.
fn trained(folder: &Path, threads: usize) -> Result<Chosen, Failure> {
    let file = "encoder.safetensors";
    let path = folder.join(file);
    write_whole(&path, |out| out.write_all(ENCODER))?;
    let tiling = Tiling::Overlap(Some(ENCODER_OVERLAP));
    let (encoder, _) = VitEncoder::load(&path, &VitOptions { tiling, threads, ..VitOptions::default() })?;
    let words = "an encoder that was trained on 300 other pictures without masks";
    let said = "the encoder: aoi segment --weights encoder.safetensors --bank bank.safetensors --overlap 8";
    Ok(Chosen { encoder: Box::new(encoder), words, file, said })
}

/// Pixel patches fitted on the labelled pictures: a quarter as many patches, looked up in a quarter of the rows.
fn pixel_patches(folder: &Path, pictures: &Path, seed: u64) -> Result<Chosen, Failure> {
    let file = "patches.safetensors";
    let bar = Counter::new("labelled pictures");
    let options = PcaOptions { patch: 8, reach: 3, seed, ..PcaOptions::default() };
    let encoder = fit_patches(pictures, &options, &mut bar.on())?;
    encoder.save(&folder.join(file))?;
    let said = "the encoder: aoi segment --weights patches.safetensors --bank bank.safetensors";
    Ok(Chosen { encoder: Box::new(encoder), words: "coarse pixel patches", file, said })
}

/// Draws a production in `folder` and takes it from pictures to limits.
pub(super) fn run(folder: &Path, quick: bool, seed: u64, created: &str) -> Result<(), Failure> {
    let path = |name: &str| folder.join(name);
    let threads = one_per_core();
    let options = if quick { BondOptions::quick() } else { BondOptions::default() };
    let bar = Counter::new("pictures drawn");
    let drawn = write_bonds(folder, &BondOptions { seed, ..options }, &mut bar.on())?;
    drop(bar);
    let BondFolders { labelled_images, labelled_masks, line_images, line_masks, .. } = &drawn;
    let classes = CLASSES.map(str::to_owned).to_vec();

    let labelled = LabelledFolder::new(labelled_images, MaskFolder::new(labelled_masks, classes.clone())?)?;
    let truth = MaskFolder::new(line_masks, classes.clone())?;
    println!(
        "Generated wire bonds: {} labelled pictures of three devices; {} more come from the line.",
        labelled.len(),
        truth.names()?.len()
    );
    let Chosen { encoder, words, file, said } =
        if quick { pixel_patches(folder, labelled_images, seed)? } else { trained(folder, threads)? };
    let bar = Counter::new("labelled pictures");
    let bank = index(&*encoder, &labelled, &IndexOptions::default(), &mut bar.on())?;
    drop(bar);
    bank.save(&path("bank.safetensors")).map_err(aoi::Error::from)?;
    println!("A bank of {} patches by {words}.", bank.rows());

    let settings = tuned(&bank, seed, threads)?;
    settings.save(&path("settings.json"))?;
    let segmenter = Segmenter::new(&*encoder, &bank, settings, threads)?;
    let mut evaluated = Evaluated::new(classes.clone(), FIGURES);
    predict_folder(&segmenter, line_images, &path("masks"), true, &mut |name, picture, mask| {
        let (_, height, width) = picture.dim();
        evaluated.add(name, picture, mask.view(), truth.read(name, (height, width))?.view())
    })?;
    print_scores(&evaluated);
    report(&path("segmentation.html"), &evaluated, &segmenter, created.to_owned())?;

    let (limits, review) = (Some(drawn.limits.as_path()), Some(drawn.review.as_path()));
    let tables = Tables::read(Some(&drawn.nominal), Parts::read(&drawn.parts)?, limits, review)?;
    let masks = MaskFolder::new(&path("masks"), classes)?;
    let measured = measure_folder(&masks, &tables, Calibration::square(UM_PER_PIXEL)?, SPECK_UM2)?;
    write_whole(&path("records.csv"), |out| write_records(out, &measured.rows))?;
    println!(
        "\nMeasured: {} values, {} outside their limits, {} things missing.\n",
        measured.rows.len(),
        measured.outside(),
        measured.missing()
    );
    let Limited { records, proposals, .. } = limit(folder, created)?;
    print_optimised(&records, &proposals);
    println!("\nWritten to {}:", folder.display());
    for (name, what) in [
        ("segmentation.html", "the segmentation against its truth, the worst pictures first"),
        (file, said),
        ("masks", "the masks, and overlays to look at"),
        ("records.csv", "what was measured, with the reviewers' verdicts"),
        ("limits.csv", "the new limits"),
        ("report.html", "the report on them"),
        ("labelled, line", "the generated pictures and their truth: try aoi segment on them"),
    ] {
        println!("  {name:<19} {what}");
    }
    Ok(())
}
