//! `goldwire schema`: what a configuration may hold, and what a target must.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use super::{CliError, ConfigArg, print, print_json};
use crate::topology;

/// Print the JSON Schema of the configuration, or what a sink's target must look like.
///
/// Connects to nothing and needs no secret; a variable that decides what is printed has to be set.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  goldwire schema > goldwire.schema.json\n  \
    goldwire schema salesforce crm    fields and validation rule that the org needs\n  \
    goldwire schema warehouse lake    tables that the sink makes\n  \
    goldwire schema databricks files  what reads the files of a `lake` sink in Databricks\n  \
    goldwire schema power_bi_rows live    the push dataset to create\n  \
    goldwire schema snowflake cloud   table, views, erasure and grants, as SQL")]
pub(super) struct SchemaArgs {
    /// The sink's kind, to see what its target must look like; or what reads its files
    #[arg(requires = "name")]
    kind: Option<String>,
    /// The sink's name in the configuration
    name: Option<String>,
    #[command(flatten)]
    config: ConfigArg,
}

pub(super) fn run(args: &SchemaArgs, out: &mut impl Write) -> Result<ExitCode, CliError> {
    if let (Some(kind), Some(name)) = (&args.kind, &args.name) {
        print(out, args.target(kind, name)?)?;
    } else {
        print_json(out, &topology::schema())?;
    }
    Ok(ExitCode::SUCCESS)
}

impl SchemaArgs {
    /// What the target of a sink must look like.
    fn target(&self, kind: &str, name: &str) -> Result<String, CliError> {
        let loaded = self.config.load_loosely()?;
        let config = &loaded.config;
        let known: Vec<&str> = config.sinks.keys().map(String::as_str).collect();
        let sink = config.sinks.get(name).and_then(|sink| sink.kind());
        let (its, sink) = sink.ok_or_else(|| {
            let known = known.join(", ");
            CliError::Usage(format!(
                "there is no sink {name:?}; the configuration has: {known}"
            ))
        })?;
        let text = sink.schema(kind).ok_or_else(|| {
            CliError::Usage(if its == kind {
                format!("a sink of kind `{kind}` asks nothing of its target beforehand")
            } else {
                format!("sinks.{name} is of kind `{its}`, not `{kind}`")
            })
        })?;
        for key in sink.schema_needs() {
            let needed = loaded.need(&format!("sinks.{name}.{its}.{key}"));
            needed.map_err(|error| self.config.wrong(error))?;
        }
        Ok(text)
    }
}
