//! The page, the dashboard and the alerts tell of the metrics that there are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Scrape;
use crate::support::TestApp;

const PAGE: &str = include_str!("../../../docs/metrics.md");
const DASHBOARD: &str = include_str!("../../../docs/grafana-dashboard.json");
const ALERTS: &str = include_str!("../../../docs/alerts.yaml");

/// A line of the page's tables: the type, and the labels.
type Told = (String, BTreeSet<String>);

/// The metrics of the page's tables: `| name | type | labels | meaning |`.
fn told() -> BTreeMap<String, Told> {
    let lines = PAGE.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = lines.map(|line| line.split(" | ").map(|cell| cell.trim_matches(['`', ' ', '|'])).collect());
    let row = |cells: Vec<&str>| {
        let labels = cells[2].split(", ").map(|label| label.trim_matches('`').to_owned());
        (cells[0].to_owned(), (cells[1].to_owned(), labels.filter(|label| label != "none").collect()))
    };
    cells.map(row).collect()
}

/// The names of metrics in a text, without what the samples of histograms end in.
fn named(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = words.filter(|word| word.starts_with("subtle_") || word.starts_with("process_"));
    let base = |name| {
        ["_bucket", "_sum", "_count"].iter().find_map(|end| str::strip_suffix(name, end)).unwrap_or(name)
    };
    names.map(base).collect()
}

#[tokio::test]
async fn the_page_tells_of_every_metric_what_it_is() {
    let app = TestApp::start().await;
    app.get("/nowhere").await.expect(404);
    let seen = Scrape::of(&app).await;
    let told = told();
    let types: BTreeMap<_, _> = told.iter().map(|(name, (kind, _))| (name.clone(), kind.clone())).collect();
    assert_eq!(seen.types(), types);
    for (name, (_, labels)) in &told {
        if seen.samples().iter().any(|sample| sample.starts_with(name)) {
            assert_eq!(&seen.labels(name), labels, "{name}");
        }
    }
}

#[test]
fn the_dashboard_and_the_alerts_ask_for_metrics_that_there_are() {
    let told = told();
    for (what, text, least) in [("dashboard", DASHBOARD, 25), ("alerts", ALERTS, 12)] {
        let named = named(text);
        let unknown: Vec<_> = named.iter().filter(|name| !told.contains_key(**name)).collect();
        assert!(unknown.is_empty(), "{what}: {unknown:?}");
        assert!(named.len() >= least, "{what}: {named:?}");
    }
}

#[test]
fn every_panel_takes_its_data_from_where_the_reader_says() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    assert!(
        variables.iter().any(|variable| variable["type"] == "datasource" && variable["name"] == "datasource")
    );
    let panels = dashboard["panels"].as_array().unwrap();
    let rows: Vec<_> = panels
        .iter()
        .filter(|panel| panel["type"] == "row")
        .map(|row| row["title"].as_str().unwrap())
        .collect();
    assert_eq!(
        rows,
        [
            "Requests",
            "Sign-in",
            "Database",
            "Usage",
            "Streams and revocations",
            "Audit and letters",
            "Process"
        ]
    );
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{}", panel["title"]);
        assert!(panel["targets"].as_array().is_some_and(|targets| !targets.is_empty()), "{}", panel["title"]);
    }
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do() {
    let alerts = ALERTS.split("- alert: ").skip(1);
    let mut names = BTreeSet::new();
    for alert in alerts {
        let name = alert.lines().next().unwrap();
        for part in ["expr: ", "for: ", "severity: ", "summary: ", "runbook: "] {
            assert!(alert.contains(part), "{name} has no {part}");
        }
        assert!(PAGE.contains(&format!("### {name}\n")), "{name} has no runbook in docs/metrics.md");
        assert!(names.insert(name));
    }
    assert_eq!(PAGE.matches("\n### ").count(), names.len(), "a runbook without an alert");
}
