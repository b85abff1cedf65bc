//! The power monitors of Xavier and Orin boards, sound and broken.

use crate::tree::{Tree, faults, milliwatts, read, rounded};
use ecomap_executor::power::guard::STUCK_READINGS;
use ecomap_executor::power::ina3221::Ina3221;
use ecomap_executor::power::{Fault, Origin, PowerError, PowerSource, Settings, open};
use ecomap_instances::Catalog;
use std::sync::Arc;

const IIO: &str = "bus/i2c/drivers/ina3221x/1-0040/iio:device0";
const HWMON: &str = "bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3";

#[test]
fn xavier_with_jetpack_4() {
    let tree = Tree::new();
    let mut rails = Ina3221::open(tree.xavier_4().path()).unwrap();
    let reading = read(&mut rails, 0);
    let expected = [("GPU", 4601), ("CPU", 922), ("SOC", 2305), ("CV", 0), ("VDDRQ", 768), ("SYS5V", 2200)];
    assert_eq!(milliwatts(&reading), expected);
    assert_eq!(reading.total.map(rounded), Some(10_796));
    assert!(reading.faults.is_empty());
    assert_eq!(rails.origin(), Origin::Measured);
}

#[test]
fn both_names_of_one_device_are_one() {
    let tree = Tree::new();
    tree.xavier_4();
    std::os::unix::fs::symlink(tree.path().join(IIO), tree.path().join(IIO).with_file_name("iio_device"))
        .unwrap();
    let reading = read(&mut Ina3221::open(tree.path()).unwrap(), 0);
    assert_eq!(reading.rails.len(), 6);
}

#[test]
fn xavier_with_jetpack_5() {
    let tree = Tree::new();
    let reading = read(&mut Ina3221::open(tree.xavier_5().path()).unwrap(), 0);
    assert_eq!(milliwatts(&reading)[0], ("GPU", 4598));
    assert_eq!(reading.total.map(rounded), Some(4598 + 912 + 2299 + 760 + 2200));
}

#[test]
fn orin_with_jetpack_5_and_6() {
    for monitors in [["hwmon3", "hwmon4"], ["hwmon1", "hwmon0"]] {
        let tree = Tree::new();
        let reading = read(&mut Ina3221::open(tree.orin(monitors).path()).unwrap(), 0);
        let expected =
            [("VDD_GPU_SOC", 4373), ("VDD_CPU_CV", 795), ("VIN_SYS_5V0", 4133), ("VDDQ_VDD2_1V8AO", 1404)];
        assert_eq!(milliwatts(&reading), expected);
        assert_eq!(reading.total.map(rounded), Some(4373 + 795 + 4133), "memory is behind VIN_SYS_5V0");
    }
}

#[test]
fn a_rail_that_is_missing_leaves_no_total() {
    let tree = Tree::new();
    tree.orin(["hwmon3", "hwmon4"]).remove(&format!("{HWMON}/in2_label"));
    let reading = read(&mut Ina3221::open(tree.path()).unwrap(), 0);
    assert_eq!(faults(&reading), ["rail VDD_CPU_CV is missing"]);
    assert_eq!((reading.rails.len(), reading.total), (3, None));
}

#[test]
fn a_chip_whose_driver_has_gone_is_reported() {
    let tree = Tree::new();
    tree.xavier_4().put("bus/i2c/drivers/ina3221x/1-0042/uevent", "");
    let reading = read(&mut Ina3221::open(tree.path()).unwrap(), 0);
    assert_eq!(faults(&reading), ["rail 1-0042 is missing"]);
    assert!(reading.total.is_some(), "all six rails of the module are there");
}

#[test]
fn a_value_that_goes_away_later_is_a_fault_of_that_reading() {
    let tree = Tree::new();
    let mut rails = Ina3221::open(tree.xavier_4().path()).unwrap();
    tree.remove(&format!("{IIO}/in_power1_input"));
    let reading = read(&mut rails, 1);
    assert_eq!(faults(&reading), ["rail CPU is missing"]);
    assert_eq!((reading.rails.len(), reading.total), (5, None));
    tree.put(&format!("{IIO}/in_power1_input"), 100);
    assert_eq!(read(&mut rails, 2).total.map(rounded), Some(9_974));
}

#[test]
fn garbage_and_impossible_values_are_refused() {
    let file = format!("{IIO}/in_power0_input");
    for (text, fault) in [
        ("four", "rail GPU says `four`"),
        ("", "rail GPU says ``"),
        ("1e3", "rail GPU says `1e3`"),
        ("-40", "rail GPU says -40 mW, which cannot be"),
        ("9000000", "rail GPU says 9000000 mW, which cannot be"),
        ("99999999999999999999", "rail GPU says `99999999999999999999`"),
    ] {
        let tree = Tree::new();
        tree.xavier_4().put(&file, text);
        let reading = read(&mut Ina3221::open(tree.path()).unwrap(), 0);
        assert_eq!(faults(&reading), [fault]);
        assert_eq!((reading.rails.len(), reading.total), (5, None), "{text}");
    }
    // Volts times amperes beyond all numbers.
    let tree = Tree::new();
    tree.xavier_5().put(&format!("{HWMON}/in1_input"), i64::MAX);
    let reading = read(&mut Ina3221::open(tree.path()).unwrap(), 0);
    assert!(matches!(&reading.faults[..], [Fault::OutOfRange { .. }]), "{:?}", reading.faults);
}

#[test]
fn bytes_that_are_no_text_are_garbage() {
    let tree = Tree::new();
    std::fs::write(tree.xavier_4().path().join(IIO).join("in_power2_input"), [0xff, 0xfe, 0x00]).unwrap();
    let reading = read(&mut Ina3221::open(tree.path()).unwrap(), 0);
    assert_eq!(faults(&reading), ["rail SOC says `not UTF-8`"]);
}

#[test]
fn a_file_that_may_not_be_read_is_denied() {
    use std::os::unix::fs::PermissionsExt;
    let tree = Tree::new();
    let file = tree.xavier_4().path().join(IIO).join("in_power0_input");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o0)).unwrap();
    if std::fs::File::open(&file).is_ok() {
        println!("skipped: this user may read everything");
        return;
    }
    let reading = read(&mut Ina3221::open(tree.path()).unwrap(), 0);
    assert_eq!(faults(&reading), ["rail GPU: permission denied"]);
}

#[test]
fn a_stuck_monitor_is_found_and_said_to_be_until_it_moves() {
    let tree = Tree::new();
    let mut rails = Ina3221::open(tree.xavier_4().path()).unwrap();
    let last = u64::from(STUCK_READINGS);
    for second in 0..last {
        assert!(read(&mut rails, second).faults.is_empty(), "{second}");
    }
    let reading = read(&mut rails, last);
    assert_eq!(faults(&reading), ["no rail has changed in 61 readings"]);
    assert_eq!((reading.rails.len(), reading.total), (0, None), "an old number is no measurement");
    tree.put(&format!("{IIO}/in_power0_input"), 4609);
    let reading = read(&mut rails, last + 1);
    assert!(reading.faults.is_empty() && reading.total.is_some());
}

#[test]
fn no_monitor_is_no_source() {
    let error = Ina3221::open(Tree::new().path()).unwrap_err();
    assert!(matches!(error, PowerError::Absent { .. }), "{error}");
}

#[test]
fn the_best_source_is_taken_and_the_others_are_accounted_for() {
    let catalog = Catalog::embedded().unwrap();
    let jetson = catalog.profile("jetson-agx-xavier").unwrap();
    let host = catalog.profile("host-cpu").unwrap();
    let tree = Tree::new();
    let settings =
        |tree: &Tree| Settings { sysfs: tree.path().to_owned(), tegrastats: None, ..Settings::default() };
    let chosen = |tree: &Tree, profile: &Arc<_>| {
        let (source, passed_over) = open(&settings(tree), profile);
        (source.name(), source.origin(), passed_over)
    };
    let (name, origin, passed_over) = chosen(&tree, jetson);
    assert_eq!((name, origin), ("model", Origin::Modelled));
    assert_eq!(passed_over, ["ina3221: no INA3221 power monitor on this machine"]);
    tree.xavier_4();
    assert_eq!(chosen(&tree, jetson), ("ina3221", Origin::Measured, Vec::new()));
    // A broken monitor does not stand for the board.
    tree.remove(&format!("{IIO}/rail_name_0"));
    let (name, _, passed_over) = chosen(&tree, jetson);
    assert_eq!(
        (name, &passed_over[..]),
        ("model", &["ina3221: no total (rail GPU is missing)".to_owned()][..])
    );
    let (name, _, passed_over) = chosen(&tree, host);
    assert_eq!(
        (name, &passed_over[..]),
        ("model", &["rapl: no RAPL energy counter on this machine".to_owned()][..])
    );
}

#[test]
fn names_are_listed() {
    let tree = Tree::new();
    let rails = Ina3221::open(tree.xavier_5().path()).unwrap();
    assert_eq!(rails.names().collect::<Vec<_>>(), ["GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"]);
}
