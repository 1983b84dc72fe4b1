//! What is resident, in a process of its own: the peak is the process's, and whoever starts one forgets it for all.

#![cfg(target_os = "linux")]

use aoi_bench::resident::{Peak, mib};

#[test]
fn a_block_that_is_written_is_held_and_one_that_is_gone_is_only_in_the_peak() {
    let touched = |mib: usize| std::hint::black_box(vec![1_u8; mib << 20]);
    let (before, peak) = (mib().unwrap(), Peak::start().unwrap());
    let kept = touched(300);
    drop(touched(200));
    let (held, most) = (mib().unwrap() - before, peak.mib().unwrap() - before);
    assert!((290.0..310.0).contains(&held) && most > held + 190.0, "{held} of {most}");
    drop(kept);
    let lower = Peak::start().unwrap().mib().unwrap() - before;
    assert!(lower < 10.0, "{lower}");
}
