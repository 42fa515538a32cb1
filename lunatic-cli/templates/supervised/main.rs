//! A worker that works for a while and then fails. `lunatic start app.toml` runs two of them
//! under a supervisor, which starts them again.

use std::time::Duration;

use lunatic::sleep;

fn main() {
    for round in 1.. {
        println!("round {round}");
        if is_too_much(round) {
            panic!("that was one round too many");
        }
        sleep(Duration::from_millis(300));
    }
}

fn is_too_much(round: u32) -> bool {
    round == 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[lunatic::test]
    fn the_first_rounds_are_not_too_much() {
        assert!((1..5).all(|round| !is_too_much(round)));
    }

    #[lunatic::test]
    #[should_panic]
    fn a_worker_fails_in_the_end() {
        main();
    }
}
