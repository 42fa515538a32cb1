//! Runs plugins of strangers one after the other, again and again: the files that are
//! its arguments, or else four that misbehave and one that does not.

use std::{env, fs, thread, time::Duration};

use lunatic_guest::supervisor::{Child, Options, Spec};
use plugins::{report, stranger};

/// What plugins are there without arguments.
const STRANGERS: [(&str, &[u8]); 5] = [
    ("well behaved", include_bytes!("../../strangers/good.wat")),
    ("spinner", include_bytes!("../../strangers/spinner.wat")),
    ("flooder", include_bytes!("../../strangers/flooder.wat")),
    ("hoarder", include_bytes!("../../strangers/hoarder.wat")),
    ("killer", include_bytes!("../../strangers/killer.wat")),
];

/// The directory of the plugins, as the machine knows it, unless the environment names
/// another.
const DIRECTORY: &str = "examples/plugins/data";

fn main() {
    let keeper = Spec::new("report", Options::default());
    keeper
        .add(&Child::new("keeper", report::keep, 0))
        .expect("a child");
    keeper.start(0).expect("the keeper of the report");
    let directory = env::var("PLUGINS_DIRECTORY").unwrap_or_else(|_| DIRECTORY.to_owned());
    let plugins = plugins();
    for round in 1.. {
        for (name, plugin) in &plugins {
            let became = stranger::run(plugin, &directory)
                .unwrap_or_else(|error| format!("did not start: {error}"));
            report::add(&format!("{round}. {name} {became}"));
        }
        thread::sleep(Duration::from_secs(1));
    }
}

fn plugins() -> Vec<(String, Vec<u8>)> {
    let files = env::args().skip(1);
    let mut plugins: Vec<_> = files
        .map(|path| {
            let plugin = fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
            (path, plugin)
        })
        .collect();
    if plugins.is_empty() {
        plugins.extend(STRANGERS.map(|(name, plugin)| (name.to_owned(), plugin.to_vec())));
    }
    plugins
}
