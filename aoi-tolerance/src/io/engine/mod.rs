//! SQL that turns a table of records into the aggregates of its limits, inside the engine that holds it.
//!
//! One statement for every engine, `aggregates.sql`, whose few differences stand in [`Engine`]. It follows the rules of
//! [`collect`](crate::collect) and [`population`](crate::population): which row counts, which copy of it, what blocks a limit. It does not use the
//! engines' own percentiles, which differ in their last digit, but the two values that the percentile lies between.

mod dialect;

use crate::io::form::LimitForm;
use crate::io::mapping::{Column, Mapping, Names, VerdictWord};
use crate::io::verdict::{canonical_words, normalised};
use crate::limit::Boundary;
use crate::margin::Margin;
use crate::options::Options;
use crate::record::Verdict;

pub use dialect::Engine;

/// The table that records stand in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineTable {
    /// Its name, with its schema where it needs one: `plant.records`.
    pub name: String,
    /// The canonical columns that it has under their own names, beside those that the mapping names.
    pub columns: Vec<Column>,
}

impl Default for EngineTable {
    fn default() -> Self {
        use Column::{Feature, Inspection, Lower, Part, Upper, Value, Verdict};
        let columns = vec![Part, Inspection, Feature, Value, Lower, Upper, Verdict];
        Self { name: "records".to_owned(), columns }
    }
}

/// The statement whose result, as CSV with a header, [`read_aggregates`](super::read_aggregates) reads.
///
/// Of `options` it takes the percentile, the margin, the misses and the boundary; `borderline_guards` as in
/// [`CollectOptions`](crate::collect::CollectOptions).
///
/// # Errors
/// Says what of the mapping or the options has no statement.
pub fn aggregate_sql(
    engine: Engine,
    table: &EngineTable,
    mapping: &Mapping,
    options: &Options,
    borderline_guards: bool,
) -> Result<String, String> {
    supported(mapping, options)?;
    let raw = raw_columns(engine, table, mapping)?;
    let (below, above) = match options.boundary {
        Boundary::Passes => ("<", ">"),
        Boundary::Flagged => ("<=", ">="),
    };
    let percentile = options.percentile;
    let expand = |name: &str, argument: &str| -> String {
        match name {
            "raw" => raw.clone(),
            "table" => table.name.split('.').map(|part| engine.quoted(part)).collect::<Vec<_>>().join("."),
            "below" => below.to_owned(),
            "above" => above.to_owned(),
            "held" => (u128::from(options.misses) + 1).to_string(),
            "guards" if borderline_guards => "said_ IN (3, 4)".to_owned(),
            "guards" => "said_ = 3".to_owned(),
            "margin" => margin(engine, options.margin),
            "real" => engine.real(percentile / 100.0),
            "number" => engine.real(percentile),
            "equal" => u8::from(options.boundary == Boundary::Flagged).to_string(),
            "unmirror" => format!("CASE WHEN s.bound_ = 'upper' THEN -{argument} ELSE {argument} END"),
            _ => engine.expand(name, argument),
        }
    };
    let body = fill(include_str!("aggregates.sql"), &expand);
    Ok(format!("{}\n{body}", engine.head()))
}

/// Replaces each `{name}` and `{name:argument}`; an argument may hold further ones.
fn fill(template: &str, expand: &impl Fn(&str, &str) -> String) -> String {
    let mut text = String::with_capacity(2 * template.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        text.push_str(&rest[..open]);
        let mut depth = 0_u32;
        let close = rest[open..].char_indices().find(|(_, c)| {
            depth = if *c == '{' { depth + 1 } else { depth - u32::from(*c == '}') };
            depth == 0
        });
        let Some((length, _)) = close else { break };
        let inside = &rest[open + 1..open + length];
        let (name, argument) = inside.split_once(':').unwrap_or((inside, ""));
        text.push_str(&expand(name, &fill(argument, expand)));
        rest = &rest[open + length + 1..];
    }
    text + rest
}

/// Refuses what the statement cannot say.
fn supported(mapping: &Mapping, options: &Options) -> Result<(), String> {
    let refused = |what: &str| Err(format!("{what}; compute these limits from the records themselves"));
    if mapping.wide.is_some() {
        return refused("wide tables have no SQL here");
    }
    if mapping.limits.form != LimitForm::Absolute {
        return refused("limits in other forms than absolute numbers have no SQL here");
    }
    if mapping.columns.contains_key(&Column::Dx) || mapping.columns.contains_key(&Column::Dy) {
        return refused("values made of dx and dy have no SQL here");
    }
    if !mapping.file.missing.is_empty() || mapping.file.decimal_comma || mapping.file.time_format.is_some() {
        return refused(
            "a table holds numbers, times and NULL: file.missing, file.decimal_comma and file.time_format have no meaning",
        );
    }
    if options.percentile_kind.number() != 7 {
        return refused("percentiles of other types than 7 have no SQL here");
    }
    options.check().map_err(|e| e.to_string())
}

/// The margin of one limit, in the columns of `sides_`.
fn margin(engine: Engine, margin: Margin) -> String {
    let sigmas = |k: f64| format!("COALESCE({} * s.sigma_, 0)", engine.real(k));
    match margin {
        Margin::Gauge => sigmas(3.0),
        Margin::Sigmas(k) => sigmas(k),
        Margin::Absolute(m) => engine.real(m),
        Margin::PercentOfLimit(p) => format!("{} * ABS(s.limit_)", engine.real(p / 100.0)),
    }
}

/// The select list of the first step.
fn raw_columns(engine: Engine, table: &EngineTable, mapping: &Mapping) -> Result<String, String> {
    // A column as text, empty where there is none.
    let text = |column: Column| -> String {
        if let Some(constant) = mapping.constants.get(&column) {
            return engine.literal(constant.trim());
        }
        match mapping.columns.get(&column) {
            Some(Names::One(name)) => engine.trimmed(&engine.quoted(name)),
            Some(Names::Joined(names)) => {
                let parts: Vec<String> = names.iter().map(|n| engine.trimmed(&engine.quoted(n))).collect();
                let joined = parts.join(" || '/' || ");
                let none: Vec<String> = parts.iter().map(|p| format!("{p} = ''")).collect();
                format!("CASE WHEN {} THEN '' ELSE {joined} END", none.join(" AND "))
            }
            None if table.columns.contains(&column) => engine.trimmed(&engine.quoted(column.name())),
            None => "''".to_owned(),
        }
    };
    let site = |column: Column| -> Option<String> {
        match (mapping.constants.get(&column), mapping.columns.get(&column)) {
            (Some(constant), _) => Some(engine.literal(constant)),
            (None, Some(Names::One(name))) => Some(engine.quoted(name)),
            (None, Some(Names::Joined(_))) => None,
            (None, None) => table.columns.contains(&column).then(|| engine.quoted(column.name())),
        }
    };
    // Adding zero makes 0.0 of -0.0: they are one limit.
    let number = |column: Column| engine.number(site(column).as_deref());
    let zeroed = |column: Column| format!("{} + 0", number(column));
    let needed = [Column::Part, Column::Value, Column::Verdict];
    let by_rules = !mapping.verdict.rules.is_empty();
    if let Some(missing) = needed
        .into_iter()
        .find(|c| site(*c).is_none() && text(*c) == "''" && !(by_rules && *c == Column::Verdict))
    {
        return Err(format!(
            "the table needs a column {:?}; name the site's column in a mapping",
            missing.name()
        ));
    }
    if site(Column::Lower).is_none() && site(Column::Upper).is_none() {
        return Err(
            "the table needs a lower or an upper column; name the site's column in a mapping".to_owned()
        );
    }
    let machine = format!(
        "CASE WHEN LOWER({}) IN ('1', 'true', 'yes', 'y', 'fail', 'ng', 'flagged') THEN 1 ELSE 0 END",
        text(Column::Flagged)
    );
    let fault = format!(
        "CASE WHEN {id} <> '' THEN {named} WHEN {board} <> '' AND {refdes} <> '' THEN {placed} ELSE '' END",
        id = text(Column::DefectId),
        board = text(Column::Board),
        refdes = text(Column::Refdes),
        named = engine.joined(&["'d'", &text(Column::DefectId)]),
        placed = engine.joined(&["'p'", &text(Column::Board), &text(Column::Refdes)]),
    );
    let columns = [
        ("part_", text(Column::Part)),
        ("model_", text(Column::Model)),
        ("revision_", text(Column::Revision)),
        ("inspection_", text(Column::Inspection)),
        ("feature_", text(Column::Feature)),
        ("unit_", text(Column::Unit)),
        ("value_", number(Column::Value)),
        ("lower_", zeroed(Column::Lower)),
        ("upper_", zeroed(Column::Upper)),
        ("nominal_", number(Column::Nominal)),
        ("sigma_", number(Column::Sigma)),
        ("resolution_", number(Column::Resolution)),
        ("verdict_", verdict(engine, mapping, &text(Column::Verdict))),
        ("machine_", machine),
        ("record_", text(Column::RecordId)),
        ("fault_", fault),
        ("time_", engine.time(site(Column::Time).as_deref())),
    ];
    let lines: Vec<String> = columns.iter().map(|(name, sql)| format!("    {sql} AS {name}")).collect();
    Ok(lines.join(",\n"))
}

/// The verdict's number, or NULL.
fn verdict(engine: Engine, mapping: &Mapping, column: &str) -> String {
    let number = |verdict: VerdictWord| Verdict::from(verdict) as u8;
    let word = |sql: &str| format!("REPLACE(REPLACE(LOWER({sql}), ' ', '_'), '-', '_')");
    let mut cases = Vec::new();
    for rule in &mapping.verdict.rules {
        let holds = |(name, said): (&String, &String)| {
            format!("{} = {}", word(&engine.trimmed(&engine.quoted(name))), engine.literal(&normalised(said)))
        };
        let when = rule.when.iter().map(holds).collect::<Vec<_>>().join(" AND ");
        let when = if when.is_empty() { "1 = 1".to_owned() } else { when };
        cases.push(format!("WHEN {when} THEN {}", number(rule.verdict)));
    }
    if cases.is_empty() {
        let said = word(column);
        for (site, verdict) in &mapping.verdict.words {
            let site = engine.literal(&normalised(site));
            cases.push(format!("WHEN {said} = {site} THEN {}", number(*verdict)));
        }
        for (verdict, words) in canonical_words() {
            let listed = words.iter().map(|w| engine.literal(w)).collect::<Vec<_>>().join(", ");
            cases.push(format!("WHEN {said} IN ({listed}) THEN {}", verdict as u8));
        }
    }
    format!("CASE\n      {}\n      ELSE NULL END", cases.join("\n      "))
}
