//! One self-contained HTML page on a run: what to clear first, what changes, why, and what is proven.
//!
//! The page carries its style and drawings inside and asks no network for anything; its content policy forbids it, and any script but the one of
//! [`write_live_report`].
//! It prints to A4. Everything that comes from records or from the caller is text to it: the templates escape all of it, in drawings too.
//! The same input gives the same bytes; the time of creation is the caller's to give.
//!
//! Numbers are those of the proposals; the what-if curve and its tables are the sums of [`crate::simulate::simulate`].
//!
//! # Examples
//! ```
//! use aoi_tolerance::{collect::Collector, limit::Tolerance, optimise::optimise, options::Options};
//! use aoi_tolerance::record::{Record, Verdict};
//! use aoi_tolerance::report::{ReportContext, write_report};
//!
//! let mut collector = Collector::default();
//! for i in 0..50 {
//!     collector.push(&Record {
//!         key: ["R0402", "", "", "solder", "height", "um"],
//!         value: 39.9 - 0.1 * f64::from(i),
//!         tolerance: Tolerance { lower: Some(40.0), upper: None },
//!         verdict: Some(if i == 45 { Verdict::Defect } else { Verdict::FalseCall }),
//!         ..Record::default()
//!     });
//! }
//! let population = collector.finish();
//! let options = Options::default();
//! let evidence: Vec<_> = population.limits.iter().map(|l| l.evidence()).collect();
//! let proposals = optimise(&evidence, &options)?;
//! let context = ReportContext { title: "Line 4".into(), options, ..ReportContext::default() };
//! let mut page = Vec::new();
//! write_report(&mut page, &population, &proposals, &context)?;
//! assert!(String::from_utf8(page)?.contains("1 of 1 known defects"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod alert;
mod bound;
mod chart;
mod curve;
mod format;
mod histogram;
#[cfg(feature = "io")]
mod live;
#[cfg(not(feature = "io"))]
#[path = "live_absent.rs"]
mod live;
mod name;
mod pareto;
mod settings;
#[cfg(feature = "store")]
mod status;
mod summary;
mod svg;
mod table;

#[cfg(feature = "io")]
pub use live::LimitsFile;
#[cfg(feature = "store")]
pub use status::{StatusContext, write_status};

use std::io;

use askama::Template;

use self::format::Count;
use self::name::{LimitName, visible};
use crate::certificate::ASSUMPTIONS;
use crate::evidence::Evidence;
use crate::options::Options;
use crate::population::Population;
use crate::proposal::Proposal;
use crate::quality::{self, QualityOptions};
use crate::simulate::Totals;

/// The style of the page, for other pages of the same house.
pub const STYLE: &str = include_str!("../../templates/style.css");

/// Charts of limits that escapes or blocks put first, at most: a page of thousands could not be opened.
const URGENT_CHARTS: usize = 100;

/// Charts of the limits that save most, unless the caller says otherwise.
const CHARTS: usize = 20;

/// A file that the records were read from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InputFile {
    /// Its name.
    pub name: String,
    /// SHA-256 of its bytes, in hexadecimal.
    pub sha256: String,
    /// Rows read from it.
    pub rows: u64,
}

/// What the report says beside the proposals.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportContext {
    /// Heading of the page.
    pub title: String,
    /// The files, in the order that [`crate::record::Source::file`] counts them.
    pub inputs: Vec<InputFile>,
    /// Program and version that made the report.
    pub software: String,
    /// When it was made, as RFC 3339; printed as given.
    pub created: String,
    /// The options that the proposals were made with.
    pub options: Options,
    /// Warnings to print; those that follow from the proposals are added.
    pub warnings: Vec<String>,
    /// Rows that were rejected on reading: reason and count.
    pub rejected: Vec<(String, u64)>,
    /// How many of the limits that save most get a chart of their own; tables of limits are cut there too, but not below 20 rows.
    ///
    /// Limits with escapes, blocks or given-up defects get theirs in addition, up to a hundred.
    pub detail_limits: usize,
}

impl Default for ReportContext {
    /// No inputs, default options, twenty charts.
    fn default() -> Self {
        Self {
            title: "Tolerance report".to_owned(),
            inputs: Vec::new(),
            software: concat!("aoi-tolerance ", env!("CARGO_PKG_VERSION")).to_owned(),
            created: String::new(),
            options: Options::default(),
            warnings: Vec::new(),
            rejected: Vec::new(),
            detail_limits: CHARTS,
        }
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The page could not be written.
    #[error("the report cannot be written: {0}")]
    Write(#[from] io::Error),
    /// The page could not be laid out.
    #[error("the report cannot be laid out: {0}")]
    Layout(#[from] askama::Error),
    /// The sweep over percentiles or a bound could not be computed.
    #[error(transparent)]
    Tolerance(#[from] crate::Error),
    /// There must be one proposal for each limit.
    #[error("{proposals} proposals for {limits} limits; expected one for each, in the same order")]
    Count {
        /// Limits of the population.
        limits: usize,
        /// Proposals given.
        proposals: usize,
    },
    /// A proposal is for another limit than the one in its place.
    #[error(
        "proposal {index} is for a {got_side} limit of {got}; the limit in its place is {side} and {expected}"
    )]
    Mismatch {
        /// Place of the proposal, from 0.
        index: usize,
        /// Side of the limit.
        side: crate::limit::Side,
        /// The limit.
        expected: f64,
        /// Side of the proposal.
        got_side: crate::limit::Side,
        /// Its old limit.
        got: f64,
    },
}

/// The whole page.
#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    title: String,
    software: String,
    created: String,
    inputs: Vec<(String, String, Count)>,
    settings: Vec<(&'static str, String)>,
    alert: alert::Alert,
    summary: summary::Summary,
    curve: curve::Curve,
    live: Option<live::Live>,
    pareto: pareto::Pareto,
    tables: table::Tables,
    urgent: Vec<chart::Chart>,
    /// Limits that are urgent and have no chart.
    urgent_hidden: Count,
    savers: Vec<chart::Chart>,
    bounds: bound::Bounds,
    assumptions: [&'static str; 4],
}

/// Writes the report on `proposals`, of which `proposals[i]` is for `population.limits[i]`.
///
/// # Errors
/// When `out` fails, when proposals and limits do not belong together, or when the options do not fit the population (see
/// [`crate::simulate::simulate`]).
pub fn write_report(
    out: &mut impl io::Write,
    population: &Population,
    proposals: &[Proposal],
    context: &ReportContext,
) -> Result<(), ReportError> {
    check(population, proposals)?;
    let page = Page::new(population, proposals, context)?.render()?;
    out.write_all(page.as_bytes())?;
    Ok(())
}

/// Writes the report with a slider over the percentiles, a percentile for single limits, and a button that saves the limits chosen.
///
/// The numbers are those of [`crate::simulate::simulate`], computed here and looked up in the page by its one script, which the content policy knows by
/// its digest; the page asks no network for anything. Where the table would be too large for a page (40,000 rows, about 3 MB), the page is that of
/// [`write_report`].
///
/// # Errors
/// As [`write_report`].
#[cfg(feature = "io")]
pub fn write_live_report(
    out: &mut impl io::Write,
    population: &Population,
    proposals: &[Proposal],
    context: &ReportContext,
    file: &LimitsFile<'_>,
) -> Result<(), ReportError> {
    check(population, proposals)?;
    let evidence: Vec<Evidence> = population.limits.iter().map(crate::population::Limit::evidence).collect();
    let mut page = Page::new(population, proposals, context)?;
    page.live = live::Live::new(&population.limits, &evidence, &context.options, file)?;
    let text = page.render()?;
    // Behind everything that a template wrote: templates escape whatever they insert, and these elements are not text.
    let (body, end) = text.rsplit_once("</body>").unwrap_or((&text, ""));
    out.write_all(body.as_bytes())?;
    if let Some(live) = &page.live {
        out.write_all(live.elements().as_bytes())?;
    }
    out.write_all(b"</body>")?;
    out.write_all(end.as_bytes())?;
    Ok(())
}

/// Refuses proposals that are for other limits.
fn check(population: &Population, proposals: &[Proposal]) -> Result<(), ReportError> {
    if population.limits.len() != proposals.len() {
        return Err(ReportError::Count { limits: population.limits.len(), proposals: proposals.len() });
    }
    for (index, (limit, p)) in population.limits.iter().zip(proposals).enumerate() {
        let (side, expected) = (limit.id.side, limit.value());
        if side != p.side || expected != p.old_limit {
            return Err(ReportError::Mismatch { index, side, expected, got_side: p.side, got: p.old_limit });
        }
    }
    Ok(())
}

impl Page {
    fn new(
        population: &Population,
        proposals: &[Proposal],
        context: &ReportContext,
    ) -> Result<Self, ReportError> {
        let options = &context.options;
        let evidence: Vec<Evidence> =
            population.limits.iter().map(crate::population::Limit::evidence).collect();
        let totals = Totals::of(proposals);
        let points = curve::sweep(&evidence, options)?;
        let bounds = bound::Bounds::new(proposals, options)?;
        let labels = quality::assess(population, &QualityOptions::default(), options)?;
        let is_urgent = |&i: &usize| chart::is_urgent(&population.limits[i], &proposals[i]);
        let mut urgent: Vec<usize> = (0..proposals.len()).filter(is_urgent).collect();
        let urgent_hidden = Count(urgent.len().saturating_sub(URGENT_CHARTS) as u64);
        urgent.truncate(URGENT_CHARTS);
        let mut savers = table::by_saving(proposals);
        savers.retain(|i| !is_urgent(i));
        savers.truncate(context.detail_limits);
        let mut charts: Vec<chart::Chart> = (1..)
            .zip(urgent.iter().chain(&savers))
            .map(|(number, &i)| {
                let name = LimitName::of(population, i);
                let (limit, evidence) = (&population.limits[i], &evidence[i]);
                chart::Chart::new(number, name, limit, evidence, &proposals[i], options.boundary)
            })
            .collect();
        let savers = charts.split_off(urgent.len());
        Ok(Self {
            title: visible(&context.title),
            software: visible(&context.software),
            created: visible(&context.created),
            inputs: context
                .inputs
                .iter()
                .map(|f| (visible(&f.name), visible(&f.sha256), Count(f.rows)))
                .collect(),
            settings: settings::settings(options),
            alert: alert::Alert::new(population, proposals, context),
            summary: summary::Summary::new(
                population, &evidence, proposals, &totals, &bounds, &labels, context,
            ),
            curve: curve::Curve::new(&points, &totals, options),
            live: None,
            pareto: pareto::Pareto::new(population, proposals),
            tables: table::Tables::new(population, proposals, context),
            urgent: charts,
            urgent_hidden,
            savers,
            bounds,
            assumptions: ASSUMPTIONS,
        })
    }
}
