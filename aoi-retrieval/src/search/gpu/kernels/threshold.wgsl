// The k-th largest of a workgroup's lower keys, by four rounds of a histogram over eight bits.
// The module around it says what an item is: `fn lower_key(i: u32) -> u32`; how digits are counted comes from `count_plain.wgsl`
// or `count_subgroup.wgsl`. Workgroups of 256.
// Rust twin: `threshold.rs`.

const DIGITS: u32 = 256u;
const NONE: u32 = 0xffffffffu;

var<workgroup> histogram: array<atomic<u32>, DIGITS>;
var<workgroup> at_least: array<u32, DIGITS>; // items with this digit or a larger one
var<workgroup> digit: u32;
var<workgroup> rank: u32;

// 0 when fewer than k of the items reach the floor.
fn kth_largest(thread: u32, items: u32, k: u32, floor: u32) -> u32 {
    var prefix = 0u;
    var mask = 0u;
    var wanted = k;
    for (var round = 0u; round < 4u; round++) {
        let shift = 24u - 8u * round;
        atomicStore(&histogram[thread], 0u);
        workgroupBarrier();
        // The same number of rounds for every thread, as subgroup operations ask.
        for (var start = 0u; start < items; start += DIGITS) {
            let i = start + thread;
            var own = NONE;
            if (i < items) {
                let key = lower_key(i);
                if (key >= floor && (key & mask) == prefix) {
                    own = (key >> shift) & 255u;
                }
            }
            count(own);
        }
        workgroupBarrier();
        at_least[thread] = atomicLoad(&histogram[thread]);
        workgroupBarrier();
        for (var step = 1u; step < DIGITS; step *= 2u) {
            var sum = at_least[thread];
            if (thread + step < DIGITS) {
                sum += at_least[thread + step];
            }
            workgroupBarrier();
            at_least[thread] = sum;
            workgroupBarrier();
        }
        let here = at_least[thread];
        var beyond = 0u;
        if (thread + 1u < DIGITS) {
            beyond = at_least[thread + 1u];
        }
        if (here >= wanted && beyond < wanted) {
            digit = thread;
            rank = wanted - beyond;
        }
        if (thread == 0u && here < wanted) {
            digit = NONE;
        }
        let found = workgroupUniformLoad(&digit);
        if (found == NONE) {
            return 0u;
        }
        wanted = workgroupUniformLoad(&rank);
        prefix |= found << shift;
        mask |= 255u << shift;
    }
    return prefix;
}
