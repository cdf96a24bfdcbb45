//! Rate limits that need not be exact over replicas: counted here, in memory. (Guesses at passwords are counted by a port.)

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;
use subtle_domain::Timestamp;
use subtle_domain::ids::UserId;
use subtle_domain::throttle::{Rate, RetryAfter};

mod streams;

pub use streams::{OpenStream, Streams, TooManyStreams};

/// The operator's rates; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitRates {
    /// Requests with a password, by client address.
    pub password_by_address: Option<Rate>,
    /// Requests with a refresh token, by client address.
    pub token_by_address: Option<Rate>,
    /// Requests for letters, by client address.
    pub letters_by_address: Option<Rate>,
    /// Exchanges of refresh tokens, by account.
    pub token_by_account: Option<Rate>,
    /// Events that apps tell each other, by account.
    pub events_by_account: Option<Rate>,
}

/// What of an address is counted on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressLimit {
    /// Requests with a password.
    Password,
    /// Requests with a refresh token.
    Token,
    /// Requests for letters.
    Letter,
}

/// What of an account is counted on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccountLimit {
    /// Exchanges of refresh tokens.
    Token,
    /// Events that its apps tell each other.
    Event,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Address(AddressLimit, IpAddr),
    Account(AccountLimit, UserId),
}

const SHARDS: usize = 16;

/// Most keys that one shard remembers: about 10 MB for all of them.
const MOST_KEYS: usize = 8_192;

#[derive(Debug, Default)]
struct Shard {
    buckets: HashMap<Key, Timestamp>,
    /// When a full shard was last searched for what it may forget: once a second is often enough.
    swept_at: Option<Timestamp>,
}

impl Shard {
    /// Whether there is room for one more key.
    fn has_room(&mut self, now: Timestamp) -> bool {
        let due = self.swept_at.is_none_or(|at| now - at >= TimeDelta::seconds(1));
        if self.buckets.len() >= MOST_KEYS && due {
            self.buckets.retain(|_, empty_at| *empty_at > now);
            self.swept_at = Some(now);
        }
        self.buckets.len() < MOST_KEYS
    }
}

/// The counters of this process.
#[derive(Debug, Default)]
pub struct Limits {
    rates: LimitRates,
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

impl Limits {
    /// Counters for these rates.
    #[must_use]
    pub fn new(rates: LimitRates) -> Self {
        Self { rates, ..Self::default() }
    }

    /// Counts a request of a client address. An IPv6 client counts by its /64, which is what one subscriber gets.
    pub fn admit_address(
        &self,
        what: AddressLimit,
        address: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), RetryAfter> {
        let rate = match what {
            AddressLimit::Password => self.rates.password_by_address,
            AddressLimit::Token => self.rates.token_by_address,
            AddressLimit::Letter => self.rates.letters_by_address,
        };
        match (rate, address) {
            (Some(rate), Some(address)) => self.admit(Key::Address(what, subscriber(address)), &rate, now),
            _ => Ok(()),
        }
    }

    /// Counts what an account does.
    pub fn admit_account(&self, what: AccountLimit, user: &UserId, now: Timestamp) -> Result<(), RetryAfter> {
        let rate = match what {
            AccountLimit::Token => self.rates.token_by_account,
            AccountLimit::Event => self.rates.events_by_account,
        };
        rate.map_or(Ok(()), |rate| self.admit(Key::Account(what, user.clone()), &rate, now))
    }

    fn admit(&self, key: Key, rate: &Rate, now: Timestamp) -> Result<(), RetryAfter> {
        let slot = usize::try_from(self.hasher.hash_one(&key)).unwrap_or_default() % SHARDS;
        let Some(shard) = self.shards.get(slot) else { return Ok(()) };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let empty_at = rate.admit(shard.buckets.get(&key).copied(), now)?;
        // Under a flood from more addresses than fit, new ones pass uncounted: memory stays bounded, and what must be exact
        // is not counted here.
        if shard.buckets.contains_key(&key) || shard.has_room(now) {
            shard.buckets.insert(key, empty_at);
        }
        Ok(())
    }
}

/// The client that an address stands for: an IPv6 subscriber has a /64.
pub(crate) fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_ports::{NOW, ada};

    fn limits(burst: u32) -> Limits {
        let rate = Some(Rate { burst, interval: TimeDelta::seconds(1) });
        Limits::new(LimitRates {
            password_by_address: rate,
            token_by_address: rate,
            letters_by_address: rate,
            token_by_account: rate,
            events_by_account: rate,
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_has_its_own_count_and_so_has_each_kind_of_request() {
        let limits = limits(1);
        assert!(limits.admit_address(AddressLimit::Password, Some(ip("10.0.0.1")), NOW).is_ok());
        assert!(limits.admit_address(AddressLimit::Password, Some(ip("10.0.0.1")), NOW).is_err());
        assert!(limits.admit_address(AddressLimit::Password, Some(ip("::ffff:10.0.0.1")), NOW).is_err());
        assert!(limits.admit_address(AddressLimit::Token, Some(ip("10.0.0.1")), NOW).is_ok());
        assert!(limits.admit_address(AddressLimit::Letter, Some(ip("10.0.0.1")), NOW).is_ok());
        assert!(limits.admit_address(AddressLimit::Password, Some(ip("10.0.0.2")), NOW).is_ok());
        assert!(
            limits
                .admit_address(AddressLimit::Password, Some(ip("10.0.0.1")), NOW + TimeDelta::seconds(1))
                .is_ok()
        );
    }

    #[test]
    fn an_ipv6_subscriber_is_one_client() {
        let limits = limits(1);
        assert!(limits.admit_address(AddressLimit::Token, Some(ip("2001:db8:1:2::1")), NOW).is_ok());
        assert!(limits.admit_address(AddressLimit::Token, Some(ip("2001:db8:1:2:ffff::9")), NOW).is_err());
        assert!(limits.admit_address(AddressLimit::Token, Some(ip("2001:db8:1:3::1")), NOW).is_ok());
    }

    #[test]
    fn accounts_are_counted_apart_from_addresses() {
        let limits = limits(2);
        assert!(limits.admit_account(AccountLimit::Token, &ada().id, NOW).is_ok());
        assert!(limits.admit_account(AccountLimit::Token, &ada().id, NOW).is_ok());
        assert!(limits.admit_account(AccountLimit::Token, &ada().id, NOW).is_err());
        assert!(limits.admit_account(AccountLimit::Event, &ada().id, NOW).is_ok());
    }

    #[test]
    fn memory_stays_bounded_under_a_flood_of_addresses() {
        let limits = limits(1);
        for number in 0..300_000u32 {
            let address = IpAddr::from(number.to_be_bytes());
            assert!(limits.admit_address(AddressLimit::Password, Some(address), NOW).is_ok());
        }
        let kept: usize = limits.shards.iter().map(|shard| shard.lock().unwrap().buckets.len()).sum();
        assert!(kept <= SHARDS * MOST_KEYS, "{kept}");
        let later = NOW + TimeDelta::seconds(5);
        assert!(limits.admit_address(AddressLimit::Password, Some(ip("200.0.0.1")), later).is_ok());
        assert!(
            limits.admit_address(AddressLimit::Password, Some(ip("200.0.0.1")), later).is_err(),
            "room was made"
        );
    }

    #[test]
    fn no_rate_is_no_limit() {
        let limits = Limits::default();
        for _ in 0..1_000 {
            assert!(limits.admit_address(AddressLimit::Password, Some(ip("10.0.0.1")), NOW).is_ok());
        }
    }
}
