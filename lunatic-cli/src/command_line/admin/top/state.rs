//! What `lunatic top` shows, and what keys do to that.

use lunatic_admin::{
    Describe, ProcessDetail, ProcessEntry, ProcessId, ProcessOrder, ProcessQuery, Request, Stats,
    Target,
};
use ratatui::crossterm::event::KeyCode;

use crate::command_line::admin::shown;
use crate::command_line::admin::top::history::History;

/// All that is shown. The picture depends on nothing else.
#[derive(Debug, Clone)]
pub(super) struct Top {
    /// The name of the runtime.
    pub(super) name: String,
    pub(super) stats: Option<Stats>,
    pub(super) history: History,
    /// The processes of this page, in their order, with their depth in the tree.
    pub(super) rows: Vec<(usize, ProcessEntry)>,
    /// How many there are on all pages.
    pub(super) total: usize,
    pub(super) columns: &'static [Column],
    pub(super) sort: usize,
    pub(super) reverse: bool,
    pub(super) filter: String,
    pub(super) tree: bool,
    /// How many processes are before the page.
    pub(super) offset: usize,
    /// So many rows fit.
    pub(super) height: usize,
    pub(super) selected: Option<ProcessId>,
    pub(super) mode: Mode,
    /// What is to be said about the last thing that was done.
    pub(super) notice: String,
    pub(super) is_paused: bool,
}

/// What is in front, and gets the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mode {
    List,
    /// A filter is written.
    Filter,
    /// Whether this is to be done.
    Question(Action, ProcessId, String),
    Detail(Detail),
    Help,
}

/// One process in detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Detail {
    pub(super) pid: ProcessId,
    /// `None` until it has answered.
    pub(super) process: Option<Box<ProcessDetail>>,
    /// Why it cannot be shown.
    pub(super) problem: Option<String>,
    /// So many lines are scrolled out.
    pub(super) scrolled: usize,
}

/// What can be done to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Kill,
    Restart,
}

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) order: ProcessOrder,
}

/// What there is to be done outside after a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    /// Something else is to be shown.
    Look,
    Do(Request),
    End,
}

const fn column(title: &'static str, order: ProcessOrder) -> Column {
    Column { title, order }
}

/// In the order in which they are shown.
const COLUMNS: &[Column] = &[
    column("PID", ProcessOrder::Pid),
    column("LABEL", ProcessOrder::Label),
    column("STATE", ProcessOrder::State),
    column("MBOX", ProcessOrder::Mailbox),
    column("MEM", ProcessOrder::Memory),
    column("CPU", ProcessOrder::Cpu),
    column("RST", ProcessOrder::Restarts),
    column("LNK", ProcessOrder::Links),
    column("PARENT", ProcessOrder::Parent),
    column("MODULE", ProcessOrder::Module),
];

/// So many processes are put into a tree.
pub(super) const MAX_TREE: usize = 1000;

impl Top {
    pub(super) fn new(name: &str) -> Top {
        Top {
            name: name.to_owned(),
            stats: None,
            history: History::default(),
            rows: Vec::new(),
            total: 0,
            columns: COLUMNS,
            sort: 0,
            reverse: false,
            filter: String::new(),
            tree: false,
            offset: 0,
            // That of the terminal is not known yet.
            height: 0,
            selected: None,
            mode: Mode::List,
            notice: String::new(),
            is_paused: false,
        }
    }

    /// Which processes are to be shown.
    pub(super) fn query(&self) -> ProcessQuery {
        let mut query = ProcessQuery {
            filter: (!self.filter.is_empty()).then(|| self.filter.clone()),
            describe: Describe::Yes,
            limit: self.height.max(1),
            offset: self.offset,
            ..ProcessQuery::default()
        };
        match self.tree {
            true => {
                query.limit = MAX_TREE;
                query.offset = 0;
            }
            false => {
                query.sort = self.columns[self.sort].order;
                query.reverse = self.reverse;
            }
        }
        query
    }

    /// Who is looked at in detail.
    pub(super) fn inspected(&self) -> Option<ProcessId> {
        match &self.mode {
            Mode::Detail(detail) => Some(detail.pid),
            _ => None,
        }
    }

    /// The rows that are to be seen.
    pub(super) fn visible(&self) -> &[(usize, ProcessEntry)] {
        let begin = match self.tree {
            true => self.offset.min(self.rows.len()),
            false => 0,
        };
        let end = (begin + self.height).min(self.rows.len());
        &self.rows[begin..end]
    }

    /// New rows have come.
    pub(super) fn set_rows(&mut self, rows: Vec<(usize, ProcessEntry)>, total: usize) {
        self.rows = rows;
        self.total = total;
        if self.offset >= total.max(1) {
            self.offset = total.saturating_sub(self.height);
        }
        let is_there = |pid| self.rows.iter().any(|(_, row)| Some(row.pid) == pid);
        if !is_there(self.selected) {
            self.selected = self.visible().first().map(|(_, row)| row.pid);
        }
    }

    /// What a key does.
    pub(super) fn key(&mut self, key: KeyCode) -> Effect {
        match &mut self.mode {
            Mode::List => self.key_in_list(key),
            Mode::Filter => self.key_in_filter(key),
            Mode::Question(action, pid, _) => {
                let (action, pid) = (*action, *pid);
                self.mode = Mode::List;
                match key {
                    KeyCode::Char('y' | 'Y') => Effect::Do(action.request(pid)),
                    _ => Effect::None,
                }
            }
            Mode::Detail(detail) => {
                match key {
                    KeyCode::Down => detail.scrolled = detail.scrolled.saturating_add(1),
                    KeyCode::Up => detail.scrolled = detail.scrolled.saturating_sub(1),
                    KeyCode::PageDown => detail.scrolled = detail.scrolled.saturating_add(10),
                    KeyCode::PageUp => detail.scrolled = detail.scrolled.saturating_sub(10),
                    KeyCode::Char('k') => return self.ask(Action::Kill),
                    KeyCode::Char('r') => return self.ask(Action::Restart),
                    _ => self.mode = Mode::List,
                }
                Effect::None
            }
            Mode::Help => {
                self.mode = Mode::List;
                Effect::None
            }
        }
    }

    fn key_in_list(&mut self, key: KeyCode) -> Effect {
        self.notice.clear();
        match key {
            KeyCode::Char('q') | KeyCode::Esc => return Effect::End,
            KeyCode::Up => return self.select(-1),
            KeyCode::Down => return self.select(1),
            KeyCode::PageUp => return self.scroll(-(self.height as isize)),
            KeyCode::PageDown => return self.scroll(self.height as isize),
            KeyCode::Home => return self.scroll(isize::MIN),
            KeyCode::End => return self.scroll(isize::MAX),
            KeyCode::Char('<') | KeyCode::Left => return self.sort_by(self.sort.checked_sub(1)),
            KeyCode::Char('>') | KeyCode::Right => return self.sort_by(Some(self.sort + 1)),
            KeyCode::Char('o') => self.reverse = !self.reverse,
            KeyCode::Char('t') => {
                self.tree = !self.tree;
                self.offset = 0;
            }
            KeyCode::Char(' ') => self.is_paused = !self.is_paused,
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            KeyCode::Enter => {
                let Some(pid) = self.selected else {
                    return Effect::None;
                };
                self.mode = Mode::Detail(Detail {
                    pid,
                    process: None,
                    problem: None,
                    scrolled: 0,
                });
            }
            KeyCode::Char('k') => return self.ask(Action::Kill),
            KeyCode::Char('r') => return self.ask(Action::Restart),
            _ => return Effect::None,
        }
        Effect::Look
    }

    fn key_in_filter(&mut self, key: KeyCode) -> Effect {
        const MAX: usize = 64;
        match key {
            KeyCode::Enter => self.mode = Mode::List,
            KeyCode::Esc => {
                self.filter.clear();
                self.mode = Mode::List;
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(char) if self.filter.len() < MAX && !char.is_control() => {
                self.filter.push(char);
            }
            _ => return Effect::None,
        }
        self.offset = 0;
        Effect::Look
    }

    /// Asks whether something is to be done to the selected process.
    fn ask(&mut self, action: Action) -> Effect {
        let Some(pid) = self.inspected().or(self.selected) else {
            return Effect::None;
        };
        let row = self.rows.iter().find(|(_, row)| row.pid == pid);
        let label = row.and_then(|(_, row)| row.label.as_deref());
        let label = label.map_or_else(String::new, |label| format!(", {}", shown::text(label, 40)));
        self.mode = Mode::Question(action, pid, label);
        Effect::None
    }

    fn sort_by(&mut self, column: Option<usize>) -> Effect {
        match column {
            Some(column) if column < self.columns.len() => {
                self.sort = column;
                self.offset = 0;
                Effect::Look
            }
            _ => Effect::None,
        }
    }

    /// Selects the row so far from the selected one, which may be on another page.
    fn select(&mut self, by: isize) -> Effect {
        let visible = self.visible();
        let at = visible
            .iter()
            .position(|(_, row)| Some(row.pid) == self.selected);
        let wanted = match at {
            Some(at) => at.checked_add_signed(by),
            None => Some(0),
        };
        match wanted.and_then(|wanted| visible.get(wanted)) {
            Some((_, row)) => {
                self.selected = Some(row.pid);
                Effect::None
            }
            None => self.scroll(by),
        }
    }

    fn scroll(&mut self, by: isize) -> Effect {
        let last = self.total.min(match self.tree {
            true => self.rows.len(),
            false => usize::MAX,
        });
        let last = last.saturating_sub(self.height);
        let offset = self.offset.saturating_add_signed(by).min(last);
        if offset == self.offset {
            return Effect::None;
        }
        self.offset = offset;
        if self.tree {
            let visible = self.visible();
            let row = match by < 0 {
                true => visible.first(),
                false => visible.last(),
            };
            self.selected = row.map(|(_, row)| row.pid);
        }
        Effect::Look
    }
}

impl Action {
    fn request(self, pid: ProcessId) -> Request {
        match self {
            Action::Kill => Request::Kill(Target::new(pid)),
            Action::Restart => Request::Restart(Target::new(pid)),
        }
    }

    pub(super) fn verb(self) -> &'static str {
        match self {
            Action::Kill => "kill",
            Action::Restart => "restart",
        }
    }
}
