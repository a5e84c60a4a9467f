//! A verified trust list in the form of Postfix tables.

use ident::Domain;
use pki::{
    name::Attribute,
    trust_list::{TrustList, TrustListEntry},
};
use serde_json::{Value, json};

use super::trust_list::Table;

/// One line of a table, or why a domain has none.
struct Row<'a> {
    domain: &'a Domain,
    value: Result<String, String>,
}

/// The table as text for a `texthash:` map.
pub(super) fn text(list: &TrustList, table: Table) -> String {
    let mut out = format!(
        "# Trust list of {}, sha-256 {}, {} domains.\n",
        list.generated(),
        list.digest(),
        list.domains().count()
    );
    out.push_str(match table {
        Table::TlsPolicy => {
            "# smtp_tls_policy_maps = texthash:THIS FILE; smtp_tls_security_level = secure; smtp_tls_CAfile = the servers' root.\n\
             # Postfix compares host names only; the list names whole certificates. A domain that is not here must not be written to.\n"
        }
        Table::Recipients => {
            "# smtpd_recipient_restrictions = check_recipient_access texthash:THIS FILE, reject\n\
             # parent_domain_matches_subdomains must not hold smtpd_access_maps.\n"
        }
    });
    for row in rows(list, table) {
        match row.value {
            Ok(value) => out.push_str(&format!("{} {value}\n", row.domain)),
            Err(why) => out.push_str(&format!("# {}: {why}\n", row.domain)),
        }
    }
    out
}

/// The same rows as JSON.
pub(super) fn json(list: &TrustList, table: Table) -> Value {
    let rows: Vec<Value> = rows(list, table)
        .map(|row| json!({ "domain": row.domain, "value": row.value.as_ref().ok(), "problem": row.value.as_ref().err() }))
        .collect();
    json!({ "generated": list.generated().rfc3339(), "digest": list.digest(), "rows": rows })
}

fn rows(list: &TrustList, table: Table) -> impl Iterator<Item = Row<'_>> {
    list.entries().map(move |entry| {
        let value = match (table, hosts(entry)) {
            (Table::Recipients, _) => Ok("OK".to_owned()),
            (Table::TlsPolicy, Ok(hosts)) => Ok(format!("secure match={}", hosts.join(":"))),
            (Table::TlsPolicy, Err(why)) => Err(why),
        };
        Row { domain: &entry.domain, value }
    })
}

/// Host names of the operators of a domain: the CN of each. What is no host name is left out, for
/// in a table it would be a pattern.
fn hosts(entry: &TrustListEntry) -> Result<Vec<String>, String> {
    let mut hosts: Vec<String> = entry
        .operators
        .iter()
        .filter_map(|operator| operator.single(Attribute::CommonName))
        .filter_map(|name| Domain::parse(name).ok())
        .map(|host| host.as_str().to_owned())
        .collect();
    hosts.dedup();
    if hosts.is_empty() { Err("no operator is named by a host name".to_owned()) } else { Ok(hosts) }
}
