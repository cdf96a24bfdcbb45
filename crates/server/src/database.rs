//! The database to work on: the one that is named, or a private one in the data dir.

use subtle_local_postgres::{Cluster, Durability, Error, Options};
use subtle_persistence::PoolOptions;

use crate::data_dir;
use crate::failure::Failure;
use crate::settings::{DatabaseUrl, Settings};
use crate::wiring::WiringError;

const FOLDER: &str = "postgres";
const NAME: &str = "subtle";

/// A database, and the private PostgreSQL it is on, if it is ours. Dropping it leaves that, and stops it if nobody else uses it.
#[derive(Debug)]
pub(crate) struct Home {
    url: DatabaseUrl,
    cluster: Option<Cluster>,
}

impl Home {
    /// Starts the private PostgreSQL if no other is named. Blocks until it answers.
    pub(crate) fn open(settings: &Settings) -> Result<Self, Failure> {
        if let Some(url) = &settings.database_url {
            return Ok(Self { url: url.clone(), cluster: None });
        }
        data_dir::prepare(&settings.data_dir)?;
        let folder = settings.data_dir.join(FOLDER);
        let cluster = Cluster::start(&Options::new(folder, Durability::Durable))?;
        cluster.ensure_database(NAME)?;
        Ok(Self { url: DatabaseUrl::new(cluster.url(NAME)), cluster: Some(cluster) })
    }

    pub(crate) fn url(&self) -> &DatabaseUrl {
        &self.url
    }

    /// How to reach it.
    pub(crate) fn options(&self) -> Result<PoolOptions, WiringError> {
        Ok(PoolOptions::from_url(self.url.expose())?)
    }

    /// Whether it is the private one.
    pub(crate) fn is_embedded(&self) -> bool {
        self.cluster.is_some()
    }

    /// Leaves the private PostgreSQL.
    pub(crate) fn close(self) -> Result<(), Error> {
        self.cluster.map_or(Ok(()), Cluster::stop)
    }
}
