//! Makes the picture of the dashboard that the README shows.

use anyhow::Result;

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
    let picture = workspace::root().join("docs").join("dashboard.png");
    let mut test = cargo::new("test");
    test.args(["--workspace"]).args(TEST);
    guests::pass_to(&mut test);
    command::run(test.env(VARIABLE, &picture))?;
    println!("{}", picture.display());
    Ok(())
}
