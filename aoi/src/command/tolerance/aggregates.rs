//! `aoi tolerance sql` and `aoi tolerance import-aggregates`: limits of records that stay in a database.

use std::path::PathBuf;

use aoi_tolerance::aggregate::optimise_aggregates;
use aoi_tolerance::io::mapping::{Column, Mapping};
use aoi_tolerance::io::{
    Engine, EngineTable, LimitForm, LimitsTable, aggregate_sql, digest_of, read_aggregates, write_whole,
};
use aoi_tolerance::limit::Boundary;
use aoi_tolerance::proposal::{Decision, Reason};
use clap::{Args, ValueEnum};

use super::arguments::LimitArguments;
use super::optimise::warn;
use super::summary;
use crate::command::outcome::{Failure, Outcome};

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    aoi tolerance sql duckdb --table records --columns model,unit,defect_id,record_id,time > aggregates.sql\n  \
    aoi tolerance sql postgres --table plant.reviews --map site.toml --percentile 85 > aggregates.sql\n\n\
    Margin, misses and the flag rule shape the statement: give import-aggregates the same ones.")]
pub(crate) struct SqlArguments {
    /// The engine
    engine: EngineName,
    /// The table or view that holds the records
    #[arg(long, value_name = "TABLE", default_value = "records")]
    table: String,
    /// Canonical columns that the table has beside part, inspection, feature, value, lower, upper and verdict, or beside those that
    /// --map names
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', value_parser = column)]
    columns: Vec<Column>,
    /// Exactly these canonical columns, instead
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',', value_parser = column, conflicts_with = "columns")]
    only_columns: Vec<Column>,
    /// Mapping from the site's columns and words
    #[arg(long, value_name = "MAP.toml")]
    map: Option<PathBuf>,
    /// Percentile of the false calls: about this many percent of them stay flagged
    #[arg(long, value_name = "P", default_value_t = 80.0)]
    percentile: f64,
    /// The machines flag a value that is equal to its limit
    #[arg(long)]
    equal_is_flagged: bool,
    /// Borderline verdicts do not hold a limit
    #[arg(long)]
    ignore_borderline: bool,
    #[command(flatten)]
    limits: LimitArguments,
}

#[derive(Clone, Copy, ValueEnum)]
enum EngineName {
    /// `DuckDB`
    Duckdb,
    /// `PostgreSQL`
    Postgres,
    /// `ClickHouse`
    Clickhouse,
}

fn column(text: &str) -> Result<Column, String> {
    let known = Column::ALL.into_iter().find(|c| c.name() == text.trim());
    let names = || Column::ALL.map(Column::name).join(", ");
    known.ok_or_else(|| format!("{text:?} is no canonical column; there are {}", names()))
}

pub(crate) fn print(arguments: &SqlArguments) -> Result<Outcome, Failure> {
    let boundary = if arguments.equal_is_flagged { Boundary::Flagged } else { Boundary::Passes };
    let options = arguments.limits.options_with(arguments.percentile, boundary, 1)?;
    let mapping = arguments.map.as_deref().map(Mapping::read).transpose()?.unwrap_or_default();
    let engine = match arguments.engine {
        EngineName::Duckdb => Engine::DuckDb,
        EngineName::Postgres => Engine::Postgres,
        EngineName::Clickhouse => Engine::ClickHouse,
    };
    let mut table = EngineTable { name: arguments.table.clone(), ..EngineTable::default() };
    if arguments.only_columns.is_empty() {
        table.columns.extend(&arguments.columns);
    } else {
        table.columns.clone_from(&arguments.only_columns);
    }
    let sql = aggregate_sql(engine, &table, &mapping, &options, !arguments.ignore_borderline);
    println!("{}", sql.map_err(Failure::Other)?);
    Ok(Outcome::Done)
}

#[derive(Args)]
#[command(after_help = "Example:\n  \
    aoi tolerance import-aggregates aggregates.csv --out limits.csv\n\n\
    The percentile and the flag rule are those that the statement was printed for.")]
pub(crate) struct ImportArguments {
    /// What the statement of `aoi tolerance sql` gave, as CSV with a header
    #[arg(value_name = "AGG.csv")]
    aggregates: PathBuf,
    /// Where the new limits go: .csv, or .json for the same as JSON
    #[arg(long, value_name = "LIMITS.csv")]
    out: PathBuf,
    #[command(flatten)]
    limits: LimitArguments,
    /// Exit with code 3 if a limit is blocked
    #[arg(long)]
    strict: bool,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn import(arguments: &ImportArguments) -> Result<Outcome, Failure> {
    let file = read_aggregates(&arguments.aggregates)?;
    let options = arguments.limits.options_with(file.percentile, file.boundary, 1)?;
    let proposals = optimise_aggregates(&file.aggregates, &options)?;
    let digest = digest_of(std::slice::from_ref(&file.input));
    let table = LimitsTable {
        limits: &file.limits,
        proposals: &proposals,
        options: &options,
        input_sha256: &digest,
        form: LimitForm::Absolute,
    };
    let json = arguments.out.extension().is_some_and(|e| e.eq_ignore_ascii_case("json"));
    write_whole(&arguments.out, |out| if json { table.json(out) } else { table.csv(out) })?;
    let unknown = proposals.iter().filter(|p| p.reason == Reason::NotInAggregates).count();
    let escapes: u64 = file.aggregates.iter().map(|a| a.escapes).sum();
    if arguments.json {
        println!("{}", summary::imported(&proposals, escapes, unknown, &digest));
    } else {
        summary::print_totals(&proposals, escapes);
        if unknown > 0 {
            println!(
                "unknown      {unknown} limits stay because the aggregates do not tell what they would flag"
            );
        }
    }
    warn(&file.limits, &proposals);
    let blocked = proposals.iter().any(|p| p.decision == Decision::Blocked);
    Ok(if arguments.strict && blocked { Outcome::No } else { Outcome::Done })
}
