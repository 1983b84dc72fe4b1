//! Do the measurements still look like those that the limits were learned from?
//!
//! A certificate speaks for defects "of the same process, measured by the same system". A [`Monitor`] watches the values of one tolerance for signs
//! that this has changed: the first subgroups give a reference (mean and spread of subgroup means), later ones are put on an EWMA chart, a
//! two-sided CUSUM chart and the Western Electric rules, and a window of single values is compared with a sample of the reference by the
//! two-sample Kolmogorov-Smirnov test. On drift the certificate is void and T0 is to be proposed; nothing is ever loosened by it.
//!
//! # False alarms
//! Means of 25 values are near normal for most distributions, so that charts count in subgroups. With the reference known, the default charts
//! give a false alarm once in so many subgroups on average: EWMA 10,000, CUSUM 10,000 ([`run_length`] computes it), two of the Western Electric
//! rules are left out because all four together alarm every 92. The test of samples alarms in at most one window of 10^5, exactly, for any
//! distribution and with any ties. A reference estimated from 100 subgroups shortens the charts' runs; a test simulates the whole monitor
//! and holds it to the rate that [`FALSE_ALARMS_PER_1000`] states.
//!
//! # Source
//! Roberts, Technometrics 1 (1959); Page, Biometrika 41 (1954); Western Electric, Statistical Quality Control Handbook (1956).

mod chart;
mod monitor;
pub mod run_length;
mod two_sample;
mod western_electric;

pub use chart::{Cusum, Ewma};
pub use monitor::{Drift, DriftOptions, Monitor, Point};
pub use two_sample::{Distance, kolmogorov_smirnov};
pub use western_electric::{Rule, Zones};

/// Upper bound on the false alarms of a whole default monitor in a thousand subgroups, for values that are independent and identically distributed.
///
/// Verified by simulation over normal, exponential and gridded values (test `drift`), which give about half of it; heavier tails reach it.
pub const FALSE_ALARMS_PER_1000: f64 = 1.0;
