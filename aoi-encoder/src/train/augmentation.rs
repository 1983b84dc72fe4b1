//! Pictures varied by chance.

use ndarray::{Array3, ArrayRef3, Axis, s};
use serde::{Deserialize, Serialize};

use crate::chance::Chance;
use crate::{Error, Result, images};

/// How much pictures are varied. All channels of a picture are varied alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Smallest and largest share of a picture's area that is cut out and resized to the training size.
    pub scale: (f64, f64),
    /// Instead of `scale`: smallest and largest enlargement, along each side, of what is cut out at the training size. Near 1, things are learned in the
    /// size in which tiles of larger pictures show them.
    pub zoom: Option<(f64, f64)>,
    /// Whether pictures are mirrored left to right and top to bottom.
    pub flips: bool,
    /// Whether square images are turned by quarters.
    pub rotations: bool,
    /// Largest logarithm of the exponent that brightness is raised to.
    pub gamma: f64,
    /// Largest logarithm of the factor that distances from the mean are multiplied by.
    pub contrast: f64,
    /// Probability of a blur of 0.3 to 1.5 pixels.
    pub blur: f64,
    /// Largest deviation of added normal noise, on pixels of 0 to 1.
    pub noise: f64,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self {
            scale: (0.2, 1.0),
            zoom: None,
            flips: true,
            rotations: true,
            gamma: 0.2,
            contrast: 0.2,
            blur: 0.1,
            noise: 0.02,
        }
    }
}

impl Augmentation {
    /// No variation: the largest middle part of the training images' shape.
    pub fn none() -> Self {
        Self {
            scale: (1.0, 1.0),
            zoom: None,
            flips: false,
            rotations: false,
            gamma: 0.0,
            contrast: 0.0,
            blur: 0.0,
            noise: 0.0,
        }
    }

    /// No variation in the same size: for pictures that are held out. With a zoom, a crop enlarged by the middle of its range, at a place that the
    /// chance decides.
    pub(crate) fn still(&self) -> Self {
        let middle = |(low, high): (f64, f64)| (low * high).sqrt();
        Self { zoom: self.zoom.map(|zoom| (middle(zoom), middle(zoom))), ..Self::none() }
    }

    /// # Errors
    /// [`Error::Config`] for the first field out of its range.
    pub(crate) fn check(&self) -> Result<()> {
        let (low, high) = self.scale;
        if !(low > 0.0 && low <= high && high <= 1.0) {
            let found = format!("[{low}, {high}]");
            return Err(Error::config("augmentation.scale", "two rising shares above 0 up to 1", &found));
        }
        if let Some((low, high)) =
            self.zoom.filter(|(low, high)| !(*low >= 0.125 && low <= high && *high <= 8.0))
        {
            let found = format!("[{low}, {high}]");
            return Err(Error::config("augmentation.zoom", "two rising numbers of 1/8 to 8", &found));
        }
        for (what, value) in [
            ("augmentation.gamma", self.gamma),
            ("augmentation.contrast", self.contrast),
            ("augmentation.blur", self.blur),
            ("augmentation.noise", self.noise),
        ] {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::config(what, "0 to 1", &value));
            }
        }
        Ok(())
    }

    /// One variation of a picture, `height` x `width`.
    ///
    /// # Shapes
    /// \[c, height', width'\] -> \[c, height, width\], values 0 to 1.
    ///
    /// # Errors
    /// As [`images::resize`].
    pub(crate) fn apply(
        &self,
        picture: &ArrayRef3<f32>,
        size: (usize, usize),
        chance: &mut Chance,
    ) -> Result<Array3<f32>> {
        let mut image = self.place(picture, size, chance)?;
        self.light(&mut image, chance);
        Ok(image)
    }

    /// A part of the picture, mirrored and turned: what a mask has to go through alike, with the same chance.
    ///
    /// # Shapes
    /// \[c, height', width'\] -> \[c, height, width\]
    ///
    /// # Errors
    /// As [`images::resize`].
    pub(crate) fn place(
        &self,
        picture: &ArrayRef3<f32>,
        (height, width): (usize, usize),
        chance: &mut Chance,
    ) -> Result<Array3<f32>> {
        let mut image = cut(self, picture, (height, width), chance)?;
        if self.flips {
            for axis in [1, 2] {
                if chance.happens(0.5) {
                    image.invert_axis(Axis(axis));
                }
            }
        }
        if self.rotations && height == width {
            let quarters = chance.below(4);
            if quarters % 2 == 1 {
                image.swap_axes(1, 2);
                image.invert_axis(Axis(1));
            }
            if quarters >= 2 {
                image.invert_axis(Axis(1));
                image.invert_axis(Axis(2));
            }
        }
        Ok(image.as_standard_layout().into_owned())
    }

    /// Brightness, contrast, blur and noise.
    #[expect(clippy::cast_possible_truncation, reason = "pixels are f32")]
    fn light(&self, image: &mut Array3<f32>, chance: &mut Chance) {
        if self.gamma > 0.0 {
            let exponent = chance.between(-self.gamma, self.gamma).exp() as f32;
            image.mapv_inplace(|v| v.max(0.0).powf(exponent));
        }
        if self.contrast > 0.0 {
            let factor = chance.between(-self.contrast, self.contrast).exp() as f32;
            let mean = image.iter().map(|&v| f64::from(v)).sum::<f64>() / image.len() as f64;
            image.mapv_inplace(|v| (v - mean as f32) * factor + mean as f32);
        }
        if self.blur > 0.0 && chance.happens(self.blur) {
            *image = blurred(image, chance.between(0.3, 1.5));
        }
        if self.noise > 0.0 {
            let deviation = chance.between(0.0, self.noise);
            image.iter_mut().for_each(|v| *v += (deviation * chance.normal()) as f32);
        }
        image.mapv_inplace(|v| v.clamp(0.0, 1.0));
    }
}

/// A part of the picture at a random place, as far as it fits: enlarged by the zoom along each side, or of random area and of 3/4 to 4/3 of
/// the training shape; the largest middle part where the whole area is asked for.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides are clamped to the picture"
)]
fn cut(
    augmentation: &Augmentation,
    picture: &ArrayRef3<f32>,
    (height, width): (usize, usize),
    chance: &mut Chance,
) -> Result<Array3<f32>> {
    let (_, rows, columns) = picture.dim();
    let shape = height as f64 / width as f64;
    let varied = augmentation.scale.0 < 1.0 || augmentation.zoom.is_some();
    let mut log = |low: f64, high: f64| chance.between(low.ln(), high.ln()).exp();
    let (tall, wide) = if let Some((low, high)) = augmentation.zoom {
        (height as f64 / log(low, high), width as f64 / log(low, high))
    } else {
        let (area, ratio) = if varied {
            let stretch = log(0.75, 4.0 / 3.0);
            (
                (rows * columns) as f64 * chance.between(augmentation.scale.0, augmentation.scale.1),
                shape * stretch,
            )
        } else {
            (f64::INFINITY, shape)
        };
        // Of this ratio (height over width), the wanted area or the largest that fits.
        let tall = (area * ratio).sqrt().min(rows as f64).min(columns as f64 * ratio);
        (tall, tall / ratio)
    };
    let side = |v: f64, most: usize| (v.round() as usize).clamp(1, most);
    let (tall, wide) = (side(tall, rows), side(wide, columns));
    let place = |most: usize, chance: &mut Chance| if varied { chance.below(most + 1) } else { most / 2 };
    let (top, left) = (place(rows - tall, chance), place(columns - wide, chance));
    images::resize(&picture.slice(s![.., top..top + tall, left..left + wide]), height, width)
}

/// A Gaussian blur of `sigma` pixels; borders are repeated.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a radius of a few pixels")]
fn blurred(image: &Array3<f32>, sigma: f64) -> Array3<f32> {
    let reach = (3.0 * sigma).ceil() as usize;
    let weight = |i: usize| (-0.5 * ((i as f64 - reach as f64) / sigma).powi(2)).exp();
    let sum: f64 = (0..=2 * reach).map(weight).sum();
    let weights: Vec<f32> = (0..=2 * reach).map(|i| (weight(i) / sum) as f32).collect();
    let (_, height, width) = image.dim();
    let along = |image: &Array3<f32>, axis: usize| {
        let last = [height, width][axis - 1] - 1;
        Array3::from_shape_fn(image.dim(), |(c, y, x)| {
            let at = |i: usize| {
                let place = ([y, x][axis - 1] + i).saturating_sub(reach).min(last);
                if axis == 1 { image[[c, place, x]] } else { image[[c, y, place]] }
            };
            weights.iter().enumerate().map(|(i, w)| w * at(i)).sum::<f32>()
        })
    };
    along(&along(image, 1), 2)
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers made for a test")]
mod tests {
    use super::*;
    use crate::chance::Purpose;
    use proptest::prelude::*;

    fn chance(i: u64) -> Chance {
        Chance::new(1, Purpose::Augmentation, [i, 0])
    }

    #[test]
    fn without_variation_the_middle_comes_back() {
        let picture = Array3::from_shape_fn((2, 6, 4), |(c, y, x)| (c * 24 + y * 4 + x) as f32 / 48.0);
        let same = Augmentation::none().apply(&picture, (6, 4), &mut chance(0)).unwrap();
        assert_eq!(same, picture);
        let square = Augmentation::none().apply(&picture, (4, 4), &mut chance(0)).unwrap();
        assert_eq!(square, picture.slice(s![.., 1..5, ..]));
    }

    #[test]
    fn a_zoom_of_one_cuts_out_pixels_as_they_are_and_larger_ones_enlarge() {
        let picture = Array3::from_shape_fn((1, 20, 30), |(_, y, x)| (y * 30 + x) as f32 / 600.0);
        let crop = |zoom, i| {
            let native = Augmentation { zoom: Some(zoom), ..Augmentation::none() };
            native.apply(&picture, (8, 8), &mut chance(i)).unwrap()
        };
        let mut seen = std::collections::BTreeSet::new();
        for i in 0..50 {
            let image = crop((1.0, 1.0), i);
            let corner = (image[[0, 0, 0]] * 600.0).round() as usize;
            let (top, left) = (corner / 30, corner % 30);
            assert_eq!(image, picture.slice(s![.., top..top + 8, left..left + 8]));
            seen.insert(corner);
        }
        assert!(seen.len() > 30, "places differ");
        // Twice as large: neighbouring pixels are half a pixel of the picture apart.
        let image = crop((2.0, 2.0), 1);
        let step = (image[[0, 3, 4]] - image[[0, 3, 3]]) * 600.0;
        assert!((step - 0.5).abs() < 1e-3, "{step}");
        // Held-out pictures are seen in the size of the training crops.
        let all = Augmentation { zoom: Some((0.5, 2.0)), ..Augmentation::default() };
        let image = all.still().apply(&picture, (8, 8), &mut chance(2)).unwrap();
        assert_eq!(image, crop((1.0, 1.0), 2));
        assert_eq!(Augmentation::default().still(), Augmentation::none());
        let too_large = Augmentation { zoom: Some((0.1, 2.0)), ..Augmentation::none() };
        assert!(too_large.check().is_err());
    }

    #[test]
    fn flips_and_turns_give_all_eight_views_and_nothing_else() {
        let turns = Augmentation { flips: true, rotations: true, ..Augmentation::none() };
        let picture = Array3::from_shape_fn((1, 2, 2), |(_, y, x)| (2 * y + x) as f32 / 4.0);
        let mut seen = std::collections::BTreeSet::new();
        for i in 0..200 {
            let view = turns.apply(&picture, (2, 2), &mut chance(i)).unwrap();
            seen.insert(view.iter().map(|v| (v * 4.0).to_string()).collect::<String>());
        }
        // The eight symmetries of the square: 0 and 3 stay on a diagonal.
        assert_eq!(seen.len(), 8, "{seen:?}");
        for view in seen {
            let at: Vec<usize> = ["0", "3"].iter().map(|d| view.find(d).unwrap()).collect();
            assert_eq!(at[0] + at[1], 3, "{view}");
        }
    }

    #[test]
    fn a_blur_keeps_the_sum_and_spreads_a_point_evenly() {
        let mut point = Array3::zeros((1, 15, 15));
        point[[0, 7, 7]] = 1.0;
        let spread = blurred(&point, 1.0);
        assert!((spread.sum() - 1.0).abs() < 1e-5);
        assert!((spread[[0, 7, 6]] - spread[[0, 6, 7]]).abs() < 1e-7);
        let expected = (-0.5_f32).exp();
        assert!((spread[[0, 7, 6]] / spread[[0, 7, 7]] - expected).abs() < 1e-5);
    }

    proptest! {
        #[test]
        fn every_variation_is_finite_in_range_of_the_right_size_and_repeatable(
            (rows, columns) in (1_usize..40, 1_usize..40), (height, width) in (1_usize..24, 1_usize..24), i: u64,
        ) {
            let picture = Array3::from_shape_fn((2, rows, columns), |(c, y, x)| ((c + y * x) % 5) as f32 / 4.0);
            let all = Augmentation { blur: 1.0, noise: 0.1, ..Augmentation::default() };
            let image = all.apply(&picture, (height, width), &mut chance(i)).unwrap();
            prop_assert_eq!(image.dim(), (2, height, width));
            prop_assert!(image.iter().all(|v| (0.0..=1.0).contains(v)));
            prop_assert_eq!(image, all.apply(&picture, (height, width), &mut chance(i)).unwrap());
        }
    }
}
