//! The time of the kernels, by the device's own clock.

use std::ops::AddAssign;
use std::time::Duration;

use super::device::Gpu;
use crate::RetrievalError;

/// Kernels of a shard, each in a pass of its own.
pub(super) const STAGES: u32 = 4;
/// Most shards whose time is taken: what a query set holds at most, in marks before and after each kernel.
pub(super) const MOST_TIMED: usize = (wgpu::QUERY_SET_MAX_QUERIES / (2 * STAGES)) as usize;
/// Bytes of the marks of a shard.
const SHARD_BYTES: u64 = 16 * STAGES as u64;

/// Time that each kernel of a search took, over all shards and batches, by the device's own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct KernelTimes {
    /// The scan of the whole bank: products and the maximum of each bin.
    pub scan: Duration,
    /// Selecting bins.
    pub select: Duration,
    /// Scoring the rows of those bins in f32.
    pub rescore: Duration,
    /// Merging them into the lists that go back.
    pub merge: Duration,
}

impl KernelTimes {
    /// All of them.
    pub fn total(&self) -> Duration {
        self.scan + self.select + self.rescore + self.merge
    }
}

impl AddAssign for KernelTimes {
    fn add_assign(&mut self, other: Self) {
        self.scan += other.scan;
        self.select += other.select;
        self.rescore += other.rescore;
        self.merge += other.merge;
    }
}

/// Marks around the kernels of each shard.
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
        let bytes = u64::from(shards) * SHARD_BYTES;
        Self {
            set: gpu.device().create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("kernel times"),
                ty: wgpu::QueryType::Timestamp,
                count: 2 * STAGES * shards,
            }),
            resolved: gpu.buffer("times", bytes, Usage::QUERY_RESOLVE | Usage::COPY_SRC),
            back: gpu.buffer("times back", bytes, Usage::MAP_READ | Usage::COPY_DST),
            shards,
        }
    }

    /// Shards that are timed.
    pub(super) fn shards(&self) -> usize {
        self.shards as usize
    }

    /// Marks around a kernel of shard `s`.
    pub(super) fn around(&self, s: usize, stage: u32) -> wgpu::ComputePassTimestampWrites<'_> {
        let first = 2 * (STAGES * u32::try_from(s).unwrap_or(0) + stage);
        wgpu::ComputePassTimestampWrites {
            query_set: &self.set,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        }
    }

    pub(super) fn resolve(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.resolve_query_set(&self.set, 0..2 * STAGES * self.shards, &self.resolved, 0);
        encoder.copy_buffer_to_buffer(&self.resolved, 0, &self.back, 0, u64::from(self.shards) * SHARD_BYTES);
    }

    /// The sums over the shards.
    pub(super) fn read(&self, gpu: &Gpu) -> Result<KernelTimes, RetrievalError> {
        let bytes = gpu.read(&self.back, u64::from(self.shards) * SHARD_BYTES)?;
        let marks: Vec<[[u64; 2]; STAGES as usize]> = bytemuck::pod_collect_to_vec(&bytes);
        let period = f64::from(gpu.queue().get_timestamp_period()) * 1e-9;
        let time = |[from, to]: [u64; 2]| Duration::from_secs_f64(to.saturating_sub(from) as f64 * period);
        let mut sums = KernelTimes::default();
        for shard in marks {
            let [scan, select, rescore, merge] = shard.map(time);
            sums += KernelTimes { scan, select, rescore, merge };
        }
        Ok(sums)
    }
}
