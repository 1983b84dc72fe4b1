//! Mean and standard deviation, padding to whole patches and cropping back.

use ndarray::{Array3, ArrayRef3, Axis, s};

use crate::{Error, Result};

/// Per-channel mean and standard deviation, on pixel values of 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalisation {
    /// Subtracted.
    pub mean: Vec<f32>,
    /// Divided by.
    pub std: Vec<f32>,
}

impl Normalisation {
    /// One mean and standard deviation a channel; a single number serves all channels.
    ///
    /// Without any: those of `ImageNet` for three channels, 0.5 and 0.5 for others.
    ///
    /// # Errors
    /// [`Error::Config`] when their number is neither one nor `channels`, a number is not finite, or a deviation is not positive.
    pub fn new(channels: usize, mean: Option<&[f32]>, std: Option<&[f32]>) -> Result<Self> {
        let (usual_mean, usual_std): (&[f32], &[f32]) =
            if channels == 3 { (&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]) } else { (&[0.5], &[0.5]) };
        let spread = |what, values: &[f32], fits: &dyn Fn(f32) -> bool, kind: &str| match values.len() {
            n if n != 1 && n != channels => Err(Error::config(what, format!("1 or {channels} numbers"), &n)),
            _ if !values.iter().all(|&v| fits(v)) => Err(Error::config(what, kind, &format!("{values:?}"))),
            _ => Ok((0..channels).map(|c| values[c % values.len()]).collect()),
        };
        Ok(Self {
            mean: spread("mean", mean.unwrap_or(usual_mean), &f32::is_finite, "finite")?,
            std: spread(
                "std",
                std.unwrap_or(usual_std),
                &|v| v.is_finite() && v > 0.0,
                "finite and above 0",
            )?,
        })
    }

    /// `(pixel - mean) / std`, in place.
    ///
    /// # Shapes
    /// `picture` \[c, height, width\]
    ///
    /// # Errors
    /// [`Error::Shape`] when the picture has another number of channels.
    pub fn apply(&self, picture: &mut ArrayRef3<f32>) -> Result<()> {
        if picture.dim().0 != self.mean.len() {
            let expected = format!("[{}, height, width]", self.mean.len());
            return Err(Error::Shape { what: "picture", expected, found: picture.shape().to_vec() });
        }
        for (mut plane, (mean, std)) in picture.outer_iter_mut().zip(self.mean.iter().zip(&self.std)) {
            plane.mapv_inplace(|v| (v - mean) / std);
        }
        Ok(())
    }
}

/// Zeros added below and to the right, up to sides that are multiples of `multiple`. After normalisation zero is the mean.
///
/// # Shapes
/// \[c, height, width\] -> \[c, height', width'\]
///
/// # Panics
/// When `multiple` is zero.
pub fn pad(picture: &ArrayRef3<f32>, multiple: usize) -> Array3<f32> {
    let (c, height, width) = picture.dim();
    let mut padded = Array3::zeros((c, height.next_multiple_of(multiple), width.next_multiple_of(multiple)));
    padded.slice_mut(s![.., ..height, ..width]).assign(picture);
    padded
}

/// The upper left `height` x `width` of an array \[c, height', width'\]: undoes [`pad`] on a picture or a mask.
///
/// # Errors
/// [`Error::Shape`] when the array is smaller.
pub fn crop(picture: &ArrayRef3<f32>, height: usize, width: usize) -> Result<Array3<f32>> {
    let (_, rows, columns) = picture.dim();
    if rows < height || columns < width {
        let expected = format!("at least [c, {height}, {width}]");
        return Err(Error::Shape { what: "array to be cropped", expected, found: picture.shape().to_vec() });
    }
    Ok(picture.slice(s![.., ..height, ..width]).to_owned())
}

/// A grey picture as `channels` equal channels; a picture that has them already is returned as it is.
///
/// # Errors
/// [`Error::Shape`] for a picture of any other number of channels: which to leave out or double is not ours to guess.
pub fn repeat_grey(picture: Array3<f32>, channels: usize) -> Result<Array3<f32>> {
    match picture.dim() {
        (c, _, _) if c == channels => Ok(picture),
        (1, height, width) => {
            let grey = picture.index_axis(Axis(0), 0);
            Ok(Array3::from_shape_fn((channels, height, width), |(_, y, x)| grey[[y, x]]))
        }
        (c, height, width) => Err(Error::Shape {
            what: "picture",
            expected: channels_expected(channels),
            found: vec![c, height, width],
        }),
    }
}

/// The shape of a picture for an encoder of so many channels, in words, and what to do about another.
pub(crate) fn channels_expected(channels: usize) -> String {
    let grey = if channels == 1 { "" } else { " or 1" };
    format!(
        "[{channels}{grey}, height, width], one channel a lighting (convert the pictures, or take an encoder of as many channels as they have)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::{Seeded, assert_all_close};
    use proptest::prelude::*;

    fn picture(c: usize, height: usize, width: usize) -> Array3<f32> {
        Array3::from_shape_vec((c, height, width), Seeded::new(1).normals_f32(c * height * width)).unwrap()
    }

    #[test]
    fn each_channel_has_its_own_mean_and_deviation() {
        let mut two = Array3::from_shape_fn((2, 1, 2), |(c, _, x)| (c * 2 + x) as f32);
        Normalisation::new(2, Some(&[0.5, 1.0]), Some(&[0.5, 2.0])).unwrap().apply(&mut two).unwrap();
        assert_all_close(&two.into_raw_vec_and_offset().0, &[-1.0, 1.0, 0.5, 1.0], 1e-7, 0.0);
        assert_eq!(Normalisation::new(3, None, None).unwrap().mean, [0.485, 0.456, 0.406]);
        assert_eq!(Normalisation::new(2, None, Some(&[0.25])).unwrap().std, [0.25, 0.25]);
    }

    #[test]
    fn a_picture_of_other_channels_is_refused_with_a_remedy() {
        let message = |channels: usize| repeat_grey(picture(3, 2, 4), channels).unwrap_err().to_string();
        assert!(message(1).contains("expected shape [1, height, width]"), "{}", message(1));
        assert!(message(2).contains("expected shape [2 or 1, height, width]"), "{}", message(2));
        assert!(
            message(2).contains("as many channels as they have") && message(2).ends_with("found [3, 2, 4]")
        );
        assert_eq!(repeat_grey(picture(1, 2, 4), 2).unwrap().dim(), (2, 2, 4));
    }

    #[test]
    fn impossible_means_and_deviations_are_refused() {
        for (mean, std) in [
            (Some(&[0.5, 0.5, 0.5][..]), None),
            (Some(&[][..]), None),
            (None, Some(&[0.0][..])),
            (None, Some(&[-1.0, 1.0])),
            (None, Some(&[f32::NAN])),
            (Some(&[f32::INFINITY]), None),
        ] {
            assert!(
                matches!(Normalisation::new(2, mean, std), Err(Error::Config { .. })),
                "{mean:?} {std:?}"
            );
        }
        let two = Normalisation::new(2, None, None).unwrap();
        assert!(matches!(two.apply(&mut Array3::zeros((3, 2, 2))), Err(Error::Shape { .. })));
    }

    #[test]
    fn grey_is_repeated_and_other_counts_are_refused() {
        let grey = picture(1, 3, 2);
        let three = repeat_grey(grey.clone(), 3).unwrap();
        assert!(three.outer_iter().all(|plane| plane == grey.index_axis(Axis(0), 0)));
        assert!(matches!(repeat_grey(picture(2, 3, 2), 3), Err(Error::Shape { .. })));
        assert!(matches!(repeat_grey(picture(3, 3, 2), 1), Err(Error::Shape { .. })));
    }

    proptest! {
        #[test]
        fn cropping_undoes_padding((c, height, width, multiple) in (1_usize..4, 1_usize..30, 1_usize..30, 1_usize..17)) {
            let original = picture(c, height, width);
            let padded = pad(&original, multiple);
            let (_, rows, columns) = padded.dim();
            prop_assert!(rows % multiple == 0 && columns % multiple == 0 && rows < height + multiple);
            let outside = padded.indexed_iter().filter(|((_, y, x), _)| *y >= height || *x >= width);
            prop_assert!(outside.into_iter().all(|(_, &v)| v == 0.0));
            prop_assert_eq!(&crop(&padded, height, width).unwrap(), &original);
            prop_assert!(crop(&padded, rows + 1, columns).is_err());
        }
    }
}
