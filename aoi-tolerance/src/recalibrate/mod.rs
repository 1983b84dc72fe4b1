//! Limits kept current, one record at a time.
//!
//! A [`Recalibrator`] takes every measurement as it comes and holds, for each limit, the exact multiset of the false calls that T0 flags, the exact
//! defects, and counts. What it proposes at any moment is, bit for bit, what [`crate::optimise::optimise`] proposes from the same records read
//! at once: nothing is sketched. A record costs O(log n) in the flagged values of its limit, a proposal too.
//!
//! - **No ratchet.** The percentile is taken over what T0 flagged, never over what the limit in force flags. Once a relaxed limit is
//!   [applied](Recalibrator::apply), the values between it and T0 pass without review; they are kept as *presumed* false calls, so that the
//!   population stays that of T0.
//! - **Late words.** A record that comes again under its id corrects what is known of it: a verdict may arrive or change days later. Silence is no
//!   correction, and a fault is never talked down: it stays until [`Recalibrator::withdraw`], which the caller is to approve and log.
//! - **Windows** ([`Window`]) let false calls and passes grow old; defects never do.
//! - **Shards** of a stream, divided by record, [merge](Recalibrator::merge) into the recalibrator of the whole.
//!
//! Time and place in the stream are arguments; the same calls give the same state.

mod correct;
#[cfg(feature = "store")]
pub(crate) mod image;
mod intake;
mod merge;
mod notice;
mod propose;
mod ranked;
mod released;
mod row;
mod seen;
mod side;
mod window;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::collect::{CollectOptions, Intake};
use crate::limit::{Side, Tolerance};
use crate::population::LimitId;
use crate::record::{Identity, Key, Verdict};

pub use correct::Withheld;
pub use notice::Notice;
pub use propose::Standing;
pub use ranked::Ranked;
pub use released::{CaughtDefect, Released};
pub use window::Window;

pub(crate) use row::Slot;

use row::LiveRow;
use seen::Seen;

/// How a stream is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveOptions {
    /// How records become evidence.
    pub collect: CollectOptions,
    /// Which false calls and passes count.
    pub window: Window,
}

/// One limit of a recalibrator; good for that recalibrator, for as long as it lives, and for what is restored from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LiveLimit {
    /// Number of its tolerance, in order of appearance.
    pub(crate) slot: u32,
    /// Its side.
    pub side: Side,
}

/// Where and when a record came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its place in the stream; unique, and rising in the order of arrival.
    pub sequence: u64,
    /// When it was received, in nanoseconds since 1970-01-01 UTC; stands in where a record carries no time, or one far ahead.
    pub received: i64,
}

/// What a record did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was counted.
    New,
    /// It was known, and said nothing new.
    Known,
    /// It was known, and corrected what was known.
    Corrected,
    /// It was known as a fault and now is said to be none: it stays a fault until that is approved.
    Withheld,
    /// It could not be used; what it may have been blocks or is pending.
    Refused(Intake),
}

/// Counts over the whole stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LiveCounts {
    /// Records counted, each once.
    pub records: u64,
    /// Of these, flagged by T0 or faults.
    pub kept: u64,
    /// Of these, released by a relaxed limit when they came.
    pub released: u64,
    /// Records that came again and said nothing new.
    pub known: u64,
    /// Records that came again and corrected what was known.
    pub corrected: u64,
    /// Records that could not be used.
    pub refused: u64,
}

/// A key, its mark in the table of passes, and its tolerances.
#[derive(Debug, Clone)]
struct Known {
    key: Key,
    mark: u64,
    slots: Vec<u32>,
}

/// Keeps limits current; see the module's page.
///
/// # Examples
/// ```
/// use aoi_tolerance::limit::Tolerance;
/// use aoi_tolerance::options::Options;
/// use aoi_tolerance::recalibrate::{Arrival, LiveOptions, Recalibrator};
/// use aoi_tolerance::record::{Record, Verdict};
///
/// let mut live = Recalibrator::new(LiveOptions::default());
/// for i in 0..60_u32 {
///     let id = i.to_string();
///     let record = Record {
///         key: ["R0402", "", "", "solder", "height", "um"],
///         value: 39.9 - 0.1 * f64::from(i),
///         tolerance: Tolerance { lower: Some(40.0), upper: None },
///         verdict: Some(if i == 55 { Verdict::Defect } else { Verdict::FalseCall }),
///         record_id: &id,
///         ..Record::default()
///     };
///     live.push(&record, Arrival { sequence: i.into(), received: 0 });
///     live.push(&record, Arrival { sequence: i.into(), received: 0 }); // a second time: it is known
/// }
/// let (limit, proposal) = live.propose(&Options::default())?.remove(0);
/// assert_eq!((proposal.false_calls_before, proposal.defects_after), (59, 1));
///
/// live.apply(limit, proposal.new_limit);
/// let released = Record {
///     key: ["R0402", "", "", "solder", "height", "um"],
///     value: proposal.new_limit, // passes now, and was flagged by T0
///     tolerance: Tolerance { lower: Some(proposal.new_limit), upper: None },
///     ..Record::default()
/// };
/// live.push(&released, Arrival { sequence: 60, received: 0 });
/// assert_eq!(live.propose(&Options::default())?[0].1.false_calls_before, 60); // presumed to be one
/// # Ok::<(), aoi_tolerance::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Recalibrator {
    options: LiveOptions,
    index: HashMap<Box<[u8]>, u32>,
    keys: Vec<Known>,
    slots: Vec<Slot>,
    rows: Vec<LiveRow>,
    /// The row that stands for a record under a key.
    names: HashMap<(Identity, u32), u32>,
    /// How many flagged rows show a fault.
    caught: HashMap<Identity, u32>,
    /// Passing records.
    seen: Seen,
    /// Records that cannot be placed, by what could be read of their key: how many guard, and how many are pending.
    unreadable: BTreeMap<[Option<String>; 6], (u64, u64)>,
    /// Faults that are said to be none, and the verdict that was given instead.
    withheld: BTreeMap<u32, Verdict>,
    /// Part, model, inspection, feature and unit of every key: a further one of the same is a new revision.
    families: BTreeSet<Identity>,
    newest: i64,
    counts: LiveCounts,
    notices: Vec<Notice>,
    /// Slots whose evidence has changed since it was last asked for.
    changed: BTreeSet<u32>,
    encoded: Vec<u8>,
}

impl Recalibrator {
    /// An empty one.
    pub fn new(options: LiveOptions) -> Self {
        Self {
            options,
            index: HashMap::new(),
            keys: Vec::new(),
            slots: Vec::new(),
            rows: Vec::new(),
            names: HashMap::new(),
            caught: HashMap::new(),
            seen: Seen::default(),
            unreadable: BTreeMap::new(),
            withheld: BTreeMap::new(),
            families: BTreeSet::new(),
            newest: i64::MIN,
            counts: LiveCounts::default(),
            notices: Vec::new(),
            changed: BTreeSet::new(),
            encoded: Vec::new(),
        }
    }

    /// How the stream is kept.
    pub fn options(&self) -> LiveOptions {
        self.options
    }

    /// Counts over the whole stream.
    pub fn counts(&self) -> LiveCounts {
        self.counts
    }

    /// What has happened since this was last asked that somebody should hear.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// The limits whose evidence has changed since this was last asked.
    pub fn take_changed(&mut self) -> Vec<LiveLimit> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().flat_map(|slot| self.limits_of(slot).collect::<Vec<_>>()).collect()
    }

    /// All limits, in order of appearance.
    pub fn limits(&self) -> impl Iterator<Item = LiveLimit> + '_ {
        (0..).zip(&self.slots).flat_map(|(slot, _)| self.limits_of(slot))
    }

    fn limits_of(&self, slot: u32) -> impl Iterator<Item = LiveLimit> + use<> {
        let sides = self.slots[slot as usize].baseline;
        [Side::Lower, Side::Upper]
            .into_iter()
            .filter(move |side| sides.side(*side).is_some())
            .map(move |side| LiveLimit { slot, side })
    }

    /// The limit in force for `limit` is now `value`; T0 stays what the population is measured by. Ignored for a value that is not finite.
    pub fn apply(&mut self, limit: LiveLimit, value: f64) {
        if !value.is_finite() {
            return;
        }
        let slot = &mut self.slots[limit.slot as usize];
        let mut live = slot.live;
        match limit.side {
            Side::Lower => live.lower = Some(value + 0.0),
            Side::Upper => live.upper = Some(value + 0.0),
        }
        if live != slot.live {
            let before = std::mem::replace(&mut slot.live, live);
            slot.earlier.push(before);
            slot.earlier.retain(|t| *t != live);
        }
        slot.unsettled = false;
        self.changed.insert(limit.slot);
    }

    /// Lets false calls and passes grow old as if a record had come at `time`; time never runs back.
    pub fn advance(&mut self, time: i64) {
        if time <= self.newest {
            return;
        }
        let window = self.options.window;
        let (old, edge) = (window.edge(self.newest), window.edge(time));
        self.newest = time;
        if edge == old {
            return;
        }
        for (number, slot) in (0..).zip(&mut self.slots) {
            slot.passes.forget_before(edge);
            let rows = &self.rows;
            let slid = slot.sides_mut().map(|s| s.slide(window, edge, rows)).fold(false, |a, b| a | b);
            if slid {
                self.changed.insert(number);
            }
        }
    }

    /// T0 and the limit in force.
    pub fn in_force(&self, limit: LiveLimit) -> (f64, f64) {
        let Slot { baseline, live, .. } = &self.slots[limit.slot as usize];
        let of = |t: &Tolerance| t.side(limit.side).unwrap_or(f64::NAN);
        (of(baseline), of(live))
    }

    /// The limit of this name and T0, if there is one.
    pub fn find(&self, key: &Key, side: Side, baseline: f64) -> Option<LiveLimit> {
        let known = self.keys.iter().find(|k| k.key == *key)?;
        let slot = known.slots.iter().find(|s| {
            self.slots[**s as usize].baseline.side(side).is_some_and(|l| l.to_bits() == baseline.to_bits())
        })?;
        Some(LiveLimit { slot: *slot, side })
    }

    /// What the limit belongs to; versions of one key are numbered as [`LimitId::version`] says.
    pub fn name(&self, limit: LiveLimit) -> LimitId {
        let slot = &self.slots[limit.slot as usize];
        let Known { key, slots, .. } = &self.keys[slot.key as usize];
        let order = |s: &Slot| (s.first_time, s.baseline);
        let before = slots.iter().filter(|other| {
            let (a, b) = (order(&self.slots[**other as usize]), order(slot));
            a.0.cmp(&b.0).then_with(|| crate::population::order_of_limits(a.1, b.1)).is_lt()
        });
        let version = 1 + u32::try_from(before.count()).unwrap_or(u32::MAX - 1);
        LimitId { key: key.clone(), version, side: limit.side }
    }
}

/// Whether a record of which `pattern` could be read may belong to `key`.
fn matches(pattern: &[Option<String>; 6], key: &Key) -> bool {
    pattern.iter().zip(key.fields()).all(|(wanted, field)| wanted.as_deref().is_none_or(|w| w == field))
}
