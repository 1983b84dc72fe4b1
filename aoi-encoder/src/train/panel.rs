//! Pictures, what was shown of them, and what was filled in, side by side.

use std::io::Cursor;

use image::{GrayImage, ImageFormat, Luma};
use ndarray::Array3;

use crate::images::Normalisation;
use crate::mae::Mask;

/// One picture, as the network saw it (normalised), and with its masked patches filled in.
pub(super) struct Shown {
    pub(super) original: Array3<f32>,
    pub(super) filled: Array3<f32>,
    pub(super) mask: Mask,
}

/// Pixels between pictures.
const GAP: usize = 4;

/// A grey PNG: a row for every channel of every picture; columns original, visible part, filled in.
///
/// # Panics
/// Never: a grey image can be written to memory.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pixels are clamped to a byte, places lie on the canvas"
)]
pub(super) fn reconstruction_png(shown: &[Shown], patch: usize, normalisation: &Normalisation) -> Vec<u8> {
    let (c, height, width) = shown.first().map_or((0, 0, 0), |s| s.original.dim());
    let rows = c * shown.len();
    let size = |n: usize, side: usize| (n * (side + GAP) + GAP) as u32;
    let mut canvas = GrayImage::from_pixel(size(3, width), size(rows, height), Luma([255]));
    for (i, Shown { original, filled, mask }) in shown.iter().enumerate() {
        let columns = width / patch;
        for channel in 0..c {
            let top = GAP + (i * c + channel) * (height + GAP);
            let (mean, std) = (normalisation.mean[channel], normalisation.std[channel]);
            let grey = |v: f32| ((v * std + mean) * 255.0).round().clamp(0.0, 255.0) as u8;
            for y in 0..height {
                for x in 0..width {
                    let masked = mask.masked().binary_search(&(y / patch * columns + x / patch)).is_ok();
                    let own = grey(original[[channel, y, x]]);
                    let three = [own, if masked { 128 } else { own }, grey(filled[[channel, y, x]])];
                    for (column, value) in three.into_iter().enumerate() {
                        let left = GAP + column * (width + GAP);
                        canvas.put_pixel((left + x) as u32, (top + y) as u32, Luma([value]));
                    }
                }
            }
        }
    }
    let mut bytes = Cursor::new(Vec::new());
    canvas.write_to(&mut bytes, ImageFormat::Png).expect("a grey image in memory");
    bytes.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_columns_show_original_visible_part_and_filling() {
        let original = Array3::from_elem((2, 2, 4), 0.0);
        let shown = Shown { filled: &original + 1.0, original, mask: Mask::new(2, &[0]).unwrap() };
        let normalisation = Normalisation::new(2, Some(&[0.2]), Some(&[0.4])).unwrap();
        let image =
            image::load_from_memory(&reconstruction_png(&[shown], 2, &normalisation)).unwrap().to_luma8();
        assert_eq!(image.dimensions(), (28, 16));
        let at = |column: u32, x: u32| image.get_pixel(4 + column * 8 + x, 4).0[0];
        assert_eq!((at(0, 0), at(0, 3)), (51, 51));
        assert_eq!((at(1, 0), at(1, 3)), (51, 128));
        assert_eq!(at(2, 3), 153);
    }
}
