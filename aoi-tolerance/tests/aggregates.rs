//! Limits from what a real engine made of a table are those of the table; `tools/engines/check.py --fixture` wrote both files.
#![cfg(feature = "io")]

use std::path::{Path, PathBuf};

use aoi_tolerance::aggregate::optimise_aggregates;
use aoi_tolerance::io::mapping::{Column, Mapping};
use aoi_tolerance::io::{
    Engine, EngineTable, LimitForm, LimitsTable, ReadOptions, aggregate_sql, read_aggregates, read_records,
};
use aoi_tolerance::limit::Boundary;
use aoi_tolerance::optimise::optimise;
use aoi_tolerance::options::{Options, Policy};
use aoi_tolerance::percentile::HyndmanFan;
use aoi_tolerance::population::Limit;
use aoi_tolerance::proposal::Proposal;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/engines").join(name)
}

fn csv(limits: &[Limit], proposals: &[Proposal], options: &Options) -> String {
    let table = LimitsTable { limits, proposals, options, input_sha256: "", form: LimitForm::Absolute };
    let mut text = Vec::new();
    table.csv(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn limits_from_aggregates_are_those_of_the_records_byte_for_byte() {
    let records = read_records(&[data("odd.csv")], &ReadOptions::default(), &mut ()).unwrap();
    let limits = &records.population.limits;
    let evidence: Vec<_> = limits.iter().map(Limit::evidence).collect();
    let file = read_aggregates(&data("aggregates.csv")).unwrap();
    assert_eq!((file.percentile, file.boundary, file.limits.len()), (80.0, Boundary::Passes, limits.len()));
    let mut moved = 0;
    for policy in [Policy::Paper, Policy::Guarded, Policy::Certified { alpha: 0.6 }] {
        for simultaneous in [false, true] {
            let options = Options { policy, simultaneous, ..Options::default() };
            let expected = optimise(&evidence, &options).unwrap();
            let proposals = optimise_aggregates(&file.aggregates, &options).unwrap();
            assert_eq!(csv(&file.limits, &proposals, &options), csv(limits, &expected, &options));
            moved += expected.iter().filter(|p| p.moves()).count();
        }
    }
    assert!(moved > 20, "{moved}");
}

#[test]
fn a_wrong_row_is_an_error_that_names_its_line_and_what_is_wrong() {
    let text = std::fs::read_to_string(data("aggregates.csv")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let names: Vec<&str> = lines[0].split(',').collect();
    let with = |column: &str, value: &str| {
        let at = names.iter().position(|n| *n == column).unwrap();
        let mut fields: Vec<&str> = lines[2].split(',').collect();
        fields[at] = value;
        let row = fields.join(",");
        let mut changed = lines.clone();
        changed[2] = &row;
        changed.join("\n")
    };
    let spoilt = [
        (with("side", "left"), "line 3", "left"),
        (with("false_calls", "-1"), "line 3", "false_calls"),
        (with("false_calls", "1"), "line 3", "contradict"),
        (with("low", "x"), "line 3", "low"),
        (with("low", "1e9"), "line 3", "not flagged"),
        (with("low_through", "0"), "line 3", "contradict"),
        (with("nearest_defects", ""), "line 3", "defects"),
        (with("nearest_defects", "1;2"), "line 3", "nearest_defects"),
        (with("percentile", "81"), "line 3", "one statement"),
        (with("equal_is_flagged", "1"), "line 3", "one statement"),
        (with("equal_is_flagged", "true"), "line 3", "equal_is_flagged"),
        (with("first_time", "yesterday"), "line 3", "first_time"),
        (with("sigma", "-1"), "line 3", "sigma"),
        (with("resolution", "0"), "line 3", "resolution"),
        (with("lower", ""), "line 3", "no lower limit"),
        ([lines[0], lines[2], lines[2]].join("\n"), "line 3", "two rows"),
        (text.replacen("held_before", "held", 1), "line 1", "held"),
        (lines[0].to_owned(), "", "no record"),
        (text[..text.len() - 40].to_owned(), "line", "fields"),
    ];
    for (i, (changed, line, named)) in spoilt.iter().enumerate() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), changed).unwrap();
        let error = read_aggregates(file.path()).unwrap_err().to_string();
        assert!(error.contains(line) && error.contains(named), "{i}: {error}");
        assert!(error.contains(file.path().to_str().unwrap()), "{i}: {error}");
    }
}

#[test]
fn the_example_is_read_and_has_the_columns_of_the_schema() {
    let formats = Path::new(env!("CARGO_MANIFEST_DIR")).join("formats");
    let file = read_aggregates(&formats.join("aggregates.example.csv")).unwrap();
    let proposals = optimise_aggregates(&file.aggregates, &Options::default()).unwrap();
    assert!(proposals.iter().any(Proposal::moves));
    let text = std::fs::read_to_string(formats.join("aggregates.schema.json")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
    let required: Vec<&str> =
        schema["required"].as_array().unwrap().iter().filter_map(|c| c.as_str()).collect();
    let example = std::fs::read_to_string(formats.join("aggregates.example.csv")).unwrap();
    let columns: Vec<&str> = example.lines().next().unwrap().split(',').collect();
    let sorted = |mut names: Vec<String>| {
        names.sort_unstable();
        names
    };
    let owned = |names: &[&str]| sorted(names.iter().map(|n| (*n).to_owned()).collect());
    assert_eq!(owned(&required), owned(&columns));
    assert_eq!(sorted(schema["properties"].as_object().unwrap().keys().cloned().collect()), owned(&columns));
    // Without any of them, a file is refused by that column's name.
    for column in columns {
        let file = tempfile::NamedTempFile::new().unwrap();
        let header: Vec<&str> = example.lines().next().unwrap().split(',').filter(|c| *c != column).collect();
        std::fs::write(file.path(), header.join(",") + "\n").unwrap();
        let error = read_aggregates(file.path()).unwrap_err().to_string();
        assert!(error.contains(&format!("{column:?}")), "{error}");
    }
}

#[test]
fn a_statement_carries_the_mapping_and_no_text_leaves_its_quotes() {
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("map.toml");
    let text = "[columns]\npart = \"Part \\\"No\"\nvalue = \"V`al\"\nboard = [\"lot\", \"panel\"]\n\
                [constants]\nfeature = \"o'clock \\\\\"\n[verdict.words]\n\"it's fine\" = \"false_call\"\n";
    std::fs::write(&map, text).unwrap();
    let mapping = Mapping::read(&map).unwrap();
    let table = EngineTable { name: "plant.re\"cords".into(), columns: vec![Column::Lower, Column::Verdict] };
    for engine in [Engine::DuckDb, Engine::Postgres, Engine::ClickHouse] {
        let sql = aggregate_sql(engine, &table, &mapping, &Options::default(), true).unwrap();
        let (name, column, literal, word) = match engine {
            Engine::ClickHouse => ("`plant`.`re\"cords`", "`V\\`al`", "'o\\'clock \\\\'", "'it\\'s_fine'"),
            _ => ("\"plant\".\"re\"\"cords\"", "\"V`al\"", "'o''clock \\'", "'it''s_fine'"),
        };
        for part in [name, column, literal, word] {
            assert!(sql.contains(part), "{part} is not in {sql}");
        }
        assert!(!sql.contains(['{', '}']), "a placeholder is left: {sql}");
    }
}

#[test]
fn what_has_no_statement_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let mapping = |text: &str| {
        let map = folder.path().join("map.toml");
        std::fs::write(&map, text).unwrap();
        Mapping::read(&map).unwrap()
    };
    let refused = |mapping: &Mapping, options: &Options, columns: Vec<Column>| {
        let table = EngineTable { columns, ..EngineTable::default() };
        aggregate_sql(Engine::DuckDb, &table, mapping, options, true).unwrap_err()
    };
    let (options, all) = (Options::default(), EngineTable::default().columns);
    for (text, named) in [
        ("[wide]\nfeatures_from_tolerances = true", "wide"),
        ("[limits]\nform = \"plus_minus\"", "forms"),
        ("[columns]\ndx = \"a\"", "dx"),
        ("[file]\nmissing = [\"-999\"]", "missing"),
    ] {
        let error = refused(&mapping(text), &options, all.clone());
        assert!(error.contains(named), "{error}");
    }
    let weibull = Options { percentile_kind: HyndmanFan::ALL[5], ..Options::default() };
    assert!(refused(&Mapping::default(), &weibull, all).contains("type"));
    for (missing, named) in [(Column::Part, "part"), (Column::Value, "value"), (Column::Verdict, "verdict")] {
        let columns = EngineTable::default().columns.into_iter().filter(|c| *c != missing).collect();
        assert!(refused(&Mapping::default(), &options, columns).contains(named));
    }
}
