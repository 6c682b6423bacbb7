//! Which projects somebody reaches, as every question about rows is narrowed.

use berth_domain::{ProjectId, UserId};

/// Which projects somebody reaches; what is left out does not narrow.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Reach {
    /// This one only.
    pub project: Option<ProjectId>,
    /// Those that this person is a member of.
    pub member: Option<UserId>,
}

impl Reach {
    /// Every project.
    pub const ALL: Self = Self {
        project: None,
        member: None,
    };

    /// One project.
    pub fn of(project: ProjectId) -> Self {
        Self {
            project: Some(project),
            member: None,
        }
    }

    pub(crate) fn project_text(&self) -> &str {
        self.project.as_ref().map_or("", ProjectId::as_str)
    }

    pub(crate) fn member_text(&self) -> &str {
        self.member.as_ref().map_or("", UserId::as_str)
    }
}

/// The condition that a row's project is reached: its column, and the places of the two texts of
/// a [`Reach`].
macro_rules! reached {
    ($column:literal, $project:literal, $member:literal) => {
        concat!(
            "(",
            $project,
            " = '' OR ",
            $column,
            " = ",
            $project,
            ") AND (",
            $member,
            " = '' OR ",
            $column,
            " IN (SELECT project_members.project_id FROM project_members \
             WHERE project_members.user_id = ",
            $member,
            "))"
        )
    };
}
pub(crate) use reached;
