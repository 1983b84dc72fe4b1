//! A shard of the bank on the device.

use super::device::Gpu;
use super::pack::{bin_terms, pack_bias, pack_rows};
use super::plan::{BankPlan, Form, Shard};
use crate::RetrievalError;
use crate::search::cpu::Prepared;

/// One shard on the device.
#[derive(Debug)]
pub(super) struct ShardBuffers {
    pub(super) rows: wgpu::Buffer,
    pub(super) bias: wgpu::Buffer,
    pub(super) terms: wgpu::Buffer,
    pub(super) copy: Option<CopyBuffers>,
}

/// The compact copy of a shard.
#[derive(Debug)]
pub(super) struct CopyBuffers {
    pub(super) codes: wgpu::Buffer,
    pub(super) steps: wgpu::Buffer,
    pub(super) terms: wgpu::Buffer,
}

impl ShardBuffers {
    /// Room for `panels` panels.
    pub(super) fn new(gpu: &Gpu, plan: &BankPlan, panels: u64) -> Result<Self, RetrievalError> {
        use wgpu::BufferUsages as Usage;
        let usage = Usage::STORAGE | Usage::COPY_DST;
        gpu.guarded(|| Self {
            rows: gpu.buffer("rows", plan.row_bytes(panels), usage),
            bias: gpu.buffer("bias", panels * 128 * 4, usage),
            terms: gpu.buffer("terms", panels * 8 * 16, usage),
            copy: (plan.form != Form::F32).then(|| CopyBuffers {
                codes: gpu.buffer("codes", plan.copy_bytes(panels), usage),
                steps: gpu.buffer("steps", panels * 128 * 4, usage),
                terms: gpu.buffer("terms of the copy", panels * 8 * 16, usage),
            }),
        })
    }

    /// Writes the rows of `shard`, and the copy that `plan` scans, which then reach the device before any later submission.
    pub(super) fn fill(
        &self,
        gpu: &Gpu,
        bank: &Prepared<'_, '_>,
        plan: &BankPlan,
        shard: &Shard,
        threads: usize,
    ) -> Result<(), RetrievalError> {
        let write = |buffer: &wgpu::Buffer, offset: u64, bytes: &[u8]| {
            gpu.guarded(|| gpu.queue().write_buffer(buffer, offset, bytes))
        };
        write(&self.bias, 0, bytemuck::cast_slice(&pack_bias(bank, shard)))?;
        let panels = usize::try_from(shard.panels).unwrap_or(usize::MAX);
        write(&self.terms, 0, bytemuck::cast_slice(&bin_terms(bank, shard, 0..panels)))?;
        let mut staged = 0;
        pack_rows(bank, plan, shard, threads, |part| {
            write(&self.rows, plan.row_bytes(part.panel), bytemuck::cast_slice(&part.rows))?;
            if let Some(copy) = self.copy.as_ref().filter(|_| plan.form != Form::F32) {
                write(&copy.codes, plan.copy_bytes(part.panel), &part.codes)?;
                write(&copy.steps, part.panel * 128 * 4, bytemuck::cast_slice(&part.steps))?;
                write(&copy.terms, part.panel * 8 * 16, bytemuck::cast_slice(&part.terms))?;
            }
            staged += size_of_val(&*part.rows) + part.codes.len();
            // What is written waits in a second copy until something is submitted.
            if staged > 256 << 20 {
                staged = 0;
                let sent = gpu.guarded(|| gpu.queue().submit([]))?;
                gpu.wait(Some(sent))?;
            }
            Ok(())
        })
    }
}
