//! Arguments that the tolerance commands share.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use aoi_tolerance::collect::CollectOptions;
use aoi_tolerance::io::mapping::Mapping;
use aoi_tolerance::io::{ReadOptions, Records, ToleranceTable, files_of, read_records};
use aoi_tolerance::limit::Boundary;
use aoi_tolerance::margin::Margin;
use aoi_tolerance::options::{Options, Policy};
use aoi_tolerance::percentile::HyndmanFan;
use aoi_tolerance::resolution::{Resolution, ResolutionRule};
use clap::{Args, ValueEnum};

use crate::command::outcome::Failure;
use crate::command::progress::Watcher;
use crate::command::threads::ThreadArguments;

/// Where records come from and how they are read.
#[derive(Args)]
pub(crate) struct RecordArguments {
    /// Record files: CSV or IPC-CFX messages (JSON), plain or compressed with gzip or zstd, or Parquet if built with it; `-` reads
    /// standard input (no Parquet), a folder stands for the message files in it
    #[arg(required = true, value_name = "RECORDS")]
    pub(crate) records: Vec<PathBuf>,
    /// Mapping from the site's columns and words to the record format
    #[arg(long, value_name = "MAP.toml")]
    pub(crate) map: Option<PathBuf>,
    /// Tolerance table, where the limits are not in the records
    #[arg(long, value_name = "TOLERANCES.csv")]
    pub(crate) limits: Option<PathBuf>,
    /// The machines flag a value that is equal to its limit
    #[arg(long)]
    pub(crate) equal_is_flagged: bool,
    /// Borderline verdicts do not hold a limit
    #[arg(long)]
    pub(crate) ignore_borderline: bool,
    /// An unreadable defect row that was looked at, as `FILE:LINE` or record id; it then blocks nothing (repeatable)
    #[arg(long, value_name = "ROW")]
    pub(crate) acknowledge: Vec<String>,
    #[command(flatten)]
    pub(crate) threads: ThreadArguments,
    /// Write rows that were not used, or used with a reservation, to this file
    #[arg(long, value_name = "REJ.csv")]
    pub(crate) rejects: Option<PathBuf>,
    /// Print the summary as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

impl RecordArguments {
    /// The mapping, or the canonical one.
    fn mapping(&self) -> Result<Mapping, Failure> {
        Ok(self.map.as_deref().map(Mapping::read).transpose()?.unwrap_or_default())
    }

    /// What happens to a value equal to its limit.
    pub(crate) fn boundary(&self) -> Boundary {
        if self.equal_is_flagged { Boundary::Flagged } else { Boundary::Passes }
    }

    /// Reads the records, with a progress bar and the rejects file.
    pub(crate) fn read(&self, inspect_only: bool) -> Result<Records, Failure> {
        let mapping = self.mapping()?;
        let table = |path: &Path| ToleranceTable::read(path, &mapping);
        let options = ReadOptions {
            tolerances: self.limits.as_deref().map(table).transpose()?,
            mapping,
            collect: CollectOptions { boundary: self.boundary(), borderline_guards: !self.ignore_borderline },
            acknowledged: self.acknowledge.iter().cloned().collect::<HashSet<String>>(),
            inspect_only,
            threads: self.threads.count(),
        };
        let mut watcher = Watcher::new(self.rejects.as_deref())?;
        let records = read_records(&files_of(&self.records)?, &options, &mut watcher)?;
        watcher.finish()?;
        Ok(records)
    }
}

/// How limits are computed.
#[derive(Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitArguments {
    /// Definition of the percentile: Hyndman-Fan type 1 to 9 (7 is numpy's and Excel's)
    #[arg(long, value_name = "TYPE", default_value = "7", value_parser = percentile_type)]
    percentile_type: HyndmanFan,
    /// Distance kept from the worst known defect: 0.5 (absolute), 2% (of the old limit) or 3sigma [default: 3sigma where the
    /// records carry a sigma, else the next representable number]
    #[arg(long, value_name = "MARGIN")]
    margin: Option<Margin>,
    /// Step in which the machines store limits where the records do not say it: 0.01, or auto for the grid of the data
    #[arg(long, value_name = "STEP|auto", value_parser = resolution)]
    resolution: Option<ResolutionRule>,
    /// What a limit must show before it moves
    #[arg(long, value_enum, default_value = "guarded")]
    policy: PolicyName,
    /// Largest escape rate accepted by --policy certified
    #[arg(long, value_name = "RATE", default_value_t = 0.01)]
    alpha: f64,
    /// Probability with which a certificate's bound may fail
    #[arg(long, value_name = "P", default_value_t = 0.05)]
    delta: f64,
    /// False calls a limit needs to move [default: 10; paper 1]
    #[arg(long, value_name = "N")]
    min_false_calls: Option<u64>,
    /// Confirmed defects a limit needs to move [default: 1; paper 0]
    #[arg(long, value_name = "N")]
    min_defects: Option<u64>,
    /// Share of flagged values of a limit that may lack a verdict
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    max_pending: f64,
    /// Known defects that each limit may give up; above 0, known defects may escape
    #[arg(long, value_name = "R", default_value_t = 0)]
    misses: u64,
    /// State all certificates at once: divides delta by the number of limits moved
    #[arg(long)]
    simultaneous: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PolicyName {
    /// The published steps, made safe against rounding; limits without a defect move too
    Paper,
    /// The percentile or the worst known defect, whichever flags more
    Guarded,
    /// Guarded, and the escape rate is bounded by --alpha
    Certified,
}

fn percentile_type(text: &str) -> Result<HyndmanFan, String> {
    let number: u8 = text.parse().map_err(|_| "expected a number from 1 to 9".to_owned())?;
    HyndmanFan::try_from(number).map_err(|e| e.to_string())
}

fn resolution(text: &str) -> Result<ResolutionRule, aoi_tolerance::Error> {
    if text == "auto" {
        Ok(ResolutionRule::Auto)
    } else {
        text.parse::<Resolution>().map(ResolutionRule::Step)
    }
}

impl LimitArguments {
    /// The library's options, checked.
    pub(crate) fn options(&self, percentile: f64, records: &RecordArguments) -> Result<Options, Failure> {
        self.options_with(percentile, records.boundary(), records.threads.count())
    }

    /// The library's options for a flag rule and a number of threads, checked.
    pub(crate) fn options_with(
        &self,
        percentile: f64,
        boundary: Boundary,
        threads: usize,
    ) -> Result<Options, Failure> {
        let options = Options {
            policy: match self.policy {
                PolicyName::Paper => Policy::Paper,
                PolicyName::Guarded => Policy::Guarded,
                PolicyName::Certified => Policy::Certified { alpha: self.alpha },
            },
            percentile,
            percentile_kind: self.percentile_type,
            margin: self.margin.unwrap_or_default(),
            resolution: self.resolution.unwrap_or_default(),
            misses: self.misses,
            delta: self.delta,
            simultaneous: self.simultaneous,
            min_false_calls: self.min_false_calls,
            min_defects: self.min_defects,
            max_pending_share: self.max_pending,
            boundary,
            threads,
        };
        options.check()?;
        Ok(options)
    }

    /// Whether the policy is the default one.
    pub(crate) fn is_guarded(&self) -> bool {
        self.policy == PolicyName::Guarded
    }

    /// Whether limits are certified.
    pub(crate) fn certifies(&self) -> bool {
        self.policy == PolicyName::Certified
    }
}
