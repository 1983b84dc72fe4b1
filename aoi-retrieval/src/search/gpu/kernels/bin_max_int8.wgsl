// The best approximate score of every bin for every query, from bytes: integer products and sums, which are exact.
//
// Tiles, threads and grid as in `bin_max.wgsl`; a word is four codes, multiplied and summed by one instruction where the
// device has it.
//
// rows      4 x i8 [panels, words, 128]     interleaved along the width, zeros beyond the last row
// queries   4 x i8 [q panels, words, 128]   likewise
// bias      f32 [panels, 128]               -1e36 beyond the last row
// best      f32 [q, bins]                   out
// steps     f32 [panels, 128]               what a row's codes are multiplied by
// of_query  f32 [q panels, 128]             what a query's codes are multiplied by
//
// Rust twin: `bin_max.rs`, `bin_max_int8`.

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> rows: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> queries: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> bias: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> best: array<f32>;
@group(0) @binding(5) var<storage, read> steps: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> of_query: array<vec4<f32>>;

const STEP: u32 = 8u;          // words of the width per tile
const SIDE: u32 = PANEL / 4u;  // vectors across a tile
const TILE: u32 = STEP * SIDE; // vectors in a tile: one a thread

// The tile of rows, then that of queries.
var<workgroup> tile: array<vec4<u32>, 2u * TILE>;
// Maxima of 4 rows for 128 queries.
var<workgroup> maxima: array<vec4<f32>, 2u * TILE>;

fn products(x: vec4<u32>, a: u32) -> vec4<i32> {
    return vec4<i32>(dot4I8Packed(x.x, a), dot4I8Packed(x.y, a), dot4I8Packed(x.z, a), dot4I8Packed(x.w, a));
}

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
    var sum: array<vec4<i32>, 16>;
    let row_start = panel * p.words * SIDE + thread;
    let query_start = group.x * p.words * SIDE + thread;
    for (var at = 0u; at < p.words; at += STEP) {
        tile[thread] = rows[row_start + at * SIDE];
        tile[TILE + thread] = queries[query_start + at * SIDE];
        workgroupBarrier();
        for (var step = 0u; step < STEP; step++) {
            let x = tile[step * SIDE + i];
            let y = tile[step * SIDE + 16u + i];
            let a = tile[TILE + step * SIDE + j];
            let b = tile[TILE + step * SIDE + 16u + j];
            sum[0] += products(x, a.x);
            sum[1] += products(y, a.x);
            sum[2] += products(x, a.y);
            sum[3] += products(y, a.y);
            sum[4] += products(x, a.z);
            sum[5] += products(y, a.z);
            sum[6] += products(x, a.w);
            sum[7] += products(y, a.w);
            sum[8] += products(x, b.x);
            sum[9] += products(y, b.x);
            sum[10] += products(x, b.y);
            sum[11] += products(y, b.y);
            sum[12] += products(x, b.z);
            sum[13] += products(y, b.z);
            sum[14] += products(x, b.w);
            sum[15] += products(y, b.w);
        }
        workgroupBarrier();
    }
    // Maxima of the threads' four rows, one half of the panel after the other: maxima[i, query].
    for (var half = 0u; half < 2u; half++) {
        // Chosen by `select`, since an index that varies would move the sums out of registers.
        let first = half == 0u;
        let four_rows = panel * SIDE + half * 16u + i;
        let rest = bias[four_rows];
        let step = steps[four_rows];
        let a = of_query[group.x * SIDE + j];
        let b = of_query[group.x * SIDE + 16u + j];
        maxima[i * SIDE + j] = vec4<f32>(
            largest(vec4<f32>(select(sum[1], sum[0], first)) * step * a.x + rest),
            largest(vec4<f32>(select(sum[3], sum[2], first)) * step * a.y + rest),
            largest(vec4<f32>(select(sum[5], sum[4], first)) * step * a.z + rest),
            largest(vec4<f32>(select(sum[7], sum[6], first)) * step * a.w + rest));
        maxima[i * SIDE + 16u + j] = vec4<f32>(
            largest(vec4<f32>(select(sum[9], sum[8], first)) * step * b.x + rest),
            largest(vec4<f32>(select(sum[11], sum[10], first)) * step * b.y + rest),
            largest(vec4<f32>(select(sum[13], sum[12], first)) * step * b.z + rest),
            largest(vec4<f32>(select(sum[15], sum[14], first)) * step * b.w + rest));
        workgroupBarrier();
        if (thread < 128u) {
            // Four threads' rows are a bin; a vector is four queries.
            let bin_of_half = thread % 4u;
            let four = thread / 4u;
            let start = 4u * bin_of_half * SIDE + four;
            let m = max(max(maxima[start], maxima[start + SIDE]), max(maxima[start + 2u * SIDE], maxima[start + 3u * SIDE]));
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
