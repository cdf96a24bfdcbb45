//! bcrypt's work on a password, with rests.

use std::thread;
use std::time::{Duration, Instant};

use blowfish::Blowfish;

use crate::foreground::Foreground;

/// How long the processor is kept while somebody else may want it. Schedulers let a thread that computes go on for milliseconds, whatever
/// its priority, if who wakes up belongs to another group of processes: PostgreSQL's do.
const STRETCH: Duration = Duration::from_micros(250);
/// For so long it is left to whoever waits.
const REST: Duration = Duration::from_micros(100);

/// bcrypt's outcome for a password, which ends with a NUL.
pub(super) fn outcome(cost: u32, salt: [u8; 16], password: &[u8], foreground: &Foreground) -> [u8; 23] {
    let mut state = Blowfish::bc_init_state();
    state.salted_expand_key(&salt, password);
    let mut began = Instant::now();
    for _ in 0..1_u64 << cost {
        state.bc_expand_key(password);
        state.bc_expand_key(&salt);
        if began.elapsed() >= STRETCH {
            if foreground.is_busy() {
                thread::sleep(REST);
            }
            began = Instant::now();
        }
    }
    let mut text = *b"OrpheanBeholderScryDoubt";
    for block in text.as_chunks_mut::<8>().0 {
        let [left, right] = block.as_chunks_mut::<4>().0 else { continue };
        let mut halves = [u32::from_be_bytes(*left), u32::from_be_bytes(*right)];
        for _ in 0..64 {
            halves = state.bc_encrypt(halves);
        }
        [*left, *right] = halves.map(u32::to_be_bytes);
    }
    // Its last byte was lost in the first implementation, and is left out ever since.
    let [outcome @ .., _] = text;
    outcome
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The crate's own, as an oracle.
        #[test]
        fn it_is_that_of_the_crate(text in "[^\0]{0,17}", salt: [u8; 16], cost in 4..7_u32) {
            let password = [text.as_bytes(), b"\0"].concat();
            let busy = Foreground::default();
            busy.serve();
            for foreground in [Foreground::default(), busy] {
                let theirs = bcrypt::bcrypt(cost, salt, &password);
                prop_assert_eq!(&outcome(cost, salt, &password, &foreground), &theirs[..23]);
            }
        }
    }
}
