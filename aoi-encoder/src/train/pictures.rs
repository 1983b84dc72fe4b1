//! The pictures of a run: which are trained on, which are held out, and their numbers.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use ndarray::Array3;

use super::origin::Origin;
use super::parting::Parting;
use crate::images::{self, Normalisation, Stack};
use crate::{Error, Result};

/// A folder's pictures, parted in two, decoded at most once while memory allows.
#[derive(Debug)]
pub(super) struct Pictures {
    stacks: Vec<Stack>,
    decoded: Vec<OnceLock<Arc<Array3<f32>>>>,
    /// Numbers that may still be kept.
    room: AtomicUsize,
    channels: usize,
    /// Trained on.
    pub(super) training: Vec<usize>,
    /// Held out, in the order of their names.
    pub(super) held_out: Vec<usize>,
}

impl Pictures {
    /// The pictures of `folder`, `share` of them held out by chance.
    ///
    /// # Errors
    /// As [`images::list`]; [`Error::Format`] when fewer than two pictures are left to train on.
    pub(super) fn open(folder: &Path, share: f64, seed: u64, cache_mib: usize) -> Result<Self> {
        let stacks = images::list(folder)?;
        let n = stacks.len();
        let Parting { training, held_out } = Parting::new(n, share, seed);
        if training.len() < 2 {
            return Err(Error::Format {
                path: folder.to_owned(),
                expected: "two or more pictures to train on, besides those held out",
                found: format!("{n} picture(s), {} of them held out", held_out.len()),
            });
        }
        let decoded = (0..n).map(|_| OnceLock::new()).collect();
        let room = AtomicUsize::new(cache_mib.saturating_mul((1 << 20) / 4));
        let mut pictures = Self { stacks, decoded, room, channels: 0, training, held_out };
        pictures.channels = pictures.stacks[pictures.training[0]].read()?.dim().0;
        Ok(pictures)
    }

    /// Channels of the first training picture.
    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    /// Grey pictures are repeated to so many channels from now on; nothing may have been read before.
    pub(super) fn set_channels(&mut self, channels: usize) {
        self.channels = channels;
    }

    /// What tells these pictures from others: every file is read once, which takes a small part of what decoding it does.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn origin(&self) -> Result<Origin> {
        Origin::of_files(&self.stacks)
    }

    /// Picture `index`, values 0 to 1.
    ///
    /// # Errors
    /// As [`Stack::read`]; [`Error::Format`] naming the file for another number of channels.
    pub(super) fn get(&self, index: usize) -> Result<Arc<Array3<f32>>> {
        if let Some(picture) = self.decoded[index].get() {
            return Ok(picture.clone());
        }
        let stack = &self.stacks[index];
        let picture = images::repeat_grey(stack.read()?, self.channels).map_err(|e| Error::Format {
            path: stack.files[0].clone(),
            expected: "as many channels as the encoder has, or one",
            found: e.to_string(),
        })?;
        let picture = Arc::new(picture);
        let fits = |room: usize| room.checked_sub(picture.len());
        if self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok() {
            let _ = self.decoded[index].set(picture.clone());
        }
        Ok(picture)
    }

    /// Mean and deviation of every channel over the training pictures' pixels.
    ///
    /// # Errors
    /// As [`Pictures::get`]; [`Error::Config`] when a channel is the same everywhere.
    #[expect(clippy::cast_possible_truncation, reason = "means are f32")]
    pub(super) fn moments(&self) -> Result<Normalisation> {
        let mut sums = vec![[0.0_f64; 3]; self.channels];
        for &index in &self.training {
            for (plane, sum) in self.get(index)?.outer_iter().zip(&mut sums) {
                for v in plane.iter().map(|&v| f64::from(v)) {
                    sum[0] += 1.0;
                    sum[1] += v;
                    sum[2] += v * v;
                }
            }
        }
        let mean: Vec<f32> = sums.iter().map(|[n, s, _]| (s / n) as f32).collect();
        let std: Vec<f32> =
            sums.iter().map(|[n, s, q]| (q / n - (s / n).powi(2)).max(0.0).sqrt() as f32).collect();
        if let Some(channel) = std.iter().position(|&s| s < 1e-4) {
            let expected = "pictures that are not the same grey everywhere, or images.mean and images.std";
            return Err(Error::config(
                "pictures",
                expected,
                &format!("channel {channel} is {} throughout", mean[channel]),
            ));
        }
        Normalisation::new(self.channels, Some(&mean), Some(&std))
    }
}
