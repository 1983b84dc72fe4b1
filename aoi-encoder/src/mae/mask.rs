//! Which patches of an image the encoder sees.

use crate::chance::{Chance, Purpose};
use crate::{Error, Result};

/// The patches of one image, parted in two; each list ascends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    visible: Vec<usize>,
    masked: Vec<usize>,
}

impl Mask {
    /// Of `patches` patches those in `visible` are shown.
    ///
    /// # Errors
    /// [`Error::Config`] when a number is repeated or beyond the image, or either part would be empty.
    pub fn new(patches: usize, visible: &[usize]) -> Result<Self> {
        let mut shown = vec![false; patches];
        for &patch in visible {
            let fresh = shown.get_mut(patch).is_some_and(|s| !std::mem::replace(s, true));
            if !fresh {
                let expected = format!("different patches below {patches}");
                return Err(Error::config("visible patches", expected, &format!("{visible:?}")));
            }
        }
        let part = |wanted| (0..patches).filter(|&i| shown[i] == wanted).collect::<Vec<_>>();
        let mask = Self { visible: part(true), masked: part(false) };
        if mask.visible.is_empty() || mask.masked.is_empty() {
            let expected = format!("1 to {} of {patches}", patches.saturating_sub(1));
            return Err(Error::config("visible patches", expected, &mask.visible.len()));
        }
        Ok(mask)
    }

    /// A random part: `patches (1 - ratio)` rounded down are shown, all choices equally likely, decided by `seed` and `place` alone.
    ///
    /// # Errors
    /// [`Error::Config`] when the ratio leaves nothing to see or nothing to fill in.
    ///
    /// # Examples
    /// ```
    /// let mask = aoi_encoder::mae::Mask::draw(16, 0.75, 7, [0, 0])?;
    /// assert_eq!((mask.visible().len(), mask.masked().len()), (4, 12));
    /// # Ok::<(), aoi_encoder::Error>(())
    /// ```
    pub fn draw(patches: usize, ratio: f64, seed: u64, place: [u64; 2]) -> Result<Self> {
        let shown = Self::shown(patches, ratio)?;
        let order = Chance::new(seed, Purpose::Mask, place).permutation(patches);
        Self::new(patches, &order[..shown])
    }

    /// How many of `patches` a ratio shows.
    ///
    /// # Errors
    /// As [`Mask::draw`].
    pub fn shown(patches: usize, ratio: f64) -> Result<usize> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "below patches, NaN gives 0"
        )]
        let shown = (patches as f64 * (1.0 - ratio)) as usize;
        if !(ratio > 0.0 && ratio < 1.0) || shown == 0 || shown >= patches {
            let expected = format!("a share that shows 1 or more and masks 1 or more of {patches} patches");
            return Err(Error::config("mask ratio", expected, &ratio));
        }
        Ok(shown)
    }

    /// The patches that the encoder sees, ascending.
    pub fn visible(&self) -> &[usize] {
        &self.visible
    }

    /// The patches to fill in, ascending.
    pub fn masked(&self) -> &[usize] {
        &self.masked
    }

    /// Number of patches.
    pub fn patches(&self) -> usize {
        self.visible.len() + self.masked.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_disjoint_complete_and_differ_between_places() {
        let draw = |place| Mask::draw(50, 0.75, 1, place).unwrap();
        let mask = draw([0, 0]);
        let mut all = [mask.visible(), mask.masked()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
        assert_eq!(mask.visible().len(), 12);
        assert_eq!(mask, draw([0, 0]));
        assert!(mask != draw([0, 1]) && mask != draw([1, 0]));
    }

    #[test]
    fn every_patch_is_masked_about_as_often() {
        let mut seen = [0; 16];
        for i in 0..4000 {
            Mask::draw(16, 0.75, 2, [i, 0]).unwrap().masked().iter().for_each(|&m| seen[m] += 1);
        }
        // 3,000 expected, deviation 27.
        assert!(seen.iter().all(|n| (2860..3140).contains(n)), "{seen:?}");
    }

    #[test]
    fn ratios_and_lists_that_leave_a_part_empty_are_refused() {
        for ratio in [0.0, 1.0, -0.5, 1.5, 0.99, f64::NAN, 1e-18] {
            assert!(Mask::draw(16, ratio, 0, [0, 0]).is_err(), "{ratio}");
        }
        for visible in [&[][..], &[0, 1, 2], &[1, 1], &[3]] {
            assert!(Mask::new(3, visible).is_err(), "{visible:?}");
        }
        assert_eq!(Mask::new(3, &[2, 0]).unwrap().masked(), [1]);
    }
}
