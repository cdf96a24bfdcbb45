//! What runs once or more for each request, alone: `cargo bench --package subtle-tests --bench micro`.

#![expect(clippy::unwrap_used, reason = "what fails here ends the measurement")]

use divan::{Bencher, black_box};
use subtle_domain::Timestamp;
use subtle_domain::directory::{PageStart, UserPage, UserQuery, UserRow, UserSort};
use subtle_domain::email::EmailAddress;
use subtle_domain::ids::{SessionId, TokenId, UserId};
use subtle_domain::money::Cost;
use subtle_domain::ports::{AccessTokens, RefreshTokens};
use subtle_domain::second_factor::Assurance;
use subtle_domain::session::Generation;
use subtle_domain::token::AccessClaims;
use subtle_domain::user::{Role, User};
use subtle_http::UserList;
use subtle_security::{AccessTokenSettings, JwtAccessTokens, MacRefreshTokens, MasterSecrets};

fn main() {
    divan::main();
}

fn now() -> Timestamp {
    Timestamp::from_timestamp(1_700_000_000, 0).unwrap()
}

fn secrets() -> MasterSecrets {
    MasterSecrets::parse("a-secret-of-more-than-thirty-two-bytes").unwrap()
}

fn access_tokens() -> JwtAccessTokens {
    JwtAccessTokens::new(&secrets(), AccessTokenSettings::new("https://subtle.example", "subtle-api"))
        .unwrap()
}

fn claims(token: u64) -> AccessClaims {
    AccessClaims {
        user_id: UserId::parse("cmb3k2x9f0000qzrm5t1a8w7e").unwrap(),
        session_id: SessionId::parse("cmb3k2x9f0001qzrm5t1a8w7e").unwrap(),
        role: Role::User,
        token_id: TokenId::parse(&token.to_string()).unwrap(),
        assurance: Assurance::Password,
        authenticated_at: now(),
        issued_at: now(),
        expires_at: now() + chrono::TimeDelta::minutes(15),
    }
}

#[divan::bench]
fn access_token_sign(bencher: Bencher) {
    let (tokens, claims) = (access_tokens(), claims(0));
    bencher.bench_local(|| tokens.sign(black_box(&claims)));
}

/// A token that comes for the first time.
#[divan::bench]
fn access_token_verify_new(bencher: Bencher) {
    let tokens = access_tokens();
    let mut number = 0;
    let another = || {
        number += 1;
        tokens.sign(&claims(number))
    };
    bencher.with_inputs(another).bench_local_refs(|token| tokens.verify(token.expose(), now()).unwrap());
}

/// A token that was seen before.
#[divan::bench]
fn access_token_verify_known(bencher: Bencher) {
    let tokens = access_tokens();
    let token = tokens.sign(&claims(0));
    bencher.bench_local(|| tokens.verify(black_box(token.expose()), now()).unwrap());
}

/// What a refresh does with the token that it is shown, and the one that takes its place.
#[divan::bench]
fn refresh_mac(bencher: Bencher) {
    let (tokens, salt) = (MacRefreshTokens::new(&secrets()), [7; 32]);
    let AccessClaims { user_id, session_id, .. } = claims(0);
    let token = tokens.mint(&user_id, &session_id, Generation::FIRST, &salt);
    bencher.bench_local(|| {
        let shown = tokens.open(black_box(token.expose())).unwrap();
        assert!(tokens.is_authentic(&shown, &salt));
        tokens.mint(&user_id, &session_id, Generation::FIRST, &salt)
    });
}

const COSTS: [&str; 2] = ["0.00003", "9999999999.9999999999"];

#[divan::bench(args = COSTS)]
fn decimal_parse(text: &str) -> Cost {
    Cost::parse(black_box(text)).unwrap()
}

#[divan::bench(args = COSTS)]
fn decimal_print(bencher: Bencher, text: &str) {
    let cost = Cost::parse(text).unwrap();
    bencher.bench_local(|| black_box(&cost).to_string());
}

/// `GET /v1/admin/users`, from what the port gives to the body.
#[divan::bench(args = [20, 100])]
fn json_of_a_page(bencher: Bencher, page_size: u32) {
    let row = |number: u32| {
        let id = UserId::parse(&format!("cmb3k2x9f{number:016}")).unwrap();
        let email = EmailAddress::parse(&format!("person{number}@example.com")).unwrap();
        UserRow { user: User::new(id, email, now()), activity: i64::from(number), usage: 7 }
    };
    let page = UserPage { users: (0..page_size).map(row).collect(), total: 1_000_000, next: None };
    let start = PageStart::Number(1);
    let query =
        UserQuery { start, page_size, search: None, tier: None, role: None, sort: UserSort::default() };
    bencher.bench_local(|| serde_json::to_vec(&UserList::of(black_box(&page), &query)).unwrap());
}
