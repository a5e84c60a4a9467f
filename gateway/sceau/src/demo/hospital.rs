//! What each hospital's operator would write by hand: the configuration file and the registry.

use std::{fmt::Write as _, net::SocketAddr};

use ident::{Fingerprint, PersonId};

use super::{
    cast::{Behaviour, CastError, Person, Place},
    space::{HospitalPorts, LIST_SIGNER_CN, LIST_SIGNER_OU, Ports, reached},
};

/// A text as a TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// `["a", "b"]`
fn list<'a>(ids: impl Iterator<Item = &'a PersonId>) -> String {
    let ids: Vec<_> = ids.map(|id| quoted(id.as_str())).collect();
    format!("[{}]", ids.join(", "))
}

/// A root as the configuration pins it.
pub(super) struct PinnedRoot {
    pub(super) purpose: &'static str,
    pub(super) fingerprint: Fingerprint,
}

/// The configuration file of hospital A or B, relative to its folder.
pub(super) fn configuration(
    place: Place,
    other: Place,
    ports: &Ports,
    roots: &[PinnedRoot],
) -> Result<String, CastError> {
    let (own, theirs) = if place == Place::A { (&ports.a, &ports.b) } else { (&ports.b, &ports.a) };
    let structure = place.structure()?;
    let mut out = format!(
        "# {name}, a fictional hospital: what its operator would write by hand.
# Start it with: sceau serve --config {folder}/sceau.toml

[operator]
name = {quoted_name}
help = \"aide@{domain}\"
environment = \"test\" # certificates of the TEST category are welcome here, and only here

[server]
hostname = \"{host}\"
data = \"data\"
certificate = \"tls.pem\"
key = \"tls.key\"
storage_key = \"storage.key\"
",
        name = structure.name,
        folder = place.folder(),
        quoted_name = quoted(&structure.name),
        domain = place.domain()?,
        host = place.host(),
    );
    out += &listeners(own);
    out += &domain(place, own)?;
    out += &trust(roots);
    out += &partners(other, theirs, ports)?;
    out += "
[annuaire]
data = \"../annuaire-data\"

[delivery] # a demonstration has no patience
first_retry = \"1s\"
last_retry = \"8s\"
lifetime = \"5m\"
delay_notices = [\"15s\", \"60s\"]
";
    if let Some(pages) = ports.pages.filter(|_| place == Place::A) {
        let origin = reached(pages);
        let _ = write!(
            out,
            "
[http] # the directory for clinicians, over HTTPS
listen = \"{pages}\"
origin = \"https://{origin}\" # a production system has a name and a certificate that browsers know
"
        );
    }
    Ok(out)
}

fn listeners(ports: &HospitalPorts) -> String {
    let mut out = String::new();
    for (comment, kind, address, tls) in [
        ("practice software, RFC 6409", "submission", ports.submission, "starttls"),
        ("practice software, RFC 8314", "submission", ports.submission_tls, "implicit"),
        ("other operators", "exchange", ports.exchange, "starttls"),
    ] {
        let _ =
            writeln!(out, "\n[[listener]] # {comment}\nkind = \"{kind}\"\naddress = \"{address}\"\ntls = \"{tls}\"");
    }
    out
}

fn domain(place: Place, ports: &HospitalPorts) -> Result<String, CastError> {
    let domain = place.domain()?;
    let mut out = format!(
        "
[[domain]]
name = \"{domain}\"
registry = \"registry.toml\"
signing = {{ certificate = \"signing.pem\", key = \"signing.key\" }}
decryption = [{{ certificate = \"decryption.pem\", key = \"decryption.key\" }}]
inner = {{ protocol = \"lmtp\", address = \"{}\" }}
",
        ports.inner
    );
    if place == Place::A {
        let _ = write!(
            out,
            "
[[client]] # the hospital's inner mail server vouches for its users
certificate = \"messagerie.pem\"
vouches_for = [\"{domain}\"]
"
        );
    }
    Ok(out)
}

fn trust(roots: &[PinnedRoot]) -> String {
    let files = |folder: &str, suffixes: &[&str]| {
        let names =
            roots.iter().flat_map(|r| suffixes.iter().map(move |s| format!("\"../{folder}/{}{s}\"", r.purpose)));
        names.collect::<Vec<_>>().join(", ")
    };
    let mut out = format!(
        "
[trust]
list = \"../trust-list/list.xml\"
profile = {{ signer_cn = {}, signer_ou = {} }}
intermediates = [{}]
crls = [{}]
",
        quoted(LIST_SIGNER_CN),
        quoted(LIST_SIGNER_OU),
        files("authorities", &[".pem"]),
        files("crl", &["-root.crl", ".crl"]),
    );
    for PinnedRoot { purpose, fingerprint } in roots {
        let _ = write!(
            out,
            "
[[trust.anchor]]
purpose = \"{purpose}\"
file = \"../anchors/{purpose}.pem\"
sha256 = \"{fingerprint}\"
"
        );
    }
    out
}

fn partners(other: Place, theirs: &HospitalPorts, ports: &Ports) -> Result<String, CastError> {
    let mut out = String::new();
    for usage in ["signs", "reads"] {
        let _ = write!(
            out,
            "
[[book]]
domain = \"{}\"
use = \"{usage}\"
certificate = \"../book/{}-{usage}.pem\"
",
            other.domain()?,
            other.folder()
        );
    }
    let third: (Place, SocketAddr) = (Place::C, ports.c.exchange);
    let rules = [("required", (other, reached(theirs.exchange))), ("never", third)];
    for (smime, (place, address)) in rules {
        let _ = write!(
            out,
            "
[[partner]]
domain = \"{domain}\"
smime = \"{smime}\"

[[route]]
domain = \"{domain}\"
host = \"{host}\"
address = \"{address}\"
",
            domain = place.domain()?,
            host = place.host(),
        );
    }
    Ok(out)
}

/// The registry of a hospital's own mailboxes.
pub(super) fn registry(place: Place, people: &[Person]) -> Result<String, CastError> {
    let structure = place.structure()?;
    let mut out = format!("# The mailboxes of {}: who owns them, who may write from them.\n", structure.name);
    let here = |key: &str| people.iter().find(|p| p.key == key && p.place == place).map(|p| &p.id);
    let id = structure.id.as_str();
    for person in people.iter().filter(|p| p.place == place) {
        let Some(mailbox) = &person.mailbox else { continue };
        let owner = &person.id;
        let _ = write!(
            out,
            "
[[mailbox]] # {given} {family}
address = \"{mailbox}\"
type = \"PER\"
owner = \"{owner}\"
structure = \"{id}\"
rank = 1
",
            given = person.given,
            family = person.family,
        );
        if person.key == "martin" {
            let _ = writeln!(out, "grants = {} # her secretary's staff card", list(here("bernard").into_iter()));
        }
        if person.key == "durand" {
            let _ = writeln!(out, "delegates = {} # the nurse of his service", list(here("robert").into_iter()));
        }
        if person.key == "robert" {
            let _ = writeln!(out, "red_list = true");
        }
    }
    let members = list(people.iter().filter(|p| p.place == place && p.role.profession().is_some()).map(|p| &p.id));
    let service = place.address("cardiologie")?;
    let _ = write!(
        out,
        "
[[mailbox]] # a service
address = \"{service}\"
type = \"ORG\"
name = \"Service de cardiologie\"
structure = \"{id}\"
members = {members}
"
    );
    for (word, behaviour) in Behaviour::STEERED {
        let _ = write!(
            out,
            "
[[mailbox]] # misbehaves on request
address = \"{}\"
type = \"ORG\"
name = {}
structure = \"{id}\"
",
            place.address(&format!("{word}.essai"))?,
            quoted(behaviour.label()),
        );
    }
    Ok(out)
}
