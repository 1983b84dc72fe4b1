// Sizes of one batch of queries against one shard of the bank; shared by every kernel.
// Rust: `Parameters` in kernels.rs, field by field.
struct Parameters {
    queries: u32,   // q of this batch
    rows: u32,      // n of this shard
    first_row: u32, // row of the bank that is row 0 of the shard
    bins: u32,      // ceil(rows / 16)
    panels: u32,    // ceil(rows / 128)
    width: u32,     // numbers per row as rescored, padded
    words: u32,     // words per row as scanned, padded
    k: u32,         // neighbours wanted
    capacity: u32,  // bins that one query may keep per shard
    list: u32,      // rows that one query may keep
    slices: u32,    // workgroups that share the rescoring of one query
    across: u32,    // panels per line of the grid
}

const BIN: u32 = 16u;    // rows per bin
const PANEL: u32 = 128u; // rows per panel

// What is known of one query so far.
// Rust: `State` in kernels.rs.
struct State {
    bins: u32,     // bins kept of the current shard; more than the capacity when it overflowed
    rows: u32,     // rows kept so far
    threshold: u32, // key that at least k rows reach; 0 while fewer are known
    overflow: u32, // 1 when a list was too short: the query's answer is void
    total: u32,    // bins kept of all shards
}
