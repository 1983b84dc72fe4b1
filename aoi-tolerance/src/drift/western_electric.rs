//! The zone rules of the Western Electric handbook, for standardised points.

/// A rule that a run of points may break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// One point beyond three spreads.
    OneBeyondThree,
    /// Two of three points in a row beyond two spreads, on one side.
    TwoOfThreeBeyondTwo,
    /// Four of five points in a row beyond one spread, on one side.
    FourOfFiveBeyondOne,
    /// Eight points in a row on one side.
    EightOnOneSide,
}

/// The last points of a chart as zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Zones {
    /// Bit i: the point i back lies above 0, 1, 2, 3 spreads; then the same below.
    beyond: [u8; 8],
}

impl Zones {
    /// Takes a point and gives the rules that are broken with it, gravest first.
    pub fn push(&mut self, x: f64) -> impl Iterator<Item = Rule> + use<> {
        let mirrored = [x, -x];
        for (side, x) in mirrored.into_iter().enumerate() {
            for (zone, limit) in [0.0, 1.0, 2.0, 3.0].into_iter().enumerate() {
                let bits = &mut self.beyond[4 * side + zone];
                *bits = *bits << 1 | u8::from(x > limit);
            }
        }
        let beyond = self.beyond;
        let broken = move |zone: usize, points: u32, of: u32| {
            [beyond[zone], beyond[4 + zone]].iter().any(|bits| {
                // The newest point has to be one of them: a rule is broken once, by the point that breaks it.
                let run = bits & (u8::MAX >> (8 - of));
                bits & 1 == 1 && run.count_ones() >= points
            })
        };
        [
            (Rule::OneBeyondThree, broken(3, 1, 1)),
            (Rule::TwoOfThreeBeyondTwo, broken(2, 2, 3)),
            (Rule::FourOfFiveBeyondOne, broken(1, 4, 5)),
            (Rule::EightOnOneSide, broken(0, 8, 8)),
        ]
        .into_iter()
        .filter_map(|(rule, broken)| broken.then_some(rule))
    }

    /// The last points, to be stored.
    #[cfg(feature = "store")]
    pub(crate) fn state(self) -> [u8; 8] {
        self.beyond
    }

    /// The chart with stored points.
    #[cfg(feature = "store")]
    pub(crate) fn with_state(beyond: [u8; 8]) -> Self {
        Self { beyond }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(points: &[f64]) -> Vec<Rule> {
        let mut zones = Zones::default();
        points.iter().fold(Vec::new(), |_, x| zones.push(*x).collect())
    }

    #[test]
    fn each_rule_is_broken_by_its_run_and_not_by_one_point_less() {
        assert_eq!(after(&[3.1]), [Rule::OneBeyondThree]);
        assert_eq!(after(&[3.0]), []);
        assert_eq!(after(&[2.1, 0.0, 2.1]), [Rule::TwoOfThreeBeyondTwo]);
        assert_eq!(after(&[2.1, 0.0, 0.0, 2.1]), []);
        assert_eq!(after(&[2.1, 0.0, -2.1]), [], "on one side");
        assert_eq!(after(&[-1.1, -1.1, 0.5, -1.1, -1.1]), [Rule::FourOfFiveBeyondOne]);
        assert_eq!(after(&[-1.1, -1.1, 0.5, 0.5, -1.1]), []);
        assert_eq!(after(&[0.1; 8]), [Rule::EightOnOneSide]);
        assert_eq!(after(&[0.1; 7]), []);
        assert_eq!(after(&[0.1, 0.1, 0.1, 0.0, 0.1, 0.1, 0.1, 0.1]), [], "zero is on no side");
    }

    #[test]
    fn a_point_that_breaks_nothing_itself_is_not_blamed() {
        assert_eq!(after(&[2.1, 2.1, 0.0]), []);
    }
}
