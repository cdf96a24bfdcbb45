//! What is worth doing something about.

use super::{DatabaseReport, IndexReport, TableReport};
use crate::user::vocabulary;

vocabulary! {
    /// What is worth doing something about.
    FindingKind {
        /// Few connections are left.
        ConnectionsScarce = "connections_scarce",
        /// A transaction has been open for long: nothing that died since can be vacuumed.
        LongTransaction = "long_transaction",
        /// Somebody waits for somebody else's lock.
        WaitingForLock = "waiting_for_lock",
        /// A table has many rows that are gone.
        DeadRows = "dead_rows",
        /// The planner has never looked at a table with rows.
        NeverAnalyzed = "never_analyzed",
        /// An index is not used.
        UnusedIndex = "unused_index",
        /// An index does what another one does.
        DuplicateIndex = "duplicate_index",
        /// An index was not built to its end.
        InvalidIndex = "invalid_index",
        /// A setting puts data or speed at risk.
        UnsafeSetting = "unsafe_setting",
        /// The clocks differ.
        ClockSkew = "clock_skew",
        /// Something is not shown to the role that looks: what else there is to find is not known.
        HiddenFromRole = "hidden_from_role",
    }
}

/// Something that is worth doing something about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// What was seen.
    pub seen: String,
    /// What to do.
    pub remedy: String,
}

/// A transaction is long from so many milliseconds.
const LONG: i64 = 5 * 60 * 1_000;
/// A small table or index is not worth a word: so many rows, so many bytes.
const MANY_ROWS: i64 = 10_000;
const MANY_BYTES: i64 = 1 << 20;
/// Access tokens and times of rows are compared over servers: so many milliseconds are too many.
const SKEW: i64 = 1_000;

/// Values that hurt, by setting, and what for.
const UNSAFE: [(&str, &str, &str); 5] = [
    ("fsync", "off", "a crash can destroy the database"),
    ("full_page_writes", "off", "a crash can destroy pages"),
    ("synchronous_commit", "off", "a crash loses what was answered as done"),
    ("autovacuum", "off", "tables grow without end"),
    ("track_counts", "off", "autovacuum does not know when it is due"),
];

/// The names of UTC, with and without `Etc/` before them.
const UTC: [&str; 6] = ["UTC", "UCT", "GMT", "Zulu", "Universal", "Greenwich"];

impl DatabaseReport {
    /// What is worth doing something about, and what to do.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut found = self.of_connections();
        found.extend(self.tables.iter().flat_map(of_table));
        found.extend(self.of_indexes());
        found.extend(self.settings.iter().filter_map(of_setting));
        found.extend(self.settings.iter().filter_map(of_zone));
        found.extend(self.of_what_is_hidden());
        if self.clock_skew_ms.abs() > SKEW {
            found.push(Finding {
                kind: FindingKind::ClockSkew,
                seen: format!("the database's clock is {} ms ahead of this machine's", self.clock_skew_ms),
                remedy: "run a time service (chrony, systemd-timesyncd) on both".to_owned(),
            });
        }
        found
    }

    fn of_connections(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let count = i64::try_from(self.connections.len()).unwrap_or(i64::MAX);
        if self.most_connections > 0 && count.saturating_mul(5) > self.most_connections.saturating_mul(4) {
            found.push(Finding {
                kind: FindingKind::ConnectionsScarce,
                seen: format!(
                    "{count} of {} connections are taken in this database alone",
                    self.most_connections
                ),
                remedy: "lower connection_limit in DATABASE_URL, or raise max_connections".to_owned(),
            });
        }
        for connection in &self.connections {
            let pid = connection.pid;
            if let Some(ms) = connection.transaction_ms.filter(|ms| *ms >= LONG) {
                found.push(Finding {
                    kind: FindingKind::LongTransaction,
                    seen: format!(
                        "process {pid} ({}, {}) has a transaction open for {} s",
                        connection.application,
                        connection.state,
                        ms / 1_000
                    ),
                    remedy: format!("find out what it does; `SELECT pg_terminate_backend({pid})` ends it"),
                });
            }
            if !connection.waits_for.is_empty() {
                found.push(Finding {
                    kind: FindingKind::WaitingForLock,
                    seen: format!("process {pid} waits for {:?}: {}", connection.waits_for, connection.query),
                    remedy: "let those finish, or end them by pg_terminate_backend".to_owned(),
                });
            }
        }
        found
    }

    fn of_what_is_hidden(&self) -> Vec<Finding> {
        let Self { role, hidden_columns: tables, .. } = self;
        let mut found = Vec::new();
        if !self.sees_sessions {
            let hidden = self.connections.iter().filter(|connection| connection.state == "hidden").count();
            found.push(Finding {
                kind: FindingKind::HiddenFromRole,
                seen: format!(
                    "what sessions of other roles do is not shown to {role} ({hidden} of {} here)",
                    self.connections.len()
                ),
                remedy: format!(
                    "GRANT pg_monitor TO {role}, if it may see the statements of the whole server"
                ),
            });
        }
        if *tables > 0 {
            found.push(Finding {
                kind: FindingKind::HiddenFromRole,
                seen: format!(
                    "what the planner knows of {tables} tables with row-level security is not shown to {role}"
                ),
                remedy: "run `subtle doctor` as the owner of the tables".to_owned(),
            });
        }
        found
    }

    fn of_indexes(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for (place, index) in self.indexes.iter().enumerate() {
            let IndexReport { table, name, .. } = index;
            let twin = self.indexes.iter().take(place).find(|other| other.made_of == index.made_of);
            if !index.is_valid {
                found.push(Finding {
                    kind: FindingKind::InvalidIndex,
                    seen: format!("{name} on {table} was not built to its end"),
                    remedy: format!("REINDEX INDEX CONCURRENTLY {name}"),
                });
            } else if let Some(twin) = twin {
                // What keeps a rule stays, and then what migrations count on.
                let worth = |index: &IndexReport| (index.is_unique, index.is_ours);
                let (kept, double) = if worth(index) > worth(twin) { (index, twin) } else { (twin, index) };
                found.push(Finding {
                    kind: FindingKind::DuplicateIndex,
                    seen: format!("{} on {table} does what {} does", double.name, kept.name),
                    remedy: format!("DROP INDEX CONCURRENTLY {}", double.name),
                });
            } else if index.scans == 0 && !index.is_unique && index.bytes >= MANY_BYTES {
                found.push(Finding {
                    kind: FindingKind::UnusedIndex,
                    seen: format!("{name} on {table} has not been used since the statistics began"),
                    remedy: format!(
                        "if they began long ago, on every replica: DROP INDEX CONCURRENTLY {name}"
                    ),
                });
            }
        }
        found
    }
}

fn of_table(table: &TableReport) -> Vec<Finding> {
    let TableReport { name, rows, dead_rows, .. } = table;
    let mut found = Vec::new();
    if *dead_rows >= MANY_ROWS && dead_rows.saturating_mul(5) > *rows {
        found.push(Finding {
            kind: FindingKind::DeadRows,
            seen: format!("{name} has about {dead_rows} rows that are gone beside {rows}"),
            remedy: format!("VACUUM (ANALYZE) {name}; then see what keeps autovacuum from it"),
        });
    }
    if *rows >= MANY_ROWS && table.analyzed_at.is_none() {
        found.push(Finding {
            kind: FindingKind::NeverAnalyzed,
            seen: format!("{name} has about {rows} rows that the planner has never looked at"),
            remedy: format!("ANALYZE {name}"),
        });
    }
    found
}

fn of_setting((name, value): &(String, String)) -> Option<Finding> {
    let (_, unfit, why) = UNSAFE.iter().find(|(known, unfit, _)| known == name && unfit == value)?;
    Some(Finding {
        kind: FindingKind::UnsafeSetting,
        seen: format!("{name} is {unfit}: {why}"),
        remedy: format!("ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf()"),
    })
}

/// The service sets the zone of its own sessions; others take what the database gives them, and a copy or a dump may have lost that.
fn of_zone((name, zone): &(String, String)) -> Option<Finding> {
    let is_utc = UTC.contains(&zone.strip_prefix("Etc/").unwrap_or(zone));
    (name == "TimeZone" && !is_utc).then(|| Finding {
        kind: FindingKind::UnsafeSetting,
        seen: format!("TimeZone is {zone}: Prisma Client takes each time for another one"),
        remedy:
            "ALTER DATABASE … SET timezone = 'UTC' (a role's own goes before it); then let other programs \
                 connect anew"
                .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::ConnectionReport;
    use super::*;

    /// All that there is is shown.
    fn whole() -> DatabaseReport {
        DatabaseReport { sees_sessions: true, ..DatabaseReport::default() }
    }

    fn kinds(report: &DatabaseReport) -> Vec<FindingKind> {
        report.findings().into_iter().map(|finding| finding.kind).collect()
    }

    fn index(name: &str, made_of: &str) -> IndexReport {
        let (name, made_of) = (name.to_owned(), made_of.to_owned());
        IndexReport { name, made_of, scans: 1, is_valid: true, ..IndexReport::default() }
    }

    #[test]
    fn a_database_in_good_order_has_no_findings() {
        let report = DatabaseReport {
            most_connections: 100,
            connections: vec![ConnectionReport {
                transaction_ms: Some(LONG - 1),
                ..ConnectionReport::default()
            }],
            tables: vec![TableReport {
                rows: MANY_ROWS - 1,
                dead_rows: MANY_ROWS - 1,
                ..TableReport::default()
            }],
            indexes: vec![
                index("one", "a"),
                index("other", "b"),
                IndexReport { scans: 0, ..index("small", "c") },
            ],
            settings: vec![("fsync".to_owned(), "on".to_owned())],
            clock_skew_ms: -SKEW,
            ..whole()
        };
        assert_eq!(report.findings(), []);
    }

    #[test]
    fn who_is_connected_may_hold_others_up() {
        let waiting = ConnectionReport { pid: 7, waits_for: vec![8], ..ConnectionReport::default() };
        let long = ConnectionReport { pid: 8, transaction_ms: Some(LONG), ..ConnectionReport::default() };
        let report = DatabaseReport { most_connections: 2, connections: vec![waiting, long], ..whole() };
        let expected =
            [FindingKind::ConnectionsScarce, FindingKind::WaitingForLock, FindingKind::LongTransaction];
        assert_eq!(kinds(&report), expected);
        assert!(report.findings()[2].remedy.contains("pg_terminate_backend(8)"));
    }

    #[test]
    fn tables_and_indexes_may_cost_more_than_they_give() {
        let table = TableReport {
            name: "user_activity".to_owned(),
            rows: MANY_ROWS,
            dead_rows: MANY_ROWS,
            ..TableReport::default()
        };
        let unused = IndexReport { scans: 0, bytes: MANY_BYTES, ..index("unused", "c") };
        let rule = IndexReport { is_unique: true, ..unused.clone() };
        let report = DatabaseReport {
            tables: vec![table],
            indexes: vec![
                index("one", "a"),
                index("twin", "a"),
                unused,
                IndexReport { made_of: "d".to_owned(), ..rule },
                IndexReport { is_valid: false, ..index("broken", "e") },
            ],
            ..whole()
        };
        let expected = [
            FindingKind::DeadRows,
            FindingKind::NeverAnalyzed,
            FindingKind::DuplicateIndex,
            FindingKind::UnusedIndex,
            FindingKind::InvalidIndex,
        ];
        assert_eq!(kinds(&report), expected);
    }

    #[test]
    fn of_twins_the_one_that_keeps_a_rule_stays() {
        let indexes = vec![index("plain", "a"), IndexReport { is_unique: true, ..index("key", "a") }];
        let report = DatabaseReport { indexes, ..whole() };
        assert_eq!(report.findings()[0].remedy, "DROP INDEX CONCURRENTLY plain");
    }

    #[test]
    fn of_twins_the_one_that_a_migration_made_stays_whichever_is_larger() {
        let ours = IndexReport { is_ours: true, ..index("ours", "a") };
        for indexes in [[index("mine", "a"), ours.clone()], [ours, index("mine", "a")]] {
            let found = DatabaseReport { indexes: indexes.into(), ..whole() }.findings();
            assert_eq!(
                (&*found[0].seen, &*found[0].remedy),
                ("mine on  does what ours does", "DROP INDEX CONCURRENTLY mine")
            );
        }
    }

    #[test]
    fn what_is_not_shown_is_told() {
        let hidden = ConnectionReport { state: "hidden".to_owned(), ..ConnectionReport::default() };
        let connections = vec![hidden, ConnectionReport::default()];
        let report = DatabaseReport {
            role: "app".to_owned(),
            connections,
            hidden_columns: 3,
            ..DatabaseReport::default()
        };
        let found = report.findings();
        assert_eq!(kinds(&report), [FindingKind::HiddenFromRole; 2]);
        assert!(
            found[0].seen.ends_with("app (1 of 2 here)")
                && found[0].remedy.contains("GRANT pg_monitor TO app")
        );
        assert!(found[1].seen.contains("3 tables"));
    }

    #[test]
    fn a_zone_other_than_utc_hurts_other_programs() {
        let findings = |zone: &str| {
            let settings = vec![("TimeZone".to_owned(), zone.to_owned())];
            DatabaseReport { settings, ..whole() }.findings()
        };
        for zone in ["UTC", "Etc/UTC", "GMT", "Etc/Zulu"] {
            assert_eq!(findings(zone), [], "{zone}");
        }
        for zone in ["Asia/Tokyo", "Europe/London", "Etc/GMT-9", "Etc/", ""] {
            assert_eq!(findings(zone).len(), 1, "{zone}");
        }
        assert_eq!(findings("Asia/Tokyo")[0].kind, FindingKind::UnsafeSetting);
        assert!(findings("Asia/Tokyo")[0].seen.contains("Asia/Tokyo"));
    }

    #[test]
    fn settings_and_clocks_may_hurt() {
        for (name, value, _) in UNSAFE {
            let settings = vec![(name.to_owned(), value.to_owned())];
            let report = DatabaseReport { settings, ..whole() };
            assert_eq!(kinds(&report), [FindingKind::UnsafeSetting], "{name}");
        }
        for clock_skew_ms in [SKEW + 1, -SKEW - 1] {
            let report = DatabaseReport { clock_skew_ms, ..whole() };
            assert_eq!(kinds(&report), [FindingKind::ClockSkew]);
        }
    }
}
