//! `lunatic top`.

mod asking;
mod draw;
mod history;
mod state;

use std::io::{self, IsTerminal};
use std::process::ExitCode;
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

use anstream::{AutoStream, ColorChoice};
use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use crate::command_line::admin::ask::Which;
use crate::command_line::admin::top::asking::{Asker, Told};
use crate::command_line::admin::top::draw::{ASCII, BLOCKS, FRAME_LINES, Look, draw};
use crate::command_line::admin::top::state::{Effect, Mode, Top};
use crate::command_line::problem::Problem;
use crate::command_line::time::time;

/// What is shown, and how often.
#[derive(Debug, Args)]
pub(crate) struct TopArguments {
    #[command(flatten)]
    which: Which,

    /// How often the runtime is asked, for example 500ms or 2s.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "1s")]
    delay: Duration,
}

/// How long a key waits until it is looked at.
const KEY_WAIT: Duration = Duration::from_millis(50);

/// Shows processes until a key ends it.
pub(crate) fn top(options: &TopArguments) -> Result<ExitCode, Problem> {
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return Err(Problem::new("`lunatic top` needs a terminal")
            .help("`lunatic ps` and `lunatic stats` have --json for programs"));
    }
    let delay = options.delay.max(Duration::from_millis(100));
    let asker = Asker::start(&options.which, delay)?;
    let mut state = Top::new(asker.name());
    let look = look();
    let mut terminal = ratatui::try_init().map_err(no_terminal)?;
    let shown = show(&mut terminal, &mut state, &asker, look);
    ratatui::restore();
    shown.map(|()| ExitCode::SUCCESS)
}

/// What the terminal can show, as the environment tells.
fn look() -> Look {
    let variables = ["LC_ALL", "LC_CTYPE", "LANG"];
    let locale = variables
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty());
    let is_unicode = locale.is_some_and(|locale| {
        let locale = locale.to_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    });
    Look {
        has_colour: AutoStream::choice(&io::stdout()) != ColorChoice::Never,
        marks: match is_unicode {
            true => BLOCKS,
            false => ASCII,
        },
    }
}

fn show(
    terminal: &mut DefaultTerminal,
    state: &mut Top,
    asker: &Asker,
    look: Look,
) -> Result<(), Problem> {
    let mut is_changed = true;
    loop {
        if is_changed {
            let size = terminal.size().map_err(no_terminal)?;
            let height = usize::from(size.height.saturating_sub(FRAME_LINES)).max(1);
            if height != state.height {
                state.height = height;
                asker.look(state);
            }
            terminal
                .draw(|frame| draw(frame, state, look))
                .map_err(no_terminal)?;
        }
        is_changed = false;
        if event::poll(KEY_WAIT).map_err(no_terminal)? {
            is_changed = true;
            let effect = match event::read().map_err(no_terminal)? {
                Event::Key(key) if key.kind == KeyEventKind::Release => Effect::None,
                Event::Key(key)
                    if key.code == KeyCode::Char('c')
                        && key.modifiers.contains(KeyModifiers::CONTROL) =>
                {
                    Effect::End
                }
                Event::Key(key) => state.key(key.code),
                _ => Effect::None,
            };
            match effect {
                Effect::End => return Ok(()),
                Effect::Look => asker.look(state),
                Effect::Do(request) => asker.act(request),
                Effect::None => {}
            }
        }
        loop {
            match asker.told() {
                Ok(told) => {
                    is_changed = true;
                    take_in(state, told)?;
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    return Err(Problem::new("the runtime is not asked any more"));
                }
            }
        }
    }
}

/// What was told is shown from now on.
fn take_in(state: &mut Top, told: Told) -> Result<(), Problem> {
    match told {
        Told::Page(page) if !state.is_paused => {
            let page = *page;
            state.history.add(&page.stats, page.at);
            state.stats = Some(page.stats);
            if page.query == state.query() {
                state.set_rows(page.rows, page.total);
            }
        }
        Told::Page(_) => {}
        Told::Detail(pid, answer) => {
            if let Mode::Detail(detail) = &mut state.mode
                && detail.pid == pid
            {
                match answer {
                    Ok(process) => detail.process = Some(process),
                    Err(problem) => detail.problem = Some(problem),
                }
            }
        }
        Told::Notice(notice) => state.notice = notice,
        Told::Gone(problem) => return Err(problem),
    }
    Ok(())
}

fn no_terminal(error: io::Error) -> Problem {
    Problem::new(format!("the terminal does not work: {error}"))
}
