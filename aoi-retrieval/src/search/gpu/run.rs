//! One batch of queries through every shard: buffers, commands, and what comes back.

use super::device::Gpu;
use super::kernels::{Parameters, Stages, State};
use super::pack::PackedQueries;
use super::plan::{Allowance, BankPlan, Form, QueryPlan, Shard};
use super::shard::ShardBuffers;
use super::timer::{KernelTimes, MOST_TIMED, Timer};
use crate::RetrievalError;

/// Bytes between the parameters of two shards: what every device accepts as an offset.
const PARAMETER_STRIDE: u64 = 256;
/// Workgroups that share the rescoring of one query.
const SLICES: u32 = 4;

/// Buffers of a batch, kept from one search to the next of the same plan.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) plan: QueryPlan,
    parameters: wgpu::Buffer,
    queries: wgpu::Buffer,
    /// Codes and steps of the queries, unused by the f32 scan.
    codes: wgpu::Buffer,
    steps: wgpu::Buffer,
    coefficients: wgpu::Buffer,
    state: wgpu::Buffer,
    best: wgpu::Buffer,
    chosen: wgpu::Buffer,
    scored: wgpu::Buffer,
    lists: [wgpu::Buffer; 2],
    back: wgpu::Buffer,
    timer: Option<Timer>,
}

/// What a batch gives.
pub(super) struct Found {
    /// Per query its candidate rows and the bins that its scans kept; none where a list overflowed.
    pub(super) lists: Vec<Option<(Vec<u32>, u32)>>,
    /// Time of the kernels, where the device has a clock.
    pub(super) kernels: Option<KernelTimes>,
    /// Bytes read back.
    pub(super) bytes: u64,
}

impl Scratch {
    pub(super) fn new(gpu: &Gpu, plan: QueryPlan, shards: usize) -> Result<Self, RetrievalError> {
        use wgpu::BufferUsages as Usage;
        let inside = Usage::STORAGE | Usage::COPY_DST | Usage::COPY_SRC;
        let b = plan.bytes;
        let state = plan.batch * size_of::<State>() as u64;
        gpu.guarded(|| {
            let timed = gpu.device().features().contains(wgpu::Features::TIMESTAMP_QUERY)
                && (1..=MOST_TIMED).contains(&shards);
            Self {
                plan,
                parameters: gpu.buffer(
                    "parameters",
                    shards as u64 * PARAMETER_STRIDE,
                    Usage::UNIFORM | Usage::COPY_DST,
                ),
                queries: gpu.buffer("queries", b.queries, inside),
                codes: gpu.buffer("query codes", b.codes, inside),
                steps: gpu.buffer("query steps", plan.batch.next_multiple_of(128) * 4, inside),
                coefficients: gpu.buffer("coefficients", b.coefficients, inside),
                state: gpu.buffer("state", state, inside),
                best: gpu.buffer("best", b.best, inside),
                chosen: gpu.buffer("chosen", b.chosen, inside),
                scored: gpu.buffer("scored", b.scored, inside),
                lists: [gpu.buffer("list", b.list, inside), gpu.buffer("list", b.list, inside)],
                back: gpu.buffer("read back", state + b.list, Usage::MAP_READ | Usage::COPY_DST),
                timer: timed.then(|| Timer::new(gpu, u32::try_from(shards).unwrap_or(1))),
            }
        })
    }

    fn parameters(&self, bank: &BankPlan, shard: &Shard, queries: u32, allowed: &Allowance) -> Parameters {
        // The plan keeps every count below 2^32: bindings hold less than 2^31 bytes, the bank fewer than 2^32 rows.
        let word = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        Parameters {
            queries,
            rows: word(shard.rows),
            first_row: word(shard.first_row),
            bins: word(shard.bins),
            panels: word(shard.panels),
            width: word(bank.width),
            words: word(bank.words),
            k: word(self.plan.k),
            capacity: word(self.plan.capacity),
            list: word(self.plan.list),
            slices: SLICES,
            across: word(shard.grid(allowed).0),
        }
    }

    /// Answers one batch: for each shard, `load` gives its buffers; what is submitted runs in order.
    pub(super) fn run<'b>(
        &self,
        gpu: &Gpu,
        kernels: Stages<'_>,
        bank: &BankPlan,
        allowed: &Allowance,
        packed: &PackedQueries,
        mut load: impl FnMut(usize, &Shard) -> Result<&'b ShardBuffers, RetrievalError>,
    ) -> Result<Found, RetrievalError> {
        let count = packed.coefficients.len();
        let queries = u32::try_from(count).unwrap_or(u32::MAX);
        let state_bytes = (count * size_of::<State>()) as u64;
        let list_bytes = count as u64 * self.plan.list * 16;
        let shards: Vec<Shard> = bank.shards().collect();
        let mut parameters = vec![0_u8; shards.len() * PARAMETER_STRIDE.try_into().unwrap_or(256)];
        for (out, shard) in parameters.chunks_exact_mut(256).zip(&shards) {
            let p = self.parameters(bank, shard, queries, allowed);
            out[..size_of_val(&p)].copy_from_slice(bytemuck::bytes_of(&p));
        }
        gpu.guarded(|| {
            let write = |buffer, bytes| gpu.queue().write_buffer(buffer, 0, bytes);
            write(&self.parameters, &parameters);
            write(&self.queries, bytemuck::cast_slice(&packed.rows));
            write(&self.codes, &packed.codes);
            write(&self.steps, bytemuck::cast_slice(&packed.steps));
            write(&self.coefficients, bytemuck::cast_slice(&packed.coefficients));
            write(&self.state, bytemuck::cast_slice(&vec![State::default(); count]));
        })?;
        let mut last = None;
        for (s, shard) in shards.iter().enumerate() {
            let buffers = load(s, shard)?;
            let sent = gpu.guarded(|| {
                let mut encoder =
                    gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
                self.encode(gpu, kernels, &mut encoder, buffers, s, shard, queries, allowed);
                gpu.queue().submit([encoder.finish()])
            })?;
            // Streamed shards: let one run while the next is packed, but do not pile up their staging copies.
            if bank.streamed
                && let Some(before) = last.replace(sent)
            {
                gpu.wait(Some(before))?;
            }
        }
        let timer = self.timer.as_ref().filter(|t| t.shards() == shards.len());
        gpu.guarded(|| {
            let mut encoder = gpu.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(&self.state, 0, &self.back, 0, state_bytes);
            encoder.copy_buffer_to_buffer(
                &self.lists[shards.len() % 2],
                0,
                &self.back,
                state_bytes,
                list_bytes,
            );
            if let Some(timer) = timer {
                timer.resolve(&mut encoder);
            }
            gpu.queue().submit([encoder.finish()]);
        })?;
        let bytes = gpu.read(&self.back, state_bytes + list_bytes)?;
        let kernels = timer.map(|t| t.read(gpu)).transpose()?;
        let (states, lists) = bytes.split_at(count * size_of::<State>());
        let states: Vec<State> = bytemuck::pod_collect_to_vec(states);
        let lists: Vec<[u32; 4]> = bytemuck::pod_collect_to_vec(lists);
        let per_query = usize::try_from(self.plan.list).unwrap_or(usize::MAX);
        let lists = states
            .iter()
            .zip(lists.chunks_exact(per_query.max(1)))
            .map(|(state, list)| {
                let rows = list.get(..state.rows as usize)?;
                (state.overflow == 0).then(|| (rows.iter().map(|r| r[0]).collect(), state.total))
            })
            .collect();
        Ok(Found { lists, kernels, bytes: state_bytes + list_bytes })
    }

    /// Records the four kernels for one shard.
    #[expect(clippy::too_many_arguments, reason = "everything that a shard's commands depend on, once")]
    fn encode(
        &self,
        gpu: &Gpu,
        kernels: Stages<'_>,
        encoder: &mut wgpu::CommandEncoder,
        shard_buffers: &ShardBuffers,
        s: usize,
        shard: &Shard,
        queries: u32,
        allowed: &Allowance,
    ) {
        let device = gpu.device();
        let word = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        let p = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
            buffer: &self.parameters,
            offset: s as u64 * PARAMETER_STRIDE,
            size: wgpu::BufferSize::new(size_of::<Parameters>() as u64),
        });
        let whole = wgpu::Buffer::as_entire_binding;
        let ShardBuffers { rows, bias, terms, copy } = shard_buffers;
        let copy = copy.as_ref().filter(|_| self.plan.form != Form::F32);
        let best = &self.best;
        let scan = match copy {
            None => kernels
                .scan
                .bind(device, &[p.clone(), whole(rows), whole(&self.queries), whole(bias), whole(best)]),
            Some(copy) => kernels.scan.bind(
                device,
                &[
                    p.clone(),
                    whole(&copy.codes),
                    whole(&self.codes),
                    whole(bias),
                    whole(best),
                    whole(&copy.steps),
                    whole(&self.steps),
                ],
            ),
        };
        let scan_terms = copy.map_or(terms, |c| &c.terms);
        let select = kernels.select_bins.bind(
            device,
            &[
                p.clone(),
                whole(best),
                whole(scan_terms),
                whole(&self.coefficients),
                whole(&self.state),
                whole(&self.chosen),
            ],
        );
        let rescore = kernels.rescore.bind(
            device,
            &[
                p.clone(),
                whole(rows),
                whole(&self.queries),
                whole(bias),
                whole(terms),
                whole(&self.coefficients),
                whole(&self.chosen),
                whole(&self.state),
                whole(&self.scored),
            ],
        );
        let merge = kernels.merge_rows.bind(
            device,
            &[
                p,
                whole(&self.chosen),
                whole(&self.scored),
                whole(&self.lists[s % 2]),
                whole(&self.lists[(s + 1) % 2]),
                whole(&self.state),
            ],
        );
        let (across, lines) = shard.grid(allowed);
        let stages = [
            (kernels.scan, scan, [queries.div_ceil(128), word(across), word(lines)]),
            (kernels.select_bins, select, [queries, 1, 1]),
            (kernels.rescore, rescore, [queries, SLICES, 1]),
            (kernels.merge_rows, merge, [queries, 1, 1]),
        ];
        for (stage, (kernel, group, size)) in (0..).zip(&stages) {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                label: Some("search"),
                timestamp_writes: self.timer.as_ref().map(|t| t.around(s, stage)),
            });
            kernel.dispatch(&mut pass, group, *size);
        }
    }
}
