//! How long everything takes.

use std::time::Duration;

use crate::faults::Fault;

/// How long a run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// About half a minute, with two faults.
    Smoke,
    /// About two minutes.
    Quick,
    /// About six minutes.
    Whole,
}

impl Pace {
    /// The faults, where none was chosen.
    pub(crate) fn faults(self, all: &[Fault]) -> Vec<Fault> {
        match self {
            Self::Smoke => vec![Fault::Restart, Fault::Kill],
            Self::Quick | Self::Whole => all.to_vec(),
        }
    }

    /// How long all must be well before a fault.
    pub(crate) fn calm(self) -> Duration {
        Duration::from_secs(match self {
            Self::Smoke => 1,
            Self::Quick => 2,
            Self::Whole => 5,
        })
    }

    /// How long it is watched after. More than the promise, or nobody would see it broken.
    pub(crate) fn after(self) -> Duration {
        Duration::from_secs(match self {
            Self::Smoke | Self::Quick => 6,
            Self::Whole => 10,
        })
    }

    /// How long a fault lasts that lasts as long as one likes.
    pub(crate) fn length(self, fault: Fault) -> Duration {
        let whole = match fault {
            Fault::Freeze => 30,
            Fault::Swallow => 20,
            _ => 15,
        };
        Duration::from_secs(match (self, fault) {
            (Self::Whole, _) => whole,
            (_, Fault::Freeze | Fault::Swallow) => 10,
            _ => 4,
        })
    }
}
