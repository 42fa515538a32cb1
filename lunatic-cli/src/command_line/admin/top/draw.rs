//! Draws what `lunatic top` shows.

use std::time::Duration;

use lunatic_admin::{ProcessEntry, ProcessOrder};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};

use crate::command_line::admin::top::history::Strip;
use crate::command_line::admin::top::state::{Action, Mode, Top};
use crate::command_line::admin::{inspect, shown};

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) has_colour: bool,
    /// Of which strips are made, from low to high.
    pub(super) marks: &'static [char],
}

/// The marks of a terminal that shows Unicode.
pub(super) const BLOCKS: &[char] = &[' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The marks of any other terminal.
pub(super) const ASCII: &[char] = &[' ', '.', ':', '-', '=', '+', '*', '#', '@'];

/// Lines above and below the rows.
pub(super) const FRAME_LINES: u16 = 8;

/// The width of each column but that of the label, in the order of the columns.
const WIDTHS: [usize; 10] = [6, 0, 10, 5, 6, 7, 4, 3, 6, 8];

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, top: &Top, look: Look) {
    let areas = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(5),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
    ]);
    let [title, strips, head, rows, foot] = areas.areas(frame.area());
    frame.render_widget(Paragraph::new(title_line(top, look)), title);
    frame.render_widget(Paragraph::new(strip_lines(top, look, strips.width)), strips);
    match &top.mode {
        Mode::Detail(_) => {
            let area = Rect {
                height: rows.height + 1,
                ..head
            };
            frame.render_widget(Paragraph::new(detail_lines(top, area.height)), area);
        }
        _ => {
            let width = usize::from(head.width);
            frame.render_widget(Paragraph::new(head_line(top, width, look)), head);
            frame.render_widget(Paragraph::new(row_lines(top, width, look)), rows);
        }
    }
    frame.render_widget(Paragraph::new(foot_line(top, look)), foot);
    if top.mode == Mode::Help {
        help(frame);
    }
}

fn title_line(top: &Top, look: Look) -> Line<'static> {
    let mut text = shown::text(&top.name, 64);
    if let Some(stats) = &top.stats {
        let uptime = shown::time(Duration::from_millis(stats.runtime.uptime_ms));
        let living: u64 = stats.environments.iter().map(|it| it.processes).sum();
        let spawned: u64 = stats.environments.iter().map(|it| it.spawned).sum();
        let version = shown::text(&stats.runtime.version, 16);
        text += &format!("  lunatic {version}  up {uptime}  {living} alive, {spawned} spawned");
    }
    if top.is_paused {
        text += "  PAUSED";
    }
    Line::styled(text, look.strong(Color::Cyan))
}

fn strip_lines(top: &Top, look: Look, width: u16) -> Vec<Line<'static>> {
    let history = &top.history;
    let room = usize::from(width).saturating_sub(22);
    let line = |name: &str, value: String, strip: &Strip, most, colour| {
        let drawn = strip.drawn(room, most, look.marks);
        Line::from(vec![
            Span::raw(format!("{name:<11}{value:>9}  ")),
            Span::styled(drawn, look.style(colour)),
        ])
    };
    let count = |value: f64| match value < 9999.5 {
        true => format!("{value:.0}"),
        false => format!("{:.0}k", value / 1000.0),
    };
    let percent = format!("{:.0}%", history.scheduler.last() * 100.0);
    let memory = shown::bytes(history.memory.last() as u64);
    vec![
        line(
            "scheduler",
            percent,
            &history.scheduler,
            Some(1.0),
            Color::Green,
        ),
        line(
            "run queue",
            count(history.run_queue.last()),
            &history.run_queue,
            None,
            Color::Yellow,
        ),
        line("memory", memory, &history.memory, None, Color::Blue),
        line(
            "spawns/s",
            count(history.spawns.last()),
            &history.spawns,
            None,
            Color::Magenta,
        ),
        line(
            "messages/s",
            count(history.messages.last()),
            &history.messages,
            None,
            Color::Cyan,
        ),
    ]
}

/// The width of each column; that of the label takes what is left.
fn widths(width: usize) -> [usize; 10] {
    let mut widths = WIDTHS;
    let others: usize = WIDTHS.iter().map(|width| width + 1).sum();
    widths[1] = width.saturating_sub(others).max(8);
    widths
}

fn is_number(order: ProcessOrder) -> bool {
    !matches!(
        order,
        ProcessOrder::Label | ProcessOrder::State | ProcessOrder::Module
    )
}

fn head_line(top: &Top, width: usize, look: Look) -> Line<'static> {
    let columns = top.columns.iter().zip(widths(width)).enumerate();
    let spans = columns.flat_map(|(number, (column, width))| {
        let is_sorted = number == top.sort && !top.tree;
        let title = match (is_sorted, top.reverse) {
            (true, false) => format!("{}v", column.title),
            (true, true) => format!("{}^", column.title),
            (false, _) => column.title.to_owned(),
        };
        let style = match is_sorted {
            true => Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD),
            false => look.strong(Color::White),
        };
        let title = aligned(&title, width, is_number(column.order));
        [Span::styled(title, style), Span::raw(" ")]
    });
    Line::from(spans.collect::<Vec<_>>())
}

fn row_lines(top: &Top, width: usize, look: Look) -> Vec<Line<'static>> {
    let widths = widths(width);
    let rows = top.visible().iter();
    rows.map(|(depth, row)| {
        let depth = match top.tree {
            true => *depth,
            false => 0,
        };
        let cells = top.columns.iter().zip(widths);
        let cells = cells.map(|(column, width)| {
            let cell = cell(row, depth, column.order);
            aligned(&cell, width, is_number(column.order))
        });
        let text = cells.collect::<Vec<_>>().join(" ");
        match (Some(row.pid) == top.selected, row.exiting) {
            (true, _) => Line::styled(text, Style::new().add_modifier(Modifier::REVERSED)),
            (false, true) => Line::styled(text, look.style(Color::Red)),
            (false, false) => Line::raw(text),
        }
    })
    .collect()
}

fn cell(row: &ProcessEntry, depth: usize, order: ProcessOrder) -> String {
    const MAX_DEPTH: usize = 8;
    const MAX_BYTES: usize = 128;
    let described = row.described.as_ref();
    match order {
        ProcessOrder::Label => {
            let label = row.label.as_deref().unwrap_or(shown::NOTHING);
            " ".repeat(depth.min(MAX_DEPTH)) + &shown::text(label, MAX_BYTES)
        }
        ProcessOrder::State => shown::state(row),
        ProcessOrder::Mailbox => row.mailbox.to_string(),
        ProcessOrder::Memory => {
            shown::or_nothing(described.and_then(|it| it.memory).map(shown::bytes))
        }
        ProcessOrder::Cpu => {
            shown::or_nothing(row.cpu_us.map(Duration::from_micros).map(shown::time))
        }
        ProcessOrder::Restarts => shown::or_nothing(row.restarts),
        ProcessOrder::Links => row.links.to_string(),
        ProcessOrder::Parent => shown::or_nothing(row.parent),
        ProcessOrder::Module => shown::or_nothing(described.map(|it| {
            let module = it.module_name.as_deref().unwrap_or(&it.module);
            shown::text(module, MAX_BYTES)
        })),
        _ => row.pid.to_string(),
    }
}

/// A text that takes exactly so many places. All of them are narrow: others are escaped.
fn aligned(text: &str, width: usize, is_number: bool) -> String {
    let is_cut = text.chars().count() > width;
    let cut = match is_cut {
        true => {
            let begin = text.chars().take(width.saturating_sub(1));
            begin.chain(['~']).collect()
        }
        false => text.to_owned(),
    };
    match is_number {
        true => format!("{cut:>width$}"),
        false => format!("{cut:<width$}"),
    }
}

fn detail_lines(top: &Top, height: u16) -> Vec<Line<'static>> {
    let Mode::Detail(detail) = &top.mode else {
        return Vec::new();
    };
    let text = match (&detail.process, &detail.problem) {
        (_, Some(problem)) => shown::text(problem, 256),
        (Some(process), None) => inspect::text(process),
        (None, None) => format!("process {} is asked ...", detail.pid),
    };
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.len().saturating_sub(usize::from(height));
    let lines = lines.into_iter().skip(detail.scrolled.min(last));
    lines.map(|line| Line::raw(line.to_owned())).collect()
}

fn foot_line(top: &Top, look: Look) -> Line<'static> {
    match &top.mode {
        Mode::List if !top.notice.is_empty() => {
            Line::styled(top.notice.clone(), look.strong(Color::Yellow))
        }
        Mode::List => {
            let shown = top.visible().len();
            let first = top.offset + usize::from(shown > 0);
            let filter = match top.filter.is_empty() {
                true => String::new(),
                false => format!("  filter: {}", shown::text(&top.filter, 64)),
            };
            let range = format!("{first}-{} of {}{filter}", top.offset + shown, top.total);
            let keys = "  q quit  Enter detail  <> sort  t tree  / filter  ? help";
            Line::from(vec![
                Span::styled(range, look.strong(Color::White)),
                Span::raw(keys),
            ])
        }
        Mode::Filter => Line::raw(format!(
            "filter: {}_  (Enter: done, Esc: none)",
            shown::text(&top.filter, 64)
        )),
        Mode::Question(action, pid, label) => {
            let end = match action {
                Action::Kill => "",
                Action::Restart => ", by its supervisor",
            };
            let question = format!("{} process {pid}{label}{end}?  y / n", action.verb());
            Line::styled(question, look.strong(Color::Red))
        }
        Mode::Detail(_) => Line::raw("Up/Down scroll  k kill  r restart  any other key: back"),
        Mode::Help => Line::raw("any key: back"),
    }
}

fn help(frame: &mut Frame<'_>) {
    const LINES: [&str; 12] = [
        "Up Down PgUp PgDn Home End   select, scroll",
        "Enter    all that is known of the process",
        "< >      sort by another column",
        "o        in the opposite order",
        "t        as a tree, by who spawned whom",
        "/        only some: label, id or parent",
        "k        kill the process",
        "r        have its supervisor restart it",
        "Space    pause",
        "q        quit",
        "MEM, STATE, RST and MODULE are asked of all",
        "processes when they are sorted by that.",
    ];
    let width = 48;
    let height = LINES.len() as u16 + 2;
    let area = frame.area();
    let area = Rect {
        x: area.width.saturating_sub(width) / 2,
        y: area.height.saturating_sub(height) / 2,
        width: width.min(area.width),
        height: height.min(area.height),
    };
    let lines: Vec<Line<'_>> = LINES.into_iter().map(Line::raw).collect();
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(" lunatic top ");
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

impl Look {
    fn style(self, colour: Color) -> Style {
        match self.has_colour {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    fn strong(self, colour: Color) -> Style {
        self.style(colour).add_modifier(Modifier::BOLD)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed expectation fails the test")]
mod tests {
    use lunatic_admin::{Described, ProcessId, Request};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::KeyCode;

    use super::*;
    use crate::command_line::admin::top::state::{Detail, Effect};

    const PLAIN: Look = Look {
        has_colour: false,
        marks: ASCII,
    };

    fn row(pid: u64, label: &str, parent: Option<u64>) -> ProcessEntry {
        ProcessEntry {
            pid: ProcessId::from_bits(pid),
            parent: parent.map(ProcessId::from_bits),
            supervisor: false,
            label: Some(label.to_owned()),
            exiting: false,
            mailbox: 2,
            links: 1,
            monitored_by: 0,
            running: false,
            cpu_us: Some(1500),
            described: Some(Described {
                module: "cook.wasm".into(),
                module_hash: "abc".into(),
                module_name: Some("cook".into()),
                memory: Some(1 << 20),
                waiting_in: Some("lunatic::message::receive".into()),
            }),
            restarts: Some(3),
            native: false,
        }
    }

    fn top() -> Top {
        let mut top = Top::new("diner");
        top.height = 16;
        let rows = vec![
            (0, row(1, "app", None)),
            (1, row(2, "app/kitchen", Some(1))),
            (2, row(3, "cook-1", Some(2))),
        ];
        top.set_rows(rows, 3);
        top
    }

    fn terminal(top: &Top, look: Look) -> Terminal<TestBackend> {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| draw(frame, top, look)).unwrap();
        terminal
    }

    fn lines(top: &Top) -> Vec<String> {
        let terminal = terminal(top, PLAIN);
        let buffer = terminal.backend().buffer();
        let cells: Vec<&str> = buffer.content().iter().map(|cell| cell.symbol()).collect();
        let lines = cells.chunks(80).map(|line| line.concat());
        lines.map(|line| line.trim_end().to_owned()).collect()
    }

    #[test]
    fn a_list_fits_into_80_by_24() {
        let lines = lines(&top());
        assert_eq!(lines.len(), 24);
        assert!(lines[0].starts_with("diner"), "{lines:?}");
        for (line, name) in
            lines[1..]
                .iter()
                .zip(["scheduler", "run queue", "memory", "spawns/s", "messages/s"])
        {
            assert!(line.starts_with(name), "{line}");
        }
        let titles: Vec<_> = lines[6].split_whitespace().collect();
        let expected = "PIDv LABEL STATE MBOX MEM CPU RST LNK PARENT MODULE";
        assert_eq!(titles.join(" "), expected);
        assert!(lines[7].contains("app"), "{lines:?}");
        assert!(lines[9].contains("cook-1") && lines[9].contains("receive"));
        assert!(lines[23].starts_with("1-3 of 3"), "{lines:?}");
    }

    #[test]
    fn a_tree_is_indented() {
        let mut top = top();
        assert_eq!(top.key(KeyCode::Char('t')), Effect::Look);
        let lines = lines(&top);
        assert!(lines[8].contains("2  app/kitchen"), "{lines:?}");
        assert!(lines[9].contains("3   cook-1"), "{lines:?}");
    }

    #[test]
    fn without_colour_nothing_is_coloured() {
        let mut top = top();
        top.rows[1].1.exiting = true;
        let colours = |look| {
            let terminal = terminal(&top, look);
            let cells = terminal.backend().buffer().content().to_vec();
            cells
                .iter()
                .filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
                .count()
        };
        assert_eq!(colours(PLAIN), 0);
        let coloured = Look {
            has_colour: true,
            ..PLAIN
        };
        assert!(colours(coloured) > 0);
    }

    #[test]
    fn a_hostile_label_stays_in_its_cell() {
        let mut top = top();
        let label = "\u{1b}[2J\n<script>\u{202e}".repeat(50_000);
        top.rows[0].1.label = Some(label.clone());
        top.mode = Mode::Question(Action::Kill, ProcessId::from_bits(1), String::new());
        for mode in [Mode::List, top.mode.clone()] {
            top.mode = mode;
            let lines = lines(&top);
            assert!(lines[7].contains("\\u{1b}"), "{}", lines[7]);
            assert!(lines[8].contains("app/"), "{}", lines[8]);
            let text = lines.concat();
            assert!(
                text.chars().all(|char| (' '..='~').contains(&char)),
                "{text}"
            );
        }
        let mut lines_of_question = top.clone();
        lines_of_question.selected = Some(ProcessId::from_bits(1));
        lines_of_question.mode = Mode::List;
        lines_of_question.key(KeyCode::Char('k'));
        let lines = lines(&lines_of_question);
        assert!(
            lines[23].starts_with("kill process 1, \\u{1b}"),
            "{}",
            lines[23]
        );
    }

    #[test]
    fn nothing_is_killed_without_a_yes() {
        let mut top = top();
        top.key(KeyCode::Down);
        assert_eq!(top.key(KeyCode::Char('k')), Effect::None);
        assert!(lines(&top)[23].starts_with("kill process 2, app/kitchen?"));
        assert_eq!(top.key(KeyCode::Char('n')), Effect::None);
        assert_eq!(top.mode, Mode::List);
        top.key(KeyCode::Char('r'));
        assert!(lines(&top)[23].starts_with("restart process 2, app/kitchen, by its"));
        let done = top.key(KeyCode::Char('y'));
        assert!(matches!(done, Effect::Do(Request::Restart(_))), "{done:?}");
    }

    #[test]
    fn a_process_that_has_ended_while_it_is_looked_at_is_told_of() {
        let mut top = top();
        top.mode = Mode::Detail(Detail {
            pid: ProcessId::from_bits(3),
            process: None,
            problem: Some("there is no process 3; it may have ended".into()),
            scrolled: 99,
        });
        assert!(lines(&top)[6].starts_with("there is no process 3"));
        top.key(KeyCode::Esc);
        assert_eq!(top.mode, Mode::List);
    }

    #[test]
    fn a_page_is_asked_for_and_no_more() {
        let mut top = top();
        top.total = 100_000;
        top.height = 16;
        assert_eq!(top.query().limit, 16);
        top.key(KeyCode::End);
        assert_eq!(top.query().offset, 100_000 - 16);
        top.key(KeyCode::PageUp);
        assert_eq!(top.query().offset, 100_000 - 32);
        for _ in 0..20 {
            top.key(KeyCode::Right);
        }
        assert_eq!(top.query().sort, ProcessOrder::Module);
        assert_eq!(top.query().offset, 0);
        top.key(KeyCode::Char('/'));
        for char in "cook".chars() {
            top.key(KeyCode::Char(char));
        }
        assert_eq!(top.query().filter.as_deref(), Some("cook"));
    }

    #[test]
    fn any_size_of_terminal_is_drawn() {
        for (width, height) in [(1, 1), (10, 3), (40, 10), (300, 100)] {
            for mode in [Mode::List, Mode::Help, Mode::Filter] {
                let mut top = top();
                top.mode = mode;
                let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
                terminal.draw(|frame| draw(frame, &top, PLAIN)).unwrap();
            }
        }
    }
}
