//! Tokens that must not be taken.

use aws_lc_rs::hmac;
use proptest::prelude::*;
use subtle_domain::ports::RefreshTokens;
use subtle_domain::session::Generation;

use super::*;
use crate::MacRefreshTokens;

#[test]
fn any_other_header_is_refused_even_if_it_is_signed() {
    let kid = kid_of(&tokens());
    let x = tokens().keys().remove(0).x;
    let own_key = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{x}"}}"#);
    let extra = |parameter: &str| header().replace('}', &format!(",{parameter}}}"));
    let mut headers = vec![
        String::new(),
        "{}".to_owned(),
        "null".to_owned(),
        format!(r#"["EdDSA","at+jwt","{kid}"]"#),
        format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#),
        format!(r#"{{"typ":"at+jwt","kid":"{kid}"}}"#),
        r#"{"typ":"at+jwt","alg":"EdDSA"}"#.to_owned(),
        r#"{"typ":"at+jwt","alg":"EdDSA","kid":null}"#.to_owned(),
        format!("{}x", header()),
        format!("\u{feff}{}", header()),
        extra(r#""alg":"EdDSA""#),
        extra(r#""\u0061lg":"none""#),
        extra(&format!(r#""kid":"{kid}""#)),
        extra(r#""typ":"at+jwt""#),
        extra(&format!(r#""jwk":{own_key}"#)),
        extra(r#""x5c":["MIIB"]"#),
        extra(r#""crit":["exp"],"exp":1"#),
        extra(r#""crit":[]"#),
        extra(r#""b64":false"#),
        extra(r#""zip":"DEF""#),
        extra(r#""anything":1"#),
    ];
    headers.extend(
        ["jku", "x5u", "x5t", "x5t#S256", "cty", "enc", "url", "nonce"]
            .map(|name| extra(&format!(r#""{name}":"https://evil.example/keys""#))),
    );
    headers.extend(
        ["none", "None", "nOnE", "NONE", "", "HS256", "RS256", "ES256", "Ed25519", "eddsa", "EDDSA"]
            .map(|alg| header().replace("EdDSA", alg)),
    );
    headers.extend(
        [
            "JWT",
            "jwt",
            "",
            "at-jwt",
            "rt+jwt",
            "application/jwt",
            "application/application/at+jwt",
            " at+jwt",
        ]
        .map(|typ| header().replace("at+jwt", typ)),
    );
    headers.extend(
        ["", "other", "../../dev/null", "' OR 1=1 --", "/etc/passwd", &kid.to_uppercase()]
            .map(|other| header().replace(&kid, other)),
    );
    for header in headers {
        assert_eq!(verify_header(&header), Err(InvalidAccessToken::Malformed), "{header}");
    }
}

#[test]
fn a_token_that_we_did_not_sign_is_refused() {
    let tokens = tokens();
    let public = pair(SECRET).public_key().as_ref().to_vec();
    let message =
        |header: &str| format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload()));
    let by_mac = |header: &str, key: &[u8]| {
        let message = message(header);
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac))
    };
    let hs256 = header().replace("EdDSA", "HS256");
    let good = tokens.sign(&claims());
    let signature = good.expose().rsplit('.').next().unwrap();
    for token in [
        format!("{}.", message(&header())),
        format!("{}.", message(&header().replace("EdDSA", "none"))),
        format!("{}.", message(r#"{"alg":"none"}"#)),
        format!("{}.{}", message(&header()), URL_SAFE_NO_PAD.encode([0; 64])),
        format!("{}.{}", message(&header()), URL_SAFE_NO_PAD.encode([0; 63])),
        format!("{}.{signature}", message(&header()).replacen('.', "..", 1)),
        by_mac(&hs256, &public),
        by_mac(&hs256, tokens.keys().remove(0).x.as_bytes()),
        by_mac(&header(), &public),
        signed(OLD, &header(), &payload()),
        // Somebody else's key, sent along.
        signed(OLD, &header().replace(&kid_of(&tokens), &kid_of(&with(OLD, 0))), &payload()),
    ] {
        assert_eq!(tokens.verify(&token, at(NOW)), Err(InvalidAccessToken::Malformed), "{token}");
    }
}

#[test]
fn a_token_with_any_character_changed_is_refused() {
    let tokens = tokens();
    let token = tokens.sign(&claims()).expose().to_owned();
    for place in 0..token.len() {
        for other in ["A", "B", "_", ".", "=", "!", "\u{e9}"] {
            if token[place..].starts_with(other) {
                continue;
            }
            let forged = format!("{}{other}{}", &token[..place], &token[place + 1..]);
            assert_eq!(tokens.verify(&forged, at(NOW)), Err(InvalidAccessToken::Malformed), "{forged}");
        }
    }
}

#[test]
fn a_token_that_is_written_in_another_way_is_refused() {
    let tokens = tokens();
    let token = tokens.sign(&claims()).expose().to_owned();
    let parts: Vec<_> = token.split('.').collect();
    let (head, payload, signature) = (parts[0], parts[1], parts[2]);
    for text in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        format!("{head}.{payload}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{signature}"),
        format!("{token}=="),
        format!("{head}==.{payload}.{signature}"),
        format!("{head}.{payload}=.{signature}"),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{token}\0"),
        token.replace(['-', '_'], "+"),
        format!("Bearer {token}"),
    ] {
        assert_eq!(tokens.verify(&text, at(NOW)), Err(InvalidAccessToken::Malformed), "{text:?}");
    }
}

#[test]
fn a_token_longer_than_4_kib_is_not_looked_at() {
    let padded = |bytes: usize| payload().replace('}', &format!(r#","pad":"{}"}}"#, "x".repeat(bytes)));
    assert_eq!(verify_payload(&padded(2_000)), Ok(claims()), "unknown claims are ignored");
    assert_eq!(verify_payload(&padded(4_000)), Err(InvalidAccessToken::Malformed));
    assert_eq!(tokens().verify(&"A.".repeat(1_000_000), at(NOW)), Err(InvalidAccessToken::Malformed));
}

#[test]
fn every_claim_is_required_once_and_of_its_type() {
    let written: serde_json::Value = serde_json::from_str(&payload()).unwrap();
    for (name, value) in written.as_object().unwrap() {
        let mut without = written.clone();
        without.as_object_mut().unwrap().remove(name);
        let old = AccessClaims { authenticated_at: at(0), ..claims() };
        let plain = AccessClaims { assurance: Assurance::Password, ..claims() };
        // A token of a version before these claims is an old sign-in, by a password.
        let expected = match name.as_str() {
            "auth_time" => Ok(old),
            "amr" => Ok(plain),
            _ => Err(InvalidAccessToken::Malformed),
        };
        assert_eq!(verify_payload(&without.to_string()), expected, "no {name}");
        let twice = format!(r#"{{"{name}":{value},{}"#, &payload()[1..]);
        assert_eq!(verify_payload(&twice), Err(InvalidAccessToken::Malformed), "{name} twice");
        for wrong in ["null", "true", "{}", "[]", "-0.5", "1e400", r#"[["a"]]"#, r#""\u0000""#, r#""""#] {
            let mut payload = written.clone();
            payload[name] = "@".into();
            let payload = payload.to_string().replace(r#""@""#, wrong);
            assert_eq!(verify_payload(&payload), Err(InvalidAccessToken::Malformed), "{name} = {wrong}");
        }
    }
}

#[test]
fn claims_of_others_and_out_of_range_are_refused() {
    let audience = format!(r#""{AUDIENCE}""#);
    for (from, to) in [
        (ISSUER, "https://evil.example"),
        (ISSUER, "https://subtle.example/"),
        (AUDIENCE, "other-api"),
        (AUDIENCE, "subtle-api "),
        (&audience, &format!(r#"[{audience},"other-api"]"#)),
        (&audience, &format!(r"[{audience},{audience}]")),
        (&audience, r#"["other-api"]"#),
        (r#""support""#, r#""root""#),
        (r#""support""#, r#""Admin""#),
        (r#""u1""#, r#""u 1""#),
        (r#""s1""#, r#""../s1""#),
        (r#""exp":1700000900"#, r#""exp":"1700000900""#),
        (r#""exp":1700000900"#, r#""exp":1700000900.5"#),
        (r#""exp":1700000900"#, r#""exp":9223372036854775807"#),
        (r#""exp":1700000900"#, r#""exp":18446744073709551615"#),
        (r#""exp":1700000900"#, r#""exp":-1"#),
        (r#""nbf":1700000000"#, r#""nbf":-1"#),
        (r#""nbf":1700000000"#, r#""nbf":-9223372036854775808"#),
        (r#""nbf":1700000000"#, r#""nbf":1700000001"#),
        (r#""nbf":1700000000"#, r#""nbf":1800000000"#),
        (r#""iat":1700000000"#, r#""iat":9223372036854775807"#),
    ] {
        assert_eq!(verify_with(from, to), Err(InvalidAccessToken::Malformed), "{from} → {to}");
    }
    assert_eq!(verify_with(&audience, &format!("[{audience}]")), Ok(claims()));
    assert_eq!(verify_with(r#""exp":1700000900"#, r#""exp":0"#), Err(InvalidAccessToken::Expired));
}

#[test]
fn only_a_token_of_ours_is_ever_called_expired() {
    let late = at(NOW + 10_000);
    let expired = tokens().sign(&claims());
    assert_eq!(tokens().verify(expired.expose(), late), Err(InvalidAccessToken::Expired));
    assert_eq!(with(OLD, 0).verify(expired.expose(), late), Err(InvalidAccessToken::Malformed));
    let elsewhere = payload().replace(AUDIENCE, "other-api");
    let elsewhere = signed(SECRET, &header(), &elsewhere);
    assert_eq!(tokens().verify(&elsewhere, late), Err(InvalidAccessToken::Malformed));
}

#[test]
fn a_refresh_token_is_no_access_token_nor_the_other_way_about() {
    let refresh = MacRefreshTokens::new(&MasterSecrets::parse(SECRET).unwrap());
    let token = refresh.mint(&claims().user_id, &claims().session_id, Generation::FIRST, &[0; 16]);
    assert_eq!(tokens().verify(token.expose(), at(NOW)), Err(InvalidAccessToken::Malformed));
    assert_eq!(refresh.open(tokens().sign(&claims()).expose()), None);
}

proptest! {
    #[test]
    fn no_text_panics_or_verifies(text in ".{0,400}") {
        prop_assert_eq!(tokens().verify(&text, at(NOW)), Err(InvalidAccessToken::Malformed));
    }

    #[test]
    fn no_three_parts_panic_or_verify(header in ".{0,60}", payload in ".{0,60}", signature in "[A-Za-z0-9_-]{86}") {
        let parts = [URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload), signature];
        prop_assert_eq!(tokens().verify(&parts.join("."), at(NOW)), Err(InvalidAccessToken::Malformed));
    }

    #[test]
    fn no_signed_payload_panics(payload in ".{0,200}") {
        prop_assert_eq!(verify_payload(&payload), Err(InvalidAccessToken::Malformed));
    }

    #[test]
    fn whatever_its_times_a_token_is_in_force_between_them(
        nbf in prop_oneof![any::<i64>(), -2..2i64, NOW - 2..NOW + 2],
        exp in prop_oneof![any::<i64>(), -2..2i64, NOW - 2..NOW + 2],
    ) {
        let times = payload()
            .replace(r#""nbf":1700000000"#, &format!(r#""nbf":{nbf}"#))
            .replace(r#""exp":1700000900"#, &format!(r#""exp":{exp}"#));
        let exists = |seconds| seconds >= 0 && Timestamp::from_timestamp(seconds, 0).is_some();
        let in_force = exists(nbf) && exists(exp) && nbf <= NOW && exp > NOW;
        prop_assert_eq!(verify_payload(&times).is_ok(), in_force);
    }
}
