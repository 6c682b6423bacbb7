//! Who asks, and what that one may do. How far a token reaches is worked out here and nowhere
//! else: its scopes, the project it is bound to, and what its user is in each project.

use crate::{Code, Error};
use berth_domain::{Actor, ActorUser, ProjectId, Role, Scope, Scopes, Timestamp, TokenId, UserId};
use berth_store::{Bearer, Reach};
use std::collections::BTreeMap;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// As the journal will name it.
    pub actor: Actor,
    /// What its token may do; in a project its user's role narrows that.
    pub scopes: Scopes,
    /// The one project it may see; none is all of them.
    pub project: Option<ProjectId>,
    /// What its user is in which project; none for the installation's administrator, who is
    /// everything everywhere.
    pub roles: Option<BTreeMap<ProjectId, Role>>,
    /// When its token ends; none is never.
    pub ends: Option<Timestamp>,
    /// The right that the request at hand is about; checked again in each project it touches.
    pub asks: Option<Scope>,
}

impl Caller {
    /// The host's administrator, over the local socket: every right.
    pub fn local() -> Self {
        Self {
            actor: Actor::Local,
            scopes: Scopes::of(Scope::ALL),
            project: None,
            roles: None,
            ends: None,
            asks: None,
        }
    }

    /// Who bears a token; none where its user is gone, since a token outlives its user in lists
    /// only.
    pub(crate) fn of(bearer: &Bearer, address: Option<String>) -> Option<Self> {
        let Bearer {
            token,
            user_name,
            roles,
        } = bearer;
        let user = ActorUser {
            id: token.user_id.clone(),
            name: user_name.clone()?,
        };
        let is_administrator = user.id == UserId::administrator();
        Some(Self {
            actor: Actor::Token {
                id: token.id.clone(),
                name: token.name.clone(),
                user: Some(user),
                address,
            },
            scopes: token.scopes.clone(),
            project: token.project_id.clone(),
            roles: (!is_administrator).then(|| roles.clone()),
            ends: token.expires_at,
            asks: None,
        })
    }

    /// The same caller, for a request that is about a right.
    #[must_use]
    pub fn asking(self, scope: Scope) -> Self {
        Self {
            asks: Some(scope),
            ..self
        }
    }

    /// Refuses a caller without `scope`.
    pub fn need(&self, scope: Scope) -> Result<(), Error> {
        if self.scopes.allow(scope) {
            Ok(())
        } else {
            Err(Error::scope_missing(scope))
        }
    }

    /// Whether it plans and never applies: stand-ins for what it may not read do no harm then,
    /// which whoever applies would hand on in earnest.
    pub fn only_plans(&self) -> bool {
        self.scopes.allow(Scope::Plan) && !self.scopes.allow(Scope::Write)
    }

    /// Whether objects of `project` exist for this caller.
    pub fn sees(&self, project: &ProjectId) -> bool {
        let bound_elsewhere = self.project.as_ref().is_some_and(|own| own != project);
        let member = self
            .roles
            .as_ref()
            .is_none_or(|roles| roles.contains_key(project));
        !bound_elsewhere && member
    }

    /// What its user is in `project`; none where it sees nothing.
    pub fn role_in(&self, project: &ProjectId) -> Option<Role> {
        if !self.sees(project) {
            return None;
        }
        match &self.roles {
            None => Some(Role::Owner),
            Some(roles) => roles.get(project).copied(),
        }
    }

    /// Whether it may do that in `project`: its token may, and so may its user there.
    pub fn allows_in(&self, project: &ProjectId, scope: Scope) -> bool {
        self.scopes.allow(scope)
            && self
                .role_in(project)
                .is_some_and(|role| role.scopes().allow(scope))
    }

    /// Refuses a caller whose token or whose user's role in `project` lacks `scope`.
    pub fn need_in(&self, project: &ProjectId, scope: Scope) -> Result<(), Error> {
        self.need(scope)?;
        if self.allows_in(project, scope) {
            return Ok(());
        }
        let role = self.role_in(project).map_or("no member", Role::as_str);
        Err(Error::refused(
            Code::RoleMissing,
            format!(
                "The user of this token is {role} in {project}: \"{}\" needs {} there",
                scope.as_str(),
                Role::least_for(scope).as_str()
            ),
        ))
    }

    /// Refuses the request at hand in a project where its user may not do what it is about.
    pub(crate) fn admitted(&self, project: &ProjectId) -> Result<(), Error> {
        match self.asks {
            Some(scope) => self.need_in(project, scope),
            None => Ok(()),
        }
    }

    /// Which rows a list shows.
    pub fn reach(&self) -> Reach {
        Reach {
            project: self.project.clone(),
            member: self.roles.as_ref().map(|_| self.user()),
        }
    }

    /// The same, narrowed to a project that it sees.
    pub(crate) fn reach_within(&self, project: Option<ProjectId>) -> Reach {
        let reach = self.reach();
        Reach {
            project: project.or(reach.project),
            ..reach
        }
    }

    /// Whether it may see and change everything of the installation, as far as its scopes go.
    pub fn is_administrator(&self) -> bool {
        self.project.is_none() && self.roles.is_none()
    }

    /// The project of an order that names none: the only one it sees, or the default one.
    pub(crate) fn home(&self) -> ProjectId {
        let only = self
            .roles
            .as_ref()
            .filter(|roles| roles.len() == 1)
            .and_then(|roles| roles.keys().next());
        self.project
            .as_ref()
            .or(only)
            .cloned()
            .unwrap_or_else(ProjectId::default_project)
    }

    /// The person who asks.
    pub fn user(&self) -> UserId {
        match &self.actor {
            Actor::Token {
                user: Some(user), ..
            } => user.id.clone(),
            Actor::Token { user: None, .. } | Actor::System | Actor::Local => {
                UserId::administrator()
            }
        }
    }

    /// The token that asks; none over the local socket.
    pub fn token(&self) -> Option<&TokenId> {
        match &self.actor {
            Actor::Token { id, .. } => Some(id),
            Actor::System | Actor::Local => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn project(number: u8) -> ProjectId {
        ProjectId::from_entropy([number; 8])
    }

    fn caller(scopes: Scopes, bound: Option<u8>, roles: Option<BTreeMap<u8, Role>>) -> Caller {
        Caller {
            actor: Actor::Token {
                id: TokenId::from_entropy([1; 8]),
                name: "t".to_owned(),
                user: Some(ActorUser {
                    id: UserId::from_entropy([2; 8]),
                    name: "ada".to_owned(),
                }),
                address: None,
            },
            scopes,
            project: bound.map(project),
            roles: roles.map(|roles| roles.into_iter().map(|(p, r)| (project(p), r)).collect()),
            ends: None,
            asks: None,
        }
    }

    fn scopes() -> impl Strategy<Value = Scopes> {
        prop::sample::subsequence(Scope::ALL.to_vec(), 0..=Scope::ALL.len()).prop_map(Scopes::of)
    }

    fn roles() -> impl Strategy<Value = Option<BTreeMap<u8, Role>>> {
        let role = prop::sample::select(Role::ALL.to_vec());
        prop::option::of(prop::collection::btree_map(0_u8..4, role, 0..4))
    }

    proptest! {
        #[test]
        fn a_reach_is_no_more_than_each_of_its_parts(
            scopes in scopes(), bound in prop::option::of(0_u8..4), roles in roles(), at in 0_u8..4,
        ) {
            let caller = caller(scopes.clone(), bound, roles.clone());
            let member = roles.as_ref().map(|roles| roles.get(&at).copied());
            for scope in Scope::ALL {
                let expected = scopes.allow(scope)
                    && bound.is_none_or(|bound| bound == at)
                    && match member {
                        None => true,
                        Some(None) => false,
                        Some(Some(role)) => role.scopes().allow(scope),
                    };
                prop_assert_eq!(caller.allows_in(&project(at), scope), expected);
                prop_assert_eq!(caller.need_in(&project(at), scope).is_ok(), expected);
            }
        }
    }

    #[test]
    fn what_names_no_project_goes_where_there_is_no_choice() {
        let home = |bound, roles: Option<BTreeMap<u8, Role>>| {
            caller(Scopes::of([Scope::Write]), bound, roles).home()
        };
        assert_eq!(home(None, None), ProjectId::default_project());
        assert_eq!(home(Some(1), None), project(1));
        let one = BTreeMap::from([(2, Role::Editor)]);
        assert_eq!(home(None, Some(one.clone())), project(2));
        let two = BTreeMap::from([(2, Role::Editor), (3, Role::Editor)]);
        assert_eq!(home(None, Some(two)), ProjectId::default_project());
        assert_eq!(home(Some(3), Some(one)), project(3));
    }
}
