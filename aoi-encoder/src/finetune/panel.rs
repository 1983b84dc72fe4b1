//! Held-out pictures, their truth, and what was predicted, side by side.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};
use ndarray::Array3;

use super::Example;

/// Pixels between pictures.
const GAP: usize = 4;

/// Colours of the classes, told apart by most people; more classes begin again.
const COLOURS: [[u8; 3]; 6] =
    [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [213, 94, 0], [204, 121, 167]];

/// A PNG: a row for every picture; columns the first lighting, the truth over it, the prediction over it.
///
/// # Panics
/// Never: a picture can be written to memory.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pixels are clamped to a byte, places lie on the canvas"
)]
pub(super) fn prediction_png(shown: &[(&Example, &Array3<u8>)]) -> Vec<u8> {
    let side = |axis: usize| shown.iter().map(|(e, _)| e.picture.shape()[axis]).max().unwrap_or(0);
    let (height, width) = (side(1), side(2));
    let size = |n: usize, side: usize| (n * (side + GAP) + GAP) as u32;
    let mut canvas = RgbImage::from_pixel(size(3, width), size(shown.len(), height), Rgb([255; 3]));
    for (row, (example, predicted)) in shown.iter().enumerate() {
        let (_, height_here, width_here) = example.picture.dim();
        for y in 0..height_here {
            for x in 0..width_here {
                let grey = (example.picture[[0, y, x]] * 255.0).round().clamp(0.0, 255.0) as u8;
                let over = |mask: &Array3<u8>| {
                    let class = (0..mask.dim().0).find(|&class| mask[[class, y, x]] != 0);
                    class.map_or([grey; 3], |class| COLOURS[class % 6].map(|v| v / 2 + grey / 2))
                };
                for (column, colour) in
                    [[grey; 3], over(&example.mask), over(predicted)].into_iter().enumerate()
                {
                    let (left, top) = (GAP + column * (width + GAP), GAP + row * (height + GAP));
                    canvas.put_pixel((left + x) as u32, (top + y) as u32, Rgb(colour));
                }
            }
        }
    }
    let mut bytes = Cursor::new(Vec::new());
    canvas.write_to(&mut bytes, ImageFormat::Png).expect("a picture in memory");
    bytes.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_shows_its_own_mask() {
        let picture = Array3::zeros((2, 2, 3));
        let mut mask = Array3::zeros((2, 2, 3));
        mask[[1, 0, 0]] = 1;
        let example = Example { name: "a".into(), picture, mask };
        let png = prediction_png(&[(&example, &Array3::zeros((2, 2, 3)))]);
        let canvas = image::load_from_memory(&png).unwrap().to_rgb8();
        assert_eq!(canvas.dimensions(), (3 * 7 + 4, 6 + 4));
        let at = |column: u32| canvas.get_pixel(4 + 7 * column, 4).0;
        assert_eq!([at(0), at(1), at(2)], [[0; 3], COLOURS[1].map(|v| v / 2), [0; 3]]);
    }
}
