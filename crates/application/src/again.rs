use subtle_domain::ports::StoreError;

/// Runs a unit of work, and once more from the start where the store asks for that: after a deadlock, or when a migration has
/// changed the schema under a prepared statement. The outer error is the store's, the inner one a refusal by a rule.
pub(crate) async fn again<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    match attempt().await {
        Err(StoreError::Again(_)) => attempt().await,
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn deadlock() -> StoreError {
        StoreError::Again("deadlock detected".into())
    }

    #[tokio::test]
    async fn a_deadlock_is_tried_once_more() {
        let tries = Cell::new(0);
        let outcome = again(|| async {
            tries.set(tries.get() + 1);
            if tries.get() == 1 { Err(deadlock()) } else { Ok("done") }
        });
        assert_eq!(outcome.await.unwrap(), "done");
        assert_eq!(tries.get(), 2);
    }

    #[tokio::test]
    async fn two_deadlocks_are_told() {
        let outcome = again(|| async { Err::<(), _>(deadlock()) }).await;
        assert!(matches!(outcome, Err(StoreError::Again(_))));
    }
}
