//! A cluster of nodes that are programs.
#![allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::process::Stdio;

use lunatic_testkit::program::Ran;
use lunatic_testkit::wait_until;

use super::runtimes::{Running, Runtimes};

/// A cluster of nodes that are programs.
pub struct Shop {
    pub runtimes: Runtimes,
    /// Where the first node listens.
    pub address: String,
}

impl Shop {
    pub fn new() -> Shop {
        let port = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let address = port.local_addr().unwrap().to_string();
        let runtimes = Runtimes::new();
        runtimes.run(&["cluster", "init", "shop"]).code(0);
        Shop { runtimes, address }
    }

    /// The arguments of a node; the first one, `one`, listens where the others look for it.
    fn arguments<'a>(&'a self, name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = vec!["node", "--name", name, "--cluster", "shop"];
        match name {
            "one" => arguments.extend(["--listen", &self.address]),
            _ => arguments.extend(["--listen", "127.0.0.1:0", "--join", &self.address]),
        }
        arguments.extend(more);
        arguments
    }

    pub fn start(&self, name: &str, more: &[&str]) -> Running {
        let running = self.runtimes.start(&self.arguments(name, more));
        wait_until("the node", || {
            self.runtimes.names().contains(&name.to_owned())
        });
        running
    }

    /// Starts a node that writes its log to a file.
    pub fn start_logging(&self, name: &str, log: &str) -> Running {
        let mut node = self.runtimes.lunatic(&self.arguments(name, &[]));
        let log = self.runtimes.guests.path().join(log);
        node.stdout(Stdio::null())
            .stderr(File::create(log).unwrap());
        let running = Running(node.spawn().unwrap());
        wait_until("the node", || {
            self.runtimes.names().contains(&name.to_owned())
        });
        running
    }

    /// Starts a node whose standard output is read.
    pub fn start_heard(&self, name: &str, more: &[&str]) -> Running {
        let mut node = self.runtimes.lunatic(&self.arguments(name, more));
        node.stdout(Stdio::piped()).stderr(Stdio::null());
        let running = Running(node.spawn().unwrap());
        wait_until("the node", || {
            self.runtimes.names().contains(&name.to_owned())
        });
        running
    }

    /// Starts a node that says where something of it is: what is behind `what` in the line of
    /// its standard error that begins so.
    pub fn start_showing(&self, name: &str, more: &[&str], what: &str) -> (Running, String) {
        let mut node = self.runtimes.lunatic(&self.arguments(name, more));
        node.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = node.spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
        let said = errors.by_ref().map_while(Result::ok);
        let mut shown = said.filter_map(|line| line.strip_prefix(what).map(str::to_owned));
        let shown = shown.next().unwrap();
        // Or the runtime would wait for somebody to read it.
        std::thread::spawn(move || errors.for_each(drop));
        (Running(child), shown)
    }

    pub fn run(&self, name: &str, more: &[&str]) -> Ran {
        self.runtimes.run(&self.arguments(name, more))
    }

    pub fn write(&self, name: &str, text: &str) {
        self.runtimes.guests.file(name, text);
    }

    /// What a node tells of others.
    pub fn nodes_of(&self, name: &str) -> Ran {
        self.runtimes.run(&["nodes", "--name", name])
    }

    /// Waits until a node tells this of one, in its line.
    pub fn wait_for(&self, name: &str, of: &str, what: &str) -> String {
        let mut found = String::new();
        wait_until(what, || {
            let listed = self.nodes_of(name).out;
            let line = listed.lines().find(|line| line.starts_with(of));
            found = line.unwrap_or_default().to_owned();
            found.contains(what)
        });
        found
    }
}
