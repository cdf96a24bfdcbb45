//! Mocks of all ports for the tests of the use cases. A port that a test does not speak of must not be called.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use subtle_domain::Timestamp;
use subtle_domain::activity::ActivityAction;
use subtle_domain::email::EmailAddress;
use subtle_domain::ids::{
    ActivityId, AuditId, BillingId, BridgeId, LetterId, NoteId, OneTimeTokenId, ReservationId, ServiceKeyId,
    SessionId, SyncEventId, TokenId, UsageId, UserId,
};
use subtle_domain::import::ImportedSession;
use subtle_domain::letter::LetterKind;
use subtle_domain::money::Cost;
use subtle_domain::one_time::{OneTimeRecord, Purpose};
use subtle_domain::ports::{
    MockAccessTokens, MockAccounts, MockActivityLog, MockAuditTrail, MockAuthenticators, MockBilling,
    MockBridgeTokens, MockBridges, MockChallenges, MockClock, MockDirectory, MockHealth, MockIdGenerator,
    MockImportedTokens, MockImports, MockInspection, MockNotes, MockOneTimeRecords, MockOneTimeTokens,
    MockOutbox, MockPasswordHasher, MockRefreshTokens, MockRevocations, MockSecondFactors,
    MockServiceKeySecrets, MockServiceKeys, MockSessions, MockStore, MockSyncEvents, MockSyncSignals,
    MockThrottle, MockTimelines, MockUnit, MockUsageLog, MockUsageReports,
};
use subtle_domain::second_factor::{Assurance, EncryptedSecret, SecondFactor};
use subtle_domain::session::{ClientInfo, Generation, Session, SessionPolicy};
use subtle_domain::token::{AccessToken, OneTimeToken, RefreshToken, TokenDigest};
use subtle_domain::usage::{Count, Usage};
use subtle_domain::user::User;

use crate::sessions::Caller;
use crate::{Limits, Policy, Ports, Streams};

/// The time in all tests.
pub(crate) const NOW: Timestamp = Timestamp::from_timestamp_millis(1_700_000_000_000).unwrap();

#[derive(Default)]
pub(crate) struct Mocks {
    pub(crate) passwords: MockPasswordHasher,
    pub(crate) access_tokens: MockAccessTokens,
    pub(crate) refresh_tokens: MockRefreshTokens,
    pub(crate) revocations: MockRevocations,
    pub(crate) store: MockStore,
    pub(crate) accounts: MockAccounts,
    pub(crate) sessions: MockSessions,
    pub(crate) bridge_tokens: MockBridgeTokens,
    pub(crate) bridges: MockBridges,
    pub(crate) sync_events: MockSyncEvents,
    pub(crate) sync_signals: MockSyncSignals,
    pub(crate) throttle: MockThrottle,
    pub(crate) activity: MockActivityLog,
    pub(crate) timelines: MockTimelines,
    pub(crate) notes: MockNotes,
    pub(crate) one_time_tokens: MockOneTimeTokens,
    pub(crate) one_time_records: MockOneTimeRecords,
    pub(crate) authenticators: MockAuthenticators,
    pub(crate) challenges: MockChallenges,
    pub(crate) second_factors: MockSecondFactors,
    pub(crate) imports: MockImports,
    pub(crate) imported_tokens: MockImportedTokens,
    pub(crate) outbox: MockOutbox,
    pub(crate) audit_trail: MockAuditTrail,
    pub(crate) directory: MockDirectory,
    pub(crate) usage: MockUsageReports,
    pub(crate) usage_log: MockUsageLog,
    pub(crate) billing: MockBilling,
    pub(crate) service_keys: MockServiceKeys,
    pub(crate) service_key_secrets: MockServiceKeySecrets,
    pub(crate) limits: Limits,
    pub(crate) streams: Streams,
    pub(crate) exports: Streams,
    pub(crate) policy: Policy,
}

impl Mocks {
    /// The ports, with a clock that stands still at [`NOW`].
    pub(crate) fn ports(self) -> Ports {
        let mut clock = MockClock::new();
        clock.expect_now().return_const(NOW);
        let mut ids = MockIdGenerator::new();
        ids.expect_user_id().returning(|| UserId::parse("new").unwrap());
        ids.expect_session_id().returning(|| SessionId::parse("s-new").unwrap());
        ids.expect_token_id().returning(|| TokenId::parse("t-new").unwrap());
        ids.expect_activity_id().returning(|| ActivityId::parse("a-new").unwrap());
        ids.expect_audit_id().returning(|| AuditId::parse("l-new").unwrap());
        ids.expect_usage_id().returning(|| UsageId::parse("u-new").unwrap());
        ids.expect_billing_id().returning(|| BillingId::parse("b-new").unwrap());
        ids.expect_note_id().returning(|| NoteId::parse("n-new").unwrap());
        ids.expect_bridge_id().returning(|| BridgeId::parse("b-new").unwrap());
        ids.expect_sync_event_id().returning(|| SyncEventId::parse("e-new").unwrap());
        ids.expect_letter_id().returning(|| LetterId::parse("m-new").unwrap());
        ids.expect_one_time_token_id().returning(|| OneTimeTokenId::parse("o-new").unwrap());
        ids.expect_service_key_id().returning(|| ServiceKeyId::parse("k-new").unwrap());
        ids.expect_reservation_id().returning(|user| ReservationId::parse(&format!("{user}.r-new")).unwrap());
        ids.expect_salt().return_const([7; 16]);
        Ports {
            clock: Arc::new(clock),
            ids: Arc::new(ids),
            passwords: Arc::new(self.passwords),
            access_tokens: Arc::new(self.access_tokens),
            refresh_tokens: Arc::new(self.refresh_tokens),
            revocations: Arc::new(self.revocations),
            store: Arc::new(self.store),
            accounts: Arc::new(self.accounts),
            sessions: Arc::new(self.sessions),
            bridge_tokens: Arc::new(self.bridge_tokens),
            bridges: Arc::new(self.bridges),
            sync_events: Arc::new(self.sync_events),
            sync_signals: Arc::new(self.sync_signals),
            directory: Arc::new(self.directory),
            usage: Arc::new(self.usage),
            usage_log: Arc::new(self.usage_log),
            billing: Arc::new(self.billing),
            service_keys: Arc::new(self.service_keys),
            service_key_secrets: Arc::new(self.service_key_secrets),
            key_cache: Arc::default(),
            throttle: Arc::new(self.throttle),
            activity: Arc::new(self.activity),
            timelines: Arc::new(self.timelines),
            notes: Arc::new(self.notes),
            one_time_tokens: Arc::new(self.one_time_tokens),
            one_time_records: Arc::new(self.one_time_records),
            authenticators: Arc::new(self.authenticators),
            challenges: Arc::new(self.challenges),
            second_factors: Arc::new(self.second_factors),
            imports: Arc::new(self.imports),
            imported_tokens: Arc::new(self.imported_tokens),
            outbox: Arc::new(self.outbox),
            audit_trail: Arc::new(self.audit_trail),
            health: Arc::new(MockHealth::new()),
            inspection: Arc::new(MockInspection::new()),
            limits: Arc::new(self.limits),
            streams: self.streams,
            exports: self.exports,
            policy: self.policy,
        }
    }

    /// Tokens that say what they are: `rt-<generation>`, its digest `digest of rt-<generation>`.
    pub(crate) fn expect_tokens(&mut self) {
        self.refresh_tokens.expect_mint().returning(|_, _, generation, _| token(generation));
        self.refresh_tokens.expect_digest().returning(digest);
        self.access_tokens.expect_sign().returning(|_| AccessToken::new("at"));
    }

    /// Tokens of letters that say what they are: `ott`, its digest `digest of ott`.
    pub(crate) fn expect_one_time_tokens(&mut self) {
        self.one_time_tokens.expect_mint().returning(|_, _, _| OneTimeToken::new("ott"));
        self.one_time_tokens.expect_digest().returning(|text| TokenDigest::new(format!("digest of {text}")));
    }

    /// Knows this token of Ada's, and no other.
    pub(crate) fn know(&mut self, record: OneTimeRecord) {
        self.expect_one_time_tokens();
        self.one_time_records
            .expect_find()
            .returning(move |digest| Ok(Some(record.clone()).filter(|known| known.digest == *digest)));
    }

    /// Expects just these rows in the timeline, in this order.
    pub(crate) fn expect_activity(&mut self, actions: &'static [ActivityAction]) {
        let seen = std::sync::atomic::AtomicUsize::new(0);
        self.activity.expect_record().times(actions.len()).returning(move |entry| {
            assert_eq!(entry.at, NOW);
            assert_eq!(Some(&entry.action), actions.get(seen.fetch_add(1, Ordering::SeqCst)));
        });
    }

    /// Expects one unit of work, and gives what tells whether it was committed.
    pub(crate) fn expect_unit(&mut self, unit: MockUnit) -> Arc<AtomicBool> {
        let committed = Arc::clone(&unit.committed);
        self.store.expect_begin().return_once(|| Ok(Box::new(unit)));
        committed
    }
}

pub(crate) fn usage(requests: i64, tokens: i64, cost: &str) -> Usage {
    Usage {
        requests: Count::new(requests).unwrap(),
        tokens: Count::new(tokens).unwrap(),
        cost: Cost::parse(cost).unwrap(),
    }
}

pub(crate) fn was(flag: &AtomicBool) -> bool {
    flag.load(Ordering::SeqCst)
}

pub(crate) fn token(generation: Generation) -> RefreshToken {
    RefreshToken::new(format!("rt-{}", generation.number()))
}

pub(crate) fn digest(token: &RefreshToken) -> TokenDigest {
    TokenDigest::new(format!("digest of {}", token.expose()))
}

pub(crate) fn ada() -> User {
    User::new(UserId::parse("ada").unwrap(), EmailAddress::parse("ada@example.com").unwrap(), NOW)
}

/// Ada's session `s1`, in its fifth generation, used just now.
pub(crate) fn session() -> Session {
    let generation = Generation::new(5);
    Session {
        id: SessionId::parse("s1").unwrap(),
        user_id: ada().id,
        generation,
        digest: digest(&token(generation)),
        salt: vec![7; 16],
        created_at: NOW,
        authenticated_at: NOW,
        assurance: Assurance::Password,
        expires_at: NOW + SessionPolicy::default().absolute,
        last_used_at: NOW,
        revoked_at: None,
        client: ClientInfo::default(),
    }
}

/// Ada's session `old` of another service, which nobody has taken over.
pub(crate) fn waiting() -> ImportedSession {
    ImportedSession {
        id: SessionId::parse("old").unwrap(),
        user_id: ada().id,
        created_at: NOW - TimeDelta::days(9),
        expires_at: NOW + TimeDelta::days(9),
        not_after: None,
        assurance: Assurance::Password,
        taken_at: None,
    }
}

/// Ada, who has a second factor.
pub(crate) fn ada_with_factor() -> User {
    User { second_factor_at: Some(NOW), ..ada() }
}

/// Ada's second factor, confirmed, of which no code was used yet.
pub(crate) fn factor() -> SecondFactor {
    SecondFactor {
        user_id: ada().id,
        encrypted: EncryptedSecret(b"encrypted".to_vec()),
        created_at: NOW,
        confirmed_at: Some(NOW),
        last_step: None,
    }
}

/// What is kept of Ada's token `ott`, made just now.
pub(crate) fn one_time(purpose: Purpose) -> OneTimeRecord {
    OneTimeRecord {
        id: OneTimeTokenId::parse("o1").unwrap(),
        user_id: ada().id,
        purpose,
        digest: TokenDigest::new("digest of ott"),
        salt: vec![7; 16],
        email: ada().email,
        created_at: NOW,
        expires_at: NOW + purpose.life(),
    }
}

/// The kinds of the letters that a unit of work queues, and to whom, in their order.
pub(crate) fn expect_letters(unit: &mut MockUnit, letters: &'static [(LetterKind, &'static str)]) {
    let seen = std::sync::atomic::AtomicUsize::new(0);
    unit.outbox.expect_add().times(letters.len()).returning(move |letter| {
        let told = (letter.kind, letter.recipient.as_str());
        assert_eq!(Some(&told), letters.get(seen.fetch_add(1, Ordering::SeqCst)));
        assert_eq!(letter.token.is_some(), letter.kind.purpose().is_some());
        Ok(())
    });
}

/// Ada, by her session `s1`.
pub(crate) fn caller() -> Caller {
    let (user_id, session_id) = (ada().id, session().id);
    let until = NOW + SessionPolicy::default().access_token;
    Caller { user_id, session_id, authenticated_at: NOW, until, client: ClientInfo::default() }
}
