//! SQL of our own that is always the same, prepared once on each connection.

use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;

/// A statement whose text is a constant, or one of few. Of a `sql_query`, and of all that has a piece of written SQL in it, Diesel believes
/// that there may be any number, and has each parsed in a round trip of its own and planned anew.
pub(crate) struct Prepared<Q>(Q);

/// `sql_query(CONSTANT).bind(…).prepared().load(connection)`.
pub(crate) trait Prepare: Sized {
    /// Prepares this once on each connection. Its text must be one of few, and one plan good for whatever is bound: not where a bound
    /// value says whether a condition counts at all, or how much of a table is read.
    fn prepared(self) -> Prepared<Self> {
        Prepared(self)
    }
}

impl<Q: QueryFragment<Pg>> Prepare for Q {}

impl<Q: QueryFragment<Pg>> QueryFragment<Pg> for Prepared<Q> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.walk_ast(out)
    }

    fn is_safe_to_cache_prepared(&self, _: &Pg) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<Q> QueryId for Prepared<Q> {
    type QueryId = ();

    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<Q: Query> Query for Prepared<Q> {
    type SqlType = Q::SqlType;
}
