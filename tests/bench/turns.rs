//! Whoever asks the same things again and again, one after the other.

use crate::load::Caller;

/// Requests that change nothing, by turns.
pub(crate) struct Turns {
    requests: Vec<Vec<u8>>,
    next: usize,
}

impl Turns {
    /// So many callers, each of whom begins elsewhere.
    pub(crate) fn several(requests: &[Vec<u8>], count: u16) -> Vec<Self> {
        let caller = |number| Self { requests: requests.to_vec(), next: usize::from(number) };
        (0..count).map(caller).collect()
    }
}

impl Caller for Turns {
    fn ask(&mut self, request: &mut Vec<u8>) -> bool {
        self.next = (self.next + 1) % self.requests.len();
        request.extend_from_slice(&self.requests[self.next]);
        true
    }

    fn hear(&mut self, status: u16, _body: &[u8]) -> bool {
        status == 200
    }
}
