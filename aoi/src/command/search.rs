//! The search that `--device` asks for.

use aoi_retrieval::ndarray::ArrayView2;
use aoi_retrieval::{CpuOptions, CpuSearch, Metric, RetrievalError, Search};

use super::devices::Device;
use super::outcome::Failure;

/// What the processor is called.
pub(crate) const CPU: &str = "cpu";

/// A search, and where it runs.
pub(crate) struct Placed<'a> {
    pub(crate) search: Box<dyn Search + 'a>,
    pub(crate) device: String,
}

/// Prepares the search over `bank` on `device`.
#[expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]
pub(crate) fn prepare(
    bank: ArrayView2<'_, f32>,
    metric: Metric,
    device: Device,
    threads: usize,
) -> Result<Placed<'_>, Failure> {
    if device != Device::Cpu
        && let Some(placed) = on_gpu(bank, metric, device, threads)?
    {
        return Ok(placed);
    }
    let search =
        CpuSearch::new(bank, metric, &CpuOptions { threads, ..CpuOptions::default() }).map_err(failed)?;
    Ok(Placed { search: Box::new(search), device: CPU.to_owned() })
}

/// A library's error as the command's.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(crate) fn failed(error: RetrievalError) -> Failure {
    Failure::Other(error.to_string())
}

/// None where `auto` is content with the CPU.
#[cfg(not(feature = "gpu"))]
fn on_gpu(
    _: ArrayView2<'_, f32>,
    _: Metric,
    device: Device,
    _: usize,
) -> Result<Option<Placed<'_>>, Failure> {
    match device {
        Device::Gpu => Err(Failure::Other(super::devices::NOT_BUILT.to_owned())),
        Device::Auto | Device::Cpu => Ok(None),
    }
}

/// None where `auto` is content with the CPU: no real GPU, or one that fails, which is said.
#[cfg(feature = "gpu")]
#[expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]
fn on_gpu(
    bank: ArrayView2<'_, f32>,
    metric: Metric,
    device: Device,
    threads: usize,
) -> Result<Option<Placed<'_>>, Failure> {
    use aoi_retrieval::gpu::{DeviceChoice, Gpu, GpuOptions, GpuSearch};

    let choice = if device == Device::Gpu { DeviceChoice::Any } else { DeviceChoice::Hardware };
    let prepared = Gpu::open(choice)
        .and_then(|gpu| GpuSearch::new(&gpu, bank, metric, &GpuOptions { threads, ..GpuOptions::default() }));
    match prepared {
        Ok(search) => {
            let device = search.gpu().info().to_string();
            Ok(Some(Placed { search: Box::new(search), device }))
        }
        Err(e) if device == Device::Gpu => Err(failed(e)),
        Err(
            e @ (RetrievalError::Device { .. }
            | RetrievalError::DeviceLimit { .. }
            | RetrievalError::DeviceLost { .. }
            | RetrievalError::DeviceMemory { .. }),
        ) => {
            eprintln!("aoi: {e}; going on with the CPU");
            Ok(None)
        }
        // No device, or a bank that the CPU search refuses in the same words.
        Err(_) => Ok(None),
    }
}
