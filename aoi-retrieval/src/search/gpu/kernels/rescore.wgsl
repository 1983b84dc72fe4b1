// Bounds of every row of the chosen bins, from f32 products: eight bins a workgroup, a thread a row.
//
// rows          f32 [panels, width, 128]
// queries       f32 [q panels, width, 128]
// bias          f32 [panels, 128]
// terms         f32 [bins, 4]              error terms of an f32 product
// coefficients  f32 [q, 2, 4]              second of the two: the f32 product's
// chosen        u32 [q, capacity]
// state         [q]                        bins
// scored        u32 [q, capacity, 16, 2]   out: lower and upper key
//
// Rust twin: `rescore.rs`.

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> rows: array<f32>;
@group(0) @binding(2) var<storage, read> queries: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> terms: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> coefficients: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> chosen: array<u32>;
@group(0) @binding(7) var<storage, read> state: array<State>;
@group(0) @binding(8) var<storage, read_write> scored: array<vec2<u32>>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let query = group.x;
    let bins = min(state[query].bins, p.capacity);
    let lane = thread % BIN;
    for (var slot = group.y * 8u + thread / BIN; slot < bins; slot += 8u * p.slices) {
        let bin = chosen[query * p.capacity + slot];
        let row = bin * BIN + lane;
        var at = row / PANEL * p.width * PANEL + row % PANEL;
        var start = query / PANEL * p.width * PANEL + query % PANEL;
        var sum = 0.0;
        for (var c = 0u; c < p.width; c++) {
            sum = fma(rows[at], queries[start], sum);
            at += PANEL;
            start += PANEL;
        }
        scored[(query * p.capacity + slot) * BIN + lane] =
            bounds(sum + bias[row], terms[bin], coefficients[2u * query + 1u]);
    }
}
