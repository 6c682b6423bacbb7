//! One page in Markdown.

use std::fmt::Write as _;
use std::time::Duration;

use berth_plugin::provider::Provider;
use berth_plugin::schema::{Attribute, AttributeKind, Block, Nesting, Schema};
use berth_plugin::timeouts::{BLOCK_NAME, Operation, Timeouts};
use berth_plugin::types::Type;

use super::example;
use super::facts::{CHANGES, IMPORTED, IMPORTS, VARIABLES};
use crate::convert::json_of;
use crate::provider::Berth;

const WRITTEN: &str = "<!-- Rendered from the schemas. After a change of one: \
    BERTH_UPDATE=1 cargo test -p terraform-provider-berth reference -->\n\n";

/// What a page is about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Resource,
    Data,
    Ephemeral,
}

impl Kind {
    fn title(self) -> &'static str {
        match self {
            Self::Resource => "Resource",
            Self::Data => "Data source",
            Self::Ephemeral => "Ephemeral resource",
        }
    }

    pub fn file(self, type_name: &str) -> String {
        let kind = match self {
            Self::Resource => "resource",
            Self::Data => "data",
            Self::Ephemeral => "ephemeral",
        };
        let name = type_name.strip_prefix("berth_").unwrap_or(type_name);
        format!("{kind}-{}.md", name.replace('_', "-"))
    }

    fn example(self, type_name: &str) -> String {
        example(&match self {
            Self::Resource => format!("resources/{type_name}/resource.tf"),
            Self::Data => format!("data-sources/{type_name}/data-source.tf"),
            Self::Ephemeral => format!("ephemeral-resources/{type_name}/ephemeral-resource.tf"),
        })
    }
}

/// The page of one resource, data source or ephemeral resource.
pub fn of(kind: Kind, name: &str, schema: &Schema, limits: Option<&Timeouts>) -> String {
    let mut text = WRITTEN.to_owned();
    let about = schema.root().markdown();
    writeln!(text, "# {} `{name}`\n\n{about}\n", kind.title()).unwrap();
    writeln!(text, "```hcl\n{}\n```\n", kind.example(name).trim()).unwrap();
    let changes = (kind == Kind::Resource).then_some(name);
    level(&mut text, schema.root(), changes);
    if let Some(limits) = limits {
        timeouts(&mut text, schema.root(), limits);
        imports(&mut text, name);
    }
    finished(text)
}

/// Exactly one end of line at the end.
fn finished(text: String) -> String {
    format!("{}\n", text.trim_end())
}

fn is_given(attribute: &Attribute) -> bool {
    attribute.is_required() || attribute.is_optional()
}

/// The attributes of the top level, and below them those of the objects in it.
fn level(text: &mut String, block: &Block, changes: Option<&str>) {
    let (given, told): (Vec<_>, Vec<_>) = block.attributes().iter().partition(|a| is_given(a));
    if !given.is_empty() {
        text.push_str("## Arguments\n\n");
        arguments(text, &given, changes);
    }
    if !told.is_empty() {
        text.push_str("## Attributes\n\n");
        attributes(text, &told);
    }
    for attribute in block.attributes() {
        nested(text, attribute, attribute.name());
    }
}

fn arguments(text: &mut String, given: &[&Attribute], changes: Option<&str>) {
    let mut required_first = given.to_vec();
    required_first.sort_by_key(|attribute| !attribute.is_required());
    text.push_str("| argument | type | given | what it says |");
    text.push_str(changes.map_or("\n", |_| " a change |\n"));
    text.push_str("|---|---|---|---|");
    text.push_str(changes.map_or("\n", |_| "---|\n"));
    for attribute in required_first {
        row(text, attribute, &presence(attribute));
        if let Some(type_name) = changes {
            write!(text, " {} |", change(type_name, attribute)).unwrap();
        }
        text.push('\n');
    }
    text.push('\n');
}

fn row(text: &mut String, attribute: &Attribute, presence: &str) {
    let about = attribute.markdown().replace('|', "\\|");
    write!(
        text,
        "| `{}` | {} | {presence} | {about} |",
        attribute.name(),
        type_of(attribute)
    )
    .unwrap();
}

fn attributes(text: &mut String, told: &[&Attribute]) {
    text.push_str("| attribute | type | what it tells |\n|---|---|---|\n");
    for attribute in told {
        let sensitive = match attribute.is_sensitive() {
            true => " Sensitive.",
            false => "",
        };
        writeln!(
            text,
            "| `{}` | {} | {}{sensitive} |",
            attribute.name(),
            type_of(attribute),
            attribute.markdown().replace('|', "\\|")
        )
        .unwrap();
    }
    text.push('\n');
}

fn nested(text: &mut String, attribute: &Attribute, path: &str) {
    let AttributeKind::Nested(_, block) = attribute.kind() else {
        return;
    };
    writeln!(text, "### `{path}`\n").unwrap();
    let all: Vec<_> = block.attributes().iter().collect();
    if all.iter().any(|attribute| is_given(attribute)) {
        arguments(text, &all, None);
    } else {
        attributes(text, &all);
    }
    for inner in all {
        nested(text, inner, &format!("{path}.{}", inner.name()));
    }
}

fn presence(attribute: &Attribute) -> String {
    let mut words = vec![match attribute.default_value().and_then(json_of) {
        _ if attribute.is_required() => "required".to_owned(),
        _ if !attribute.is_optional() => "told".to_owned(),
        Some(value) => format!("optional; `{value}`"),
        None if attribute.is_computed() => "optional; told when left out".to_owned(),
        None => "optional".to_owned(),
    }];
    if attribute.is_sensitive() {
        words.push("sensitive".to_owned());
    }
    if attribute.is_write_only() {
        words.push("write-only".to_owned());
    }
    words.join("; ")
}

fn change(type_name: &str, attribute: &Attribute) -> &'static str {
    let known = CHANGES
        .iter()
        .find(|(of, name, _)| *of == type_name && *name == attribute.name());
    match known {
        Some((_, _, what)) => what,
        None if attribute
            .modifier_names()
            .any(|name| name == "requires_replace") =>
        {
            "makes another one"
        }
        None => "in place",
    }
}

fn type_of(attribute: &Attribute) -> String {
    match attribute.kind() {
        AttributeKind::Plain(ty) => word(ty),
        AttributeKind::Nested(Nesting::Single, _) => "object".to_owned(),
        AttributeKind::Nested(Nesting::List, _) => "list of objects".to_owned(),
        AttributeKind::Nested(Nesting::Set, _) => "set of objects".to_owned(),
        AttributeKind::Nested(Nesting::Map, _) => "map of objects".to_owned(),
    }
}

fn word(ty: &Type) -> String {
    match ty {
        Type::Dynamic => "any".to_owned(),
        Type::Bool => "bool".to_owned(),
        Type::Number => "number".to_owned(),
        Type::String => "string".to_owned(),
        Type::List(element) => format!("list of {}", word(element)),
        Type::Set(element) => format!("set of {}", word(element)),
        Type::Map(element) => format!("map of {}", word(element)),
        Type::Object(_) | Type::Tuple(_) => "object".to_owned(),
    }
}

fn timeouts(text: &mut String, block: &Block, limits: &Timeouts) {
    let all = [
        Operation::Create,
        Operation::Read,
        Operation::Update,
        Operation::Delete,
    ];
    text.push_str("## Timeouts\n\n");
    let offered = block.blocks().iter().find(|it| it.name() == BLOCK_NAME);
    text.push_str(match offered {
        Some(_) => {
            "How long an operation may take, in a block `timeouts`: numbers with the units `h`, \
             `m`, `s`, such as `90s` or `1h30m`. `read` is also the limit of plan and import.\n\n"
        }
        None => "There is no block `timeouts`; each operation has a fixed limit.\n\n",
    });
    text.push_str("| operation | limit |\n|---|---|\n");
    for operation in all {
        let limit = minutes(limits.limit(operation, None));
        writeln!(text, "| `{}` | {limit} |", operation.name()).unwrap();
    }
    text.push('\n');
    let missing = all.iter().filter(|operation| {
        offered.is_some_and(|it| it.content().attribute(operation.name()).is_none())
    });
    assert_eq!(
        missing.count(),
        0,
        "the block offers every operation or is absent"
    );
}

fn minutes(limit: Duration) -> String {
    match limit.as_secs() {
        seconds if seconds % 60 == 0 => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} seconds"),
    }
}

fn imports(text: &mut String, name: &str) {
    let (_, forms) = IMPORTS.iter().find(|(of, _)| *of == name).unwrap();
    text.push_str("## Import\n\nNamed by\n\n");
    for form in *forms {
        writeln!(text, "- {form}").unwrap();
    }
    if let Some((_, note)) = IMPORTED.iter().find(|(of, _)| *of == name) {
        writeln!(text, "\n{note}").unwrap();
    }
    let command = example(&format!("resources/{name}/import.sh"));
    let line = command
        .lines()
        .find(|line| line.starts_with("terraform import"));
    let words: Vec<_> = line.unwrap().split_whitespace().collect();
    let (to, id) = (words[2], words[3]);
    writeln!(text, "\n```sh\n{}\n```\n", command.trim()).unwrap();
    writeln!(
        text,
        "```hcl\nimport {{\n  to = {to}\n  id = \"{id}\"\n}}\n```"
    )
    .unwrap();
}

/// The first page: the provider block, its variables, and what there is.
pub fn index(berth: &Berth, offers: &[(Kind, String, Schema)]) -> String {
    let mut text = WRITTEN.to_owned();
    let schema = berth.schema();
    writeln!(
        text,
        "# The provider `berth`\n\n{} For a whole configuration see \
         [examples/quickstart](../../../examples/quickstart/main.tf).\n",
        schema.root().markdown()
    )
    .unwrap();
    for kind in [Kind::Resource, Kind::Data, Kind::Ephemeral] {
        offered(&mut text, kind, offers);
    }
    writeln!(
        text,
        "## The provider block\n\n```hcl\n{}\n```\n",
        example("provider/provider.tf").trim()
    )
    .unwrap();
    let given: Vec<_> = schema.root().attributes().iter().collect();
    arguments(&mut text, &given, None);
    text.push_str(TOKEN);
    text.push_str("## Variables of the environment\n\n");
    text.push_str(
        "An argument of the block goes before its variable; an empty variable says nothing.\n\n",
    );
    text.push_str("| variable | what it stands for |\n|---|---|\n");
    for (name, stands_for) in VARIABLES {
        writeln!(text, "| `{name}` | {stands_for} |").unwrap();
    }
    text.push_str(READING);
    finished(text)
}

const TOKEN: &str = "The token is looked for in this order: `token`, `token_file`, `BERTH_TOKEN`, \
    `BERTH_TOKEN_FILE`, and, where the endpoint is on this machine, `admin.token` in the data root \
    of the local berthd. A token of its own for each pipeline is made with `berthd token create` \
    or with [`berth_token`](resource-token.md); `--for plan` and `--for apply` are the usual \
    rights.\n\n";

const READING: &str = "\n## How to read these pages\n\n\
    - *told when left out*: berthd chooses a value, the plan mostly knows it already, and it \
      stays when the argument is left out later.\n\
    - *in place*: the object keeps its id, its data and its addresses.\n\
    - *makes another one*: the client destroys the object and makes a new one.\n\
    - *sensitive*: the client does not print the value. What is in a state can still be read \
      there; the ephemeral resources hand secrets over without storing them.\n\
    - Whatever else is wrong with a value is said in the plan, with what to write instead.\n";

fn offered(text: &mut String, kind: Kind, offers: &[(Kind, String, Schema)]) {
    let title = kind.title().to_lowercase();
    writeln!(text, "| {title} | what it is |\n|---|---|").unwrap();
    for (_, name, schema) in offers.iter().filter(|(of, ..)| *of == kind) {
        let about = schema.root().markdown();
        let (first, _) = about.split_once(". ").unwrap_or((about, ""));
        let first = first.trim_end_matches('.');
        writeln!(text, "| [`{name}`]({}) | {first} |", kind.file(name)).unwrap();
    }
    text.push('\n');
}
