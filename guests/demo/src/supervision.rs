//! A supervisor restarts a service that crashes at some requests.

use std::time::{Duration, Instant};

use lunatic::ap::{AbstractProcess, Config, ProcessRef};
use lunatic::supervisor::{Supervisor, SupervisorConfig, SupervisorStrategy};
use lunatic::{abstract_process, sleep, Mailbox, Process};

use crate::narrator::{crash, say};

/// The name under which the service is found, whoever it is at the moment.
const SERVICE: &str = "divider";

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_millis(100);

/// How long a restart may take on a slow machine.
const RESTART_LIMIT: Duration = Duration::from_secs(5);

const ROUNDS: i32 = 3;

struct Divider {
    answers: u32,
}

#[abstract_process]
impl Divider {
    #[init]
    fn init(_: Config<Self>, answers: u32) -> Result<Self, ()> {
        Ok(Self { answers })
    }

    #[terminate]
    fn terminate(self) {
        say(SERVICE, "shut down in good order");
    }

    #[handle_request]
    fn divide(&mut self, dividend: i32, divisor: i32) -> i32 {
        if divisor == 0 {
            crash(SERVICE, "division by zero");
        }
        self.answers += 1;
        dividend / divisor
    }

    #[handle_request]
    fn answers(&self) -> u32 {
        self.answers
    }
}

struct DividerSupervisor;

impl Supervisor for DividerSupervisor {
    type Arg = ();
    type Children = (Divider,);

    fn init(config: &mut SupervisorConfig<Self>, (): ()) {
        config.set_strategy(SupervisorStrategy::OneForOne);
        config.set_args((0,));
        config.set_names((Some(SERVICE.to_owned()),));
    }
}

pub fn tell(audience: Process<()>, _: Mailbox<()>) {
    let supervisor = DividerSupervisor::link().start(()).unwrap();
    let mut divider = ProcessRef::<Divider>::lookup(SERVICE).unwrap();
    for round in 1..=ROUNDS {
        let quotient = divider.divide(84, round);
        let answers = divider.answers();
        say(
            "client",
            format_args!("84 / {round} = {quotient}, its answer number {answers}"),
        );
        let answer = divider.with_timeout(PATIENCE).divide(84, 0);
        assert!(answer.is_err(), "who crashes doesn't answer");
        divider = successor(divider);
        say("supervisor", "has started a new one under the same name");
    }
    supervisor.shutdown();
    audience.send(());
}

/// Waits until the name belongs to another process than `former`.
fn successor(former: ProcessRef<Divider>) -> ProcessRef<Divider> {
    let deadline = Instant::now() + RESTART_LIMIT;
    while Instant::now() < deadline {
        match ProcessRef::lookup(SERVICE) {
            Some(current) if current.id() != former.id() => return current,
            _ => sleep(Duration::from_millis(1)),
        }
    }
    panic!("the supervisor didn't restart the {SERVICE}");
}
