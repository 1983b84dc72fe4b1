// Merges the rescored rows of a shard into a query's list of rows that may be among its k best: one workgroup a query.
//
// chosen    u32 [q, capacity]
// scored    u32 [q, capacity, 16, 2]   lower and upper key
// before    u32 [q, list, 4]           row of the bank, lower key, upper key, 0
// after     u32 [q, list, 4]           out, in no particular order
// state     [q]                        rows, threshold, overflow are written
//
// Rust twin: `select.rs`, `merge_rows`.

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> chosen: array<u32>;
@group(0) @binding(2) var<storage, read> scored: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read> before: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> after: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> state: array<State>;

var<private> query: u32;
var<private> known: u32;
var<workgroup> taken: atomic<u32>;

// Row of the bank, lower key, upper key; keys of 0 for the rows that only fill up the last bin.
fn item(i: u32) -> vec3<u32> {
    if (i < known) {
        return before[query * p.list + i].xyz;
    }
    let slot = (i - known) / BIN;
    let lane = (i - known) % BIN;
    let row = chosen[query * p.capacity + slot] * BIN + lane;
    if (row >= p.rows) {
        return vec3<u32>();
    }
    return vec3<u32>(p.first_row + row, scored[(query * p.capacity + slot) * BIN + lane]);
}

fn lower_key(i: u32) -> u32 {
    return item(i).y;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    query = group.x;
    known = min(state[query].rows, p.list);
    // No finite number has key 0, so a floor of 1 excludes the rows that do not exist.
    let floor = max(state[query].threshold, 1u);
    let items = workgroup_items(thread);
    if (thread == 0u) {
        atomicStore(&taken, 0u);
    }
    let threshold = max(kth_largest(thread, items, p.k, floor), floor);
    for (var i = thread; i < items; i += 256u) {
        let row = item(i);
        if (row.z >= threshold) {
            let slot = atomicAdd(&taken, 1u);
            if (slot < p.list) {
                after[query * p.list + slot] = vec4<u32>(row, 0u);
            }
        }
    }
    workgroupBarrier();
    if (thread == 0u) {
        let count = atomicLoad(&taken);
        state[query].rows = count;
        state[query].threshold = threshold;
        if (count > p.list) {
            state[query].overflow = 1u;
        }
    }
}

var<workgroup> shared_items: u32;

// The number of items, loaded once so that every thread provably has the same one.
fn workgroup_items(thread: u32) -> u32 {
    if (thread == 0u) {
        shared_items = known + min(state[query].bins, p.capacity) * BIN;
    }
    return workgroupUniformLoad(&shared_items);
}
