//! An encoder whose patch vectors are whitened.

use aoi::patch_encoder::{EncodedPicture, PatchEncoder};
use aoi_encoder::ndarray::ArrayRef3;
use aoi_encoder::{Whitening, WhiteningFit};

use super::pool::Pool;
use crate::error::Error;

/// Whitened by the patches of a few pictures; their masks are not looked at.
pub(super) struct Whitened<'a> {
    inner: &'a dyn PatchEncoder,
    whitening: Whitening,
    identity: String,
}

impl<'a> Whitened<'a> {
    /// Fits the whitening on pictures of the pool.
    pub(super) fn fit(inner: &'a dyn PatchEncoder, pool: &Pool, pictures: &[usize]) -> Result<Self, Error> {
        let mut fit = WhiteningFit::new(inner.width());
        for &i in pictures {
            fit.add(&inner.encode(&pool.picture(i).picture)?.patches);
        }
        let identity = format!("{}, whitened", inner.identity());
        Ok(Self { inner, whitening: fit.finish()?, identity })
    }
}

impl PatchEncoder for Whitened<'_> {
    fn patch(&self) -> usize {
        self.inner.patch()
    }

    fn width(&self) -> usize {
        self.inner.width()
    }

    fn channels(&self) -> usize {
        self.inner.channels()
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    fn encode(&self, picture: &ArrayRef3<f32>) -> aoi::Result<EncodedPicture> {
        let EncodedPicture { grid, patches, whole } = self.inner.encode(picture)?;
        Ok(EncodedPicture { grid, patches: self.whitening.apply(&patches), whole })
    }
}
