//! `berthd doctor`: looks at everything berthd depends on and says what to do.

mod key;
mod memory;

use crate::config::{Config, Runtime};
use crate::registry::ImageRegistry;
use crate::say;
use crate::{plans, wiring};
use berth_containers::{Older, RuntimeError};
use berth_domain::{Clock, Timestamp};
use berth_store::Store;
use rustix::fs::statvfs;
use std::path::Path;

/// Less free space than this is a warning.
const FREE_GB_WARNING: u64 = 10;
/// The oldest kernel that is known to do all that is asked of it.
const KERNEL_MINIMUM: (u32, u32) = (5, 10);

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Grade {
    Ok,
    Warning,
    Failure,
}

/// One thing that was looked at.
struct Finding {
    grade: Grade,
    subject: &'static str,
    found: String,
    advice: Option<String>,
}

impl Finding {
    fn ok(subject: &'static str, found: impl Into<String>) -> Self {
        Self {
            grade: Grade::Ok,
            subject,
            found: found.into(),
            advice: None,
        }
    }

    fn warning(subject: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            grade: Grade::Warning,
            subject,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }

    fn failure(subject: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            grade: Grade::Failure,
            subject,
            found: found.into(),
            advice: Some(advice.into()),
        }
    }
}

/// Prints the findings; true when berthd can run.
pub async fn run(config: &Config, clock: &dyn Clock) -> bool {
    let mut findings = vec![
        user(),
        kernel(),
        clock_is_plausible(clock.now()),
        key::finding(config, std::env::var(wiring::ROOT_KEY_VARIABLE).ok()).await,
    ];
    findings.extend(plans(config).await);
    findings.extend(data_root(config));
    findings.extend(memory::findings(config));
    findings.extend(engine_and_images(config).await);
    for finding in &findings {
        let mark = match finding.grade {
            Grade::Ok => "ok  ",
            Grade::Warning => "warn",
            Grade::Failure => "FAIL",
        };
        say(format_args!(
            "{mark}  {:<10} {}",
            finding.subject, finding.found
        ));
        if let Some(advice) = &finding.advice {
            say(format_args!("      {:<10} {advice}", ""));
        }
    }
    findings.iter().all(|f| f.grade < Grade::Failure)
}

/// One for each plan that databases have and the catalogue lacks.
async fn plans(config: &Config) -> Vec<Finding> {
    let in_use = match Store::plans_in_use_at(&config.store).await {
        Ok(in_use) => in_use,
        Err(error) => {
            let found = format!("those in use could not be read: {}", crate::chain(&error));
            let advice = "name the store with --store, and see that it can be reached";
            return vec![Finding::warning("plan", found, advice)];
        }
    };
    let gone = plans::missing(&config.catalogue, in_use);
    gone.map(|gone| {
        let databases = plans::databases(&gone);
        let found = format!("{} is not in the catalogue: {databases}", gone.plan);
        Finding::warning("plan", found, plans::ADVICE)
    })
    .collect()
}

fn user() -> Finding {
    if rustix::process::geteuid().is_root() {
        return Finding::ok("user", "root");
    }
    Finding::failure(
        "user",
        "not root",
        "run berthd as root: it hands data directories and TLS keys over to the engines' own user, and engines let the host's root in through their sockets instead of keeping an administrator's password",
    )
}

fn kernel() -> Finding {
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= KERNEL_MINIMUM => {
            Finding::ok("kernel", release)
        }
        _ => Finding::warning(
            "kernel",
            release,
            format!(
                "berth is tested from Linux {}.{} on",
                KERNEL_MINIMUM.0, KERNEL_MINIMUM.1
            ),
        ),
    }
}

/// Certificates and recovery windows hang on the clock, so one that stands at the factory's
/// date must be seen before it signs anything.
fn clock_is_plausible(now: Timestamp) -> Finding {
    let earliest = Timestamp::from_millis(1_767_225_600_000);
    if now >= earliest {
        return Finding::ok("clock", now.to_string());
    }
    Finding::failure(
        "clock",
        now.to_string(),
        "the clock is years behind; set it, for example with chrony or systemd-timesyncd",
    )
}

fn data_root(config: &Config) -> Vec<Finding> {
    let existing = config
        .data_root
        .ancestors()
        .find(|dir| dir.is_dir())
        .unwrap_or(Path::new("/"));
    let mut findings = Vec::new();
    match statvfs(existing) {
        Ok(stat) => {
            let free_gb = stat.f_bavail.saturating_mul(stat.f_frsize) / 1_000_000_000;
            let found = format!("{} with {free_gb} GB free", config.data_root.display());
            findings.push(if free_gb >= FREE_GB_WARNING {
                Finding::ok("disk", found)
            } else {
                Finding::warning(
                    "disk",
                    found,
                    "give the data root more room, or name another with --data-root",
                )
            });
        }
        Err(e) => findings.push(Finding::failure(
            "disk",
            format!("{}: {e}", config.data_root.display()),
            "name a directory that can be used with --data-root",
        )),
    }
    findings.push(match berth_containers::copies_by_reference(existing) {
        Ok(true) => Finding::ok("reflink", "copies share their blocks"),
        Ok(false) => Finding::warning(
            "reflink",
            "this file system copies every byte",
            "XFS (made with reflink=1) or btrfs makes copies of data directories instant",
        ),
        Err(e) => Finding::warning(
            "reflink",
            format!("could not be tried: {e}"),
            "make the data root writable",
        ),
    });
    findings
}

/// An image that is not here. That is as it should be where berthd gets it by itself, and only an
/// order that names its version needs it.
fn absent_image(
    registry: Option<&ImageRegistry>,
    has_recipes: bool,
    image: &wiring::CatalogueImage,
) -> Finding {
    let found = format!("{} is not here", image.name);
    if !image.default && (registry.is_some() || has_recipes) {
        let how = if registry.is_some() {
            "obtained"
        } else {
            "built"
        };
        return Finding::ok("image", format!("{found}: {how} when first ordered"));
    }
    let advice = how_to_get(registry, has_recipes, image);
    Finding::warning("image", found, advice)
}

/// What to do about one: nothing, where berthd gets it by itself.
fn how_to_get(
    registry: Option<&ImageRegistry>,
    has_recipes: bool,
    image: &wiring::CatalogueImage,
) -> String {
    let pull = format!("berthd images pull {}", image.name);
    let build = format!("berthd images build {}", image.recipe);
    let (how, by_hand) = match (registry, has_recipes) {
        (Some(registry), true) => (
            format!("pulled it from {registry} or built it"),
            format!("{pull}, or {build}"),
        ),
        (Some(registry), false) => (format!("pulled it from {registry}"), pull),
        (None, true) => ("built it".to_owned(), build),
        (None, false) => {
            return "databases that need it are refused, since the image recipes were not found (--recipes names their directory) and no registry is named (--image-registry)".to_owned();
        }
    };
    format!(
        "the first database that needs it waits minutes until berthd has {how}; beforehand: {by_hand}"
    )
}

/// What to do about an engine that cannot be used.
fn no_engine(socket: &Path, why: &wiring::NoEngine) -> Finding {
    let advice = match why {
        wiring::NoEngine::Runtime(RuntimeError::NoCommonApi { older, .. }) => match older {
            Older::Engine => "upgrade Docker to 20.10 or newer".to_owned(),
            Older::Berthd => "upgrade berthd, or go back to the Docker that ran before".to_owned(),
        },
        wiring::NoEngine::Address(_) | wiring::NoEngine::Runtime(_) => format!(
            "start Docker, or name its socket with --docker-socket (now {})",
            socket.display()
        ),
    };
    Finding::failure("engine", crate::chain(why), advice)
}

async fn engine_and_images(config: &Config) -> Vec<Finding> {
    if config.runtime == Runtime::Fake {
        return vec![Finding::ok(
            "engine",
            "none needed: the runtime is the fake",
        )];
    }
    let runtime = match wiring::docker(config).await {
        Ok(runtime) => runtime,
        Err(e) => return vec![no_engine(&config.docker_socket, &e)],
    };
    let mut findings = vec![Finding::ok(
        "engine",
        wiring::describe_engine(&runtime).await,
    )];
    for image in wiring::images() {
        findings.push(match wiring::image_is_here(&runtime, image.name).await {
            Ok(true) => Finding::ok("image", image.name),
            Ok(false) => absent_image(
                config.image_registry.as_ref(),
                config.recipes.is_some(),
                &image,
            ),
            Err(e) => Finding::failure(
                "image",
                format!("{}: {}", image.name, crate::chain(&e)),
                "look at the Docker engine's log",
            ),
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Options;
    use crate::local::Local;
    use serde_json::Value as Json;
    use std::time::Duration;

    #[test]
    fn an_engine_that_speaks_none_of_our_versions_is_not_said_to_be_away() {
        let advice = |error: RuntimeError| {
            let finding = no_engine(Path::new("/a.sock"), &wiring::NoEngine::Runtime(error));
            (finding.found, finding.advice.unwrap())
        };
        let foreign = |older| RuntimeError::NoCommonApi {
            engine: "1.12 to 1.40".to_owned(),
            berthd: "1.41 to 1.53".to_owned(),
            older,
        };
        let (found, help) = advice(foreign(Older::Engine));
        assert!(found.contains("speaks versions 1.12 to 1.40"), "{found}");
        assert_eq!(help, "upgrade Docker to 20.10 or newer");
        let (_, help) = advice(foreign(Older::Berthd));
        assert!(help.starts_with("upgrade berthd"), "{help}");
        let away = RuntimeError::Unreachable {
            source: "nobody".into(),
        };
        assert!(advice(away).1.contains("/a.sock"));
    }

    #[tokio::test]
    async fn a_plan_that_the_catalogue_lacks_is_told_with_its_databases() {
        // One crypto library for the client, as `main` installs it.
        let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let load = || {
            Config::load(Options {
                config: Some("/dev/null".into()),
                data_root: Some(folder.path().to_owned()),
                listen: Some("127.0.0.1:0".to_owned()),
                runtime: Some("fake".to_owned()),
                ..Options::default()
            })
        };
        let order = async {
            let order = serde_json::json!({"name": "orders", "engine": "postgresql"});
            loop {
                if let Ok(local) = Local::connect(folder.path())
                    && local.get::<Json>("/v1/server").await.is_ok()
                {
                    break local.post::<Json>("/v1/databases", &order).await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            ended = crate::serve::run(load().unwrap()) => panic!("berthd ended: {ended:?}"),
            _made = order => {}
        }
        let mut config = load().unwrap();
        assert!(plans(&config).await.is_empty());
        let gone = config.catalogue.plans.remove(0);
        let found = plans(&config).await.remove(0).found;
        assert!(
            found.contains(&gone.name) && found.ends_with("orders"),
            "{found}"
        );
    }

    #[test]
    fn an_absent_image_that_few_orders_need_is_no_warning() {
        let images = wiring::images();
        let (default, other): (Vec<_>, Vec<_>) = images.iter().partition(|image| image.default);
        let finding = absent_image(None, true, other[0]);
        assert_eq!(finding.grade, Grade::Ok);
        assert!(finding.found.ends_with("built when first ordered"));
        assert_eq!(absent_image(None, true, default[0]).grade, Grade::Warning);
        assert_eq!(absent_image(None, false, other[0]).grade, Grade::Warning);
    }

    #[test]
    fn an_absent_image_is_pulled_only_from_a_registry_that_was_named() {
        let images = wiring::images();
        let registry = ImageRegistry::parse("registry.example.com/berth");
        let told = |registry, has_recipes| how_to_get(registry, has_recipes, &images[0]);
        let builds = told(None, true);
        assert!(builds.contains("berthd images build") && !builds.contains("pull"));
        let pulls = told(registry.as_ref(), false);
        assert!(
            pulls.contains("from registry.example.com/berth;"),
            "{pulls}"
        );
        assert!(pulls.contains("berthd images pull") && !pulls.contains("build"));
        let both = told(registry.as_ref(), true);
        assert!(both.contains("images pull") && both.contains("images build"));
        let neither = told(None, false);
        assert!(neither.contains("--recipes") && neither.contains("--image-registry"));
    }
}
