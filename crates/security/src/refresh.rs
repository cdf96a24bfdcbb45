//! Refresh tokens: opaque to clients, authenticated by a MAC, and computable again from what their session's row holds.
//!
//! A token is base64url without padding of: the version (1 byte) | the length of the user's id (1) | that id | the length of
//! the session's id (1) | that id | the generation (4, big-endian) | HMAC-SHA-256 over all before it (32). The MAC's key is
//! derived from a master secret and the session's salt, so that a row alone makes no token, nor does a secret without the row.

use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle_domain::ids::{SessionId, UserId};
use subtle_domain::ports::RefreshTokens;
use subtle_domain::session::Generation;
use subtle_domain::token::{PresentedRefreshToken, RefreshToken, TokenDigest};

use crate::hex::hex;
use crate::secret::{Keys, MasterSecrets};

const VERSION: u8 = 1;
const MAC_BYTES: usize = 32;
/// Longest text that is looked at. With the longest ids there are, 64 bytes each, a token has 223.
const LONGEST: usize = 256;

// What is MACed says what for, so that no MAC can be passed off as one of another kind.
const SESSION_KEY: &[u8] = b"subtle refresh token session key v1\0";
const TOKEN: &[u8] = b"subtle refresh token v1\0";

/// Makes and opens refresh tokens with keys that are derived from the master secrets.
pub struct MacRefreshTokens {
    newest: hmac::Key,
    older: Vec<hmac::Key>,
}

impl MacRefreshTokens {
    /// Takes the keys of all secrets: the newest makes tokens, all of them open.
    #[must_use]
    pub fn new(secrets: &MasterSecrets) -> Self {
        let root = |keys: &Keys| hmac::Key::new(hmac::HMAC_SHA256, &keys.refresh_root);
        Self { newest: root(secrets.newest()), older: secrets.older().iter().map(root).collect() }
    }

    fn newest_first(&self) -> impl Iterator<Item = &hmac::Key> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}

impl RefreshTokens for MacRefreshTokens {
    fn mint(&self, user: &UserId, session: &SessionId, generation: Generation, salt: &[u8]) -> RefreshToken {
        mint(&self.newest, &claims(user, session, generation), salt)
    }

    fn mint_again(
        &self,
        user: &UserId,
        session: &SessionId,
        generation: Generation,
        salt: &[u8],
        digest: &TokenDigest,
    ) -> Option<RefreshToken> {
        let claims = claims(user, session, generation);
        let expected = digest.expose().as_bytes();
        self.newest_first().map(|root| mint(root, &claims, salt)).find(|token| {
            let digest = self.digest(token);
            constant_time::verify_slices_are_equal(digest.expose().as_bytes(), expected).is_ok()
        })
    }

    fn digest(&self, token: &RefreshToken) -> TokenDigest {
        let digest = digest::digest(&digest::SHA256, token.expose().as_bytes());
        TokenDigest::new(hex(digest.as_ref()))
    }

    /// Takes the one way in which a token is written and no other: a text that differs in one bit is another token.
    fn open(&self, token: &str) -> Option<PresentedRefreshToken> {
        if token.len() > LONGEST {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (claims, mac) = bytes.split_last_chunk::<MAC_BYTES>()?;
        let (&[version], rest) = claims.split_first_chunk()?;
        let (user, rest) = split_text(rest)?;
        let (session, rest) = split_text(rest)?;
        let generation = i32::from_be_bytes(rest.try_into().ok()?);
        (version == VERSION).then_some(PresentedRefreshToken {
            user_id: UserId::parse(user).ok()?,
            session_id: SessionId::parse(session).ok()?,
            generation: Generation::new(generation),
            mac: *mac,
        })
    }

    /// Compares in constant time.
    fn is_authentic(&self, token: &PresentedRefreshToken, salt: &[u8]) -> bool {
        let claims = claims(&token.user_id, &token.session_id, token.generation);
        self.newest_first()
            .any(|root| hmac::verify(&session_key(root, salt), &labelled(&claims), &token.mac).is_ok())
    }
}

/// What a token says, before its MAC.
fn claims(user: &UserId, session: &SessionId, generation: Generation) -> Vec<u8> {
    let mut claims = vec![VERSION];
    for id in [user.as_str(), session.as_str()] {
        // Ids have at most 64 bytes; the length of one that had more would be a lie that no token opens with.
        claims.push(u8::try_from(id.len()).unwrap_or(u8::MAX));
        claims.extend_from_slice(id.as_bytes());
    }
    claims.extend_from_slice(&generation.number().to_be_bytes());
    claims
}

fn mint(root: &hmac::Key, claims: &[u8], salt: &[u8]) -> RefreshToken {
    let mac = hmac::sign(&session_key(root, salt), &labelled(claims));
    RefreshToken::new(URL_SAFE_NO_PAD.encode([claims, mac.as_ref()].concat()))
}

fn session_key(root: &hmac::Key, salt: &[u8]) -> hmac::Key {
    let key = hmac::sign(root, &[SESSION_KEY, salt].concat());
    hmac::Key::new(hmac::HMAC_SHA256, key.as_ref())
}

fn labelled(claims: &[u8]) -> Vec<u8> {
    [TOKEN, claims].concat()
}

/// Takes a text off the front of `bytes`: its length in one byte, then the text.
fn split_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(length.into())?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests;
