//! One line of the table.

use std::time::Duration;

use serde_json::{Value, json};

use crate::measure::Measured;
use crate::reference::Reference;

/// A bound of DESIGN, section 8.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    pub(crate) bound: String,
    pub(crate) met: bool,
}

impl Budget {
    pub(crate) fn at_least(bound: f64, figure: f64) -> Self {
        Self { bound: format!("≥ {bound}"), met: figure >= bound }
    }

    pub(crate) fn at_most(bound: f64, figure: f64, unit: &str) -> Self {
        Self { bound: format!("≤ {bound}{unit}"), met: figure <= bound }
    }

    /// For people.
    pub(crate) fn verdict(&self) -> &'static str {
        if self.met { "met" } else { "MISSED" }
    }
}

/// A figure, and what it is to be held against.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) path: String,
    /// Ours, with its unit, for people.
    pub(crate) ours: String,
    /// The same for programs.
    pub(crate) figure: f64,
    /// What a ratio is made with, and its unit.
    pub(crate) reference: Option<Reference>,
    /// Ours by the reference.
    pub(crate) ratio: Option<f64>,
    pub(crate) measured: Option<Measured>,
    pub(crate) budget: Option<Budget>,
    /// What else there is to say.
    pub(crate) remark: String,
}

impl Row {
    /// So many of something a second.
    pub(crate) fn rate(path: &str, unit: &str, each: f64, measured: Measured) -> Self {
        let figure = measured.per_second * each;
        Self {
            path: path.to_owned(),
            ours: format!("{} {unit}", per_second(figure)),
            figure,
            measured: Some(measured),
            ..Self::default()
        }
    }

    /// Held against a reference, of which it is to be a share at least.
    pub(crate) fn against(mut self, reference: Reference, share: Option<f64>) -> Self {
        let ratio = self.figure / reference.mean();
        self.ratio = Some(ratio);
        self.budget = share.map(|share| Budget::at_least(share, ratio));
        self.reference = Some(reference);
        self
    }

    pub(crate) fn json(&self) -> Value {
        let measured = self.measured.as_ref();
        let millis = |time: Option<Duration>| time.map(|time| time.as_secs_f64() * 1e3);
        let cost = measured.and_then(|measured| measured.cost);
        json!({
            "path": self.path,
            "ours": self.ours,
            "figure": self.figure,
            "reference": self.reference.as_ref().map(|reference| json!({
                "what": reference.what, "before": reference.before, "after": reference.after,
            })),
            "ratio": self.ratio,
            "connections": measured.map(|measured| measured.connections),
            "p50Millis": millis(measured.and_then(|measured| measured.p50)),
            "p99Millis": millis(measured.and_then(|measured| measured.p99)),
            "serverMicros": cost.map(|cost| cost.server),
            "postgresMicros": cost.map(|cost| cost.postgres),
            "loadToolMicros": cost.map(|cost| cost.load_tool),
            "memoryBytes": measured.and_then(|measured| measured.memory),
            "failures": measured.map(|measured| measured.failures),
            "failure": measured.and_then(|measured| measured.failure.as_deref()),
            "machineLoad": measured.map(|measured| measured.machine.as_str()),
            "budget": self.budget.as_ref().map(|budget| json!({"bound": budget.bound, "met": budget.met})),
            "remark": self.remark,
        })
    }
}

/// `12,345`, and digits behind the point where there are few before it.
pub(crate) fn per_second(figure: f64) -> String {
    let digits = usize::from(figure < 100.0);
    let text = format!("{figure:.digits$}");
    let whole = text.split('.').next().unwrap_or_default().len();
    let mut grouped = String::new();
    for (place, letter) in text.chars().enumerate() {
        if place > 0 && place < whole && (whole - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(letter);
    }
    grouped
}
