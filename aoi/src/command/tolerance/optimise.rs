//! `aoi tolerance optimise`.

use std::path::{Path, PathBuf};

use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::io::{LimitsTable, Records, digest_of, held_csv, write_whole};
use aoi_tolerance::joint::optimise_joint;
use aoi_tolerance::options::Options;
use aoi_tolerance::pool::optimise_pooled;
use aoi_tolerance::population::{Limit, Population};
use aoi_tolerance::proposal::{Decision, Proposal};
use aoi_tolerance::report::{InputFile as ReportInput, LimitsFile, ReportContext, write_live_report};
use clap::{Args, ValueEnum};

use super::arguments::{LimitArguments, RecordArguments};
use super::summary;
use crate::command::outcome::{Failure, Outcome};

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    aoi tolerance optimise records.csv --out limits.csv --report report.html\n  \
    aoi tolerance optimise line1.csv.gz line2.csv.gz --map site.toml --out limits.csv --percentile 85 --resolution 0.01\n  \
    aoi tolerance optimise records.csv --out limits.csv --policy certified --alpha 0.01 --delta 0.05\n  \
    aoi tolerance optimise records.csv --out limits.csv --joint --held held.csv")]
pub(crate) struct Arguments {
    #[command(flatten)]
    records: RecordArguments,
    /// Where the new limits go: .csv, or .json for the same as JSON
    #[arg(long, value_name = "LIMITS.csv")]
    out: PathBuf,
    /// Percentile of the false calls: about this many percent of them stay flagged
    #[arg(long, value_name = "P", default_value_t = 80.0)]
    percentile: f64,
    #[command(flatten)]
    limits: LimitArguments,
    /// Let limits of one group share a certificate (with --policy certified; needs a sigma in the records)
    #[arg(long, value_enum)]
    pool: Option<PoolBy>,
    /// Choose the limits together: a defect that several features show needs one of them to keep flagging it (with --policy guarded;
    /// no certificate)
    #[arg(long, conflicts_with = "pool")]
    joint: bool,
    /// With --joint, write which limit holds each known defect to this file
    #[arg(long, value_name = "HELD.csv", requires = "joint")]
    held: Option<PathBuf>,
    /// Write a report as one HTML file
    #[arg(long, value_name = "R.html")]
    report: Option<PathBuf>,
    /// Time to state in the report, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    report_time: Option<String>,
    /// Exit with code 3 if a limit is blocked
    #[arg(long)]
    strict: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PoolBy {
    /// Limits of the same feature
    Feature,
    /// Limits of the same inspection
    Inspection,
    /// All limits
    All,
}

impl PoolBy {
    fn group(self, limit: &Limit) -> String {
        match self {
            Self::Feature => format!("feature {}", limit.id.key.feature),
            Self::Inspection => format!("inspection {}", limit.id.key.inspection),
            Self::All => "all limits".to_owned(),
        }
    }
}

/// Charts of single limits in a report; the others are in the limits file.
pub(crate) const REPORT_CHARTS: usize = 24;

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let options = arguments.limits.options(arguments.percentile, &arguments.records)?;
    if arguments.pool.is_some() && !arguments.limits.certifies() {
        return Err(Failure::Usage("--pool shares certificates and needs --policy certified".into()));
    }
    if arguments.joint && (!arguments.limits.is_guarded() || options.misses > 0) {
        return Err(Failure::Usage("--joint is proven for --policy guarded without --misses only".into()));
    }
    let records = arguments.records.read(false)?;
    let population = &records.population;
    if population.limits.is_empty() {
        return Err(no_limits(&records, arguments.records.rejects.as_deref()));
    }
    let joint = if arguments.joint { Some(optimise_joint(population, &options)?) } else { None };
    let proposals = match &joint {
        Some(joint) => joint.proposals.clone(),
        None => one_by_one(population, arguments.pool, &options)?,
    };

    let digest = digest_of(&records.inputs);
    let table = LimitsTable {
        limits: &population.limits,
        proposals: &proposals,
        options: &options,
        input_sha256: &digest,
        form: records.limit_form,
    };
    let json = arguments.out.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    write_whole(&arguments.out, |out| if json { table.json(out) } else { table.csv(out) })?;
    if let (Some(path), Some(joint)) = (&arguments.held, &joint) {
        let files: Vec<PathBuf> = records.inputs.iter().map(|i| i.path.clone()).collect();
        write_whole(path, |out| held_csv(out, joint, &population.limits, &files))?;
    }
    if let Some(path) = &arguments.report {
        let created = created(arguments.report_time.as_deref())?;
        report(path, &records, &proposals, &options, created)?;
    }
    if arguments.records.json {
        println!("{}", summary::optimised(&records, &proposals, joint.as_ref()));
    } else {
        summary::print_optimised(&records, &proposals);
        if let Some(joint) = &joint {
            summary::print_joint(joint);
        }
    }
    warn(&population.limits, &proposals);
    let blocked = proposals.iter().any(|p| p.decision == Decision::Blocked);
    Ok(if arguments.strict && blocked { Outcome::No } else { Outcome::Done })
}

/// Each limit by itself, or with its group's certificate.
fn one_by_one(
    population: &Population,
    pool: Option<PoolBy>,
    options: &Options,
) -> Result<Vec<Proposal>, Failure> {
    let evidence: Vec<Evidence> = population.limits.iter().map(Limit::evidence).collect();
    let groups: Vec<Option<String>> =
        population.limits.iter().map(|limit| pool.map(|by| by.group(limit))).collect();
    Ok(optimise_pooled(&evidence, &groups, options)?)
}

/// No record could be used: why, and where to look.
fn no_limits(records: &Records, rejects: Option<&Path>) -> Failure {
    let file = records.inputs.first().map_or_else(String::new, |i| i.path.display().to_string());
    let rows = records.rows();
    let reason = records.rejected.iter().max_by_key(|(_, n)| **n);
    let why = reason.map_or_else(String::new, |(reason, n)| format!("; most often ({n} rows): {reason}"));
    let look = match rejects {
        Some(path) => format!("; see {}", path.display()),
        None => "; --rejects FILE lists them".to_owned(),
    };
    Failure::Other(format!("{file}: none of {rows} rows could be used{why}{look}"))
}

/// The time to state, given or now.
pub(crate) fn created(given: Option<&str>) -> Result<String, Failure> {
    match given {
        None => Ok(jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        Some(text) => match text.parse::<jiff::Timestamp>() {
            Ok(_) => Ok(text.to_owned()),
            Err(_) => Err(Failure::Usage(format!("--report-time {text:?} is not an RFC 3339 time"))),
        },
    }
}

/// Writes the report.
pub(crate) fn report(
    path: &Path,
    records: &Records,
    proposals: &[Proposal],
    options: &Options,
    created: String,
) -> Result<(), Failure> {
    let context = ReportContext {
        title: "Inspection limits".to_owned(),
        inputs: records
            .inputs
            .iter()
            .map(|i| ReportInput {
                name: i.path.display().to_string(),
                sha256: i.sha256.clone(),
                rows: i.rows,
            })
            .collect(),
        software: format!("aoi {}", env!("CARGO_PKG_VERSION")),
        created,
        options: options.clone(),
        warnings: summary::warnings(records),
        rejected: records.rejected.iter().map(|(reason, n)| (reason.to_string(), *n)).collect(),
        detail_limits: REPORT_CHARTS,
    };
    let digest = digest_of(&records.inputs);
    let file = LimitsFile { input_sha256: &digest, form: records.limit_form };
    let mut rendered = Vec::new();
    write_live_report(&mut rendered, &records.population, proposals, &context, &file)
        .map_err(|e| Failure::Other(e.to_string()))?;
    write_whole(path, |out| out.write_all(&rendered))?;
    Ok(())
}

/// Escapes and blocked limits, where a person will see them even if the summary goes to a program.
pub(super) fn warn(limits: &[Limit], proposals: &[Proposal]) {
    const SHOWN: usize = 10;
    let wants = |p: &Proposal| matches!(p.decision, Decision::Blocked | Decision::Tighten);
    let stopped: Vec<_> = limits.iter().zip(proposals).filter(|(_, p)| wants(p)).collect();
    for (limit, proposal) in stopped.iter().take(SHOWN) {
        let suggested =
            proposal.suggested_limit.map_or_else(String::new, |s| format!("; {s} would have caught them"));
        let (id, reason, decision) = (&limit.id, &proposal.reason, proposal.decision);
        eprintln!("warning: {decision}: {} {} limit: {reason}{suggested}", id.key, id.side);
    }
    if stopped.len() > SHOWN {
        eprintln!(
            "warning: {} more limits are blocked or need tightening; see the limits file",
            stopped.len() - SHOWN
        );
    }
}
