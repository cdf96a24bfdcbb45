//! Sessions of another service that go on here.

use chrono::TimeDelta;

use super::{ForeignSession, TokenSigner};
use crate::Timestamp;
use crate::ids::{SessionId, UserId};
use crate::second_factor::Assurance;
use crate::session::SessionPolicy;
use crate::user::vocabulary;

vocabulary! {
    /// Why a session of another service ends with it.
    SessionLoss {
        /// It was over there, or would be by our own rules: not used for longer than a session may be.
        Over = "over",
        /// The account could not come, or is closed.
        AccountClosed = "account_closed",
        /// The account asks for a second factor, which was not shown when it was begun.
        WithoutFactor = "without_factor",
        /// It is a program's, that acts for the owner by the other service's leave.
        Programs = "programs",
        /// Its refresh token can't be known: it is not kept, and what it is computed from is encrypted.
        Unreadable = "unreadable",
    }
}

/// A session of another service that waits for its refresh token, to go on as one of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedSession {
    /// Its identifier there, and here.
    pub id: SessionId,
    /// Whose it is.
    pub user_id: UserId,
    /// When its owner signed in.
    pub created_at: Timestamp,
    /// From when on nobody can take it over any more.
    pub expires_at: Timestamp,
    /// When it ends at the latest, if that was said.
    pub not_after: Option<Timestamp>,
    /// How sure the other service was of who began it.
    pub assurance: Assurance,
    /// Since when it is taken over, if it is.
    pub taken_at: Option<Timestamp>,
}

impl ImportedSession {
    /// What is kept of a session of `user` that is live at `now`, where a session may be unused for `idle`.
    pub(super) fn of(
        session: &ForeignSession,
        user: &UserId,
        idle: TimeDelta,
        now: Timestamp,
    ) -> Result<Self, SessionLoss> {
        if session.is_programs {
            return Err(SessionLoss::Programs);
        }
        let id = SessionId::parse(&session.id).map_err(|_unfit| SessionLoss::Unreadable)?;
        let created_at = session.created_at.filter(|at| *at <= now).ok_or(SessionLoss::Over)?;
        let idle_at = session.last_used_at.map_or(created_at, |used| used.clamp(created_at, now)) + idle;
        let expires_at = session.not_after.map_or(idle_at, |end| end.min(idle_at));
        if expires_at <= now || (session.tokens.is_empty() && session.signer.is_none()) {
            return Err(SessionLoss::Over);
        }
        Ok(Self {
            id,
            user_id: user.clone(),
            created_at,
            expires_at,
            not_after: session.not_after,
            assurance: session.assurance,
            taken_at: None,
        })
    }

    /// When the session that takes its place ends at the latest: as late as one that begins now, unless the other service said otherwise.
    #[must_use]
    pub fn end(&self, policy: &SessionPolicy, now: Timestamp) -> Timestamp {
        let end = now + policy.absolute;
        self.not_after.map_or(end, |said| said.min(end))
    }
}

impl TokenSigner {
    /// The numbers of the tokens that are good: the last, and the one before it, which whoever lost the last answer still has.
    pub fn good(&self) -> impl Iterator<Item = i64> + use<> {
        [self.counter, self.counter - 1].into_iter().filter(|number| *number >= 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{ForeignSecret, RefreshToken};

    const NOW: Timestamp = Timestamp::from_timestamp_millis(1_700_000_000_000).unwrap();
    const IDLE: TimeDelta = TimeDelta::days(30);

    fn before(days: i64) -> Timestamp {
        NOW - TimeDelta::days(days)
    }

    fn session() -> ForeignSession {
        ForeignSession {
            id: "6f1c4a52-9d3e-4b60-8f3b-0b8f4a0f8a11".to_owned(),
            created_at: Some(before(400)),
            last_used_at: Some(before(2)),
            not_after: None,
            assurance: Assurance::Password,
            is_programs: false,
            tokens: vec![RefreshToken::new("abcdefghijkl")],
            signer: None,
        }
    }

    fn judged(session: &ForeignSession) -> Result<ImportedSession, SessionLoss> {
        ImportedSession::of(session, &UserId::parse("ada").unwrap(), IDLE, NOW)
    }

    #[test]
    fn a_session_that_is_used_goes_on_however_old_it_is() {
        let kept = judged(&session()).unwrap();
        assert_eq!(
            (kept.created_at, kept.expires_at),
            (NOW - TimeDelta::days(400), NOW + TimeDelta::days(28))
        );
        let policy = SessionPolicy::default();
        assert_eq!(kept.end(&policy, NOW), NOW + policy.absolute);
    }

    #[test]
    fn it_ends_no_later_than_the_other_service_said() {
        let end = NOW + TimeDelta::days(5);
        let kept = judged(&ForeignSession { not_after: Some(end), ..session() }).unwrap();
        assert_eq!((kept.expires_at, kept.end(&SessionPolicy::default(), NOW)), (end, end));
        let later = ForeignSession { not_after: Some(NOW + TimeDelta::days(60)), ..session() };
        assert_eq!(judged(&later).unwrap().expires_at, NOW + TimeDelta::days(28));
    }

    #[test]
    fn a_use_in_the_future_counts_as_one_now_and_one_that_is_unknown_as_none() {
        let ahead = ForeignSession { last_used_at: Some(before(-9)), ..session() };
        assert_eq!(judged(&ahead).unwrap().expires_at, NOW + IDLE);
        let never = ForeignSession { last_used_at: None, created_at: Some(before(1)), ..session() };
        assert_eq!(judged(&never).unwrap().expires_at, NOW + TimeDelta::days(29));
    }

    #[test]
    fn what_is_over_or_not_the_owners_does_not_go_on() {
        for (lost, why) in [
            (ForeignSession { last_used_at: Some(before(30)), ..session() }, SessionLoss::Over),
            (ForeignSession { not_after: Some(NOW), ..session() }, SessionLoss::Over),
            (ForeignSession { tokens: Vec::new(), ..session() }, SessionLoss::Over),
            (ForeignSession { created_at: None, ..session() }, SessionLoss::Over),
            (ForeignSession { created_at: Some(before(-1)), ..session() }, SessionLoss::Over),
            (ForeignSession { is_programs: true, ..session() }, SessionLoss::Programs),
            (ForeignSession { id: "a b".to_owned(), ..session() }, SessionLoss::Unreadable),
        ] {
            assert_eq!(judged(&lost), Err(why), "{lost:?}");
        }
    }

    #[test]
    fn the_last_two_tokens_of_a_signer_are_good() {
        let good = |counter| TokenSigner { key: ForeignSecret::new("k"), counter }.good().collect::<Vec<_>>();
        assert_eq!((good(7), good(0), good(-1)), (vec![7, 6], vec![0], Vec::new()));
    }
}
