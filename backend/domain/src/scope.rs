//! What a token may do.

use std::collections::BTreeSet;

/// One right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Reads everything but secrets.
    Read,
    /// Reads, and asks for plans; writes nothing.
    Plan,
    /// Creates, changes, destroys into the trash.
    Write,
    /// Reads credentials.
    Credentials,
    /// Branches databases.
    Fork,
    /// Makes data unrecoverable: protection off, shorter windows, purge.
    Unprotect,
    /// Tokens, users and the installation; all other rights but `unprotect`, which is always
    /// given by its own name.
    Admin,
}

/// A word that names no scope or preset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{found}\" is not a {what}: use one of {known}")]
pub struct UnknownScope {
    /// What was looked for.
    pub what: &'static str,
    /// The word that was given.
    pub found: String,
    /// The words that exist.
    pub known: String,
}

impl Scope {
    /// All of them, from the least to the greatest.
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Plan,
        Self::Write,
        Self::Credentials,
        Self::Fork,
        Self::Unprotect,
        Self::Admin,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Plan => "plan",
            Self::Write => "write",
            Self::Credentials => "credentials",
            Self::Fork => "fork",
            Self::Unprotect => "unprotect",
            Self::Admin => "admin",
        }
    }

    /// The scope of that name.
    pub fn parse(word: &str) -> Result<Self, UnknownScope> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == word)
            .ok_or_else(|| UnknownScope {
                what: "scope",
                found: word.to_owned(),
                known: Self::ALL.map(Self::as_str).join(", "),
            })
    }
}

/// The rights of one token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// These and no others.
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(scopes.into_iter().collect())
    }

    /// Whether these rights cover `scope`: `admin` covers all but `unprotect`, `plan` and `write`
    /// cover `read`, `write` covers `plan`.
    pub fn allow(&self, scope: Scope) -> bool {
        let has = |s| self.0.contains(&s);
        has(scope)
            || match scope {
                Scope::Unprotect => false,
                Scope::Read => has(Scope::Admin) || has(Scope::Plan) || has(Scope::Write),
                Scope::Plan => has(Scope::Admin) || has(Scope::Write),
                _ => has(Scope::Admin),
            }
    }

    /// The first right of `others` that these do not cover; none when they cover all.
    pub fn lacking(&self, others: &Self) -> Option<Scope> {
        others.iter().find(|scope| !self.allow(*scope))
    }

    /// The scopes in order.
    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        self.0.iter().copied()
    }
}

/// A usual set of rights: `berthd token create --for …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// A pipeline that reviews.
    Plan,
    /// A pipeline that applies; what it destroys stays recoverable.
    Apply,
    /// An application that wants its credentials.
    Application,
    /// Everything.
    Admin,
}

impl Preset {
    const ALL: [(&'static str, Self); 4] = [
        ("plan", Self::Plan),
        ("apply", Self::Apply),
        ("application", Self::Application),
        ("admin", Self::Admin),
    ];

    /// The preset of that name.
    pub fn parse(word: &str) -> Result<Self, UnknownScope> {
        Self::ALL
            .into_iter()
            .find(|(name, _)| *name == word)
            .map(|(_, p)| p)
            .ok_or_else(|| UnknownScope {
                what: "preset",
                found: word.to_owned(),
                known: Self::ALL.map(|(name, _)| name).join(", "),
            })
    }

    /// The rights it stands for.
    pub fn scopes(self) -> Scopes {
        Scopes::of(match self {
            Self::Plan => vec![Scope::Read, Scope::Plan],
            Self::Apply => vec![Scope::Read, Scope::Plan, Scope::Write, Scope::Credentials],
            Self::Application => vec![Scope::Read, Scope::Credentials],
            Self::Admin => Scope::ALL.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipeline_cannot_make_data_unrecoverable() {
        let apply = Preset::Apply.scopes();
        assert!(
            apply.allow(Scope::Write)
                && apply.allow(Scope::Plan)
                && apply.allow(Scope::Credentials)
        );
        assert!(!apply.allow(Scope::Unprotect) && !apply.allow(Scope::Admin));
        assert!(!Preset::Plan.scopes().allow(Scope::Write));
        assert!(Preset::Admin.scopes().allow(Scope::Unprotect));
        // Whoever makes tokens does not thereby make data unrecoverable.
        let admin = Scopes::of([Scope::Admin]);
        for scope in Scope::ALL {
            assert_eq!(admin.allow(scope), scope != Scope::Unprotect, "{scope:?}");
        }
        assert_eq!(
            admin.lacking(&Preset::Admin.scopes()),
            Some(Scope::Unprotect)
        );
        assert_eq!(admin.lacking(&apply), None);
        assert_eq!(apply.lacking(&admin), Some(Scope::Admin));
    }
}
