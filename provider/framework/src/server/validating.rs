//! Validation: everything that is certainly wrong with a configuration, all at once.

use super::ProviderServer;
use super::finish::object_of;
use super::run::run_unlimited;
use crate::diagnostics::{Diagnostic, Diagnostics, Outcome};
use crate::object::Object;
use crate::path::Path;
use crate::resource::ClientCapabilities;
use crate::schema::{Attribute, AttributeKind, Block, Nesting, Schema};
use crate::validate::Rule;
use crate::value::Value;

impl ProviderServer {
    /// Checks the configuration of a managed resource.
    pub async fn validate_resource(
        &self,
        type_name: &str,
        config: Value,
        capabilities: ClientCapabilities,
    ) -> Diagnostics {
        let check = async {
            let entry = self.resource(type_name)?;
            let write_only = capabilities.write_only_attributes_allowed;
            let (config, mut diagnostics) =
                checked(&entry.schema, &entry.rules, config, write_only)?;
            let author = entry.resource.validate(&config, &mut diagnostics);
            told(run_unlimited("validate", author).await, diagnostics)
        };
        check.await.unwrap_or_else(|errors| errors)
    }

    /// Checks the configuration of a data source.
    pub async fn validate_data_source(&self, type_name: &str, config: Value) -> Diagnostics {
        let check = async {
            let entry = self.data_source(type_name)?;
            let (config, mut diagnostics) = checked(&entry.schema, &entry.rules, config, true)?;
            let author = entry.data_source.validate(&config, &mut diagnostics);
            told(run_unlimited("validate", author).await, diagnostics)
        };
        check.await.unwrap_or_else(|errors| errors)
    }

    /// Checks the configuration of an ephemeral resource.
    pub async fn validate_ephemeral(&self, type_name: &str, config: Value) -> Diagnostics {
        let check = async {
            let entry = self.ephemeral(type_name)?;
            let (config, mut diagnostics) = checked(&entry.schema, &entry.rules, config, true)?;
            let author = entry.ephemeral.validate(&config, &mut diagnostics);
            told(run_unlimited("validate", author).await, diagnostics)
        };
        check.await.unwrap_or_else(|errors| errors)
    }

    /// Checks the configuration of the provider.
    pub async fn validate_provider(&self, config: Value) -> Diagnostics {
        let check = async {
            let catalogue = self.catalogue();
            let (schema, rules) = (&catalogue.provider, &catalogue.provider_rules);
            let (config, mut diagnostics) = checked(schema, rules, config, true)?;
            let author = self.provider.validate(&config, &mut diagnostics);
            told(run_unlimited("validate", author).await, diagnostics)
        };
        check.await.unwrap_or_else(|errors| errors)
    }
}

/// What the author's own check added to the diagnostics, or that it panicked, which takes
/// nothing away from what was found before.
fn told(ran: Outcome, mut diagnostics: Diagnostics) -> Outcome<Diagnostics> {
    if let Err(panicked) = ran {
        diagnostics.append(panicked);
    }
    Ok(diagnostics)
}

/// The configuration as an object, and what schema and rules find wrong with it.
fn checked(
    schema: &Schema,
    rules: &[Rule],
    config: Value,
    write_only_allowed: bool,
) -> Outcome<(Object, Diagnostics)> {
    let config =
        object_of(config, "configuration")?.unwrap_or_else(|| Object::null(schema.object_type()));
    let mut walk = Walk {
        write_only_allowed,
        diagnostics: Diagnostics::new(),
    };
    walk.block(&schema.root, &config, &Path::root());
    let mut diagnostics = walk.diagnostics;
    rules
        .iter()
        .for_each(|rule| rule.check(&config, &mut diagnostics));
    if let Some(advice) = &schema.root.deprecation {
        diagnostics.push(Diagnostic::warning("Deprecated", advice.clone()));
    }
    Ok((config, diagnostics))
}

struct Walk {
    write_only_allowed: bool,
    diagnostics: Diagnostics,
}

impl Walk {
    fn block(&mut self, block: &Block, config: &Object, path: &Path) {
        for attribute in &block.attributes {
            if let Ok(value) = config.get(&attribute.name) {
                self.attribute(attribute, value, path);
            }
        }
        for nested in &block.blocks {
            let Ok(value) = config.get(&nested.name) else {
                continue;
            };
            if value.is_null() || value.children().next().is_none() {
                continue;
            }
            let path = path.attribute(&nested.name);
            self.nested(nested.nesting, &nested.block, value, &path);
            if let Some(advice) = &nested.block.deprecation {
                self.diagnostics
                    .warning_at(&path, "Deprecated block", advice.clone());
            }
        }
    }

    fn attribute(&mut self, attribute: &Attribute, value: &Value, parent: &Path) {
        if value.is_null() {
            if attribute.required {
                let detail = format!("{} must have a value.", attribute.name);
                let path = parent.attribute(&attribute.name);
                self.diagnostics
                    .error_at(&path, "Missing required value", detail);
            }
            return;
        }
        let read_only = !attribute.required && !attribute.optional;
        let plain = matches!(attribute.kind, AttributeKind::Plain(_));
        if plain
            && !read_only
            && !attribute.write_only
            && attribute.validators.is_empty()
            && attribute.deprecation.is_none()
        {
            return;
        }
        let path = parent.attribute(&attribute.name);
        if read_only {
            let detail = format!(
                "{} is decided by the provider and cannot be configured.",
                attribute.name
            );
            self.diagnostics
                .error_at(&path, "Read-only attribute", detail);
            return;
        }
        if attribute.write_only && !self.write_only_allowed {
            let detail = format!(
                "{} is write-only, which this version of the client does not support: it would \
                 store the value. Use a later version, or leave the attribute out.",
                attribute.name
            );
            self.diagnostics
                .error_at(&path, "Write-only attribute not supported", detail);
        }
        if value.is_set() {
            for validator in &attribute.validators {
                validator.run(&path, value, &mut self.diagnostics);
            }
        }
        if let AttributeKind::Nested(nesting, block) = &attribute.kind {
            self.nested(*nesting, block, value, &path);
        }
        if let Some(advice) = attribute.deprecation.as_ref().filter(|_| value.is_set()) {
            self.diagnostics
                .warning_at(&path, "Deprecated attribute", advice.clone());
        }
    }

    fn nested(&mut self, nesting: Nesting, block: &Block, value: &Value, path: &Path) {
        match (nesting, value) {
            (Nesting::Single, Value::Object(object)) => self.block(block, object, path),
            (Nesting::List, Value::List(elements)) => {
                for (index, element) in elements.iter().enumerate() {
                    self.element(block, element, &path.index(index));
                }
            }
            (Nesting::Set, Value::Set(set)) => {
                for element in set.iter() {
                    self.element(block, element, &path.set_element());
                }
            }
            (Nesting::Map, Value::Map(map)) => {
                for (key, element) in map {
                    self.element(block, element, &path.key(key));
                }
            }
            _ => {}
        }
    }

    fn element(&mut self, block: &Block, element: &Value, path: &Path) {
        if let Value::Object(object) = element {
            self.block(block, object, path);
        }
    }
}
