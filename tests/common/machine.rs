//! The machine that a program runs on.

/// The average load of the last minute, where the machine tells it.
pub(crate) fn load() -> String {
    let told = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    told.split(' ').next().filter(|told| !told.is_empty()).unwrap_or("?").to_owned()
}
