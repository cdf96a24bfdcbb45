use crate::Timestamp;
use crate::ids::{SessionId, UserId};
use crate::session::Generation;
use crate::token::{
    AccessClaims, AccessToken, InvalidAccessToken, PresentedRefreshToken, RefreshToken, TokenDigest,
};

/// A public key that verifies access tokens (RFC 8037: `OKP`, `Ed25519`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// The key's thumbprint (RFC 7638), under which tokens name it.
    pub kid: String,
    /// The public key, base64url without padding.
    pub x: String,
}

/// Makes and verifies access tokens: JWTs of the profile of RFC 9068, signed with `EdDSA`.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait AccessTokens: Send + Sync {
    /// Signs a token with these claims.
    fn sign(&self, claims: &AccessClaims) -> AccessToken;
    /// The claims of a token that is ours and in force at `now`.
    fn verify(&self, token: &str, now: Timestamp) -> Result<AccessClaims, InvalidAccessToken>;
    /// The keys by which others may verify, the one in use first.
    fn keys(&self) -> Vec<SigningKey>;
}

/// Makes and opens refresh tokens. A token can be computed again from what its session's row holds.
#[cfg_attr(feature = "mocks", mockall::automock)]
pub trait RefreshTokens: Send + Sync {
    /// The token of a generation, by the newest secret.
    fn mint(&self, user: &UserId, session: &SessionId, generation: Generation, salt: &[u8]) -> RefreshToken;
    /// The token of a generation whose digest is `digest`, by whichever secret made it; `None` if none of them did.
    fn mint_again(
        &self,
        user: &UserId,
        session: &SessionId,
        generation: Generation,
        salt: &[u8],
        digest: &TokenDigest,
    ) -> Option<RefreshToken>;
    /// What the database keeps of a token.
    fn digest(&self, token: &RefreshToken) -> TokenDigest;
    /// Takes a token apart without believing it; `None` if it is none.
    fn open(&self, token: &str) -> Option<PresentedRefreshToken>;
    /// Whether the token was made by us for a session of that salt.
    fn is_authentic(&self, token: &PresentedRefreshToken, salt: &[u8]) -> bool;
}
