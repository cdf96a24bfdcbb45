//! The codes of a second factor: those of an app (TOTP, RFC 6238), and those that were written down.
//!
//! The app's secret is kept encrypted, for its owner alone. A recovery code has 120 bits, so its digest needs no salt and no slowness
//! (ASVS 6.5.2), and no key: it opens the account when keys are lost.

use aws_lc_rs::digest;
use aws_lc_rs::error::Unspecified;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use subtle_domain::Timestamp;
use subtle_domain::email::EmailAddress;
use subtle_domain::ids::UserId;
use subtle_domain::ports::{Authenticators, Enrolment, RightCode};
use subtle_domain::second_factor::{EncryptedSecret, TotpStep};
use subtle_domain::token::{ForeignSecret, OneTimeCode, RecoveryCode, TokenDigest, TotpSecret, TotpUri};
use totp_rs::{Builder, Secret, Totp};

use crate::encryption::Cipher;
use crate::hex::hex;
use crate::random;
use crate::secret::MasterSecrets;

const PURPOSE: &[u8] = b"subtle totp secret\0";
/// 160 bits (RFC 4226, 4).
const SECRET: usize = 20;
/// 120 bits: 24 letters and digits of base32.
const RECOVERY: usize = 15;

/// What needs no escape in a link (RFC 3986, 2.3).
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why there can be no second factors.
#[derive(Debug, thiserror::Error)]
#[error("no key could be made to keep the secrets of second factors with")]
pub struct UnfitAuthenticators(#[from] Unspecified);

/// Makes the secrets of apps and checks their codes.
pub struct TotpAuthenticators {
    cipher: Cipher,
    issuer: String,
}

impl TotpAuthenticators {
    /// Encrypts with keys of the master secrets. Apps show `issuer` beside the account.
    pub fn new(secrets: &MasterSecrets, issuer: &str) -> Result<Self, UnfitAuthenticators> {
        Ok(Self { cipher: Cipher::new(secrets)?, issuer: issuer.to_owned() })
    }

    fn encrypt(&self, user: &UserId, secret: &[u8]) -> EncryptedSecret {
        // The library refuses only texts that are too long.
        // What can't be encrypted can't be confirmed.
        EncryptedSecret(self.cipher.encrypt(&purpose(user), secret).unwrap_or_else(|error| {
            tracing::error!(%error, "the secret of a second factor could not be encrypted");
            Vec::new()
        }))
    }

    /// The link that apps take (the "Key URI Format" that they have agreed on).
    fn uri(&self, email: &EmailAddress, secret: &str) -> TotpUri {
        let escape = |text| utf8_percent_encode(text, ESCAPED).to_string();
        let (issuer, email) = (escape(&self.issuer), escape(email.as_str()));
        TotpUri::new(format!(
            "otpauth://totp/{issuer}:{email}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits=6&period=30"
        ))
    }
}

impl Authenticators for TotpAuthenticators {
    fn enrol(&self, user: &UserId, email: &EmailAddress) -> Enrolment {
        let secret = random::bytes::<SECRET>();
        let shown = Secret::new_stack(secret).to_base32();
        Enrolment {
            uri: self.uri(email, &shown),
            secret: TotpSecret::new(shown),
            encrypted: self.encrypt(user, &secret),
        }
    }

    fn adopt(&self, user: &UserId, secret: &ForeignSecret) -> Option<EncryptedSecret> {
        let secret = Secret::try_from_base32(secret.expose()).ok()?;
        totp(secret.as_bytes())?;
        Some(self.encrypt(user, secret.as_bytes()))
    }

    fn check(
        &self,
        user: &UserId,
        encrypted: &EncryptedSecret,
        code: &OneTimeCode,
        now: Timestamp,
    ) -> Option<RightCode> {
        let Some(decrypted) = self.cipher.decrypt(&purpose(user), &encrypted.0) else {
            tracing::error!(%user, "the secret of a second factor cannot be decrypted: was its key taken from the settings?");
            return None;
        };
        let step = totp(&decrypted.text)?.check(code.expose(), u64::try_from(now.timestamp()).ok()?)?;
        let reencrypted =
            decrypted.is_outdated.then(|| self.cipher.encrypt(&purpose(user), &decrypted.text).ok());
        Some(RightCode {
            step: TotpStep(i64::try_from(step).ok()?),
            reencrypted: reencrypted.flatten().map(EncryptedSecret),
        })
    }

    fn recovery_code(&self) -> RecoveryCode {
        let code = Secret::new(Box::new(random::bytes::<RECOVERY>())).to_base32();
        RecoveryCode::new(code.to_ascii_lowercase())
    }

    fn digest(&self, code: &RecoveryCode) -> TokenDigest {
        TokenDigest::new(hex(digest::digest(&digest::SHA256, code.expose().as_bytes()).as_ref()))
    }
}

fn purpose(user: &UserId) -> Vec<u8> {
    [PURPOSE, user.as_str().as_bytes()].concat()
}

/// Six digits, half minutes, one of them either way, HMAC-SHA-1: the library's own choice, and all that some apps know.
fn totp(secret: &[u8]) -> Option<Totp> {
    Builder::new().with_secret(secret).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    const OLD: &str = "one-secret-of-thirty-two-bytes!!";
    const NEW: &str = "another-secret-of-more-than-thirty-two-bytes";
    const NOW: Timestamp = Timestamp::from_timestamp_millis(1_700_000_010_000).unwrap();

    fn by(secrets: &str) -> TotpAuthenticators {
        TotpAuthenticators::new(&MasterSecrets::parse(secrets).unwrap(), "Ex & Co").unwrap()
    }

    fn user(id: &str) -> UserId {
        UserId::parse(id).unwrap()
    }

    fn enrolled(by: &TotpAuthenticators) -> Enrolment {
        by.enrol(&user("ada"), &EmailAddress::parse("ada+x@example.com").unwrap())
    }

    fn code(secret: &[u8], at: Timestamp) -> OneTimeCode {
        let at = u64::try_from(at.timestamp()).unwrap();
        OneTimeCode::new(totp(secret).unwrap().generate(at).to_string())
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, for SHA-1, the last six of its eight digits.
        let ours = by(OLD);
        let encrypted = ours.encrypt(&user("ada"), b"12345678901234567890");
        for (at, digits) in
            [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924"), (20_000_000_000, "353130")]
        {
            let now = Timestamp::from_timestamp(at, 0).unwrap();
            let right = ours.check(&user("ada"), &encrypted, &OneTimeCode::new(digits), now).unwrap();
            assert_eq!(right, RightCode { step: TotpStep(at / 30), reencrypted: None });
        }
    }

    #[test]
    fn a_code_is_right_in_its_half_minute_and_in_those_beside_it() {
        let ours = by(OLD);
        let enrolment = enrolled(&ours);
        let secret = Secret::try_from_base32(enrolment.secret.expose()).unwrap();
        let code = code(secret.as_bytes(), NOW);
        let check = |seconds| {
            let now = NOW + TimeDelta::seconds(seconds);
            ours.check(&user("ada"), &enrolment.encrypted, &code, now).map(|right| right.step)
        };
        let step = Some(TotpStep(NOW.timestamp() / 30));
        assert_eq!([-60, -30, 0, 30, 60].map(check), [None, step, step, step, None]);
    }

    #[test]
    fn a_secret_is_its_owners_alone_and_outlives_a_rotation() {
        let enrolment = enrolled(&by(OLD));
        let secret = Secret::try_from_base32(enrolment.secret.expose()).unwrap();
        let code = code(secret.as_bytes(), NOW);
        assert_eq!(by(OLD).check(&user("bob"), &enrolment.encrypted, &code, NOW), None);
        assert_eq!(by(NEW).check(&user("ada"), &enrolment.encrypted, &code, NOW), None);
        let both = by(&format!("{NEW},{OLD}"));
        let reencrypted =
            both.check(&user("ada"), &enrolment.encrypted, &code, NOW).unwrap().reencrypted.unwrap();
        assert_eq!(by(NEW).check(&user("ada"), &reencrypted, &code, NOW).unwrap().reencrypted, None);
    }

    #[test]
    fn the_secret_of_another_service_is_kept_if_an_app_could_have_it() {
        let ours = by(OLD);
        // The secret of RFC 6238, appendix B.
        let theirs = ForeignSecret::new("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let sealed = ours.adopt(&user("ada"), &theirs).unwrap();
        let at = Timestamp::from_timestamp(59, 0).unwrap();
        assert!(ours.check(&user("ada"), &sealed, &OneTimeCode::new("287082"), at).is_some());
        assert!(ours.check(&user("bob"), &sealed, &OneTimeCode::new("287082"), at).is_none());
        for unfit in
            ["", "GEZDGNBV", "no base32 at all!", r#"{"key_id":"k","alg":"aes-gcm-hkdf","data":"eA=="}"#]
        {
            assert_eq!(ours.adopt(&user("ada"), &ForeignSecret::new(unfit)), None, "{unfit}");
        }
    }

    #[test]
    fn an_app_is_told_whose_secret_it_is() {
        let enrolment = enrolled(&by(OLD));
        let secret = enrolment.secret.expose();
        assert_eq!(secret.len(), 32);
        let expected = format!(
            "otpauth://totp/Ex%20%26%20Co:ada%2Bx%40example.com?secret={secret}&issuer=Ex%20%26%20Co\
             &algorithm=SHA1&digits=6&period=30"
        );
        assert_eq!(enrolment.uri.expose(), expected);
    }

    #[test]
    fn recovery_codes_are_new_each_time_and_found_by_their_digest() {
        let ours = by(OLD);
        let (one, other) = (ours.recovery_code(), ours.recovery_code());
        assert_ne!(one, other);
        for code in [&one, &other] {
            assert_eq!(code.expose().len(), RecoveryCode::LENGTH);
            assert!(code.expose().bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b)));
        }
        assert_eq!(ours.digest(&one), by(NEW).digest(&one));
        assert_ne!(ours.digest(&one), ours.digest(&other));
    }
}
