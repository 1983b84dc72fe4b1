//! The pictures of a small production as files, in the layout that every command reads.

use std::path::{Path, PathBuf};

use aoi_tolerance::io::write_whole;

use super::{BondPicture, CLASSES, Defect, Device, HEIGHT, WIDTH, devices, draw};
use crate::demo::chance::Chance;
use crate::masks::{save_grey, write_multi_label};
use crate::progress::{Progress, report};
use crate::{Error, Result};

/// How much is produced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BondOptions {
    /// Good pictures of each device with their masks, to learn from.
    pub labelled: usize,
    /// Pictures of each device that come from the line.
    pub inspected: usize,
    /// Share of those with a defect.
    pub defects: f64,
    /// Decides everything else.
    pub seed: u64,
}

impl Default for BondOptions {
    fn default() -> Self {
        Self { labelled: 3, inspected: 12, defects: 0.3, seed: 7 }
    }
}

impl BondOptions {
    /// A smaller production, for a quick look.
    pub fn quick() -> Self {
        Self { labelled: 2, inspected: 5, ..Self::default() }
    }
}

/// Where everything was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BondFolders {
    /// Pictures to learn from: `NAME_buffer0.png` and `NAME_buffer1.png`.
    pub labelled_images: PathBuf,
    /// Their masks: `NAME/CLASS.png`.
    pub labelled_masks: PathBuf,
    /// Pictures from the line.
    pub line_images: PathBuf,
    /// The truth about them.
    pub line_masks: PathBuf,
    /// Which part each picture shows: `image, part`.
    pub parts: PathBuf,
    /// Where every ball, wedge, wire and fillet belongs.
    pub nominal: PathBuf,
    /// Limits in force.
    pub limits: PathBuf,
    /// What the reviewers found.
    pub review: PathBuf,
}

impl BondFolders {
    /// The places below `folder`.
    pub fn below(folder: &Path) -> Self {
        let at = |name: &str| folder.join(name);
        Self {
            labelled_images: at("labelled/images"),
            labelled_masks: at("labelled/masks"),
            line_images: at("line/images"),
            line_masks: at("line/masks"),
            parts: at("parts.csv"),
            nominal: at("nominal.csv"),
            limits: at("tolerances.csv"),
            review: at("review.csv"),
        }
    }
}

/// Draws a production and writes it below `folder`.
///
/// # Errors
/// When the share of defects is not in 0 to 1, the system cannot write, or `progress` breaks off.
pub fn write_bonds(folder: &Path, options: &BondOptions, progress: &mut Progress<'_>) -> Result<BondFolders> {
    if !(0.0..=1.0).contains(&options.defects) {
        return Err(Error::option("share of defects", "0 to 1", options.defects));
    }
    let folders = BondFolders::below(folder);
    let BondFolders { labelled_images, labelled_masks, line_images, line_masks, .. } = &folders;
    for folder in [labelled_images, labelled_masks, line_images, line_masks] {
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    }
    let devices = devices();
    let mut chance = Chance::new(options.seed);
    let total = devices.len() * (options.labelled + options.inspected);
    let mut done = 0;
    let mut parts = vec!["image,part\n".to_owned()];
    let mut review = vec!["image,class,instance,verdict\n".to_owned()];
    for device in &devices {
        for number in 0..options.labelled + options.inspected {
            report(progress, "pictures", done, total)?;
            let (learned, seed) = (number < options.labelled, chance.bits());
            let bad = chance.unit() < options.defects;
            let kind = chance.below(7);
            let bond = chance.below(device.bonds.len());
            let defect = (bad && !learned).then(|| Defect::all(bond)[kind]);
            let picture = draw(device, defect, seed);
            let (images, masks) =
                if learned { (labelled_images, labelled_masks) } else { (line_images, line_masks) };
            let kind = if learned { "L" } else { "B" };
            let name = format!("{}-{kind}{number:03}", device.part);
            save(&picture, &name, images, masks)?;
            if !learned {
                parts.push(format!("{name},{}\n", device.part));
                review.extend(reviewed(&name, device, defect));
            }
            done += 1;
        }
    }
    report(progress, "pictures", done, total)?;
    let nominal = devices.iter().flat_map(nominal).collect::<String>();
    let limits = devices.iter().flat_map(limits).collect::<String>();
    for (path, text) in [
        (&folders.parts, parts.concat()),
        (&folders.review, review.concat()),
        (&folders.nominal, format!("part,class,instance,x_um,y_um,gate_um\n{nominal}")),
        (&folders.limits, format!("part,inspection,feature,lower,upper,unit\n{limits}")),
    ] {
        write_whole(path, |out| out.write_all(text.as_bytes()))?;
    }
    Ok(folders)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "values are in steps of 1/255")]
fn save(picture: &BondPicture, name: &str, images: &Path, masks: &Path) -> Result<()> {
    for (lighting, plane) in picture.lightings.outer_iter().enumerate() {
        let values: Vec<u8> = plane.iter().map(|v| (v * 255.0).round() as u8).collect();
        save_grey(&images.join(format!("{name}_buffer{lighting}.png")), &values, (HEIGHT, WIDTH))?;
    }
    write_multi_label(masks, name, &CLASSES.map(str::to_owned), picture.masks.view())
}

/// What a reviewer says of every instance of a picture.
fn reviewed(name: &str, device: &Device, defect: Option<Defect>) -> Vec<String> {
    let mut rows = Vec::new();
    let faulty = |class: &str, bond: Option<usize>| {
        defect.is_some_and(|d| d.bond() == bond && d.classes().contains(&class))
    };
    for (number, bond) in device.bonds.iter().enumerate() {
        for class in ["wire", "ball", "wedge"] {
            let verdict = if faulty(class, Some(number)) { "defect" } else { "false_call" };
            rows.push(format!("{name},{class},{},{verdict}\n", bond.name));
        }
    }
    let verdict = if faulty("epoxy", None) { "defect" } else { "false_call" };
    rows.push(format!("{name},epoxy,die,{verdict}\n"));
    // The counts: a torn wire has two pieces, a missing bond none.
    for class in CLASSES {
        let wrong = match defect {
            Some(Defect::BrokenWire(_)) => class == "wire",
            Some(Defect::MissingBond(_)) => class != "epoxy",
            Some(Defect::LiftedWedge(_)) => class == "wedge",
            _ => false,
        };
        rows.push(format!("{name},{class},,{}\n", if wrong { "defect" } else { "false_call" }));
    }
    rows
}

/// Rows of the nominal positions.
fn nominal(device: &Device) -> Vec<String> {
    let part = device.part;
    let mut rows = Vec::new();
    for bond in &device.bonds {
        for (class, [x, y], gate) in
            [("wire", bond.middle_um(), 90.0), ("ball", bond.ball_um, 60.0), ("wedge", bond.wedge_um, 60.0)]
        {
            rows.push(format!("{part},{class},{},{x},{y},{gate}\n", bond.name));
        }
    }
    let [x, y] = device.centre_um();
    rows.push(format!("{part},epoxy,die,{x},{y},100\n"));
    rows
}

/// Rows of the limits: tight, as limits that nobody has optimised are.
fn limits(device: &Device) -> Vec<String> {
    let part = device.part;
    let shortest = device
        .bonds
        .iter()
        .map(|b| (b.wedge_um[0] - b.ball_um[0]).hypot(b.wedge_um[1] - b.ball_um[1]))
        .fold(f64::INFINITY, f64::min);
    let rounded = |um: f64| (um * 10.0).round() / 10.0;
    let mut rows = Vec::new();
    let mut row = |class: &str, feature: &str, lower: Option<f64>, upper: Option<f64>| {
        let text = |limit: Option<f64>| limit.map_or_else(String::new, |l| rounded(l).to_string());
        rows.push(format!("{part},{class},{feature},{},{},um\n", text(lower), text(upper)));
    };
    row("ball", "diameter", Some(0.95 * device.ball_um), Some(1.08 * device.ball_um));
    row("ball", "offset", None, Some(10.0));
    row("wedge", "length", Some(0.93 * device.wedge_um[0]), None);
    row("wedge", "offset", None, Some(11.0));
    row("wire", "length", Some(0.98 * shortest), None);
    row("wire", "mean width", None, Some(1.12 * device.wire_um));
    row("wire", "offset", None, Some(10.0));
    row("epoxy", "offset", None, Some(6.0));
    rows
}
