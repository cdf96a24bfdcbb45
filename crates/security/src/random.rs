//! Chance from the system's generator (ASVS 11.5.1).

use aws_lc_rs::rand;

/// Random bytes. A process whose generator fails ends: no guessable token or salt is worth going on for.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if rand::fill(&mut bytes).is_err() {
        tracing::error!("the system's random number generator failed");
        std::process::abort();
    }
    bytes
}
