//! `nvpmodel`, played by a script that keeps its mode in a file and answers as the real one does.

use crate::tree::Tree;
use ecomap_executor::power::command::Program;
use ecomap_executor::power::modes::Fixed;
use ecomap_executor::power::nvpmodel::Nvpmodel;
use ecomap_executor::power::{PowerError, PowerModes};

// Modes of an AGX Xavier by their documented names, in the syntax of the file.
const CONFIG: &str = "\
< PARAM TYPE=FILE NAME=CPU_ONLINE >
CORE_7 /sys/devices/system/cpu/cpu7/online
< PARAM TYPE=FILE NAME=TPC_POWER_GATING >
TPC_PG_MASK /sys/devices/gpu.0/tpc_pg_mask
< POWER_MODEL ID=0 NAME=MAXN >
CPU_ONLINE CORE_7 1
TPC_POWER_GATING TPC_PG_MASK 0
< POWER_MODEL ID=1 NAME=MODE_10W >
CPU_ONLINE CORE_7 0
TPC_POWER_GATING TPC_PG_MASK 12
< POWER_MODEL ID=2 NAME=MODE_15W >
CPU_ONLINE CORE_7 0
TPC_POWER_GATING TPC_PG_MASK 0
< PM_CONFIG DEFAULT=2 >";

/// The command on a board in which mode 1 cannot be reached without a reboot. It reboots (a file `rebooted` appears)
/// only if someone confirms.
fn board(state: &str) -> (Tree, Nvpmodel) {
    let tree = Tree::new();
    tree.put("nvpmodel.conf", CONFIG).put("mode", state);
    let root = tree.path().display().to_string();
    let script = format!(
        r#"cd '{root}'
case "$1" in
-q) echo "NV Fan Mode:quiet"; case $(cat mode) in 0) echo "NV Power Mode: MAXN";; 1) echo "NV Power Mode: MODE_10W";; 2) echo "NV Power Mode: MODE_15W";; esac; cat mode;;
-m) if [ "$2" = 1 ] && [ "$(cat mode)" != 1 ]; then
      echo "NVPM WARN: Reboot required for changing to this power mode: 1"
      echo "NVPM WARN: DO YOU WANT TO REBOOT NOW? enter YES/yes to confirm:"
      if read answer; then touch rebooted; fi
      echo "NVPM ERROR: optMask is 1, no request for power mode" >&2; exit 255
    fi
    if [ -e stubborn ]; then exit 0; fi
    if [ -e broken ]; then echo "NVPM ERROR: failed to set power mode!" >&2; exit 255; fi
    echo "$2" > mode;;
esac"#
    );
    let program = Program::new(["sh".to_owned(), "-c".to_owned(), script, "nvpmodel".to_owned()]);
    let modes = Nvpmodel::new(program, tree.path().join("nvpmodel.conf"));
    (tree, modes)
}

#[test]
fn modes_are_listed_queried_and_set() {
    let (_tree, mut modes) = board("2");
    assert_eq!(modes.known().unwrap(), ["MAXN", "10W", "15W"]);
    assert_eq!(modes.current().unwrap(), "15W");
    modes.set("MAXN").unwrap();
    assert_eq!(modes.current().unwrap(), "MAXN");
    modes.set("MODE_15W").unwrap();
    assert_eq!(modes.current().unwrap(), "15W");
    modes.set("15W").unwrap();
}

#[test]
fn a_reboot_is_never_confirmed() {
    let (tree, mut modes) = board("0");
    let error = modes.set("10W").unwrap_err();
    assert!(matches!(&error, PowerError::NeedsReboot { mode } if mode == "10W"), "{error}");
    assert!(!tree.path().join("rebooted").exists());
    assert_eq!(modes.current().unwrap(), "MAXN", "the old mode is in force");
}

#[test]
fn unknown_modes_and_failures_are_told() {
    let (tree, mut modes) = board("0");
    let error = modes.set("30W_ALL").unwrap_err();
    assert_eq!(error.to_string(), "no power mode `30W_ALL`; the board has: MAXN, 10W, 15W");
    tree.put("broken", "");
    let error = modes.set("15W").unwrap_err();
    assert_eq!(error.to_string(), "sh failed: NVPM ERROR: failed to set power mode!");
}

#[test]
fn success_is_not_believed_without_a_look() {
    let (tree, mut modes) = board("0");
    tree.put("stubborn", "");
    let error = modes.set("15W").unwrap_err();
    assert!(matches!(&error, PowerError::NotInForce { found, .. } if found == "MAXN"), "{error}");
}

#[test]
fn a_machine_without_modes_has_one() {
    let mut modes = Fixed::new("default");
    assert_eq!(modes.current().unwrap(), "default");
    modes.set("default").unwrap();
    assert!(matches!(modes.set("MAXN"), Err(PowerError::UnknownMode { .. })));
}

#[test]
fn a_missing_configuration_is_named() {
    let modes = Nvpmodel::new(Program::new(["true"]), "/nowhere/nvpmodel.conf".into());
    assert!(modes.known().unwrap_err().to_string().starts_with("cannot read /nowhere/nvpmodel.conf"));
    assert!(matches!(modes.current(), Err(PowerError::Answer { .. })));
}
