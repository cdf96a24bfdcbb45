use serde_json::{Value, json};

use super::super::account::{Bill, amount};
use super::{Kept, NOBODY, Worker};
use crate::support::{Answer, Person};

const BILLS: &str = "/v1/billing";
const STEPS: [(&str, &str); 3] = [("complete", "completed"), ("fail", "failed"), ("refund", "refunded")];

impl Worker<'_> {
    pub(super) async fn bill(&mut self, place: usize) {
        let (cents, currency) = (1 + self.random.below(10_000_000), self.random.pick(&["USD", "EUR", "JPY"]));
        let cents = i128::from(cents);
        let told = amount(cents);
        let told =
            if self.random.once_in(2) { told.trim_end_matches('0').trim_end_matches('.') } else { &told };
        let mut body = json!({"userId": self.user(place), "amount": told, "currency": currency});
        let refused = self.random.once_in(8);
        if refused {
            let (field, value) = self.random.pick(&[
                ("amount", "0.00"),
                ("amount", "-1"),
                ("amount", "1.001"),
                ("amount", "100000000"),
                ("currency", "usd"),
                ("description", ""),
                ("userId", NOBODY),
            ]);
            body[field] = value.into();
        }
        if self.random.once_in(30) {
            self.post(BILLS, None, &body).await.expect_problem(400, "malformed-request");
            return;
        }
        let key = self.key();
        let answer = self.post(BILLS, Some(&key), &body).await;
        if refused {
            answer.expect_problem(422, "invalid-request");
            self.spared = Some(key);
            return;
        }
        let answer = answer.expect(201);
        let bill = Bill {
            id: answer.str("/id").to_owned(),
            cents,
            currency: currency.to_owned(),
            status: "pending",
        };
        self.check(place, &bill, &answer);
        self.audited.bills += 1;
        self.accounts[place].bills.push(bill);
        self.kept.push(Kept { path: BILLS, key, body, answer: answer.body });
    }

    fn check(&self, place: usize, bill: &Bill, answer: &Answer) {
        let Bill { id, cents, currency, status } = bill;
        let fields = ["id", "userId", "amount", "currency", "status"]
            .map(|field| answer.body[field].as_str().unwrap());
        assert_eq!(fields, [id, &self.accounts[place].id, &amount(*cents), currency, *status]);
    }

    pub(super) async fn advance(&mut self, place: usize) {
        let bills = &self.accounts[place].bills;
        let (step, next) = self.random.pick(&STEPS);
        if bills.is_empty() || self.random.once_in(20) {
            let answer = self.post(&format!("{BILLS}/missing/{step}"), None, &Value::Null).await;
            answer.expect_problem(404, "not-found");
            return;
        }
        // Rather one that was made lately: others have mostly come to their end.
        let recent = bills.len().saturating_sub(6);
        let bill = if self.random.once_in(4) { 0 } else { recent };
        let bill = bill + self.random.place(bills.len() - bill);
        let path = format!("{BILLS}/{}/{step}", bills[bill].id);
        let allowed = [("pending", "completed"), ("pending", "failed"), ("completed", "refunded")];
        let allowed = allowed.contains(&(bills[bill].status, next));
        let answer = self.post(&path, None, &Value::Null).await;
        if !allowed {
            answer.expect_problem(409, "forbidden-transition");
            return;
        }
        self.accounts[place].bills[bill].status = next;
        self.audited.steps += 1;
        self.check(place, &self.accounts[place].bills[bill], &answer.expect(200));
    }

    /// The account's part of the ledger adds up as it should.
    pub(in super::super) async fn see_bills(&mut self, place: usize, support: &Person) {
        let path = format!("/v1/admin/users/{}/billing?limit=1", self.user(place));
        let answer = self.ask(support, "GET", &path, None, &Value::Null).await.expect(200);
        let totals = self.accounts[place].billed().into_iter().map(|((currency, status), (records, cents))| {
            json!({"currency": currency, "status": status, "records": records, "amount": amount(cents)})
        });
        assert_eq!(answer.body["totals"], totals.collect::<Value>());
    }
}
