//! Rules of the whole: names, sources, sinks, what two sections must not both say.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::admin::{self, Admin};
use crate::config::{At, Rules, address, bytes, one_kind};
use crate::event::{Filter, Kind};
use crate::sink::registry::KINDS;
use crate::source::kafka;
use crate::{engine, log, refresh, reltio, webhook};

/// Applies every rule.
pub(super) fn check(top: &At<'_>, rules: &mut Rules<'_>) {
    names(top, rules);
    webhook::check_listener(top, rules);
    ports(top, rules);
    admin::check(top, rules);
    reltio::check(top, rules);
    log::check(top, rules);
    engine::check(top, rules);
    sources(top, rules);
    sinks(top, rules);
    refreshes(top, rules);
}

fn names(top: &At<'_>, rules: &mut Rules<'_>) {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
    if let Some(app) = top.get("app")
        && app
            .text()
            .is_some_and(|text| text.is_empty() || !text.chars().all(plain))
    {
        rules.refuse(
            &app,
            "use letters, digits, `.`, `-` and `_` only: it names consumer groups",
        );
    }
    if let Some(tenant) = top.get("tenant")
        && tenant
            .text()
            .is_some_and(|text| text.is_empty() || !text.chars().all(plain))
    {
        rules.refuse(&tenant, "write the tenant's id, as in the URL of its API");
    }
    if let Some(dir) = top.get("data_dir")
        && dir.text().is_some_and(str::is_empty)
    {
        rules.refuse(&dir, "write the path of a directory on a persistent disk");
    }
}

/// The two listeners do not get in each other's way.
fn ports(top: &At<'_>, rules: &mut Rules<'_>) {
    let Some(webhook) = top.down(&["webhook", "address"]) else {
        return;
    };
    let admin = top.down(&["admin", "address"]);
    let here = match &admin {
        Some(admin) => address(admin),
        None => Some(Ok(Admin::default().address)),
    };
    let (Some(Ok(there)), Some(Ok(here))) = (address(&webhook), here) else {
        return;
    };
    // Port 0 is any free one, so twice is no conflict.
    if there.port() != here.port() || here.port() == 0 {
        return;
    }
    if there.ip() == here.ip() || covers(there, here) || covers(here, there) {
        match &admin {
            Some(admin) => rules.refuse(admin, "give it another port than webhook.address"),
            None => rules.refuse(
                &webhook,
                format!("{here} is admin.address; take another port"),
            ),
        }
    }
}

/// Whether who listens at `all` takes what goes to `one`.
fn covers(all: SocketAddr, one: SocketAddr) -> bool {
    // IPv6's unspecified address stands for IPv4's addresses too.
    all.ip().is_unspecified() && (all.is_ipv6() || one.is_ipv4())
}

fn sources(top: &At<'_>, rules: &mut Rules<'_>) {
    let sources = top
        .get("sources")
        .map(|sources| sources.entries())
        .unwrap_or_default();
    let drain = engine::drain_timeout(top, rules);
    let mut paths = BTreeMap::new();
    for (name, source) in sources {
        self::name(name, &source, &["inbox", "inbox_topic", "reconcile"], rules);
        let Some((kind, section)) = one_kind(&source, &["kafka", "webhook"], rules) else {
            continue;
        };
        if top.get("reltio").is_none() {
            without_reltio(&section, rules);
        }
        if let Some(at) = section.get("max_body")
            && bytes(Some(&at), "10MiB") == 0
        {
            rules.refuse(&at, "must be at least 1KiB");
        }
        if let Some(at) = section.get("queue")
            && bytes(Some(&at), "64MiB") < 1 << 20
        {
            rules.refuse(&at, "must be at least 1MiB");
        }
        if kind == "kafka" {
            kafka::check(top, &section, drain, rules);
            continue;
        }
        if top.get("webhook").is_none() {
            let remedy = "missing; add the listener of webhook sources with its address and tls";
            rules.missing(top, "webhook", remedy);
        }
        webhook::check_endpoint(&section, rules);
        if let Some(path) = section.get("path")
            && let Some(text) = path.text()
            && let Some(other) = paths.insert(text, name)
        {
            rules.refuse(
                &path,
                format!("sources.{other} has this path; give each its own"),
            );
        }
    }
}

/// What needs a read of Reltio is refused where nothing can be read: it would end in dead letters.
/// A source that takes everything (`*`, or no key at all) may never get what needs one.
fn without_reltio(section: &At<'_>, rules: &mut Rules<'_>) {
    if let Some(at) = section.get("completeness") {
        let remedy = if at.get("fields").is_some() {
            "add the section `reltio`: objects with some members only are completed there"
        } else {
            "add the section `reltio`: what the events lack is read there"
        };
        if at.get("fields").is_some() || at.text() == Some("mixed") {
            rules.refuse(&at, remedy);
        }
    }
    for at in patterns(section, ["entity_types", "entityTypes"]) {
        let remedy = "add the section `reltio`, or take all types (`*`): the type of what an event \
                      only names is read there";
        rules.refuse(&at, remedy);
    }
    let events = patterns(section, ["event_types", "eventTypes"]);
    for at in events.into_iter().filter(takes_merges) {
        let remedy = "add the section `reltio`, or leave out merges and splits: what came of their \
                      subjects is read there";
        rules.refuse(&at, remedy);
    }
}

/// The patterns of a filter, by its key here and in a subscription, that leave something out.
fn patterns<'a>(section: &At<'a>, [here, subscribed]: [&str; 2]) -> Vec<At<'a>> {
    let lists = [
        section.get(here),
        section.down(&["subscription", subscribed]),
    ];
    let patterns = lists.iter().flatten().flat_map(At::items);
    patterns
        .filter(|at| at.text().is_some_and(|text| text != "*"))
        .collect()
}

fn takes_merges(pattern: &At<'_>) -> bool {
    let pattern = [pattern.text().unwrap_or_default().to_owned()];
    let filter = Filter::new(None, Some(&pattern), true);
    let takes = |kind| filter.passes_kind(kind, false) || filter.passes_kind(kind, true);
    takes(Kind::Merged) || takes(Kind::Split)
}

fn sinks(top: &At<'_>, rules: &mut Rules<'_>) {
    for (name, sink) in top
        .get("sinks")
        .map(|sinks| sinks.entries())
        .unwrap_or_default()
    {
        // The inbox has a group of that name, and ingest has dead letters of its own.
        self::name(name, &sink, &["inbox", "ingest"], rules);
        let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        let Some((name, section)) = one_kind(&sink, &names, rules) else {
            continue;
        };
        if let Some(kind) = KINDS.iter().find(|kind| kind.name == name) {
            (kind.check)(top, &section, rules);
        }
    }
}

fn refreshes(top: &At<'_>, rules: &mut Rules<'_>) {
    let refreshes = top.get("refreshes").map(|refreshes| refreshes.entries());
    for (name, at) in refreshes.unwrap_or_default() {
        self::name(name, &at, &[], rules);
        refresh::check(top, &at, rules);
    }
}

/// Names become parts of groups, keys, labels and URLs.
fn name(name: &str, at: &At<'_>, taken: &[&str], rules: &mut Rules<'_>) {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        rules.refuse(at, "name it with at most 64 letters, digits, `-` and `_`");
    } else if taken.contains(&name) {
        rules.refuse(at, "name it otherwise; goldwire uses this name itself");
    }
}
