use serde_json::{Value, json};

use super::super::account::Event;
use super::{FEATURES, NOBODY, Worker};
use crate::support::DOLLAR;

impl Worker<'_> {
    /// An event that may be told for the first time.
    fn event(&mut self) -> Event {
        let (mut usage, feature) = (self.usage(), self.random.pick(&FEATURES));
        let at = self.random.once_in(2).then(|| {
            let (month, day) = (1 + self.random.below(3), 1 + self.random.below(28));
            // In January somebody may owe more than a bill holds, in February it is about half cents, and March costs next to nothing.
            match month {
                1 if self.random.once_in(200) => usage.cost = 9_999_999_999 * DOLLAR + 9_999_999_999,
                1 => {}
                2 => usage.cost = i128::from(self.random.below(5)) * DOLLAR / 200,
                _ => usage.cost = i128::from(self.random.below(3)),
            }
            format!("2020-{month:02}-{day:02}T12:00:00Z")
        });
        let key = self.random.once_in(2).then(|| self.key());
        Event { usage, feature, at, key }
    }

    /// An event that was told before, or another under its key.
    fn told_event(&mut self, place: usize) -> Option<Event> {
        let known = &self.accounts[place].known;
        let mut event = known.get(self.random.place(known.len().max(1)))?.0.clone();
        match self.random.below(6) {
            0 => event.usage.tokens += 1,
            1 => event.usage.cost ^= 1,
            2 => event.feature = if event.feature == "chat" { "search" } else { "chat" },
            3 => {
                event.at = if event.at.is_none() { Some("2020-01-31T23:59:59.999Z".to_owned()) } else { None }
            }
            _ => {}
        }
        Some(event)
    }

    /// What an event must not be like.
    fn unfit(&mut self, mut event: Value) -> Value {
        let (field, value) = match self.random.below(9) {
            0 => ("userId", json!(NOBODY)),
            1 => ("totalCost", json!("1e-7")),
            2 => ("totalCost", json!("0.00000000001")),
            3 => ("totalCost", json!("10000000000")),
            4 => ("totalCost", json!(1)),
            5 => ("totalTokens", json!(-1)),
            6 => ("requestCount", json!(1_u64 << 31)),
            7 => ("occurredAt", json!("1969-12-31T23:59:59Z")),
            _ => ("role", json!("admin")),
        };
        event[field] = value;
        event
    }

    /// Tells of some events, of several accounts, of which some are told the second time and some are unfit.
    pub(super) async fn tell(&mut self, place: usize) {
        let mut events = Vec::new();
        for _ in 0..=self.random.below(5) {
            let place = if self.random.once_in(3) { self.random.place(self.accounts.len()) } else { place };
            // Now and then what stands before it in the same request.
            let again = match events.last() {
                Some((before, Some(event))) if self.random.once_in(8) => {
                    let (before, mut event) = (*before, Event::clone(event));
                    event.usage.tokens += i128::from(self.random.below(2));
                    Some((before, event))
                }
                _ if self.random.once_in(3) => self.told_event(place).map(|event| (place, event)),
                _ => None,
            };
            if again.is_none() && self.random.once_in(8) {
                events.push((place, None));
            } else {
                let (place, event) = again.unwrap_or_else(|| (place, self.event()));
                events.push((place, Some(event)));
            }
        }
        let json = events.iter().map(|(place, event)| match event {
            Some(event) => event.json(&self.user(*place)),
            None => Value::Null,
        });
        let mut json: Vec<_> = json.collect();
        for ((place, _), json) in events.iter().zip(&mut json).filter(|(_, json)| json.is_null()) {
            let fit = Event { key: None, ..self.event() }.json(&self.user(*place));
            *json = self.unfit(fit);
        }
        let answer = self.post("/v1/usage/events", None, &json!({"events": json})).await.expect(200);
        let results = answer.body["results"].as_array().unwrap();
        assert_eq!(results.len(), events.len());
        for ((place, event), result) in events.iter().zip(results) {
            let new = result["id"].as_str().unwrap_or_default();
            let expected = match event {
                Some(event) => self.accounts[*place].record(event, new),
                None => ("rejected", String::new()),
            };
            self.count(expected.0);
            assert_eq!(
                (result["status"].as_str().unwrap(), new),
                (expected.0, expected.1.as_str()),
                "{result}"
            );
        }
    }

    pub(super) async fn see_summary(&mut self, place: usize) {
        let (all_times, by) = self.random.pick(&[(false, "day"), (false, "feature"), (true, "feature")]);
        let to = if all_times { "9999-12-31" } else { "2020-03-31" };
        let path = format!(
            "/v1/admin/users/{}/usage/summary?from=2020-01-01&to={to}&groupBy={by}",
            self.user(place)
        );
        let mut answer = self.ask(self.admin, "GET", &path, None, &Value::Null).await.expect(200).body;
        let expected = self.accounts[place].summary(all_times, by == "day");
        assert_eq!(json!({"total": answer["total"].take(), "groups": answer["groups"].take()}), expected);
    }
}
