//! The search that `--device` and `--gpu-scan` ask for.

#[cfg(feature = "gpu")]
mod fallback;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "gpu")]
use aoi_retrieval::gpu::{DeviceChoice, Gpu, GpuOptions, GpuSearch, Scan};
use aoi_retrieval::ndarray::ArrayView2;
use aoi_retrieval::{CpuOptions, CpuSearch, Metric, ProgressFn, RetrievalError, Search};
use clap::{Args, ValueEnum};

#[cfg(feature = "gpu")]
use self::fallback::WithFallback;
use super::devices::Device;
use super::outcome::Failure;

/// What the processor is called.
pub(crate) const CPU: &str = "cpu";

/// Where a bank is searched, and how.
#[derive(Args)]
pub(crate) struct PlaceArguments {
    /// Where to search; results do not depend on it
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) device: Device,
    /// What a GPU reads of the bank before it looks closer; results do not depend on it
    #[arg(long, value_enum, value_name = "SCAN", default_value = "auto")]
    pub(crate) gpu_scan: GpuScan,
}

/// What a GPU scans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum GpuScan {
    /// f16 where the GPU knows it and rows count as unit vectors, else f32; not yet measured on hardware
    #[default]
    Auto,
    /// The rows themselves
    F32,
    /// A copy in f16; only on GPUs that know it
    F16,
    /// A copy in bytes
    Int8,
    /// f16 by the GPU's matrix units where it has them; what this uses of the driver is experimental
    Cooperative,
}

/// A search, and where it runs.
pub(crate) struct Placed<'a> {
    pub(crate) search: Box<dyn Search + 'a>,
    pub(crate) device: String,
    /// What the GPU scans; none on the CPU.
    scan: Option<&'static str>,
    /// Whether the GPU failed on the way.
    gave_up: Arc<AtomicBool>,
}

impl Placed<'_> {
    /// The device that gave the last answer, and what it scanned if it is a GPU.
    pub(crate) fn answered_by(&self) -> (&str, Option<&'static str>) {
        if self.gave_up.load(Ordering::Acquire) { (CPU, None) } else { (&self.device, self.scan) }
    }
}

/// Where banks are searched, with its device open.
pub(crate) struct Place {
    #[cfg(feature = "gpu")]
    device: Device,
    #[cfg(feature = "gpu")]
    gpu: Option<(Gpu, Scan)>,
}

impl PlaceArguments {
    /// Opens the device, once for any number of banks.
    pub(crate) fn open(&self) -> Result<Place, Failure> {
        #[cfg(not(feature = "gpu"))]
        match self.device {
            Device::Gpu => Err(Failure::Other(super::devices::NOT_BUILT.to_owned())),
            Device::Auto | Device::Cpu => Ok(Place {}),
        }
        #[cfg(feature = "gpu")]
        Ok(Place { device: self.device, gpu: gpu(self)? })
    }
}

impl Place {
    /// Prepares the search over `bank`, with `progress` in rows read.
    #[expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]
    #[cfg_attr(
        not(feature = "gpu"),
        expect(clippy::unused_self, reason = "a place is a device where one is built in")
    )]
    pub(crate) fn prepare<'a>(
        &self,
        bank: ArrayView2<'a, f32>,
        metric: Metric,
        threads: usize,
        progress: &mut ProgressFn<'_>,
    ) -> Result<Placed<'a>, Failure> {
        #[cfg(feature = "gpu")]
        if let Some(placed) = self.on_gpu(bank, metric, threads, progress)? {
            return Ok(placed);
        }
        let options = CpuOptions { threads, ..CpuOptions::default() };
        let search = CpuSearch::with_progress(bank, metric, &options, progress).map_err(failed)?;
        Ok(Placed { search: Box::new(search), device: CPU.to_owned(), scan: None, gave_up: Arc::default() })
    }

    /// None where `auto` is content with the CPU: no real GPU, or one that fails, which is said.
    #[cfg(feature = "gpu")]
    #[expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]
    fn on_gpu<'a>(
        &self,
        bank: ArrayView2<'a, f32>,
        metric: Metric,
        threads: usize,
        progress: &mut ProgressFn<'_>,
    ) -> Result<Option<Placed<'a>>, Failure> {
        let Some((gpu, scan)) = &self.gpu else { return Ok(None) };
        let options = GpuOptions { scan: *scan, threads, ..GpuOptions::default() };
        match GpuSearch::with_progress(gpu, bank, metric, &options, progress) {
            Ok(search) => {
                let (device, scan) = (search.gpu().info().to_string(), Some(search.scan().name()));
                let gave_up = Arc::default();
                // Who asks for the GPU is told when it fails.
                let search: Box<dyn Search + 'a> = match self.device {
                    Device::Gpu => Box::new(search),
                    _ => Box::new(WithFallback::new(search, &bank, threads, Arc::clone(&gave_up))),
                };
                Ok(Some(Placed { search, device, scan, gave_up }))
            }
            Err(e @ RetrievalError::Cancelled { .. }) => Err(failed(e)),
            Err(e) => self.device.without(&e).map(|()| None),
        }
    }
}

/// A library's error as the command's.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(crate) fn failed(error: RetrievalError) -> Failure {
    Failure::Other(error.to_string())
}

#[cfg(feature = "gpu")]
impl Device {
    /// Whether to go on without a GPU that gave this error: who asks for it is told, and `auto` warns where the device is at fault.
    fn without(self, error: &RetrievalError) -> Result<(), Failure> {
        if self == Self::Gpu {
            return Err(Failure::Other(error.to_string()));
        }
        // A scan that the GPU does not know is a bad option of it alone. What is left: no device, or a bank that the CPU search refuses in the same words.
        if fallback::is_of_the_device(error) || matches!(error, RetrievalError::BadOption { .. }) {
            fallback::warn(error);
        }
        Ok(())
    }
}

/// The GPU and its scan; none where they are not asked for, or `auto` is content with the CPU.
#[cfg(feature = "gpu")]
fn gpu(place: &PlaceArguments) -> Result<Option<(Gpu, Scan)>, Failure> {
    let choice = match place.device {
        Device::Cpu => return Ok(None),
        Device::Gpu => DeviceChoice::Any,
        Device::Auto => DeviceChoice::Hardware,
    };
    let scan = match place.gpu_scan {
        GpuScan::Auto => Scan::Auto,
        GpuScan::F32 => Scan::F32,
        GpuScan::F16 | GpuScan::Cooperative => Scan::F16,
        GpuScan::Int8 => Scan::Int8,
    };
    let open = || {
        if place.gpu_scan != GpuScan::Cooperative {
            return Gpu::open(choice);
        }
        let gpu = Gpu::open_experimental(choice)?;
        if !gpu.uses_cooperative_matrices()? {
            eprintln!("note: {} has no matrix units that this search can use; f16 without them", gpu.info());
        }
        Ok(gpu)
    };
    match open() {
        Ok(gpu) => Ok(Some((gpu, scan))),
        Err(e) => place.device.without(&e).map(|()| None),
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use aoi_retrieval::ndarray::Array2;

    use super::*;

    #[test]
    fn a_build_that_is_stopped_is_a_failure_wherever_it_is_made() {
        let bank = Array2::from_shape_fn((300, 4), |(i, j)| (i * 7 + j) as f32);
        for device in [Device::Auto, Device::Cpu] {
            let place = PlaceArguments { device, gpu_scan: GpuScan::Auto };
            let mut calls = 0;
            let stopped = place.open().unwrap().prepare(bank.view(), Metric::L2, 1, &mut |p| {
                calls += 1;
                if p.done > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            let Err(Failure::Other(words)) = stopped.map(|_| ()) else { panic!("built") };
            assert!(words.contains("cancelled after 300 of"), "{words}");
            assert_eq!(calls, 2);
        }
    }
}
