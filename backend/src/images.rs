//! How an image comes to this host: pulled from the registry that the operator named, else built
//! from its recipe. Where none is named, nothing is pulled: the names alone would lead to a
//! registry that others fill.
//!
//! `berthd images pull` and `berthd images build` do the same by hand, one of the two.

use crate::children;
use crate::registry::ImageRegistry;
use async_trait::async_trait;
use berth_containers::{ImageSource, Images, RuntimeError};
use berth_platform::Cause;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

/// The longest that a registry may take for one image.
const PULL_SECONDS_MAX: u64 = 600;
/// The longest that one recipe may take, the wait for another build included.
const BUILD_SECONDS_MAX: u64 = 2_000;
/// Why nothing can be built.
const NO_RECIPES: &str = "the image recipes were not found, --recipes names their directory";
/// What the recipes' tools begin the line with that says why they end.
const REASON: &str = "error: ";

/// The image recipes, and the tools that lie beside them.
#[derive(Debug, Clone)]
pub struct Recipes {
    directory: PathBuf,
    docker_socket: PathBuf,
}

impl Recipes {
    /// Those of that directory, for the engine behind that socket.
    pub fn new(directory: &Path, docker_socket: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            docker_socket: docker_socket.to_owned(),
        }
    }

    /// One of the tools, such as `build`, with nothing of berthd's own in its environment.
    pub fn tool(&self, name: &str) -> Command {
        let mut command = Command::new(self.directory.join(name));
        children::for_a_tool(&mut command);
        command
            .env(
                "DOCKER_HOST",
                format!("unix://{}", self.docker_socket.display()),
            )
            .stdin(Stdio::null());
        command
    }

    /// Whether there is a recipe of that name.
    fn has(&self, recipe: &str) -> bool {
        self.directory.join(recipe).join("recipe").is_file()
    }

    /// Builds one recipe. A build that is given up is ended with all that it has started.
    async fn build(&self, recipe: &str) -> Result<(), Cause> {
        let mut command = self.tool("build");
        command
            .arg(recipe)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command
            .spawn()
            .map_err(|e| format!("{} cannot be run: {e}", self.directory.display()))?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let mut group = Group(child);
        let built = async {
            let ((), reason) = tokio::join!(tell(recipe, out), reason(recipe, err));
            (group.0.wait().await, reason)
        };
        let limit = Duration::from_secs(BUILD_SECONDS_MAX);
        let (ended, reason) = tokio::time::timeout(limit, built)
            .await
            .map_err(|_| format!("its build took more than {BUILD_SECONDS_MAX} seconds"))?;
        match (ended?, reason) {
            (status, _) if status.success() => Ok(()),
            (_, Some(reason)) => Err(format!("its build ended with: {reason}").into()),
            (status, None) => Err(format!("its build ended with {status}").into()),
        }
    }
}

/// A process and everything it has started, which end together.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // None once it has ended by itself.
        let leader = self.0.id().and_then(|id| i32::try_from(id).ok());
        let Some(leader) = leader.and_then(rustix::process::Pid::from_raw) else {
            return;
        };
        // Not the hard way: the tool takes its scratch files away.
        if let Err(error) =
            rustix::process::kill_process_group(leader, rustix::process::Signal::TERM)
        {
            tracing::warn!(%error, "could not end the build of an image");
        }
    }
}

/// Writes what a tool says into the log.
async fn tell(recipe: &str, said: Option<impl AsyncRead + Unpin>) {
    each_line(said, |line| tracing::info!(recipe, "{line}")).await;
}

/// The last line that says why a tool ends; the others go into the log.
async fn reason(recipe: &str, said: Option<impl AsyncRead + Unpin>) -> Option<String> {
    let mut reason = None;
    each_line(said, |line| match line.strip_prefix(REASON) {
        Some(why) => reason = Some(why.to_owned()),
        None => tracing::warn!(recipe, "{line}"),
    })
    .await;
    reason
}

async fn each_line(said: Option<impl AsyncRead + Unpin>, mut then: impl FnMut(&str)) {
    let Some(said) = said else { return };
    let mut lines = BufReader::new(said).lines();
    loop {
        match lines.next_line().await {
            Ok(Some(line)) => then(&line),
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(%error, "could not read what a build says");
                return;
            }
        }
    }
}

/// Pulls an image from that registry, and gives it the name by which it is known here.
pub async fn pull(
    runtime: &impl Images,
    registry: &ImageRegistry,
    name: &str,
) -> Result<(), RuntimeError> {
    let place = registry.place_of(name);
    runtime.pull(&place).await?;
    runtime.tag(&place, name).await
}

/// Gets images for the platform: from the registry, where one is named; else from the recipe.
pub struct Obtainer<R> {
    runtime: R,
    registry: Option<ImageRegistry>,
    recipes: Option<Recipes>,
}

impl<R: Images> Obtainer<R> {
    /// Through that engine, from that registry where one is named, with those recipes where some
    /// were found.
    pub fn new(runtime: R, registry: Option<ImageRegistry>, recipes: Option<Recipes>) -> Self {
        Self {
            runtime,
            registry,
            recipes,
        }
    }

    /// Pulls it; why that did not work.
    async fn pull(&self, registry: &ImageRegistry, name: &str) -> Result<(), String> {
        let pull = pull(&self.runtime, registry, name);
        let why = match tokio::time::timeout(Duration::from_secs(PULL_SECONDS_MAX), pull).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => crate::chain(&error),
            Err(_) => format!("it took more than {PULL_SECONDS_MAX} seconds"),
        };
        tracing::info!(image = name, %registry, error = why, "not pulled");
        Err(format!("pulling it from {registry} ended with: {why}"))
    }

    async fn build(&self, recipe: &str) -> Result<(), Cause> {
        match &self.recipes {
            Some(recipes) => recipes.build(recipe).await,
            None => Err(NO_RECIPES.into()),
        }
    }
}

#[async_trait]
impl<R: Images> ImageSource for Obtainer<R> {
    fn objection(&self, recipe: &str) -> Option<String> {
        // Who names a registry says that it has the images, and a plan asks nobody.
        if self.registry.is_some() {
            return None;
        }
        match &self.recipes {
            None => Some(NO_RECIPES.to_owned()),
            Some(recipes) if !recipes.has(recipe) => {
                Some(format!("there is no recipe called {recipe}"))
            }
            Some(_) => None,
        }
    }

    async fn obtain(&self, reference: &str, recipe: &str) -> Result<(), Cause> {
        let Some(registry) = &self.registry else {
            return self.build(recipe).await;
        };
        let Err(not_pulled) = self.pull(registry, reference).await else {
            return Ok(());
        };
        self.build(recipe)
            .await
            .map_err(|why| format!("{not_pulled}, and {why}").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use berth_containers::FakeRuntime;
    use berth_engines::Registry;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;
    use tempfile::TempDir;

    const IMAGE: &str = "berth/postgresql:17";
    const RECIPE: &str = "postgresql-17";
    /// Looks at a file, some milliseconds apart.
    const LOOKS_MAX: u32 = 2_000;

    /// A folder with one recipe, whose tool is that script.
    fn recipes(script: &str) -> (TempDir, Recipes) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(RECIPE)).unwrap();
        fs::write(folder.path().join(RECIPE).join("recipe"), "").unwrap();
        let tool = folder.path().join("build");
        fs::write(
            &tool,
            format!("#!/bin/bash\ncd \"$(dirname \"$0\")\"\n{script}\n"),
        )
        .unwrap();
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        let recipes = Recipes::new(folder.path(), Path::new("/run/some/docker.sock"));
        (folder, recipes)
    }

    /// An engine on which the image is missing.
    fn fake() -> FakeRuntime {
        let fake = FakeRuntime::new(Arc::new(Registry::all()));
        fake.forget_image(IMAGE);
        fake
    }

    fn registry() -> Option<ImageRegistry> {
        ImageRegistry::parse("registry.example.com/berth")
    }

    async fn is_here(fake: &FakeRuntime) -> bool {
        fake.image(IMAGE).await.unwrap().is_some()
    }

    async fn until_there(path: &Path) -> String {
        for _ in 0..LOOKS_MAX {
            if let Ok(text) = fs::read_to_string(path)
                && text.ends_with('\n')
            {
                return text.trim().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{} does not come", path.display());
    }

    #[tokio::test]
    async fn what_the_named_registry_has_is_not_built() {
        let (folder, recipes) = recipes("touch built");
        let fake = fake();
        fake.publish_image("registry.example.com/berth/postgresql:17");
        let source = Obtainer::new(fake.clone(), registry(), Some(recipes));
        source.obtain(IMAGE, RECIPE).await.unwrap();
        assert!(is_here(&fake).await, "it bears the name that it is used by");
        assert!(!folder.path().join("built").exists());
    }

    #[tokio::test]
    async fn where_no_registry_is_named_nothing_is_pulled() {
        let (folder, recipes) = recipes("touch built");
        let fake = fake();
        // As a registry may that everybody can fill.
        fake.publish_image(IMAGE);
        let source = Obtainer::new(fake.clone(), None, Some(recipes));
        source.obtain(IMAGE, RECIPE).await.unwrap();
        assert_eq!(fake.calls("pull"), 0);
        assert!(!is_here(&fake).await);
        assert!(folder.path().join("built").exists());
    }

    #[tokio::test]
    async fn what_the_registry_lacks_is_built_on_the_right_engine() {
        let (folder, recipes) = recipes("echo building; echo \"$DOCKER_HOST $1\" >built");
        let source = Obtainer::new(fake(), registry(), Some(recipes));
        assert_eq!(source.objection(RECIPE), None);
        source.obtain(IMAGE, RECIPE).await.unwrap();
        let built = fs::read_to_string(folder.path().join("built")).unwrap();
        assert_eq!(built.trim(), "unix:///run/some/docker.sock postgresql-17");
    }

    #[tokio::test]
    async fn a_build_that_fails_says_why() {
        let (_folder, told) = recipes("echo noise >&2; echo 'error: sid is away' >&2; exit 1");
        let source = Obtainer::new(fake(), None, Some(told.clone()));
        let why = source.obtain(IMAGE, RECIPE).await.unwrap_err().to_string();
        assert_eq!(why, "its build ended with: sid is away");
        let source = Obtainer::new(fake(), registry(), Some(told));
        let why = source.obtain(IMAGE, RECIPE).await.unwrap_err().to_string();
        assert_eq!(
            why,
            "pulling it from registry.example.com/berth ended with: registry.example.com/berth/postgresql:17 does not exist, and its build ended with: sid is away"
        );
        let (_folder, silent) = recipes("exit 3");
        let source = Obtainer::new(fake(), None, Some(silent));
        let why = source.obtain(IMAGE, RECIPE).await.unwrap_err().to_string();
        assert!(why.ends_with("exit status: 3"), "{why}");
    }

    #[tokio::test]
    async fn a_build_that_is_given_up_takes_everything_with_it() {
        let (folder, recipes) =
            recipes("trap 'echo yes >tidied' EXIT; sleep 600 & echo $! >child; wait $!");
        let source = Obtainer::new(fake(), None, Some(recipes));
        let build = tokio::spawn(async move { source.obtain(IMAGE, RECIPE).await });
        let child = until_there(&folder.path().join("child")).await;
        build.abort();
        assert_eq!(until_there(&folder.path().join("tidied")).await, "yes");
        let process = Path::new("/proc").join(child).join("stat");
        for _ in 0..LOOKS_MAX {
            // A zombie nobody has buried yet has ended, too.
            match fs::read_to_string(&process) {
                Ok(stat) if !stat.contains(") Z ") => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                _ => return,
            }
        }
        panic!("what the build had started goes on");
    }

    #[test]
    fn what_has_no_recipe_is_not_promised() {
        let (_folder, recipes) = recipes("true");
        let source = Obtainer::new(fake(), None, Some(recipes));
        assert!(source.objection("mysql-8").unwrap().contains("mysql-8"));
        let none = Obtainer::new(fake(), None, None);
        assert!(none.objection(RECIPE).unwrap().contains("--recipes"));
        // A registry that was named is worth a try.
        let pulls = Obtainer::new(fake(), registry(), None);
        assert_eq!(pulls.objection(RECIPE), None);
    }
}
