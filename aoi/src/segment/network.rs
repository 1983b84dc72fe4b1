//! A fine-tuned network at work.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use aoi_encoder::Workspace;
use aoi_encoder::finetune::Tuned;
use aoi_encoder::ndarray::{Array3, ArrayRef3};

use super::Settings;
use super::predictor::{Predictor, thresholds};
use crate::Result;
use crate::masks::check_classes_of;

/// Segments pictures with a fine-tuned network ([`aoi_encoder::finetune`]); of the settings, thresholds and decision count.
#[derive(Debug)]
pub struct NetworkSegmenter {
    network: Tuned,
    settings: Settings,
    workspace: Mutex<Workspace>,
    name: String,
}

impl NetworkSegmenter {
    /// Loads a network; results do not depend on `threads`.
    ///
    /// # Errors
    /// When the file is no fine-tuned network, one of its classes cannot name a file, or the settings do not fit its classes.
    pub fn load(path: &Path, settings: Settings, threads: usize) -> Result<Self> {
        let network = Tuned::load(path)?;
        check_classes_of(path, network.classes())?;
        settings.check(network.classes().len())?;
        let name = path.display().to_string();
        Ok(Self { network, settings, workspace: Mutex::new(Workspace::new(threads)?), name })
    }
}

impl Predictor for NetworkSegmenter {
    fn classes(&self) -> &[String] {
        self.network.classes()
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn described(&self) -> Vec<(&'static str, String)> {
        vec![("Fine-tuned network", self.name.clone()), thresholds(&self.settings)]
    }

    fn scores(&self, picture: &ArrayRef3<f32>) -> Result<Array3<f64>> {
        // A poisoned lock only means that another picture failed: the buffers are written before they are read.
        let mut workspace = self.workspace.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.network.probabilities(picture, &mut workspace)?)
    }
}
