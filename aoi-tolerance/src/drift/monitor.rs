//! One tolerance under watch.

use std::collections::VecDeque;
use std::fmt;

use super::chart::{Cusum, Ewma};
use super::two_sample::kolmogorov_smirnov;
use super::western_electric::Zones;

/// How a [`Monitor`] watches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DriftOptions {
    /// Values in a subgroup.
    pub subgroup: u32,
    /// Subgroups that make the reference.
    pub reference: u32,
    /// Weight of the EWMA chart.
    pub ewma_weight: f64,
    /// Control limit of the EWMA chart, in spreads.
    pub ewma_width: f64,
    /// Half the shift that the CUSUM chart is to find, in spreads.
    pub cusum_slack: f64,
    /// Decision limit of the CUSUM chart, in spreads.
    pub cusum_limit: f64,
    /// Values of the reference sample and of each window compared with it.
    pub sample: u32,
    /// The test of a window alarms at most with this probability when nothing has changed.
    pub alpha: f64,
}

impl Default for DriftOptions {
    /// Limits at which each chart runs 10,000 subgroups on average before a false alarm (the reference known); see the module's page.
    fn default() -> Self {
        Self {
            subgroup: 25,
            reference: 100,
            ewma_weight: 0.1,
            ewma_width: 3.76,
            cusum_slack: 0.5,
            cusum_limit: 8.06,
            sample: 200,
            alpha: 1e-5,
        }
    }
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drift {
    /// The weighted average of subgroup means is out of control.
    Ewma,
    /// The cumulative sum of subgroup means is out of control.
    Cusum,
    /// A window of values is distributed otherwise than the reference.
    Distribution,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ewma => "the average has shifted (EWMA chart)",
            Self::Cusum => "the average has shifted (CUSUM chart)",
            Self::Distribution => {
                "the values are distributed otherwise than in the reference (two-sample test)"
            }
        })
    }
}

/// One subgroup on the charts, standardised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The subgroup's mean.
    pub mean: f64,
    /// The EWMA chart.
    pub ewma: f64,
    /// Its control limit.
    pub ewma_limit: f64,
    /// The CUSUM chart, the larger side.
    pub cusum: f64,
    /// A Western Electric rule is broken: look at it; no alarm.
    pub warning: bool,
}

/// Points kept for the charts.
const POINTS: usize = 120;

/// Watches the values of one tolerance; see the module's page.
///
/// # Examples
/// ```
/// use aoi_tolerance::drift::{DriftOptions, Monitor};
/// let mut monitor = Monitor::new(DriftOptions { reference: 20, ..DriftOptions::default() });
/// let value = |i: u32| f64::from(i * 7919 % 101) / 10.0; // 0 to 10 in no order
/// assert!((0..5_000).all(|i| monitor.push(value(i)).is_none()));
/// assert!((0..5_000).any(|i| monitor.push(value(i) + 3.0).is_some()));
/// assert!(monitor.drift().is_some()); // until somebody has looked
/// ```
#[derive(Debug, Clone)]
pub struct Monitor {
    options: DriftOptions,
    /// Values of the open subgroup: how many, and their sum.
    open: (u32, f64),
    /// Reference subgroups: how many, the mean of their means, and the sum of squares about it.
    learned: (u32, f64, f64),
    sample: Vec<f64>,
    window: Vec<f64>,
    ewma: Ewma,
    cusum: Cusum,
    zones: Zones,
    drift: Option<Drift>,
    points: VecDeque<Point>,
    subgroups: u64,
}

impl Monitor {
    /// A monitor that has seen nothing.
    pub fn new(options: DriftOptions) -> Self {
        Self {
            options,
            open: (0, 0.0),
            learned: (0, 0.0, 0.0),
            sample: Vec::new(),
            window: Vec::new(),
            ewma: Ewma::new(options.ewma_weight, options.ewma_width),
            cusum: Cusum::new(options.cusum_slack, options.cusum_limit),
            zones: Zones::default(),
            drift: None,
            points: VecDeque::new(),
            subgroups: 0,
        }
    }

    /// Takes a value in the order of measurement; what is newly found with it.
    pub fn push(&mut self, value: f64) -> Option<Drift> {
        if !value.is_finite() {
            return None;
        }
        let before = self.drift;
        self.compare(value);
        self.open = (self.open.0 + 1, self.open.1 + value);
        if self.open.0 >= self.options.subgroup {
            let mean = self.open.1 / f64::from(self.open.0);
            self.open = (0, 0.0);
            self.subgroups += 1;
            if self.is_learning() {
                self.learn(mean);
            } else {
                self.chart(mean);
            }
        }
        self.drift.filter(|_| before.is_none())
    }

    /// What was found since the reference was taken; stays until [`Monitor::restart`].
    pub fn drift(&self) -> Option<Drift> {
        self.drift
    }

    /// Whether the reference is still being taken.
    pub fn is_learning(&self) -> bool {
        self.learned.0 < self.options.reference
    }

    /// The last points of the charts, oldest first.
    pub fn points(&self) -> impl Iterator<Item = &Point> {
        self.points.iter()
    }

    /// Subgroups seen.
    pub fn subgroups(&self) -> u64 {
        self.subgroups
    }

    /// Somebody has found the cause: what comes now is the new reference.
    pub fn restart(&mut self) {
        *self = Self::new(self.options);
    }

    fn learn(&mut self, mean: f64) {
        let (count, centre, squares) = self.learned;
        let count = count + 1;
        let off = mean - centre;
        let centre = centre + off / f64::from(count);
        self.learned = (count, centre, squares + off * (mean - centre));
    }

    fn chart(&mut self, mean: f64) {
        let (count, centre, squares) = self.learned;
        let spread = (squares / f64::from(count.max(2) - 1)).sqrt();
        let raw = (mean - centre) / spread;
        // Without spread any other mean is far off; bounds keep the charts finite.
        let x = if mean == centre {
            0.0
        } else if raw.is_nan() {
            1e3
        } else {
            raw.clamp(-1e3, 1e3)
        };
        let (ewma, cusum) = (self.ewma.push(x), self.cusum.push(x));
        let warning = self.zones.push(x).next().is_some();
        let found =
            [(ewma, Drift::Ewma), (cusum, Drift::Cusum)].into_iter().find_map(|(out, d)| out.then_some(d));
        self.drift = self.drift.or(found);
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        let (high, low) = self.cusum.sums();
        self.points.push_back(Point {
            mean: x,
            ewma: self.ewma.value(),
            ewma_limit: self.ewma.limit(),
            cusum: high.max(low),
            warning,
        });
    }

    /// Takes every so-manieth value of the reference as a sample, and later compares full windows with it.
    fn compare(&mut self, value: f64) {
        let Self { options, sample, window, .. } = self;
        let wanted = options.sample as usize;
        if self.learned.0 < options.reference {
            let seen = self.learned.0 * options.subgroup + self.open.0;
            let every = (options.reference * options.subgroup / options.sample.max(1)).max(1);
            if sample.len() < wanted && seen.is_multiple_of(every) {
                sample.push(value);
            }
            return;
        }
        window.push(value);
        if window.len() >= wanted.max(1) {
            let found = kolmogorov_smirnov(sample, window);
            window.clear();
            if found.is_some_and(|d| d.p <= options.alpha) {
                self.drift = self.drift.or(Some(Drift::Distribution));
            }
        }
    }
}

#[cfg(feature = "store")]
mod image {
    use super::{Drift, DriftOptions, Monitor, Point, Zones};
    use crate::store::codec::{Damaged, Reader, Writer};

    impl Monitor {
        pub(crate) fn write(&self, out: &mut Writer) {
            let (high, low) = self.cusum.sums();
            let [z, fading] = self.ewma.state();
            out.count(self.open.0.into());
            out.count(self.learned.0.into());
            out.count(self.subgroups);
            for x in [self.open.1, self.learned.1, self.learned.2, z, fading, high, low] {
                out.real(x);
            }
            out.fixed(&self.zones.state());
            out.byte(match self.drift {
                None => 0,
                Some(Drift::Ewma) => 1,
                Some(Drift::Cusum) => 2,
                Some(Drift::Distribution) => 3,
            });
            for values in [&self.sample, &self.window] {
                out.reals(values);
            }
            out.count(self.points.len() as u64);
            for p in &self.points {
                for x in [p.mean, p.ewma, p.ewma_limit, p.cusum] {
                    out.real(x);
                }
                out.byte(u8::from(p.warning));
            }
        }

        pub(crate) fn read(input: &mut Reader<'_>, options: DriftOptions) -> Result<Self, Damaged> {
            let mut monitor = Self::new(options);
            monitor.open.0 = input.small()?;
            monitor.learned.0 = input.small()?;
            monitor.subgroups = input.count()?;
            monitor.open.1 = input.real()?;
            monitor.learned.1 = input.real()?;
            monitor.learned.2 = input.real()?;
            monitor.ewma = monitor.ewma.with_state([input.real()?, input.real()?]);
            monitor.cusum = monitor.cusum.with_sums((input.real()?, input.real()?));
            monitor.zones = Zones::with_state(input.fixed()?);
            monitor.drift = match input.byte()? {
                0 => None,
                1 => Some(Drift::Ewma),
                2 => Some(Drift::Cusum),
                3 => Some(Drift::Distribution),
                _ => return Err(Damaged),
            };
            monitor.sample = input.reals()?;
            monitor.window = input.reals()?;
            for _ in 0..input.count()? {
                monitor.points.push_back(Point {
                    mean: input.real()?,
                    ewma: input.real()?,
                    ewma_limit: input.real()?,
                    cusum: input.real()?,
                    warning: input.byte()? != 0,
                });
            }
            Ok(monitor)
        }
    }
}
