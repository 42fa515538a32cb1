//! `chat_server`.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};

use crate::server::Server;

/// One who talks.
struct User {
    lines: BufReader<TcpStream>,
}

impl User {
    fn connect(server: &Server) -> User {
        let mut user = User {
            lines: BufReader::new(server.connect()),
        };
        user.sees("* what is your name?");
        user
    }

    fn named(server: &Server, name: &str, others: usize) -> User {
        let mut user = User::connect(server);
        user.says(name);
        user.sees(&format!("* welcome; others here: {others}"));
        user
    }

    fn says(&mut self, line: &str) {
        let line = format!("{line}\n");
        self.lines.get_mut().write_all(line.as_bytes()).unwrap();
    }

    #[track_caller]
    fn sees(&mut self, expected: &str) {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        assert_eq!(line.trim_end(), expected);
    }
}

#[test]
fn users_see_what_others_say_and_that_they_come_and_go() {
    let server = Server::start("chat_server", &[]);
    let mut ada = User::named(&server, "ada", 0);
    let mut joe = User::named(&server, "joe", 1);
    ada.sees("* joe is here");
    joe.says("hello");
    ada.sees("joe: hello");
    joe.sees("joe: hello");
    joe.says("/who");
    joe.sees("* here are ada, joe");
    joe.says("/quit");
    joe.sees("");
    ada.sees("* joe is gone");
}

#[test]
fn a_name_belongs_to_one_user_until_that_one_is_gone() {
    let server = Server::start("chat_server", &[]);
    let ada = User::named(&server, "ada", 0);
    let mut joe = User::connect(&server);
    joe.says("ada");
    joe.sees("* that name is taken, what is yours?");
    joe.says("joe");
    joe.sees("* welcome; others here: 1");
    ada.lines.get_ref().shutdown(Shutdown::Both).unwrap();
    joe.sees("* ada is gone");
    User::named(&server, "ada", 1);
}

#[test]
fn long_lines_are_cut_and_nothing_moves_the_cursor_of_others() {
    let server = Server::start("chat_server", &[]);
    let mut ada = User::named(&server, "ada", 0);
    ada.says(&"x".repeat(5000));
    ada.sees(&format!("ada: {}", "x".repeat(1024)));
    ada.says("a\x1b[2Jb\rc\0");
    ada.sees("ada: a[2Jbc");
    ada.lines.get_mut().write_all(b"\xff\xfe\n").unwrap();
    ada.sees("ada: \u{fffd}\u{fffd}");
}

#[test]
fn a_user_who_does_not_read_hurts_nobody_else() {
    let server = Server::start("chat_server", &[]);
    let _silent = User::named(&server, "silent", 0);
    let mut ada = User::named(&server, "ada", 1);
    let line = "y".repeat(1000);
    for _ in 0..2000 {
        ada.says(&line);
        ada.sees(&format!("ada: {line}"));
    }
}
