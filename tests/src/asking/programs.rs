//! What address books ask for while somebody types: the filters of Thunderbird and of Outlook (reference annuaire §5.1 and
//! §5.2).

use super::ldap::Filter;

/// Entries that both ask for.
pub const MOST: u8 = 100;

/// A program, and how it asks for what was typed.
pub type Program = (&'static str, fn(&str) -> Filter);

/// Both of them.
pub const PROGRAMS: [Program; 2] = [("Thunderbird", thunderbird), ("Outlook", outlook)];

/// `(|(cn=*%v1*%v2-*)(mail=*%v*)(givenName=*%v1*)(sn=*%v*))`: all of the text, its first word, the others. Empty pieces are
/// left out.
fn thunderbird(typed: &str) -> Filter {
    let (first, others) = typed.split_once(' ').unwrap_or((typed, ""));
    let pieces = [first, others].into_iter().filter(|piece| !piece.is_empty()).map(str::to_owned).collect();
    let contains = |name, text: &str| Filter::Contains(name, text.to_owned());
    Filter::Any(vec![
        Filter::InOrder("cn", pieces),
        contains("mail", typed),
        contains("givenName", first),
        contains("sn", typed),
    ])
}

/// `(&(mail=*)(|(mail=%s*)(|(cn=%s*)(|(sn=%s*)(givenName=%s*)))))`.
fn outlook(typed: &str) -> Filter {
    let starts = |name| Filter::Starts(name, typed.to_owned());
    let names = Filter::Any(vec![starts("sn"), starts("givenName")]);
    let either = Filter::Any(vec![starts("mail"), Filter::Any(vec![starts("cn"), names])]);
    Filter::All(vec![Filter::Has("mail"), either])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the programs write them.
    #[test]
    fn the_filters_are_those_of_the_programs() {
        let [(_, thunderbird), (_, outlook)] = PROGRAMS;
        for (typed, written) in [
            ("dup", "(|(cn=*dup*)(mail=*dup*)(givenName=*dup*)(sn=*dup*))"),
            (
                "eric de la tour",
                "(|(cn=*eric*de la tour*)(mail=*eric de la tour*)(givenName=*eric*)(sn=*eric de la tour*))",
            ),
        ] {
            assert_eq!(thunderbird(typed).to_string(), written);
        }
        let written = "(&(mail=*)(|(mail=d t*)(|(cn=d t*)(|(sn=d t*)(givenName=d t*)))))";
        assert_eq!(outlook("d t").to_string(), written);
    }
}
