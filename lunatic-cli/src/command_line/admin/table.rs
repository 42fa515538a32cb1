//! A table for people.

/// Columns with their widths.
pub(super) struct Table {
    titles: Vec<&'static str>,
    /// Whether the column contains numbers, which are aligned to the right.
    numbers: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    ///
    /// - `columns`: titles, and whether numbers are below.
    pub(super) fn new(columns: &[(&'static str, bool)]) -> Table {
        let (titles, numbers) = columns.iter().copied().unzip();
        Table {
            titles,
            numbers,
            rows: Vec::new(),
        }
    }

    /// Adds a row, which has a cell for each column.
    pub(super) fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// The lines, without a line end behind the last.
    pub(super) fn into_text(self) -> String {
        let mut widths: Vec<usize> = self.titles.iter().map(|title| title.len()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let titles = self.titles.iter().map(|title| (*title).to_owned());
        let mut text = String::new();
        for row in std::iter::once(titles.collect()).chain(self.rows) {
            let mut line = String::new();
            for ((cell, width), is_number) in row.iter().zip(&widths).zip(&self.numbers) {
                line += &match is_number {
                    true => format!("{cell:>width$}  "),
                    false => format!("{cell:<width$}  "),
                };
            }
            if !text.is_empty() {
                text.push('\n');
            }
            text += line.trim_end();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&[("N", true), ("NAME", false), ("X", false)]);
        table.push(vec!["10".into(), "ä".into(), "a".into()]);
        table.push(vec!["1".into(), "longer".into(), "".into()]);
        assert_eq!(
            table.into_text(),
            " N  NAME    X\n10  ä       a\n 1  longer"
        );
    }
}
