//! Access tokens: JWTs of the profile of RFC 9068, signed with `EdDSA` (RFC 8037).

use std::time::Duration;

use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use subtle_domain::Timestamp;
use subtle_domain::ports::{AccessTokens, SigningKey};
use subtle_domain::token::{AccessClaims, AccessToken, InvalidAccessToken};

use crate::foreground::Foreground;
use crate::secret::{Keys, MasterSecrets};

mod format;
#[cfg(test)]
mod tests;
mod verified;

use format::{Claims, StrictHeader, TYPE};
use verified::Verified;

/// Longest token that is looked at, in bytes. Ours have about 500.
const LONGEST: usize = 4096;

/// For whom access tokens are, and how strictly they are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessTokenSettings {
    /// `iss`: who makes them.
    pub issuer: String,
    /// `aud`: who takes them.
    pub audience: String,
    /// By how much another machine's clock may be wrong: 0 to 5 s.
    pub leeway: Duration,
}

impl AccessTokenSettings {
    /// Most leeway there may be.
    pub const MOST_LEEWAY: Duration = Duration::from_secs(5);

    /// Tokens of an issuer for an audience, with no leeway.
    #[must_use]
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        Self { issuer: issuer.into(), audience: audience.into(), leeway: Duration::ZERO }
    }
}

/// Why there can be no access tokens.
#[derive(Debug, thiserror::Error)]
pub enum UnfitAccessTokens {
    /// Over 5 s of leeway: expiry would not mean much.
    #[error("access tokens can be given at most {} s of leeway", AccessTokenSettings::MOST_LEEWAY.as_secs())]
    Leeway,
    /// The cryptographic library took no key from the secret.
    #[error("no signing key could be made: {0}")]
    Key(#[from] KeyRejected),
    /// The cryptographic library failed.
    #[error("no signing key could be written down")]
    Encoding(#[from] Unspecified),
    /// A trial signature failed.
    #[error("access tokens cannot be signed")]
    Signing(#[from] jsonwebtoken::errors::Error),
}

/// Signs and verifies access tokens with Ed25519 keys that are derived from the master secrets.
pub struct JwtAccessTokens {
    settings: AccessTokenSettings,
    leeway: TimeDelta,
    header: Header,
    signing: EncodingKey,
    verifying: Vec<VerifyingKey>,
    validation: Validation,
    verified: Verified,
    foreground: Foreground,
}

/// What one of our keys has signed, for this issuer and audience, of whatever time.
#[derive(Clone)]
struct Signed {
    claims: AccessClaims,
    not_before: Timestamp,
}

struct VerifyingKey {
    published: SigningKey,
    key: DecodingKey,
}

impl JwtAccessTokens {
    /// Takes the keys of all secrets, and signs once to see that it can.
    pub fn new(secrets: &MasterSecrets, settings: AccessTokenSettings) -> Result<Self, UnfitAccessTokens> {
        if settings.leeway > AccessTokenSettings::MOST_LEEWAY {
            return Err(UnfitAccessTokens::Leeway);
        }
        let signing = signing_key(secrets.newest())?;
        let header =
            Header { typ: Some(TYPE.to_owned()), kid: Some(kid(&signing)?), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, &(), &signing)?;
        Ok(Self {
            leeway: TimeDelta::from_std(settings.leeway).unwrap_or_default(),
            validation: validation(&settings),
            verifying: secrets.newest_first().map(verifying_key).collect::<Result<_, _>>()?,
            settings,
            header,
            signing,
            verified: Verified::new(),
            foreground: Foreground::default(),
        })
    }

    /// Those whose tokens are taken.
    #[must_use]
    pub fn foreground(&self) -> Foreground {
        self.foreground.clone()
    }

    fn authenticate(&self, token: &str) -> Option<Signed> {
        let header = StrictHeader::of(token)?;
        let known = self.verifying.iter().find(|known| known.published.kid == header.kid)?;
        let claims = jsonwebtoken::decode::<Claims>(token, &known.key, &self.validation).ok()?.claims;
        Some(Signed { claims: claims.parse()?, not_before: claims.not_before()? })
    }
}

impl AccessTokens for JwtAccessTokens {
    /// Signs with the newest key. Times are cut to whole seconds (RFC 7519, 2: `NumericDate`).
    ///
    /// Signing was tried when this was made; should it fail all the same, the token is empty, which nobody accepts.
    fn sign(&self, claims: &AccessClaims) -> AccessToken {
        let claims = Claims::new(claims, &self.settings);
        let token = jsonwebtoken::encode(&self.header, &claims, &self.signing).unwrap_or_else(|error| {
            tracing::error!(%error, "an access token could not be signed");
            String::new()
        });
        AccessToken::new(token)
    }

    /// Takes a token only if all of this holds, in this order: at most 4 KiB; three parts; a header of `alg`, `typ` and
    /// `kid` and nothing else, so neither `jku`, `jwk`, `x5u` nor `crit`; a `kid` of ours; the signature; issuer and
    /// audience; every claim there, once and well-formed; `nbf` reached; `exp` not (RFC 8725, RFC 9068 4, ASVS 9.1 and 9.2).
    fn verify(&self, token: &str, now: Timestamp) -> Result<AccessClaims, InvalidAccessToken> {
        if token.len() > LONGEST {
            return Err(InvalidAccessToken::Malformed);
        }
        let signed = self.verified.or_else(token, || self.authenticate(token));
        let Signed { claims, not_before } = signed.ok_or(InvalidAccessToken::Malformed)?;
        if now + self.leeway < not_before {
            return Err(InvalidAccessToken::Malformed);
        }
        if now - self.leeway >= claims.expires_at {
            return Err(InvalidAccessToken::Expired);
        }
        self.foreground.serve();
        Ok(claims)
    }

    fn keys(&self) -> Vec<SigningKey> {
        self.verifying.iter().map(|known| known.published.clone()).collect()
    }
}

/// What the library checks. Its own clock is left out of it: it knows no other, and 60 s of leeway by default; `exp` and `nbf`
/// are compared with the time that the caller has.
fn validation(settings: &AccessTokenSettings) -> Validation {
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_issuer(&[&settings.issuer]);
    validation.set_audience(&[&settings.audience]);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "nbf", "exp"]);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation
}

fn signing_key(keys: &Keys) -> Result<EncodingKey, UnfitAccessTokens> {
    let pair = Ed25519KeyPair::from_seed_unchecked(&keys.access_seed)?;
    Ok(EncodingKey::from_ed_der(pair.to_pkcs8v1()?.as_ref()))
}

fn verifying_key(keys: &Keys) -> Result<VerifyingKey, UnfitAccessTokens> {
    let pair = Ed25519KeyPair::from_seed_unchecked(&keys.access_seed)?;
    let public = pair.public_key().as_ref();
    Ok(VerifyingKey {
        published: SigningKey { kid: kid(&signing_key(keys)?)?, x: URL_SAFE_NO_PAD.encode(public) },
        key: DecodingKey::from_ed_der(public),
    })
}

/// The thumbprint of a key's public half (RFC 7638, RFC 8037 A.3).
fn kid(key: &EncodingKey) -> Result<String, jsonwebtoken::errors::Error> {
    Jwk::from_encoding_key(key, Algorithm::EdDSA)?.thumbprint(ThumbprintHash::SHA256)
}
