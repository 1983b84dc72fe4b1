// The best approximate score of every bin for every query: a matrix product whose epilogue is a maximum.
//
// One workgroup takes a panel of 128 rows and a panel of 128 queries, 8 x 8 products a thread, tiles of 8 numbers of the
// width in workgroup memory. The grid runs over queries first, so that a panel of rows meets all of them while it is cached.
//
// The operands come from `operands_f32.wgsl` or `operands_f16.wgsl`; sums are f32 either way.
//
// bias     f32 [panels, 128]   -1e36 beyond the last row
// best     f32 [q, bins]       out
//
// Rust twin: `bin_max.rs`, `bin_max`.

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> best: array<f32>;

const STEP: u32 = 8u;          // numbers of the width per tile
const SIDE: u32 = PANEL / 4u;  // vectors across a tile
const TILE: u32 = STEP * SIDE; // vectors in a tile: one a thread

// The tile of rows, then that of queries; afterwards the maxima of 4 rows for 128 queries.
var<workgroup> tile: array<vec4<f32>, 2u * TILE>;

fn largest(v: vec4<f32>) -> f32 {
    return max(max(v.x, v.y), max(v.z, v.w));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let panel = group.z * p.across + group.y;
    if (panel >= p.panels) {
        return;
    }
    let i = thread % 16u; // rows 4 i and 64 + 4 i
    let j = thread / 16u; // queries 4 j and 64 + 4 j
    // sum[2 * query + half]: four rows each
    var sum: array<vec4<f32>, 16>;
    let row_start = panel * p.words * SIDE + thread;
    let query_start = group.x * p.words * SIDE + thread;
    for (var at = 0u; at < p.words; at += STEP) {
        tile[thread] = row_vector(row_start + at * SIDE);
        tile[TILE + thread] = query_vector(query_start + at * SIDE);
        workgroupBarrier();
        for (var step = 0u; step < STEP; step++) {
            let x = tile[step * SIDE + i];
            let y = tile[step * SIDE + 16u + i];
            let a = tile[TILE + step * SIDE + j];
            let b = tile[TILE + step * SIDE + 16u + j];
            sum[0] = fma(x, vec4<f32>(a.x), sum[0]);
            sum[1] = fma(y, vec4<f32>(a.x), sum[1]);
            sum[2] = fma(x, vec4<f32>(a.y), sum[2]);
            sum[3] = fma(y, vec4<f32>(a.y), sum[3]);
            sum[4] = fma(x, vec4<f32>(a.z), sum[4]);
            sum[5] = fma(y, vec4<f32>(a.z), sum[5]);
            sum[6] = fma(x, vec4<f32>(a.w), sum[6]);
            sum[7] = fma(y, vec4<f32>(a.w), sum[7]);
            sum[8] = fma(x, vec4<f32>(b.x), sum[8]);
            sum[9] = fma(y, vec4<f32>(b.x), sum[9]);
            sum[10] = fma(x, vec4<f32>(b.y), sum[10]);
            sum[11] = fma(y, vec4<f32>(b.y), sum[11]);
            sum[12] = fma(x, vec4<f32>(b.z), sum[12]);
            sum[13] = fma(y, vec4<f32>(b.z), sum[13]);
            sum[14] = fma(x, vec4<f32>(b.w), sum[14]);
            sum[15] = fma(y, vec4<f32>(b.w), sum[15]);
        }
        workgroupBarrier();
    }
    // Maxima of the threads' four rows, one half of the panel after the other: tile[i, query].
    for (var half = 0u; half < 2u; half++) {
        // Chosen by `select`, since an index that varies would move the sums out of registers.
        let first = half == 0u;
        let four_rows = panel * SIDE + half * 16u + i;
        let rest = bias[four_rows];
        let step = row_steps(four_rows);
        let a = query_steps(group.x * SIDE + j);
        let b = query_steps(group.x * SIDE + 16u + j);
        tile[i * SIDE + j] = vec4<f32>(
            largest(select(sum[1], sum[0], first) * step * a.x + rest),
            largest(select(sum[3], sum[2], first) * step * a.y + rest),
            largest(select(sum[5], sum[4], first) * step * a.z + rest),
            largest(select(sum[7], sum[6], first) * step * a.w + rest));
        tile[i * SIDE + 16u + j] = vec4<f32>(
            largest(select(sum[9], sum[8], first) * step * b.x + rest),
            largest(select(sum[11], sum[10], first) * step * b.y + rest),
            largest(select(sum[13], sum[12], first) * step * b.z + rest),
            largest(select(sum[15], sum[14], first) * step * b.w + rest));
        workgroupBarrier();
        if (thread < 128u) {
            // Four threads' rows are a bin; a vector is four queries.
            let bin_of_half = thread % 4u;
            let four = thread / 4u;
            let start = 4u * bin_of_half * SIDE + four;
            let m = max(max(tile[start], tile[start + SIDE]), max(tile[start + 2u * SIDE], tile[start + 3u * SIDE]));
            let bin = panel * 8u + half * 4u + bin_of_half;
            let query = group.x * PANEL + 4u * four;
            if (bin < p.bins) {
                for (var c = 0u; c < 4u; c++) {
                    if (query + c < p.queries) {
                        best[(query + c) * p.bins + bin] = m[c];
                    }
                }
            }
        }
        workgroupBarrier();
    }
}
