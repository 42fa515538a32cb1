//! Nodes in network namespaces of the kernel. They need root; without it, they say that they are
//! skipped.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant, SystemTime};

use lunatic_testkit::skipped;
use lunatic_trust::Authority;
use tempfile::TempDir;

use crate::LIMIT;
use crate::program::PROGRAM;

/// A bridge, and a namespace for each node, with a cable to the bridge.
struct Network {
    directory: TempDir,
    /// Tells the namespaces of this test from those of others.
    prefix: String,
    names: Vec<String>,
}

/// A node in a namespace.
struct Remote {
    child: Child,
    commands: ChildStdin,
    lines: Receiver<String>,
    /// All that it has said and nobody has waited for.
    heard: Vec<String>,
}

fn ip(arguments: &[&str]) -> bool {
    let mut ip = Command::new("ip");
    let output = ip.args(arguments).stderr(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}

impl Network {
    /// A network for nodes of these names; `None` if this machine does not let us make it.
    fn new(test: &str, names: &[&str]) -> Option<Network> {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("cluster");
        Authority::init(&path, &"test".parse().unwrap(), SystemTime::now()).unwrap();
        let prefix = format!("ln{}{test}", std::process::id());
        let network = Network {
            directory,
            prefix,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        if network.set_up() {
            return Some(network);
        }
        skipped("network namespaces need root, `ip` and a kernel with veth and bridges");
        None
    }

    fn set_up(&self) -> bool {
        let hub = self.namespace("hub");
        let mut works = ip(&["netns", "add", &hub])
            && ip(&["-n", &hub, "link", "add", "bridge", "type", "bridge"])
            && ip(&["-n", &hub, "link", "set", "bridge", "up"]);
        for (index, name) in self.names.iter().enumerate() {
            let (own, cable) = (self.namespace(name), format!("to-{name}"));
            let address = format!("10.83.0.{}/24", index + 1);
            works = works
                && ip(&["netns", "add", &own])
                && ip(&[
                    "-n", &hub, "link", "add", &cable, "type", "veth", "peer", "name", "wire",
                    "netns", &own,
                ])
                && ip(&["-n", &hub, "link", "set", &cable, "master", "bridge", "up"])
                && ip(&["-n", &own, "address", "add", &address, "dev", "wire"])
                && ip(&["-n", &own, "link", "set", "wire", "up"])
                && ip(&["-n", &own, "link", "set", "lo", "up"]);
        }
        works
    }

    fn namespace(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn address(&self, name: &str) -> String {
        let index = self.names.iter().position(|known| known == name).unwrap();
        format!("10.83.0.{}", index + 1)
    }

    /// Starts a node in its namespace; the first one is the seed of the others.
    fn start(&self, name: &str) -> Remote {
        let at = format!("{}:4369", self.address(name));
        let mut program = Command::new("ip");
        program
            .args(["netns", "exec", &self.namespace(name)])
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", PROGRAM])
            .env("NODE_CLUSTER", Path::join(self.directory.path(), "cluster"))
            .env("NODE_NAME", name)
            .env("NODE_LISTEN", &at)
            .env("NODE_ADVERTISE", &at)
            .env(
                "NODE_SEED",
                format!("{}:4369", self.address(&self.names[0])),
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = program.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if let Some((_, said)) = line.split_once("NODE ") {
                    sender.send(said.to_owned()).ok();
                }
            }
        });
        Remote {
            commands: child.stdin.take().unwrap(),
            child,
            lines,
            heard: Vec::new(),
        }
    }

    /// The cable of a node is pulled out at the bridge, or put in again: the node itself does not
    /// see it.
    fn plug(&self, name: &str, is_in: bool) {
        let (hub, cable) = (self.namespace("hub"), format!("to-{name}"));
        let set = match is_in {
            true => ip(&["-n", &hub, "link", "set", &cable, "master", "bridge"]),
            false => ip(&["-n", &hub, "link", "set", &cable, "nomaster"]),
        };
        assert!(set);
    }

    /// What one node sends another goes to nobody, or arrives again.
    fn cut_from(&self, from: &str, to: &str, is_cut: bool) {
        let (own, address) = (self.namespace(from), self.address(to));
        let neighbour = ["-n", &own, "neigh"];
        let change: &[&str] = match is_cut {
            true => &[
                "replace",
                &address,
                "lladdr",
                "02:00:00:00:00:99",
                "nud",
                "permanent",
                "dev",
                "wire",
            ],
            false => &["del", &address, "dev", "wire"],
        };
        assert!(ip(&[&neighbour, change].concat()));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in self.names.iter().map(String::as_str).chain(["hub"]) {
            ip(&["netns", "del", &self.namespace(name)]);
        }
    }
}

impl Remote {
    /// Waits until it says something that begins so; the rest of the line.
    fn says(&mut self, beginning: &str) -> String {
        let end = Instant::now() + LIMIT;
        loop {
            let is_it = |line: &String| line.starts_with(beginning);
            if let Some(at) = self.heard.iter().position(is_it) {
                return self.heard.remove(at)[beginning.len()..].to_owned();
            }
            let left = end.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.heard.push(line),
                Err(_) => panic!("it does not say {beginning:?}, but {:?}", self.heard),
            }
        }
    }

    /// Asserts that it says nothing more that begins so for a while.
    fn says_no_more(&mut self, beginning: &str) {
        std::thread::sleep(Duration::from_millis(500));
        self.heard.extend(self.lines.try_iter());
        let more = self.heard.iter().find(|line| line.starts_with(beginning));
        assert_eq!(more, None);
    }

    /// Has a process linked to another, and monitor it.
    fn watch(&mut self, process: &str) {
        writeln!(self.commands, "watch {process}").unwrap();
        self.says("watching");
    }

    /// Expects that link and monitor are told once that there is no connection.
    fn is_told_once(&mut self) {
        self.says("link no connection");
        self.says("monitor");
        self.says_no_more("link");
        self.says_no_more("monitor");
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Two nodes that watch a process of each other.
fn two(network: &Network) -> [Remote; 2] {
    let mut a = network.start("a");
    let of_a = a.says("process ");
    let mut b = network.start("b");
    let of_b = b.says("process ");
    a.says("up b");
    b.says("up a");
    a.watch(&of_b);
    b.watch(&of_a);
    std::thread::sleep(Duration::from_millis(300));
    [a, b]
}

#[test]
fn a_host_that_is_lost_is_told_once_on_both_sides_and_comes_back() {
    let Some(network) = Network::new("l", &["a", "b"]) else {
        return;
    };
    let [mut a, mut b] = two(&network);
    network.plug("b", false);
    a.is_told_once();
    b.is_told_once();
    a.says("down b");
    network.plug("b", true);
    a.says("up b");
    b.says("up a");
}

#[test]
fn packets_that_are_lost_in_one_direction_end_the_session_on_both_sides() {
    let Some(network) = Network::new("o", &["a", "b"]) else {
        return;
    };
    let [mut a, mut b] = two(&network);
    network.cut_from("a", "b", true);
    a.is_told_once();
    b.is_told_once();
    network.cut_from("a", "b", false);
    a.says("up b");
    b.says("up a");
}

#[test]
fn a_cut_beside_a_third_node_is_no_matter_of_that() {
    let Some(network) = Network::new("b", &["a", "b", "c"]) else {
        return;
    };
    let [mut a, mut b] = two(&network);
    let mut c = network.start("c");
    let of_c = c.says("process ");
    a.says("up c");
    b.says("up c");
    a.watch(&of_c);
    for (from, to) in [("a", "c"), ("c", "a")] {
        network.cut_from(from, to, true);
    }
    a.is_told_once();
    a.says("down c");
    std::thread::sleep(Duration::from_secs(8));
    b.says_no_more("down");
    b.says_no_more("link");
    for (from, to) in [("a", "c"), ("c", "a")] {
        network.cut_from(from, to, false);
    }
    a.says("up c");
}

#[test]
fn a_node_that_is_killed_is_back_at_once_at_the_same_address_of_the_same_host() {
    let Some(network) = Network::new("k", &["a", "b"]) else {
        return;
    };
    let [mut a, mut b] = two(&network);
    b.child.kill().unwrap();
    b.child.wait().unwrap();
    let mut again = network.start("b");
    a.is_told_once();
    a.says("up b");
    again.says("up a");
}
