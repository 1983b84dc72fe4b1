//! Capital letters and digits of three by five pixels, for the legends of overlays.

use aoi_encoder::ndarray::Array3;

/// Rows of a letter.
const HIGH: usize = 5;
/// Columns of a letter and the gap after it.
pub(super) const STEP: usize = 4;

/// Five rows of three pixels, one octal digit a row; a filled box for what has no letter.
fn rows(letter: char) -> u32 {
    match letter.to_ascii_uppercase() {
        'A' => 0o25755,
        'B' => 0o65656,
        'C' => 0o34443,
        'D' => 0o65556,
        'E' => 0o74647,
        'F' => 0o74644,
        'G' => 0o34553,
        'H' => 0o55755,
        'I' => 0o72227,
        'J' => 0o11152,
        'K' => 0o55655,
        'L' => 0o44447,
        'M' => 0o57755,
        'N' => 0o65555,
        'O' => 0o25552,
        'P' => 0o65644,
        'Q' => 0o25563,
        'R' => 0o65655,
        'S' => 0o34216,
        'T' => 0o72222,
        'U' => 0o55557,
        'V' => 0o55552,
        'W' => 0o55775,
        'X' => 0o55255,
        'Y' => 0o55222,
        'Z' => 0o71247,
        '0' => 0o75557,
        '1' => 0o26227,
        '2' => 0o61247,
        '3' => 0o61216,
        '4' => 0o55711,
        '5' => 0o74616,
        '6' => 0o34757,
        '7' => 0o71122,
        '8' => 0o75757,
        '9' => 0o75716,
        '-' => 0o00700,
        '_' => 0o00007,
        '.' => 0o00002,
        ' ' => 0,
        _ => 0o77777,
    }
}

/// Writes `text` on `picture` \[3, height, width\] with its upper left corner at (top, left), each pixel of a letter `scale` a side; what does
/// not fit is left out.
pub(super) fn write(
    picture: &mut Array3<u8>,
    text: &str,
    (top, left): (usize, usize),
    scale: usize,
    colour: [u8; 3],
) {
    let (_, height, width) = picture.dim();
    for (place, letter) in text.chars().enumerate() {
        let bits = rows(letter);
        for y in 0..HIGH * scale {
            for x in 0..3 * scale {
                let bit = 3 * (HIGH - 1 - y / scale) + 2 - x / scale;
                let (row, column) = (top + y, left + place * STEP * scale + x);
                if bits >> bit & 1 == 1 && row < height && column < width {
                    (0..3).for_each(|c| picture[[c, row, column]] = colour[c]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn letters_differ_and_stand_upright() {
        let all: HashSet<u32> = ('A'..='Z').chain('0'..='9').map(rows).collect();
        assert_eq!(all.len(), 36);
        let mut picture = Array3::zeros((3, 12, 9));
        write(&mut picture, "L", (1, 1), 2, [9, 9, 9]);
        let drawn: Vec<String> = (0..12)
            .map(|y| (0..9).map(|x| if picture[[0, y, x]] == 9 { '#' } else { '.' }).collect())
            .collect();
        assert_eq!(drawn[1], ".##......");
        assert_eq!(drawn[9], ".######..");
        assert_eq!(drawn[0], ".........");
        write(&mut picture, "WWWWWWWW", (10, 7), 3, [1, 1, 1]);
    }
}
