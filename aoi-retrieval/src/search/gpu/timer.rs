//! The time of the kernels, by the device's own clock.

use std::time::Duration;

use super::device::Gpu;
use crate::RetrievalError;

/// Most shards whose time is taken.
pub(super) const MOST_TIMED: usize = 512;

/// Marks around the pass of each shard.
#[derive(Debug)]
pub(super) struct Timer {
    set: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    back: wgpu::Buffer,
    shards: u32,
}

impl Timer {
    pub(super) fn new(gpu: &Gpu, shards: u32) -> Self {
        use wgpu::BufferUsages as Usage;
        let bytes = u64::from(shards) * 16;
        Self {
            set: gpu.device().create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("kernel times"),
                ty: wgpu::QueryType::Timestamp,
                count: 2 * shards,
            }),
            resolved: gpu.buffer("times", bytes, Usage::QUERY_RESOLVE | Usage::COPY_SRC),
            back: gpu.buffer("times back", bytes, Usage::MAP_READ | Usage::COPY_DST),
            shards,
        }
    }

    /// Passes that are timed.
    pub(super) fn passes(&self) -> usize {
        self.shards as usize
    }

    /// Marks around the pass of shard `s`.
    pub(super) fn around(&self, s: usize) -> wgpu::ComputePassTimestampWrites<'_> {
        let first = 2 * u32::try_from(s).unwrap_or(0);
        wgpu::ComputePassTimestampWrites {
            query_set: &self.set,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        }
    }

    pub(super) fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.resolve_query_set(&self.set, 0..2 * self.shards, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.back, 0, u64::from(self.shards) * 16);
    }

    /// The sum over the passes.
    pub(super) fn read(&self, gpu: &Gpu) -> Result<Duration, RetrievalError> {
        let bytes = gpu.read(&self.back, u64::from(self.shards) * 16)?;
        let marks: Vec<[u64; 2]> = bytemuck::pod_collect_to_vec(&bytes);
        let ticks: u64 = marks.iter().map(|[from, to]| to.saturating_sub(*from)).sum();
        Ok(Duration::from_secs_f64(ticks as f64 * f64::from(gpu.queue().get_timestamp_period()) * 1e-9))
    }
}
