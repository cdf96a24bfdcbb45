//! What processes cost, as Linux tells it. Elsewhere nothing is told.

use std::fs;

/// In what the kernel counts times for `/proc`, on every architecture that we know of.
const TICKS_PER_SECOND: u32 = 100;
/// What a page of memory is told in.
const KIB: u64 = 1024;

/// CPU time in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) server: f64,
    pub(crate) postgres: f64,
    pub(crate) ourselves: f64,
}

/// Whose CPU time is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meter {
    pub(crate) server: i32,
    pub(crate) postmaster: i32,
}

impl Meter {
    /// What all have used since they were started; `None` where it is not told.
    pub(crate) fn read(self) -> Option<Cpu> {
        Some(Cpu {
            server: Stat::of(&self.server.to_string())?.own,
            postgres: self.postgres()?,
            ourselves: Stat::of("self")?.own,
        })
    }

    /// The postmaster, with the backends that have ended, and those that live.
    fn postgres(self) -> Option<f64> {
        let postmaster = Stat::of(&self.postmaster.to_string())?;
        let processes = fs::read_dir("/proc").ok()?.flatten();
        let names = processes.filter_map(|entry| entry.file_name().into_string().ok());
        let living = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
        let children = living.filter_map(|pid| Stat::of(&pid)).filter(|stat| stat.parent == self.postmaster);
        Some(postmaster.own + postmaster.ended_children + children.map(|child| child.own).sum::<f64>())
    }
}

impl Cpu {
    /// What was used since `earlier`.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            server: self.server - earlier.server,
            postgres: self.postgres - earlier.postgres,
            ourselves: self.ourselves - earlier.ourselves,
        }
    }
}

/// A line of `/proc/…/stat`.
struct Stat {
    parent: i32,
    own: f64,
    ended_children: f64,
}

impl Stat {
    fn of(process: &str) -> Option<Self> {
        let line = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name, in parentheses, may hold blanks and parentheses itself.
        let (_, rest) = line.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        // proc_pid_stat(5) counts from 1; `state`, the first here, is its third.
        let ticks = |number: usize| fields.get(number - 3)?.parse().ok();
        let seconds = |numbers: [usize; 2]| {
            let [user, system]: [Option<u32>; 2] = numbers.map(ticks);
            Some(f64::from(user? + system?) / f64::from(TICKS_PER_SECOND))
        };
        Some(Self {
            parent: fields.get(1)?.parse().ok()?,
            own: seconds([14, 15])?,
            ended_children: seconds([16, 17])?,
        })
    }
}

/// Memory of a process in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// What it has now.
    pub(crate) now: u64,
    /// The most that it ever had.
    pub(crate) most: u64,
}

/// What a process has in memory; `None` where it is not told.
pub(crate) fn memory(pid: i32) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib * KIB)
    };
    Some(Memory { now: bytes("VmRSS:")?, most: bytes("VmHWM:")? })
}
