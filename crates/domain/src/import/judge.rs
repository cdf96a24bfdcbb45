//! The rule: what becomes of an account of another service.

use chrono::TimeDelta;

use super::{
    Change, ForeignAccount, ForeignFactor, ForeignIdentity, ForeignSession, ImportedSession, Mark, Refusal,
    SessionLoss,
};
use crate::Timestamp;
use crate::email::EmailAddress;
use crate::ids::UserId;
use crate::password::PasswordHash;
use crate::ports::NewUser;
use crate::second_factor::Assurance;
use crate::text::{AvatarUrl, FullName};
use crate::token::ForeignSecret;
use crate::user::User;

/// What becomes of an account of another service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is taken, and this is what it is here.
    Taken(Box<Imported>),
    /// It has no place here.
    Refused(Refusal),
}

/// An account as it is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The account and its hash: a tombstone where nobody knows a password for it.
    pub new: NewUser,
    /// What codes of its owner's app are computed from.
    pub secret: Option<ForeignSecret>,
    /// By which providers its owner signed in.
    pub identities: Vec<ForeignIdentity>,
    /// The sessions that go on, and what is kept of each.
    pub sessions: Vec<(ForeignSession, ImportedSession)>,
    /// What is not as it was.
    pub changes: Vec<Change>,
    /// Why sessions do not go on, for each that does not.
    pub lost: Vec<SessionLoss>,
}

/// Decides on an account of another service at `now`, where a session may be unused for `idle`.
#[must_use]
pub fn judge(account: ForeignAccount, idle: TimeDelta, now: Timestamp) -> Verdict {
    match identity(&account) {
        Err(refusal) => Verdict::Refused(refusal),
        Ok((id, email)) => Verdict::Taken(Box::new(taken(account, id, email, idle, now))),
    }
}

fn identity(account: &ForeignAccount) -> Result<(UserId, EmailAddress), Refusal> {
    if account.has(Mark::Deleted) {
        return Err(Refusal::Deleted);
    }
    if account.has(Mark::Anonymous) {
        return Err(Refusal::Anonymous);
    }
    let id = UserId::parse(&account.id).map_err(|_unfit| Refusal::UnfitId)?;
    let nowhere = if account.has(Mark::Phone) { Refusal::PhoneOnly } else { Refusal::NoAddress };
    let email = account.email.as_deref().filter(|text| !text.is_empty()).ok_or(nowhere)?;
    if account.has(Mark::Shadowed) {
        return Err(Refusal::AddressTaken);
    }
    Ok((id, address(email).ok_or(Refusal::UnfitAddress)?))
}

/// Whoever came there with an odd name before the `@` must not be locked out by our stricter rules; but letters must reach them.
fn address(text: &str) -> Option<EmailAddress> {
    let known = EmailAddress::parse_known(text).ok()?;
    let (_, domain) = known.as_str().rsplit_once('@')?;
    EmailAddress::parse(&format!("postmaster@{domain}")).is_ok().then_some(known)
}

fn taken(
    account: ForeignAccount,
    id: UserId,
    email: EmailAddress,
    idle: TimeDelta,
    now: Timestamp,
) -> Imported {
    let mut changes = Vec::new();
    let mut note = |change, is_so: bool| changes.extend(is_so.then_some(change));
    let made = account.created_at.filter(|at| (Timestamp::UNIX_EPOCH..=now).contains(at));
    let hash = account.hash.as_ref().filter(|hash| !hash.expose().is_empty());
    let verifiable = hash.and_then(|hash| PasswordHash::parse_verifiable(hash.expose()).ok());
    let full_name = account.names.iter().find_map(|name| FullName::parse(name).ok());
    let avatar_url = account.pictures.iter().find_map(|url| AvatarUrl::parse(url).ok());
    let is_banned = account.banned_until.is_some_and(|until| now < until);
    let secret = account.factors.iter().find_map(|factor| match factor {
        ForeignFactor::App(secret) => Some(secret.clone()),
        ForeignFactor::Other => None,
    });
    note(Change::AddressRewritten, account.email.as_deref() != Some(email.as_str()));
    note(Change::SingleSignOnLeftOut, account.has(Mark::SingleSignOn));
    note(Change::NoPassword, hash.is_none() && !account.has(Mark::SingleSignOn));
    note(Change::PasswordLeftOut, hash.is_some() && verifiable.is_none());
    note(Change::NameLeftOut, full_name.is_none() && account.names.iter().any(|name| is_something(name)));
    note(
        Change::PictureLeftOut,
        avatar_url.is_none() && account.pictures.iter().any(|url| is_something(url)),
    );
    note(Change::PhoneLeftOut, account.has(Mark::Phone));
    note(Change::RightsLeftOut, account.has(Mark::Privileged));
    note(Change::BanWithoutEnd, is_banned);
    note(Change::BeginningUnknown, made.is_none());
    note(Change::FactorsLeftOut, secret.is_some() && account.factors.len() > 1);
    let user = User {
        full_name,
        avatar_url,
        email_verified: account.has(Mark::Confirmed),
        second_factor_at: secret.is_some().then_some(now),
        created_at: made.unwrap_or(now),
        disabled_at: is_banned.then_some(now),
        ..User::new(id, email, now)
    };
    let lost_factor = secret.is_none() && !account.factors.is_empty();
    let (sessions, lost) = sessions(account.sessions, &user, idle, now);
    let imported = Imported {
        new: NewUser { hash: verifiable.unwrap_or_else(PasswordHash::tombstone), user },
        secret,
        identities: account.identities,
        sessions,
        changes,
        lost,
    };
    if lost_factor { imported.without_factor(now) } else { imported }
}

/// Texts that say nothing are no loss.
fn is_something(text: &str) -> bool {
    !text.trim().is_empty()
}

type Sessions = (Vec<(ForeignSession, ImportedSession)>, Vec<SessionLoss>);

fn sessions(theirs: Vec<ForeignSession>, user: &User, idle: TimeDelta, now: Timestamp) -> Sessions {
    let (mut kept, mut lost) = (Vec::new(), Vec::new());
    for session in theirs {
        match ImportedSession::of(&session, &user.id, idle, now) {
            Err(why) => lost.push(why),
            Ok(_) if !user.is_active() => lost.push(SessionLoss::AccountClosed),
            Ok(_) if user.second_factor_at.is_some() && session.assurance == Assurance::Password => {
                lost.push(SessionLoss::WithoutFactor);
            }
            Ok(ours) => kept.push((session, ours)),
        }
    }
    (kept, lost)
}

impl Imported {
    /// The same, now that its second factor turned out not to be readable, or to have no place here. A password alone must not open what
    /// asked for more, so an administrator has to.
    #[must_use]
    pub fn without_factor(mut self, now: Timestamp) -> Self {
        self.secret = None;
        self.new.user.second_factor_at = None;
        self.new.user.disabled_at = Some(now);
        self.changes.retain(|change| *change != Change::FactorsLeftOut);
        self.changes.push(Change::ClosedWithoutFactor);
        self.lost.extend(self.sessions.drain(..).map(|_| SessionLoss::AccountClosed));
        self
    }
}

#[cfg(test)]
mod tests;
