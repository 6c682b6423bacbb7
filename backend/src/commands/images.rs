//! `berthd images`: lists, pulls, builds and proves the images that databases run from.

use crate::cli::ImagesCommand;
use crate::config::Config;
use crate::images::Recipes;
use crate::{chain, say, wiring};
use std::error::Error;
use std::process::ExitCode;

/// Runs one of the image commands.
pub async fn run(config: &Config, command: ImagesCommand) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        ImagesCommand::List => list(config).await,
        ImagesCommand::Pull { images } => pull(config, images).await,
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

async fn pull(config: &Config, named: Vec<String>) -> Result<ExitCode, Box<dyn Error>> {
    let runtime = wiring::docker(config).await?;
    let names: Vec<String> = if named.is_empty() {
        wiring::images()
            .into_iter()
            .map(|image| image.name.to_owned())
            .collect()
    } else {
        named
    };
    let mut code = ExitCode::SUCCESS;
    for name in names {
        match wiring::pull_image(&runtime, &name).await {
            Ok(()) => say(format_args!("{name} pulled")),
            Err(e) => {
                eprintln!("{name}: {}; build it with: berthd images build", chain(&e));
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
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
