//! The stream of a line: measured values with names and times, as a recalibrator takes them in.

use aoi_testing::Seeded;
use aoi_tolerance::limit::Tolerance;
use aoi_tolerance::record::{Record, Verdict};

/// T0 of every limit.
const LIMIT: f64 = 100.0;

/// How many records of how many limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StreamOptions {
    /// Records.
    pub records: usize,
    /// Limits that they are spread over.
    pub limits: usize,
    /// Share of values that T0 flags.
    pub flagged: f64,
    /// Decides everything else.
    pub seed: u64,
}

impl Default for StreamOptions {
    fn default() -> Self {
        Self { records: 1_000_000, limits: 1_000, flagged: 0.015, seed: 5 }
    }
}

/// Records ready to be pushed.
#[derive(Debug)]
pub struct Stream {
    parts: Vec<String>,
    ids: Vec<String>,
    values: Vec<(u32, f64, Verdict)>,
}

impl Stream {
    /// Draws a stream; one flagged value in fifty is a defect.
    pub fn draw(options: &StreamOptions) -> Self {
        let mut random = Seeded::new(options.seed);
        let parts = (0..options.limits).map(|i| format!("P{i:05}")).collect();
        let ids = (0..options.records).map(|i| format!("B{:06}-{i}", i / 12)).collect();
        let values = (0..options.records)
            .map(|_| {
                let part = u32::try_from(random.below(options.limits)).unwrap_or(0);
                let (value, verdict) = if random.unit() >= options.flagged {
                    (LIMIT + 10.0 * random.unit(), Verdict::Pass)
                } else if random.below(50) == 0 {
                    (LIMIT - 4.0 - 10.0 * random.unit(), Verdict::Defect)
                } else {
                    (
                        (LIMIT - 10.0 * random.unit() * random.unit()).min(LIMIT.next_down()),
                        Verdict::FalseCall,
                    )
                };
                (part, value, verdict)
            })
            .collect();
        Self { parts, ids, values }
    }

    /// Values that T0 flags.
    pub fn flagged(&self) -> usize {
        self.values.iter().filter(|v| v.2 != Verdict::Pass).count()
    }

    /// The records, in order.
    pub fn records(&self) -> impl Iterator<Item = Record<'_>> {
        (0_i64..).zip(&self.values).zip(&self.ids).map(|((i, (part, value, verdict)), id)| Record {
            key: [&self.parts[*part as usize], "M1", "", "solder", "height", "um"],
            value: *value,
            tolerance: Tolerance { lower: Some(LIMIT), upper: None },
            verdict: Some(*verdict),
            record_id: id,
            time: Some(1_700_000_000_000_000_000 + i * 1_000_000),
            ..Record::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_the_records_and_the_share_asked_for() {
        let options = StreamOptions { records: 20_000, limits: 50, flagged: 0.1, seed: 1 };
        let stream = Stream::draw(&options);
        assert_eq!(stream.records().count(), 20_000);
        assert!((1_800..2_200).contains(&stream.flagged()));
        let below = stream.records().filter(|r| r.value < LIMIT).count();
        assert_eq!(below, stream.flagged());
    }
}
