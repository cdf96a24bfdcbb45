//! The names of test databases tell whose they are, so that those of processes that have ended can be told from the others.

use std::fs;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::process::exists;

/// Names the databases of one process.
#[derive(Debug)]
pub(super) struct Names {
    /// What all names on this machine start with. Another machine's process ids say nothing here.
    machine: String,
    /// Tells our names from those of an earlier process with our id.
    chance: u32,
    count: AtomicU32,
}

impl Names {
    pub(super) fn new() -> Self {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let [machine, chance] = [hash(&host), RandomState::new().hash_one(())].map(low);
        Self { machine: format!("subtle_test_{machine:08x}_"), chance, count: AtomicU32::new(0) }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.machine
    }

    /// A name that was never given before.
    pub(super) fn next(&self) -> String {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        format!("{}{}_{:08x}_{number}", self.machine, process::id(), self.chance)
    }

    /// Whether the database belonged to a process that has ended. A name that tells no process is not ours to judge.
    pub(super) fn is_orphan(&self, name: &str) -> bool {
        let mut parts = name.strip_prefix(&self.machine).unwrap_or_default().split('_');
        let pid = parts.next().and_then(|pid| pid.parse::<i32>().ok());
        let chance = parts.next().and_then(|chance| u32::from_str_radix(chance, 16).ok());
        let (Some(pid), Some(chance)) = (pid, chance) else {
            return false;
        };
        let ours = u32::try_from(pid) == Ok(process::id());
        if ours { chance != self.chance } else { !exists(pid) }
    }
}

/// The name of the template of a fingerprint.
pub(super) fn template(fingerprint: &str) -> String {
    format!("subtle_template_{:016x}", hash(fingerprint))
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn low(number: u64) -> u32 {
    u32::try_from(number & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Higher than any system gives out.
    const NO_PROCESS: i32 = i32::MAX;

    #[test]
    fn a_name_is_unique_and_its_owner_lives() {
        let names = Names::new();
        let (one, other) = (names.next(), names.next());
        assert_ne!(one, other);
        assert!(one.len() < 64, "PostgreSQL cuts longer names");
        assert!(!names.is_orphan(&one));
    }

    #[test]
    fn a_database_of_a_dead_process_is_an_orphan() {
        let names = Names::new();
        assert!(names.is_orphan(&format!("{}{NO_PROCESS}_00000001_0", names.prefix())));
    }

    #[test]
    fn a_database_of_an_earlier_process_with_our_id_is_an_orphan() {
        let (earlier, names) = (Names::new(), Names::new());
        assert!(names.is_orphan(&earlier.next()));
    }

    #[test]
    fn what_is_not_named_by_us_is_no_orphan() {
        let names = Names::new();
        let of_another_machine = format!("subtle_test_x_{NO_PROCESS}_00000001_0");
        for name in ["postgres", "", names.prefix(), of_another_machine.as_str()] {
            assert!(!names.is_orphan(name), "{name}");
        }
    }
}
