// The best approximate score of every bin for every query, from f16 copies, by cooperative matrix products summed in f32.
//
// One workgroup of eight subgroups of 32 takes a panel of 128 rows and a panel of 128 queries; a subgroup takes 32 rows and 64
// queries: eight tiles of 16 x 16, whose columns are the bins' scores of one query. Tiles have no elements of their own, so they
// go through workgroup memory to their maxima.
//
// rows      f16 [panels, width, 128]     interleaved along the width, zeros beyond the last row
// queries   f16 [q panels, width, 128]   likewise
// bias      f32 [panels, 128]            -1e36 beyond the last row
// best      f32 [q, bins]                out
// steps     f32 [panels, 128]            what a row's codes are multiplied by
// of_query  f32 [q panels, 128]          what a query's codes are multiplied by
//
// Rust twin: `bin_max.rs`, `bin_max`. No subgroup operation may stand here: some drivers fail on both in one module.

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> rows: array<f16>;
@group(0) @binding(2) var<storage, read> queries: array<f16>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> best: array<f32>;
@group(0) @binding(5) var<storage, read> steps: array<f32>;
@group(0) @binding(6) var<storage, read> of_query: array<f32>;

const SIDE: u32 = 16u;        // rows and columns of a tile
const TILE: u32 = 256u;       // numbers of a tile
const SUBGROUPS: u32 = 8u;

var<workgroup> tiles: array<f32, TILE * SUBGROUPS>;

// The maximum of each column of a subgroup's tile: 16 rows of one query.
fn put(first_row: u32, first_query: u32, subgroup: u32, lane: u32) {
    let query = first_query + lane;
    let bin = first_row / BIN;
    if (lane >= SIDE || query >= p.queries || bin >= p.bins) {
        return;
    }
    let scale = of_query[query];
    var m = -3e38;
    for (var r = 0u; r < SIDE; r++) {
        let sum = tiles[subgroup * TILE + lane * SIDE + r];
        m = max(m, sum * steps[first_row + r] * scale + bias[first_row + r]);
    }
    best[query * p.bins + bin] = m;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let panel = group.z * p.across + group.y;
    if (panel >= p.panels) {
        return;
    }
    let subgroup = thread / 32u;
    let lane = thread % 32u;
    let row = subgroup % 4u * 32u;
    let query = subgroup / 4u * 64u;
    var c00 = coop_mat16x16<f32, C>();
    var c01 = coop_mat16x16<f32, C>();
    var c02 = coop_mat16x16<f32, C>();
    var c03 = coop_mat16x16<f32, C>();
    var c10 = coop_mat16x16<f32, C>();
    var c11 = coop_mat16x16<f32, C>();
    var c12 = coop_mat16x16<f32, C>();
    var c13 = coop_mat16x16<f32, C>();
    let row_start = panel * p.words * PANEL + row;
    let query_start = group.x * p.words * PANEL + query;
    for (var at = 0u; at < p.words; at += SIDE) {
        let x = row_start + at * PANEL;
        let y = query_start + at * PANEL;
        let a0 = coopLoad<coop_mat16x16<f16, A>>(&rows[x], PANEL);
        let a1 = coopLoad<coop_mat16x16<f16, A>>(&rows[x + 16u], PANEL);
        let b0 = coopLoadT<coop_mat16x16<f16, B>>(&queries[y], PANEL);
        let b1 = coopLoadT<coop_mat16x16<f16, B>>(&queries[y + 16u], PANEL);
        let b2 = coopLoadT<coop_mat16x16<f16, B>>(&queries[y + 32u], PANEL);
        let b3 = coopLoadT<coop_mat16x16<f16, B>>(&queries[y + 48u], PANEL);
        c00 = coopMultiplyAdd(a0, b0, c00);
        c01 = coopMultiplyAdd(a0, b1, c01);
        c02 = coopMultiplyAdd(a0, b2, c02);
        c03 = coopMultiplyAdd(a0, b3, c03);
        c10 = coopMultiplyAdd(a1, b0, c10);
        c11 = coopMultiplyAdd(a1, b1, c11);
        c12 = coopMultiplyAdd(a1, b2, c12);
        c13 = coopMultiplyAdd(a1, b3, c13);
    }
    let first_row = panel * PANEL + row;
    let first_query = group.x * PANEL + query;
    let own = subgroup * TILE;
    coopStore(c00, &tiles[own], 16u);
    workgroupBarrier();
    put(first_row, first_query, subgroup, lane);
    workgroupBarrier();
    coopStore(c01, &tiles[own], 16u);
    workgroupBarrier();
    put(first_row, first_query + 16u, subgroup, lane);
    workgroupBarrier();
    coopStore(c02, &tiles[own], 16u);
    workgroupBarrier();
    put(first_row, first_query + 32u, subgroup, lane);
    workgroupBarrier();
    coopStore(c03, &tiles[own], 16u);
    workgroupBarrier();
    put(first_row, first_query + 48u, subgroup, lane);
    workgroupBarrier();
    coopStore(c10, &tiles[own], 16u);
    workgroupBarrier();
    put(first_row + 16u, first_query, subgroup, lane);
    workgroupBarrier();
    coopStore(c11, &tiles[own], 16u);
    workgroupBarrier();
    put(first_row + 16u, first_query + 16u, subgroup, lane);
    workgroupBarrier();
    coopStore(c12, &tiles[own], 16u);
    workgroupBarrier();
    put(first_row + 16u, first_query + 32u, subgroup, lane);
    workgroupBarrier();
    coopStore(c13, &tiles[own], 16u);
    workgroupBarrier();
    put(first_row + 16u, first_query + 48u, subgroup, lane);
}
