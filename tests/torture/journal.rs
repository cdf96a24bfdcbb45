//! What was asked for and what was answered, held against what is there.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::AddAssign;

/// How what is changed begins; all else is only ever added.
pub(crate) const CHANGING: &str = "name of ";

/// What a request asked for.
#[derive(Debug, Clone)]
struct Entry {
    wanted: String,
    /// How it stood before, where the request changes something.
    before: Option<String>,
    /// Whether somebody was told that it is so. Otherwise it may be or not.
    acknowledged: bool,
}

/// All that was asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal {
    /// By what it is about.
    entries: BTreeMap<String, Entry>,
    /// The damage that was told of already.
    told: BTreeSet<String>,
}

/// What must not be. Each is a line for people.
#[derive(Debug, Default)]
pub(crate) struct Damage {
    pub(crate) lost: Vec<String>,
    pub(crate) doubled: Vec<String>,
}

impl AddAssign for Damage {
    fn add_assign(&mut self, other: Self) {
        self.lost.extend(other.lost);
        self.doubled.extend(other.doubled);
    }
}

impl Journal {
    /// Notes what is about to be asked for.
    pub(crate) fn ask(&mut self, what: String, wanted: String) {
        let before = self.entries.get(&what).map(|entry| entry.wanted.clone());
        self.entries.insert(what, Entry { wanted, before, acknowledged: false });
    }

    /// Notes that it was answered.
    pub(crate) fn acknowledge(&mut self, what: &str) {
        if let Some(entry) = self.entries.get_mut(what) {
            entry.acknowledged = true;
        }
    }

    /// How many were not answered yet.
    pub(crate) fn unknown(&self) -> usize {
        self.entries.values().filter(|entry| !entry.acknowledged).count()
    }

    /// How many were answered.
    pub(crate) fn acknowledged(&self) -> usize {
        self.entries.len() - self.unknown()
    }

    /// This, but for certain only what was answered already in `then`; without what may have been changed since.
    pub(crate) fn as_known_in(&self, then: &Self) -> Self {
        let known = |what: &String| then.entries.get(what).is_some_and(|entry| entry.acknowledged);
        let steady = self.entries.iter().filter(|(what, _)| !what.starts_with(CHANGING));
        let entry = |what, entry: &Entry| Entry { acknowledged: known(what), ..entry.clone() };
        let entries = steady.map(|(what, known)| (what.clone(), entry(what, known))).collect();
        Self { entries, told: BTreeSet::new() }
    }

    /// What is wrong with what was found: what about, and how it stands. Each thing is told once.
    pub(crate) fn compare(&mut self, found: &[(String, String)]) -> Damage {
        let mut there: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (what, stands) in found {
            there.entry(what).or_default().push(stands);
        }
        let mut damage = Damage::default();
        for (what, entry) in &self.entries {
            match there.remove(what.as_str()).as_deref() {
                None | Some([]) if entry.acknowledged || entry.before.is_some() => {
                    damage.lost.push(what.clone());
                }
                None | Some([]) => {}
                Some([stands]) if entry.allows(stands) => {}
                Some([stands]) => damage.lost.push(format!("{what}: {stands} instead of {}", entry.wanted)),
                Some(several) => damage.doubled.push(format!("{what}: {} times", several.len())),
            }
        }
        damage.doubled.extend(there.into_keys().map(|what| format!("{what}: nobody asked for it")));
        for lines in [&mut damage.lost, &mut damage.doubled] {
            lines.retain(|line| self.told.insert(line.clone()));
        }
        damage
    }
}

impl Entry {
    fn allows(&self, stands: &str) -> bool {
        stands == self.wanted || (!self.acknowledged && self.before.as_deref() == Some(stands))
    }
}
