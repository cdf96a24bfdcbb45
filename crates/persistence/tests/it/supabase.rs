//! Reading the accounts of a Supabase project, on the real layout of its tables.

use chrono::TimeDelta;
use subtle_domain::Timestamp;
use subtle_domain::import::{ForeignAccount, ForeignFactor, ForeignSession, Mark};
use subtle_domain::ports::ImportSource;
use subtle_domain::second_factor::Assurance;
use subtle_domain::token::{ForeignSecret, RefreshToken};
use subtle_persistence::{Database, PgSupabase, SupabaseError};

use crate::support::Home;

const LAYOUT: &str = include_str!("supabase/gotrue.sql");
const PEOPLE: &str = include_str!("supabase/people.sql");

async fn project() -> Home {
    let home = Home::empty().await;
    home.run(LAYOUT).await;
    home.run(PEOPLE).await;
    home
}

async fn open(database: &Database) -> PgSupabase {
    PgSupabase::open(database).await.unwrap()
}

async fn all(home: &Home) -> Vec<ForeignAccount> {
    open(&home.pool()).await.page(None, 100).await.unwrap()
}

fn numbered(number: &str) -> String {
    format!("00000000-0000-4000-8000-0000000000{number}")
}

async fn person(home: &Home, number: &str) -> ForeignAccount {
    all(home).await.into_iter().find(|account| account.id == numbered(number)).unwrap()
}

fn tokens(session: &ForeignSession) -> Vec<&str> {
    session.tokens.iter().map(RefreshToken::expose).collect()
}

fn database_now() -> &'static str {
    "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"
}

#[tokio::test]
async fn a_person_comes_with_all_that_is_theirs() {
    let home = project().await;
    let ada = person(&home, "01").await;
    assert_eq!(ada.email.as_deref(), Some("ada@example.com"));
    assert!(ada.hash.is_some_and(|hash| hash.expose().starts_with("$2a$04$")));
    assert_eq!(ada.marks, [Mark::Confirmed]);
    assert_eq!(ada.names, ["Ada Lovelace", "ada"]);
    assert_eq!(ada.pictures, ["https://example.com/ada.png"]);
    assert_eq!(ada.created_at, "2024-02-29T12:00:00.123Z".parse().ok());
    let identities: Vec<_> =
        ada.identities.iter().map(|one| (one.provider.as_str(), one.provider_id.clone())).collect();
    assert_eq!(identities, [("email", numbered("01")), ("google", "117204631875264310984".to_owned())]);
    let google = &ada.identities[1];
    assert_eq!(google.created_at, "2025-01-02T03:04:05Z".parse().ok());
    assert_eq!(google.last_sign_in_at, "2026-01-02T03:04:05Z".parse().ok());
    // What was not confirmed is no second factor.
    assert_eq!(ada.factors, []);
}

#[tokio::test]
async fn a_session_comes_with_the_tokens_that_are_good_and_when_it_was_used() {
    let home = project().await;
    let now: Timestamp = home.value(database_now()).await.parse().unwrap();
    let about = |at: Option<Timestamp>, days: i64| {
        let expected = now - TimeDelta::days(days);
        at.is_some_and(|at| (at - expected).abs() < TimeDelta::minutes(5))
    };
    let ada = person(&home, "01").await;
    let [refreshed, new] = ada.sessions.as_slice() else { panic!("{:?}", ada.sessions) };
    assert_eq!(tokens(refreshed), ["adaactive001", "adaparent001"]);
    assert!(about(refreshed.last_used_at, 1) && about(refreshed.created_at, 200), "{refreshed:?}");
    assert_eq!(tokens(new), ["Zm9vYmFyLWZvb2Jhci1mb2"]);
    assert!(about(new.last_used_at, 0), "{new:?}");
    let bob = person(&home, "02").await;
    let signer = bob.sessions[0].signer.as_ref().unwrap();
    assert_eq!((signer.counter, tokens(&bob.sessions[0]).len()), (128, 0));
    assert_eq!(signer.key, ForeignSecret::new("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"));
}

#[tokio::test]
async fn what_ends_and_whose_it_is_is_told() {
    let home = project().await;
    let mia = person(&home, "13").await;
    let ends: Vec<_> = mia.sessions.iter().map(|session| session.not_after).collect();
    assert_eq!(ends, [None, "2025-12-31T15:00:00Z".parse().ok(), None, None, None], "midnight in Tokyo");
    let programs: Vec<_> = mia.sessions.iter().map(|session| session.is_programs).collect();
    assert_eq!(programs, [false, false, true, false, false]);
    assert_eq!(tokens(&mia.sessions[3]), Vec::<&str>::new(), "a revoked one is not good");
    assert_eq!(mia.created_at, None);
}

#[tokio::test]
async fn accounts_are_marked_as_what_they_are() {
    use Mark::{Anonymous, Confirmed, Deleted, Phone, Privileged, Shadowed, SingleSignOn};
    let home = project().await;
    let marks: Vec<_> = all(&home).await.into_iter().map(|account| account.marks).collect();
    let expected: [&[Mark]; 13] = [
        &[Confirmed],
        &[],
        &[Confirmed],
        &[Confirmed, Deleted],
        &[Anonymous],
        &[Phone],
        &[Confirmed, Phone],
        &[Confirmed, SingleSignOn, Shadowed],
        &[Confirmed, SingleSignOn],
        &[Confirmed],
        &[Confirmed],
        &[Confirmed, Privileged],
        &[Confirmed],
    ];
    assert_eq!(marks, expected);
    let bob = person(&home, "02").await;
    assert_eq!((bob.names, bob.pictures.len()), (vec!["Bob".to_owned()], 1), "what is no text is no name");
}

#[tokio::test]
async fn a_ban_for_ever_is_one() {
    let home = project().await;
    let until = person(&home, "03").await.banned_until.unwrap();
    assert_eq!(until.to_rfc3339(), "9999-12-31T23:59:59+00:00");
    assert_eq!(person(&home, "01").await.banned_until, None);
}

#[tokio::test]
async fn the_factor_that_was_used_last_comes_first() {
    let home = project().await;
    let app = |secret: &str| ForeignFactor::App(ForeignSecret::new(secret));
    let jon = person(&home, "10").await;
    assert_eq!(
        jon.factors,
        [app("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), app("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")]
    );
    let sure: Vec<_> = jon.sessions.iter().map(|session| session.assurance).collect();
    assert_eq!(sure, [Assurance::Password, Assurance::SecondFactor]);
    assert_eq!(person(&home, "11").await.factors, [ForeignFactor::Other]);
}

#[tokio::test]
async fn pages_follow_each_other_at_one_moment_whatever_happens_meanwhile() {
    let home = project().await;
    let mut source = open(&home.pool()).await;
    let first = source.page(None, 5).await.unwrap();
    home.run("DELETE FROM auth.users WHERE email = 'kim@example.com'").await;
    assert_eq!(source.count().await.unwrap(), 13);
    let mut seen: Vec<String> = first.into_iter().map(|account| account.id).collect();
    loop {
        let page = source.page(seen.last().map(String::as_str), 5).await.unwrap();
        if page.is_empty() {
            break;
        }
        seen.extend(page.into_iter().map(|account| account.id));
    }
    let expected: Vec<_> = (1..=13).map(|number| numbered(&format!("{number:02}"))).collect();
    assert_eq!(seen, expected);
    assert_eq!(open(&home.pool()).await.count().await.unwrap(), 12);
}

#[tokio::test]
async fn a_layout_from_before_the_late_columns_is_read_as_well() {
    let home = project().await;
    home.run(
        "ALTER TABLE auth.sessions DROP COLUMN refresh_token_hmac_key, DROP COLUMN refresh_token_counter,
            DROP COLUMN oauth_client_id, DROP COLUMN refreshed_at, DROP COLUMN not_after;
         ALTER TABLE auth.users DROP COLUMN is_anonymous, DROP COLUMN deleted_at, DROP COLUMN is_sso_user;
         ALTER TABLE auth.mfa_factors DROP COLUMN last_challenged_at;
         ALTER TABLE auth.identities DROP COLUMN id;
         ALTER TABLE auth.identities RENAME COLUMN provider_id TO id",
    )
    .await;
    let ada = person(&home, "01").await;
    assert_eq!(ada.identities[1].provider_id, "117204631875264310984");
    assert_eq!(tokens(&ada.sessions[0]), ["adaactive001", "adaparent001"]);
    let bob = person(&home, "02").await;
    assert_eq!(bob.sessions[0].signer, None);
    assert_eq!(person(&home, "05").await.marks, []);
}

#[tokio::test]
async fn rows_that_are_hidden_from_the_role_are_no_empty_project() {
    let home = project().await;
    // Roles are the whole server's.
    let reader = format!("reader_of_{}", home.value("SELECT current_database()").await);
    home.run(&format!(
        "CREATE ROLE \"{reader}\"; GRANT USAGE ON SCHEMA auth TO \"{reader}\";
         GRANT SELECT ON ALL TABLES IN SCHEMA auth TO \"{reader}\""
    ))
    .await;
    let by_reader = home.pool_with(&format!("options=-c%20role%3D{reader}"));
    let refused = open(&by_reader).await.page(None, 5).await.unwrap_err();
    home.run(&format!("DROP OWNED BY \"{reader}\"; DROP ROLE \"{reader}\"")).await;
    assert!(format!("{refused:?}").contains("row-level security"), "{refused:?}");
}

#[tokio::test]
async fn a_database_of_another_kind_is_refused_by_name() {
    let home = Home::new().await;
    let refused = PgSupabase::open(&home.pool()).await.err().unwrap();
    assert!(matches!(&refused, SupabaseError::Layout(table) if table == "users"), "{refused}");
}
