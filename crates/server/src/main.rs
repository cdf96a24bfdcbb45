//! The binary `subtle`. All it does is in the library beside it, which the black-box tests build it from too.

use std::process::ExitCode;

fn main() -> ExitCode {
    subtle_server::main()
}
