//! The program: `shardwire` with its commands, and the allocator it runs on.
//! What a command does is `cli/`.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    shardwire::cli::main()
}
