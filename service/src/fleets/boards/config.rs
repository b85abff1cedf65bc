//! Boards that the service may speak to, as the operator configures them (`--boards`).
//!
//! ```toml
//! key_file = "service.key"             # or key_env: the secret half of the signing key
//!
//! [board.xavier-1]                     # the device's name in fleets
//! address = "http://10.0.0.7:8090"     # absent: it announces itself, with a key of the role `operate`
//! ```
//!
//! Addresses come from here, or from a board that is listed here; a fleet's document names devices, never addresses.

use crate::ServiceError;
use ecomap_dispatch::{Key, Pace};
use ecomap_instances::ids::is_legal_id;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest configuration, bytes.
const LARGEST: u64 = 1 << 20;
/// Most boards.
const BOARDS: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileDto {
    key_file: Option<PathBuf>,
    key_env: Option<String>,
    #[serde(default = "check_s")]
    check_s: f64,
    #[serde(default = "prepare_s")]
    prepare_s: f64,
    #[serde(default)]
    board: BTreeMap<String, BoardDto>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BoardDto {
    address: Option<String>,
}

const fn check_s() -> f64 {
    5.0
}

const fn prepare_s() -> f64 {
    60.0
}

/// Longest time to prepare a plan, s: boards drop a prepared plan that is not committed within two minutes.
const MOST_PREPARE_S: f64 = 100.0;

/// Which boards there are, and how they are spoken to.
#[derive(Debug, Clone)]
pub struct BoardsConfig {
    /// Signs what boards are told.
    pub key: Key,
    /// Boards by name, with their addresses; `None`: they announce themselves.
    pub boards: BTreeMap<String, Option<String>>,
    /// Between two looks at each board.
    pub check: Duration,
    /// Time limits of a dispatch.
    pub pace: Pace,
}

impl BoardsConfig {
    /// With boards that announce themselves or are at an address, and the usual limits.
    #[must_use]
    pub fn new(key: Key, boards: BTreeMap<String, Option<String>>) -> Self {
        Self { key, boards, check: Duration::from_secs_f64(check_s()), pace: pace(prepare_s()) }
    }

    /// Reads the file; paths in it are relative to it.
    ///
    /// # Errors
    /// [`ServiceError::Boards`] with what is wrong; the key does not appear in it.
    pub fn read(path: &Path) -> Result<Self, ServiceError> {
        use std::io::Read as _;
        let wrong = |what: String| ServiceError::Boards { path: path.to_owned(), what };
        let failed = |source| ServiceError::Read { path: path.to_owned(), source };
        let mut text = String::new();
        std::fs::File::open(path).map_err(failed)?.take(LARGEST).read_to_string(&mut text).map_err(failed)?;
        let file: FileDto = toml::from_str(&text).map_err(|e| wrong(e.message().to_owned()))?;
        let key = match (&file.key_file, &file.key_env) {
            (Some(key), None) => Key::open(&path.parent().unwrap_or(Path::new(".")).join(key))
                .map_err(|e| wrong(e.to_string()))?,
            (None, Some(name)) => {
                let text =
                    std::env::var(name).map_err(|_| wrong(format!("the environment has no `{name}`")))?;
                Key::new(&text).map_err(|e| wrong(e.to_string()))?
            }
            _ => return Err(wrong("give one of `key_file` and `key_env`".to_owned())),
        };
        if file.board.len() > BOARDS {
            return Err(wrong(format!("more than {BOARDS} boards")));
        }
        for (what, value, most) in
            [("check_s", file.check_s, 3_600.0), ("prepare_s", file.prepare_s, MOST_PREPARE_S)]
        {
            if !(0.05..=most).contains(&value) {
                return Err(wrong(format!("`{what}` must be 0.05 to {most}")));
            }
        }
        let mut boards = BTreeMap::new();
        for (name, board) in file.board {
            if !is_legal_id(&name) {
                return Err(wrong(format!("`{}` is no name of a device", name.escape_debug())));
            }
            if board.address.as_ref().is_some_and(|a| !a.starts_with("http://") || a.len() > 2_048) {
                return Err(wrong(format!("board `{name}`: the address must begin with http://")));
            }
            boards.insert(name, board.address);
        }
        let check = Duration::from_secs_f64(file.check_s);
        Ok(Self { key, boards, check, pace: pace(file.prepare_s) })
    }
}

fn pace(prepare_s: f64) -> Pace {
    Pace {
        prepare: Duration::from_secs_f64(prepare_s),
        commit: Duration::from_secs(20),
        ask: Duration::from_secs(5),
        ..Pace::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BoardsConfig, ServiceError> {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        std::fs::write(&key, "0f".repeat(32)).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        let path = folder.path().join("boards.toml");
        std::fs::write(&path, text).unwrap();
        BoardsConfig::read(&path)
    }

    #[test]
    fn boards_are_read_and_the_key_stays_hidden() {
        let config =
            read("key_file = \"key\"\ncheck_s = 1\n[board.a]\naddress = \"http://127.0.0.1:1\"\n[board.b]\n")
                .unwrap();
        assert_eq!(config.boards["a"].as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(config.boards["b"], None);
        assert!(!format!("{config:?}").contains("0f0f0f"));
    }

    #[test]
    fn what_does_not_hold_is_said() {
        for (text, what) in [
            ("[board.a]", "key_file"),
            ("key_env = \"ECOMAP_NO_SUCH_KEY\"", "ECOMAP_NO_SUCH_KEY"),
            ("key_file = \"key\"\n[board.a]\naddress = \"file:///etc\"", "http://"),
            ("key_file = \"key\"\ncheck_s = 0", "check_s"),
            ("key_file = \"key\"\nprepare_s = 600", "prepare_s"),
            ("key_file = \"key\"\n[board.\"..\"]", "no name"),
            ("key_file = \"key\"\nsurprise = 1", "surprise"),
        ] {
            let why = read(text).unwrap_err().to_string();
            assert!(why.contains(what), "{why}");
        }
    }
}
