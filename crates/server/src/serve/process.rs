//! What the system knows of this process, under the names that all of Prometheus' clients use. Linux tells it in `/proc`; elsewhere
//! nothing is told.

use std::fs;
use std::time::Duration;

use subtle_metrics::Exposition;

/// The unit of times in `/proc`, for programs the same on every Linux that we build for (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

pub(super) fn write(to: &mut Exposition) {
    let cpu = fs::read_to_string("/proc/self/stat").ok().and_then(|stat| cpu_time(&stat));
    if let Some(time) = cpu {
        to.counter("process_cpu_seconds_total", "Processor time that the process has used.").is(time);
    }
    let memory = fs::read_to_string("/proc/self/status").ok().and_then(|status| resident(&status));
    if let Some(bytes) = memory {
        to.gauge("process_resident_memory_bytes", "Memory that the process has in use.").is(bytes);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        to.gauge("process_open_fds", "File descriptors that are open.").is(open.count());
    }
    let limit = fs::read_to_string("/proc/self/limits").ok().and_then(|limits| most_files(&limits));
    if let Some(most) = limit {
        to.gauge("process_max_fds", "File descriptors that may be open.").is(most);
    }
}

/// The 14th and 15th field, counted behind the name of the program, which may have spaces in it (proc(5)).
fn cpu_time(stat: &str) -> Option<Duration> {
    let (_, behind) = stat.rsplit_once(')')?;
    let mut ticks = behind.split_ascii_whitespace().skip(11).map(str::parse::<u32>);
    TICK.checked_mul(ticks.next()?.ok()?.checked_add(ticks.next()?.ok()?)?)
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

fn most_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proc_says_is_read_whatever_the_program_is_called() {
        let stat = "7 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 1 0 3 4 5";
        assert_eq!(cpu_time(stat), Some(Duration::from_secs(3)));
        assert_eq!(resident("Name:\tsubtle\nVmRSS:\t   20 kB\n"), Some(20_480));
        assert_eq!(
            most_files("Max cpu time  unlimited\nMax open files    1024   4096   files\n"),
            Some(1_024)
        );
    }

    #[test]
    fn what_cannot_be_read_is_not_told() {
        assert_eq!(cpu_time("7 (a) S 1"), None);
        assert_eq!(cpu_time("").or(cpu_time("7 (a) S 1 2 3 4 5 6 7 8 9 10 x 50")), None);
        assert_eq!(resident("VmRSS:\t20 MB\n").or(resident("")), None);
        assert_eq!(most_files("Max open files    unlimited   unlimited   files"), None);
    }
}
