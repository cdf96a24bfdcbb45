use subtle_domain::ids::{SessionId, TokenId, UserId};
use subtle_domain::second_factor::Assurance;
use subtle_domain::user::Role;

use super::*;

mod attacks;

const SECRET: &str = "the-newest-secret-of-32-or-more-bytes";
const OLD: &str = "a-secret-that-is-being-rotated-out-now";
const ISSUER: &str = "https://subtle.example";
const AUDIENCE: &str = "subtle-api";
const NOW: i64 = 1_700_000_000;

fn with(secrets: &str, leeway: u64) -> JwtAccessTokens {
    let leeway = Duration::from_secs(leeway);
    let settings = AccessTokenSettings { leeway, ..AccessTokenSettings::new(ISSUER, AUDIENCE) };
    JwtAccessTokens::new(&MasterSecrets::parse(secrets).unwrap(), settings).unwrap()
}

fn tokens() -> JwtAccessTokens {
    with(SECRET, 0)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(seconds, 0).unwrap()
}

pub(super) fn claims() -> AccessClaims {
    AccessClaims {
        user_id: UserId::parse("u1").unwrap(),
        session_id: SessionId::parse("s1").unwrap(),
        role: Role::Support,
        token_id: TokenId::parse("t1").unwrap(),
        assurance: Assurance::SecondFactor,
        authenticated_at: at(NOW - 60),
        issued_at: at(NOW),
        expires_at: at(NOW + 900),
    }
}

fn kid_of(tokens: &JwtAccessTokens) -> String {
    tokens.keys().remove(0).kid
}

fn pair(secret: &str) -> Ed25519KeyPair {
    let secrets = MasterSecrets::parse(secret).unwrap();
    Ed25519KeyPair::from_seed_unchecked(&secrets.newest().access_seed).unwrap()
}

/// A token of this header and payload, signed with the key of `secret`.
fn signed(secret: &str, header: &str, payload: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = pair(secret).sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn header() -> String {
    format!(r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"{}"}}"#, kid_of(&tokens()))
}

fn payload() -> String {
    format!(
        r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","sub":"u1","sid":"s1","role":"support","iat":{NOW},"nbf":{NOW},"exp":{},"jti":"t1","auth_time":{},"amr":["pwd","otp","mfa"]}}"#,
        NOW + 900,
        NOW - 60
    )
}

/// What becomes of a token with this header, properly signed.
fn verify_header(header: &str) -> Result<AccessClaims, InvalidAccessToken> {
    tokens().verify(&signed(SECRET, header, &payload()), at(NOW))
}

/// What becomes of a token with this payload, properly signed.
fn verify_payload(payload: &str) -> Result<AccessClaims, InvalidAccessToken> {
    tokens().verify(&signed(SECRET, &header(), payload), at(NOW))
}

/// What becomes of a token in whose payload `from` has given way to `to`.
fn verify_with(from: &str, to: &str) -> Result<AccessClaims, InvalidAccessToken> {
    let payload = payload();
    assert!(payload.contains(from), "{from}");
    verify_payload(&payload.replacen(from, to, 1))
}

#[test]
fn what_is_signed_verifies_until_it_expires() {
    let tokens = tokens();
    let token = tokens.sign(&claims());
    for later in [0, 1, 899] {
        assert_eq!(tokens.verify(token.expose(), at(NOW + later)), Ok(claims()));
    }
    for later in [900, 901, 1_000_000] {
        assert_eq!(tokens.verify(token.expose(), at(NOW + later)), Err(InvalidAccessToken::Expired));
    }
    assert_eq!(tokens.verify(token.expose(), at(NOW - 1)), Err(InvalidAccessToken::Malformed));
}

#[test]
fn times_are_cut_to_whole_seconds() {
    let tokens = tokens();
    let cut = TimeDelta::milliseconds(999);
    let token = tokens.sign(&AccessClaims {
        issued_at: claims().issued_at + cut,
        expires_at: claims().expires_at + cut,
        ..claims()
    });
    assert_eq!(tokens.verify(token.expose(), at(NOW)), Ok(claims()));
}

#[test]
fn leeway_moves_both_ends_and_is_5_seconds_at_most() {
    let tokens = with(SECRET, 5);
    let token = tokens.sign(&claims());
    for (now, outcome) in [
        (NOW - 6, Err(InvalidAccessToken::Malformed)),
        (NOW - 5, Ok(claims())),
        (NOW + 904, Ok(claims())),
        (NOW + 905, Err(InvalidAccessToken::Expired)),
    ] {
        assert_eq!(tokens.verify(token.expose(), at(now)), outcome, "{now}");
    }
    let settings =
        AccessTokenSettings { leeway: Duration::from_secs(6), ..AccessTokenSettings::new(ISSUER, AUDIENCE) };
    let refused = JwtAccessTokens::new(&MasterSecrets::parse(SECRET).unwrap(), settings);
    assert!(matches!(refused, Err(UnfitAccessTokens::Leeway)));
}

#[test]
fn the_token_is_written_as_rfc_9068_has_it() {
    let token = tokens().sign(&claims());
    let parts: Vec<_> = token.expose().split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
    assert_eq!(String::from_utf8_lossy(&parts[0]), header());
    assert_eq!(String::from_utf8_lossy(&parts[1]), payload());
    assert_eq!(parts[2].len(), 64);
    assert_eq!(token.expose(), signed(SECRET, &header(), &payload()), "Ed25519 signs alike each time");
}

#[test]
fn the_kid_is_the_thumbprint_of_the_public_key() {
    // RFC 8037, A.1 to A.3.
    let seed = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    let seed = URL_SAFE_NO_PAD.decode(seed).unwrap().try_into().unwrap();
    let known = verifying_key(&Keys {
        access_seed: seed,
        refresh_root: [0; 32],
        one_time_root: [0; 32],
        challenge_mac: [0; 32],
        encryption: [0; 32],
        imported_mac: [0; 32],
        audit_mac: [0; 32],
        audit_seed: [0; 32],
    })
    .unwrap();
    assert_eq!(known.published.x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
    assert_eq!(known.published.kid, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

#[test]
fn a_rotation_overlaps_two_kids() {
    let (before, during, after) = (with(OLD, 0), with(&format!("{SECRET},{OLD}"), 0), with(SECRET, 0));
    let kids: Vec<_> = during.keys().into_iter().map(|key| key.kid).collect();
    assert_eq!(kids, [kid_of(&after), kid_of(&before)], "the one in use first");
    let (old, new) = (before.sign(&claims()), during.sign(&claims()));
    assert!(during.verify(old.expose(), at(NOW)).is_ok() && during.verify(new.expose(), at(NOW)).is_ok());
    assert!(after.verify(old.expose(), at(NOW)).is_err() && after.verify(new.expose(), at(NOW)).is_ok());
    // Under one kid with the other's signature.
    let crossed = signed(OLD, &header(), &payload());
    assert_eq!(during.verify(&crossed, at(NOW)), Err(InvalidAccessToken::Malformed));
}

#[test]
fn the_media_type_may_be_spelt_out_and_in_any_case() {
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt"] {
        assert_eq!(verify_header(&header().replace("at+jwt", typ)), Ok(claims()), "{typ}");
    }
}
