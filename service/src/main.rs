//! The `ecomap` command. Everything it does is in the library.

fn main() -> std::process::ExitCode {
    ecomap_service::cli::main()
}
