use subtle_domain::ports::{StoreError, UnitOfWork};

/// How often at most: migrations come in rows, and each table of a unit of work may meet one.
const TRIES: u32 = 5;

/// Runs a unit of work, and again from the start where the store asks for that: after a deadlock, or when a migration has
/// changed the schema under a prepared statement. The outer error is the store's, the inner one a refusal by a rule.
pub(crate) async fn again<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    for _ in 1..TRIES {
        match attempt().await {
            Err(StoreError::Again(_)) => {}
            done => return done,
        }
    }
    attempt().await
}

/// Ends a unit of work: what was done is committed, what a rule refused is taken back.
pub(crate) async fn conclude<T, E>(
    unit: Box<dyn UnitOfWork>,
    outcome: Result<T, E>,
) -> Result<Result<T, E>, StoreError> {
    match &outcome {
        Ok(_) => unit.commit().await?,
        Err(_) => unit.rollback().await?,
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn deadlock() -> StoreError {
        StoreError::Again("deadlock detected".into())
    }

    #[tokio::test]
    async fn after_a_deadlock_it_is_tried_again_until_it_succeeds() {
        for deadlocks in 0..TRIES {
            let tries = Cell::new(0);
            let outcome = again(|| async {
                tries.set(tries.get() + 1);
                if tries.get() <= deadlocks { Err(deadlock()) } else { Ok("done") }
            });
            assert_eq!(outcome.await.unwrap(), "done");
            assert_eq!(tries.get(), deadlocks + 1);
        }
    }

    #[tokio::test]
    async fn deadlocks_without_end_are_told() {
        let tries = Cell::new(0);
        let outcome = again(|| async {
            tries.set(tries.get() + 1);
            Err::<(), _>(deadlock())
        });
        assert!(matches!(outcome.await, Err(StoreError::Again(_))));
        assert_eq!(tries.get(), TRIES);
    }
}
