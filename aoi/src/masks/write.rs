//! Masks and other pictures to PNG files, each written whole or not at all.

use std::io::Cursor;
use std::path::Path;

use aoi_encoder::ndarray::{Array3, ArrayView2, ArrayView3};
use aoi_tolerance::io::write_whole;
use image::{ColorType, ImageFormat};

use crate::{Error, Result};

/// Writes `folder/name/CLASS.png`, 0 and 255, for every class.
///
/// # Shapes
/// `mask` \[c, height, width\], anything but 0 being set.
///
/// # Errors
/// When there is not one plane a class, a class cannot name a file ([`super::check_classes`]), or the system cannot write.
#[expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]
pub fn write_multi_label(
    folder: &Path,
    name: &str,
    classes: &[String],
    mask: ArrayView3<'_, u8>,
) -> Result<()> {
    if mask.dim().0 != classes.len() {
        let (expected, found) = (format!("{} planes", classes.len()), mask.dim().0.to_string());
        let what = format!("mask of {name}");
        return Err(Error::Mismatch { what, expected, found, remedy: "give one plane a class" });
    }
    super::check_classes(classes)?;
    let own = folder.join(name);
    std::fs::create_dir_all(&own).map_err(Error::io(&own))?;
    for (class, plane) in classes.iter().zip(mask.outer_iter()) {
        let values: Vec<u8> = plane.iter().map(|&bit| if bit == 0 { 0 } else { 255 }).collect();
        let (height, width) = plane.dim();
        png(&own.join(format!("{class}.png")), &values, (height, width), ColorType::L8)?;
    }
    Ok(())
}

/// Writes `folder/name.png`: 0 background, i class i; 16 bits a pixel only where a class number needs them.
///
/// # Errors
/// When the system cannot write.
#[expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]
pub fn write_label_map(folder: &Path, name: &str, map: ArrayView2<'_, u16>) -> Result<()> {
    let path = folder.join(format!("{name}.png"));
    let small: Option<Vec<u8>> = map.iter().map(|&v| u8::try_from(v).ok()).collect();
    if let Some(values) = small {
        return png(&path, &values, map.dim(), ColorType::L8);
    }
    let values: Vec<u8> = map.iter().flat_map(|v| v.to_ne_bytes()).collect();
    png(&path, &values, map.dim(), ColorType::L16)
}

/// Writes a colour picture.
///
/// # Shapes
/// `picture` \[3, height, width\]
///
/// # Errors
/// When the system cannot write.
pub fn save_rgb(path: &Path, picture: &Array3<u8>) -> Result<()> {
    let bytes = encode_rgb(picture).map_err(Error::io(path))?;
    Ok(write_whole(path, |out| out.write_all(&bytes))?)
}

/// A colour picture as the bytes of a PNG file.
pub(crate) fn encode_rgb(picture: &Array3<u8>) -> std::io::Result<Vec<u8>> {
    let (_, height, width) = picture.dim();
    let values: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| (0..3).map(move |c| (c, y, x))))
        .map(|at| picture[at])
        .collect();
    encoded(&values, (height, width), ColorType::Rgb8)
}

/// Writes grey values 0 to 255.
pub(crate) fn save_grey(path: &Path, values: &[u8], size: (usize, usize)) -> Result<()> {
    png(path, values, size, ColorType::L8)
}

fn png(path: &Path, values: &[u8], size: (usize, usize), kind: ColorType) -> Result<()> {
    let bytes = encoded(values, size, kind).map_err(Error::io(path))?;
    Ok(write_whole(path, |out| out.write_all(&bytes))?)
}

fn encoded(values: &[u8], (height, width): (usize, usize), kind: ColorType) -> std::io::Result<Vec<u8>> {
    let side = |n: usize| u32::try_from(n).map_err(std::io::Error::other);
    let mut bytes = Cursor::new(Vec::new());
    image::write_buffer_with_format(&mut bytes, values, side(width)?, side(height)?, kind, ImageFormat::Png)
        .map_err(std::io::Error::other)?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use aoi_encoder::ndarray::Array2;

    use super::*;
    use crate::masks::MaskFolder;

    #[test]
    fn label_maps_read_back_also_beyond_eight_bits() {
        let folder = tempfile::tempdir().unwrap();
        for classes in [3_u16, 300] {
            let names = (0..classes).map(|i| format!("c{i}")).collect();
            let map =
                Array2::from_shape_fn((5, 70), |(y, x)| u16::try_from(y * 70 + x).unwrap() % (classes + 1));
            write_label_map(folder.path(), "a", map.view()).unwrap();
            let mask = MaskFolder::new(folder.path(), names).unwrap().read("a", (5, 70)).unwrap();
            for ((y, x), &class) in map.indexed_iter() {
                let set: Vec<usize> = (0..usize::from(classes)).filter(|&c| mask[[c, y, x]] == 1).collect();
                assert_eq!(set, if class == 0 { vec![] } else { vec![usize::from(class) - 1] });
            }
        }
    }

    #[test]
    fn a_class_that_is_a_path_writes_nothing_inside_or_outside_the_folder() {
        let above = tempfile::tempdir().unwrap();
        let folder = above.path().join("out");
        std::fs::create_dir(&folder).unwrap();
        let absolute = above.path().join("abs").display().to_string();
        for class in ["../../x", "../x", "a/b", "", &absolute] {
            let classes = ["wire".to_owned(), class.to_owned()];
            let written = write_multi_label(&folder, "p", &classes, Array3::zeros((2, 2, 2)).view());
            assert!(written.is_err(), "{class}");
        }
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        assert_eq!(std::fs::read_dir(above.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_plane_too_few_is_refused_and_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let classes = ["a".to_owned(), "b".to_owned()];
        assert!(write_multi_label(folder.path(), "x", &classes, Array3::zeros((1, 2, 2)).view()).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
