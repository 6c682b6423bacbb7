//! `berthd ca`: the certificate that clients of this installation trust.

use crate::say;
use std::error::Error;
use std::path::Path;

/// Prints the authority's certificate as PEM. It is public, and it is read from its file, so
/// that no berthd needs to run.
pub fn run(data_root: &Path) -> Result<(), Box<dyn Error>> {
    let path = data_root.join("ca.pem");
    let text = std::fs::read_to_string(&path).map_err(|e| {
        format!(
            "could not read {}: {e}; it is made when berthd first serves this data root",
            path.display()
        )
    })?;
    say(format_args!("{}", text.trim_end()));
    Ok(())
}
