//! A records CSV of any size, the same bytes for the same seed.
//!
//! Shaped like a line's export, and plain enough to be written at several hundred megabytes a second: 1.5 % of the rows are flagged, 4 % of
//! those are defects, and three features with a lower, an upper and a two-sided tolerance are measured on a thousand parts. Values have
//! three decimals. Passing rows carry no information for a limit, but each of them has to be read: that is the work.

use std::io::{self, Write};

use aoi_testing::Seeded;

/// How many rows to write, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordsOptions {
    /// Data rows.
    pub rows: u64,
    /// Part numbers.
    pub parts: usize,
    /// Decides everything else.
    pub seed: u64,
}

impl Default for RecordsOptions {
    fn default() -> Self {
        Self { rows: 1_000_000, parts: 1_000, seed: 20_261_122 }
    }
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Data rows.
    pub rows: u64,
    /// Of these, outside their limits.
    pub flagged: u64,
    /// Of these, confirmed defects.
    pub defects: u64,
}

/// The header line.
pub const HEADER: &str = "part,model,inspection,feature,unit,value,lower,upper,verdict\n";

/// Flagged rows in 10,000.
const FLAGGED: usize = 150;
/// Defects among 1,000 flagged rows.
const DEFECTS: usize = 40;

/// One feature; limits and spread in thousandths of the unit.
struct Feature {
    name: &'static str,
    lower: Option<i64>,
    upper: Option<i64>,
    spread: i64,
}

const FEATURES: [Feature; 3] = [
    Feature { name: "solder,fillet height,um", lower: Some(40_000), upper: None, spread: 4_000 },
    Feature { name: "lead,coplanarity,um", lower: None, upper: Some(80_000), spread: 6_000 },
    Feature { name: "placement,offset x,um", lower: Some(-75_000), upper: Some(75_000), spread: 5_000 },
];

/// What all rows of one part and feature share.
struct Key {
    before: Vec<u8>,
    after: Vec<u8>,
    lower: Option<i64>,
    upper: Option<i64>,
    spread: i64,
}

/// Writes the records.
///
/// # Errors
/// When `out` fails.
///
/// # Panics
/// When there are no parts.
///
/// # Examples
/// ```
/// use aoi_bench::generate::{RecordsOptions, write_records};
/// let mut csv = Vec::new();
/// let written = write_records(&mut csv, &RecordsOptions { rows: 20_000, parts: 10, seed: 1 })?;
/// assert_eq!(csv.iter().filter(|b| **b == b'\n').count() as u64, written.rows + 1);
/// assert!((200..400).contains(&written.flagged));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn write_records(out: &mut impl Write, options: &RecordsOptions) -> io::Result<Written> {
    const BUFFER: usize = 1 << 20;
    let keys = keys(options.parts);
    let mut random = Seeded::new(options.seed);
    let mut written = Written { rows: options.rows, ..Written::default() };
    let mut buffer = Vec::with_capacity(BUFFER + 256);
    buffer.extend_from_slice(HEADER.as_bytes());
    for _ in 0..options.rows {
        let key = &keys[random.below(keys.len())];
        let flagged = random.below(10_000) < FLAGGED;
        let defect = flagged && random.below(1_000) < DEFECTS;
        written.flagged += u64::from(flagged);
        written.defects += u64::from(defect);
        buffer.extend_from_slice(&key.before);
        push_thousandths(&mut buffer, value(&mut random, key, flagged, defect));
        buffer.extend_from_slice(&key.after);
        let verdict: &[u8] = match (flagged, defect) {
            (_, true) => b"defect\n",
            (true, false) => b"false_call\n",
            (false, false) => b"pass\n",
        };
        buffer.extend_from_slice(verdict);
        if buffer.len() >= BUFFER {
            out.write_all(&buffer)?;
            buffer.clear();
        }
    }
    out.write_all(&buffer)?;
    out.flush()?;
    Ok(written)
}

fn keys(parts: usize) -> Vec<Key> {
    let mut keys = Vec::new();
    for part in 0..parts {
        // Parts differ a little in their limits: by up to a fifth, in whole units.
        let shift = i64::try_from(part % 5).unwrap_or(0) * 1_000;
        for feature in &FEATURES {
            let lower = feature.lower.map(|l| l - shift);
            let upper = feature.upper.map(|u| u + shift);
            let mut after = vec![b','];
            for limit in [lower, upper] {
                if let Some(limit) = limit {
                    push_thousandths(&mut after, limit);
                }
                after.push(b',');
            }
            let before = format!("P{:04},M{},{},", part + 1, part % 7 + 1, feature.name);
            keys.push(Key { before: before.into_bytes(), after, lower, upper, spread: feature.spread });
        }
    }
    keys
}

/// A value in thousandths: outside a limit if `flagged`, further out if `defect`, else well inside or near.
fn value(random: &mut Seeded, key: &Key, flagged: bool, defect: bool) -> i64 {
    let below = |random: &mut Seeded, n: i64| {
        let n = usize::try_from(n).expect("spreads are positive");
        i64::try_from(random.below(n)).expect("below an i64")
    };
    // The sum of two uniform draws: dense near the limit, thin far away, and free of logarithms.
    let fold = (below(random, key.spread) + below(random, key.spread) - key.spread).abs();
    // Most defects lie far out; one in eight lies among the false calls, and holds its limit.
    let far = defect && random.below(8) > 0;
    let distance = 1 + if far { key.spread / 2 + 2 * fold } else { fold };
    let lower_side = match (key.lower, key.upper) {
        (Some(_), Some(_)) => random.bits() & 1 == 0,
        (lower, _) => lower.is_some(),
    };
    let beyond = if flagged { distance } else { 1 - 3 * distance };
    match (lower_side, key.lower, key.upper) {
        (true, Some(lower), _) => lower - beyond,
        (_, _, Some(upper)) => upper + beyond,
        _ => 0,
    }
}

/// `thousandths / 1000` as a decimal with three places, without passing through a float.
fn push_thousandths(out: &mut Vec<u8>, thousandths: i64) {
    if thousandths < 0 {
        out.push(b'-');
    }
    let magnitude = thousandths.unsigned_abs();
    let mut digits = [0_u8; 24];
    let mut at = digits.len();
    let mut rest = magnitude;
    let mut places = 0;
    while rest > 0 || places < 4 {
        if places == 3 {
            at -= 1;
            digits[at] = b'.';
        }
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        places += 1;
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(options: &RecordsOptions) -> (String, Written) {
        let mut out = Vec::new();
        let written = write_records(&mut out, options).unwrap();
        (String::from_utf8(out).unwrap(), written)
    }

    #[test]
    fn thousandths_are_written_as_decimals() {
        for (n, text) in
            [(0, "0.000"), (5, "0.005"), (-75_000, "-75.000"), (40_001, "40.001"), (-999, "-0.999")]
        {
            let mut out = Vec::new();
            push_thousandths(&mut out, n);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn verdicts_stand_where_the_values_say_and_counts_are_those_written() {
        let (text, written) = csv(&RecordsOptions { rows: 40_000, parts: 20, seed: 3 });
        let mut seen = Written::default();
        for row in text.lines().skip(1) {
            let fields: Vec<&str> = row.split(',').collect();
            assert_eq!(fields.len(), 9, "{row}");
            let number = |i: usize| fields[i].parse::<f64>().ok();
            let value = number(5).unwrap();
            let outside = number(6).is_some_and(|l| value < l) || number(7).is_some_and(|u| value > u);
            assert_eq!(outside, fields[8] != "pass", "{row}");
            seen.rows += 1;
            seen.flagged += u64::from(outside);
            seen.defects += u64::from(fields[8] == "defect");
        }
        assert_eq!(seen, written);
        assert!((500..700).contains(&seen.flagged) && seen.defects > 10, "{seen:?}");
    }

    #[test]
    fn the_file_depends_on_the_seed_alone() {
        let options = RecordsOptions { rows: 1_000, parts: 7, seed: 5 };
        assert_eq!(csv(&options), csv(&options));
        assert_ne!(csv(&options).0, csv(&RecordsOptions { seed: 6, ..options }).0);
    }
}
