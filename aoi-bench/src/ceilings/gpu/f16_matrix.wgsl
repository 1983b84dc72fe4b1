// Four tiles of 16 x 16 a subgroup, each increased by a product of tiles of ones; no subgroup operation may stand here.
enable f16;
enable wgpu_cooperative_matrix;
struct Parameters { rounds: u32, one: f32, ones: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;

const TILE: u32 = 256u;
var<workgroup> ones: array<f16, TILE>;
// A tile for each of the eight subgroups.
var<workgroup> tiles: array<f32, 8u * TILE>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    ones[thread] = f16(p.one);
    for (var i = 0u; i < 8u; i++) {
        tiles[i * TILE + thread] = f32(i);
    }
    workgroupBarrier();
    let x = coopLoad<coop_mat16x16<f16, A>>(&ones[0], 16u);
    let y = coopLoadT<coop_mat16x16<f16, B>>(&ones[0], 16u);
    // Tiles that start apart cannot be taken for one.
    var a = coopLoad<coop_mat16x16<f32, C>>(&tiles[0], 16u);
    var b = coopLoad<coop_mat16x16<f32, C>>(&tiles[TILE], 16u);
    var c = coopLoad<coop_mat16x16<f32, C>>(&tiles[2u * TILE], 16u);
    var d = coopLoad<coop_mat16x16<f32, C>>(&tiles[3u * TILE], 16u);
    for (var round = 0u; round < p.rounds; round++) {
        //repeat a = coopMultiplyAdd(x, y, a); b = coopMultiplyAdd(x, y, b); c = coopMultiplyAdd(x, y, c); d = coopMultiplyAdd(x, y, d);
    }
    let own = thread / 32u * TILE;
    let lane = thread % 32u;
    var sum = 0.0;
    workgroupBarrier();
    coopStore(a, &tiles[own], 16u);
    workgroupBarrier();
    sum += tiles[own + 8u * lane];
    workgroupBarrier();
    coopStore(b, &tiles[own], 16u);
    workgroupBarrier();
    sum += tiles[own + 8u * lane];
    workgroupBarrier();
    coopStore(c, &tiles[own], 16u);
    workgroupBarrier();
    sum += tiles[own + 8u * lane];
    workgroupBarrier();
    coopStore(d, &tiles[own], 16u);
    workgroupBarrier();
    sum += tiles[own + 8u * lane];
    sums[id.x] = sum;
}
