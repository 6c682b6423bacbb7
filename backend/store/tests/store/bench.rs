//! A new store for each test, on each database.

use crate::cluster::Cluster;
use berth_domain::InstallationId;
use berth_store::{Error, Keys, Store};
use sqlx::{AnyConnection, Connection};
use tempfile::TempDir;

pub const ROOT_KEY: [u8; 32] = [0x5b; 32];

/// A new store and where it is.
pub struct Bench {
    pub url: String,
    pub store: Store,
    /// The directory of a SQLite file.
    pub directory: Option<TempDir>,
}

impl Bench {
    pub async fn sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", directory.path().join("berth.db").display());
        Self::at(url, Some(directory)).await
    }

    /// None where there is no server; the reason is printed.
    pub async fn postgresql() -> Option<Self> {
        let url = Cluster::shared()?.new_database();
        Some(Self::at(url, None).await)
    }

    async fn at(url: String, directory: Option<TempDir>) -> Self {
        let store = open(&url).await.unwrap();
        Self {
            url,
            store,
            directory,
        }
    }

    /// Closes the store and opens it again, as a restart does.
    pub async fn reopened(&self) -> Store {
        self.store.close().await;
        open(&self.url).await.unwrap()
    }

    /// Runs a statement behind the store's back.
    pub async fn tamper(&self, statement: &'static str) -> u64 {
        let mut conn = AnyConnection::connect(&self.url).await.unwrap();
        let touched = sqlx::query(statement).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        touched.rows_affected()
    }
}

pub async fn open(url: &str) -> Result<Store, Error> {
    Store::open(url, &installation(), Keys::from_root(ROOT_KEY)).await
}

/// Who opens a store here.
pub fn installation() -> InstallationId {
    InstallationId::from_entropy([0x1b; 4])
}

/// Writes one test for SQLite and the same for PostgreSQL.
macro_rules! on_both {
    ($(async fn $name:ident($bench:ident) $body:block)+) => {
        $(mod $name {
            #[allow(unused_imports)]
            use super::*;
            async fn check($bench: &$crate::bench::Bench) $body
            #[tokio::test]
            async fn sqlite() {
                check(&$crate::bench::Bench::sqlite().await).await;
            }
            #[tokio::test]
            async fn postgresql() {
                if let Some(bench) = $crate::bench::Bench::postgresql().await {
                    check(&bench).await;
                }
            }
        })+
    };
}
pub(crate) use on_both;
