//! Text for a terminal: lines and tables that are no wider than it.

/// Columns of a line, at most.
const WIDTH: usize = 100;
/// What a table's lines begin with.
const INDENT: &str = "  ";
/// A name in a table is not made shorter than this.
const SHORTEST: usize = 8;

/// Without what a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(shown).collect()
}

/// At most so many characters.
pub(super) fn cut(text: &str, most: usize) -> String {
    let text = plain(text);
    if text.chars().count() <= most {
        return text;
    }
    let kept = text.chars().take(most.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// Lines of words. All but the first begin with `indent`.
pub(super) fn wrap(text: &str, indent: &str) -> String {
    let room = WIDTH - indent.chars().count();
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in plain(text).split_whitespace() {
        let mut word = word;
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            lines.push(std::mem::take(&mut line));
        }
        // A word that is longer than a line is broken.
        while let Some((end, _)) = word.char_indices().nth(room) {
            let (part, rest) = word.split_at(end);
            lines.push(part.to_owned());
            word = rest;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.join(&format!("\n{indent}"))
}

/// A table: the first column from the left, the others from the right. Where it is too wide, the
/// first column is cut.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<_> = head.iter().map(|&name| name.to_owned()).collect();
    let rows: Vec<_> = [&head].into_iter().chain(rows).collect();
    let columns = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let others: Vec<_> = (1..columns).map(width).collect();
    let taken = INDENT.len() + others.iter().map(|width| width + 2).sum::<usize>();
    let first = width(0).min(WIDTH.saturating_sub(taken).max(SHORTEST));
    let lines = rows.iter().map(|row| {
        let mut cells = row.iter();
        let name = cells.next().map_or("", String::as_str);
        let name = format!("{INDENT}{:first$}", cut(name, first));
        let others = cells
            .zip(&others)
            .map(|(cell, width)| format!("  {cell:>width$}"));
        let line: Vec<_> = [name].into_iter().chain(others).collect();
        line.concat().trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}
