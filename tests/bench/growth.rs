//! How what is read grows with what is there: the same requests on databases of several sizes, one at a time.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::check;
use crate::common::columns::columns;
use crate::fill::Size;
use crate::load::{Caller, Phase, drive};
use crate::progress::Progress;
use crate::requests::get;
use crate::row::Budget;
use crate::stage::Stage;
use crate::table::millis;
use crate::trouble::Outcome;

mod lines;

use lines::Asked;
pub(crate) use lines::{LINES, Line, Panel};

/// DESIGN, section 8: how much longer the largest may take than the smallest.
const MOST: f64 = 1.5;
/// Asked of each, and not counted: what is read for the first time is not in memory, and has no plan.
const WARM_UP: u32 = 5;
const AT_LEAST: u32 = 10;
/// How often all lines are gone through, each at all sizes in turn: what else the machine does for some seconds, or minutes, is neither one
/// line's alone nor one size's.
const ROUNDS: u32 = 9;

/// The sizes that are filled; a hundred times as many people have two hundred times as many rows.
pub(crate) const SIZES: [Size; 4] = [
    Size { users: 10_000, rows: 100_000 },
    Size { users: 50_000, rows: 600_000 },
    Size { users: 200_000, rows: 3_000_000 },
    Size { users: 1_000_000, rows: 20_000_000 },
];
/// Those that tell in a minute whether the program works.
pub(crate) const QUICK_SIZES: [Size; 2] =
    [Size { users: 10_000, rows: 100_000 }, Size { users: 20_000, rows: 300_000 }];

/// Of the times of one request at one size; or why there is none.
pub(crate) type Median = Result<Duration, String>;

/// What came of it.
#[derive(Debug)]
pub(crate) struct Growth {
    pub(crate) sizes: Vec<Size>,
    /// For each line and then each size.
    pub(crate) medians: Vec<Vec<Median>>,
    /// What the figures of the service are not.
    pub(crate) disagreements: Vec<String>,
}

impl Growth {
    /// Measures every line on stages of several sizes, the smallest first, for so long on each.
    pub(crate) fn look(stages: &[Stage], length: Duration) -> Outcome<Self> {
        let asked = stages.iter().map(Asked::on).collect::<Outcome<Vec<_>>>()?;
        if let Some(stage) = stages.first() {
            stage.database.checkpoint()?;
        }
        let mut rounds = vec![vec![Vec::new(); stages.len()]; LINES.len()];
        let mut progress = Progress::begin("reads, line by line", u64::from(ROUNDS) * LINES.len() as u64);
        let mut looked_at = 0;
        for _ in 0..ROUNDS {
            for (line, sizes) in LINES.iter().zip(&mut rounds) {
                for ((stage, asked), medians) in stages.iter().zip(&asked).zip(sizes) {
                    let request = (line.request)(asked);
                    let address = stage.server.address();
                    let _not_counted = repeat(address, &request, WARM_UP, Duration::ZERO)?;
                    medians.push(repeat(address, &request, AT_LEAST, length / ROUNDS)?);
                }
                looked_at += 1;
                progress.reached(looked_at);
            }
        }
        let medians = rounds.into_iter().map(|sizes| sizes.into_iter().map(middle).collect()).collect();
        let disagreements = stages.iter().map(check::disagreements).collect::<Outcome<Vec<_>>>()?.concat();
        let sizes = stages.iter().map(|stage| stage.wanted.size).collect();
        Ok(Self { sizes, medians, disagreements })
    }

    /// How much longer a line takes at the largest size than at the smallest.
    fn ratio(&self, line: usize, since: usize) -> Option<f64> {
        let first = self.medians.get(since)?.first()?.as_ref().ok()?;
        let last = self.medians.get(line)?.last()?.as_ref().ok()?;
        Some(last.as_secs_f64() / first.as_secs_f64())
    }

    /// The ratio that the design bounds, if it does: of page 10,000 to the first page.
    fn bounded(&self, line: usize) -> Option<Budget> {
        let since = LINES.iter().position(|other| Some(other.name) == LINES[line].bounded_by)?;
        self.ratio(line, since).map(|ratio| Budget::at_most(MOST, (ratio * 100.0).round() / 100.0, ""))
    }

    pub(crate) fn table(&self) -> String {
        let mut rows = vec![["median of", "", "", "", "", "ratio", "budget", ""].map(str::to_owned)];
        for (cell, size) in rows[0][1..].iter_mut().zip(&self.sizes) {
            *cell = format!("{}/{}", short(size.users), short(size.rows));
        }
        for (number, (line, medians)) in LINES.iter().zip(&self.medians).enumerate() {
            let mut row = [const { String::new() }; 8];
            line.name.clone_into(&mut row[0]);
            for (cell, median) in row[1..].iter_mut().zip(medians) {
                *cell = median.as_ref().map_or_else(|_why| "FAILED".to_owned(), |time| millis(*time));
            }
            let since = LINES.iter().position(|other| Some(other.name) == line.bounded_by).unwrap_or(number);
            row[5] = self.ratio(number, since).map(|ratio| format!("{ratio:.2}")).unwrap_or_default();
            if let Some(budget) = self.bounded(number) {
                budget.verdict().clone_into(&mut row[7]);
                row[6] = budget.bound;
            }
            rows.push(row);
        }
        let failures = LINES.iter().zip(&self.medians).flat_map(|(line, medians)| {
            medians.iter().filter_map(|median| Some(format!("{}: {}\n", line.name, median.as_ref().err()?)))
        });
        let head = "people/rows of activity and of usage; one request at a time; the ratio is that of the largest to the smallest, \
                    for page 10,000 to page 1 of the smallest\n";
        format!("{}{head}{}", columns(&rows), failures.collect::<String>())
    }

    pub(crate) fn json(&self) -> Value {
        let line = |(number, (line, medians)): (usize, (&Line, &Vec<Median>))| {
            let point = |(size, median): (&Size, &Median)| {
                let millis = median.as_ref().ok().map(|time| time.as_secs_f64() * 1e3);
                json!({"users": size.users, "rows": size.rows, "millis": millis, "failure": median.as_ref().err()})
            };
            let budget = self.bounded(number).map(|budget| json!({"bound": budget.bound, "met": budget.met}));
            let points: Vec<_> = self.sizes.iter().zip(medians).map(point).collect();
            json!({"name": line.name, "points": points, "budget": budget})
        };
        LINES.iter().zip(&self.medians).enumerate().map(line).collect()
    }
}

/// `10 k`, `20 M`
pub(crate) fn short(number: u64) -> String {
    match number {
        1_000_000.. if number.is_multiple_of(1_000_000) => format!("{} M", number / 1_000_000),
        1_000.. if number.is_multiple_of(1_000) => format!("{} k", number / 1_000),
        _ => number.to_string(),
    }
}

/// The median of all rounds; a failure if there was one.
fn middle(rounds: Vec<Median>) -> Median {
    let mut times = rounds.into_iter().collect::<Result<Vec<_>, _>>()?;
    times.sort_unstable();
    times.get(times.len() / 2).copied().ok_or_else(|| "no round".to_owned())
}

/// Asks the same again until the time is over, and at least so often: the median.
fn repeat(address: &str, request: &[u8], at_least: u32, length: Duration) -> Outcome<Median> {
    let phase = Phase::default();
    phase.count();
    let asks = Repeats { request: request.to_vec(), left: at_least, until: Instant::now() + length };
    let (driven, _) = drive(address, vec![asks], None, &phase)?;
    let median = driven.times.quantile(0.5).ok_or_else(|| "no answer".to_owned());
    Ok(driven.failure.map_or(median, Err))
}

struct Repeats {
    request: Vec<u8>,
    left: u32,
    until: Instant,
}

impl Caller for Repeats {
    fn ask(&mut self, request: &mut Vec<u8>) -> bool {
        request.extend_from_slice(&self.request);
        let goes_on = self.left > 0 || Instant::now() < self.until;
        self.left = self.left.saturating_sub(1);
        goes_on
    }

    fn hear(&mut self, status: u16, _body: &[u8]) -> bool {
        status == 200
    }
}
