// Operands of `bin_max.wgsl`: the f32 rows themselves.
//
// rows     f32 [panels, width, 128]     interleaved along the width, zeros beyond the last row
// queries  f32 [q panels, width, 128]   likewise

@group(0) @binding(1) var<storage, read> rows: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> queries: array<vec4<f32>>;

fn row_vector(i: u32) -> vec4<f32> {
    return rows[i];
}

fn query_vector(i: u32) -> vec4<f32> {
    return queries[i];
}

fn row_steps(i: u32) -> vec4<f32> {
    return vec4<f32>(1.0);
}

fn query_steps(i: u32) -> vec4<f32> {
    return vec4<f32>(1.0);
}
