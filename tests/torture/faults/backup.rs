//! A backup under load, and its restore elsewhere.

use std::time::Instant;

use super::Struck;
use crate::judge::{added, unreconciled};
use crate::load::Load;
use crate::stage::{Stage, of_database};
use crate::support::app::{connect, fresh_folder};

const ELSEWHERE: &str = "elsewhere";

pub(super) async fn backup(stage: &Stage, load: &Load) -> Struck {
    let file = fresh_folder("backup");
    let path = file.to_string_lossy();
    let before = load.shared.journal.lock().unwrap().clone();
    let begun = Instant::now();
    let made = stage.run(&["backup", "--output", &path, "--verify"]).await;
    let remark = format!("backed up in {:.1} s", begun.elapsed().as_secs_f64());
    let mut complaints: Vec<_> = made.err().into_iter().collect();
    if complaints.is_empty() {
        let mut expected = load.shared.journal.lock().unwrap().as_known_in(&before);
        let elsewhere = of_database(&stage.direct_url(), ELSEWHERE);
        complaints.extend(stage.run_on(&elsewhere, &["restore", &path, "--keep-sessions"]).await.err());
        if complaints.is_empty() {
            let damage = expected.compare(&added(&elsewhere).await);
            let restored = |line: String| format!("restored elsewhere: {line}");
            complaints.extend(damage.lost.into_iter().chain(damage.doubled).map(restored));
            complaints.extend(unreconciled(&elsewhere).await.into_iter().map(restored));
            complaints.extend(stage.run_on(&elsewhere, &["audit", "verify"]).await.err());
        }
        let postgres = connect(&of_database(&stage.direct_url(), "postgres")).await;
        postgres.batch_execute(&format!("DROP DATABASE IF EXISTS {ELSEWHERE} WITH (FORCE)")).await.unwrap();
    }
    let _never_written = std::fs::remove_file(&file);
    Struck { complaints, ..Struck::now(remark) }
}
