//! `subtle import`.

mod told;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _, stderr};
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use subtle_application::import::{ImportError, ImportReport, Mode, import_accounts};
use subtle_domain::ports::StoreError;
use subtle_persistence::migrations::{self, State};
use subtle_persistence::{Database, InvalidUrl, PgSupabase, PoolOptions, SupabaseError};
use subtle_security::MasterSecrets;

use crate::audit::AuditError;
use crate::database::Home;
use crate::failure::Failure;
use crate::secrets;
use crate::settings::{DatabaseUrl, Settings};
use crate::wiring::{self, Wired};

/// Names the database to import from, where a command line would show its password to every user of the machine.
pub(crate) const FROM_VARIABLE: &str = "SUBTLE_IMPORT_FROM";

/// What to import.
#[derive(Debug)]
pub(crate) struct ImportTask {
    pub(crate) from: Option<DatabaseUrl>,
    pub(crate) dry_run: bool,
    pub(crate) json: bool,
}

impl ImportTask {
    /// The same, with what the environment says where the command line says nothing.
    pub(crate) fn or_from(self, environment: &[(OsString, OsString)]) -> Self {
        let given = environment.iter().find(|(name, _)| name == FROM_VARIABLE);
        let given = given.and_then(|(_, url)| url.to_str()).map(|url| DatabaseUrl::new(url.to_owned()));
        Self { from: self.from.or(given), ..self }
    }
}

/// Why nothing was imported, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportFailure {
    #[error(
        "import supabase needs --from URL, or {FROM_VARIABLE} in the environment: the project's database"
    )]
    NoUrl,
    #[error("what --from or {FROM_VARIABLE} says must be as for DATABASE_URL, and is not: {0}")]
    Url(#[source] InvalidUrl),
    #[error("no connections to the database to import from can be managed")]
    Pool(#[source] StoreError),
    #[error("the database is not up to date: run `subtle migrate` first, for a dry run changes nothing")]
    Behind,
    #[error("cannot import from that database")]
    Source(#[from] SupabaseError),
    #[error("the import has stopped; run it again, and it goes on")]
    Stopped(#[from] ImportError),
}

pub(crate) fn import(settings: &Settings, task: &ImportTask) -> Result<(), Failure> {
    let from = task.from.as_ref().ok_or(ImportFailure::NoUrl)?;
    let from = PoolOptions::from_url(from.expose()).map_err(ImportFailure::Url)?;
    let local = settings.database_url.as_ref().is_none_or(DatabaseUrl::is_local);
    // What is kept of refresh tokens, of the secrets of apps and in the audit trail is under keys of the servers'.
    let secrets = secrets::find(settings, local)?;
    let home = Home::open(settings)?;
    let mode = if task.dry_run { Mode::Try } else { Mode::Take };
    let report = crate::runtime()?.block_on(imported(settings, &home, &secrets, from, mode))?;
    home.close()?;
    crate::print(&if task.json { told::json(&report, mode) } else { told::text(&report, mode) })
}

async fn imported(
    settings: &Settings,
    home: &Home,
    secrets: &MasterSecrets,
    from: PoolOptions,
    mode: Mode,
) -> Result<ImportReport, Failure> {
    let theirs = Database::new(from).map_err(ImportFailure::Pool)?;
    let mut source = PgSupabase::open(&theirs).await.map_err(ImportFailure::from)?;
    let mut wired = wiring::wire(settings, home.options()?, secrets, NonZeroUsize::MIN)?;
    prepare(home, &mut wired, mode).await?;
    let mut progress = Progress::new();
    let mut tell = |report: &ImportReport| progress.tell(report);
    let report = import_accounts(&wired.ports, &mut source, mode, &mut tell).await;
    progress.end();
    wired.activity.close().await;
    Ok(report.map_err(ImportFailure::from)?)
}

/// Gets the database ready. A try changes nothing there either.
async fn prepare(home: &Home, wired: &mut Wired, mode: Mode) -> Result<(), Failure> {
    if mode == Mode::Try {
        let steps = migrations::status(home.url().expose()).await?;
        let is_behind = steps.iter().any(|step| step.state == State::Pending);
        return if is_behind { Err(ImportFailure::Behind.into()) } else { Ok(()) };
    }
    migrations::migrate(home.url().expose()).await?;
    // The first seal ties the trail to the secret, so that the servers' can't be another one.
    let now = wired.ports.clock.now();
    wired.sealer.seal(now).await.map_err(AuditError::from)?.map_err(AuditError::from)?;
    Ok(())
}

/// How far an import has come: a line that counts at a terminal, and now and then a line elsewhere.
struct Progress {
    begun: Instant,
    told: Option<Instant>,
    counts: bool,
}

impl Progress {
    const EVERY: Duration = Duration::from_secs(5);

    fn new() -> Self {
        Self { begun: Instant::now(), told: None, counts: stderr().is_terminal() }
    }

    fn tell(&mut self, report: &ImportReport) {
        let every = if self.counts { Duration::from_millis(200) } else { Self::EVERY };
        if self.told.is_some_and(|told| told.elapsed() < every) {
            return;
        }
        self.told = Some(Instant::now());
        let seconds = self.begun.elapsed().as_secs();
        let line = format!("{} of {} accounts after {seconds} s", report.looked_at, report.found);
        // There is nobody to tell when this fails.
        let _told = if self.counts { write!(stderr(), "\r{line}") } else { writeln!(stderr(), "{line}") };
    }

    fn end(&self) {
        if self.counts && self.told.is_some() {
            let _told = writeln!(stderr());
        }
    }
}
