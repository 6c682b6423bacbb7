//! Data sources, ephemeral resources and functions.

use super::{Failure, Step, TestHost, accepted, checks, rules};
use crate::core_rules;
use crate::function::FunctionError;
use crate::object::Object;
use crate::server::{OpenedEphemeral, RenewedEphemeral};
use crate::value::Value;

impl TestHost {
    /// Looks a data source up, with null in what `attributes` leaves out.
    pub async fn read_data<'a>(
        &self,
        type_name: &str,
        attributes: impl IntoIterator<Item = (&'a str, Value)>,
    ) -> Step<Object> {
        const WHAT: &str = "data source";
        let entry = self.server.data_source(type_name)?;
        let config = super::completed(&entry.schema, attributes)?;
        let config = checks::sent(Some(&config), &entry.schema.ty())?;
        let server = &self.server;
        accepted(&server.validate_data_source(type_name, config.clone()).await)?;
        let (state, diagnostics) = server.read_data_source(type_name, config).await;
        accepted(&diagnostics)?;
        let state = checks::received(WHAT, state, &entry.schema.ty())?;
        let state = state.ok_or_else(|| Failure::broken(WHAT, "is null"))?;
        checks::storable(WHAT, &entry.schema.root, &state)?;
        Ok(state)
    }

    /// Opens an ephemeral resource, with null in what `attributes` leaves out. The result is
    /// an object, wholly known, and echoes the configuration.
    pub async fn open<'a>(
        &self,
        type_name: &str,
        attributes: impl IntoIterator<Item = (&'a str, Value)>,
    ) -> Step<OpenedEphemeral> {
        const WHAT: &str = "ephemeral result";
        let entry = self.server.ephemeral(type_name)?;
        let config = super::completed(&entry.schema, attributes)?;
        let sent = checks::sent(Some(&config), &entry.schema.ty())?;
        let server = &self.server;
        accepted(&server.validate_ephemeral(type_name, sent.clone()).await)?;
        let opened = server.open_ephemeral(type_name, sent).await;
        accepted(&opened.diagnostics)?;
        let result = checks::received(WHAT, opened.result.clone(), &entry.schema.ty())?;
        let result = result.ok_or_else(|| Failure::broken(WHAT, "is null"))?;
        checks::storable(WHAT, &entry.schema.root, &result)?;
        let root = &entry.schema.root;
        rules(WHAT, core_rules::plan_valid(root, None, &config, &result))?;
        Ok(opened)
    }

    /// Renews what was opened.
    pub async fn renew(&self, type_name: &str, private: &[u8]) -> Step<RenewedEphemeral> {
        let renewed = self.server.renew_ephemeral(type_name, private).await;
        accepted(&renewed.diagnostics)?;
        Ok(renewed)
    }

    /// Closes what was opened.
    pub async fn close(&self, type_name: &str, private: &[u8]) -> Step {
        accepted(&self.server.close_ephemeral(type_name, private).await)
    }

    /// Calls a function twice; both calls must give the same.
    pub fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, FunctionError> {
        let first = self.server.call_function(name, arguments.to_vec())?;
        let second = self.server.call_function(name, arguments.to_vec())?;
        if first != second {
            return Err(FunctionError::new(
                "The same arguments gave another result.",
            ));
        }
        Ok(first)
    }
}
