use proptest::prelude::*;

use super::*;

const NEW: &str = "the-newest-secret-of-32-or-more-bytes";
const OLD: &str = "a-secret-that-is-being-rotated-out-now";
const SALT: [u8; 16] = [7; 16];

fn with(secrets: &str) -> MacRefreshTokens {
    MacRefreshTokens::new(&MasterSecrets::parse(secrets).unwrap())
}

fn user() -> UserId {
    UserId::parse("clowttkg00000aaaa00000001").unwrap()
}

fn session() -> SessionId {
    SessionId::parse("clowttkg00001aaaa00000002").unwrap()
}

fn mint(tokens: &MacRefreshTokens, generation: i32) -> RefreshToken {
    tokens.mint(&user(), &session(), Generation::new(generation), &SALT)
}

fn is_accepted(tokens: &MacRefreshTokens, text: &str) -> bool {
    tokens.open(text).is_some_and(|token| tokens.is_authentic(&token, &SALT))
}

#[test]
fn a_token_says_whose_it_is_and_is_authentic() {
    let tokens = with(NEW);
    for generation in [0, 1, 70_000, i32::MAX] {
        let opened = tokens.open(mint(&tokens, generation).expose()).unwrap();
        assert_eq!((&opened.user_id, &opened.session_id), (&user(), &session()));
        assert_eq!(opened.generation, Generation::new(generation));
        assert!(tokens.is_authentic(&opened, &SALT));
    }
}

#[test]
fn tokens_of_the_longest_identifiers_fit() {
    let (user, session) =
        (UserId::parse(&"u".repeat(64)).unwrap(), SessionId::parse(&"s".repeat(64)).unwrap());
    let tokens = with(NEW);
    let token = tokens.mint(&user, &session, Generation::FIRST, &SALT);
    assert_eq!(token.expose().len(), 223);
    assert!(is_accepted(&tokens, token.expose()));
}

#[test]
fn a_token_with_any_bit_flipped_is_refused() {
    let tokens = with(NEW);
    let token = URL_SAFE_NO_PAD.decode(mint(&tokens, 5).expose()).unwrap();
    for byte in 0..token.len() {
        for bit in 0..8 {
            let mut forged = token.clone();
            forged[byte] ^= 1 << bit;
            assert!(!is_accepted(&tokens, &URL_SAFE_NO_PAD.encode(forged)), "byte {byte}, bit {bit}");
        }
    }
}

#[test]
fn a_token_that_is_written_in_another_way_is_refused() {
    let tokens = with(NEW);
    let token = mint(&tokens, 5).expose().to_owned();
    let bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
    let longer = URL_SAFE_NO_PAD.encode([bytes.as_slice(), &[0]].concat());
    for text in [
        String::new(),
        format!("{token}="),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{token}A"),
        token[..token.len() - 1].to_owned(),
        token[1..].to_owned(),
        longer,
        token.repeat(3),
        "A".repeat(1_000_000),
        "eyJhbGciOiJFZERTQSJ9.e30.c2ln".to_owned(),
    ] {
        assert!(!is_accepted(&tokens, &text), "{}", text.len());
    }
}

#[test]
fn the_last_character_is_canonical() {
    let tokens = with(NEW);
    for length in 1..=3 {
        let user = UserId::parse(&"u".repeat(length)).unwrap();
        let token = tokens.mint(&user, &session(), Generation::FIRST, &SALT);
        let (head, last) = token.expose().split_at(token.expose().len() - 1);
        let accepted = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
            .chars()
            .filter(|other| is_accepted(&tokens, &format!("{head}{other}")))
            .collect::<String>();
        assert_eq!(accepted, last);
    }
}

#[test]
fn another_session_user_generation_or_salt_has_another_token() {
    let tokens = with(NEW);
    let token = tokens.open(mint(&tokens, 5).expose()).unwrap();
    assert!(!tokens.is_authentic(&token, &[8; 16]));
    assert!(!tokens.is_authentic(&token, &[]));
    let other = SessionId::parse("other").unwrap();
    assert!(!tokens.is_authentic(&PresentedRefreshToken { session_id: other, ..token.clone() }, &SALT));
    let other = UserId::parse("other").unwrap();
    assert!(!tokens.is_authentic(&PresentedRefreshToken { user_id: other, ..token.clone() }, &SALT));
    let other = Generation::new(6);
    assert!(!tokens.is_authentic(&PresentedRefreshToken { generation: other, ..token }, &SALT));
}

#[test]
fn characters_cannot_move_from_one_identifier_to_the_other() {
    let tokens = with(NEW);
    let made =
        tokens.mint(&UserId::parse("ab").unwrap(), &SessionId::parse("c").unwrap(), Generation::FIRST, &SALT);
    let moved = PresentedRefreshToken {
        user_id: UserId::parse("a").unwrap(),
        session_id: SessionId::parse("bc").unwrap(),
        ..tokens.open(made.expose()).unwrap()
    };
    assert!(!tokens.is_authentic(&moved, &SALT));
}

#[test]
fn another_secret_makes_and_takes_other_tokens() {
    assert!(!is_accepted(&with(OLD), mint(&with(NEW), 5).expose()));
}

#[test]
fn a_rotation_of_secrets_signs_nobody_out() {
    let (before, during, after) = (with(OLD), with(&format!("{NEW},{OLD}")), with(NEW));
    let (old, new) = (mint(&before, 5), mint(&during, 6));
    assert!(is_accepted(&during, old.expose()) && is_accepted(&during, new.expose()));
    assert!(!is_accepted(&after, old.expose()) && is_accepted(&after, new.expose()));
}

#[test]
fn a_token_is_made_again_by_the_secret_that_made_it() {
    let (before, during) = (with(OLD), with(&format!("{NEW},{OLD}")));
    let again = |tokens: &MacRefreshTokens, generation, made: &RefreshToken| {
        let digest = tokens.digest(made);
        tokens.mint_again(&user(), &session(), Generation::new(generation), &SALT, &digest)
    };
    for made in [mint(&before, 5), mint(&during, 5)] {
        assert!(again(&during, 5, &made) == Some(made.clone()));
        assert!(again(&during, 4, &made).is_none());
    }
    assert!(again(&before, 5, &mint(&during, 5)).is_none());
}

#[test]
fn a_digest_is_the_sha_256_of_the_text() {
    let digest = with(NEW).digest(&RefreshToken::new("abc"));
    // FIPS 180-2, B.1.
    assert_eq!(digest.expose(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn the_format_does_not_change_by_mistake() {
    // Computed with Python's hmac module.
    assert_eq!(
        mint(&with(NEW), 5).expose(),
        "ARljbG93dHRrZzAwMDAwYWFhYTAwMDAwMDAxGWNsb3d0dGtnMDAwMDFhYWFhMDAwMDAwMDIAAAAFZhmyVEEIYsle3YzDYLMLpoRxoYE29UwMdj5lliVPrRI"
    );
}

proptest! {
    #[test]
    fn no_text_panics_or_is_accepted(text in ".{0,300}") {
        prop_assert!(!is_accepted(&with(NEW), &text));
    }

    #[test]
    fn no_bytes_panic_and_what_opens_is_written_back_the_same(
        head in proptest::collection::vec(any::<u8>(), 0..120),
        user in 0u8..70,
    ) {
        let bytes = [&[VERSION, user], head.as_slice()].concat();
        if let Some(opened) = with(NEW).open(&URL_SAFE_NO_PAD.encode(&bytes)) {
            let claims = claims(&opened.user_id, &opened.session_id, opened.generation);
            prop_assert_eq!([claims.as_slice(), &opened.mac].concat(), bytes);
        }
    }
}
