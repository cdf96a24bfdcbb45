//! All that the use cases need, in one place: each takes what it wants from here.

use std::sync::Arc;

use chrono::TimeDelta;
use subtle_domain::ports::{
    AccessTokens, Accounts, ActivityLog, AuditTrail, Authenticators, Billing, BridgeTokens, Bridges,
    Challenges, Clock, Directory, Health, IdGenerator, ImportedTokens, Imports, Inspection, Notes,
    OneTimeRecords, OneTimeTokens, Outbox, PasswordHasher, RefreshTokens, Revocations, SecondFactors,
    ServiceKeySecrets, ServiceKeys, Sessions, Store, SyncEvents, SyncSignals, Throttle, Timelines, UsageLog,
    UsageReports,
};
use subtle_domain::quota::TierLimits;
use subtle_domain::session::SessionPolicy;
use subtle_domain::throttle::Rate;

use crate::service_keys::KeyCache;
use crate::{Limits, Streams};

/// The operator's choices that use cases follow.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How long sessions and tokens live.
    pub sessions: SessionPolicy,
    /// How many guesses at one account's password are evaluated; `None` where load tests switch the limits off.
    pub guesses: Option<Rate>,
    /// How many codes of one account's app are evaluated, and how often its second factor is changed; `None` likewise.
    pub second_factor: Option<Rate>,
    /// How old a sign-in may be for what is sensitive.
    pub fresh_sign_in: TimeDelta,
    /// How many letters one address gets because somebody asked for them; `None` where load tests switch the limits off.
    pub letters: Option<Rate>,
    /// Whether an address must have been verified before its owner may sign in.
    pub require_verified_email: bool,
    /// How much each tier may use in a month.
    pub tier_limits: TierLimits,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            sessions: SessionPolicy::default(),
            guesses: None,
            second_factor: None,
            letters: None,
            fresh_sign_in: TimeDelta::minutes(15),
            require_verified_email: false,
            tier_limits: TierLimits::default(),
        }
    }
}

/// The ports, and the policy.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the port of its name, which the domain documents")]
pub struct Ports {
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdGenerator>,
    pub passwords: Arc<dyn PasswordHasher>,
    pub access_tokens: Arc<dyn AccessTokens>,
    pub refresh_tokens: Arc<dyn RefreshTokens>,
    pub revocations: Arc<dyn Revocations>,
    pub store: Arc<dyn Store>,
    pub accounts: Arc<dyn Accounts>,
    pub sessions: Arc<dyn Sessions>,
    pub bridge_tokens: Arc<dyn BridgeTokens>,
    pub bridges: Arc<dyn Bridges>,
    pub sync_events: Arc<dyn SyncEvents>,
    pub sync_signals: Arc<dyn SyncSignals>,
    pub directory: Arc<dyn Directory>,
    pub usage: Arc<dyn UsageReports>,
    pub usage_log: Arc<dyn UsageLog>,
    pub billing: Arc<dyn Billing>,
    pub service_keys: Arc<dyn ServiceKeys>,
    pub service_key_secrets: Arc<dyn ServiceKeySecrets>,
    pub key_cache: Arc<KeyCache>,
    pub throttle: Arc<dyn Throttle>,
    pub activity: Arc<dyn ActivityLog>,
    pub timelines: Arc<dyn Timelines>,
    pub notes: Arc<dyn Notes>,
    pub one_time_tokens: Arc<dyn OneTimeTokens>,
    pub one_time_records: Arc<dyn OneTimeRecords>,
    pub authenticators: Arc<dyn Authenticators>,
    pub challenges: Arc<dyn Challenges>,
    pub second_factors: Arc<dyn SecondFactors>,
    pub imports: Arc<dyn Imports>,
    pub imported_tokens: Arc<dyn ImportedTokens>,
    pub outbox: Arc<dyn Outbox>,
    pub audit_trail: Arc<dyn AuditTrail>,
    pub health: Arc<dyn Health>,
    pub inspection: Arc<dyn Inspection>,
    pub limits: Arc<Limits>,
    pub streams: Streams,
    pub exports: Streams,
    pub policy: Policy,
}
