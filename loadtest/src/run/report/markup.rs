//! Pieces of the page: everything that comes from the report is escaped here.

/// Text as HTML, in an element or in a quoted attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() && c != '\n' && c != '\t' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// One piece after the other.
pub(super) fn each<T>(items: impl IntoIterator<Item = T>, of: impl Fn(T) -> String) -> String {
    items.into_iter().map(of).collect::<Vec<_>>().concat()
}

/// A line of a table.
#[derive(Debug)]
pub(super) struct Row {
    /// Not as it should be: it stands out.
    pub(super) bad: bool,
    /// The first is the line's head.
    pub(super) cells: Vec<String>,
}

/// What the cells of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cells {
    /// Numbers, below each other.
    Figures,
    /// Text.
    Words,
}

/// A table in a box of its own that scrolls where the screen is narrow.
pub(super) fn table(caption: &str, cells: Cells, head: &[&str], rows: &[Row]) -> String {
    let caption = escape(caption);
    if rows.is_empty() {
        return format!("<p class=\"none\">{caption}: none.</p>\n");
    }
    let head = each(head, |name| {
        format!("<th scope=\"col\">{}</th>", escape(name))
    });
    let rows = each(rows, |row| {
        let mut cells = row.cells.iter().map(|cell| escape(cell));
        let name = cells.next().unwrap_or_default();
        format!(
            "<tr{}><th scope=\"row\">{name}</th>{}</tr>\n",
            if row.bad { " class=\"bad\"" } else { "" },
            each(cells, |cell| format!("<td>{cell}</td>"))
        )
    });
    let class = if cells == Cells::Figures {
        "figures"
    } else {
        "words"
    };
    format!(
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{caption}\">\n\
         <table class=\"{class}\">\n<caption><span>{caption}</span></caption>\n\
         <thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n</div>\n"
    )
}

/// Names and what they stand for.
pub(super) fn facts(class: &str, facts: &[(&str, String, String)]) -> String {
    let facts = each(facts, |(name, fact, note)| {
        let note = if note.is_empty() {
            String::new()
        } else {
            format!("<dd class=\"note\">{}</dd>", escape(note))
        };
        format!(
            "<div><dt>{}</dt><dd>{}</dd>{note}</div>\n",
            escape(name),
            escape(fact)
        )
    });
    format!("<dl class=\"{class}\">\n{facts}</dl>\n")
}

/// A section with a title.
pub(super) fn section(id: &str, title: &str, content: &str) -> String {
    format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n\
         <h2 id=\"{id}-title\">{title}</h2>\n{content}</section>\n",
        title = escape(title)
    )
}
