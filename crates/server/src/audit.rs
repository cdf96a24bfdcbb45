//! `subtle audit`.

use std::fmt;
use std::fs::File;
use std::io::{IsTerminal as _, Read as _, Write as _, stderr, stdin};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use subtle_domain::ports::StoreError;
use subtle_domain::seal::{AuditBreach, SealedHead};
use subtle_persistence::{AuditVerdict, Database, PgAuditSealer, PgAuditVerifier, PgStore, Unsealable};
use subtle_security::MacAuditProof;

use crate::database::Home;
use crate::failure::Failure;
use crate::secrets;
use crate::settings::Settings;
use crate::wiring::WiringError;

/// More than any head has.
const LONGEST_HEAD: u64 = 4096;

/// What to do about the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AuditTask {
    /// Holds it against its proofs, and against an earlier head, from a file or `-`.
    Verify { head: Option<PathBuf>, json: bool },
    /// Prints its head.
    Head,
}

/// Why the audit trail is not found good.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuditError {
    #[error("the audit trail is broken: {0}")]
    Broken(AuditBreach),
    #[error("{0}; is it the secret of the servers of this database?")]
    Unsealable(Unsealable),
    #[error("the audit trail has no seal yet: the server makes the first one")]
    Unsealed,
    #[error("the head cannot be read from {}", path.display())]
    Head { path: PathBuf, source: std::io::Error },
    #[error("{} holds no head: it must be what `subtle audit head` printed", .0.display())]
    NoHead(PathBuf),
    #[error("the audit trail cannot be read")]
    Store(#[from] StoreError),
}

impl From<Unsealable> for AuditError {
    fn from(why: Unsealable) -> Self {
        Self::Unsealable(why)
    }
}

pub(crate) fn audit(settings: &Settings, task: &AuditTask) -> Result<(), Failure> {
    let proof = MacAuditProof::new(&secrets::find_made(settings)?).map_err(WiringError::from)?;
    let home = Home::open(settings)?;
    let runtime = crate::runtime()?;
    let _within = runtime.enter();
    let database = Database::new(home.options()?).map_err(WiringError::from)?;
    let store = PgStore::new(database, Arc::new(proof));
    match task {
        AuditTask::Head => {
            let head = runtime.block_on(PgAuditSealer::new(store).head()).map_err(AuditError::from)?;
            home.close()?;
            let head = head.ok_or(AuditError::Unsealed)?.map_err(AuditError::from)?;
            crate::print(&line(&HeadText::from(&head)))
        }
        AuditTask::Verify { head, json } => {
            let head = head.as_deref().map(read).transpose()?;
            let mut progress = Progress::new();
            let verdict = runtime.block_on(
                PgAuditVerifier::new(store).verify(head.as_ref(), &mut |so_far| progress.tell(so_far)),
            );
            let verdict = verdict.map_err(AuditError::from)?;
            home.close()?;
            let told =
                if *json { line(&VerdictText::from(&verdict)) } else { format!("{}\n", Counts(&verdict)) };
            crate::print(&told)?;
            if verdict.seals == 0 && verdict.breach.is_none() {
                return Err(AuditError::Unsealed.into());
            }
            verdict.breach.map_or(Ok(()), |breach| Err(AuditError::Broken(breach).into()))
        }
    }
}

/// A head as it is printed and read.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HeadText {
    number: i64,
    sealed_at: String,
    hash: String,
    signature: String,
}

impl From<&SealedHead> for HeadText {
    fn from(head: &SealedHead) -> Self {
        Self {
            number: head.number,
            sealed_at: head.sealed_at.to_rfc3339_opts(SecondsFormat::Millis, true),
            hash: URL_SAFE_NO_PAD.encode(&head.hash),
            signature: URL_SAFE_NO_PAD.encode(&head.signature),
        }
    }
}

impl HeadText {
    fn into_head(self) -> Option<SealedHead> {
        Some(SealedHead {
            number: self.number,
            sealed_at: self.sealed_at.parse().ok()?,
            hash: URL_SAFE_NO_PAD.decode(self.hash).ok()?,
            signature: URL_SAFE_NO_PAD.decode(self.signature).ok()?,
        })
    }
}

fn read(path: &Path) -> Result<SealedHead, AuditError> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        stdin().lock().take(LONGEST_HEAD).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(LONGEST_HEAD).read_to_string(&mut text))
    };
    read.map_err(|source| AuditError::Head { path: path.to_owned(), source })?;
    let head = serde_json::from_str::<HeadText>(&text).ok().and_then(HeadText::into_head);
    head.ok_or_else(|| AuditError::NoHead(path.to_owned()))
}

/// A verdict for scripts.
#[derive(Serialize)]
struct VerdictText {
    intact: bool,
    rows: u64,
    old: u64,
    seals: u64,
    unsealed: u64,
    breach: Option<String>,
}

impl From<&AuditVerdict> for VerdictText {
    fn from(verdict: &AuditVerdict) -> Self {
        Self {
            intact: verdict.breach.is_none(),
            rows: verdict.rows,
            old: verdict.old,
            seals: verdict.seals,
            unsealed: verdict.unsealed,
            breach: verdict.breach.as_ref().map(AuditBreach::to_string),
        }
    }
}

/// A verdict for people; what is wrong is told as the failure that it is.
struct Counts<'a>(&'a AuditVerdict);

impl fmt::Display for Counts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AuditVerdict { rows, old, seals, unsealed, breach } = self.0;
        let end = if breach.is_some() { ", up to the first that is not" } else { "" };
        write!(f, "intact{end}: {rows} rows, {seals} seals; {unsealed} of the rows wait for a seal")?;
        if *old > 0 {
            write!(f, "; {old} are older than proofs, and were sealed as they were then")?;
        }
        Ok(())
    }
}

/// Tells how far a long verification is, on standard error: every second or so on a terminal, every ten elsewhere.
struct Progress {
    begun: Instant,
    told: Instant,
    every: Duration,
}

impl Progress {
    fn new() -> Self {
        let every = if stderr().is_terminal() { Duration::from_secs(1) } else { Duration::from_secs(10) };
        Self { begun: Instant::now(), told: Instant::now(), every }
    }

    fn tell(&mut self, so_far: &AuditVerdict) {
        if self.told.elapsed() >= self.every {
            self.told = Instant::now();
            let seconds = self.begun.elapsed().as_secs();
            // There is nobody to tell when this fails.
            let _told = writeln!(stderr(), "{} rows, {} seals after {seconds} s", so_far.rows, so_far.seals);
        }
    }
}

fn line(value: &impl Serialize) -> String {
    // A struct of numbers and text always has a JSON form.
    serde_json::to_string(value).unwrap_or_default() + "\n"
}
