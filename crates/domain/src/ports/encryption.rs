use crate::encryption::{Ciphertext, KeyId, NotEncrypted, Place, Undecipherable};

/// Encrypts single values, for the place where each is kept.
pub trait FieldCipher: Send + Sync {
    /// The key that encrypts; `None` if values are kept as they are.
    fn newest(&self) -> Option<&KeyId>;
    /// Whether what is under that key can be read.
    fn knows(&self, key: &KeyId) -> bool;
    /// Encrypts a value by the newest key; `None` if it is to be kept as it is.
    fn encrypt(&self, place: Place<'_>, value: &str) -> Result<Option<Ciphertext>, NotEncrypted>;
    /// Reads a value that any of the keys has encrypted for that place.
    fn decrypt(&self, place: Place<'_>, ciphertext: &Ciphertext) -> Result<String, Undecipherable>;
}
