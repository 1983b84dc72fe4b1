// The bins of one shard that may hold one of a query's k best rows: one workgroup a query.
//
// A bin is kept when its upper bound reaches the k-th best lower bound of the shard's bins, or what rows of earlier
// shards reach. The order of the kept bins is left open.
//
// best          f32 [q, bins]
// terms         f32 [bins, 4]        error terms of the scan
// coefficients  f32 [q, 2, 4]        first of the two: the scan's
// state         [q]                  bins, overflow, total are written
// chosen        u32 [q, capacity]    out: bins of the shard
//
// Rust twin: `select.rs`, `select_bins`.

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> best: array<f32>;
@group(0) @binding(2) var<storage, read> terms: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> coefficients: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> state: array<State>;
@group(0) @binding(5) var<storage, read_write> chosen: array<u32>;

var<private> query: u32;
var<workgroup> taken: atomic<u32>;

fn item(i: u32) -> vec2<u32> {
    return bounds(best[query * p.bins + i], terms[i], coefficients[2u * query]);
}

fn lower_key(i: u32) -> u32 {
    return item(i).x;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    query = group.x;
    let floor = state[query].threshold;
    if (thread == 0u) {
        atomicStore(&taken, 0u);
    }
    // Fewer than k bins at or above the floor: the floor is all that is known.
    let threshold = max(kth_largest(thread, p.bins, p.k, floor), floor);
    for (var i = thread; i < p.bins; i += 256u) {
        if (item(i).y >= threshold) {
            let slot = atomicAdd(&taken, 1u);
            if (slot < p.capacity) {
                chosen[query * p.capacity + slot] = i;
            }
        }
    }
    workgroupBarrier();
    if (thread == 0u) {
        let count = atomicLoad(&taken);
        state[query].bins = count;
        state[query].total += count;
        if (count > p.capacity) {
            state[query].overflow = 1u;
        }
    }
}
