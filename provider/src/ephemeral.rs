//! What exists for the time of one run and stands in no plan and no state.

pub mod database_credentials;
pub mod project_env;
pub mod token_secret;
