//! What is read, from the store or from the transaction that is about to write.

use berth_domain::{
    Database, DatabaseId, EnvVariable, Member, Name, Observation, Project, ProjectId, Slug, User,
    UserId,
};
use berth_store::{
    AddressUse, CredentialVersion, DatabaseFilter, DatabaseRecord, Error, Page, ProjectUse,
    Promised, Reach, Store, Tx,
};
use std::collections::BTreeSet;

/// Where facts come from: a plan reads the store, an apply its own transaction.
pub(crate) enum View<'a> {
    Store(&'a Store),
    Tx(&'a mut Tx),
}

macro_rules! views {
    ($(fn $name:ident($($arg:ident: $ty:ty),* $(,)?) -> $ret:ty;)+) => {
        impl View<'_> {
            $(pub(crate) async fn $name(&mut self, $($arg: $ty),*) -> Result<$ret, Error> {
                match self {
                    Self::Store(store) => store.$name($($arg),*).await,
                    Self::Tx(tx) => tx.$name($($arg),*).await,
                }
            })+
        }
    };
}

views! {
    fn project_by_id(id: &ProjectId) -> Option<Project>;
    fn project_by_name(name: &Name) -> Option<Project>;
    fn living_project_by_slug(slug: &Slug) -> Option<Project>;
    fn projects_page(reach: &Reach, after: Option<&ProjectId>, limit: u32) -> Page<Project>;
    fn database_by_id(id: &DatabaseId) -> Option<Database>;
    fn database_record(id: &DatabaseId) -> Option<DatabaseRecord>;
    fn databases_by_name(name: &Name, project: Option<&ProjectId>) -> Vec<Database>;
    fn living_database_by_slug(project: &ProjectId, slug: &Slug) -> Option<Database>;
    fn databases_page(filter: &DatabaseFilter, after: Option<&DatabaseId>, limit: u32) -> Page<DatabaseRecord>;
    fn project_use(project: &ProjectId) -> ProjectUse;
    fn promised_resources() -> Vec<Promised>;
    fn address_use(project: &ProjectId) -> AddressUse;
    fn used_public_ports() -> BTreeSet<u16>;
    fn user_by_id(id: &UserId) -> Option<User>;
    fn user_by_name(name: &str) -> Option<User>;
    fn observation(id: &DatabaseId) -> Option<Observation>;
    fn credentials(id: &DatabaseId) -> Vec<CredentialVersion>;
    fn env_variables(project: &ProjectId) -> Vec<EnvVariable>;
    fn destroyed_project_by_name(name: &Name) -> Option<Project>;
    fn members_page(project: &ProjectId, after: Option<&UserId>, limit: u32) -> Page<Member>;
}
