//! Puts the adapters behind the ports.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use subtle_application::{LimitRates, Limits, Policy, Ports, Streams};
use subtle_domain::ports::{Clock, StoreError};
use subtle_domain::quota::TierLimits;
use subtle_domain::session::SessionPolicy;
use subtle_persistence::{
    ActivityWriter, Database, InvalidUrl, PgAccounts, PgActivityLog, PgAuditSealer, PgAuditTrail, PgBilling,
    PgBridges, PgDirectory, PgHealth, PgImports, PgInspection, PgNotes, PgOneTimeRecords, PgOutbox,
    PgSecondFactors, PgServiceKeys, PgSessions, PgStore, PgSyncEvents, PgThrottle, PgTimelines, PgUsageLog,
    PgUsageReports, PoolOptions, RevocationFeed, RevocationList, UsageWriters,
};
use subtle_security::{
    AccessTokenSettings, BcryptHasher, CuidGenerator, HasherSettings, JwtAccessTokens, MacAuditProof,
    MacChallenges, MacImportedTokens, MacOneTimeTokens, MacRefreshTokens, MasterSecrets, RandomBridgeTokens,
    RandomServiceKeys, SystemClock, TotpAuthenticators, UnfitAccessTokens, UnfitAuditProof,
    UnfitAuthenticators, UnfitHasher,
};

use crate::encryption::{self, EncryptionError};
use crate::settings::Settings;

/// Why an adapter could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WiringError {
    #[error(transparent)]
    Url(#[from] InvalidUrl),
    #[error("no connections to the database can be managed")]
    Pool(#[from] StoreError),
    #[error(transparent)]
    Hasher(#[from] UnfitHasher),
    #[error(transparent)]
    AccessTokens(#[from] UnfitAccessTokens),
    #[error(transparent)]
    Authenticators(#[from] UnfitAuthenticators),
    #[error(transparent)]
    AuditProof(#[from] UnfitAuditProof),
    #[error(transparent)]
    Encryption(#[from] EncryptionError),
}

/// How many exports of one account may be under way at once.
const MOST_EXPORTS: u32 = 4;

/// The ports, and what works behind them.
pub(crate) struct Wired {
    pub(crate) ports: Ports,
    pub(crate) database: Database,
    pub(crate) revocations: Arc<RevocationList>,
    pub(crate) activity: ActivityWriter,
    pub(crate) usage: UsageWriters,
    pub(crate) sealer: PgAuditSealer,
    /// The adapters that tell how they do, beside being ports.
    pub(crate) hasher: Arc<BcryptHasher>,
    pub(crate) usage_log: Arc<PgUsageLog>,
    pub(crate) activity_log: Arc<PgActivityLog>,
}

impl Wired {
    /// Begins to hear what other servers revoke.
    pub(crate) fn start_feed(&self) -> RevocationFeed {
        RevocationFeed::start(
            self.database.clone(),
            Arc::clone(&self.revocations),
            Arc::clone(&self.ports.clock),
        )
    }
}

/// Makes all adapters, and starts the threads and the task that belong to them. Must be called inside the main runtime.
pub(crate) fn wire(
    settings: &Settings,
    options: PoolOptions,
    secrets: &MasterSecrets,
    hashing_threads: NonZeroUsize,
) -> Result<Wired, WiringError> {
    let database = encryption::with_keys(settings, Database::new(options)?)?;
    let store = PgStore::new(database.clone(), Arc::new(MacAuditProof::new(secrets)?));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let policy = policy(settings);
    let revocations = Arc::new(RevocationList::new(policy.sessions.access_token));
    let (log, activity) = PgActivityLog::start(database.clone());
    let (usage_log, usage) = PgUsageLog::start(database.clone(), PgUsageLog::WRITERS);
    let hashing =
        HasherSettings { cost: settings.bcrypt_cost, threads: hashing_threads, queue: settings.bcrypt_queue };
    let tokens = AccessTokenSettings {
        leeway: settings.clock_leeway,
        ..AccessTokenSettings::new(&settings.issuer, &settings.audience)
    };
    let access_tokens = JwtAccessTokens::new(secrets, tokens)?;
    let hasher = Arc::new(BcryptHasher::new(hashing, access_tokens.foreground())?);
    let (usage_log, activity_log) = (Arc::new(usage_log), Arc::new(log));
    let ports = Ports {
        ids: Arc::new(CuidGenerator::new(Arc::clone(&clock))),
        clock,
        passwords: Arc::clone(&hasher) as _,
        access_tokens: Arc::new(access_tokens),
        refresh_tokens: Arc::new(MacRefreshTokens::new(secrets)),
        revocations: Arc::clone(&revocations) as _,
        store: Arc::new(store.clone()),
        accounts: Arc::new(PgAccounts::new(database.clone())),
        sessions: Arc::new(PgSessions::new(database.clone())),
        bridge_tokens: Arc::new(RandomBridgeTokens),
        bridges: Arc::new(PgBridges::new(database.clone())),
        sync_events: Arc::new(PgSyncEvents::new(database.clone())),
        sync_signals: Arc::new(revocations.signals().clone()),
        directory: Arc::new(PgDirectory::new(database.clone())),
        usage: Arc::new(PgUsageReports::new(database.clone())),
        usage_log: Arc::clone(&usage_log) as _,
        billing: Arc::new(PgBilling::new(database.clone())),
        service_keys: Arc::new(PgServiceKeys::new(database.clone())),
        service_key_secrets: Arc::new(RandomServiceKeys),
        key_cache: Arc::default(),
        throttle: Arc::new(PgThrottle::new(database.clone())),
        activity: Arc::clone(&activity_log) as _,
        timelines: Arc::new(PgTimelines::new(database.clone())),
        notes: Arc::new(PgNotes::new(database.clone())),
        one_time_tokens: Arc::new(MacOneTimeTokens::new(secrets)),
        one_time_records: Arc::new(PgOneTimeRecords::new(database.clone())),
        authenticators: Arc::new(TotpAuthenticators::new(secrets, &settings.issuer)?),
        challenges: Arc::new(MacChallenges::new(secrets)),
        second_factors: Arc::new(PgSecondFactors::new(database.clone())),
        imports: Arc::new(PgImports::new(database.clone())),
        imported_tokens: Arc::new(MacImportedTokens::new(secrets)),
        outbox: Arc::new(PgOutbox::new(database.clone())),
        audit_trail: Arc::new(PgAuditTrail::new(database.clone())),
        inspection: Arc::new(PgInspection::new(database.clone())),
        health: Arc::new(PgHealth::new(database.clone())),
        limits: Arc::new(Limits::new(rates(settings))),
        exports: if settings.rate_limit { Streams::new(MOST_EXPORTS) } else { Streams::default() },
        streams: if settings.rate_limit {
            Streams::new(settings.streams_per_user)
        } else {
            Streams::default()
        },
        policy,
    };
    let sealer = PgAuditSealer::new(store);
    Ok(Wired { ports, database, revocations, activity, usage, sealer, hasher, usage_log, activity_log })
}

fn policy(settings: &Settings) -> Policy {
    Policy {
        sessions: SessionPolicy {
            access_token: delta(settings.access_token_ttl),
            absolute: delta(settings.session_lifetime),
            idle: delta(settings.session_idle),
            grace: delta(settings.refresh_grace),
            most: settings.sessions_per_user,
        },
        guesses: settings.limit(settings.limit_password_guesses),
        second_factor: settings.limit(settings.limit_code_guesses),
        fresh_sign_in: delta(settings.fresh_sign_in),
        letters: settings.limit(settings.limit_letters_by_recipient),
        require_verified_email: settings.require_verified_email,
        tier_limits: TierLimits {
            free: settings.quota_free.clone(),
            pro: settings.quota_pro.clone(),
            enterprise: settings.quota_enterprise.clone(),
        },
    }
}

fn rates(settings: &Settings) -> LimitRates {
    LimitRates {
        password_by_address: settings.limit(settings.limit_password_by_address),
        token_by_address: settings.limit(settings.limit_token_by_address),
        letters_by_address: settings.limit(settings.limit_letters_by_address),
        events_by_account: settings.limit(settings.limit_events_by_account),
        token_by_account: settings.limit(settings.limit_token_by_account),
    }
}

/// The settings' ranges keep far away from the longest there is.
pub(crate) fn delta(time: Duration) -> TimeDelta {
    TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX)
}
