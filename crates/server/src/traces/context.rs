//! Where a request stands among those that its caller traces (W3C Trace Context), and which requests are traced at all.

use std::str::FromStr;

/// A place in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) trace: u128,
    pub(super) span: u64,
    /// Whether the caller keeps what is told of it.
    pub(super) is_sampled: bool,
}

impl Context {
    /// Reads a `traceparent` of version 00: <https://www.w3.org/TR/trace-context/#traceparent-header>. What does not fit to the letter
    /// is none, and a trace of our own begins.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let parts: Vec<_> = text.split('-').collect();
        let ["00", trace, span, flags] = parts[..] else { return None };
        let is_hex = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if (trace.len(), span.len(), flags.len()) != (32, 16, 2)
            || ![trace, span, flags].into_iter().all(is_hex)
        {
            return None;
        }
        let trace = u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0)?;
        let span = u64::from_str_radix(span, 16).ok().filter(|span| *span != 0)?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self { trace, span, is_sampled: flags & 1 == 1 })
    }
}

/// The share of traces that are kept, of those that begin here: in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ratio(u32);

impl Ratio {
    const ALL: u32 = 1_000_000;

    /// Whether a trace is kept. Its identifier is drawn at random, and decides.
    pub(super) fn keeps(self, trace: u128) -> bool {
        trace % u128::from(Self::ALL) < u128::from(self.0)
    }
}

/// No share of traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a number from 0 to 1 with at most six decimals, such as 0.05")]
pub(crate) struct UnfitRatio;

impl FromStr for Ratio {
    type Err = UnfitRatio;

    /// `0`, `1`, `0.05`.
    fn from_str(text: &str) -> Result<Self, UnfitRatio> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let fits = matches!(whole, "0" | "1") && (1..=6).contains(&decimals.len());
        if !fits || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(UnfitRatio);
        }
        let millionths = format!("{whole}{decimals:0<6}").parse().ok();
        millionths.filter(|share| *share <= Self::ALL).map(Self).ok_or(UnfitRatio)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_as_its_specification_says() {
        let (trace, span) = (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7);
        for (flags, is_sampled) in [("01", true), ("00", false), ("03", true), ("02", false), ("ff", true)] {
            let text = PARENT.replace("-01", &format!("-{flags}"));
            assert_eq!(Context::parse(&text), Some(Context { trace, span, is_sampled }), "{text}");
        }
    }

    #[test]
    fn what_is_no_traceparent_to_the_letter_is_none() {
        for text in [
            "",
            "00",
            "00---",
            &PARENT.replace("00-4", "01-4"),
            &PARENT.replace("00-4", "ff-4"),
            &PARENT.replace("00-4", "0-4"),
            &PARENT.replace("4bf9", "4BF9"),
            &PARENT.replace("4bf9", "+bf9"),
            &PARENT.replace("4bf9", "4bg9"),
            &PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &PARENT.replace("00f067aa0ba902b7", "f067aa0ba902b7"),
            &PARENT.replace("-01", "-1"),
            &PARENT.replace("-01", ""),
            &format!("{PARENT}-x"),
            &format!("{PARENT}\n"),
            &format!(" {PARENT}"),
        ] {
            assert_eq!(Context::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_ratio_is_a_decimal_from_none_to_all() {
        for (text, millionths) in
            [("0", 0), ("1", 1_000_000), ("1.0", 1_000_000), ("0.05", 50_000), ("0.000001", 1)]
        {
            assert_eq!(text.parse(), Ok(Ratio(millionths)), "{text}");
        }
        for text in
            ["", "-1", "2", "1.1", "1.000001", ".5", "1.", "0.0000001", "+1", "1e0", "0.+5", "NaN", "50%"]
        {
            assert_eq!(text.parse::<Ratio>(), Err(UnfitRatio), "{text}");
        }
    }

    #[test]
    fn a_ratio_keeps_its_share_of_traces_and_the_same_ones_again() {
        let kept = |text: &str| {
            let ratio: Ratio = text.parse().unwrap();
            // Any numbers that lie evenly.
            (0_u128..100_000).filter(|number| ratio.keeps(number * 7_919)).count()
        };
        assert_eq!((kept("0"), kept("1")), (0, 100_000));
        assert!((9_000..11_000).contains(&kept("0.1")), "{}", kept("0.1"));
        assert_eq!(kept("0.1"), kept("0.1"));
    }
}
