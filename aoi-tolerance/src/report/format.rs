//! How numbers are written: each type wraps one kind of number and says how a reader sees it.

use std::fmt;

/// A count with a comma between thousands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count(pub(super) u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A measured value or limit in the shortest form that reads back to the same f64, so that it may be typed into a machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number(pub(super) f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let x = self.0 + 0.0; // -0.0 reads as 0
        if x == 0.0 || (1e-6..1e15).contains(&x.abs()) { write!(f, "{x}") } else { write!(f, "{x:e}") }
    }
}

/// A length that nobody types in, such as a distance, to six digits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rounded(pub(super) f64);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Number(format!("{:.5e}", self.0).parse().unwrap_or(self.0)))
    }
}

/// A share of a whole as a percentage with two decimals. Only nothing is written as 0 and only the whole as 100.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Share(pub(super) f64);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0 * 100.0;
        if percent > 0.0 && percent < 0.005 {
            f.write_str("<0.01\u{a0}%")
        } else if (99.995..100.0).contains(&percent) {
            f.write_str(">99.99\u{a0}%")
        } else {
            write!(f, "{percent:.2}\u{a0}%")
        }
    }
}

/// The share of `before` that is gone in `after`, with its sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) before: u64,
    pub(super) after: u64,
}

impl Change {
    /// How many fewer there are.
    pub(super) fn saved(self) -> Count {
        Count(self.before.saturating_sub(self.after))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.before == self.after {
            return f.write_str("no change");
        }
        let (sign, difference) = if self.after < self.before {
            ("\u{2212}", self.before - self.after)
        } else {
            ("+", self.after - self.before)
        };
        match self.before {
            0 => write!(f, "{sign}{}", Count(difference)),
            before => write!(f, "{sign}{}", Share(difference as f64 / before as f64)),
        }
    }
}

/// An upper bound on a share as a percentage of three digits, rounded up: a bound may be printed larger, never smaller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct AtMost(pub(super) f64);

impl fmt::Display for AtMost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0 * 100.0;
        if percent.is_nan() || percent <= 0.0 {
            return write!(f, "{percent}\u{a0}%");
        }
        let unit = 10_f64.powf(percent.log10().floor() - 2.0);
        // A bound that is three digits already must not be lifted by its own rounding error.
        let steps = (percent / unit * (1.0 - 1e-12)).ceil();
        write!(f, "\u{2264}\u{a0}{}\u{a0}%", trimmed(steps * unit, 8))
    }
}

/// `x` with at most `decimals` decimals and no trailing zeros.
pub(super) fn trimmed(x: f64, decimals: usize) -> String {
    let text = format!("{x:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A round share, such as a confidence, as a percentage without needless zeros.
pub(super) fn percent(share: f64) -> String {
    format!("{}\u{a0}%", trimmed(share * 100.0, 6))
}

/// A length or place in a drawing, to a tenth of its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Px(pub(super) f64);

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Adding zero after rounding turns -0.0 into 0.0.
        write!(f, "{}", (self.0 * 10.0).round() / 10.0 + 0.0)
    }
}

/// `one` or `many`, after its count.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", Count(count), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        for (count, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(Count(count).to_string(), text);
        }
        assert_eq!(Count(u64::MAX).to_string(), "18,446,744,073,709,551,615");
    }

    #[test]
    fn numbers_read_back_to_themselves_and_stay_short() {
        for x in [42.3, 45.0_f64.next_up(), -1e300, 5e-324, 0.1 + 0.2, 123_456.75, 1e15, -2e-7] {
            let text = Number(x).to_string();
            assert_eq!(text.parse::<f64>().unwrap(), x);
            assert!(text.len() <= 24, "{text}");
        }
        assert_eq!(Number(-0.0).to_string(), "0");
        assert_eq!(Rounded(0.009_000_000_000_000_001).to_string(), "0.009");
        assert_eq!(Rounded(f64::NAN).to_string(), "NaN");
    }

    #[test]
    fn a_share_is_rounded_to_neither_nothing_nor_everything() {
        for (share, text) in [(0.0, "0.00\u{a0}%"), (1e-9, "<0.01\u{a0}%"), (0.1816, "18.16\u{a0}%")] {
            assert_eq!(Share(share).to_string(), text);
        }
        assert_eq!(Share(0.999_999).to_string(), ">99.99\u{a0}%");
        assert_eq!(Share(1.0).to_string(), "100.00\u{a0}%");
    }

    #[test]
    fn a_bound_is_rounded_up() {
        // 1 - 0.05^(1/59) = 0.04950...: three digits would be 4.95 rounded to nearest.
        for (bound, text) in [
            (0.049_508, "\u{2264}\u{a0}4.96\u{a0}%"),
            (0.05, "\u{2264}\u{a0}5\u{a0}%"),
            (0.95, "\u{2264}\u{a0}95\u{a0}%"),
        ] {
            assert_eq!(AtMost(bound).to_string(), text);
        }
    }

    #[test]
    fn a_change_carries_its_sign() {
        assert_eq!(Change { before: 54_019, after: 44_209 }.to_string(), "\u{2212}18.16\u{a0}%");
        assert_eq!(Change { before: 5, after: 5 }.to_string(), "no change");
        assert_eq!(Change { before: 0, after: 5 }.to_string(), "+5");
    }
}
