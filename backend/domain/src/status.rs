//! What is wanted, what was found, and what is told: three facts, the third derived.

use crate::Timestamp;

/// What is wanted of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// It runs.
    Run,
    /// It is stopped and keeps its data.
    Stop,
    /// It is stopped until somebody wants it: its pooler stays and holds its clients.
    Sleep,
    /// It is gone; its data waits in the trash until the window ends.
    Destroy,
}

impl Intent {
    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Stop => "stop",
            Self::Sleep => "sleep",
            Self::Destroy => "destroy",
        }
    }

    /// The intent for a word of the store.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Run, Self::Stop, Self::Sleep, Self::Destroy]
            .into_iter()
            .find(|i| i.as_str() == word)
    }
}

impl Intent {
    /// Why it is stopped, as a word on the wire; none when it is not.
    pub fn stop_reason(self) -> Option<&'static str> {
        match self {
            Self::Stop => Some("user"),
            Self::Sleep => Some("sleep"),
            Self::Run | Self::Destroy => None,
        }
    }
}

/// The five statuses of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is being made ready.
    Provisioning,
    /// It answers.
    Running,
    /// It is stopped and keeps its data.
    Stopped,
    /// It failed; the condition says how.
    Error,
    /// It is gone for its users; it may still be restored.
    Destroyed,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Provisioning,
        Self::Running,
        Self::Stopped,
        Self::Error,
        Self::Destroyed,
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Error => "error",
            Self::Destroyed => "destroyed",
        }
    }

    /// The status for a word of the store.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }
}

/// What was last seen of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// Nothing of it runs.
    Absent,
    /// It runs and does not answer yet.
    Starting,
    /// Engine and pooler answer in their own protocols.
    Ready,
    /// It is stopped.
    Stopped,
    /// It cannot go on.
    Failed {
        /// Why, for people.
        reason: String,
    },
    /// Nobody could be asked; what was last told stands.
    Unknown {
        /// The status that was told last.
        last: Status,
    },
}

/// The status that intent and observation amount to.
pub fn status(intent: Intent, observed: &Observed) -> Status {
    match (intent, observed) {
        (Intent::Destroy, _) => Status::Destroyed,
        // Silence is not failure: what was last known stands, with a condition beside it.
        (_, Observed::Unknown { last }) => *last,
        (_, Observed::Failed { .. }) => Status::Error,
        (_, Observed::Ready) => Status::Running,
        (_, Observed::Stopped) => Status::Stopped,
        (_, Observed::Starting | Observed::Absent) => Status::Provisioning,
    }
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody could be asked.
    Unknown,
}

impl Truth {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }

    /// The truth for a word of the store.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::True, Self::False, Self::Unknown]
            .into_iter()
            .find(|t| t.as_str() == word)
    }
}

/// One named fact beside the status, such as `Ready` or `DiskPressure`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its name, in camel case.
    pub kind: String,
    /// Whether it holds.
    pub truth: Truth,
    /// A word for programs, in camel case.
    pub reason: String,
    /// A sentence for people; never a secret.
    pub message: String,
    /// Since when it is so.
    pub since: Timestamp,
}

impl Condition {
    /// The kind that says whether clients are served.
    pub const READY: &'static str = "Ready";
    /// The kind that says that the public port is not for life yet.
    pub const PORT_MAY_CHANGE: &'static str = "PortMayChange";

    /// That `port` was drawn, not asked for, and that no client has been served there yet.
    pub fn port_may_change(port: u16, since: Timestamp) -> Self {
        Self {
            kind: Self::PORT_MAY_CHANGE.to_owned(),
            truth: Truth::True,
            reason: "NotPublishedYet".to_owned(),
            message: port_sentence(port),
            since,
        }
    }

    /// Whether it says that `port` may be replaced by another one.
    pub fn lets_change(&self, port: u16) -> bool {
        self.kind == Self::PORT_MAY_CHANGE && self.message == port_sentence(port)
    }
}

fn port_sentence(port: u16) -> String {
    format!(
        "the port {port} was drawn and is not published yet: if something else on this host has it, another one is drawn"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_leaves_the_status_as_it_was() {
        let silent = Observed::Unknown {
            last: Status::Running,
        };
        assert_eq!(status(Intent::Run, &silent), Status::Running);
        assert_eq!(status(Intent::Destroy, &silent), Status::Destroyed);
    }
}
