//! Exact decimals that arrive as text.
//!
//! A `BigDecimal` of two million digits takes seconds to parse, and one of exponent ten million takes seconds to add: so length
//! and shape are bounded before a digit is looked at, and there is no exponent notation at all.

use bigdecimal::BigDecimal;
use std::str::FromStr;

/// Why a text is no decimal of the wanted shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDecimal {
    /// Not `digits` or `digits.digits`: signs, exponents, `NaN`, infinity and white space are none.
    #[error("must be a plain decimal such as \"12.34\"")]
    Form,
    /// More digits after the point than the column keeps. Nothing is ever rounded.
    #[error("must have at most {0} digits after the decimal point")]
    Scale(u8),
    /// More digits before the point than the column keeps.
    #[error("must have at most {0} digits before the decimal point")]
    Range(u8),
}

/// Parses an unsigned decimal of at most `integer` digits before and `scale` digits after the point, and gives it exactly
/// `scale` decimals.
pub fn parse(text: &str, integer: u8, scale: u8) -> Result<BigDecimal, InvalidDecimal> {
    // Leading zeros are harmless but not for ever: nobody writes more than a few.
    if text.len() > usize::from(integer) + usize::from(scale) + 16 {
        return Err(if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            InvalidDecimal::Range(integer)
        } else {
            InvalidDecimal::Form
        });
    }
    let (whole, fraction) = match text.split_once('.') {
        Some((_, "")) => return Err(InvalidDecimal::Form),
        Some(parts) => parts,
        None => (text, ""),
    };
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) {
        return Err(InvalidDecimal::Form);
    }
    if fraction.len() > usize::from(scale) {
        return Err(InvalidDecimal::Scale(scale));
    }
    if whole.trim_start_matches('0').len() > usize::from(integer) {
        return Err(InvalidDecimal::Range(integer));
    }
    let value = BigDecimal::from_str(text).map_err(|_unreachable_for_digits| InvalidDecimal::Form)?;
    Ok(value.with_scale(i64::from(scale)))
}

/// Prints a decimal with exactly `scale` digits after the point: `0.0000`, never `0` or `1E-7`.
///
/// The value must not have more decimals than that; those of the value types of this crate never do.
#[must_use]
pub fn print(value: &BigDecimal, scale: u8) -> String {
    value.with_scale(i64::from(scale)).to_plain_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_decimals_come_out_with_the_scale_of_their_column() {
        for (given, printed) in [
            ("0", "0.0000"),
            ("1", "1.0000"),
            ("12.34", "12.3400"),
            ("007.5", "7.5000"),
            ("999999.9999", "999999.9999"),
        ] {
            assert_eq!(print(&parse(given, 6, 4).unwrap(), 4), printed);
        }
    }

    #[test]
    fn anything_else_is_refused_before_it_costs_anything() {
        for text in [
            "", ".", "1.", ".5", "-1", "+1", "1e3", "1E-7", "NaN", "Infinity", "1_000", " 1", "1 ", "1,5",
            "１",
        ] {
            assert_eq!(parse(text, 6, 4), Err(InvalidDecimal::Form), "{text:?}");
        }
        assert_eq!(parse("1.00001", 6, 4), Err(InvalidDecimal::Scale(4)));
        assert_eq!(parse("1000000", 6, 4), Err(InvalidDecimal::Range(6)));
        assert_eq!(parse(&"9".repeat(2_000_000), 6, 4), Err(InvalidDecimal::Range(6)));
        assert_eq!(parse("1e10000000", 6, 4), Err(InvalidDecimal::Form));
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(whole in 0u64..100_000_000, fraction in 0u32..100) {
            let text = format!("{whole}.{fraction:02}");
            prop_assert_eq!(print(&parse(&text, 8, 2).unwrap(), 2), text);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}") {
            let _refused_or_not = parse(&text, 8, 2);
        }
    }
}
