//! The database that a project gets when its environment is first used.

use super::config::DatabaseConfig;
use super::create::ClaimManner;
use crate::error::Doing;
use crate::services::Begun;
use crate::{Caller, Error, Given, Services};
use berth_domain::{Project, ProjectId};
use berth_store::{DatabaseFilter, DatabaseRecord, Lifetime};

impl Services {
    /// Makes the first database of a project that wants that and never had one. It happens once
    /// in a project's life: what was destroyed does not come back empty. That it had one is told
    /// by the row of any, and once the last row is forgotten by a mark of the project's.
    pub(crate) async fn provision_on_first_use(
        &self,
        caller: &Caller,
        project: &Project,
    ) -> Result<(), Error> {
        let ever = every_database_of(&project.id);
        let had_one = |page: berth_store::Page<DatabaseRecord>| !page.rows.is_empty();
        let found = if project.auto_provision {
            let page = self.store.databases_page(&ever, None, 1).await;
            had_one(page.doing("look for a project's first database")?)
        } else {
            true
        };
        if found {
            return Ok(());
        }
        let world = self.world().await;
        let Begun::Write(mut writing) = self.begin::<DatabaseRecord>(caller, None).await? else {
            return Err(super::unkeyed());
        };
        // Another request may have done it meanwhile.
        let page = writing.tx.databases_page(&ever, None, 1).await;
        if had_one(page.doing("look for a project's first database")?) {
            return Ok(());
        }
        let now = writing.now;
        let is_first = writing
            .tx
            .mark_auto_provisioned(&project.id, now)
            .await
            .doing("write down that a project has its database")?;
        if !is_first {
            return Ok(());
        }
        let config = DatabaseConfig {
            project: Given::Value(project.id.to_string()),
            engine: Given::Value(self.rules.engines.of_projects().name().to_owned()),
            ..DatabaseConfig::default()
        };
        self.create_in(writing, &world, caller, &config, ClaimManner::AtOnce)
            .await
            .map(drop)
    }
}

fn every_database_of(project: &ProjectId) -> DatabaseFilter {
    DatabaseFilter {
        project: Some(project.clone()),
        lifetime: Lifetime::All,
        ..DatabaseFilter::default()
    }
}
