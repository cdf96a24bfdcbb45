//! A wall without a door: with policies that show nobody anything, whoever goes through the wall finds nothing, and whoever goes around it is
//! found out. What `/v1/me` and the sync log ask of the database belongs here.

use subtle_domain::Timestamp;
use subtle_domain::billing::BillingQuery;
use subtle_domain::bridge::{Bridge, LIFE};
use subtle_domain::ids::{BridgeId, SyncEventId};
use subtle_domain::ports::{
    Accounts, AuditTrail, Billing, Imports, SecondFactors, Sessions, Store, StoreError, SyncEvents,
    Timelines, UsageReports,
};
use subtle_domain::quota::QuotaFigures;
use subtle_domain::session::{ClientInfo, RevocationReason, SessionPolicy};
use subtle_domain::sync::Place;
use subtle_domain::token::TokenDigest;
use subtle_domain::usage::{Days, Month, UsageGrouping};
use subtle_domain::user::ProfileChange;
use subtle_persistence::{
    Database, PgAccounts, PgAuditTrail, PgBilling, PgImports, PgSecondFactors, PgSessions, PgSyncEvents,
    PgTimelines, PgUsageReports,
};

use super::ROWS;
use crate::support::{Home, later, session, session_id, start, store, user_id};
use crate::sync::event;

/// Each method, and whether it found or did something for Ada.
type Tried = Vec<(&'static str, bool)>;

fn days() -> Days {
    Days { from: "2026-01-01".parse().unwrap(), to: "2026-01-31".parse().unwrap() }
}

fn in_january() -> Timestamp {
    "2026-01-15T00:00:00Z".parse().unwrap()
}

async fn reads(pool: &Database) -> Tried {
    let ada = &user_id("ada");
    let accounts = PgAccounts::new(pool.clone());
    let (sessions, policy) = (PgSessions::new(pool.clone()), SessionPolicy::default());
    let timelines = PgTimelines::new(pool.clone());
    let usage = PgUsageReports::new(pool.clone());
    let (billing, theirs) =
        (PgBilling::new(pool.clone()), BillingQuery { user_id: Some(ada.clone()), status: None });
    let sync = PgSyncEvents::new(pool.clone());
    let (now, month) = (in_january(), Month::of(in_january()));
    vec![
        ("Accounts::find", accounts.find(ada).await.unwrap().is_some()),
        ("Sessions::live", !sessions.live(ada, &policy, later(100), None, 9).await.unwrap().is_empty()),
        ("Sessions::begun", !sessions.begun(ada, None, 9).await.unwrap().is_empty()),
        ("Timelines::activity", !timelines.activity(ada, None, 9).await.unwrap().is_empty()),
        ("Timelines::summary", timelines.summary(ada, now).await.unwrap().total_actions > 0),
        ("UsageReports::rows", !usage.rows(ada, None, 9).await.unwrap().is_empty()),
        ("by day", !usage.groups(ada, days(), UsageGrouping::Day).await.unwrap().is_empty()),
        ("by feature", !usage.groups(ada, days(), UsageGrouping::Feature).await.unwrap().is_empty()),
        ("UsageReports::days", !usage.days(ada, None, 9).await.unwrap().is_empty()),
        ("UsageReports::quota", usage.quota(ada, month, now).await.unwrap() != QuotaFigures::default()),
        ("Billing::records", !billing.records(&theirs, None, 9).await.unwrap().is_empty()),
        ("Billing::totals", !billing.totals(&theirs).await.unwrap().is_empty()),
        ("SyncEvents::after", !sync.after(ada, Place::START, 9).await.unwrap().is_empty()),
        ("SyncEvents::unplaced", !sync.unplaced(ada, None, 9).await.unwrap().is_empty()),
        ("SyncEvents::last", sync.last(ada).await.unwrap() != Place::START),
        ("Imports::identities", !PgImports::new(pool.clone()).identities(ada).await.unwrap().is_empty()),
        ("SecondFactors::codes_left", PgSecondFactors::new(pool.clone()).codes_left(ada).await.unwrap() > 0),
        (
            "AuditTrail::acts_on",
            !PgAuditTrail::new(pool.clone()).acts_on(ada, None, 9).await.unwrap().is_empty(),
        ),
    ]
}

async fn writes(pool: &Database, round: &str) -> Tried {
    let ada = &user_id("ada");
    let (accounts, sessions) = (PgAccounts::new(pool.clone()), PgSessions::new(pool.clone()));
    let nameless = ProfileChange { full_name: Some(None), ..ProfileChange::default() };
    let [one, kept] = ["one", "kept"].map(|name| session_id(&format!("{round}-{name}")));
    let reason = RevocationReason::User;
    vec![
        (
            "Accounts::change_profile",
            accounts.change_profile(ada, &nameless, later(1)).await.unwrap().is_some(),
        ),
        ("Sessions::revoke", sessions.revoke(ada, &one, reason, later(1)).await.unwrap()),
        (
            "Sessions::revoke_others",
            !sessions.revoke_others(ada, &kept, reason, later(1)).await.unwrap().is_empty(),
        ),
    ]
}

async fn steps(pool: &Database, round: &str) -> Tried {
    let (ada, store) = (&user_id("ada"), store(pool.clone()));
    let kept = session_id(&format!("{round}-kept"));
    let mut unit = store.begin().await.unwrap();
    let mut tried = vec![
        ("UserRepository::lock", unit.users().lock(ada).await.unwrap().is_some()),
        ("SessionRepository::hold", unit.sessions().hold(ada, &kept).await.unwrap().is_some()),
    ];
    let known = SyncEventId::parse("known").unwrap();
    tried.push(("SyncRepository::find", unit.sync().find(ada, &known).await.unwrap().is_some()));
    tried.push((
        "SessionRepository::revoke",
        unit.sessions().revoke(ada, &kept, RevocationReason::User, later(1)).await.unwrap(),
    ));
    let ended = unit.sessions().revoke_all(ada, None, RevocationReason::User, later(1)).await.unwrap();
    tried.push(("SessionRepository::revoke_all", !ended.is_empty()));
    // Each of these breaks its unit of work when it is refused.
    let mut unit = store.begin().await.unwrap();
    tried.push(("BridgeRepository::add", was_done(&unit.bridges().add(&bridge(round)).await)));
    let mut unit = store.begin().await.unwrap();
    let appended = unit.sync().append(&event(round, "ada")).await;
    tried.push(("SyncRepository::append", was_done(&appended)));
    tried
}

/// Whether a row was written; if not, that it was the policies that refused it.
fn was_done<T>(outcome: &Result<T, StoreError>) -> bool {
    let Err(error) = outcome else { return true };
    let mut why: &dyn std::error::Error = error;
    while let Some(source) = why.source() {
        why = source;
    }
    assert!(why.to_string().contains("row-level security policy"), "{error:?}");
    false
}

fn bridge(id: &str) -> Bridge {
    Bridge {
        id: BridgeId::parse(id).unwrap(),
        user_id: user_id("ada"),
        session_id: None,
        digest: TokenDigest::new(id),
        challenge: None,
        data: None,
        client: ClientInfo::default(),
        created_at: start(),
        expires_at: start() + LIFE,
        used_at: None,
    }
}

/// All of it, on sessions that were not there before.
async fn all(home: &Home, round: &str) -> Tried {
    for name in ["one", "another", "kept"] {
        home.add_session(&session(&format!("{round}-{name}"), "ada")).await;
    }
    let pool = home.pool();
    let mut tried = reads(&pool).await;
    // Which are undone.
    tried.extend(steps(&pool, round).await);
    tried.extend(writes(&pool, round).await);
    tried
}

fn names(tried: &Tried, done: bool) -> Vec<&'static str> {
    tried.iter().filter(|(_, outcome)| *outcome == done).map(|(name, _)| *name).collect()
}

#[tokio::test]
async fn what_the_service_does_for_one_person_it_does_as_that_role() {
    let home = Home::of_three().await;
    home.run(ROWS).await;
    home.run(
        "INSERT INTO sync_logs (id, user_id, event_type, event_source, place)
         VALUES ('unplaced', 'ada', 'x', 'x', NULL), ('known', 'ada', 'x', 'x', 2);
         UPDATE sync_places SET last = 2 WHERE user_id = 'ada'",
    )
    .await;
    let tried = all(&home, "open").await;
    assert_eq!(names(&tried, false), [""; 0], "there is something to find");
    home.run(CLOSE).await;
    let tried = all(&home, "closed").await;
    assert_eq!(names(&tried, true), [""; 0], "these go around the wall");
    // What is not for one person alone is not behind it.
    let (ada, accounts) = (user_id("ada"), PgAccounts::new(home.pool()));
    assert!(accounts.credentials(&ada).await.unwrap().is_some());
    let all = BillingQuery { user_id: None, status: None };
    assert!(!PgBilling::new(home.pool()).records(&all, None, 9).await.unwrap().is_empty());
}

const CLOSE: &str = "
    DO $$
    DECLARE
        relation REGCLASS;
    BEGIN
        FOR relation IN SELECT polrelid FROM pg_policy WHERE polname = 'own_rows' LOOP
            EXECUTE format('ALTER POLICY own_rows ON %s USING (false)', relation);
        END LOOP;
    END;
    $$";
