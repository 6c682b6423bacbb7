//! `berthd images`: lists, pulls, builds and proves the images that databases run from.

use crate::cli::ImagesCommand;
use crate::config::Config;
use crate::images::{self, Recipes};
use crate::{chain, say, wiring};
use std::error::Error;
use std::process::ExitCode;

/// Runs one of the image commands.
pub async fn run(config: &Config, command: ImagesCommand) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        ImagesCommand::List => list(config).await,
        ImagesCommand::Pull { images, .. } => pull(config, &images).await,
        ImagesCommand::Build { recipes } => recipe_tool(config, "build", recipes).await,
        ImagesCommand::Verify { versions } => recipe_tool(config, "verify", versions).await,
    }
}

async fn list(config: &Config) -> Result<ExitCode, Box<dyn Error>> {
    let runtime = wiring::docker(config).await?;
    for image in wiring::images() {
        let here = wiring::image_is_here(&runtime, image.name).await?;
        let state = if here { "here" } else { "not here" };
        say(format_args!(
            "{:<24} {state:<9} recipe {}",
            image.name, image.recipe
        ));
    }
    Ok(ExitCode::SUCCESS)
}

async fn pull(config: &Config, named: &[String]) -> Result<ExitCode, Box<dyn Error>> {
    let Some(registry) = &config.image_registry else {
        return Err("no registry is named from which images could be pulled; name one with --image-registry HOST/NAMESPACE, or build them: berthd images build".into());
    };
    let names = to_pull(named)?;
    let runtime = wiring::docker(config).await?;
    let mut code = ExitCode::SUCCESS;
    for name in names {
        let place = registry.place_of(name);
        match images::pull(&runtime, registry, name).await {
            Ok(()) => say(format_args!("{name} pulled from {place}")),
            Err(e) => {
                eprintln!(
                    "{name} was not pulled from {place}: {}; build it with: berthd images build",
                    chain(&e)
                );
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

/// The images that were named, also without `berth/`; all of the catalogue when none was.
fn to_pull(named: &[String]) -> Result<Vec<&'static str>, String> {
    let known: Vec<_> = wiring::images().iter().map(|image| image.name).collect();
    if named.is_empty() {
        return Ok(known);
    }
    let find = |name: &String| {
        let found = known
            .iter()
            .find(|known| name == *known || known.strip_prefix("berth/") == Some(name));
        found.copied().ok_or_else(|| {
            format!(
                "{name} is no image of the catalogue; there are {}",
                known.join(", ")
            )
        })
    };
    named.iter().map(find).collect()
}

/// The recipes are shell, beside the program or in the source tree; their tools do the work.
async fn recipe_tool(
    config: &Config,
    tool: &str,
    arguments: Vec<String>,
) -> Result<ExitCode, Box<dyn Error>> {
    let Some(recipes) = &config.recipes else {
        return Err("the image recipes were not found; name their directory with --recipes".into());
    };
    let arguments = if arguments.is_empty() && tool == "build" {
        default_recipes()
    } else {
        arguments
    };
    let status = Recipes::new(recipes, &config.docker_socket)
        .tool(tool)
        .args(arguments)
        .status()
        .await
        .map_err(|e| format!("could not run {}: {e}", recipes.join(tool).display()))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn default_recipes() -> Vec<String> {
    wiring::images()
        .into_iter()
        .filter(|image| image.default)
        .map(|image| image.recipe.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;

    #[tokio::test]
    async fn nothing_is_pulled_while_no_registry_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let options = Options {
            config: Some(file.path().to_owned()),
            ..Options::default()
        };
        let config = Config::load(options).unwrap();
        let error = pull(&config, &[]).await.unwrap_err().to_string();
        assert!(error.contains("--image-registry HOST/NAMESPACE"), "{error}");
    }

    #[test]
    fn an_image_is_named_with_and_without_berth() {
        let named = ["postgresql:17", "berth/pgbouncer:1"].map(str::to_owned);
        let found = to_pull(&named).unwrap();
        assert_eq!(found, ["berth/postgresql:17", "berth/pgbouncer:1"]);
        assert_eq!(to_pull(&[]).unwrap().len(), wiring::images().len());
        let error = to_pull(&["alpine:3".to_owned()]).unwrap_err();
        assert!(error.contains("alpine:3") && error.contains("berth/postgresql:17"));
    }
}
