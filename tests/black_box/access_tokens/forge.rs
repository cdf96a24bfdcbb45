use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use aws_lc_rs::{digest, hkdf, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Makes tokens with a key that it has no right to: derived from a server's secret by the server's own recipe, so that a token
/// is refused for what it says, not for its signature.
pub(super) struct Forge {
    key: Ed25519KeyPair,
    claims: Value,
}

impl Forge {
    /// With the key of a secret, and the claims of a token that is in force.
    pub(super) fn of(secret: &str, token: &str) -> Self {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"subtle master secret v1").extract(secret.as_bytes());
        let mut seed = [0; 32];
        let purpose: [&[u8]; 1] = [b"subtle access token ed25519 seed v1"];
        root.expand(&purpose, hkdf::HKDF_SHA256).unwrap().fill(&mut seed).unwrap();
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims = serde_json::from_slice(&payload).unwrap();
        Self { key: Ed25519KeyPair::from_seed_unchecked(&seed).unwrap(), claims }
    }

    pub(super) fn claims(&self) -> Value {
        self.claims.clone()
    }

    fn public_key(&self) -> &[u8] {
        self.key.public_key().as_ref()
    }

    /// The thumbprint of the public key (RFC 7638).
    pub(super) fn kid(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.public_key());
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
    }

    /// The public key as the server ought to publish it.
    pub(super) fn jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.public_key());
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": self.kid(), "x": x})
    }

    pub(super) fn header(&self) -> Value {
        json!({"typ": "at+jwt", "alg": "EdDSA", "kid": self.kid()})
    }

    pub(super) fn header_with(&self, name: &str, value: Value) -> String {
        let mut header = self.header();
        header[name] = value;
        header.to_string()
    }

    /// Properly signed.
    pub(super) fn sign(&self, header: &str, claims: &str) -> String {
        let message = message(header, claims);
        let signature = self.key.sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// Properly signed, with a claim of another value, or without it.
    pub(super) fn with_claim(&self, name: &str, value: Option<Value>) -> String {
        let mut claims = self.claims();
        match value {
            Some(value) => claims[name] = value,
            None => drop(claims.as_object_mut().unwrap().remove(name)),
        }
        self.sign(&self.header().to_string(), &claims.to_string())
    }

    /// With a MAC whose key is the public key, which anybody has.
    pub(super) fn mac(&self, header: &str, claims: &str) -> String {
        let message = message(header, claims);
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.public_key());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes())))
    }
}

pub(super) fn unsigned(header: &str, claims: &str) -> String {
    format!("{}.", message(header, claims))
}

fn message(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}
