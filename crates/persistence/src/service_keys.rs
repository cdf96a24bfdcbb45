//! Service keys, a statement at a time and inside a unit of work.

use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use subtle_domain::Timestamp;
use subtle_domain::ids::{ServiceKeyId, UserId};
use subtle_domain::ports::{ServiceKeyRepository, ServiceKeys, StoreError};
use subtle_domain::service_key::{Scopes, ServiceKey, ServiceKeyDigest};
use subtle_domain::text::Label;

use crate::error::corrupt;
use crate::pool::Database;
use crate::schema::service_keys;
use crate::unit_of_work::PgUnitOfWork;

/// Service keys in PostgreSQL.
#[derive(Debug, Clone)]
pub struct PgServiceKeys {
    database: Database,
}

impl PgServiceKeys {
    /// Those of `database`.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self { database }
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = service_keys)]
struct KeyRow {
    id: String,
    name: String,
    scopes: Vec<Option<String>>,
    created_by: String,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
}

impl TryFrom<KeyRow> for ServiceKey {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        // A NULL among them is as unknown as any other name.
        let scopes: Vec<_> = row.scopes.into_iter().map(Option::unwrap_or_default).collect();
        Ok(Self {
            id: ServiceKeyId::try_from(row.id).map_err(|_named_below| corrupt("service_keys", "id"))?,
            name: Label::from_stored(row.name),
            scopes: Scopes::parse(&scopes).map_err(|_named_below| corrupt("service_keys", "scopes"))?,
            created_by: UserId::try_from(row.created_by)
                .map_err(|_named_below| corrupt("service_keys", "created_by"))?,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            revoked_at: row.revoked_at,
        })
    }
}

#[async_trait]
impl ServiceKeys for PgServiceKeys {
    async fn find(&self, digest: &ServiceKeyDigest) -> Result<Option<ServiceKey>, StoreError> {
        let row = repeatable!(self.database, connection => service_keys::table
            .filter(service_keys::digest.eq(&digest.0[..]))
            .select(KeyRow::as_select())
            .first(connection)
            .map(OptionalExtension::optional))?;
        row.map(ServiceKey::try_from).transpose()
    }

    async fn all(&self) -> Result<Vec<ServiceKey>, StoreError> {
        let rows: Vec<KeyRow> = repeatable!(self.database, connection => service_keys::table
            .order((service_keys::created_at.desc(), service_keys::id.desc()))
            .select(KeyRow::as_select())
            .load(connection))?;
        rows.into_iter().map(ServiceKey::try_from).collect()
    }

    async fn touch(&self, id: &ServiceKeyId, now: Timestamp) -> Result<(), StoreError> {
        let earlier = service_keys::last_used_at.is_null().or(service_keys::last_used_at.lt(now));
        repeatable!(self.database, connection => diesel::update(service_keys::table.find(id.as_str()))
            .filter(earlier.assume_not_null())
            .set(service_keys::last_used_at.eq(now))
            .execute(connection))?;
        Ok(())
    }
}

#[async_trait]
impl ServiceKeyRepository for PgUnitOfWork {
    async fn add(&mut self, key: &ServiceKey, digest: &ServiceKeyDigest) -> Result<(), StoreError> {
        let scopes: Vec<_> = key.scopes.as_slice().iter().map(|scope| scope.as_str()).collect();
        step!(self, connection => diesel::insert_into(service_keys::table)
            .values((
                service_keys::id.eq(key.id.as_str()),
                service_keys::name.eq(key.name.as_str()),
                service_keys::digest.eq(&digest.0[..]),
                service_keys::scopes.eq(scopes),
                service_keys::created_by.eq(key.created_by.as_str()),
                service_keys::created_at.eq(key.created_at),
            ))
            .execute(connection))?;
        Ok(())
    }

    async fn lock(&mut self, id: &ServiceKeyId) -> Result<Option<ServiceKey>, StoreError> {
        let row = step!(self, connection => service_keys::table
            .find(id.as_str())
            .select(KeyRow::as_select())
            .for_update()
            .first(connection)
            .map(OptionalExtension::optional))?;
        row.map(ServiceKey::try_from).transpose()
    }

    async fn revoke(&mut self, id: &ServiceKeyId, now: Timestamp) -> Result<(), StoreError> {
        step!(self, connection => diesel::update(service_keys::table.find(id.as_str()))
            .set(service_keys::revoked_at.eq(now))
            .execute(connection))?;
        Ok(())
    }
}
