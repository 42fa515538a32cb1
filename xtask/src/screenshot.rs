//! Makes the picture of the dashboard that the README shows.

use std::fs;

use anyhow::{Result, bail};

use crate::{cargo, command, guests, toolchain, workspace};

/// The test that shows the dashboard in a browser, and its part that makes a picture.
const TEST: [&str; 4] = [
    "--test",
    "dashboard_in_a_browser",
    "--",
    "it_fits_a_phone_in_light_and_dark_and_a_picture_can_be_made",
];

/// Names the file to that test.
const VARIABLE: &str = "LUNATIC_SCREENSHOT";

/// Makes the picture, in `docs`. That needs a Chromium.
pub(crate) fn main() -> Result<()> {
    guests::build(&toolchain::ensure()?)?;
    let made = workspace::target_dir().join("dashboard.png");
    if made.exists() {
        fs::remove_file(&made)?;
    }
    let mut test = cargo::new("test");
    test.args(["--workspace"]).args(TEST);
    guests::pass_to(&mut test);
    command::run(test.env(VARIABLE, &made))?;
    if !made.exists() {
        bail!("no picture was made; is there a Chromium?");
    }
    let picture = workspace::root().join("docs").join("dashboard.png");
    fs::copy(&made, &picture)?;
    println!("{}", picture.display());
    Ok(())
}
