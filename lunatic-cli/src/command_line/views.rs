//! What a program that runs shows of itself over HTTP: metrics, and a dashboard.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Args;
use lunatic_dashboard::{Dashboard, Options};
use lunatic_http::BindError;

use crate::command_line::output::print_notice;
use crate::command_line::problem::Problem;
use crate::{Admin, MetricsServer, Runtime};

/// What is shown, and where.
#[derive(Debug, Args)]
pub(crate) struct Views {
    /// Serve metrics for Prometheus and others, at http://ADDR/metrics. A port alone is one
    /// of this machine only; with port 0 a free one is taken, and printed.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    metrics: Option<SocketAddr>,

    /// Show the program live in a browser, at an address that is printed. A port alone is one
    /// of this machine only; with port 0 a free one is taken.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    dashboard: Option<SocketAddr>,

    /// Let the dashboard end processes and reload modules.
    #[arg(long, requires = "dashboard")]
    dashboard_write: bool,
}

/// What serves them, until it is dropped.
#[derive(Debug)]
pub(crate) struct Shown {
    _metrics: Option<MetricsServer>,
    _dashboard: Option<Dashboard>,
}

impl Views {
    /// Begins to serve what is to be shown of a runtime.
    pub(crate) fn show(&self, runtime: &Runtime) -> Result<Shown, Problem> {
        let metrics = self.metrics.map(|address| {
            let server = MetricsServer::start(runtime, address)
                .map_err(|error| not_bound("metrics", &error))?;
            if address.port() == 0 {
                print_notice(format!("metrics: http://{}/metrics", server.address()));
            }
            Ok(server)
        });
        let dashboard = self.dashboard.map(|address| {
            let mut options = Options::default();
            options.write = self.dashboard_write;
            let dashboard = Dashboard::start(address, options, Admin::new(runtime))
                .map_err(|error| not_bound("dashboard", &error))?;
            print_notice(format!("dashboard: {}", dashboard.url()));
            Ok(dashboard)
        });
        Ok(Shown {
            _metrics: metrics.transpose()?,
            _dashboard: dashboard.transpose()?,
        })
    }
}

fn not_bound(what: &str, error: &BindError) -> Problem {
    Problem::new(format!("no {what}: {error}")).help(format!(
        "take another port with --{what}, or 0 for a free one"
    ))
}

/// An address and a port, or a port of this machine only.
fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    let port = port.strip_prefix(':').unwrap_or(port);
    match (port.parse(), text.parse()) {
        (Ok(port), _) => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        (_, Ok(address)) => Ok(address),
        _ => Err(format!(
            "`{text}` is no address: write a port, or one like 127.0.0.1:9090"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_of_this_machine_only() {
        let shown = |text| address(text).map(|address| address.to_string());
        for text in ["9090", ":9090", "localhost:9090", "127.0.0.1:9090"] {
            assert_eq!(shown(text), Ok("127.0.0.1:9090".to_owned()));
        }
        assert_eq!(shown("[::]:1"), Ok("[::]:1".to_owned()));
        for text in ["", "x", "1.2.3.4", "example.com:80", "99999", "::1"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
