//! What `watch`, `audit` and `ledger` share: how the stream is kept, how limits may move, who signs.

pub(crate) mod audit;
pub(crate) mod ledger;
mod log;
mod sources;
pub(crate) mod watch;

use std::num::NonZeroU64;
use std::path::PathBuf;

use aoi_tolerance::collect::CollectOptions;
use aoi_tolerance::drift::DriftOptions;
use aoi_tolerance::ledger::Signed;
use aoi_tolerance::limit::Boundary;
use aoi_tolerance::margin::Margin;
use aoi_tolerance::motion::MotionPolicy;
use aoi_tolerance::options::Options;
use aoi_tolerance::recalibrate::{LiveOptions, Window};
use aoi_tolerance::store::StoreOptions;
use clap::Args;

use super::arguments::LimitArguments;
use crate::command::outcome::Failure;

/// How the stream is kept and how its limits may move. Give the same to `watch` and to `ledger`.
#[derive(Args)]
pub(crate) struct LiveArguments {
    /// Folder of the store and its ledger
    #[arg(long, value_name = "DIR")]
    pub(crate) ledger: PathBuf,
    /// False calls and passes that count: all, count:N (the last N false calls of each limit) or days:D
    #[arg(long, value_name = "WINDOW", default_value = "all", value_parser = window)]
    window: Window,
    /// The machines flag a value that is equal to its limit
    #[arg(long)]
    pub(crate) equal_is_flagged: bool,
    /// Borderline verdicts do not hold a limit
    #[arg(long)]
    pub(crate) ignore_borderline: bool,
    /// Percentile of the false calls: about this many percent of them stay flagged
    #[arg(long, value_name = "P", default_value_t = 80.0)]
    percentile: f64,
    #[command(flatten)]
    limits: LimitArguments,
    /// Put tighter limits in force without asking; loosening always waits for an approval
    #[arg(long, help_heading = "Motion")]
    tighten_automatically: bool,
    /// Largest step of one loosening: 0.5, 5% (of the old limit) or 3sigma; none for no cap
    #[arg(long, value_name = "STEP", default_value = "5%", value_parser = cap, help_heading = "Motion")]
    max_step: Cap,
    /// Largest distance from the old limit
    #[arg(long, value_name = "DISTANCE", default_value = "10%", value_parser = cap, help_heading = "Motion")]
    max_total: Cap,
    /// Moves up to this size are not proposed
    #[arg(long, value_name = "DISTANCE", default_value = "0.1%", help_heading = "Motion")]
    dead_band: Margin,
    /// Records that a new revision or changed limits must show before they are loosened
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = "Motion")]
    settle: u64,
    /// Time to act at, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    time: Option<jiff::Timestamp>,
}

/// A cap, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cap(Option<Margin>);

fn cap(text: &str) -> Result<Cap, aoi_tolerance::Error> {
    if text == "none" { Ok(Cap(None)) } else { text.parse().map(|m| Cap(Some(m))) }
}

fn time(text: &str) -> Result<jiff::Timestamp, String> {
    text.parse().map_err(|_| "expected an RFC 3339 time with zone, such as 2026-03-01T06:00:00Z".to_owned())
}

fn window(text: &str) -> Result<Window, String> {
    const DAY: f64 = 86_400e9;
    let refused = || "expected all, count:N or days:D with numbers above 0".to_owned();
    match text.split_once(':') {
        None if text == "all" => Ok(Window::All),
        Some(("count", n)) => n.parse().map(Window::Count).map_err(|_| refused()),
        Some(("days", days)) => {
            let days: f64 = days.parse().map_err(|_| refused())?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "positive; `as` saturates"
            )]
            let nanoseconds = if days > 0.0 { (days * DAY) as u64 } else { 0 };
            NonZeroU64::new(nanoseconds).map(Window::Span).ok_or_else(refused)
        }
        _ => Err(refused()),
    }
}

impl LiveArguments {
    /// How the stream is kept.
    pub(crate) fn store(&self) -> StoreOptions {
        let collect =
            CollectOptions { boundary: self.boundary(), borderline_guards: !self.ignore_borderline };
        StoreOptions { live: LiveOptions { collect, window: self.window }, drift: DriftOptions::default() }
    }

    fn boundary(&self) -> Boundary {
        if self.equal_is_flagged { Boundary::Flagged } else { Boundary::Passes }
    }

    /// How limits are proposed, checked.
    pub(crate) fn options(&self) -> Result<Options, Failure> {
        self.limits.options_with(self.percentile, self.boundary(), 1)
    }

    /// How limits may move, checked.
    pub(crate) fn policy(&self) -> Result<MotionPolicy, Failure> {
        let policy = MotionPolicy {
            tighten_automatically: self.tighten_automatically,
            max_step: self.max_step.0,
            max_total: self.max_total.0,
            dead_band: self.dead_band,
            settle_records: self.settle,
        };
        policy.check()?;
        Ok(policy)
    }

    /// The time to act at.
    pub(crate) fn now(&self) -> jiff::Timestamp {
        self.time.unwrap_or_else(jiff::Timestamp::now)
    }

    /// The same in nanoseconds since 1970 UTC.
    pub(crate) fn nanoseconds(&self) -> i64 {
        nanoseconds(self.now())
    }

    /// What an entry is signed with.
    pub(crate) fn signed(&self, who: &str, why: &str) -> Signed {
        Signed {
            time: self.now().to_string(),
            who: who.to_owned(),
            why: why.to_owned(),
            software: software(),
        }
    }
}

/// Nanoseconds since 1970 UTC.
fn nanoseconds(time: jiff::Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

/// Program and version.
pub(crate) fn software() -> String {
    format!("aoi {}", env!("CARGO_PKG_VERSION"))
}
