//! `goldwire schema`: what a configuration may hold, and what a target must.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{CliError, ConfigArg, print, print_json, wiring};
use crate::config::{self, SinkConfig};

/// Print the JSON Schema of the configuration, or what a sink's target must look like.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  goldwire schema > goldwire.schema.json\n  \
    goldwire schema salesforce crm    fields and validation rule that the org needs\n  \
    goldwire schema warehouse lake    tables that the sink makes")]
pub(super) struct SchemaArgs {
    #[command(subcommand)]
    of: Option<Of>,
}

#[derive(Debug, Clone, Subcommand)]
enum Of {
    /// Fields and validation rule that a Salesforce org needs
    #[command(after_help = "Examples:\n  goldwire schema salesforce crm")]
    Salesforce(SinkArg),
    /// Tables that a warehouse sink makes
    #[command(after_help = "Examples:\n  goldwire schema warehouse lake > tables.sql")]
    Warehouse(SinkArg),
}

#[derive(Debug, Clone, Args)]
struct SinkArg {
    /// The sink's name in the configuration
    name: String,
    #[command(flatten)]
    config: ConfigArg,
}

pub(super) fn run(args: &SchemaArgs, out: &mut impl Write) -> Result<ExitCode, CliError> {
    match &args.of {
        None => print_json(out, &config::schema())?,
        Some(Of::Salesforce(of)) => {
            let sink = of.sink()?;
            let Some(crm) = &sink.salesforce else {
                return Err(of.other_kind("salesforce"));
            };
            print(out, wiring::salesforce_schema(crm))?;
        }
        Some(Of::Warehouse(of)) => {
            let sink = of.sink()?;
            let Some(warehouse) = &sink.warehouse else {
                return Err(of.other_kind("warehouse"));
            };
            print(out, wiring::warehouse_schema(warehouse))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl SinkArg {
    fn sink(&self) -> Result<SinkConfig, CliError> {
        let config = self.config.load()?;
        let known: Vec<&str> = config.sinks.keys().map(String::as_str).collect();
        config.sinks.get(&self.name).cloned().ok_or_else(|| {
            let (name, known) = (&self.name, known.join(", "));
            CliError::Usage(format!(
                "there is no sink {name:?}; the configuration has: {known}"
            ))
        })
    }

    fn other_kind(&self, kind: &str) -> CliError {
        CliError::Usage(format!("sinks.{} is not of kind `{kind}`", self.name))
    }
}
