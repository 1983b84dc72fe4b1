// Operands of `bin_max.wgsl`: copies in f16, each row and query scaled by a power of two of its own. A product of two is
// exact in f32.
//
// rows      f16 [panels, width, 128]     interleaved along the width, zeros beyond the last row
// queries   f16 [q panels, width, 128]   likewise
// steps     f32 [panels, 128]            what a row's codes are multiplied by
// of_query  f32 [q panels, 128]          what a query's codes are multiplied by

@group(0) @binding(1) var<storage, read> rows: array<vec4<f16>>;
@group(0) @binding(2) var<storage, read> queries: array<vec4<f16>>;
@group(0) @binding(5) var<storage, read> steps: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read> of_query: array<vec4<f32>>;

fn row_vector(i: u32) -> vec4<f32> {
    return vec4<f32>(rows[i]);
}

fn query_vector(i: u32) -> vec4<f32> {
    return vec4<f32>(queries[i]);
}

fn row_steps(i: u32) -> vec4<f32> {
    return steps[i];
}

fn query_steps(i: u32) -> vec4<f32> {
    return of_query[i];
}
