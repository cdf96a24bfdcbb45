//! Steps of sessions to their next generation, many at once.

use std::collections::HashSet;
use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Array, Integer, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use subtle_domain::Timestamp;
use subtle_domain::ports::StoreError;
use subtle_domain::session::{Generation, Session};
use subtle_domain::token::TokenDigest;

use crate::pool::Database;
use crate::prepared::Prepare;

/// Compare-and-set for each. A row that somebody else holds is left out, so that nobody waits for the lock of a stranger, and two of these
/// never for each other.
const ROTATE: &str = "
WITH step AS (
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6) AS step (id, user_id, generation, next, digest, at)
), free AS (
    SELECT sessions.id FROM sessions JOIN step USING (id, user_id, generation)
    WHERE sessions.revoked_at IS NULL
    FOR UPDATE OF sessions SKIP LOCKED
)
UPDATE sessions SET generation = step.next, refresh_token = step.digest, last_used_at = step.at
FROM step JOIN free USING (id)
WHERE sessions.id = step.id AND sessions.user_id = step.user_id AND sessions.generation = step.generation
    AND sessions.revoked_at IS NULL
RETURNING sessions.id, sessions.generation";

/// One session's step.
#[derive(Clone)]
pub(super) struct Rotation {
    session: Session,
    next: Generation,
    digest: TokenDigest,
    at: Timestamp,
}

impl Rotation {
    pub(super) fn new(session: &Session, next: Generation, digest: &TokenDigest, at: Timestamp) -> Self {
        Self { session: session.clone(), next, digest: digest.clone(), at }
    }
}

/// A step that was taken.
#[derive(PartialEq, Eq, Hash, QueryableByName)]
struct Taken {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Integer)]
    generation: i32,
}

/// Whether each took its step. Of those who ask for the same step one has taken it.
pub(super) async fn rotate_all(database: Database, steps: Arc<[Rotation]>) -> Result<Vec<bool>, StoreError> {
    let column = |text: fn(&Rotation) -> &str| steps.iter().map(text).collect::<Vec<_>>();
    let number = |number: fn(&Rotation) -> i32| steps.iter().map(number).collect::<Vec<_>>();
    let ids = column(|step| step.session.id.as_str());
    let users = column(|step| step.session.user_id.as_str());
    let generations = number(|step| step.session.generation.number());
    let next = number(|step| step.next.number());
    let digests = column(|step| step.digest.expose());
    let times: Vec<Timestamp> = steps.iter().map(|step| step.at).collect();
    let taken: Vec<Taken> = repeatable!(database, connection => sql_query(ROTATE)
        .bind::<Array<Text>, _>(&ids)
        .bind::<Array<Text>, _>(&users)
        .bind::<Array<Integer>, _>(&generations)
        .bind::<Array<Integer>, _>(&next)
        .bind::<Array<Text>, _>(&digests)
        .bind::<Array<Timestamptz>, _>(&times).prepared()
        .load(connection))?;
    let mut taken: HashSet<Taken> = taken.into_iter().collect();
    let took = |step: &Rotation| {
        let (id, generation) = (step.session.id.as_str().to_owned(), step.next.number());
        taken.remove(&Taken { id, generation })
    };
    Ok(steps.iter().map(took).collect())
}
