//! A picture with its masks drawn over it, for people.

use aoi_encoder::ndarray::{Array3, ArrayRef3, ArrayView3};

use super::glyph;

/// Colours of the classes, in their order and again from the first: those of Okabe and Ito, which people with any colour vision tell apart.
pub const COLOURS: [[u8; 3]; 7] = [
    [230, 159, 0],
    [86, 180, 233],
    [0, 158, 115],
    [204, 121, 167],
    [213, 94, 0],
    [240, 228, 66],
    [0, 114, 178],
];
/// Share of a class's colour over the picture.
const FILL: f32 = 0.3;
/// Pictures smaller than this on their longer side are enlarged by a whole number.
const SMALL: usize = 320;
/// Side of a pixel of the legend's letters.
const LETTER: usize = 2;
/// Height of a line of the legend.
const LINE: usize = 16;

/// The colour of a class.
pub(super) fn colour(class: usize) -> [u8; 3] {
    COLOURS[class % COLOURS.len()]
}

/// The first channel in grey, stretched to the full range, every class filled lightly and outlined in its colour, and a legend below.
///
/// # Shapes
/// `picture` \[channels, height, width\], `mask` \[c, height, width\] -> \[3, height', width'\], enlarged by a whole number where the picture is
/// small, with a legend of a line or more below.
///
/// # Panics
/// When picture and mask differ in size, or the picture has no channel.
#[expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]
pub fn overlay(picture: &ArrayRef3<f32>, mask: ArrayView3<'_, u8>, classes: &[String]) -> Array3<u8> {
    let (_, height, width) = picture.dim();
    assert_eq!((mask.dim().1, mask.dim().2), (height, width), "a mask of the picture's size");
    let scale = (SMALL / height.max(width).max(1)).max(1);
    let (high, wide) = (height * scale, width * scale);
    let legend = places(classes, wide);
    let lines = legend.last().map_or(0, |l| l.0 + 1);
    let mut drawn = Array3::from_elem((3, high + lines * LINE, wide), 255);
    let grey = picture.index_axis(aoi_encoder::ndarray::Axis(0), 0);
    let (low, top) = grey.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, t), &v| (l.min(v), t.max(v)));
    let range = (top - low).max(1.0 / 255.0);
    let set = |class: usize, y: isize, x: isize| {
        let inside = y >= 0 && x >= 0 && y < high.cast_signed() && x < wide.cast_signed();
        inside && mask[[class, y.cast_unsigned() / scale, x.cast_unsigned() / scale]] != 0
    };
    for y in 0..high {
        for x in 0..wide {
            let mut pixel = [(grey[[y / scale, x / scale]] - low) / range * 255.0; 3];
            let (row, column) = (y.cast_signed(), x.cast_signed());
            for class in 0..classes.len() {
                if !set(class, row, column) {
                    continue;
                }
                let near = [(-1, 0), (1, 0), (0, -1), (0, 1)];
                let border = near.iter().any(|(dy, dx)| !set(class, row + dy, column + dx));
                let share = if border { 1.0 } else { FILL };
                let colour = colour(class);
                pixel = [0, 1, 2].map(|c| pixel[c] + share * (f32::from(colour[c]) - pixel[c]));
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
            (0..3).for_each(|c| drawn[[c, y, x]] = pixel[c].round() as u8);
        }
    }
    for (class, (line, left)) in legend.into_iter().enumerate() {
        let y0 = high + line * LINE + 3;
        for y in y0..y0 + 10 {
            for x in (left..left + 10).filter(|x| *x < wide) {
                (0..3).for_each(|c| drawn[[c, y, x]] = colour(class)[c]);
            }
        }
        glyph::write(&mut drawn, &classes[class], (y0, left + 14), LETTER, [28, 33, 38]);
    }
    drawn
}

/// Line and first column of every class in the legend.
fn places(classes: &[String], width: usize) -> Vec<(usize, usize)> {
    let (mut line, mut left) = (0, 2);
    let mut places = Vec::new();
    for class in classes {
        let room = 14 + class.chars().count() * glyph::STEP * LETTER + 10;
        if left > 2 && left + room > width {
            (line, left) = (line + 1, 2);
        }
        places.push((line, left));
        left += room;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_outlined_filled_and_named() {
        let picture = Array3::from_shape_fn((1, 400, 420), |(_, y, _)| if y < 200 { 0.2 } else { 0.4 });
        let mask = Array3::from_shape_fn((2, 400, 420), |(c, y, x)| {
            u8::from(c == 1 && (100..150).contains(&y) && (100..150).contains(&x))
        });
        let drawn = overlay(&picture, mask.view(), &["wire".into(), "ball".into()]);
        assert_eq!(drawn.dim(), (3, 416, 420));
        let at = |y: usize, x: usize| [0, 1, 2].map(|c| drawn[[c, y, x]]);
        assert_eq!(at(50, 50), [0; 3]);
        assert_eq!(at(350, 50), [255; 3]);
        assert_eq!(at(100, 120), COLOURS[1], "the border");
        assert_eq!(at(120, 120), [26, 54, 70], "the inside: 0.3 of 86, 180, 233 over black");
        assert_eq!(at(405, 5), COLOURS[0], "the legend");
    }

    #[test]
    fn small_pictures_are_enlarged_and_long_legends_broken() {
        let names: Vec<String> = (0..9).map(|i| format!("class number {i}")).collect();
        let drawn = overlay(&Array3::zeros((2, 60, 100)), Array3::zeros((9, 60, 100)).view(), &names);
        let (_, height, width) = drawn.dim();
        assert_eq!(width, 300);
        assert!(height > 180 + 4 * LINE, "{height}");
        let places = places(&names, width);
        assert!(places.windows(2).all(|w| w[0] < w[1]));
    }
}
