//! Secrets of service keys: random, and kept by nobody but who was shown them.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle_domain::ports::ServiceKeySecrets;
use subtle_domain::service_key::{ServiceKeyDigest, ServiceKeySecret};

use crate::random;

/// Bytes of a secret: nobody guesses 256 bits, so their digest needs no salt and no slowness.
const BYTES: usize = 32;

/// Makes secrets from the system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomServiceKeys;

impl ServiceKeySecrets for RandomServiceKeys {
    fn generate(&self) -> ServiceKeySecret {
        let bytes = random::bytes::<BYTES>();
        ServiceKeySecret::new(format!("{}{}", ServiceKeySecret::PREFIX, URL_SAFE_NO_PAD.encode(bytes)))
    }

    fn digest(&self, presented: &str) -> Option<ServiceKeyDigest> {
        let encoded = presented.strip_prefix(ServiceKeySecret::PREFIX)?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).ok().filter(|bytes| bytes.len() == BYTES)?;
        let digest = digest::digest(&digest::SHA256, &bytes);
        digest.as_ref().try_into().ok().map(ServiceKeyDigest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_its_digest_and_no_other_has_it() {
        let (one, other) = (RandomServiceKeys.generate(), RandomServiceKeys.generate());
        assert_eq!((one.expose().len(), one.expose().starts_with("sk_")), (46, true));
        let digest = |secret: &ServiceKeySecret| RandomServiceKeys.digest(secret.expose()).unwrap();
        assert_eq!(digest(&one), digest(&one));
        assert_ne!(digest(&one), digest(&other));
    }

    #[test]
    fn what_does_not_look_like_a_secret_is_not_looked_up() {
        let good = RandomServiceKeys.generate();
        let good = good.expose();
        let texts =
            ["", "sk_", "sk_AAAA", &good[3..], &good.replace("sk_", "SK_"), &format!("{good}A"), &good[..45]];
        for text in texts {
            assert_eq!(RandomServiceKeys.digest(text), None, "{text}");
        }
    }
}
