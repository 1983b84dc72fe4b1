//! Unlabelled pictures of wire bonds in a folder: what pre-training wants. `08_unlabelled FOLDER 100` draws a hundred of each device.

use std::path::PathBuf;

use aoi::demo::bonds::{BondOptions, devices, write_bonds};
use aoi_encoder::images;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let temporary = tempfile::tempdir()?;
    let folder = words.next().map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let each: usize = words.next().map_or(Ok(1), |word| word.parse())?;

    // Another seed than the demo's: no picture that the demo inspects is trained on.
    let options = BondOptions { labelled: 0, inspected: each, defects: 0.3, seed: 1_000 };
    let drawn = write_bonds(&folder, &options, &mut |_, _| std::ops::ControlFlow::Continue(()))?;

    let pictures = images::list(&drawn.line_images)?;
    let first = pictures[0].read()?;
    println!("{} pictures of {:?} in {}", pictures.len(), first.dim(), drawn.line_images.display());
    assert_eq!(pictures.len(), each * devices().len());
    assert_eq!(first.dim().0, 2, "two lightings");
    Ok(())
}
