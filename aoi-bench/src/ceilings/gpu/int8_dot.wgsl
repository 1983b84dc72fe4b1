// Sixteen integers, each increased by the sum of its own four bytes: an operand that changes keeps the product inside the loop.
struct Parameters { rounds: u32, one: f32, ones: u32 }
@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> sums: array<i32>;

fn dots(x: vec4<i32>, y: u32) -> vec4<i32> {
    let w = bitcast<vec4<u32>>(x);
    return vec4<i32>(dot4I8Packed(w.x, y), dot4I8Packed(w.y, y), dot4I8Packed(w.z, y), dot4I8Packed(w.w, y));
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let ones = p.ones;
    var a = vec4<i32>(0, 1, 2, 3);
    var b = vec4<i32>(4, 5, 6, 7);
    var c = vec4<i32>(8, 9, 10, 11);
    var d = vec4<i32>(12, 13, 14, 15);
    for (var round = 0u; round < p.rounds; round++) {
        //repeat a += dots(a, ones); b += dots(b, ones); c += dots(c, ones); d += dots(d, ones);
    }
    let sum = a + b + c + d;
    sums[id.x] = sum.x + sum.y + sum.z + sum.w;
}
