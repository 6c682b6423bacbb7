//! The named steps of every operation, and which follows which; pure.

use berth_domain::{Intent, OperationKind};

/// The word that a new operation carries: whoever works on it first finds its first step.
pub const BEGIN: &str = "begin";

/// How long a step may wait for something to answer before that counts as a failed attempt.
pub(crate) const PATIENCE_SECONDS: u64 = 60;
/// The same for images, which may have to be built one after the other.
const IMAGES_PATIENCE_SECONDS: u64 = 7200;

/// One act on the way from what is to what is wanted. Each may be repeated, also after a
/// crash halfway through.
///
/// Provision, change, rotate and restore walk the same path, since each must end at the same
/// place: the current row. So an operation that superseded another one finishes its work too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// A password that is wanted and does not exist yet is made and stored.
    StoreCredentials,
    /// The engine learns of a new password, before the pooler does.
    SetVerifier,
    /// What runs is stopped, so that it starts anew.
    StopInstance,
    /// The images that it runs from are there: pulled or built where they are not.
    ObtainImages,
    /// The platform makes what runs match the row.
    EnsureInstance,
    /// The engine answers in its own protocol.
    AwaitEngine,
    /// The engine has the database, the login and its verifier.
    Bootstrap,
    /// The application's own login works, through the pooler where there is one.
    ProveLogin,
    /// Clients wait at the pooler, and those that use the engine come to an end.
    PausePooler,
    /// The engine is down; the pooler stands and holds whoever comes.
    HoldClients,
    /// The pooler lets its clients through again.
    ResumePooler,
    /// The instance is down, as wanted.
    AwaitStopped,
    /// What runs is taken away; the data goes to the trash.
    RemoveInstance,
    /// The data is removed for good.
    PurgeData,
    /// The result is written: a proven password becomes the current one, the observation
    /// tells the status, the operation has succeeded.
    Settle,
}

impl Step {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::StoreCredentials,
        Self::SetVerifier,
        Self::StopInstance,
        Self::ObtainImages,
        Self::EnsureInstance,
        Self::AwaitEngine,
        Self::Bootstrap,
        Self::ProveLogin,
        Self::PausePooler,
        Self::HoldClients,
        Self::ResumePooler,
        Self::AwaitStopped,
        Self::RemoveInstance,
        Self::PurgeData,
        Self::Settle,
    ];

    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StoreCredentials => "store_credentials",
            Self::SetVerifier => "set_verifier",
            Self::StopInstance => "stop_instance",
            Self::ObtainImages => "obtain_images",
            Self::EnsureInstance => "ensure_instance",
            Self::AwaitEngine => "await_engine",
            Self::Bootstrap => "bootstrap",
            Self::ProveLogin => "prove_login",
            Self::PausePooler => "pause_pooler",
            Self::HoldClients => "hold_clients",
            Self::ResumePooler => "resume_pooler",
            Self::AwaitStopped => "await_stopped",
            Self::RemoveInstance => "remove_instance",
            Self::PurgeData => "purge_data",
            Self::Settle => "settle",
        }
    }

    /// What a user reads while the step of such an operation is under way. Who sees something
    /// fall asleep or wake need not ask who has changed it.
    pub fn phase_of(self, kind: OperationKind, intent: Intent) -> &'static str {
        match (kind, self) {
            // That takes minutes, whatever it is for.
            (_, Self::ObtainImages) => self.phase(intent),
            (OperationKind::Sleep, _) => "falling_asleep",
            (OperationKind::Wake, _) => "waking",
            _ => self.phase(intent),
        }
    }

    fn phase(self, intent: Intent) -> &'static str {
        match self {
            Self::StoreCredentials => "queued",
            Self::SetVerifier => "rotating",
            Self::StopInstance => "stopping",
            Self::ObtainImages => "obtaining_image",
            Self::EnsureInstance if matches!(intent, Intent::Stop | Intent::Sleep) => "stopping",
            Self::EnsureInstance => "preparing",
            Self::AwaitEngine => "starting",
            Self::Bootstrap => "configuring",
            Self::ProveLogin => "verifying",
            Self::PausePooler | Self::HoldClients | Self::AwaitStopped => "stopping",
            Self::ResumePooler => "configuring",
            Self::RemoveInstance => "removing",
            Self::PurgeData => "purging",
            Self::Settle => "settling",
        }
    }

    /// How long an operation goes on with this step while it only has to wait, before that
    /// counts as a failed attempt.
    pub fn patience_seconds(self) -> u64 {
        match self {
            Self::ObtainImages => IMAGES_PATIENCE_SECONDS,
            _ => PATIENCE_SECONDS,
        }
    }

    /// The steps of an operation of that kind on a database that is wanted so.
    pub fn path(kind: OperationKind, intent: Intent) -> &'static [Self] {
        match (kind, intent) {
            (OperationKind::Destroy, _) => &[Self::RemoveInstance, Self::Settle],
            (OperationKind::Purge, _) => &[Self::PurgeData, Self::Settle],
            // Also what is made stopped needs its images: it is made, and its containers with it.
            (_, Intent::Stop) => &[
                Self::ObtainImages,
                Self::EnsureInstance,
                Self::AwaitStopped,
                Self::Settle,
            ],
            (_, Intent::Sleep) => &[
                Self::PausePooler,
                Self::EnsureInstance,
                Self::AwaitStopped,
                Self::HoldClients,
                Self::Settle,
            ],
            // A login that already works is changed in the engine first: while the two differ,
            // nobody gets in with a password that the engine would refuse.
            (OperationKind::Rotate, _) => &[
                Self::StoreCredentials,
                Self::SetVerifier,
                Self::ObtainImages,
                Self::EnsureInstance,
                Self::AwaitEngine,
                Self::Bootstrap,
                Self::ResumePooler,
                Self::ProveLogin,
                Self::Settle,
            ],
            (OperationKind::Restart, _) => &[
                Self::StoreCredentials,
                // Before the stop, which binds the instance to the images that are there.
                Self::ObtainImages,
                Self::StopInstance,
                Self::EnsureInstance,
                Self::AwaitEngine,
                Self::Bootstrap,
                Self::ResumePooler,
                Self::ProveLogin,
                Self::Settle,
            ],
            (
                OperationKind::Provision
                | OperationKind::Change
                | OperationKind::Sleep
                | OperationKind::Wake
                | OperationKind::Restore,
                _,
            ) => &[
                Self::StoreCredentials,
                Self::ObtainImages,
                Self::EnsureInstance,
                Self::AwaitEngine,
                Self::Bootstrap,
                Self::ResumePooler,
                Self::ProveLogin,
                Self::Settle,
            ],
        }
    }

    /// The step that an operation's word in the store means. A word that is none, or none of
    /// this path, begins again: every step may be repeated, and another version of this
    /// program may have named them otherwise.
    pub fn resume(word: &str, path: &'static [Self]) -> Self {
        path.iter()
            .copied()
            .find(|step| step.as_str() == word)
            .or_else(|| path.first().copied())
            .unwrap_or(Self::Settle)
    }

    /// Where to go on after this step failed. What does not answer may have gone meanwhile, so
    /// whatever relies on an instance begins with making it, which disturbs nothing that runs.
    pub fn again_from(self) -> Self {
        match self {
            Self::SetVerifier
            | Self::AwaitEngine
            | Self::Bootstrap
            | Self::ProveLogin
            | Self::HoldClients
            | Self::ResumePooler
            | Self::AwaitStopped => Self::EnsureInstance,
            Self::StoreCredentials
            | Self::PausePooler
            | Self::StopInstance
            | Self::ObtainImages
            | Self::EnsureInstance
            | Self::RemoveInstance
            | Self::PurgeData
            | Self::Settle => self,
        }
    }

    /// Whether it takes something away that somebody may want again.
    pub fn takes_away(self) -> bool {
        matches!(self, Self::RemoveInstance | Self::PurgeData)
    }

    /// The step after this one on `path`; none after the last.
    pub fn after(self, path: &'static [Self]) -> Option<Self> {
        let at = path.iter().position(|step| *step == self)?;
        path.get(at + 1).copied()
    }
}

/// How a step ends, when it does not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is done: on to the next one.
    Go,
    /// Nothing to do now; the step is to be repeated after that many milliseconds.
    Wait {
        /// How long.
        millis: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_on_some_path_and_every_path_settles_last() {
        let mut walked = std::collections::HashSet::<Step>::new();
        for kind in OperationKind::ALL {
            for intent in [Intent::Run, Intent::Stop, Intent::Sleep, Intent::Destroy] {
                let path = Step::path(kind, intent);
                assert_eq!(path.last(), Some(&Step::Settle), "{kind:?} {intent:?}");
                walked.extend(path.iter().copied());
            }
        }
        for step in Step::ALL {
            assert!(walked.contains(&step), "{step:?} is on no path");
        }
    }

    #[test]
    fn success_needs_a_proven_login() {
        for kind in [
            OperationKind::Provision,
            OperationKind::Change,
            OperationKind::Wake,
            OperationKind::Rotate,
            OperationKind::Restart,
            OperationKind::Restore,
        ] {
            let path = Step::path(kind, Intent::Run);
            assert_eq!(Step::ProveLogin.after(path), Some(Step::Settle), "{kind:?}");
        }
    }

    #[test]
    fn sleep_and_wake_are_told_apart_from_changes() {
        let phases = |kind, intent| {
            let path = Step::path(kind, intent).iter();
            path.filter(|step| **step != Step::ObtainImages)
                .map(|step| step.phase_of(kind, intent))
                .collect::<std::collections::BTreeSet<_>>()
        };
        let all = |word| std::collections::BTreeSet::from([word]);
        assert_eq!(
            phases(OperationKind::Sleep, Intent::Sleep),
            all("falling_asleep")
        );
        assert_eq!(phases(OperationKind::Wake, Intent::Run), all("waking"));
        assert!(phases(OperationKind::Change, Intent::Sleep).contains("stopping"));
        assert!(phases(OperationKind::Change, Intent::Run).contains("starting"));
    }

    #[test]
    fn an_operation_resumes_where_it_was_and_begins_when_that_is_unknown() {
        let path = Step::path(OperationKind::Provision, Intent::Run);
        assert_eq!(Step::resume("prove_login", path), Step::ProveLogin);
        assert_eq!(Step::resume(BEGIN, path), Step::StoreCredentials);
        // The intent changed under it: what was a step then is none now.
        let stop = Step::path(OperationKind::Change, Intent::Stop);
        assert_eq!(Step::resume("prove_login", stop), Step::ObtainImages);
    }
}
