//! `aoi segment predict`.

use std::path::{Path, PathBuf};

use aoi::masks::{OVERLAY_ENDING, save_rgb, write_label_map, write_multi_label};
use aoi::segment::{Decision, Predictor, overlay};
use aoi_encoder::images::list;
use aoi_encoder::ndarray::{Array2, Array3};
use clap::Args;
use serde_json::json;

use super::arguments::PredictorArguments;
use crate::command::interrupt;
use crate::command::outcome::{Failure, Outcome};
use crate::command::progress::Counter;

#[derive(Args)]
#[command(
    after_help = "Masks go to OUT/NAME/CLASS.png; with --decision best to label maps OUT/NAME.png; overlays to OUT/NAME_overlay.png.\n\n\
    Examples:\n  \
    aoi segment predict --weights vit.safetensors --bank bank.safetensors --images new --out masks --overlay\n  \
    aoi segment predict --weights vit.safetensors --bank bank.safetensors --images new --out masks --settings settings.json\n  \
    aoi segment predict --weights run/network.safetensors --images new --out masks"
)]
pub(crate) struct Arguments {
    /// Folder of images
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// Folder for the masks
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Draw every mask over its image too
    #[arg(long)]
    overlay: bool,
    #[command(flatten)]
    predictor: PredictorArguments,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let Arguments { images, out, overlay, .. } = arguments;
    let (shares, classes) = arguments.predictor.with(&mut |predictor| {
        let shares = predict_folder(predictor, images, out, *overlay, &mut |_, _, _| Ok(()))?;
        Ok((shares, predictor.classes().to_vec()))
    })?;
    if arguments.json {
        let named = classes.iter().zip(&shares.of_class).map(|(c, s)| (c.clone(), json!(s)));
        let named: serde_json::Map<String, serde_json::Value> = named.collect();
        println!("{}", json!({"images": shares.images, "share_of_pixels": named}));
    } else {
        println!("{} images segmented", shares.images);
        for (class, share) in classes.iter().zip(&shares.of_class) {
            println!("  {class:<12} {:.2} % of all pixels", 100.0 * share);
        }
    }
    Ok(Outcome::Done)
}

/// What was predicted: images, and the share of all pixels that each class has.
pub(crate) struct Shares {
    pub(crate) images: usize,
    of_class: Vec<f64>,
}

/// What is done with a name, an image and its mask besides writing it.
pub(crate) type Each<'a> = dyn FnMut(&str, &Array3<f32>, &Array3<u8>) -> aoi::Result<()> + 'a;

/// Writes the mask of every image of a folder.
pub(crate) fn predict_folder(
    predictor: &dyn Predictor,
    images: &Path,
    out: &Path,
    with_overlay: bool,
    each: &mut Each<'_>,
) -> Result<Shares, Failure> {
    let stacks = list(images).map_err(aoi::Error::from)?;
    std::fs::create_dir_all(out)
        .map_err(|e| Failure::Other(format!("{}: cannot be made: {e}", out.display())))?;
    let classes = predictor.classes();
    let mut pixels = 0;
    let mut set = vec![0_usize; classes.len()];
    let bar = Counter::new("images");
    let mut progress = bar.on();
    for (done, stack) in stacks.iter().enumerate() {
        if progress(done, stacks.len()).is_break() || interrupt::asked() {
            let total = stacks.len();
            return Err(aoi::Error::Cancelled { what: "images", done, total }.into());
        }
        let picture = stack.read().map_err(aoi::Error::from)?;
        let mask = predictor.predict(&picture)?;
        match predictor.settings().decision {
            Decision::Threshold => write_multi_label(out, &stack.name, classes, mask.view())?,
            Decision::Best => write_label_map(out, &stack.name, label_map(&mask).view())?,
        }
        if with_overlay {
            let path = out.join(format!("{}{OVERLAY_ENDING}.png", stack.name));
            save_rgb(&path, &overlay(&picture, mask.view(), classes))?;
        }
        each(&stack.name, &picture, &mask)?;
        let (_, height, width) = mask.dim();
        pixels += height * width;
        for (set, plane) in set.iter_mut().zip(mask.outer_iter()) {
            *set += plane.iter().filter(|bit| **bit != 0).count();
        }
    }
    let of_class = set.iter().map(|&n| n as f64 / pixels as f64).collect();
    Ok(Shares { images: stacks.len(), of_class })
}

/// The number of the one class that each pixel has; 0 where it has none.
fn label_map(mask: &Array3<u8>) -> Array2<u16> {
    let (classes, height, width) = mask.dim();
    Array2::from_shape_fn((height, width), |at| {
        let class = (1..).zip(0..classes).find(|&(_, c)| mask[[c, at.0, at.1]] != 0);
        class.map_or(0, |(number, _)| number)
    })
}
