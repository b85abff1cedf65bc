//! `ecomap board-key`: the key with which the service signs what boards are told.

use super::Exit;
use crate::ServiceError;
use ecomap_dispatch::Key;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// File for the secret half, which must not exist yet; the public half goes beside it, with `.pub` at its end
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut secret = [0_u8; 32];
    getrandom::fill(&mut secret).map_err(|error| ServiceError::Random(error.to_string()))?;
    let text: String = secret.iter().map(|b| format!("{b:02x}")).collect();
    let key = Key::new(&text)?;
    write(&args.file, 0o600, &text)?;
    let mut public = args.file.clone().into_os_string();
    public.push(".pub");
    write(Path::new(&public), 0o644, &key.public())?;
    Ok(Exit::Ok)
}

fn write(path: &Path, mode: u32, text: &str) -> Result<(), ServiceError> {
    let failed = |source| ServiceError::Write { path: path.to_owned(), source };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
    file.write_all(format!("{text}\n").as_bytes()).map_err(failed)
}
