//! What was measured.

use aoi_retrieval::Confusion;
use serde::Serialize;

use super::Options;
use super::interval::Interval;
use super::pool::{Pool, Setting};
use crate::machine::Machine;

/// What one draw gave.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// The draw.
    pub seed: u64,
    /// Mean `IoU` over the classes, pixels of all tested pictures counted together.
    pub mean_iou: f64,
    /// The `IoU` of each class; none where neither mask nor prediction has it.
    pub class_iou: Vec<Option<f64>>,
    /// Seconds from labelled pictures to something that segments.
    pub adapt_seconds: f64,
    /// Seconds a picture.
    pub image_seconds: f64,
    /// Operations of adapting, in 10^9; none where they are not counted.
    pub adapt_gflop: Option<f64>,
    /// Operations of a picture, in 10^9.
    pub image_gflop: Option<f64>,
    #[serde(skip)]
    found: Vec<Found>,
}

/// What one adaptation gave.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) counts: Confusion,
    pub(super) adapt_seconds: f64,
    pub(super) image_seconds: f64,
    /// Operations; not a number where they are not counted.
    pub(super) adapt_operations: f64,
    pub(super) image_operations: f64,
}

impl Found {
    /// Mean `IoU` over the classes, zero where no class was met.
    pub(super) fn mean_iou(&self) -> f64 {
        self.counts.mean_iou().unwrap_or(0.0)
    }
}

/// One encoder adapted in one way.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cell {
    /// `one device` (each by itself, results counted together) or `all devices`.
    pub setting: String,
    /// The encoder.
    pub row: String,
    /// The way.
    pub way: String,
    /// One a seed.
    pub outcomes: Vec<Outcome>,
}

impl Cell {
    /// Mean `IoU` over the seeds.
    pub fn mean_iou(&self) -> Interval {
        Interval::of(&self.outcomes.iter().map(|o| o.mean_iou).collect::<Vec<_>>())
    }

    /// Mean over the seeds of a number of each.
    pub(super) fn mean(&self, number: impl Fn(&Outcome) -> Option<f64>) -> Option<f64> {
        let found: Option<Vec<f64>> = self.outcomes.iter().map(number).collect();
        found.filter(|v| !v.is_empty()).map(|v| v.iter().sum::<f64>() / v.len() as f64)
    }
}

/// What pre-training took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PreTraining {
    /// The draw.
    pub seed: u64,
    /// Unlabelled pictures.
    pub pictures: usize,
    /// Wall time.
    pub seconds: f64,
    /// Operations, in 10^9.
    pub gflop: f64,
    /// Loss of the last step.
    pub loss: f64,
}

/// Everything that was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The pictures.
    pub data: String,
    /// The devices.
    pub devices: Vec<String>,
    /// The classes.
    pub classes: Vec<String>,
    /// Where.
    pub machine: Machine,
    /// Sizes and budgets.
    pub options: Options,
    /// One a seed.
    pub pretraining: Vec<PreTraining>,
    /// One an encoder, way and setting.
    pub cells: Vec<Cell>,
}

impl Comparison {
    pub(super) fn new(pool: &Pool, options: &Options) -> Self {
        Self {
            data: pool.described.clone(),
            devices: pool.devices().to_vec(),
            classes: pool.classes().to_vec(),
            machine: Machine::describe(),
            options: options.clone(),
            pretraining: Vec::new(),
            cells: Vec::new(),
        }
    }

    /// Adds what one adaptation gave; those to single devices are put together by [`Self::finish`].
    pub(super) fn add(&mut self, (setting, row, way): (&Setting, &str, &str), seed: u64, found: Found) {
        let name = if setting.mixed { "all devices" } else { "one device" };
        let here = |c: &Cell| c.setting == name && c.row == row && c.way == way;
        let place = self.cells.iter().position(here).unwrap_or_else(|| {
            let [setting, row, way] = [name, row, way].map(str::to_owned);
            self.cells.push(Cell { setting, row, way, outcomes: Vec::new() });
            self.cells.len() - 1
        });
        let outcomes = &mut self.cells[place].outcomes;
        if let Some(outcome) = outcomes.iter_mut().find(|o| o.seed == seed) {
            outcome.found.push(found);
            return;
        }
        let (class_iou, found) = (Vec::new(), vec![found]);
        let [mean_iou, adapt_seconds, image_seconds] = [0.0; 3];
        let (adapt_gflop, image_gflop) = (None, None);
        outcomes.push(Outcome {
            seed,
            mean_iou,
            class_iou,
            adapt_seconds,
            image_seconds,
            adapt_gflop,
            image_gflop,
            found,
        });
    }

    /// Counts over the devices of every draw: pixels are added before they are divided, costs are means.
    pub(super) fn finish(&mut self) {
        for outcome in self.cells.iter_mut().flat_map(|c| &mut c.outcomes) {
            let mut counts = Confusion::default();
            outcome.found.iter().for_each(|f| counts.merge(&f.counts));
            let n = outcome.found.len() as f64;
            let mean = |number: fn(&Found) -> f64| outcome.found.iter().map(number).sum::<f64>() / n;
            let giga = |operations: f64| operations.is_finite().then_some(operations / 1e9);
            outcome.mean_iou = counts.mean_iou().unwrap_or(0.0);
            outcome.class_iou = counts.classes.iter().map(aoi_retrieval::ClassCounts::iou).collect();
            outcome.adapt_seconds = mean(|f| f.adapt_seconds);
            outcome.image_seconds = mean(|f| f.image_seconds);
            outcome.adapt_gflop = giga(mean(|f| f.adapt_operations));
            outcome.image_gflop = giga(mean(|f| f.image_operations));
        }
    }

    /// The settings, in the order in which they were met.
    pub fn settings(&self) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        for cell in &self.cells {
            if !found.contains(&cell.setting.as_str()) {
                found.push(&cell.setting);
            }
        }
        found
    }

    /// A cell.
    pub fn cell(&self, setting: &str, row: &str, way: &str) -> Option<&Cell> {
        self.cells.iter().find(|c| c.setting == setting && c.row == row && c.way == way)
    }

    /// `over` minus `under`, seed by seed: what both have in common drops out.
    pub fn difference(&self, setting: &str, over: (&str, &str), under: (&str, &str)) -> Option<Interval> {
        let (over, under) = (self.cell(setting, over.0, over.1)?, self.cell(setting, under.0, under.1)?);
        let paired = over.outcomes.iter().filter_map(|o| {
            let other = under.outcomes.iter().find(|u| u.seed == o.seed)?;
            Some(o.mean_iou - other.mean_iou)
        });
        Some(Interval::of(&paired.collect::<Vec<_>>()))
    }
}
