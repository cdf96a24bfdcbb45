use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counters by one label, whose values are words of the program.
#[derive(Debug)]
pub struct Tally(Mutex<BTreeMap<&'static str, u64>>);

impl Tally {
    /// Of these, none yet. What is named here is shown from the start, so that a first one is seen to be one more than none.
    #[must_use]
    pub fn of(names: &[&'static str]) -> Self {
        Self(Mutex::new(names.iter().map(|name| (*name, 0)).collect()))
    }

    /// One more.
    pub fn count(&self, name: &'static str) {
        self.add(name, 1);
    }

    /// So many more.
    pub fn add(&self, name: &'static str, more: usize) {
        *self.counts().entry(name).or_default() += u64::try_from(more).unwrap_or(u64::MAX);
    }

    /// How many of each there were.
    #[must_use]
    pub fn get(&self) -> Vec<(&'static str, u64)> {
        self.counts().iter().map(|(name, count)| (*name, *count)).collect()
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_counted_by_its_name_and_those_that_are_expected_are_shown_before() {
        let tally = Tally::of(&["b", "a"]);
        tally.count("a");
        tally.add("a", 2);
        tally.count("c");
        assert_eq!(tally.get(), [("a", 3), ("b", 0), ("c", 1)]);
    }
}
