//! What the command line gives to a program: directories, environment, network.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::Config;
use clap::Args;
use lunatic_net::{Rule, Rules};
use lunatic_wasi::Access;

use crate::command_line::features::Feature;
use crate::command_line::problem::Problem;

#[derive(Debug, Args)]
#[command(next_help_heading = "What it is given")]
pub(crate) struct Grants {
    /// Give nothing but what is named: no directory, no environment, no network.
    #[arg(long, conflicts_with = "inherit_env")]
    sandbox: bool,

    /// Pass nothing of the environment on but what `--env` and `--env-file` name.
    #[arg(long, conflicts_with = "inherit_env")]
    clear_env: bool,

    /// Give access to a directory, under the name GUEST; `:ro` is read-only, `:rw` is what
    /// it is without.
    ///
    /// Can be given several times. Without any, the current directory is given
    /// as `.` and by its absolute path; with one or more, exactly those are.
    #[arg(long = "dir", value_name = "HOST[::GUEST][:ro]")]
    dirs: Vec<Dir>,

    /// Set an environment variable, or pass the one of this name on.
    ///
    /// Can be given several times. Without any `--env…`, the whole environment
    /// is passed on but for `PWD` and `OLDPWD`; with one, exactly what is named is.
    #[arg(long = "env", value_name = "K[=V]")]
    env: Vec<String>,

    /// Set the environment variables in a file with a line K=V each.
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,

    /// Pass the whole environment on, beside what `--env` sets.
    #[arg(long)]
    inherit_env: bool,

    /// Allow to connect to and to bind what the rule names, and nothing else.
    ///
    /// HOST is a name, an address, a network such as `10.0.0.0/8`, or `*`; PORTS
    /// is a port, a range such as `8000-8999`, or `*`. Can be given several
    /// times. Without any, the whole network is allowed.
    #[arg(long = "allow-net", value_name = "[connect:|bind:]HOST[:PORTS]")]
    allow_net: Vec<Rule>,

    /// Deny to connect to and to bind what the rule names, even if it is allowed.
    ///
    /// Can be given several times; `*` denies the whole network.
    #[arg(long = "deny-net", value_name = "[connect:|bind:]HOST[:PORTS]")]
    deny_net: Vec<Rule>,
}

/// A directory and how it is given: `HOST[::GUEST][:ro]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dir {
    pub(crate) host: PathBuf,
    pub(crate) guest: String,
    pub(crate) access: Access,
}

/// A `--dir` that names nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EmptyDir;

impl Grants {
    /// Puts what is granted into a configuration.
    pub(crate) fn apply(&self, config: &mut Config) -> Result<(), Problem> {
        if !self.allow_net.is_empty() {
            Feature::Net.require()?;
        }
        if let Some(rules) = self.rules() {
            config.narrow_net(rules);
        }
        let wasi = config.wasi_mut();
        if let Some(path) = self.path_of_default() {
            wasi.add_dir_of_this_host(path, Access::ReadWrite)
                .map_err(|error| Problem::new(error.to_string()))?;
        }
        for dir in self.dirs() {
            wasi.add_dir(dir.host, dir.guest, dir.access)
                .map_err(|error| Problem::new(format!("--dir: {error}")))?;
        }
        for (key, value) in self.variables()? {
            wasi.add_env(&key, &value)
                .map_err(|error| Problem::new(format!("environment variable {key}: {error}")))?;
        }
        Ok(())
    }

    /// None if nothing is said of the network.
    fn rules(&self) -> Option<Rules> {
        if self.allow_net.is_empty() && self.deny_net.is_empty() && !self.sandbox {
            return None;
        }
        let is_limited = self.sandbox || !self.allow_net.is_empty();
        Some(Rules {
            allow: is_limited.then(|| self.allow_net.clone()),
            deny: self.deny_net.clone(),
        })
    }

    /// Whether the current directory is given, because nothing is said of directories.
    pub(crate) fn gives_default(&self) -> bool {
        self.dirs.is_empty() && !self.sandbox
    }

    /// The absolute path of the current directory, if that is given because nothing else is; none
    /// if it is not UTF-8.
    ///
    /// Paths that begin with it are true for the guest then. Before `.` in the order it is where
    /// relative paths of Go begin, whose library takes the first name for a prefix of all paths;
    /// that of C, which most others use, finds `.` for them.
    fn path_of_default(&self) -> Option<String> {
        let path = std::env::current_dir().ok();
        let path = path.filter(|_| self.gives_default());
        path.and_then(|path| path.into_os_string().into_string().ok())
    }

    fn dirs(&self) -> Vec<Dir> {
        match self.gives_default() {
            true => vec![Dir {
                host: ".".into(),
                guest: ".".into(),
                access: Access::ReadWrite,
            }],
            false => self.dirs.clone(),
        }
    }

    /// Later ones win.
    fn variables(&self) -> Result<Vec<(String, String)>, Problem> {
        let mut variables = Vec::new();
        let is_named = !self.env.is_empty() || !self.env_file.is_empty();
        if self.inherit_env || !(is_named || self.sandbox || self.clear_env) {
            variables.extend(inherited_variables().into_iter().filter(is_true_inside));
        }
        for file in &self.env_file {
            variables.extend(read_env_file(file)?);
        }
        for variable in &self.env {
            variables.extend(named(variable)?);
        }
        Ok(last_of_each(variables))
    }
}

/// Whether a variable that nobody has named is true for a guest too. Its directories may
/// have other names than here, and Go takes `PWD` for the directory that relative paths begin at.
fn is_true_inside((key, _): &(String, String)) -> bool {
    !["PWD", "OLDPWD"].contains(&key.as_str())
}

/// The environment of this program. What is not UTF-8 cannot be passed on.
pub(crate) fn inherited_variables() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Each variable once, with its last value.
pub(crate) fn last_of_each(variables: Vec<(String, String)>) -> Vec<(String, String)> {
    let mut unique: Vec<(String, String)> = Vec::new();
    for (key, value) in variables {
        match unique.iter_mut().find(|(known, _)| *known == key) {
            Some(known) => known.1 = value,
            None => unique.push((key, value)),
        }
    }
    unique
}

/// `K=V`, or `K` with its value here; nothing if there is none.
fn named(variable: &str) -> Result<Option<(String, String)>, Problem> {
    let (key, value) = match variable.split_once('=') {
        Some((key, value)) => (key, Some(value.to_owned())),
        None => (variable, std::env::var(variable).ok()),
    };
    match key.is_empty() {
        true => {
            let what = format!("`--env {variable}` names no variable");
            Err(Problem::new(what).help("write K=V, or K to pass on the one that there is"))
        }
        false => Ok(value.map(|value| (key.to_owned(), value))),
    }
}

fn read_env_file(path: &PathBuf) -> Result<Vec<(String, String)>, Problem> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        Problem::new(format!("cannot read --env-file `{shown}`: {error}")).help(
            "name a text file whose lines are K=V; its path is taken from the current directory",
        )
    })?;
    let mut variables = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let is_named = |(key, _): &(&str, &str)| !key.trim().is_empty();
        let variable = line.split_once('=').filter(is_named);
        let (key, value) = variable.ok_or_else(|| {
            let line = format!("`{shown}` line {}: no K=V in {line:?}", number + 1);
            Problem::new(line).help("each line is K=V, empty, or a comment that begins with #")
        })?;
        variables.push((key.trim().into(), value.trim().into()));
    }
    Ok(variables)
}

impl FromStr for Dir {
    type Err = EmptyDir;

    fn from_str(text: &str) -> Result<Dir, EmptyDir> {
        // `a::rw` is a name for guests.
        let without = |suffix| text.strip_suffix(suffix).filter(|it| !it.ends_with(':'));
        let (paths, access) = match (without(":ro"), without(":rw")) {
            (Some(paths), _) => (paths, Access::ReadOnly),
            (None, Some(paths)) => (paths, Access::ReadWrite),
            (None, None) => (text, Access::ReadWrite),
        };
        let (host, guest) = paths.split_once("::").unwrap_or((paths, paths));
        if host.is_empty() || guest.is_empty() {
            return Err(EmptyDir);
        }
        Ok(Dir {
            host: host.into(),
            guest: guest.into(),
            access,
        })
    }
}

impl fmt::Display for EmptyDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected HOST, HOST::GUEST, or either with :ro or :rw behind it")
    }
}

impl Error for EmptyDir {}

#[cfg(test)]
mod tests {
    use super::*;

    fn dir(host: &str, guest: &str, access: Access) -> Result<Dir, EmptyDir> {
        Ok(Dir {
            host: host.into(),
            guest: guest.into(),
            access,
        })
    }

    #[test]
    fn a_directory_has_its_own_name_unless_it_is_given_another() {
        assert_eq!("data".parse(), dir("data", "data", Access::ReadWrite));
        assert_eq!("/srv::data".parse(), dir("/srv", "data", Access::ReadWrite));
        assert_eq!(
            "/srv::data:ro".parse(),
            dir("/srv", "data", Access::ReadOnly)
        );
        assert_eq!("data:ro".parse(), dir("data", "data", Access::ReadOnly));
        assert_eq!("data:rw".parse(), dir("data", "data", Access::ReadWrite));
        assert_eq!("data::ro".parse(), dir("data", "ro", Access::ReadWrite));
    }

    #[test]
    fn a_directory_without_a_name_is_a_mistake() {
        for text in ["", ":ro", "::", "a::", "::b"] {
            assert_eq!(text.parse::<Dir>(), Err(EmptyDir), "{text:?}");
        }
    }
}
