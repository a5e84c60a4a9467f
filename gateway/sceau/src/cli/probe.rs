//! `sceau probe`: how a partner's servers present themselves to us, sending nothing.

use std::path::PathBuf;

use ident::{Clock, Domain, SystemClock};

use super::{Exit, check::load_or_report};
use crate::delivery::probe::{Announced, Probe, Server, Shown, State, probe};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The partner's domain
    domain: Domain,
    /// Configuration file
    #[arg(long)]
    config: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Exit: 0 a server would get our mail; 1 none may; 3 none can be reached now.
pub(super) fn run(args: &Args) -> Exit {
    let (_, snapshot) = match load_or_report(&args.config) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("sceau: the runtime does not start: {error}");
            return Exit::Undetermined;
        }
    };
    let found = runtime.block_on(probe(&snapshot, &args.domain, SystemClock.now()));
    if args.json {
        match serde_json::to_string(&found) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("sceau: {error}"),
        }
    } else {
        print!("{}", text(&found));
    }
    exit(&found)
}

fn exit(found: &Probe) -> Exit {
    let refused = found.servers.iter().any(|server| server.state == State::Refused);
    if found.is_reachable() {
        Exit::Done
    } else if !found.listed || found.blocked.is_some() || refused {
        Exit::No
    } else {
        Exit::Undetermined
    }
}

fn text(found: &Probe) -> String {
    let mut out = Vec::new();
    if !found.listed {
        return format!("{}: not on the trust list, nobody was asked\n", found.domain);
    }
    out.push(format!("{}: on the trust list, spoken for by", found.domain));
    out.extend(found.operators.iter().map(|name| format!("  {name}")));
    out.extend(found.blocked.iter().map(|what| format!("blocked: {what}")));
    let from = if found.configured_route { "[[route]]" } else { "MX" };
    match &found.route_error {
        Some(why) => out.push(format!("{from}: {why}")),
        None => out.push(format!("{from}: {} servers", found.servers.len())),
    }
    found.servers.iter().for_each(|server| describe(server, &mut out));
    out.push(String::new());
    out.join("\n")
}

fn describe(server: &Server, out: &mut Vec<String>) {
    let state = match server.state {
        State::Trusted => "would get our mail",
        State::Refused => "REFUSED",
        State::Unreachable => "UNREACHABLE",
    };
    let why = server.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    out.push(format!("{} at {}: {state}{why}", server.host, server.address));
    if let Some(Shown { version, cipher, subject, issuer, sha256, not_after, must_staple, stapled_by }) = &server.tls {
        out.push(format!("  TLS          {version}, {cipher}"));
        out.extend(subject.iter().map(|subject| format!("  certificate  {subject}")));
        out.extend(issuer.iter().map(|issuer| format!("  issued by    {issuer}")));
        out.extend(sha256.iter().map(|digest| format!("  SHA-256      {digest}")));
        out.extend(not_after.iter().map(|end| format!("  valid until  {end}")));
        let staple = match (stapled_by, must_staple) {
            (Some(by), _) => format!("answer of {by}"),
            (None, true) => "none, and the certificate demands one".to_owned(),
            (None, false) => "none".to_owned(),
        };
        out.push(format!("  staple       {staple}"));
    }
    if let Some(Announced { size, smtputf8, require_tls, dsn }) = &server.announced {
        let size = size.map_or_else(|| "no limit named".to_owned(), |size| format!("at most {size} octets"));
        let yes = |it: &bool| if *it { "yes" } else { "no" };
        out.push(format!(
            "  announces    {size}; SMTPUTF8 {}, REQUIRETLS {}, DSN {}",
            yes(smtputf8),
            yes(require_tls),
            yes(dsn)
        ));
    }
}
