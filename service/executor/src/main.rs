//! The `ecomap-executor` command. Everything it does is in the library.

fn main() -> std::process::ExitCode {
    ecomap_executor::cli::main()
}
