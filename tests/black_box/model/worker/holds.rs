use serde_json::Value;

use super::super::account::{End, Hold, amounts};
use super::{FEATURES, Kept, NOBODY, Worker, without_ends};
use crate::support::{DOLLAR, Sums};

const HOLDS: &str = "/v1/usage/reservations";

impl Worker<'_> {
    /// An amount that somebody may want to hold: often just what is left of a metric, or a little more.
    fn wanted(&mut self, place: usize) -> Sums {
        let mut wanted = self.usage();
        let left = self.accounts[place].remaining();
        let more = i128::from(self.random.below(2));
        match (self.random.below(6), left) {
            (0, [Some(left), ..]) => wanted.requests = (left + more).min(i32::MAX.into()),
            (1, [_, Some(left), _]) => wanted.tokens = (left + more).min(i32::MAX.into()),
            (2, [.., Some(left)]) => wanted.cost = (left + more).min(9_999_999_999 * DOLLAR),
            _ => {}
        }
        wanted
    }

    pub(super) async fn hold(&mut self, place: usize) {
        let (held, feature) = (self.wanted(place), self.random.pick(&FEATURES));
        let (of_nobody, keyed) = (self.random.once_in(30), self.random.once_in(3));
        let mut body = amounts(&held);
        body["userId"] = if of_nobody { NOBODY.into() } else { self.user(place).into() };
        body["featureType"] = Some(feature).filter(|feature| !feature.is_empty()).into();
        body["ttlSeconds"] = 3_600.into();
        let key = keyed.then(|| self.key());
        let answer = self.post(HOLDS, key.as_deref(), &body).await;
        let account = &self.accounts[place];
        let refusal = if held == Sums::default() || of_nobody {
            Some((422, "invalid-request"))
        } else if account.admits(&held) {
            None
        } else {
            Some((402, "quota-exceeded"))
        };
        if let Some((status, problem)) = refusal {
            let answer = answer.expect_problem(status, problem);
            if status == 402 {
                assert_eq!(without_ends(answer.body["quota"].clone()), account.quota());
            }
            self.spared = key;
            return;
        }
        let answer = answer.expect(201);
        let id = answer.str("/id").to_owned();
        self.accounts[place].holds.push(Hold { id, held, feature, end: End::Open });
        if let Some(key) = key {
            self.kept.push(Kept { path: HOLDS, key, body, answer: answer.body });
        }
    }

    /// One of the account's holds, rather one that is open.
    fn some_hold(&mut self, place: usize) -> Option<usize> {
        let holds = &self.accounts[place].holds;
        let open: Vec<_> = (0..holds.len()).filter(|hold| holds[*hold].end == End::Open).collect();
        if !open.is_empty() && !self.random.once_in(3) {
            return Some(self.random.pick(&open));
        }
        (!holds.is_empty() && !self.random.once_in(15)).then(|| self.random.place(holds.len()))
    }

    pub(super) async fn settle(&mut self, place: usize) {
        let (hold, mut usage) = (self.some_hold(place), self.usage());
        let known = hold.map(|hold| &self.accounts[place].holds[hold]);
        let id = known.map_or_else(|| format!("{}.missing", self.user(place)), |hold| hold.id.clone());
        let end = known.map(|hold| hold.end.clone());
        if let Some(End::Settled(before, _)) = &end
            && self.random.once_in(2)
        {
            usage = *before;
        }
        let answer = self.post(&format!("{HOLDS}/{id}/settle"), None, &amounts(&usage)).await;
        let row = match end {
            None => return drop(answer.expect_problem(404, "not-found")),
            Some(End::Open) => None,
            Some(End::Settled(before, row)) if before == usage => Some(row),
            Some(End::Settled(..) | End::Released) => {
                return drop(answer.expect_problem(409, "reservation-over"));
            }
        };
        let answer = answer.expect(200);
        let new = answer.str("/usageId").to_owned();
        let mut expected = amounts(&usage);
        expected["id"] = id.into();
        expected["usageId"] = row.as_ref().unwrap_or(&new).as_str().into();
        assert_eq!(answer.body, expected);
        if row.is_none() {
            self.accounts[place].settle(hold.unwrap(), usage, new);
        }
    }

    pub(super) async fn release(&mut self, place: usize) {
        let Some(hold) = self.some_hold(place) else { return };
        let Hold { id, end, .. } = &self.accounts[place].holds[hold];
        let (path, settled) = (format!("{HOLDS}/{id}"), matches!(end, End::Settled(..)));
        let answer = self.ask(self.program, "DELETE", &path, None, &Value::Null).await;
        if settled {
            answer.expect_problem(409, "reservation-over");
        } else {
            answer.expect(204);
            self.accounts[place].holds[hold].end = End::Released;
        }
    }
}
