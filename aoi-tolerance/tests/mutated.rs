//! Damaged inputs: records, messages and mappings with bytes changed, cut, repeated and mixed. Whatever is read obeys the laws; nothing
//! panics.
//!
//! `AOI_MUTATIONS=100000 cargo test --release -p aoi-tolerance --test mutated` looks longer; `AOI_MUTATION_SEED` looks elsewhere. A
//! failure names the seed that repeats it. The mutations are blind: no coverage guides them.
#![cfg(feature = "io")]

use std::io::Write;
use std::path::PathBuf;

use aoi_testing::Seeded;
use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::io::mapping::Mapping;
use aoi_tolerance::io::{ReadOptions, Records, ToleranceTable, read_records};
use aoi_tolerance::joint::optimise_joint;
use aoi_tolerance::limit::is_flagged;
use aoi_tolerance::optimise::optimise;
use aoi_tolerance::options::Options;
use aoi_tolerance::population::Limit;
use aoi_tolerance::quality::{QualityOptions, assess};

/// Pieces that mean something to a reader.
const WORDS: [&str; 24] = [
    ",",
    "\n",
    "\r\n",
    "\"",
    "\"\"",
    "defect",
    "false_call",
    "NaN",
    "-0.0",
    "1e308",
    "1e-320",
    "40",
    ";",
    "\u{feff}",
    "{",
    "}",
    "[",
    "]",
    "\"Verification\": \"DefectConfirmed\"",
    "null",
    "escape",
    "0x10",
    "\u{e9}",
    "\\",
];

fn environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a whole number"))
}

/// Some bytes of `input` changed, cut, repeated or mixed with `other`.
fn mutated(random: &mut Seeded, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(40)).min(bytes.len());
        match random.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            3 => bytes.truncate(at),
            4 => {
                let from = random.below(other.len());
                let to = (from + random.below(200)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            _ => {
                let word = WORDS[random.below(WORDS.len())];
                bytes.splice(at..end, word.bytes());
            }
        }
    }
    bytes
}

/// What a reading of `bytes` gives, as far as it can be compared.
fn read(bytes: &[u8], options: &ReadOptions) -> Result<Records, String> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let mut records = read_records(&[file.path().to_owned()], options, &mut ()).map_err(|e| e.to_string())?;
    records.inputs[0].path = PathBuf::new();
    Ok(records)
}

/// Every law that holds for any records at all.
fn obeys_the_laws(records: &Records) {
    let population = &records.population;
    let evidence: Vec<Evidence> = population.limits.iter().map(Limit::evidence).collect();
    let options = Options { min_false_calls: Some(1), max_pending_share: 1.0, ..Options::default() };
    let alone = optimise(&evidence, &options).expect("what was read can be computed");
    for (limit, p) in population.limits.iter().zip(&alone) {
        assert_eq!(p.defects_after, p.defects_before, "a known defect was lost: {p:?}");
        assert!(p.false_calls_after <= p.false_calls_before, "{p:?}");
        assert!(p.new_limit.is_finite() && p.old_limit == limit.value(), "{p:?}");
        for row in limit.rows.iter().filter(|r| !is_flagged(r.value, p.new_limit, p.side, options.boundary)) {
            assert!(!row.verdict.guards(), "{row:?} passes {p:?}");
        }
    }
    let joint = optimise_joint(population, &options).expect("what was read can be computed");
    assert!(joint.released >= joint.released_one_by_one && joint.released <= joint.at_most);
    for held in &joint.held {
        let holder = joint.held.iter().find(|h| h.limit == held.held_by && h.flagged);
        assert!(holder.is_some(), "nothing holds {held:?}");
    }
    assess(population, &QualityOptions::default(), &options).expect("what was read can be looked at");
}

/// Mutates `seeds`, reads each result with one thread and with three, and holds the outcome against the laws; how many could be read.
fn look(seeds: &[&[u8]], options: &ReadOptions) -> u64 {
    let first = environment("AOI_MUTATION_SEED", 1);
    let mut usable = 0;
    for seed in first..first + environment("AOI_MUTATIONS", 250) {
        let random = &mut Seeded::new(seed);
        let (a, b) = (random.below(seeds.len()), random.below(seeds.len()));
        let bytes = mutated(random, seeds[a], seeds[b]);
        let check = || {
            let one = read(&bytes, &ReadOptions { threads: 1, ..options.clone() });
            let three = read(&bytes, &ReadOptions { threads: 3, ..options.clone() });
            if let (Ok(one), Ok(three)) = (&one, &three) {
                assert_eq!(one, three, "threads decide");
                obeys_the_laws(one);
            }
            assert_eq!(one.is_ok(), three.is_ok());
            one.is_ok()
        };
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)) {
            Ok(read) => usable += u64::from(read),
            Err(cause) => {
                eprintln!("AOI_MUTATION_SEED={seed}: {:?}", String::from_utf8_lossy(&bytes));
                std::panic::resume_unwind(cause);
            }
        }
    }
    usable
}

#[test]
fn damaged_tables_are_refused_or_obey_the_laws() {
    let head = |text: &'static str| text.lines().take(60).collect::<Vec<_>>().join("\n") + "\n";
    let same = head(include_str!("data/cfx/same.csv"));
    let example = include_bytes!("../formats/records.example.csv");
    let usable =
        look(&[same.as_bytes(), example, same.replace('\n', "\r\n").as_bytes()], &ReadOptions::default());
    assert!(usable > environment("AOI_MUTATIONS", 250) / 4, "{usable} could be read");
}

#[test]
fn damaged_messages_are_refused_or_obey_the_laws() {
    let mapping =
        Mapping::read(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/cfx/map.toml")).unwrap();
    let table = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/cfx/tolerances.csv");
    let tolerances = Some(ToleranceTable::read(&table, &mapping).unwrap());
    let options = ReadOptions { mapping, tolerances, ..ReadOptions::default() };
    let lines: Vec<&str> = include_str!("data/cfx/heights.jsonl").lines().take(4).collect();
    let pretty = include_bytes!("../formats/cfx.example.json");
    let paste = include_bytes!("data/cfx/paste/001.json");
    let usable = look(&[lines.join("\n").as_bytes(), pretty, paste], &options);
    assert!(usable > environment("AOI_MUTATIONS", 250) / 4, "{usable} could be read");
}

#[test]
fn damaged_mappings_are_refused_or_read() {
    let example = include_bytes!("../formats/mapping.example.toml");
    let mut accepted = 0;
    for seed in 1..=environment("AOI_MUTATIONS", 250) {
        let bytes = mutated(&mut Seeded::new(seed), example, example);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        accepted += u64::from(Mapping::read(file.path()).is_ok());
    }
    assert!(accepted > 0, "some changes do no harm");
}
