//! RAPL counters and `tegrastats`.

use crate::tree::{Tree, faults, milliwatts, read, rounded};
use ecomap_executor::power::command::Program;
use ecomap_executor::power::rapl::Rapl;
use ecomap_executor::power::tegrastats::Tegrastats;
use ecomap_executor::power::{PowerError, Reading};
use std::time::Duration;

fn zone(tree: &Tree, zone: &str, name: &str, microjoules: u64) {
    let folder = format!("class/powercap/{zone}");
    tree.put(&format!("{folder}/name"), name);
    tree.put(&format!("{folder}/energy_uj"), microjoules);
    tree.put(&format!("{folder}/max_energy_range_uj"), 262_143_328_850_u64);
}

#[test]
fn packages_are_summed_and_their_parts_left_out() {
    let tree = Tree::new();
    zone(&tree, "intel-rapl:0", "package-0", 1_000_000);
    zone(&tree, "intel-rapl:1", "package-1", 5_000_000);
    zone(&tree, "intel-rapl:0:0", "core", 400_000);
    let mut rapl = Rapl::open(tree.path()).unwrap();
    zone(&tree, "intel-rapl:0", "package-0", 3_500_000);
    zone(&tree, "intel-rapl:1", "package-1", 5_250_000);
    let reading = read(&mut rapl, 1);
    assert_eq!(milliwatts(&reading), [("package-0", 2500), ("package-1", 250)]);
    assert_eq!(reading.total.map(rounded), Some(2750), "mJ");
}

#[test]
fn the_whole_machine_stands_for_its_packages() {
    let tree = Tree::new();
    zone(&tree, "intel-rapl:0", "package-0", 0);
    zone(&tree, "intel-rapl:1", "psys", 0);
    let mut rapl = Rapl::open(tree.path()).unwrap();
    zone(&tree, "intel-rapl:0", "package-0", 2_000_000);
    zone(&tree, "intel-rapl:1", "psys", 7_000_000);
    assert_eq!(read(&mut rapl, 1).total.map(rounded), Some(7000));
}

#[test]
fn counters_begin_again_at_their_range() {
    let tree = Tree::new();
    zone(&tree, "intel-rapl:0", "package-0", 262_143_328_000);
    let mut rapl = Rapl::open(tree.path()).unwrap();
    zone(&tree, "intel-rapl:0", "package-0", 1_149);
    // 850 up to the range, one to 0, 1149 beyond.
    assert_eq!(read(&mut rapl, 1).total.map(rounded), Some(2));
}

#[test]
fn a_counter_that_goes_away_leaves_no_total() {
    let tree = Tree::new();
    zone(&tree, "intel-rapl:0", "package-0", 0);
    zone(&tree, "intel-rapl:1", "package-1", 0);
    let mut rapl = Rapl::open(tree.path()).unwrap();
    tree.remove("class/powercap/intel-rapl:1/energy_uj");
    let reading = read(&mut rapl, 1);
    assert_eq!((reading.total, faults(&reading)), (None, vec!["rail package-1 is missing".to_owned()]));
}

#[test]
fn no_counter_is_no_source() {
    assert!(matches!(Rapl::open(Tree::new().path()), Err(PowerError::Absent { .. })));
    let tree = Tree::new();
    tree.put("class/powercap/intel-rapl/enabled", 1);
    assert!(matches!(Rapl::open(tree.path()), Err(PowerError::Absent { .. })));
}

/// Reads until `enough`, each time after the program has had its turn.
fn until(source: &mut Tegrastats, enough: impl Fn(&Reading) -> bool) -> Reading {
    for second in 0..1_000_000 {
        let reading = read(source, second);
        if enough(&reading) {
            return reading;
        }
        std::thread::yield_now();
    }
    panic!("tegrastats never said what was waited for");
}

#[test]
fn tegrastats_is_read_line_by_line() {
    let line = "RAM 1/2MB VDD_IN 5079mW/5079mW VDD_CPU_GPU_CV 696mW/696mW VDD_SOC 1104mW/1104mW";
    let script = format!("echo '{line}'; while read x; do :; done < /dev/zero");
    let program = Program::new(["sh", "-c", &script]);
    let mut source = Tegrastats::start(&program, Duration::from_secs(1)).unwrap();
    let reading = until(&mut source, |r| !r.rails.is_empty());
    assert_eq!(milliwatts(&reading), [("VDD_IN", 5079), ("VDD_CPU_GPU_CV", 696), ("VDD_SOC", 1104)]);
    assert_eq!(reading.total.map(rounded), Some(5079));
    // The same line is not a second measurement.
    let again = read(&mut source, 2);
    assert_eq!(
        (again.total, faults(&again)),
        (None, vec!["rail all cannot be read: tegrastats has printed nothing new".to_owned()])
    );
}

#[test]
fn a_tegrastats_that_ends_or_talks_nonsense_is_a_fault() {
    let program = Program::new(["sh", "-c", "echo hello"]);
    let mut source = Tegrastats::start(&program, Duration::from_secs(1)).unwrap();
    let nonsense = until(&mut source, |r| faults(r).iter().any(|f| f.contains("says")));
    assert_eq!(faults(&nonsense), ["rail all says `hello`"]);
    let ended = until(&mut source, |r| faults(r).iter().any(|f| f.contains("ended")));
    assert_eq!(ended.total, None);
}
