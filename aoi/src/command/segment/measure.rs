//! `aoi segment measure`.

use std::path::{Path, PathBuf};

use aoi::masks::MaskFolder;
use aoi::measure::{
    Calibration, NominalTable, Parts, RecordOptions, RecordRow, ReviewTable, find, records, write_records,
};
use aoi_tolerance::io::mapping::Mapping;
use aoi_tolerance::io::{ToleranceTable, write_whole};
use clap::Args;
use serde_json::json;

use super::arguments::MaskArguments;
use crate::command::outcome::{Failure, Outcome};
use crate::command::progress::Counter;

#[derive(Args)]
#[command(after_help = "What is missing is recorded as `present` 0, outside its limit: it fails closed.\n\
    The tables are described in aoi/formats.\n\n\
    Examples:\n  \
    aoi segment measure --masks masks --classes wire,ball --nominal nominal.csv --part SIDE4 --um-per-pixel 4 --limits tolerances.csv --out records.csv\n  \
    aoi tolerance optimise records.csv --out limits.csv")]
pub(crate) struct Arguments {
    /// Folder of masks, such as `aoi segment predict` writes
    #[arg(long, value_name = "DIR")]
    masks: PathBuf,
    /// Names of the classes, in the order of their numbers in label maps
    #[arg(long, value_name = "A,B,..", value_delimiter = ',', required = true)]
    classes: Vec<String>,
    /// Size of a pixel in micrometres: 4, or 4x4.1 for width and height
    #[arg(long, value_name = "UM")]
    um_per_pixel: Calibration,
    /// Where everything belongs: part, class, instance, `x_um`, `y_um`, `gate_um` [default: every component is an instance]
    #[arg(long, value_name = "NOMINAL.csv")]
    nominal: Option<PathBuf>,
    /// Part that all images show
    #[arg(long, required_unless_present = "parts", conflicts_with = "parts")]
    part: Option<String>,
    /// Part that each image shows: image, part
    #[arg(long, value_name = "PARTS.csv")]
    parts: Option<PathBuf>,
    /// Limits in force: a tolerance table keyed by part, inspection (the class) and feature [default: left to `aoi tolerance --limits`]
    #[arg(long, value_name = "TOLERANCES.csv")]
    limits: Option<PathBuf>,
    /// What reviewers found: image, class, instance, verdict
    #[arg(long, value_name = "REVIEW.csv")]
    review: Option<PathBuf>,
    /// Components smaller than this are specks, in square micrometres
    #[arg(long, value_name = "UM2", default_value_t = 0.0)]
    min_area: f64,
    /// Where the records go
    #[arg(long, value_name = "RECORDS.csv")]
    out: PathBuf,
    #[command(flatten)]
    mask: MaskArguments,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

/// The tables that measurements are compared with.
pub(crate) struct Tables {
    nominal: Option<NominalTable>,
    parts: Parts,
    limits: Option<ToleranceTable>,
    review: Option<ReviewTable>,
}

impl Tables {
    /// Reads those that are given.
    pub(crate) fn read(
        nominal: Option<&Path>,
        parts: Parts,
        limits: Option<&Path>,
        review: Option<&Path>,
    ) -> Result<Self, Failure> {
        let limits = limits.map(|path| ToleranceTable::read(path, &Mapping::default())).transpose()?;
        Ok(Self {
            nominal: nominal.map(NominalTable::read).transpose()?,
            parts,
            limits,
            review: review.map(ReviewTable::read).transpose()?,
        })
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    if !(arguments.min_area.is_finite() && arguments.min_area >= 0.0) {
        return Err(Failure::Usage(format!("--min-area must be 0 or more, found {}", arguments.min_area)));
    }
    let parts = match (&arguments.part, &arguments.parts) {
        (_, Some(path)) => Parts::read(path)?,
        (Some(part), None) => Parts::One(part.clone()),
        (None, None) => return Err(Failure::Usage("give --part or --parts".into())),
    };
    let tables = Tables::read(
        arguments.nominal.as_deref(),
        parts,
        arguments.limits.as_deref(),
        arguments.review.as_deref(),
    )?;
    let masks = arguments.mask.folder(&arguments.masks, arguments.classes.clone())?;
    let measured = measure_folder(&masks, &tables, arguments.um_per_pixel, arguments.min_area)?;
    write_whole(&arguments.out, |out| write_records(out, &measured.rows))?;
    let Measured { images, rows, .. } = &measured;
    let (missing, outside) = (measured.missing(), measured.outside());
    if arguments.json {
        let records = rows.len();
        println!(
            "{}",
            json!({"images": images, "records": records, "missing": missing, "outside_limits": outside})
        );
    } else {
        println!(
            "{images} images, {} records, {outside} outside their limits, {missing} instances missing",
            rows.len()
        );
    }
    Ok(Outcome::Done)
}

/// The records of a folder.
pub(crate) struct Measured {
    images: usize,
    pub(crate) rows: Vec<RecordRow>,
}

impl Measured {
    /// Things on the drawing that were not found.
    pub(crate) fn missing(&self) -> usize {
        self.rows.iter().filter(|r| r.feature == "present" && r.value == 0.0).count()
    }

    /// Values outside their limits.
    pub(crate) fn outside(&self) -> usize {
        let beyond = |r: &&RecordRow| {
            r.limits.lower.is_some_and(|l| r.value < l) || r.limits.upper.is_some_and(|u| r.value > u)
        };
        self.rows.iter().filter(beyond).count()
    }
}

/// Measures every mask of a folder.
pub(crate) fn measure_folder(
    masks: &MaskFolder,
    tables: &Tables,
    calibration: Calibration,
    min_area_um2: f64,
) -> Result<Measured, Failure> {
    let names = masks.names()?;
    let bar = Counter::new("masks");
    let mut progress = bar.on();
    let mut rows = Vec::new();
    for (done, name) in names.iter().enumerate() {
        if progress(done, names.len()).is_break() {
            return Err(aoi::Error::Cancelled { what: "masks", done, total: names.len() }.into());
        }
        let part = tables.parts.of(name)?;
        let nominal = tables.nominal.as_ref().map(|table| table.of(part)).transpose()?.unwrap_or_default();
        let mask = masks.read_any(name)?;
        let found = find(mask.view(), masks.classes(), nominal, calibration, min_area_um2)?;
        let (limits, review) = (tables.limits.as_ref(), tables.review.as_ref());
        let options = RecordOptions { image: name, part, limits, review };
        rows.extend(records(&found, nominal, masks.classes(), &options));
    }
    Ok(Measured { images: names.len(), rows })
}
