// Four vectors of f32, each multiplied by one and increased by one, so that they count.
struct Parameters { rounds: u32, one: f32, ones: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let one = vec4<f32>(p.one);
    var a = vec4<f32>(0.0, 1.0, 2.0, 3.0);
    var b = vec4<f32>(4.0, 5.0, 6.0, 7.0);
    var c = vec4<f32>(8.0, 9.0, 10.0, 11.0);
    var d = vec4<f32>(12.0, 13.0, 14.0, 15.0);
    for (var round = 0u; round < p.rounds; round++) {
        //repeat a = fma(a, one, one); b = fma(b, one, one); c = fma(c, one, one); d = fma(d, one, one);
    }
    let sum = a + b + c + d;
    sums[id.x] = sum.x + sum.y + sum.z + sum.w;
}
