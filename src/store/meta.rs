//! Facts about the store itself.

use super::{Connection, Store, StoreError};

const NODE: &str = "node";
const DEMO: &str = "demo";

impl Store {
    /// This store's node id, made once.
    pub fn node(&self) -> &str {
        &self.inner.node
    }

    /// Whether it was marked as a demo's.
    pub async fn is_demo(&self) -> Result<bool, StoreError> {
        self.bounded("is_demo", async {
            let mark: Option<String> = sqlx::query_scalar("SELECT value FROM meta WHERE name = $1")
                .bind(DEMO)
                .fetch_optional(self.readers())
                .await?;
            Ok(mark.is_some())
        })
        .await
    }

    /// Whether identity was never opened on it: no secret has been made, so nothing in it could be anybody's.
    pub async fn is_blank(&self) -> Result<bool, StoreError> {
        self.bounded("is_blank", async {
            let made: i64 = sqlx::query_scalar(
                "SELECT (SELECT COUNT(*) FROM named_secret) + (SELECT COUNT(*) FROM account)",
            )
            .fetch_one(self.readers())
            .await?;
            Ok(made == 0)
        })
        .await
    }

    /// Marks it as a demo's, for good.
    pub async fn mark_demo(&self) -> Result<(), StoreError> {
        self.bounded("mark_demo", async {
            let mut tx = self.begin().await?;
            set_once(&mut tx, DEMO, "1").await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    /// Whether the connections for reading and for writing answer now.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.bounded("ping", async {
            sqlx::query("SELECT 1").execute(self.readers()).await?;
            // Taking the write lock and letting it go costs no sync.
            Ok(self.begin().await?.rollback().await?)
        })
        .await
    }
}

/// Reads the node id, made at the first call.
pub(super) async fn ensure_node(connection: &mut Connection) -> Result<String, StoreError> {
    set_once(connection, NODE, &uuid::Uuid::new_v4().to_string()).await?;
    Ok(sqlx::query_scalar("SELECT value FROM meta WHERE name = $1")
        .bind(NODE)
        .fetch_one(connection)
        .await?)
}

async fn set_once(connection: &mut Connection, name: &str, value: &str) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(name)
        .bind(value)
        .execute(connection)
        .await?;
    Ok(())
}
