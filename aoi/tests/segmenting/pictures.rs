//! Small pictures of bright squares and disks under two lightings, and their masks.

use std::path::Path;

use aoi::masks::write_multi_label;
use aoi_encoder::ndarray::Array3;
use aoi_testing::Seeded;
use image::{ImageBuffer, Luma};

use super::support::Bench;

pub(crate) const CLASSES: [&str; 2] = ["square", "disk"];
pub(crate) const HEIGHT: usize = 45;
pub(crate) const WIDTH: usize = 53;

pub(crate) fn classes() -> Vec<String> {
    CLASSES.map(str::to_owned).to_vec()
}

/// The mask of picture `number`: a square and a disk at places that move a little; 3 has no disk.
pub(crate) fn mask(number: usize) -> Array3<u8> {
    let (dy, dx) = (number % 3, number % 2);
    Array3::from_shape_fn((2, HEIGHT, WIDTH), |(class, y, x)| {
        let square = (8 + dy..20 + dy).contains(&y) && (6 + dx..18 + dx).contains(&x);
        let disk = (y as f64 - 30.0 - dy as f64).hypot(x as f64 - 36.0 - dx as f64) < 7.0;
        u8::from(if class == 0 { square } else { disk && number != 3 })
    })
}

/// Pictures `numbers` under two lightings, the square bright in the first, the disk in the second.
pub(crate) fn pictures(folder: &Path, numbers: std::ops::Range<usize>) {
    numbers.for_each(|number| picture(folder, number, &mask(number)));
}

pub(crate) fn picture(folder: &Path, number: usize, mask: &Array3<u8>) {
    std::fs::create_dir_all(folder).unwrap();
    for lighting in 0..2 {
        let mut noise = Seeded::new((10 * number + lighting) as u64);
        let picture = ImageBuffer::from_fn(WIDTH as u32, HEIGHT as u32, |x, y| {
            let on = |class: usize| f64::from(mask[[class, y as usize, x as usize]]);
            let light = 60.0 + 130.0 * on(lighting) - 30.0 * on(1 - lighting) + 4.0 * noise.normal();
            Luma([light.clamp(0.0, 255.0) as u8])
        });
        picture.save(folder.join(format!("p{number}_buffer{lighting}.png"))).unwrap();
    }
}

pub(crate) fn masks(folder: &Path, numbers: std::ops::Range<usize>) {
    for number in numbers {
        write_multi_label(folder, &format!("p{number}"), &classes(), mask(number).view()).unwrap();
    }
}

/// Four pictures to learn from and three to test on.
pub(crate) fn bench() -> Bench {
    let bench = Bench::new();
    pictures(&bench.path("images"), 0..4);
    masks(&bench.path("masks"), 0..4);
    pictures(&bench.path("test"), 4..7);
    masks(&bench.path("truth"), 4..7);
    bench
}
