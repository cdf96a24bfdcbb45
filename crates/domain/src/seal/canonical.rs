use crate::Timestamp;

/// Bytes that say one thing only: fields one after another, each with its length before it, behind a name that keeps the kinds of
/// records apart.
pub(super) struct Canonical(Vec<u8>);

impl Canonical {
    pub(super) fn new(kind: &str) -> Self {
        Self(Vec::new()).bytes(kind.as_bytes())
    }

    pub(super) fn bytes(mut self, field: &[u8]) -> Self {
        self.0.extend_from_slice(&length(field.len()));
        self.0.extend_from_slice(field);
        self
    }

    pub(super) fn text(self, field: &str) -> Self {
        self.bytes(field.as_bytes())
    }

    /// Nothing and an empty field are two things.
    pub(super) fn optional(mut self, field: Option<&[u8]>) -> Self {
        self.0.push(field.is_some().into());
        match field {
            Some(field) => self.bytes(field),
            None => self,
        }
    }

    pub(super) fn number(mut self, number: i64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// To a millisecond: what the columns keep.
    pub(super) fn time(self, time: Timestamp) -> Self {
        self.number(time.timestamp_millis())
    }

    pub(super) fn count(mut self, count: usize) -> Self {
        self.0.extend_from_slice(&length(count));
        self
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }
}

fn length(length: usize) -> [u8; 8] {
    u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_differently_has_different_bytes() {
        let two = |one: &str, other: &str| Canonical::new("kind").text(one).text(other).done();
        assert_ne!(two("ab", "c"), two("a", "bc"));
        assert_ne!(two("", "abc"), two("abc", ""));
        let maybe = |field: Option<&[u8]>| Canonical::new("kind").optional(field).done();
        assert_ne!(maybe(None), maybe(Some(b"")));
        assert_ne!(Canonical::new("row").done(), Canonical::new("seal").done());
    }
}
