//! Where commands meet the parts of the system: each part is called from one function.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::CliError;
use crate::config::{Config, SalesforceSink, WarehouseSink};
use crate::dead_letter::Redrive;

/// Opens the data directory for the dead-letter commands. Refused while `goldwire run` has it.
pub(super) fn open(_config: &Config) -> Result<Redrive, String> {
    Err("opening the data directory is not built yet".to_owned())
}

/// Asks every sink (`probe()`) and the topic of every Kafka source: a sentence per problem.
#[expect(clippy::unused_async, reason = "until it is built")]
pub(super) async fn probe(_config: &Config) -> Result<Vec<String>, CliError> {
    Err(CliError::Internal(
        "`goldwire check --connect` is not built yet".to_owned(),
    ))
}

/// What a Salesforce org needs.
pub(super) fn salesforce_schema(_sink: &SalesforceSink) -> Result<String, CliError> {
    Err(CliError::Internal(
        "`goldwire schema salesforce` is not built yet".to_owned(),
    ))
}

/// The tables of a warehouse.
pub(super) fn warehouse_schema(_sink: &WarehouseSink) -> Result<String, CliError> {
    Err(CliError::Internal(
        "`goldwire schema warehouse` is not built yet".to_owned(),
    ))
}

/// Try out a webhook endpoint.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  goldwire webhook sign --scheme reltio --secret-env HOOK_SECRET event.json"
)]
pub(super) struct WebhookArgs {
    #[command(subcommand)]
    verb: WebhookVerb,
}

#[derive(Debug, Subcommand)]
enum WebhookVerb {
    /// Print the headers that sign a body, as a sender would sign it now
    Sign,
}

/// Runs a webhook verb.
pub(super) fn webhook(args: &WebhookArgs, _out: &mut impl Write) -> Result<ExitCode, CliError> {
    match args.verb {
        WebhookVerb::Sign => Err(CliError::Internal(
            "`goldwire webhook sign` is not built yet".to_owned(),
        )),
    }
}
