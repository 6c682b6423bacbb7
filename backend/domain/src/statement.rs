//! What is said to an engine, as a value: engines describe it, platforms deliver it.

use crate::Secret;

/// What a statement amounts to, for a platform that has no engine to say it to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that a later login or question could notice.
    None,
    /// The login `username` and the logical database `database`, which it owns, exist.
    Login {
        /// The login.
        username: String,
        /// The logical database.
        database: String,
    },
    /// The login `username` is let in with the password that `verifier` was made from.
    Verifier {
        /// The login.
        username: String,
        /// What the password is checked against.
        verifier: Secret,
    },
}

/// What is done with the rows that a statement is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing, unless whoever asked reads them.
    Read,
    /// The first column of each holds a statement, which is said next.
    Said,
}

/// One statement in an engine's own language. It may hold a verifier, so its text is a
/// secret; errors and logs tell the act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    act: &'static str,
    text: Secret,
    answer: Answer,
    effect: Effect,
}

impl Statement {
    /// A statement that does `act`, such as `"rename the login"`.
    pub fn new(act: &'static str, text: impl Into<String>) -> Self {
        Self {
            act,
            text: Secret::new(text),
            answer: Answer::Read,
            effect: Effect::None,
        }
    }

    /// A question that is answered with the statements that do `act`; none where it is done
    /// already. For what an engine takes only by itself, and so under no condition.
    pub fn deciding(act: &'static str, question: impl Into<String>) -> Self {
        Self {
            answer: Answer::Said,
            ..Self::new(act, question)
        }
    }

    /// The same statement, known to amount to `effect`.
    #[must_use]
    pub fn with_effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// What it does, for errors and logs.
    pub fn act(&self) -> &'static str {
        self.act
    }

    /// The text to say.
    pub fn text(&self) -> &Secret {
        &self.text
    }

    /// What is done with its answer when it is run.
    pub fn answer(&self) -> Answer {
        self.answer
    }

    /// What it amounts to.
    pub fn effect(&self) -> &Effect {
        &self.effect
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_tells_the_act_and_not_the_text() {
        let told = format!("{:?}", Statement::new("set the verifier", "ALTER … 'x7'"));
        assert!(told.contains("set the verifier"));
        assert!(!told.contains("x7"));
    }
}
