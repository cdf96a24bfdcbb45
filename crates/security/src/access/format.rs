//! How an access token is written.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use subtle_domain::Timestamp;
use subtle_domain::ids::{SessionId, TokenId, UserId};
use subtle_domain::second_factor::Assurance;
use subtle_domain::token::AccessClaims;
use subtle_domain::user::Role;

use super::AccessTokenSettings;

/// `typ`: what keeps other JWTs from passing for access tokens (RFC 9068, 2.1; RFC 8725, 3.11).
pub(super) const TYPE: &str = "at+jwt";

/// The header of our tokens and no other: one more parameter, one twice or one missing, and it is refused. The library would
/// overlook `jku`, `jwk`, `x5u`, `x5c` and, against RFC 7515, 4.1.11, `crit`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StrictHeader {
    alg: String,
    typ: String,
    pub(super) kid: String,
}

impl StrictHeader {
    /// The header of a token in three parts.
    pub(super) fn of(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let header: Self = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
        (header.alg == "EdDSA" && header.is_of_our_type()).then_some(header)
    }

    /// Media types know no case, and their `application/` may be left out (RFC 7515, 4.1.9).
    fn is_of_our_type(&self) -> bool {
        let typ = self.typ.to_ascii_lowercase();
        typ.strip_prefix("application/").unwrap_or(&typ) == TYPE
    }
}

/// The claims of our tokens: none may be missing or come twice. More of them, of a later version, are ignored (RFC 7519, 4).
#[derive(Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: Audience,
    sub: String,
    sid: String,
    role: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
    /// Tokens of a version before it have none: nothing sensitive is done with them.
    #[serde(default)]
    auth_time: i64,
    /// Likewise: they tell of a password.
    #[serde(default = "password_alone")]
    amr: Vec<String>,
}

fn password_alone() -> Vec<String> {
    methods(Assurance::Password)
}

fn methods(assurance: Assurance) -> Vec<String> {
    assurance.methods().iter().map(|method| (*method).to_owned()).collect()
}

/// One audience, as a text or in a list of one (RFC 7519, 4.1.3). The library would take any list that names ours.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Audience {
    Alone(String),
    Listed([String; 1]),
}

impl Claims {
    pub(super) fn new(claims: &AccessClaims, settings: &AccessTokenSettings) -> Self {
        let issued_at = claims.issued_at.timestamp();
        Self {
            iss: settings.issuer.clone(),
            aud: Audience::Alone(settings.audience.clone()),
            sub: claims.user_id.as_str().to_owned(),
            sid: claims.session_id.as_str().to_owned(),
            role: claims.role.as_str().to_owned(),
            iat: issued_at,
            nbf: issued_at,
            exp: claims.expires_at.timestamp(),
            jti: claims.token_id.as_str().to_owned(),
            amr: methods(claims.assurance),
            auth_time: claims.authenticated_at.timestamp(),
        }
    }

    pub(super) fn not_before(&self) -> Option<Timestamp> {
        Timestamp::from_timestamp(self.nbf, 0)
    }

    pub(super) fn parse(&self) -> Option<AccessClaims> {
        if self.amr.iter().all(String::is_empty) {
            return None;
        }
        Some(AccessClaims {
            user_id: UserId::parse(&self.sub).ok()?,
            session_id: SessionId::parse(&self.sid).ok()?,
            role: Role::parse(&self.role)?,
            token_id: TokenId::parse(&self.jti).ok()?,
            assurance: Assurance::of_methods(&self.amr),
            authenticated_at: Timestamp::from_timestamp(self.auth_time, 0)?,
            issued_at: Timestamp::from_timestamp(self.iat, 0)?,
            expires_at: Timestamp::from_timestamp(self.exp, 0)?,
        })
    }
}
