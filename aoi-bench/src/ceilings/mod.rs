//! What the machine could do at best: arithmetic per core and on all cores, and the speed of reading memory.
//!
//! A result near its ceiling cannot be improved; a result far from it can. Each kernel does nothing but the operation in question, on
//! enough independent accumulators to hide its latency, with inputs for which the sum is known exactly; a wrong sum is an error.

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
#[cfg(feature = "gpu")]
pub mod gpu;
mod kernel;
mod memory;
mod portable;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::machine::Machine;
use crate::record::median;
use kernel::Kernel;

/// The file of these results.
pub const FILE: &str = "ceilings.json";

/// One ceiling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ceiling {
    /// The operation, such as `f32_fma`.
    pub name: String,
    /// The instructions used, such as `avx512f`.
    pub path: String,
    /// Threads, one per core; 0 where a GPU measures.
    pub threads: usize,
    /// `Gop/s` (a multiply-add counts two) or `GB/s`.
    pub unit: String,
    /// The best repetition: what the machine can do.
    pub best: f64,
    /// The median repetition: how steadily it does it.
    pub median: f64,
}

/// The file of a measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ceilings {
    /// When, RFC 3339.
    pub date: String,
    /// Where.
    pub machine: Machine,
    /// The command that repeats it.
    pub command: String,
    /// All ceilings.
    pub ceilings: Vec<Ceiling>,
}

impl Ceilings {
    /// The ceiling of an operation on all threads.
    pub fn on_all_threads(&self, name: &str) -> Option<&Ceiling> {
        let threads = self.ceilings.iter().map(|c| c.threads).max()?;
        self.ceilings.iter().find(|c| c.name == name && c.threads == threads)
    }
}

/// How long to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Times that each kernel is repeated.
    pub repetitions: usize,
    /// Steps of an arithmetic kernel in one repetition.
    pub steps: u32,
    /// Bytes that a thread reads when memory is measured; must exceed the caches many times over.
    pub bytes: usize,
}

impl Effort {
    /// About ten seconds.
    pub const FULL: Self = Self { repetitions: 9, steps: 1 << 23, bytes: 512 << 20 };
    /// For tests: says nothing about the machine.
    pub const QUICK: Self = Self { repetitions: 1, steps: 1 << 10, bytes: 1 << 20 };
}

/// Measures every ceiling that this machine has, on one core and on all.
///
/// # Errors
/// When a kernel's result is wrong.
pub fn measure(effort: Effort) -> Result<Vec<Ceiling>, Error> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut counts = vec![1, cores];
    counts.dedup();
    let mut ceilings = Vec::new();
    for &threads in &counts {
        for kernel in Kernel::available() {
            let (best, median) = rate(threads, effort.repetitions, &|| {
                let sum = kernel.run(effort.steps);
                (kernel.operations(effort.steps), kernel.check(effort.steps, sum))
            })?;
            ceilings.push(Ceiling {
                name: kernel.name.to_owned(),
                path: kernel.path.to_owned(),
                threads,
                unit: "Gop/s".to_owned(),
                best,
                median,
            });
        }
        for (name, bytes, passes) in [
            ("read_memory", effort.bytes, 1),
            ("read_l2", L2_BYTES.min(effort.bytes), effort.bytes / L2_BYTES),
        ] {
            let buffers: Vec<Vec<u64>> = (0..threads).map(|_| memory::filled(bytes)).collect();
            let next = std::sync::atomic::AtomicUsize::new(0);
            let (best, median) = rate(threads, effort.repetitions, &|| {
                let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % threads;
                memory::read(black_box(&buffers[at]), passes.max(1))
            })?;
            let (path, unit) = (memory::path().to_owned(), "GB/s".to_owned());
            ceilings.push(Ceiling { name: name.to_owned(), path, threads, unit, best, median });
        }
    }
    Ok(ceilings)
}

/// Bytes that lie in the second-level cache of any current processor, and not in the first.
const L2_BYTES: usize = 512 << 10;

/// Best and median of `repetitions`, in 10^9 units a second over all threads; the slowest thread ends a repetition.
fn rate(
    threads: usize,
    repetitions: usize,
    work: &(impl Fn() -> (f64, Result<(), Error>) + Sync),
) -> Result<(f64, f64), Error> {
    let mut rates = Vec::new();
    for _ in 0..repetitions.max(1) {
        let barrier = Barrier::new(threads);
        let outcomes: Vec<(f64, f64, Result<(), Error>)> = std::thread::scope(|scope| {
            let timed = || {
                barrier.wait();
                let start = Instant::now();
                let (units, outcome) = work();
                (units, start.elapsed().as_secs_f64(), outcome)
            };
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(timed)).collect();
            workers
                .into_iter()
                .map(|w| w.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)))
                .collect()
        });
        let (mut units, mut slowest) = (0.0, 0.0_f64);
        for (done, seconds, outcome) in outcomes {
            outcome?;
            units += done;
            slowest = slowest.max(seconds);
        }
        rates.push(units / slowest / 1e9);
    }
    Ok((rates.iter().copied().fold(0.0, f64::max), median(&rates)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_gives_the_sum_it_should_and_a_wrong_sum_is_refused() {
        let kernels = Kernel::available();
        assert!(!kernels.is_empty());
        for kernel in kernels {
            for steps in [1, 7, 1000] {
                kernel.check(steps, kernel.run(steps)).unwrap();
            }
            kernel.check(7, kernel.run(6)).unwrap_err();
        }
    }

    #[test]
    fn ceilings_are_positive_numbers() {
        let ceilings = measure(Effort::QUICK).unwrap();
        assert!(ceilings.len() >= 3);
        assert!(
            ceilings.iter().all(|c| c.best.is_finite() && c.best > 0.0 && c.median <= c.best),
            "{ceilings:?}"
        );
    }
}
