use std::collections::{BTreeMap, BTreeSet};

use crate::support::TestApp;

/// What a server told of itself.
pub(crate) struct Scrape {
    pub(crate) text: String,
}

impl Scrape {
    pub(crate) async fn of(app: &TestApp) -> Self {
        Self { text: app.get("/metrics").await.expect(200).text }
    }

    /// Each sample, by its name with its labels.
    fn values(&self) -> impl Iterator<Item = (&str, &str)> {
        let samples = self.text.lines().filter(|line| !line.starts_with('#'));
        samples.map(|line| line.rsplit_once(' ').unwrap())
    }

    pub(crate) fn find(&self, sample: &str) -> Option<&str> {
        self.values().find(|(name, _)| *name == sample).map(|(_, value)| value)
    }

    /// A whole number; 0 where there is no such sample.
    pub(crate) fn number(&self, sample: &str) -> i64 {
        self.find(sample).map_or(0, |value| value.parse().unwrap())
    }

    /// The samples that there are.
    pub(crate) fn samples(&self) -> BTreeSet<String> {
        self.values().map(|(sample, _)| sample.to_owned()).collect()
    }

    /// The metrics with their types.
    pub(crate) fn types(&self) -> BTreeMap<String, String> {
        let lines = self.text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        lines
            .filter_map(|line| line.split_once(' '))
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
            .collect()
    }

    /// The labels that samples of a metric have.
    pub(crate) fn labels(&self, metric: &str) -> BTreeSet<String> {
        let of_it = |sample: &&str| {
            let name = sample.split('{').next().unwrap();
            ["", "_bucket", "_sum", "_count"].iter().any(|suffix| name.strip_suffix(suffix) == Some(metric))
        };
        let samples = self.values().map(|(sample, _)| sample).filter(of_it);
        let labels =
            samples.filter_map(|sample| sample.split_once('{')).flat_map(|(_, labels)| labels.split("\","));
        labels
            .filter_map(|label| label.split_once('='))
            .map(|(name, _)| name.to_owned())
            .filter(|name| name != "le")
            .collect()
    }
}
