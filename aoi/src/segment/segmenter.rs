//! A bank and its encoder at work.

use aoi_encoder::ndarray::{Array2, Array3, ArrayRef3, s};
use aoi_retrieval::{
    Bank, CpuOptions, CpuSearch, Labels, Metric, PatchGrid, Rule, Search, SearchOptions, mix,
    neighbour_distances,
};

use super::index::ENCODER;
use super::{Settings, decide};
use crate::masks::check_classes;
use crate::patch_encoder::{EncodedPicture, PatchEncoder};
use crate::{Error, Result};

/// Whether the keys of a bank come from this encoder.
///
/// # Errors
/// When the bank says that they come from another, or their width differs.
pub fn check_encoder(bank: &Bank, encoder: &dyn PatchEncoder) -> Result<()> {
    let remedy = "give the weights and options that the bank was made with, or index again";
    if let Some(made) = bank.attributes().get(ENCODER).filter(|made| *made != encoder.identity()) {
        let (expected, found) = (made.clone(), encoder.identity().to_owned());
        return Err(Error::Mismatch { what: "encoder of the bank".to_owned(), expected, found, remedy });
    }
    let (expected, found) = ((bank.width(), bank.shape().patch), (encoder.width(), encoder.patch()));
    if expected != found {
        let words = |(width, patch)| format!("width {width}, patch {patch}");
        let (expected, found) = (words(expected), words(found));
        return Err(Error::Mismatch { what: "bank and encoder".to_owned(), expected, found, remedy });
    }
    Ok(())
}

/// Segments pictures with a bank.
///
/// # Examples
/// ```
/// use aoi::patch_encoder::{PcaEncoder, PcaOptions, PatchEncoder};
/// use aoi::segment::{Segmenter, Settings};
/// use aoi_encoder::ndarray::Array3;
/// use aoi_retrieval::{Bank, CompleteLabels, Labels};
///
/// // Bright squares on dark ground are "pad".
/// let square = |y: usize, x: usize| y / 8 % 3 == 1 && x / 8 % 3 == 1;
/// let picture = Array3::from_shape_fn((1, 48, 48), |(_, y, x)| if square(y, x) { 0.9 } else { 0.1 + 0.002 * x as f32 });
/// let mask = Array3::from_shape_fn((1, 48, 48), |(_, y, x)| u8::from(square(y, x)));
/// let encoder = PcaEncoder::fit(&[picture.clone()], &PcaOptions { patch: 8, reach: 3, width: 8, ..PcaOptions::default() })?;
/// let labels = Labels::Complete(CompleteLabels::from_image(mask.view(), 8)?);
/// let mut bank = Bank::new(encoder.width(), vec!["pad".into()], labels.select(&[])?)?;
/// bank.add_image("taught", encoder.encode(&picture)?.patches.view(), &labels)?;
///
/// let segmenter = Segmenter::new(&encoder, &bank, Settings { k: 3, ..Settings::default() }, 1)?;
/// assert_eq!(segmenter.predict(&picture)?, mask);
/// # Ok::<(), aoi::Error>(())
/// ```
pub struct Segmenter<'a> {
    encoder: &'a dyn PatchEncoder,
    bank: &'a Bank,
    search: Box<dyn Search + 'a>,
    settings: Settings,
    threads: usize,
}

impl<'a> Segmenter<'a> {
    /// Prepares an exact search over the bank on the CPU; results do not depend on `threads`.
    ///
    /// # Errors
    /// When bank, encoder and settings do not fit together, a class of the bank cannot name a file, or the bank is empty.
    pub fn new(
        encoder: &'a dyn PatchEncoder,
        bank: &'a Bank,
        settings: Settings,
        threads: usize,
    ) -> Result<Self> {
        let options = CpuOptions { threads, ..CpuOptions::default() };
        let search = CpuSearch::new(bank.keys(), Metric::Cosine, &options)?;
        Self::with_search(encoder, bank, Box::new(search), settings, threads)
    }

    /// As [`Self::new`], with any cosine search over the bank's keys.
    ///
    /// # Errors
    /// As [`Self::new`]; when the search is over other rows.
    pub fn with_search(
        encoder: &'a dyn PatchEncoder,
        bank: &'a Bank,
        search: Box<dyn Search + 'a>,
        settings: Settings,
        threads: usize,
    ) -> Result<Self> {
        check_encoder(bank, encoder)?;
        check_classes(bank.classes())?;
        settings.check(bank.classes().len())?;
        let remedy = "search over the keys of the bank";
        let (expected, found) = ((bank.rows(), bank.width()), (search.rows(), search.width()));
        if expected != found || search.metric() != Metric::Cosine {
            return Err(Error::Mismatch {
                what: "search over the bank".to_owned(),
                expected: format!("cosine over {expected:?} rows and columns"),
                found: format!("{} over {found:?}", search.metric().name()),
                remedy,
            });
        }
        if bank.rows() == 0 {
            let (what, expected) = ("bank".to_owned(), "at least one row".to_owned());
            let remedy = "index at least one labelled picture";
            return Err(Error::Mismatch { what, expected, found: "none".to_owned(), remedy });
        }
        Ok(Self { encoder, bank, search, settings, threads })
    }

    /// The classes.
    pub fn classes(&self) -> &[String] {
        self.bank.classes()
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The encoder.
    pub fn encoder(&self) -> &dyn PatchEncoder {
        self.encoder
    }

    /// Labelled pictures and patches in the bank.
    pub fn taught(&self) -> (usize, usize) {
        (self.bank.images().len(), self.bank.rows())
    }

    /// The `k` nearest rows of every patch of an encoded picture.
    ///
    /// # Errors
    /// When the patches are not the bank's.
    pub fn look_up(&self, encoded: &EncodedPicture, k: usize) -> Result<Lookup> {
        let options = SearchOptions { k, threads: self.threads };
        let found = self.search.search(encoded.patches.view(), &options)?;
        let distances = neighbour_distances(self.bank.keys(), encoded.patches.view(), &found)?;
        let grid = PatchGrid { down: encoded.grid.rows, across: encoded.grid.columns };
        Ok(Lookup { rows: found.indices, distances, grid })
    }

    /// The score of every pixel for every class.
    ///
    /// # Shapes
    /// `picture` \[channels, height, width\], 0 to 1 -> \[c, height, width\]
    ///
    /// # Errors
    /// When the encoder cannot encode the picture.
    pub fn scores(&self, picture: &ArrayRef3<f32>) -> Result<Array3<f64>> {
        let lookup = self.look_up(&self.encoder.encode(picture)?, self.settings.k)?;
        let (_, height, width) = picture.dim();
        lookup.scores(self.bank.labels(), (self.settings.k, &self.settings.rule), (height, width))
    }

    /// The mask of a picture.
    ///
    /// # Errors
    /// As [`Self::scores`].
    pub fn predict(&self, picture: &ArrayRef3<f32>) -> Result<Array3<u8>> {
        decide(self.scores(picture)?.view(), &self.settings)
    }
}

/// What was found for the patches of one picture, nearest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Lookup {
    /// Rows of the bank, \[t, k\].
    rows: Array2<u32>,
    /// 1 minus their cosines, \[t, k\].
    distances: Array2<f64>,
    grid: PatchGrid,
}

impl Lookup {
    /// The scores of a picture of (height, width) from the first `k` neighbours: mixed, laid side by side, cropped to the picture.
    ///
    /// # Shapes
    /// -> \[c, height, width\]
    ///
    /// # Errors
    /// When the labels are not those of the bank.
    pub fn scores(
        &self,
        labels: &Labels,
        (k, rule): (usize, &Rule),
        (height, width): (usize, usize),
    ) -> Result<Array3<f64>> {
        let k = k.min(self.rows.ncols());
        let (rows, distances) = (self.rows.slice(s![.., ..k]), self.distances.slice(s![.., ..k]));
        let whole = mix(rows, distances, labels, rule, self.grid)?;
        Ok(whole.slice(s![.., ..height, ..width]).to_owned())
    }
}
