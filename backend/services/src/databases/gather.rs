//! Gathers what the rules need to know about one wish.

use super::config::DatabaseConfig;
use super::evaluate::addresses_of;
use super::facts::{Authority, Facts, Holder, ProjectFact, RestoreFact};
use super::taken::Taken;
use crate::error::Doing;
use crate::view::View;
use crate::{Caller, Error, Given, HostCapacity, ImageState, Services};
use berth_domain::{
    Claim, Database, DatabaseId, Intent, Name, ProjectId, Scope, Slug, Timestamp, nearest,
};
use berth_store::{AddressUse, ProjectUse};
use std::collections::BTreeMap;

/// Names that are tried for a database that was given none.
const FREE_NAMES_TRIED_MAX: u32 = 1000;
/// Projects among which a near miss is looked for.
const PROJECTS_COMPARED_MAX: u32 = 1000;

/// What no row holds: asked before a transaction begins, so that nobody waits for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) host: Option<HostCapacity>,
    pub(crate) images: BTreeMap<(String, String), ImageState>,
}

impl Caller {
    /// What this caller may do in a project, as far as it changes an outcome; without one, in
    /// a project that it makes.
    pub(crate) fn authority_in(&self, project: Option<&ProjectId>) -> Authority {
        let allows = |scope| match project {
            Some(project) => self.allows_in(project, scope),
            None => self.scopes.allow(scope),
        };
        if allows(Scope::Unprotect) {
            Authority::Unprotects
        } else if allows(Scope::Write) {
            Authority::Writes
        } else {
            Authority::Plans
        }
    }
}

impl Services {
    /// Asks the world what it has.
    pub(crate) async fn world(&self) -> World {
        let mut images = BTreeMap::new();
        for engine in self.rules.engines.iter() {
            let name = berth_domain::EngineName::new(engine.name());
            for version in engine.versions() {
                let state = self.outside.image(&name, version.name).await;
                images.insert((engine.name().to_owned(), version.name.to_owned()), state);
            }
        }
        World {
            host: self.outside.host().await,
            images,
        }
    }
}

/// Gathers facts for one wish of one caller.
pub(crate) struct Gatherer<'a, 'v> {
    pub(crate) services: &'a Services,
    pub(crate) view: &'a mut View<'v>,
    pub(crate) caller: &'a Caller,
    pub(crate) world: &'a World,
    pub(crate) taken: &'a Taken,
    /// A database whose place the new one takes.
    pub(crate) replaces: Option<Database>,
    pub(crate) now: Timestamp,
}

impl Gatherer<'_, '_> {
    /// The facts for `config`, for a change of `row` or a create.
    pub(crate) async fn facts(
        mut self,
        row: Option<&Database>,
        config: &DatabaseConfig,
    ) -> Result<Facts, Error> {
        let mut facts = Facts::none(self.caller.authority_in(row.map(|row| &row.project_id)));
        facts.token = self.caller.token().cloned();
        facts.host = self.world.host;
        facts.images.clone_from(&self.world.images);
        if row.is_none() {
            facts.restore = self.restore(config).await?;
        }
        let base = match (&facts.restore, row) {
            (RestoreFact::Found(found), None) => Some((**found).clone()),
            _ => row.cloned(),
        };
        let restore_unknown = facts.restore == RestoreFact::Unknown;
        facts.project = self.project(base.as_ref(), config, restore_unknown).await?;
        if let ProjectFact::Found(project) = &facts.project {
            let project_id = project.id.clone();
            let slug = project.slug.clone();
            if row.is_none() {
                // What is brought back counts where it was, and comes back there.
                let counts = base.as_ref().map_or(&project_id, |base| &base.project_id);
                facts.authority = self.caller.authority_in(Some(counts));
            }
            self.names(&mut facts, base.as_ref(), config, &project_id, &slug)
                .await?;
        }
        self.shares(&mut facts, base.as_ref()).await?;
        facts.port_is_held = self.port_is_held(base.as_ref(), config);
        if let Some(base) = &base {
            facts.observation = self
                .view
                .observation(&base.id)
                .await
                .doing("read an observation")?;
        }
        Ok(facts)
    }

    /// Whether a stranger listens on the port that is wished for. Where a database of berth's
    /// has it that is the row itself, or stands in its way, nobody is asked.
    fn port_is_held(&self, base: Option<&Database>, config: &DatabaseConfig) -> bool {
        let Given::Value(port) = config.public_port else {
            return false;
        };
        let has = |row: &Database| row.public_port == Some(port);
        let own = base.is_some_and(has) || self.replaces.as_ref().is_some_and(has);
        !own && !self.services.outside.port_is_free(port)
    }

    async fn restore(&mut self, config: &DatabaseConfig) -> Result<RestoreFact, Error> {
        let asked = match &config.restore_from {
            Given::Absent | Given::Null => return Ok(RestoreFact::NotAsked),
            Given::Unknown => return Ok(RestoreFact::Unknown),
            Given::Value(asked) => asked,
        };
        let missing = || RestoreFact::Missing {
            asked: asked.chars().take(64).collect(),
        };
        let Ok(id) = DatabaseId::parse(asked) else {
            return Ok(missing());
        };
        let found = self
            .view
            .database_by_id(&id)
            .await
            .doing("look for a destroyed database")?;
        Ok(
            match found.filter(|row| self.caller.sees(&row.project_id)) {
                None => missing(),
                // A restore that was begun and never claimed is gone on with, and what is
                // destroyed before that is in the trash again.
                Some(row)
                    if row.is_living()
                        && (self.is_ours(&row)
                            || (self.is_replaced(&row) && row.claim != Claim::Claimed)) =>
                {
                    RestoreFact::Found(Box::new(Database {
                        intent: Intent::Destroy,
                        ..row
                    }))
                }
                Some(row) if row.is_living() => RestoreFact::Living(id),
                Some(row) if row.purged_at.is_some() => RestoreFact::Purged(id),
                Some(row) if row.recoverable_until.is_some_and(|until| until <= self.now) => {
                    RestoreFact::Purged(id)
                }
                Some(row) => RestoreFact::Found(Box::new(row)),
            },
        )
    }

    /// Whether a row goes before the new one comes.
    fn is_replaced(&self, row: &Database) -> bool {
        self.replaces.as_ref().is_some_and(|old| old.id == row.id)
    }

    /// Whether a row waits for this very caller to claim it.
    fn is_ours(&self, row: &Database) -> bool {
        matches!(&row.claim, Claim::Unclaimed { token, .. } if Some(token) == self.caller.token())
    }

    async fn project(
        &mut self,
        base: Option<&Database>,
        config: &DatabaseConfig,
        restore_unknown: bool,
    ) -> Result<ProjectFact, Error> {
        let given = match &config.project {
            Given::Unknown => return Ok(ProjectFact::Unknown),
            Given::Value(reference) => Some(reference.as_str()),
            Given::Absent | Given::Null if restore_unknown => return Ok(ProjectFact::Unknown),
            Given::Absent | Given::Null => None,
        };
        // The project of a destroyed database may be destroyed too; it comes back with it.
        let own = base.map(|row| row.project_id.clone());
        let found = match (given, own) {
            (Some(reference), own) => {
                let asks_own = own.as_ref().is_some_and(|id| id.as_str() == reference);
                if asks_own && let Some(own) = own {
                    self.view
                        .project_by_id(&own)
                        .await
                        .doing("read a project")?
                } else {
                    self.living_project(reference).await?
                }
            }
            (None, Some(own)) => self
                .view
                .project_by_id(&own)
                .await
                .doing("read a project")?,
            (None, None) => {
                let default = self.caller.home();
                self.view
                    .project_by_id(&default)
                    .await
                    .doing("read a project")?
            }
        };
        match found.filter(|project| self.caller.sees(&project.id)) {
            Some(project) => {
                self.caller.admitted(&project.id)?;
                Ok(ProjectFact::Found(Box::new(project)))
            }
            None => {
                let asked: String = given.unwrap_or("default").chars().take(64).collect();
                let nearest = self.nearest_project(&asked).await?;
                Ok(ProjectFact::Missing { asked, nearest })
            }
        }
    }

    async fn living_project(
        &mut self,
        reference: &str,
    ) -> Result<Option<berth_domain::Project>, Error> {
        find_project(self.view, reference).await
    }

    async fn nearest_project(&mut self, asked: &str) -> Result<Option<String>, Error> {
        let page = self
            .view
            .projects_page(&self.caller.reach(), None, PROJECTS_COMPARED_MAX)
            .await
            .doing("list projects")?;
        let names: Vec<&str> = page.rows.iter().map(|p| p.name.as_str()).collect();
        Ok(nearest(asked, names).map(str::to_owned))
    }

    async fn names(
        &mut self,
        facts: &mut Facts,
        base: Option<&Database>,
        config: &DatabaseConfig,
        project: &ProjectId,
        project_slug: &Slug,
    ) -> Result<(), Error> {
        let name = match &config.name {
            Given::Unknown => return Ok(()),
            Given::Value(text) => Name::parse(text).ok(),
            Given::Absent | Given::Null => match base {
                Some(row) => Some(row.name.clone()),
                None => {
                    facts.free_name = self.free_name(project, project_slug).await?;
                    facts.free_name.clone()
                }
            },
        };
        let Some(name) = name else { return Ok(()) };
        let ignored = |row: &Database, this: &Self| {
            base.is_some_and(|base| base.id == row.id) || this.is_replaced(row)
        };
        let found = self
            .view
            .databases_by_name(&name, Some(project))
            .await
            .doing("look for a name")?;
        for row in found {
            // What is replaced is not resumed, whoever ordered it.
            if self.is_replaced(&row) {
                continue;
            }
            if self.is_ours(&row) && base.is_none_or(|base| !base.is_living()) {
                facts.resumable = Some(Box::new(row));
            } else if !ignored(&row, self) {
                facts.name_holder = Some(Holder {
                    id: row.id,
                    name: row.name,
                });
            }
        }
        let new_slug = Slug::of(&name);
        let resumable = facts.resumable.as_ref().map(|row| row.id.clone());
        let old_slug = base.map_or_else(|| new_slug.clone(), |row| row.slug.clone());
        for (slug, is_new) in [(old_slug, false), (new_slug, true)] {
            let row = self
                .view
                .living_database_by_slug(project, &slug)
                .await
                .doing("look for a slug")?;
            let holder = row
                .filter(|row| !ignored(row, self) && Some(&row.id) != resumable.as_ref())
                .map(|row| Holder {
                    id: row.id,
                    name: row.name,
                });
            if is_new {
                facts.new_slug_holder = holder;
            } else {
                facts.slug_holder = holder;
            }
        }
        Ok(())
    }

    /// The project's slug, else with `-2`, `-3` and so on.
    async fn free_name(&mut self, project: &ProjectId, slug: &Slug) -> Result<Option<Name>, Error> {
        for number in 1..=FREE_NAMES_TRIED_MAX {
            let text = if number == 1 {
                slug.to_string()
            } else {
                format!("{slug}-{number}")
            };
            let Ok(name) = Name::parse(&text) else {
                return Ok(None);
            };
            let named = self
                .view
                .databases_by_name(&name, Some(project))
                .await
                .doing("look for a name")?;
            let slugged = self
                .view
                .living_database_by_slug(project, &Slug::of(&name))
                .await
                .doing("look for a slug")?;
            if named.is_empty() && slugged.is_none() {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// What the databases of a project have beside `own`.
    async fn project_use(
        &mut self,
        project: &ProjectId,
        own: &[(ProjectId, u32)],
    ) -> Result<ProjectUse, Error> {
        let mut others = self
            .view
            .project_use(project)
            .await
            .doing("add up what a project has")?;
        for (_, storage_gb) in own.iter().filter(|(of, _)| of == project) {
            others.databases = others.databases.saturating_sub(1);
            others.storage_gb = others.storage_gb.saturating_sub(u64::from(*storage_gb));
        }
        Ok(others)
    }

    /// The addresses that others than `own` take.
    async fn addresses(
        &mut self,
        project: &ProjectId,
        own: &[(ProjectId, (u32, u32))],
    ) -> Result<AddressUse, Error> {
        let all = self
            .view
            .address_use(project)
            .await
            .doing("count addresses")?;
        let (mut in_project, mut in_public) = (all.in_project, all.in_public);
        for (home, (of_project, of_public)) in own {
            if home == project {
                in_project = in_project.saturating_sub(*of_project);
            }
            in_public = in_public.saturating_sub(*of_public);
        }
        let taken = self.taken.in_projects.get(project);
        Ok(AddressUse {
            in_project: in_project + taken.copied().unwrap_or_default(),
            in_public: in_public + self.taken.in_public,
        })
    }

    /// What others have of the host and of its ports.
    async fn shares(&mut self, facts: &mut Facts, base: Option<&Database>) -> Result<(), Error> {
        let rules = &self.services.rules;
        let promised = self
            .view
            .promised_resources()
            .await
            .doing("add up what is promised")?;
        facts.memory_mb_promised = promised
            .iter()
            .map(|p| rules.memory_mb_of(&p.plan) * u64::from(p.count))
            .sum::<u64>()
            + self.taken.memory_mb;
        facts.ports_used = self
            .view
            .used_public_ports()
            .await
            .doing("list ports in use")?;
        let resumed = facts.resumable.as_deref();
        let living_base = base.filter(|row| row.is_living());
        let mut own: Vec<&Database> = Vec::new();
        for row in living_base
            .into_iter()
            .chain(self.replaces.as_ref())
            .chain(resumed)
        {
            if !own.iter().any(|seen| seen.id == row.id) {
                own.push(row);
            }
        }
        let mine: Vec<_> = own
            .iter()
            .map(|row| (row.project_id.clone(), row.storage_gb))
            .collect();
        facts.ports_awaited = self.taken.ports_awaited;
        let own_addresses: Vec<_> = own
            .iter()
            .map(|row| (row.project_id.clone(), addresses_of(row)))
            .collect();
        for row in own {
            let own = rules.memory_mb_of(&row.plan);
            facts.memory_mb_promised = facts.memory_mb_promised.saturating_sub(own);
            if let Some(port) = row.public_port {
                facts.ports_used.remove(&port);
            }
        }
        facts.ports_used.extend(&self.taken.ports);
        if let ProjectFact::Found(project) = &facts.project {
            facts.project_use = self.project_use(&project.id, &mine).await?;
            let planned = self.taken.projects.get(&project.id);
            facts.project_planned = planned.copied().unwrap_or_default();
            facts.quota_planned = self.taken.quotas.get(&project.id).copied();
            facts.addresses_used = self.addresses(&project.id, &own_addresses).await?;
        }
        Ok(())
    }
}

/// The living project of that id or name.
pub(crate) async fn find_project(
    view: &mut View<'_>,
    reference: &str,
) -> Result<Option<berth_domain::Project>, Error> {
    if let Ok(id) = ProjectId::parse(reference) {
        let found = view.project_by_id(&id).await.doing("read a project")?;
        return Ok(found.filter(|project| project.destroyed_at.is_none()));
    }
    match Name::parse(reference) {
        Ok(name) => view.project_by_name(&name).await.doing("read a project"),
        Err(_) => Ok(None),
    }
}
