//! Amounts of money and the cost of usage: exact, of fixed scale.

use std::fmt;

use bigdecimal::{BigDecimal, Zero};

use crate::decimal::{self, InvalidDecimal};

/// Why an amount is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmount {
    /// No decimal that the column holds exactly.
    #[error(transparent)]
    Decimal(#[from] InvalidDecimal),
    /// Nothing is owed: the ledger's amounts are above zero.
    #[error("must be greater than zero")]
    Zero,
}

/// An amount of a ledger record, in units of its currency with two decimals: above 0, below 100,000,000 (`DECIMAL(10,2)`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(BigDecimal);

impl Amount {
    /// Digits after the point.
    pub const SCALE: u8 = 2;

    /// Parses a plain decimal such as `12.34`.
    pub fn parse(text: &str) -> Result<Self, InvalidAmount> {
        let value = decimal::parse(text, 8, Self::SCALE)?;
        if value.is_zero() { Err(InvalidAmount::Zero) } else { Ok(Self(value)) }
    }

    /// An amount as the database holds it, whose column has its bounds and its scale.
    #[must_use]
    pub fn from_stored(value: BigDecimal) -> Self {
        Self(value)
    }

    /// The exact value.
    #[must_use]
    pub fn value(&self) -> &BigDecimal {
        &self.0
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal::print(&self.0, Self::SCALE))
    }
}

/// What usage cost, in US dollars with ten decimals: 0 and up, below 10,000,000,000 (`NUMERIC(20,10)`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cost(BigDecimal);

impl Cost {
    /// Digits after the point.
    pub const SCALE: u8 = 10;

    /// Parses a plain decimal such as `0.00003`.
    pub fn parse(text: &str) -> Result<Self, InvalidDecimal> {
        decimal::parse(text, 10, Self::SCALE).map(Self)
    }

    /// A cost as the database holds it, whose column has its bounds and its scale.
    #[must_use]
    pub fn from_stored(value: BigDecimal) -> Self {
        Self(value)
    }

    /// The exact value.
    #[must_use]
    pub fn value(&self) -> &BigDecimal {
        &self.0
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&decimal::print(&self.0, Self::SCALE))
    }
}

/// Why a text is no currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a currency code of ISO 4217 in capitals, such as \"USD\"")]
pub struct InvalidCurrency;

/// A currency in use, by its code in ISO 4217.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(&'static str);

impl Currency {
    /// US dollars: the seed's default.
    pub const USD: Self = Self("USD");

    /// Takes a code of ISO 4217's list of active codes, funds and metals left out.
    pub fn parse(text: &str) -> Result<Self, InvalidCurrency> {
        CURRENCIES.split_ascii_whitespace().find(|code| *code == text).map(Self).ok_or(InvalidCurrency)
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        self.0
    }
}

const CURRENCIES: &str = "\
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP CNY COP CRC \
    CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR \
    ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK \
    MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE \
    SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF \
    XPF YER ZAR ZMW ZWG";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_above_zero_and_exact() {
        assert_eq!(Amount::parse("12.3").unwrap().to_string(), "12.30");
        assert_eq!(Amount::parse("99999999.99").unwrap().to_string(), "99999999.99");
        assert_eq!(Amount::parse("0.00"), Err(InvalidAmount::Zero));
        assert_eq!(Amount::parse("0.001"), Err(InvalidAmount::Decimal(InvalidDecimal::Scale(2))));
        assert_eq!(Amount::parse("100000000"), Err(InvalidAmount::Decimal(InvalidDecimal::Range(8))));
        assert_eq!(Amount::parse("-1"), Err(InvalidAmount::Decimal(InvalidDecimal::Form)));
    }

    #[test]
    fn the_smallest_cost_survives() {
        assert_eq!(Cost::parse("0.00003").unwrap().to_string(), "0.0000300000");
        assert_eq!(Cost::parse("0").unwrap().to_string(), "0.0000000000");
        assert_eq!(Cost::parse("0.00000000001"), Err(InvalidDecimal::Scale(10)));
    }

    #[test]
    fn only_currencies_in_use_are_taken() {
        assert_eq!(Currency::parse("USD"), Ok(Currency::USD));
        for text in ["usd", "US", "USDX", "XTS", "BTC", "", "U D"] {
            assert_eq!(Currency::parse(text), Err(InvalidCurrency), "{text}");
        }
    }
}
