//! Bridge tokens: random, and kept by nobody but who was given them.
//!
//! A token is `bt_` and base64url without padding of: the version (1 byte) | the user's id | 32 random bytes. It names its user so that
//! its row is found where the user's rows are.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle_domain::bridge::CodeChallenge;
use subtle_domain::ids::UserId;
use subtle_domain::ports::BridgeTokens;
use subtle_domain::token::{BridgeToken, PresentedBridgeToken, TokenDigest};

use crate::hex::hex;
use crate::random;

/// What every token begins with, so that scanners find those that leak.
const PREFIX: &str = "bt_";
const VERSION: u8 = 1;
/// Nobody guesses 256 bits, so their digest needs no salt and no slowness.
const CHANCE: usize = 32;
/// Longest text that is looked at. With the longest id there is, 64 bytes, a token has 133.
const LONGEST: usize = 160;

/// Makes tokens from the system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomBridgeTokens;

impl BridgeTokens for RandomBridgeTokens {
    fn mint(&self, user: &UserId) -> (BridgeToken, TokenDigest) {
        let chance = random::bytes::<CHANCE>();
        let bytes = [&[VERSION], user.as_str().as_bytes(), &chance].concat();
        let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
        let digest = digest_of(&token);
        (BridgeToken::new(token), digest)
    }

    /// Takes the one way in which a token is written and no other.
    fn open(&self, token: &str) -> Option<PresentedBridgeToken> {
        if token.len() > LONGEST {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
        let (head, _chance) = bytes.split_last_chunk::<CHANCE>()?;
        let (&[version], user) = head.split_first_chunk()?;
        let user_id = UserId::parse(std::str::from_utf8(user).ok()?).ok()?;
        (version == VERSION).then(|| PresentedBridgeToken { user_id, digest: digest_of(token) })
    }

    fn challenge(&self, verifier: &str) -> Option<CodeChallenge> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_one = (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved);
        let sum = digest::digest(&digest::SHA256, verifier.as_bytes());
        CodeChallenge::parse(&URL_SAFE_NO_PAD.encode(sum)).ok().filter(|_| is_one)
    }
}

fn digest_of(token: &str) -> TokenDigest {
    TokenDigest::new(hex(digest::digest(&digest::SHA256, token.as_bytes()).as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ada() -> UserId {
        UserId::parse("ada").unwrap()
    }

    #[test]
    fn a_token_tells_whose_it_is_and_is_known_by_its_digest() {
        let (token, digest) = RandomBridgeTokens.mint(&ada());
        assert!(token.expose().starts_with("bt_"));
        let opened = RandomBridgeTokens.open(token.expose()).unwrap();
        assert_eq!((&opened.user_id, &opened.digest), (&ada(), &digest));
        assert_eq!(digest.expose().len(), 64);
        assert_ne!(RandomBridgeTokens.mint(&ada()).1, digest);
        let longest = UserId::parse(&"x".repeat(64)).unwrap();
        let (token, _) = RandomBridgeTokens.mint(&longest);
        assert_eq!(RandomBridgeTokens.open(token.expose()).unwrap().user_id, longest);
    }

    #[test]
    fn what_is_no_token_is_not_opened() {
        let (good, _) = RandomBridgeTokens.mint(&ada());
        let good = good.expose();
        let nobodys = format!("bt_{}", URL_SAFE_NO_PAD.encode([&[VERSION][..], &[0; CHANCE]].concat()));
        let newer = format!("bt_{}", URL_SAFE_NO_PAD.encode([&[2][..], b"ada", &[0; CHANCE]].concat()));
        let long = format!("{good}{}", "A".repeat(200));
        for text in [
            "",
            "bt_",
            "bt_AAAA",
            &good[3..],
            &good.replace("bt_", "BT_"),
            &good[..20],
            &nobodys,
            &newer,
            &long,
        ] {
            assert_eq!(RandomBridgeTokens.open(text), None, "{text}");
        }
    }

    #[test]
    fn a_challenge_is_that_of_its_verifier() {
        // The example of RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert_eq!(RandomBridgeTokens.challenge(verifier), CodeChallenge::parse(challenge).ok());
        assert!(RandomBridgeTokens.challenge(&"~".repeat(128)).is_some());
        for text in
            ["", &verifier[1..], &"x".repeat(129), &verifier.replace('-', "+"), &verifier.replace('-', " ")]
        {
            assert_eq!(RandomBridgeTokens.challenge(text), None, "{text}");
        }
    }
}
