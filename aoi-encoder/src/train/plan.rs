//! Everything about a run that is settled before its first step.

use ndarray::{Array3, Array4, ArrayRef3, Axis};

use super::origin::Origin;
use super::pictures::Pictures;
use super::{Augmentation, Job, PretrainConfig, text};
use crate::Result;
use crate::chance::{Chance, Purpose};
use crate::images::Normalisation;
use crate::mae::{Decoder, Mae, Mask};
use crate::optimise::Schedule;

/// What stays the same during a run.
pub(super) struct Plan {
    pub(super) config: PretrainConfig,
    /// What the run is made from.
    pub(super) origin: Origin,
    pub(super) mae: Mae,
    pub(super) pictures: Pictures,
    pub(super) normalisation: Normalisation,
    pub(super) schedule: Schedule,
    pub(super) batch: usize,
    pub(super) steps_per_epoch: u64,
}

impl Plan {
    /// Reads the configuration, opens the pictures, and settles what either leaves open.
    ///
    /// # Errors
    /// As [`super::pretrain()`].
    pub(super) fn new(job: &Job, started: bool) -> Result<Self> {
        let path = job.run.join("config.toml");
        let stored = text::stored(&path, started, PretrainConfig::parse)?;
        let given = job.config.clone().or_else(|| stored.clone()).unwrap_or_default();
        given.check()?;
        let mut pictures =
            Pictures::open(&job.images, given.images.held_out, given.seed, given.images.cache_mib)?;
        let encoder = given.encoder.architecture(pictures.channels())?;
        pictures.set_channels(encoder.channels);
        let decoder =
            given.decoder.unwrap_or(Decoder { width: encoder.width, depth: 2, heads: encoder.heads });
        let mae = Mae::new(&encoder, decoder, given.masking.normalised_targets)?
            .with_precision(given.run.precision);
        Mask::shown(encoder.grid.len(), given.masking.ratio)?;
        let normalisation = match (&given.images.mean, &given.images.std) {
            (Some(mean), Some(std)) => Normalisation::new(encoder.channels, Some(mean), Some(std))?,
            (mean, std) => {
                let found = pictures.moments()?;
                let (mean, std) = (mean.as_ref().unwrap_or(&found.mean), std.as_ref().unwrap_or(&found.std));
                Normalisation::new(encoder.channels, Some(mean), Some(std))?
            }
        };
        let mut config = given;
        config.encoder.channels = Some(encoder.channels);
        config.encoder.size = Some([encoder.grid.rows * encoder.patch, encoder.grid.columns * encoder.patch]);
        config.decoder = Some(decoder);
        config.images.mean = Some(normalisation.mean.clone());
        config.images.std = Some(normalisation.std.clone());
        let batch = config.run.batch.min(pictures.training.len());
        let steps_per_epoch = (pictures.training.len() / batch) as u64;
        let steps = config.run.epochs.saturating_mul(steps_per_epoch);
        let warm_up = (config.optimiser.warm_up_epochs.saturating_mul(steps_per_epoch)).min(steps / 2);
        let peak = config.optimiser.rate.unwrap_or(config.optimiser.base_rate * batch as f64 / 256.0);
        let schedule = Schedule { peak, last: config.optimiser.last_rate, warm_up, steps };
        schedule.check()?;
        text::check_same(&path, stored.as_ref(), &config)?;
        let origin = pictures.origin()?;
        Ok(Self { config, origin, mae, pictures, normalisation, schedule, batch, steps_per_epoch })
    }

    /// Picture `index`, varied by `augmentation`, normalised.
    pub(super) fn image(
        &self,
        index: usize,
        augmentation: &Augmentation,
        chance: &mut Chance,
    ) -> Result<Array3<f32>> {
        let config = self.mae.config();
        let size = (config.grid.rows * config.patch, config.grid.columns * config.patch);
        let picture = self.pictures.get(index)?;
        let picture: &ArrayRef3<f32> = &picture;
        let mut image = augmentation.apply(picture, size, chance)?;
        self.normalisation.apply(&mut image)?;
        Ok(image)
    }

    /// Crops of training pictures, not varied, of a few thousand patches in all, the same whenever they are asked for.
    ///
    /// # Shapes
    /// \[crops, c, height, width\], normalised.
    pub(super) fn still_crops(&self) -> Result<Array4<f32>> {
        const PATCHES: usize = 4096;
        let grid = self.mae.config().grid;
        let still = self.config.augmentation.still();
        let crop = |place: usize| {
            let key = [u64::MAX - 1, place as u64];
            let mut chance = Chance::new(self.config.seed, Purpose::Augmentation, key);
            let training = &self.pictures.training;
            self.image(training[place % training.len()], &still, &mut chance)
        };
        let crops = (0..PATCHES.div_ceil(grid.len()).max(8)).map(crop).collect::<Result<Vec<_>>>()?;
        let views: Vec<_> = crops.iter().map(|c| c.view()).collect();
        Ok(ndarray::stack(Axis(0), &views).expect("crops of one size"))
    }

    /// Picture `place` of `pictures`, not varied, and its mask, the same in every validation.
    pub(super) fn masked(&self, pictures: &[usize], place: usize) -> Result<(Array3<f32>, Mask)> {
        let (seed, place_key) = (self.config.seed, [u64::MAX, place as u64]);
        let mut chance = Chance::new(seed, Purpose::Augmentation, place_key);
        let image = self.image(pictures[place], &self.config.augmentation.still(), &mut chance)?;
        let mask = Mask::draw(self.mae.config().grid.len(), self.config.masking.ratio, seed, place_key)?;
        Ok((image, mask))
    }
}
