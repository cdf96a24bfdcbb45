//! The audit trail's proofs: MACs of its rows, signatures of its seals.

use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use aws_lc_rs::{digest, hmac};
use subtle_domain::ports::AuditProof;

use crate::secret::{Keys, MasterSecrets};

/// Why no seals can be signed.
#[derive(Debug, thiserror::Error)]
#[error("no key could be made that signs the audit trail: {0}")]
pub struct UnfitAuditProof(#[from] KeyRejected);

/// HMAC-SHA-256 and Ed25519, with keys that are derived from the master secrets for nothing else.
pub struct MacAuditProof {
    newest: Pair,
    older: Vec<Pair>,
}

struct Pair {
    mac: hmac::Key,
    seal: Ed25519KeyPair,
}

impl Pair {
    fn of(keys: &Keys) -> Result<Self, UnfitAuditProof> {
        Ok(Self {
            mac: hmac::Key::new(hmac::HMAC_SHA256, &keys.audit_mac),
            seal: Ed25519KeyPair::from_seed_unchecked(&keys.audit_seed)?,
        })
    }
}

impl MacAuditProof {
    /// Takes the keys of all secrets: the newest makes proofs, all of them verify.
    pub fn new(secrets: &MasterSecrets) -> Result<Self, UnfitAuditProof> {
        let older = secrets.older().iter().map(Pair::of).collect::<Result<_, _>>()?;
        Ok(Self { newest: Pair::of(secrets.newest())?, older })
    }

    fn newest_first(&self) -> impl Iterator<Item = &Pair> {
        std::iter::once(&self.newest).chain(&self.older)
    }
}

impl AuditProof for MacAuditProof {
    fn mac(&self, row: &[u8]) -> Vec<u8> {
        hmac::sign(&self.newest.mac, row).as_ref().to_vec()
    }

    /// Compares in constant time.
    fn is_mac(&self, row: &[u8], mac: &[u8]) -> bool {
        self.newest_first().any(|pair| hmac::verify(&pair.mac, row, mac).is_ok())
    }

    fn hash(&self, bytes: &[u8]) -> Vec<u8> {
        digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
    }

    fn sign(&self, seal: &[u8]) -> Vec<u8> {
        self.newest.seal.sign(seal).as_ref().to_vec()
    }

    fn is_signature(&self, seal: &[u8], signature: &[u8]) -> bool {
        let signed = |pair: &Pair| {
            UnparsedPublicKey::new(&ED25519, pair.seal.public_key().as_ref()).verify(seal, signature).is_ok()
        };
        self.newest_first().any(signed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "one-secret-of-thirty-two-bytes!!";
    const NEW: &str = "another-secret-of-more-than-thirty-two-bytes";

    fn by(secrets: &str) -> MacAuditProof {
        MacAuditProof::new(&MasterSecrets::parse(secrets).unwrap()).unwrap()
    }

    #[test]
    fn what_is_proven_verifies() {
        let proof = by(OLD);
        assert_eq!((proof.mac(b"row").len(), proof.sign(b"seal").len()), (32, 64));
        assert!(proof.is_mac(b"row", &proof.mac(b"row")));
        assert!(proof.is_signature(b"seal", &proof.sign(b"seal")));
    }

    #[test]
    fn one_bit_more_or_less_does_not() {
        let proof = by(OLD);
        let (mac, signature) = (proof.mac(b"row"), proof.sign(b"seal"));
        for bit in 0..8 * mac.len() {
            let mut flipped = mac.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!proof.is_mac(b"row", &flipped), "bit {bit}");
        }
        for bit in 0..8 * signature.len() {
            let mut flipped = signature.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!proof.is_signature(b"seal", &flipped), "bit {bit}");
        }
        assert!(!proof.is_mac(b"rov", &mac) && !proof.is_signature(b"sealed", &signature));
        assert!(!proof.is_mac(b"row", &[]) && !proof.is_mac(b"row", &mac[..31]));
        assert!(!proof.is_signature(b"seal", &[]) && !proof.is_signature(b"seal", &signature[..63]));
    }

    #[test]
    fn another_secret_proves_nothing() {
        let (ours, other) = (by(OLD), by(NEW));
        assert!(!ours.is_mac(b"row", &other.mac(b"row")));
        assert!(!ours.is_signature(b"seal", &other.sign(b"seal")));
    }

    #[test]
    fn what_an_old_secret_proved_outlives_a_rotation_and_the_newest_proves_from_then_on() {
        let (before, after) = (by(OLD), by(&format!("{NEW},{OLD}")));
        assert!(after.is_mac(b"row", &before.mac(b"row")));
        assert!(after.is_signature(b"seal", &before.sign(b"seal")));
        assert_eq!(after.mac(b"row"), by(NEW).mac(b"row"));
        assert_eq!(after.sign(b"seal"), by(NEW).sign(b"seal"));
    }

    #[test]
    fn the_hash_is_sha_256() {
        let empty = by(OLD).hash(b"");
        assert_eq!(empty[..4], [0xe3, 0xb0, 0xc4, 0x42]);
        assert_eq!(empty.len(), 32);
    }
}
