//! What has been promised to the living.

use crate::Error;
use crate::observations::read_observed_joined;
use crate::sql::{Fields, Link};
use berth_domain::{Intent, Observed, ProjectId, Status, status};
use std::collections::BTreeSet;

/// How many living databases have one plan and one storage size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promised {
    /// The plan.
    pub plan: String,
    /// Storage in GB, of each.
    pub storage_gb: u32,
    /// How many there are.
    pub count: u32,
}

/// What the living databases of one project have in all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProjectUse {
    /// How many they are.
    pub databases: u32,
    /// Their storage in GB.
    pub storage_gb: u64,
}

/// How many addresses the living databases take, which each engine and each pooler has one of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AddressUse {
    /// In the network of the project in question.
    pub in_project: u32,
    /// In the network on which all projects publish.
    pub in_public: u32,
}

reads! {
    /// The addresses that living databases take, in the network of a project and in the one
    /// that all projects share.
    fn address_use(project: &ProjectId) -> AddressUse;
    /// What the living databases of a project have in all.
    fn project_use(project: &ProjectId) -> ProjectUse;
    /// The plans and sizes of all living databases, counted.
    fn promised_resources() -> Vec<Promised>;
    /// How many living databases have a status. A status may stand there more than once.
    fn living_by_status() -> Vec<(Status, u32)>;
    /// The public ports of living databases; no two have the same.
    fn used_public_ports() -> BTreeSet<u16>;
    /// The public ports of destroyed databases that may still be restored: better left to them.
    fn kept_public_ports() -> BTreeSet<u16>;
}

async fn project_use(link: &mut Link<'_>, project: &ProjectId) -> Result<ProjectUse, Error> {
    let row = sql!(
        "project_use",
        "SELECT COUNT(*) AS living, CAST(COALESCE(SUM(storage_gb), 0) AS BIGINT) AS storage_gb \
         FROM databases WHERE project_id = $1 AND intent <> 'destroy'"
    )
    .bind(project.as_str())
    .optional(link)
    .await?;
    let Some(row) = row else {
        return Ok(ProjectUse::default());
    };
    let fields = Fields::of("databases", &row);
    Ok(ProjectUse {
        databases: fields.narrow("living")?,
        storage_gb: fields.narrow("storage_gb")?,
    })
}

async fn address_use(link: &mut Link<'_>, project: &ProjectId) -> Result<AddressUse, Error> {
    let row = sql!(
        "address_use",
        "SELECT COUNT(*) AS engines, COUNT(pooler) AS poolers, \
         (SELECT COUNT(*) FROM databases WHERE expose <> 0 AND intent <> 'destroy') AS exposed \
         FROM databases WHERE project_id = $1 AND intent <> 'destroy'"
    )
    .bind(project.as_str())
    .optional(link)
    .await?;
    let Some(row) = row else {
        return Ok(AddressUse::default());
    };
    let fields = Fields::of("databases", &row);
    let (engines, poolers): (u32, u32) = (fields.narrow("engines")?, fields.narrow("poolers")?);
    Ok(AddressUse {
        in_project: engines.saturating_add(poolers),
        in_public: fields.narrow("exposed")?,
    })
}

async fn promised_resources(link: &mut Link<'_>) -> Result<Vec<Promised>, Error> {
    sql!(
        "promised_resources",
        "SELECT plan, storage_gb, COUNT(*) AS living FROM databases WHERE intent <> 'destroy' \
         GROUP BY plan, storage_gb ORDER BY plan, storage_gb"
    )
    .each(link, |row| {
        let fields = Fields::of("databases", row);
        Ok(Promised {
            plan: fields.text("plan")?,
            storage_gb: fields.narrow("storage_gb")?,
            count: fields.narrow("living")?,
        })
    })
    .await
}

async fn living_by_status(link: &mut Link<'_>) -> Result<Vec<(Status, u32)>, Error> {
    // Of a failure the reason is left out: each has its own.
    sql!(
        "living_by_status",
        "SELECT databases.intent, observations.observed, CASE observations.observed \
         WHEN 'failed' THEN '' WHEN 'unknown' THEN observations.observed_detail END \
         AS observed_detail, COUNT(*) AS living FROM databases LEFT JOIN observations \
         ON observations.database_id = databases.id WHERE databases.intent <> 'destroy' \
         GROUP BY 1, 2, 3"
    )
    .each(link, |row| {
        let fields = Fields::of("databases", row);
        let intent = fields.word("intent", Intent::from_word)?;
        let observed = read_observed_joined(row)?.unwrap_or(Observed::Absent);
        Ok((status(intent, &observed), fields.narrow("living")?))
    })
    .await
}

async fn used_public_ports(link: &mut Link<'_>) -> Result<BTreeSet<u16>, Error> {
    sql!(
        "used_public_ports",
        "SELECT public_port FROM databases WHERE public_port IS NOT NULL AND intent <> 'destroy'"
    )
    .each(link, |row| {
        Fields::of("databases", row).narrow("public_port")
    })
    .await
    .map(BTreeSet::from_iter)
}

async fn kept_public_ports(link: &mut Link<'_>) -> Result<BTreeSet<u16>, Error> {
    sql!(
        "kept_public_ports",
        "SELECT public_port FROM databases WHERE public_port IS NOT NULL AND intent = 'destroy' \
         AND purged_at IS NULL"
    )
    .each(link, |row| {
        Fields::of("databases", row).narrow("public_port")
    })
    .await
    .map(BTreeSet::from_iter)
}
