//! One measured value of one feature on one inspected part, as it comes from a machine and its review.

use std::fmt;
use std::num::NonZeroU128;

use sha2::{Digest, Sha256};

use crate::limit::Tolerance;
use crate::resolution::Resolution;

/// What the review said of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Not flagged; nobody looked.
    Pass,
    /// Flagged, and not reviewed, or reviewed with an unknown word: blocks its limit above the set share.
    Pending,
    /// Flagged, and found good: feeds the percentile.
    FalseCall,
    /// A bulk or preliminary verdict: guards, proves nothing.
    Provisional,
    /// A deviation that was accepted: guards, proves nothing.
    Borderline,
    /// A confirmed fault: guards and counts as evidence.
    Defect,
    /// A fault found later, by test, X-ray or a customer: guards and counts where flagged, else asks for a tighter limit.
    Escape,
}

impl Verdict {
    /// All verdicts, mildest first: where copies of one record disagree, the one further down this list counts.
    pub const ALL: [Self; 7] = [
        Self::Pass,
        Self::Pending,
        Self::FalseCall,
        Self::Provisional,
        Self::Borderline,
        Self::Defect,
        Self::Escape,
    ];

    /// Whether it confirms a real fault.
    pub fn is_fault(self) -> bool {
        matches!(self, Self::Defect | Self::Escape)
    }

    /// Whether a flagged value with it holds the limit.
    pub fn guards(self) -> bool {
        self.is_fault() || matches!(self, Self::Borderline | Self::Provisional)
    }

    /// The word of the record format.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::FalseCall => "false_call",
            Self::Pending => "pending",
            Self::Provisional => "provisional",
            Self::Borderline => "borderline",
            Self::Defect => "defect",
            Self::Escape => "escape",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What a tolerance belongs to. Sorts by its fields in the order given, bytewise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Key {
    /// Part number.
    pub part: String,
    /// Board model or recipe.
    pub model: String,
    /// Revision of the recipe.
    pub revision: String,
    /// Kind of inspection: solder, tombstone, lead height.
    pub inspection: String,
    /// The measured quantity.
    pub feature: String,
    /// Unit of the value.
    pub unit: String,
}

impl Key {
    /// The fields in order.
    pub fn fields(&self) -> [&str; 6] {
        [&self.part, &self.model, &self.revision, &self.inspection, &self.feature, &self.unit]
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for field in self.fields().into_iter().filter(|s| !s.is_empty()) {
            if !first {
                f.write_str(" / ")?;
            }
            f.write_str(field)?;
            first = false;
        }
        Ok(())
    }
}

/// A name reduced to 128 bits of its SHA-256: boards, defects and record ids are only ever compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(NonZeroU128);

impl Identity {
    /// The identity of a name made of several parts; ("ab", "c") and ("a", "bc") differ.
    pub fn of(parts: &[&str]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part.as_bytes());
        }
        let bytes: [u8; 32] = digest.finalize().into();
        let number = bytes.iter().take(16).fold(0, |number, byte| number << 8 | u128::from(*byte));
        Self(NonZeroU128::new(number).unwrap_or(NonZeroU128::MIN))
    }

    /// Its 128 bits.
    #[cfg(feature = "store")]
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        self.0.get().to_le_bytes()
    }

    /// The identity with these bits; zero is none.
    #[cfg(feature = "store")]
    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Option<Self> {
        NonZeroU128::new(u128::from_le_bytes(bytes)).map(Self)
    }

    /// Half of its bits.
    #[expect(clippy::cast_possible_truncation, reason = "half is wanted")]
    pub(crate) fn low(self) -> u64 {
        self.0.get() as u64
    }

    /// The identity of what has this name under a key: one record may be measured in several features.
    pub(crate) fn under(self, key: [&str; 6]) -> Self {
        let own = self.0.to_string();
        let [part, model, revision, inspection, feature, unit] = key;
        Self::of(&[&own, part, model, revision, inspection, feature, unit])
    }

    /// A number that orders identities by chance, the same for the same seed.
    pub(crate) fn shuffled(self, seed: u64) -> Self {
        Self::of(&[&self.0.to_string(), &seed.to_string()])
    }
}

/// Where a record was read: a file, by its place in the caller's list, and a line of it, the first being 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Source {
    /// Place of the file in the caller's list.
    pub file: u32,
    /// Line on which the record starts.
    pub line: u64,
}

/// One record, borrowed from wherever it was read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Record<'a> {
    /// The key's fields, in the order of [`Key::fields`]; empty where absent.
    pub key: [&'a str; 6],
    /// The measured value.
    pub value: f64,
    /// The limits in force.
    pub tolerance: Tolerance,
    /// The review's verdict; none = missing or unknown.
    pub verdict: Option<Verdict>,
    /// The expected value.
    pub nominal: Option<f64>,
    /// Repeatability of the measurement.
    pub sigma: Option<f64>,
    /// Step in which the machine stores the limits.
    pub resolution: Option<Resolution>,
    /// The machine's own decision.
    pub machine_flagged: Option<bool>,
    /// Names the record; repeated records are counted once.
    pub record_id: &'a str,
    /// Names the fault that several records may show.
    pub defect_id: &'a str,
    /// Names the board; splits keep a board on one side.
    pub board: &'a str,
    /// Reference designator on the board.
    pub refdes: &'a str,
    /// Who gave the verdict; records judged by several reviewers show how they agree.
    pub reviewer: &'a str,
    /// When it was measured, in nanoseconds since 1970-01-01 UTC.
    pub time: Option<i64>,
    /// Where it was read.
    pub source: Source,
}
