use std::collections::HashSet;

use subtle_domain::Timestamp;
use subtle_domain::audit::{AuditAction, Origin};
use subtle_domain::directory::{PageStart, UserQuery, UserSort, UserSortKey};
use subtle_domain::email::EmailAddress;
use subtle_domain::ids::UserId;
use subtle_domain::import::{Change, ForeignAccount, Imported, Refusal, SessionLoss, Verdict, judge};
use subtle_domain::ports::{AlreadyThere, ImportSource, NewImport, StoreError};
use subtle_domain::second_factor::SecondFactor;
use subtle_domain::user::Role;

use super::ImportReport;
use crate::Ports;
use crate::actor::{Actor, Told};
use crate::again::again;

/// How many accounts are taken in one commit.
const BATCH: u32 = 500;

/// Whether anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Accounts are taken.
    Take,
    /// It is only told what would become of each.
    Try,
}

/// Why the accounts could not be taken, or not all of them. What was taken stays; the next run goes on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The other service's accounts can't be read.
    #[error("the accounts to import cannot be read")]
    Source(#[source] StoreError),
    /// They can't be written here.
    #[error("the accounts cannot be written")]
    Store(#[from] StoreError),
}

/// Takes over the accounts of another service, a batch in each commit, and tells after each how far it has come.
///
/// An account whose identifier is here is left as it is. So it can be ended anywhere and begun anew, and gives the same in the end.
pub async fn import_accounts(
    ports: &Ports,
    source: &mut dyn ImportSource,
    mode: Mode,
    progress: &mut (dyn FnMut(&ImportReport) + Send),
) -> Result<ImportReport, ImportError> {
    let mut report =
        ImportReport { found: source.count().await.map_err(ImportError::Source)?, ..ImportReport::default() };
    let steward = steward(ports).await?;
    let mut after = None;
    loop {
        let page = source.page(after.as_deref(), BATCH).await.map_err(ImportError::Source)?;
        let Some(last) = page.last() else { return Ok(report) };
        after = Some(last.id.clone());
        take_batch(ports, page, mode, steward.as_ref(), &mut report).await?;
        progress(&report);
    }
}

/// Who stands for an import in the audit trail: the administrator who has been there for longest.
async fn steward(ports: &Ports) -> Result<Option<UserId>, StoreError> {
    let query = UserQuery {
        start: PageStart::Number(1),
        page_size: 1,
        search: None,
        tier: None,
        role: Some(Role::Admin),
        sort: UserSort { key: UserSortKey::CreatedAt, descending: false },
    };
    let page = ports.directory.page(&query).await?;
    Ok(page.users.into_iter().next().map(|row| row.user.id))
}

/// An account that shall be taken, and what is told of it once it is.
struct Candidate {
    import: NewImport,
    changes: Vec<Change>,
    lost: Vec<SessionLoss>,
}

async fn take_batch(
    ports: &Ports,
    page: Vec<ForeignAccount>,
    mode: Mode,
    steward: Option<&UserId>,
    report: &mut ImportReport,
) -> Result<(), StoreError> {
    let now = ports.clock.now();
    report.looked_at += u64::try_from(page.len()).unwrap_or(u64::MAX);
    let mut candidates = Vec::new();
    for account in page {
        let id = account.id.clone();
        match judge(account, ports.policy.sessions.idle, now) {
            Verdict::Refused(why) => report.refuse(&id, why),
            Verdict::Taken(imported) => candidates.push(candidate(ports, *imported, now)),
        }
    }
    if candidates.is_empty() {
        return Ok(());
    }
    let (there, new) = again(|| store(ports, &candidates, mode, steward, now)).await?;
    for candidate in &candidates {
        tell(candidate, &there, &new, report);
    }
    Ok(())
}

/// Fits an account with what only the keys of this service can make of it.
fn candidate(ports: &Ports, mut imported: Imported, now: Timestamp) -> Candidate {
    let user_id = imported.new.user.id.clone();
    let secret = imported.secret.clone();
    let encrypted = secret.as_ref().and_then(|secret| ports.authenticators.adopt(&user_id, secret));
    if secret.is_some() && encrypted.is_none() {
        imported = imported.without_factor(now);
    }
    let mut sessions = Vec::new();
    for (theirs, ours) in std::mem::take(&mut imported.sessions) {
        let signer = theirs.signer.as_ref();
        let computed = signer.and_then(|signer| ports.imported_tokens.compute(&theirs.id, signer));
        let tokens = computed.into_iter().flatten().chain(theirs.tokens);
        let digests: Vec<_> = tokens.map(|token| ports.imported_tokens.digest(&token)).collect();
        if digests.is_empty() {
            imported.lost.push(SessionLoss::Unreadable);
        } else {
            sessions.push((ours, digests));
        }
    }
    let factor = encrypted.map(|encrypted| SecondFactor {
        user_id,
        encrypted,
        created_at: now,
        confirmed_at: Some(now),
        last_step: None,
    });
    let Imported { new, identities, changes, lost, .. } = imported;
    Candidate { import: NewImport { new, factor, identities, sessions }, changes, lost }
}

/// Takes those that can be taken, and tells what was there and which were taken: they and their audit entry commit together.
async fn store(
    ports: &Ports,
    candidates: &[Candidate],
    mode: Mode,
    steward: Option<&UserId>,
    now: Timestamp,
) -> Result<(AlreadyThere, HashSet<UserId>), StoreError> {
    let user = |candidate: &Candidate| candidate.import.new.user.clone();
    let (ids, emails): (Vec<_>, Vec<_>) =
        candidates.iter().map(user).map(|user| (user.id, user.email)).unzip();
    let mut unit = ports.store.begin().await?;
    let there = unit.imports().already_there(&ids, &emails).await?;
    let free = free(candidates, &there);
    if mode == Mode::Try || free.is_empty() {
        unit.rollback().await?;
        return Ok((there, free.into_iter().map(|import| import.new.user.id).collect()));
    }
    let new = unit.imports().add(&free).await?;
    let mut taken = free.iter().map(|import| &import.new.user.id).filter(|id| new.contains(id));
    if let Some(first) = taken.next() {
        // Before there is an administrator, the trail has nobody else to name than one of the accounts.
        let by = Actor { id: steward.unwrap_or(first).clone(), origin: Origin::CommandLine };
        let last = taken.next_back().unwrap_or(first);
        let facts =
            [("accounts", new.len().to_string()), ("first", first.to_string()), ("last", last.to_string())];
        let entry = ports.audit_entry(&by, AuditAction::UsersImported, None, Told::facts(facts), now);
        unit.audit().append(&entry).await?;
    }
    unit.commit().await?;
    Ok((there, new))
}

/// Those whose identifier and address nobody has, here or before them in the batch.
fn free(candidates: &[Candidate], there: &AlreadyThere) -> Vec<NewImport> {
    let mut addresses: HashSet<&EmailAddress> = there.emails.iter().collect();
    candidates
        .iter()
        .map(|candidate| &candidate.import)
        .filter(|import| !there.ids.contains(&import.new.user.id))
        .filter(|import| addresses.insert(&import.new.user.email))
        .cloned()
        .collect()
}

fn tell(candidate: &Candidate, there: &AlreadyThere, new: &HashSet<UserId>, report: &mut ImportReport) {
    let import = &candidate.import;
    let id = &import.new.user.id;
    if there.ids.contains(id) {
        report.already_here += 1;
    } else if new.contains(id) {
        report.taken += 1;
        report.second_factors += u64::from(import.factor.is_some());
        report.identities += u64::try_from(import.identities.len()).unwrap_or(u64::MAX);
        report.sessions += u64::try_from(import.sessions.len()).unwrap_or(u64::MAX);
        candidate.changes.iter().for_each(|change| report.change(id.as_str(), *change));
        candidate.lost.iter().for_each(|why| report.lose(*why));
    } else {
        report.refuse(id.as_str(), Refusal::AddressTaken);
    }
}

#[cfg(test)]
mod tests;
