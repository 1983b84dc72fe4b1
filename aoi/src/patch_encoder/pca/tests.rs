#![expect(clippy::cast_possible_truncation, reason = "small numbers made for a test")]

use aoi_testing::{Seeded, assert_all_close};

use super::*;

fn picture(channels: usize, height: usize, width: usize, seed: u64) -> Array3<f32> {
    let mut seeded = Seeded::new(seed);
    let mut last = 0.5;
    Array3::from_shape_simple_fn((channels, height, width), || {
        last = 0.7 * last + 0.3 * seeded.unit();
        last as f32
    })
}

fn options() -> PcaOptions {
    PcaOptions { patch: 4, reach: 3, width: 20, sample: 500, seed: 3 }
}

#[test]
fn fitted_patches_are_centred_uncorrelated_and_of_equal_spread() {
    // Every patch of the picture is sampled, so that the moments are those of the fit.
    let picture = picture(2, 60, 64, 1);
    let encoder =
        PcaEncoder::fit(std::slice::from_ref(&picture), &PcaOptions { sample: 5000, ..options() }).unwrap();
    let patches = encoder.encode(&picture).unwrap().patches.mapv(f64::from);
    let n = patches.nrows() as f64;
    let mean = patches.sum_axis(aoi_encoder::ndarray::Axis(0)) / n;
    // f32 projections of some 64 numbers of size 1.
    assert_all_close(mean.as_slice().unwrap(), &[0.0; 20], 1e-5, 0.0);
    let covariance = patches.t().dot(&patches) / n;
    for ((i, j), &c) in covariance.indexed_iter() {
        if i == j {
            // Variance over variance plus the floor: below 1, and above a half for the leading axes.
            assert!(c < 1.0 && c > 0.5, "axis {i}: {c}");
        } else {
            assert!(c.abs() < 1e-4, "axes {i} and {j}: {c}");
        }
    }
}

#[test]
fn a_description_is_the_patch_and_its_averaged_surroundings() {
    let shape = Shape { patch: 2, reach: 3, channels: 1 };
    let picture = Array3::from_shape_fn((1, 5, 7), |(_, y, x)| (10 * y + x) as f32);
    let at = |y: isize, x: isize| {
        f64::from(picture[[0, y.clamp(0, 4).cast_unsigned(), x.clamp(0, 6).cast_unsigned()]])
    };
    for (row, column) in [(0_isize, 0_isize), (1, 2), (2, 3)] {
        let mut found = vec![0.0; shape.len()];
        shape.describe(&picture, (row.cast_unsigned(), column.cast_unsigned()), &mut found);
        let (top, left) = (2 * row, 2 * column);
        let mut expected = Vec::new();
        for (y, x) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            expected.push(at(top + y, left + x));
        }
        for (y, x) in [(-2, -2), (-2, 1), (1, -2), (1, 1)] {
            let cells = (0..9).map(|i| {
                // A window that begins before the border begins at it.
                let place = |start: isize, offset: isize| (start + offset).max(0);
                at(place(top, y + i / 3), place(left, x + i % 3))
            });
            expected.push(cells.sum::<f64>() / 9.0);
        }
        assert_all_close(&found, &expected, 1e-5, 1e-6);
    }
}

#[test]
fn brighter_lighting_and_more_contrast_change_nothing() {
    let picture = picture(2, 30, 33, 2);
    let encoder = PcaEncoder::fit(std::slice::from_ref(&picture), &options()).unwrap();
    let brighter = picture.mapv(|v| 0.4 * v + 0.3);
    let (a, b) = (encoder.encode(&picture).unwrap(), encoder.encode(&brighter).unwrap());
    // f32 rounding of a standardised pixel, times the largest whitening factor.
    assert_all_close(a.patches.as_slice().unwrap(), b.patches.as_slice().unwrap(), 1e-3, 0.0);
}

#[test]
fn fitting_repeats_itself_and_saving_keeps_every_bit() {
    let pictures = [picture(2, 40, 44, 3), picture(2, 31, 29, 4)];
    let few = PcaOptions { sample: 60, ..options() };
    let encoder = PcaEncoder::fit(&pictures, &few).unwrap();
    assert_eq!(encoder, PcaEncoder::fit(&pictures, &few).unwrap());
    assert_ne!(encoder, PcaEncoder::fit(&pictures, &PcaOptions { seed: 4, ..few }).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("patches.safetensors");
    encoder.save(&path).unwrap();
    assert!(PcaEncoder::is_file(&path).unwrap());
    assert_eq!(PcaEncoder::load(&path).unwrap(), encoder);
    assert_eq!(encoder.encode(&pictures[1]).unwrap().grid, Grid { rows: 8, columns: 8 });
}

#[test]
fn what_cannot_be_fitted_or_encoded_is_an_error() {
    let good = picture(2, 20, 20, 5);
    let flat = Array3::from_elem((1, 20, 20), 0.5);
    let hole = Array3::from_shape_fn((1, 20, 20), |(_, y, x)| if (y, x) == (3, 4) { f32::NAN } else { 0.1 });
    assert!(PcaEncoder::fit(&[], &options()).is_err());
    assert!(PcaEncoder::fit(&[flat], &options()).unwrap_err().to_string().contains("alike"));
    assert!(PcaEncoder::fit(&[good.clone(), picture(1, 20, 20, 6)], &options()).is_err());
    assert!(
        PcaEncoder::fit(std::slice::from_ref(&hole), &options())
            .unwrap_err()
            .to_string()
            .contains("entry 64")
    );
    assert!(PcaEncoder::fit(&[Array3::zeros((1, 0, 5))], &options()).is_err());
    for wrong in [
        PcaOptions { patch: 0, ..options() },
        PcaOptions { reach: 2, ..options() },
        PcaOptions { width: 0, ..options() },
        PcaOptions { sample: 1, ..options() },
    ] {
        assert!(PcaEncoder::fit(std::slice::from_ref(&good), &wrong).unwrap_err().is_usage(), "{wrong:?}");
    }
    let encoder = PcaEncoder::fit(&[good], &options()).unwrap();
    assert!(encoder.encode(&picture(3, 20, 20, 7)).is_err());
    assert!(encoder.encode(&Array3::zeros((2, 5, 0))).is_err());
    assert!(encoder.encode(&hole).is_err());
    assert!(encoder.encode(&picture(1, 9, 9, 8)).is_ok(), "one grey channel is repeated");
}

#[test]
fn damaged_files_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("patches.safetensors");
    PcaEncoder::fit(&[picture(1, 20, 20, 9)], &options()).unwrap().save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let mut nan = whole.clone();
    let end = nan.len();
    nan[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    let replaced = |from: &str, to: &str| {
        let at = whole.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
        let mut bytes = whole.clone();
        bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    for (bytes, word) in [
        (whole[..whole.len() - 1].to_vec(), "expected"),
        (whole[..30].to_vec(), "metadata"),
        (nan, "NaN"),
        (replaced("\\\"reach\\\":3", "\\\"reach\\\":2"), "odd"),
        (replaced("\\\"reach\\\":3", "\\\"reach\\\":1"), "not ["),
        (replaced("\\\"format\\\":1", "\\\"format\\\":9"), "format 9"),
        (replaced("\\\"channels\\\":1", "\\\"channels\\\":0"), "0 channels"),
        (b"hello".to_vec(), "metadata"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = PcaEncoder::load(&path).unwrap_err().to_string();
        assert!(error.contains("patches.safetensors") && error.contains(word), "{word}: {error}");
    }
}
