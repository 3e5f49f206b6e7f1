//! Fills columns from the snapshots that are stored, page by page.
//!
//! Guarantee: each page is a transaction that also notes how far it went, so that an end of the
//! process costs one page. Rows are locked while their values are made: a page never puts the values
//! of an older snapshot beside a newer one. A page holds 8 MiB of JSON at most, or one row (G8).

use super::super::connection::{Connection, Failed};
use super::super::dialect::{Cell, Dialect, Name, Row, Statement, Type, fixed};
use super::super::schema::LOCK;
use super::mapping::TABLES;
use super::quoted;
use crate::sink::columns::Columns;

/// Rows of a page at most.
const ROWS: usize = 1000;

/// Bytes of JSON in a page at most, save for its first row.
const LARGEST: usize = 8 << 20;

/// Rows between two lines in the log.
const OFTEN: usize = 100_000;

const STAGE: &str = "SELECT stage, tenant, subject, commit_time, version FROM goldwire_backfill";

const KEY: [(&str, Type); 4] = [
    ("tenant", Type::Text),
    ("subject", Type::Text),
    ("commit_time", Type::Int),
    ("version", Type::Int),
];

/// What fills one table.
#[derive(Debug)]
struct Fill {
    /// Columns of its key.
    key: usize,
    /// Key, JSON and type of rows with content after a key.
    read: Statement,
    write: Statement,
}

/// Fills every table, from where it was left.
pub(super) async fn fill(connection: &mut Connection, columns: &Columns) -> Result<(), Failed> {
    let dialect = connection.dialect();
    let fills = TABLES.map(|table| Fill::new(dialect, table, columns));
    let advance = advance(dialect);
    let mut filled: usize = 0;
    loop {
        connection.begin().await?;
        if dialect == Dialect::Postgres {
            connection.command(LOCK.to_owned()).await?;
        }
        let Some((stage, after)) = stage(connection).await? else {
            connection.roll_back().await?;
            return Ok(());
        };
        let Some(fill) = fills.get(stage) else {
            connection.roll_back().await?;
            if filled > 0 {
                tracing::info!("the warehouse's columns are filled from {filled} stored snapshots");
            }
            return Ok(());
        };
        let rows = match columns.count() {
            0 => Vec::new(),
            _ => fill.page(connection, after, columns).await?,
        };
        filled += rows.len();
        tell(filled - rows.len(), filled);
        let next = match rows.last() {
            Some(last) => fill.position(stage, last),
            None => start(stage + 1),
        };
        connection.run(&advance, || vec![next]).await?;
        connection.commit().await?;
    }
}

/// Says that it goes on, and once in a while how far: the sink delivers nothing meanwhile.
fn tell(before: usize, filled: usize) {
    if before == 0 && filled > 0 {
        tracing::info!(
            "the warehouse's columns are being filled from the stored snapshots; deliveries wait"
        );
    } else if before / OFTEN < filled / OFTEN {
        tracing::info!("the warehouse's columns: {filled} stored snapshots read so far");
    }
}

/// The table that is to be filled, and the key after which.
async fn stage(connection: &mut Connection) -> Result<Option<(usize, Row<'static>)>, Failed> {
    let mut types = vec![Type::Int];
    types.extend(KEY.map(|(_, kind)| kind));
    let rows = connection.rows(STAGE, &types).await?;
    let first = rows.into_iter().next().and_then(|row| {
        let mut cells = row.into_iter();
        let stage = usize::try_from(cells.next()?.int()?).ok()?;
        Some((stage, cells.collect()))
    });
    Ok(first)
}

/// Before the first row of a table.
fn start(stage: usize) -> Row<'static> {
    let least = Cell::Int(Some(-i64::MAX));
    vec![
        number(stage),
        Cell::of(""),
        Cell::of(""),
        least.clone(),
        least,
    ]
}

fn number(stage: usize) -> Cell<'static> {
    Cell::Int(i64::try_from(stage).ok())
}

/// Notes how far it went.
fn advance(dialect: Dialect) -> Statement {
    let mut columns = fixed(&[("stage", Type::Int)]);
    columns.extend(fixed(&KEY));
    let set = columns.iter().map(|(name, _)| format!("{name} = i.{name}"));
    let set: Vec<String> = set.collect();
    let body = format!(
        " UPDATE goldwire_backfill SET {} FROM incoming AS i",
        set.join(", ")
    );
    Statement::bound(dialect, columns, &[], &body)
}

impl Fill {
    fn new(dialect: Dialect, table: &str, columns: &Columns) -> Self {
        let is_current = table != "golden_record_changes";
        let key = if is_current { 2 } else { KEY.len() };
        Self {
            key,
            read: read(dialect, table, key),
            write: write(dialect, table, key, columns),
        }
    }

    /// Fills the rows after a key; the rows that it read.
    async fn page(
        &self,
        connection: &mut Connection,
        after: Row<'static>,
        columns: &Columns,
    ) -> Result<Vec<Row<'static>>, Failed> {
        let rows = connection.first(&self.read, after, LARGEST).await?;
        let filled = rows.iter().filter_map(|row| {
            let (key, content) = row.split_at_checked(self.key)?;
            let [json, told] = content else { return None };
            let values = columns.read_text(json.text()?, told.text().unwrap_or_default());
            let mut cells = key.to_vec();
            cells.extend(
                values
                    .into_iter()
                    .map(|value| Cell::Text(value.map(Into::into))),
            );
            Some(cells)
        });
        let filled = filled.collect();
        connection.run(&self.write, || filled).await?;
        Ok(rows)
    }

    /// After `row` of the table at `stage`.
    fn position(&self, stage: usize, row: &Row<'static>) -> Row<'static> {
        let key = row.iter().take(self.key).cloned();
        let rest = start(stage).into_iter().skip(1 + self.key);
        [number(stage)].into_iter().chain(key).chain(rest).collect()
    }
}

fn read(dialect: Dialect, table: &str, key: usize) -> Statement {
    let own: Vec<String> = of_key(key).map(|name| format!("g.{name}")).collect();
    let own = own.join(", ");
    let after: Vec<String> = of_key(key)
        .map(|name| format!("(SELECT {name} FROM incoming)"))
        .collect();
    let lock = match dialect {
        Dialect::Sqlite => "",
        Dialect::Postgres => " FOR UPDATE OF g",
    };
    let body = format!(
        " SELECT {own}, coalesce(g.object_exact, CAST(g.object AS text)), g.object_type
 FROM {table} AS g WHERE ({own}) > ({}) AND g.object IS NOT NULL
 ORDER BY {own} LIMIT {ROWS}{lock}",
        after.join(", ")
    );
    let returns: &[Type] = match key {
        2 => &[Type::Text, Type::Text, Type::Text, Type::Text],
        _ => &[
            Type::Text,
            Type::Text,
            Type::Int,
            Type::Int,
            Type::Text,
            Type::Text,
        ],
    };
    Statement::bound(dialect, fixed(&KEY), returns, &body)
}

/// A row that has its values is not written again.
fn write(dialect: Dialect, table: &str, key: usize, columns: &Columns) -> Statement {
    let mut rows: Vec<(Name, Type)> = fixed(KEY.get(..key).unwrap_or_default());
    rows.extend(columns.of_rows());
    let values = columns.0.iter().map(|column| {
        let name = quoted(&column.name);
        let value = column.cast(dialect, &format!("i.{name}"));
        (
            format!("{name} = {value}"),
            format!("g.{name} IS DISTINCT FROM {value}"),
        )
    });
    let (set, differs): (Vec<String>, Vec<String>) = values.unzip();
    let same: Vec<String> = of_key(key)
        .map(|name| format!("g.{name} = i.{name}"))
        .collect();
    let body = format!(
        " UPDATE {table} AS g SET {} FROM incoming AS i WHERE {} AND ({})",
        set.join(", "),
        same.join(" AND "),
        differs.join(" OR ")
    );
    Statement::bound(dialect, rows, &[], &body)
}

fn of_key(key: usize) -> impl Iterator<Item = &'static str> {
    KEY.iter().take(key).map(|(name, _)| *name)
}
