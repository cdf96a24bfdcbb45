//! Axes by powers of ten.

use std::fmt::Write as _;

use crate::fill::Size;
use crate::growth::short;

/// Where lines are drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

/// An axis between two places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    /// Powers of ten at its ends.
    first: f64,
    last: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// One that has all values, between two places. It ends at a power of ten, or half way to it.
    pub(super) fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (mut first, mut last) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| *value > 0.0) {
            (first, last) = (first.min(value.log10()), last.max(value.log10()));
        }
        if first > last {
            (first, last) = (0.0, 1.0);
        }
        let (first, last) = ((first * 2.0).floor() / 2.0, (last * 2.0).ceil() / 2.0);
        Self { first, last: last.max(first + 0.5), from, to }
    }

    /// Where a value is.
    pub(super) fn place(&self, value: f64) -> f64 {
        self.from + (value.log10() - self.first) / (self.last - self.first) * (self.to - self.from)
    }

    /// The values at which it is marked: 1, 2 and 5 of each power of ten.
    fn marks(&self) -> Vec<f64> {
        let powers = (-4..10).map(|power| 10_f64.powi(power));
        let marks = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * power));
        marks.filter(|mark| (self.first..=self.last + 1e-9).contains(&mark.log10())).collect()
    }
}

/// Lines at the marks of `y`, and at the sizes on `x`.
pub(super) fn draw(svg: &mut String, frame: Frame, x: &Axis, y: &Axis, sizes: &[Size]) {
    let Frame { left, right, top, bottom } = frame;
    for mark in y.marks() {
        let height = y.place(mark);
        let _infallible = writeln!(
            svg,
            "<path class=\"grid\" d=\"M {left} {height:.1} H {right}\"/>\
             <text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{mark} ms</text>",
            left - 8.0,
            height + 4.0,
        );
    }
    for size in sizes {
        let place = x.place(float(size.rows));
        let _infallible = writeln!(
            svg,
            "<path class=\"grid\" d=\"M {place:.1} {top} V {bottom}\"/>\
             <text class=\"tick\" x=\"{place:.1}\" y=\"{}\" text-anchor=\"middle\">{} rows</text>\
             <text class=\"tick\" x=\"{place:.1}\" y=\"{}\" text-anchor=\"middle\">{} people</text>",
            bottom + 20.0,
            short(size.rows),
            bottom + 37.0,
            short(size.users),
        );
    }
}

/// For places in a picture it is exact enough.
pub(super) fn float(number: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "no picture has 2⁵² points")]
    let float = number as f64;
    float
}
