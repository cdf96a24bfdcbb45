use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::ports::StoreError;
use subtle_domain::seal::Seal;

use crate::schema::audit_seals;
use crate::unit_of_work::PgUnitOfWork;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_seals)]
struct SealRow {
    number: i64,
    sealed_at: Timestamp,
    row_ids: Vec<Option<String>>,
    rows_hash: Vec<u8>,
    previous: Vec<u8>,
    signature: Vec<u8>,
}

impl From<SealRow> for Seal {
    fn from(row: SealRow) -> Self {
        Self {
            number: row.number,
            sealed_at: row.sealed_at,
            // We name every row, so a seal with a NULL is none of ours, and its signature will tell.
            row_ids: row.row_ids.into_iter().map(Option::unwrap_or_default).collect(),
            rows_hash: row.rows_hash,
            previous: row.previous,
            signature: row.signature,
        }
    }
}

/// The newest seal.
pub(super) async fn last(unit: &mut PgUnitOfWork) -> Result<Option<Seal>, StoreError> {
    let row: Option<SealRow> = step!(unit, connection => audit_seals::table
        .order(audit_seals::number.desc())
        .select(SealRow::as_select())
        .first(connection)
        .map(OptionalExtension::optional))?;
    Ok(row.map(Seal::from))
}

/// At most `limit` seals in order: the first, or those behind a number.
pub(super) async fn behind(
    unit: &mut PgUnitOfWork,
    number: Option<i64>,
    limit: i64,
) -> Result<Vec<Seal>, StoreError> {
    let rows: Vec<SealRow> = step!(unit, connection => {
        let mut page = audit_seals::table
            .order(audit_seals::number)
            .limit(limit)
            .select(SealRow::as_select())
            .into_boxed();
        if let Some(number) = number {
            page = page.filter(audit_seals::number.gt(number));
        }
        page.load(connection)
    })?;
    Ok(rows.into_iter().map(Seal::from).collect())
}

/// Adds a seal; `false` if another server was faster.
pub(super) async fn add(unit: &mut PgUnitOfWork, seal: &Seal) -> Result<bool, StoreError> {
    let row = SealRow {
        number: seal.number,
        sealed_at: seal.sealed_at,
        row_ids: seal.row_ids.iter().cloned().map(Some).collect(),
        rows_hash: seal.rows_hash.clone(),
        previous: seal.previous.clone(),
        signature: seal.signature.clone(),
    };
    let added = step!(unit, connection => diesel::insert_into(audit_seals::table)
        .values(&row)
        .on_conflict_do_nothing()
        .execute(connection))?;
    Ok(added == 1)
}
