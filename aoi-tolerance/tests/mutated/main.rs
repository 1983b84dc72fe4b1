//! Damaged inputs: records, messages and mappings with bytes changed, cut, repeated and mixed. Whatever is read obeys the laws; nothing
//! panics.
//!
//! `AOI_MUTATIONS=100000 cargo test --release -p aoi-tolerance --test mutated` looks longer; `AOI_MUTATION_SEED` looks elsewhere. A
//! failure names the seed that repeats it. The mutations are blind; `fuzz/` grows inputs for the same [`targets`] by coverage, and what it
//! found stands in `tests/data/findings`, replayed here.
#![cfg(feature = "io")]

mod chosen;
mod laws;
mod targets;

use std::io::Write;

use aoi_testing::Seeded;
use aoi_tolerance::io::ReadOptions;
use aoi_tolerance::io::mapping::Mapping;

use laws::obeys_the_laws;
use targets::{file, for_messages, read};

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
    let same = head(include_str!("../data/cfx/same.csv"));
    let example = include_bytes!("../../formats/records.example.csv");
    let usable =
        look(&[same.as_bytes(), example, same.replace('\n', "\r\n").as_bytes()], &ReadOptions::default());
    assert!(usable > environment("AOI_MUTATIONS", 250) / 4, "{usable} could be read");
}

#[test]
fn damaged_messages_are_refused_or_obey_the_laws() {
    let options = for_messages();
    let lines: Vec<&str> = include_str!("../data/cfx/heights.jsonl").lines().take(4).collect();
    let pretty = include_bytes!("../../formats/cfx.example.json");
    let paste = include_bytes!("../data/cfx/paste/001.json");
    let usable = look(&[lines.join("\n").as_bytes(), pretty, paste], &options);
    assert!(usable > environment("AOI_MUTATIONS", 250) / 4, "{usable} could be read");
}

#[test]
fn damaged_mappings_are_refused_or_read() {
    let example = include_bytes!("../../formats/mapping.example.toml");
    let mut accepted = 0;
    for seed in 1..=environment("AOI_MUTATIONS", 250) {
        let bytes = mutated(&mut Seeded::new(seed), example, example);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&bytes).unwrap();
        accepted += u64::from(Mapping::read(file.path()).is_ok());
    }
    assert!(accepted > 0, "some changes do no harm");
}

#[test]
fn chosen_limits_are_refused_for_a_reason_or_obey_the_laws() {
    for seed in 1..=20 * environment("AOI_MUTATIONS", 250) {
        let random = &mut Seeded::new(seed);
        let length = random.below(160);
        let bytes: Vec<u8> = (0..length).map(|_| random.bits().to_le_bytes()[0]).collect();
        if let Err(cause) = std::panic::catch_unwind(|| targets::optimiser(&bytes)) {
            eprintln!("seed {seed}: {bytes:?}");
            std::panic::resume_unwind(cause);
        }
    }
}

/// Every input that once broke something, and a few that come close, target by target.
#[test]
fn what_was_found_once_stays_mended() {
    type Target = (&'static str, fn(&[u8]));
    let targets: &[Target] = &[
        ("records", targets::records),
        ("parquet", targets::parquet),
        ("messages", targets::messages),
        ("mapping", targets::mapping),
        ("optimiser", targets::optimiser),
    ];
    for (name, target) in targets {
        let folder = file("tests/data/findings").join(name);
        let mut replayed = 0;
        for entry in std::fs::read_dir(&folder).expect("a folder of findings") {
            let path = entry.expect("a file").path();
            eprintln!("{}", path.display());
            target(&std::fs::read(&path).expect("a file"));
            replayed += 1;
        }
        assert!(replayed > 0, "{} is empty", folder.display());
    }
}
