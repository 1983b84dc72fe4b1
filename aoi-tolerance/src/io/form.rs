//! The forms in which sites write limits, turned into lower and upper limits on the way in and back on the way out.

use serde::Deserialize;

use crate::limit::{Side, Tolerance};

/// What the lower and upper columns of a file hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LimitForm {
    /// The limits themselves.
    #[default]
    Absolute,
    /// Distances from the nominal value: `nominal - lower` and `nominal + upper`.
    PlusMinus,
    /// Signed deviations in percent of the nominal value: `nominal + |nominal| * percent / 100`.
    PercentDeviation,
    /// Percentages of a positive nominal value: `nominal * percent / 100`.
    PercentOfNominal,
    /// A radius: the value is the length of (dx, dy), and only an upper limit exists.
    Radial,
}

impl LimitForm {
    /// The word of the mapping file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Absolute => "absolute",
            Self::PlusMinus => "plus_minus",
            Self::PercentDeviation => "percent_deviation",
            Self::PercentOfNominal => "percent_of_nominal",
            Self::Radial => "radial",
        }
    }

    /// One limit as written, as an absolute limit.
    fn absolute(self, side: Side, written: f64, nominal: f64) -> f64 {
        match (self, side) {
            (Self::Absolute | Self::Radial, _) => written,
            (Self::PlusMinus, Side::Lower) => nominal - written,
            (Self::PlusMinus, Side::Upper) => nominal + written,
            (Self::PercentDeviation, _) => nominal + nominal.abs() * written / 100.0,
            (Self::PercentOfNominal, _) => nominal * written / 100.0,
        }
    }

    /// The nominal value to reckon with; none where this form cannot be reckoned about it.
    fn usable(self, nominal: Option<f64>) -> Option<f64> {
        match self {
            Self::Absolute | Self::Radial => Some(0.0),
            Self::PlusMinus => nominal,
            Self::PercentDeviation => nominal.filter(|n| *n != 0.0),
            Self::PercentOfNominal => nominal.filter(|n| *n > 0.0),
        }
    }

    /// The limits as written, as absolute limits; none where the nominal value is needed and missing, zero for a percentage, or negative
    /// for a percentage of it.
    pub fn import(self, written: Tolerance, nominal: Option<f64>) -> Option<Tolerance> {
        let nominal = self.usable(nominal)?;
        let side = |side: Side| written.side(side).map(|w| self.absolute(side, w, nominal));
        let lower = if self == Self::Radial { None } else { side(Side::Lower) };
        Some(Tolerance { lower, upper: side(Side::Upper) })
    }

    /// An absolute limit in this form; read back with [`LimitForm::import`] it flags everything that `limit` flags.
    ///
    /// None where [`LimitForm::import`] would give none.
    pub fn export(self, side: Side, limit: f64, nominal: Option<f64>) -> Option<f64> {
        let nominal = self.usable(nominal)?;
        let mut written = match (self, side) {
            (Self::Absolute | Self::Radial, _) => limit,
            (Self::PlusMinus, Side::Lower) => nominal - limit,
            (Self::PlusMinus, Side::Upper) => limit - nominal,
            (Self::PercentDeviation, _) => (limit - nominal) / nominal.abs() * 100.0,
            (Self::PercentOfNominal, _) => limit / nominal * 100.0,
        };
        // The two roundings may have moved the limit away from flagging: step the written number until it flags again.
        let loosened = |written: f64| side.mirror(self.absolute(side, written, nominal)) < side.mirror(limit);
        let towards_flagging = match (self, side) {
            (Self::PlusMinus, _) | (_, Side::Upper) => f64::next_down,
            (_, Side::Lower) => f64::next_up,
        };
        while loosened(written) {
            written = towards_flagging(written);
        }
        Some(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::Seeded;

    fn both(lower: f64, upper: f64) -> Tolerance {
        Tolerance { lower: Some(lower), upper: Some(upper) }
    }

    #[test]
    fn each_form_gives_the_limits_it_means() {
        let import = |form: LimitForm, l, u, nominal| form.import(both(l, u), nominal);
        assert_eq!(import(LimitForm::Absolute, 1.0, 2.0, None), Some(both(1.0, 2.0)));
        assert_eq!(import(LimitForm::PlusMinus, 0.5, 1.0, Some(10.0)), Some(both(9.5, 11.0)));
        assert_eq!(import(LimitForm::PercentDeviation, -25.0, 50.0, Some(8.0)), Some(both(6.0, 12.0)));
        assert_eq!(import(LimitForm::PercentDeviation, -25.0, 50.0, Some(-8.0)), Some(both(-10.0, -4.0)));
        assert_eq!(import(LimitForm::PercentOfNominal, 75.0, 150.0, Some(8.0)), Some(both(6.0, 12.0)));
        for nominal in [None, Some(-8.0), Some(0.0)] {
            assert_eq!(import(LimitForm::PercentOfNominal, 75.0, 150.0, nominal), None);
        }
        assert_eq!(
            import(LimitForm::Radial, 1.0, 0.1, None),
            Some(Tolerance { lower: None, upper: Some(0.1) })
        );
        assert_eq!(import(LimitForm::PlusMinus, 0.5, 1.0, None), None);
    }

    #[test]
    fn an_exported_limit_reads_back_to_one_that_flags_as_much_and_hardly_more() {
        let mut random = Seeded::new(5);
        let mut checked = 0;
        for form in [LimitForm::PlusMinus, LimitForm::PercentDeviation, LimitForm::PercentOfNominal] {
            for _ in 0..2000 {
                let (mut nominal, limit) = (random.normal() * 100.0, random.normal() * 100.0);
                if form == LimitForm::PercentOfNominal {
                    nominal = nominal.abs();
                }
                for side in [Side::Lower, Side::Upper] {
                    let written = form.export(side, limit, Some(nominal)).unwrap();
                    let back = form.absolute(side, written, nominal);
                    assert!(
                        side.mirror(back) >= side.mirror(limit),
                        "{form:?} {side} {limit} about {nominal}"
                    );
                    assert!(
                        (back - limit).abs() <= 1e-12 * (limit.abs() + nominal.abs()),
                        "{form:?} {back} {limit}"
                    );
                    checked += 1;
                }
            }
        }
        assert_eq!(checked, 12_000);
    }
}
