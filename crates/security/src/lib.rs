//! Secrets and time: the domain's ports for passwords, tokens, identifiers and the clock.
//!
//! The one crate that holds keys, draws random numbers and reads the time. All keys are derived from the master secrets, but those
//! that encrypt values of the database, which are the operator's own; all chance comes from the system's generator, and a process that
//! cannot have any ends rather than go on with guessable values. Slow work runs on threads of its own. Nothing here knows HTTP or SQL, and no secret, token or password is ever logged or
//! shown by `Debug`.
//!
//! In reading order: [`secret`] makes the keys, [`access`] signs and verifies access tokens with them, [`refresh`] makes and
//! opens refresh tokens, [`bridge`] those of the hand-off, [`imported`] knows those of another service, [`one_time`] makes the tokens in
//! letters, [`challenges`] those of sign-ins in two steps, [`authenticators`] checks the codes of second factors, [`service_keys`] makes
//! the secrets of programs, [`audit_proof`] proves the audit trail; [`fields`] encrypts values of the database; [`passwords`] hashes, while [`foreground`] lets it,
//! [`checksum`] files; [`ids`] and [`clock`] stand for chance and time.

#![warn(missing_docs)]

pub mod access;
pub mod audit_proof;
pub mod authenticators;
pub mod bridge;
pub mod challenges;
pub mod checksum;
pub mod clock;
mod encryption;
pub mod fields;
pub mod foreground;
mod hex;
pub mod ids;
pub mod imported;
pub mod one_time;
pub mod passwords;
mod random;
pub mod refresh;
pub mod secret;
pub mod service_keys;

pub use access::{AccessTokenSettings, JwtAccessTokens, UnfitAccessTokens};
pub use audit_proof::{MacAuditProof, UnfitAuditProof};
pub use authenticators::{TotpAuthenticators, UnfitAuthenticators};
pub use bridge::RandomBridgeTokens;
pub use challenges::MacChallenges;
pub use checksum::Checksum;
pub use clock::SystemClock;
pub use fields::{AesFieldCipher, EncryptionKeys, InvalidEncryptionKeys, UnfitFieldCipher};
pub use foreground::Foreground;
pub use ids::CuidGenerator;
pub use imported::MacImportedTokens;
pub use one_time::MacOneTimeTokens;
pub use passwords::{BcryptHasher, HasherSettings, UnfitHasher};
pub use refresh::MacRefreshTokens;
pub use secret::{InvalidSecret, MasterSecrets, SecretText};
pub use service_keys::RandomServiceKeys;
