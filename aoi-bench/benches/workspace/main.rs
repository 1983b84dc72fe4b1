//! Every bench of the workspace, in one program: its crates are linked, and optimised as a whole, once.
//!
//! `cargo bench -p aoi-bench` measures all of them, `cargo bench -p aoi-bench -- retrieval/search_rows` the group of that name and
//! `-- encoder` all of a crate; criterion's own filter picks among the bodies of a group. `-- --test` runs every body once on the
//! smallest size. Those of a GPU need `--features gpu`.

mod encoder;
mod live;
mod mixing;
mod pipeline;
mod retrieval;
#[cfg(feature = "gpu")]
mod retrieval_gpu;
mod tolerance;
mod training;

use criterion::Criterion;

/// A group's name and what measures it.
type Group = (&'static str, fn(&mut Criterion));

const GROUPS: &[Group] = &[
    ("encoder/forward_tokens", encoder::growing_tokens),
    ("encoder/forward_batch", encoder::growing_batch),
    ("encoder/mae_step", training::steps),
    ("live/push", live::pushed),
    ("live/ranked", live::ranked),
    ("live/propose", live::proposed),
    ("pipeline/image_to_mask", pipeline::image_to_mask),
    ("retrieval/build", retrieval::building),
    ("retrieval/k_centre", retrieval::choosing),
    ("retrieval/mix", mixing::rules),
    ("retrieval/search_neighbours", retrieval::growing_neighbours),
    ("retrieval/search_queries", retrieval::growing_queries),
    ("retrieval/search_rows", retrieval::growing_rows),
    ("retrieval/search_width", retrieval::growing_width),
    #[cfg(feature = "gpu")]
    ("retrieval/search", retrieval_gpu::search),
    ("tolerance/read", tolerance::read),
    ("tolerance/optimise", tolerance::optimised),
    ("tolerance/simulate_101", tolerance::simulated),
];

/// The groups that a word of the command line names, in part or with one of their bodies; all where none does. What criterion's filter
/// leaves out would still draw its inputs and check its answers.
fn wanted(words: &[String]) -> Vec<Group> {
    let named = |group: &Group| {
        words.iter().any(|w| !w.is_empty() && (group.0.starts_with(w) || w.starts_with(group.0)))
    };
    let some: Vec<Group> = GROUPS.iter().copied().filter(named).collect();
    if some.is_empty() { GROUPS.to_vec() } else { some }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let words: Vec<String> = std::env::args().skip(1).collect();
    for (_, measure) in wanted(&words) {
        measure(&mut criterion);
    }
    criterion.final_summary();
}
