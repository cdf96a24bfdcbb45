//! `POST /v1/auth/refresh`: everybody exchanges the token that they got last.

use crate::answers::text;
use crate::fill::NOBODY;
use crate::load::Caller;
use crate::measure::{Plan, measure};
use crate::reference::{between, pgbench};
use crate::requests::write_post;
use crate::row::Row;
use crate::stage::Stage;
use crate::trouble::Outcome;

/// DESIGN, section 8.
const SHARE: f64 = 0.7;

/// What `persistence::sessions` does: reads session and user, then writes by compare-and-set. The digest is drawn, not hashed.
const STATEMENTS: &str = "
SELECT sessions.id, sessions.user_id, sessions.refresh_token, sessions.expires_at, sessions.created_at, sessions.generation, \
sessions.salt, sessions.user_agent, sessions.ip_address, sessions.last_used_at, sessions.revoked_at, sessions.authenticated_at, \
sessions.second_factor, users.id AS u_id, users.email, users.full_name, users.avatar_url, users.subscription_tier, \
users.email_verified, users.created_at AS u_created_at, users.updated_at, users.role, users.disabled_at, users.deleted_at, \
users.second_factor_at FROM sessions INNER JOIN users ON sessions.user_id = users.id \
WHERE sessions.id = :id AND sessions.user_id = :id LIMIT 1 \\gset
UPDATE sessions SET generation = :generation::int + 1, refresh_token = md5(:one) || md5(:other), last_used_at = now() \
WHERE id = :id AND user_id = :id AND generation = :generation::int AND revoked_at IS NULL;
";

pub(crate) fn run(stage: &Stage, plan: Plan) -> Outcome<Row> {
    let people = stage.people(plan.connections.into())?;
    let callers = people.into_iter().map(|person| Refresher { token: person.refresh }).collect();
    let sessions = stage.database.number("count(*) FROM sessions WHERE id = user_id")?;
    let script = format!(
        "\\set id random({}, {})\n\\set one random(1, {max})\n\\set other random(1, {max})\n{}",
        NOBODY + 1,
        NOBODY + sessions,
        STATEMENTS.trim_start(),
        max = i64::MAX,
    );
    let reference = || pgbench(stage, "refresh", &script, plan);
    let what = "pgbench: its two statements";
    let (measured, reference) = between(what, reference, || {
        Ok(measure(stage, "refresh: POST /v1/auth/refresh", callers, None, plan)?.0)
    })?;
    Ok(Row::rate("refresh", "/s", 1.0, measured).against(reference, Some(SHARE)))
}

struct Refresher {
    token: String,
}

impl Caller for Refresher {
    fn ask(&mut self, request: &mut Vec<u8>) -> bool {
        let body = format!(r#"{{"refreshToken":"{}"}}"#, self.token);
        write_post(request, "/v1/auth/refresh", "", body.as_bytes());
        true
    }

    fn hear(&mut self, status: u16, body: &[u8]) -> bool {
        let next = text(body, "refreshToken").and_then(|text| std::str::from_utf8(text).ok());
        let Some(next) = next else { return false };
        next.clone_into(&mut self.token);
        status == 200
    }
}
