use std::fmt::Write as _;
use std::time::Duration;

use crate::histogram::Histogram;
use crate::tally::Tally;

/// How the text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format, version 0.0.4: what every reader understands.
    Prometheus,
    /// `OpenMetrics`, version 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The one that a reader prefers who sends this `Accept`. Where both are as welcome, and where neither is named, it is the older
    /// one, which people read too.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let weight = |is_meant: fn(&str) -> bool| {
            let ranges = accept
                .split(',')
                .filter(|range| is_meant(range.split(';').next().unwrap_or_default().trim()));
            ranges.map(quality).fold(0.0, f32::max)
        };
        let open = weight(|kind| kind == "application/openmetrics-text");
        let text = weight(|kind| kind == "text/plain");
        if open > text { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// What the text is called in HTTP.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// How much a media range is wanted (RFC 9110, 12.4.2).
fn quality(range: &str) -> f32 {
    let weight = range.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("q="));
    weight.map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0))
}

/// A value of a counter or a gauge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// So many.
    Number(u64),
    /// So long, or since the beginning of 1970.
    Seconds(Duration),
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Number(truth.into())
    }
}

impl From<Duration> for Value {
    fn from(time: Duration) -> Self {
        Self::Seconds(time)
    }
}

impl Value {
    fn text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Seconds(time) => seconds(time),
        }
    }
}

/// In decimals without needless zeros, but with one at least: what both formats call a canonical number.
fn seconds(time: Duration) -> String {
    let text = format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
    let short = text.trim_end_matches('0');
    if short.ends_with('.') { format!("{short}0") } else { short.to_owned() }
}

/// Labels with their values.
type Labels<'a> = [(&'a str, &'a str)];

/// A text that is being written.
#[derive(Debug)]
pub struct Exposition {
    format: Format,
    text: String,
}

impl Exposition {
    /// An empty one.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, text: String::new() }
    }

    /// Begins a counter. Its name ends in `_total`.
    pub fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "counter", help)
    }

    /// Begins a gauge.
    pub fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// Begins a histogram.
    pub fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, "histogram", help)
    }

    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> Family<'_> {
        // OpenMetrics names the family of a counter without what each of its samples ends in.
        let family = match self.format {
            Format::OpenMetrics => name.strip_suffix("_total").unwrap_or(name),
            Format::Prometheus => name,
        };
        let _never_fails = writeln!(self.text, "# HELP {family} {help}\n# TYPE {family} {kind}");
        Family { name, text: &mut self.text }
    }

    /// All that was written.
    #[must_use]
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// A metric of which samples are written, each with other labels.
#[derive(Debug)]
pub struct Family<'a> {
    name: &'static str,
    text: &'a mut String,
}

impl Family<'_> {
    /// The only sample, without labels.
    pub fn is(&mut self, value: impl Into<Value>) -> &mut Self {
        self.has(&[], value)
    }

    /// The only sample, if its value is known now.
    pub fn may_be(&mut self, value: Option<impl Into<Value>>) -> &mut Self {
        if let Some(value) = value { self.is(value) } else { self }
    }

    /// A sample of a counter or a gauge.
    pub fn has(&mut self, labels: &Labels<'_>, value: impl Into<Value>) -> &mut Self {
        self.sample("", labels, &value.into().text())
    }

    /// A sample for each word that was counted.
    pub fn tallies(&mut self, label: &str, tally: &Tally) -> &mut Self {
        for (name, count) in tally.get() {
            self.has(&[(label, name)], count);
        }
        self
    }

    /// A sample of a histogram.
    pub fn times(&mut self, labels: &Labels<'_>, histogram: &Histogram) -> &mut Self {
        let seen = histogram.seen();
        let everything = ("+Inf".to_owned(), seen.count);
        let bounds = seen.within.iter().map(|(bound, count)| (seconds(*bound), *count));
        for (bound, count) in bounds.chain([everything]) {
            let labels = [labels, &[("le", bound.as_str())]].concat();
            self.sample("_bucket", &labels, &count.to_string());
        }
        self.sample("_sum", labels, &seconds(seen.sum)).sample("_count", labels, &seen.count.to_string())
    }

    fn sample(&mut self, suffix: &str, labels: &Labels<'_>, value: &str) -> &mut Self {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        for (place, (name, value)) in labels.iter().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            let _never_fails = write!(self.text, "{before}{name}=\"{}\"", escaped(value));
        }
        let end = if labels.is_empty() { " " } else { "} " };
        let _never_fails = writeln!(self.text, "{end}{value}");
        self
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: &[Duration] = &[Duration::from_micros(500), Duration::from_secs(10)];

    fn written(format: Format) -> String {
        let mut exposition = Exposition::new(format);
        let requests = &mut exposition.counter("requests_total", "Requests.");
        requests.has(&[("route", "/a"), ("status", "200")], 3_u64).has(&[("route", "b\"\\\n")], 1_usize);
        exposition.gauge("up", "Whether it is.").may_be(Some(true));
        exposition.gauge("nothing", "Not known now.").may_be(None::<u64>);
        exposition.counter("ends_total", "Ends.").tallies("how", &Tally::of(&["good", "bad"]));
        let histogram = Histogram::new(BOUNDS);
        histogram.observe(Duration::from_millis(1));
        histogram.observe(Duration::from_secs(20));
        exposition.histogram("took_seconds", "How long.").times(&[("route", "/a")], &histogram);
        exposition.finish()
    }

    #[test]
    fn the_older_format_is_written_as_its_specification_says() {
        let expected = "# HELP requests_total Requests.\n# TYPE requests_total counter\n\
            requests_total{route=\"/a\",status=\"200\"} 3\nrequests_total{route=\"b\\\"\\\\\\n\"} 1\n\
            # HELP up Whether it is.\n# TYPE up gauge\nup 1\n\
            # HELP nothing Not known now.\n# TYPE nothing gauge\n\
            # HELP ends_total Ends.\n# TYPE ends_total counter\nends_total{how=\"bad\"} 0\nends_total{how=\"good\"} 0\n\
            # HELP took_seconds How long.\n# TYPE took_seconds histogram\n\
            took_seconds_bucket{route=\"/a\",le=\"0.0005\"} 0\ntook_seconds_bucket{route=\"/a\",le=\"10.0\"} 1\n\
            took_seconds_bucket{route=\"/a\",le=\"+Inf\"} 2\ntook_seconds_sum{route=\"/a\"} 20.001\n\
            took_seconds_count{route=\"/a\"} 2\n";
        assert_eq!(written(Format::Prometheus), expected);
    }

    #[test]
    fn open_metrics_differs_in_the_names_of_counters_and_has_an_end() {
        let older = written(Format::Prometheus);
        let named = |older: String, name: &str| {
            ["HELP", "TYPE"].iter().fold(older, |text, line| {
                text.replace(&format!("{line} {name}_total"), &format!("{line} {name}"))
            })
        };
        let expected = named(named(older, "requests"), "ends");
        assert_eq!(written(Format::OpenMetrics), expected + "# EOF\n");
    }

    #[test]
    fn seconds_are_exact_and_short() {
        for (nanoseconds, text) in [
            (0, "0.0"),
            (1, "0.000000001"),
            (1_500_000_000, "1.5"),
            (1_764_000_000_000_000_000, "1764000000.0"),
        ] {
            assert_eq!(Value::from(Duration::from_nanos(nanoseconds)).text(), text);
        }
    }

    #[test]
    fn a_reader_gets_the_format_that_it_prefers() {
        let scraper =
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, format) in [
            (scraper, Format::OpenMetrics),
            ("application/openmetrics-text; version=1.0.0", Format::OpenMetrics),
            ("application/openmetrics-text;q=0.2, text/plain;q=0.4", Format::Prometheus),
            ("application/openmetrics-text;q=0", Format::Prometheus),
            ("application/openmetrics-text;q=none", Format::Prometheus),
            ("application/openmetrics-text,text/plain", Format::Prometheus),
            ("application/json", Format::Prometheus),
            ("*/*", Format::Prometheus),
            ("", Format::Prometheus),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept}");
        }
    }
}
