//! The review history of a generated production line, as a records CSV.
//!
//! Shaped like published lines: hundreds of part numbers, a few of which make most of the false calls; values on a grid of 0.1; defects
//! rare and mostly, but not always, far beyond the limit; some two-sided tolerances; a little of what real exports contain, too:
//! borderline and provisional verdicts, flags that nobody has reviewed yet, a defect that no limit caught.

use std::io::{self, Write};

use super::chance::Chance;

/// How large a line to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineOptions {
    /// Part numbers.
    pub parts: usize,
    /// Flagged values that the review found good.
    pub false_calls: usize,
    /// Flagged values that the review confirmed as defects.
    pub defects: usize,
    /// Values inside their limits for each flagged one.
    pub passes_per_flag: usize,
    /// Features measured on each part, 1 to 5; with more than one, most defects and some false calls show in several.
    pub features: usize,
    /// Decides everything else.
    pub seed: u64,
}

impl Default for LineOptions {
    fn default() -> Self {
        Self { parts: 917, false_calls: 54_019, defects: 544, passes_per_flag: 1, features: 1, seed: 7 }
    }
}

impl LineOptions {
    /// A line a tenth as large, for a quick look.
    pub fn quick() -> Self {
        Self { parts: 92, false_calls: 5_400, defects: 54, ..Self::default() }
    }
}

/// A kind of measurement; limits in tenths of the unit.
struct Kind {
    inspection: &'static str,
    feature: &'static str,
    unit: &'static str,
    lower: Option<i32>,
    upper: Option<i32>,
    /// Typical distance of a false call beyond its limit, in tenths.
    spread: f64,
}

static KINDS: [Kind; 5] = [
    Kind {
        inspection: "solder",
        feature: "fillet height",
        unit: "um",
        lower: Some(400),
        upper: None,
        spread: 40.0,
    },
    Kind {
        inspection: "lead",
        feature: "coplanarity",
        unit: "um",
        lower: None,
        upper: Some(800),
        spread: 60.0,
    },
    Kind {
        inspection: "placement",
        feature: "offset x",
        unit: "um",
        lower: Some(-750),
        upper: Some(750),
        spread: 50.0,
    },
    Kind {
        inspection: "wire",
        feature: "ball diameter",
        unit: "um",
        lower: Some(450),
        upper: None,
        spread: 25.0,
    },
    Kind { inspection: "body", feature: "tilt", unit: "deg", lower: Some(-30), upper: Some(30), spread: 6.0 },
];

/// A part under inspection, before its place in time is drawn.
struct Event {
    part: usize,
    verdict: &'static str,
    /// Features measured, and their values: a row for each.
    shown: Vec<(usize, i32)>,
}

/// Limits of one feature of one part, in tenths of the unit.
type Limits = (Option<i32>, Option<i32>);

/// Writes the line's records.
///
/// # Errors
/// When `out` fails.
///
/// # Examples
/// ```
/// use aoi::demo::line::{LineOptions, write_line};
/// let mut csv = Vec::new();
/// write_line(&mut csv, &LineOptions::quick())?;
/// let text = String::from_utf8(csv).unwrap();
/// assert_eq!(text.lines().filter(|l| l.contains(",defect,")).count(), 54);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn write_line(out: &mut dyn Write, options: &LineOptions) -> io::Result<()> {
    let mut random = Chance::new(options.seed);
    let kinds: Vec<usize> = (0..options.parts).map(|_| random.below(KINDS.len())).collect();
    // A part's further features are of the kinds that follow its first one in the list.
    let kind_of =
        |part: usize, feature: usize| -> &'static Kind { &KINDS[(kinds[part] + feature) % KINDS.len()] };
    let limits: Vec<Vec<Limits>> = (0..options.parts)
        .map(|part| {
            let mut limits_of = |feature| {
                // Parts of one kind differ a little in their limits: by up to a fifth, in whole units.
                let shift = i32::try_from(random.below(5)).unwrap_or(0) * 10;
                let Kind { lower, upper, .. } = kind_of(part, feature);
                (lower.map(|l| l - shift.min(l.abs() / 5)), upper.map(|u| u + shift.min(u / 5)))
            };
            (0..options.features.clamp(1, KINDS.len())).map(&mut limits_of).collect()
        })
        .collect();
    let mut events = Vec::new();
    let many = random.heavy_tailed(options.parts, 0.9, 1.0);
    for (part, count) in shares(&many, options.false_calls).into_iter().enumerate() {
        for _ in 0..count {
            let distance = random.exponential(kind_of(part, 0).spread);
            let mut shown = vec![(0, beyond(&mut random, limits[part][0], distance))];
            for (feature, &limit) in limits[part].iter().enumerate().skip(1) {
                if random.unit() < 0.1 {
                    let distance = random.exponential(kind_of(part, feature).spread);
                    shown.push((feature, beyond(&mut random, limit, distance)));
                }
            }
            events.push(Event { part, verdict: "false_call", shown });
        }
    }
    // Parts that are flagged often are, by and large, those that also fail; half of the others never had a defect.
    let rare: Vec<f64> = many
        .iter()
        .map(|m| m.sqrt() * random.exponential(1.0) * f64::from(u8::from(random.unit() < 0.5)))
        .collect();
    for (part, count) in shares(&rare, options.defects).into_iter().enumerate() {
        for _ in 0..count {
            let mut shown = vec![(0, defect(&mut random, 0.04, kind_of(part, 0).spread, limits[part][0]))];
            // Where it shows as well it is as often near the limit as far beyond.
            for (feature, &limit) in limits[part].iter().enumerate().skip(1) {
                if random.unit() < 0.6 {
                    let spread = kind_of(part, feature).spread;
                    shown.push((feature, defect(&mut random, 0.5, spread, limit)));
                }
            }
            events.push(Event { part, verdict: "defect", shown });
        }
    }
    for (verdict, count) in [("borderline", 24), ("provisional", 40)] {
        for _ in 0..count * options.parts / 917 {
            let part = random.below(options.parts);
            let distance = 2.0 * kind_of(part, 0).spread;
            push(&mut events, &mut random, part, limits[part][0], distance, verdict);
        }
    }
    // Flags that nobody has reviewed, on two parts; and a defect that the limits in force let pass.
    for part in [options.parts / 3, options.parts / 2] {
        push(&mut events, &mut random, part, limits[part][0], 5.0, "");
    }
    push(&mut events, &mut random, options.parts / 5, limits[options.parts / 5][0], -4.0, "escape");
    for _ in 0..options.passes_per_flag * (options.false_calls + options.defects) {
        let part = random.below(options.parts);
        let distance = -1.0 - random.exponential(2.0 * kind_of(part, 0).spread);
        push(&mut events, &mut random, part, limits[part][0], distance, "pass");
    }
    random.shuffle(&mut events);

    writeln!(
        out,
        "part,model,inspection,feature,unit,value,lower,upper,verdict,defect_id,board,refdes,time,record_id"
    )?;
    for (i, event) in events.iter().enumerate() {
        let text = |limit: Option<i32>| limit.map_or_else(String::new, |l| tenths(l).to_string());
        let fault = matches!(event.verdict, "defect" | "escape");
        let defect = if fault { format!("D{i:06}") } else { String::new() };
        // Twelve flags to a board, a board every four minutes, two shifts a day.
        let board = i / 12;
        let minutes = (board % 240) * 4;
        let (day, hour, minute) = (board / 240, 6 + minutes / 60, minutes % 60);
        let (month, day) = (1 + day / 28 % 12, 1 + day % 28);
        for &(number, value) in &event.shown {
            let Kind { inspection, feature, unit, .. } = kind_of(event.part, number);
            let (lower, upper) = limits[event.part][number];
            let record = if number == 0 { i.to_string() } else { format!("{i}-{number}") };
            writeln!(
                out,
                "P{:04},M{},{inspection},{feature},{unit},{},{},{},{},{defect},B{board:06},R{},2026-{month:02}-{day:02}T{hour:02}:{minute:02}:00Z,{record}",
                event.part + 1,
                event.part % 7 + 1,
                tenths(value),
                text(lower),
                text(upper),
                event.verdict,
                event.part % 400 + 1,
            )?;
        }
    }
    out.flush()
}

fn tenths(n: i32) -> f64 {
    f64::from(n) / 10.0
}

/// Adds a part that shows one value `distance` tenths beyond (negative: inside) one of its limits.
fn push(
    events: &mut Vec<Event>,
    random: &mut Chance,
    part: usize,
    limits: Limits,
    distance: f64,
    verdict: &'static str,
) {
    events.push(Event { part, verdict, shown: vec![(0, beyond(random, limits, distance))] });
}

/// A value `distance` tenths beyond (negative: inside) one of the limits.
fn beyond(random: &mut Chance, limits: Limits, distance: f64) -> i32 {
    let sign = if distance < 0.0 { -1.0 } else { 1.0 };
    // At least one step off the limit, at most far off; inside a two-sided tolerance, not past its middle.
    let room = match limits {
        (Some(lower), Some(upper)) if distance < 0.0 => f64::from((upper - lower) / 2),
        _ => 5000.0,
    };
    #[expect(clippy::cast_possible_truncation, reason = "bounded by the line above")]
    let steps = (sign * distance.abs().round().clamp(1.0, room)) as i32;
    match limits {
        (Some(lower), Some(upper)) => {
            if random.unit() < 0.5 {
                lower - steps
            } else {
                upper + steps
            }
        }
        (Some(lower), None) => lower - steps,
        (None, Some(upper)) => upper + steps,
        (None, None) => 0,
    }
}

/// The value of a defect: with chance `near` as close to the limit as false calls are, else far beyond it.
fn defect(random: &mut Chance, near: f64, spread: f64, limits: Limits) -> i32 {
    let distance = if random.unit() < near {
        random.exponential(spread)
    } else {
        2.0 * spread + random.exponential(2.0 * spread)
    };
    beyond(random, limits, distance)
}

/// `total` divided in proportion to `weights`, by largest remainder.
fn shares(weights: &[f64], total: usize) -> Vec<usize> {
    let sum: f64 = weights.iter().sum();
    let exact = weights.iter().map(|w| w / sum * total as f64);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares of a count")]
    let mut counts: Vec<(usize, usize, f64)> =
        exact.enumerate().map(|(i, e)| (i, e.floor() as usize, e.fract())).collect();
    let short = total - counts.iter().map(|c| c.1).sum::<usize>();
    counts.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(&b.0)));
    for count in counts.iter_mut().take(short) {
        count.1 += 1;
    }
    counts.sort_by_key(|c| c.0);
    counts.into_iter().map(|c| c.1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(options: &LineOptions) -> String {
        let mut csv = Vec::new();
        write_line(&mut csv, options).unwrap();
        String::from_utf8(csv).unwrap()
    }

    #[test]
    fn the_line_has_the_counts_it_was_asked_for_and_depends_on_the_seed_alone() {
        let options = LineOptions::default();
        let text = line(&options);
        let count = |verdict: &str| text.lines().filter(|l| l.split(',').nth(8) == Some(verdict)).count();
        assert_eq!((count("false_call"), count("defect"), count("")), (54_019, 544, 2));
        let parts: std::collections::HashSet<_> = text.lines().skip(1).map(|l| l.split(',').next()).collect();
        assert_eq!(parts.len(), 917);
        assert_eq!(text, line(&options));
        assert_ne!(text, line(&LineOptions { seed: 8, ..options }));
    }

    #[test]
    fn values_lie_on_a_grid_of_a_tenth_and_where_their_verdict_says() {
        let mut seen = 0;
        for row in line(&LineOptions::quick()).lines().skip(1) {
            let fields: Vec<&str> = row.split(',').collect();
            let number = |i: usize| fields[i].parse::<f64>().ok();
            let value = number(5).unwrap();
            assert!(fields[5].split_once('.').is_none_or(|(_, f)| f.len() == 1), "{row}");
            let outside = number(6).is_some_and(|l| value < l) || number(7).is_some_and(|u| value > u);
            assert_eq!(outside, !matches!(fields[8], "pass" | "escape"), "{row}");
            seen += 1;
        }
        assert!(seen > 10_000, "{seen}");
    }

    #[test]
    fn with_several_features_the_parts_stay_and_show_in_more_rows() {
        let text = line(&LineOptions { features: 3, ..LineOptions::quick() });
        let defects: Vec<&str> = text.lines().filter(|l| l.contains(",defect,")).collect();
        let names: std::collections::HashSet<_> = defects.iter().map(|l| l.split(',').nth(9)).collect();
        assert_eq!(names.len(), 54, "as many faults as asked for");
        assert!(defects.len() > 80, "{} rows: most show in several features", defects.len());
        let ids: std::collections::HashSet<_> = text.lines().map(|l| l.rsplit(',').next()).collect();
        assert_eq!(ids.len(), text.lines().count(), "every row has its own record_id");
    }

    #[test]
    fn shares_add_up() {
        assert_eq!(shares(&[1.0, 1.0, 1.0], 10), [4, 3, 3]);
        assert_eq!(shares(&[0.0, 2.0], 5), [0, 5]);
    }
}
