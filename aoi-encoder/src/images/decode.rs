//! One image file to planes.

use std::path::Path;

use image::{DynamicImage, ImageFormat, ImageReader};
use ndarray::Array3;

use crate::{Error, Result};

/// Reads a PNG, TIFF, BMP or JPEG file, grey or RGB, 8 or 16 bit, recognised by its content.
///
/// An alpha channel is dropped when the image is opaque everywhere. A BMP file, which cannot say that it is grey, is grey when its
/// three channels are equal everywhere. Memory is limited to half a gigabyte an image.
///
/// # Shapes
/// -> \[1, height, width\] for grey, \[3, height, width\] for RGB; values 0 to 1.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read, [`Error::Format`] when it is no such image, is cut short, or is partly transparent.
pub fn decode(path: &Path) -> Result<Array3<f32>> {
    let bad = |found: String| Error::Format {
        path: path.to_owned(),
        expected: "a grey or RGB image of 8 or 16 bit (PNG, TIFF, BMP, JPEG)",
        found,
    };
    let reader =
        ImageReader::open(path).and_then(ImageReader::with_guessed_format).map_err(Error::io(path))?;
    let format = reader.format();
    let image = reader.decode().map_err(|e| bad(e.to_string()))?;
    let (width, height) = (image.width() as usize, image.height() as usize);
    let eight = |bytes: &[u8]| bytes.iter().map(|&v| f32::from(v) / 255.0).collect::<Vec<_>>();
    let sixteen = |words: &[u16]| words.iter().map(|&v| f32::from(v) / 65535.0).collect::<Vec<_>>();
    let (samples, values) = match &image {
        DynamicImage::ImageLuma8(i) => (1, eight(i)),
        DynamicImage::ImageLumaA8(i) => (2, eight(i)),
        DynamicImage::ImageRgb8(i) => (3, eight(i)),
        DynamicImage::ImageRgba8(i) => (4, eight(i)),
        DynamicImage::ImageLuma16(i) => (1, sixteen(i)),
        DynamicImage::ImageLumaA16(i) => (2, sixteen(i)),
        DynamicImage::ImageRgb16(i) => (3, sixteen(i)),
        DynamicImage::ImageRgba16(i) => (4, sixteen(i)),
        other => return Err(bad(format!("pixels of type {:?}", other.color()))),
    };
    let alpha = samples % 2 == 0;
    if alpha && values.iter().skip(samples - 1).step_by(samples).any(|&a| a < 1.0) {
        return Err(bad("an image that is partly transparent".to_owned()));
    }
    let grey = || values.chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2]);
    let channels = match samples {
        3 if format == Some(ImageFormat::Bmp) && grey() => 1,
        _ if alpha => samples - 1,
        _ => samples,
    };
    Ok(Array3::from_shape_fn((channels, height, width), |(c, y, x)| values[(y * width + x) * samples + c]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{ImageBuffer, Luma, LumaA, Rgb};
    use tempfile::TempDir;

    #[test]
    fn every_format_and_depth_gives_the_values_written() {
        let folder = TempDir::new().unwrap();
        let grey = ImageBuffer::from_fn(5, 3, |x, y| Luma([u8::try_from(x * 50 + y).unwrap()]));
        for name in ["a.png", "a.bmp", "a.tiff"] {
            let path = folder.path().join(name);
            grey.save(&path).unwrap();
            let read = decode(&path).unwrap();
            assert_eq!(read.dim(), (1, 3, 5), "{name}");
            assert_eq!(read[[0, 2, 4]], 202.0 / 255.0, "{name}");
        }
        let deep: ImageBuffer<Rgb<u16>, _> = ImageBuffer::from_fn(2, 2, |x, y| {
            Rgb([u16::try_from(x * 40_000).unwrap(), u16::try_from(y).unwrap(), 65_535])
        });
        for name in ["b.png", "b.tiff"] {
            let path = folder.path().join(name);
            deep.save(&path).unwrap();
            let read = decode(&path).unwrap();
            assert_eq!(read.dim(), (3, 2, 2), "{name}");
            assert_eq!(
                (read[[0, 1, 1]], read[[1, 1, 0]], read[[2, 0, 0]]),
                (40_000.0 / 65_535.0, 1.0 / 65_535.0, 1.0)
            );
        }
        let path = folder.path().join("c.jpg");
        ImageBuffer::from_pixel(8, 8, Luma([128_u8])).save(&path).unwrap();
        assert!((decode(&path).unwrap()[[0, 4, 4]] - 128.0 / 255.0).abs() < 0.01);
    }

    #[test]
    fn an_opaque_alpha_channel_is_dropped_and_another_refused() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.png");
        ImageBuffer::from_pixel(2, 2, LumaA([7_u8, 255])).save(&path).unwrap();
        assert_eq!(decode(&path).unwrap().dim(), (1, 2, 2));
        ImageBuffer::from_pixel(2, 2, LumaA([7_u8, 254])).save(&path).unwrap();
        assert!(decode(&path).unwrap_err().to_string().contains("transparent"));
    }

    #[test]
    fn broken_files_are_errors_that_name_the_file() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("a.png");
        assert!(matches!(decode(&path), Err(Error::Io { .. })));
        ImageBuffer::from_pixel(64, 64, Luma([9_u8])).save(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in [0, 5, 20, 40, whole.len() - 20] {
            std::fs::write(&path, &whole[..cut]).unwrap();
            assert!(decode(&path).unwrap_err().to_string().contains("a.png"), "cut at {cut}");
        }
        // A header that claims 65,536 x 65,536 sixteen-bit pixels: refused before the memory is taken.
        let mut huge = whole.clone();
        huge[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        std::fs::write(&path, huge).unwrap();
        assert!(matches!(decode(&path), Err(Error::Format { .. })));
    }
}
