//! The attributes and classes of our entries: inetOrgPerson (RFC 2798, RFC 4519) and what the directory adds, as one
//! table from which filters are read, entries written, and the subschema entry made.

/// Where our own definitions are numbered: an arc made of a UUID, which needs no registration (ITU-T X.667).
const ARC: &str = "2.25.241018502624518072677510596205748643180";

/// What an attribute is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Attr {
    ObjectClass,
    CommonName,
    Surname,
    GivenName,
    DisplayName,
    Mail,
    Uid,
    EmployeeNumber,
    EmployeeType,
    Title,
    BusinessCategory,
    Description,
    Organisation,
    Unit,
    Locality,
    State,
    PostalCode,
    Street,
    PostalAddress,
    Telephone,
    DomainComponent,
    UserCertificate,
    SmimeCertificate,
    MailboxType,
    ProfessionCode,
    SpecialityCode,
    StructureId,
    PersonState,
    // Operational.
    EntryDn,
    StructuralClass,
    Subschema,
    HasSubordinates,
    Modified,
    Generation,
    DataAsOf,
    Match,
    // Of the root and of the subschema.
    NamingContexts,
    SupportedControl,
    SupportedExtension,
    SupportedFeatures,
    SupportedSasl,
    SupportedVersion,
    VendorName,
    VendorVersion,
    AttributeTypes,
    ObjectClasses,
    Syntaxes,
    MatchingRules,
}

/// How values of an attribute are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    /// Text: case, accents, hyphens and apostrophes aside.
    Text,
    /// A mail address.
    Address,
    /// A national identifier in any form that people write.
    Identifier,
    /// A telephone number: digits only.
    Telephone,
    /// The name of a class.
    Class,
    /// The name of an entry.
    Name,
    /// A moment.
    Time,
    /// TRUE or FALSE.
    Boolean,
    /// Octets that are only given.
    Octets,
}

/// One attribute type.
#[derive(Debug)]
pub(super) struct AttributeType {
    pub(super) attr: Attr,
    pub(super) names: &'static [&'static str],
    /// Number; our own ones only behind [`ARC`].
    oid: &'static str,
    pub(super) syntax: Syntax,
    /// A subtype of `name` (RFC 4519 §2.18).
    pub(super) is_name: bool,
    /// Given only to who names it, or asks for `+`.
    pub(super) operational: bool,
}

const fn of(attr: Attr, names: &'static [&'static str], oid: &'static str, syntax: Syntax) -> AttributeType {
    AttributeType { attr, names, oid, syntax, is_name: false, operational: false }
}

const fn name(attr: Attr, names: &'static [&'static str], oid: &'static str) -> AttributeType {
    AttributeType { attr, names, oid, syntax: Syntax::Text, is_name: true, operational: false }
}

const fn operational(attr: Attr, names: &'static [&'static str], oid: &'static str, syntax: Syntax) -> AttributeType {
    AttributeType { attr, names, oid, syntax, is_name: false, operational: true }
}

/// All attribute types, in the order in which entries show them.
pub(super) const TYPES: &[AttributeType] = &[
    of(Attr::ObjectClass, &["objectClass"], "2.5.4.0", Syntax::Class),
    name(Attr::CommonName, &["cn", "commonName"], "2.5.4.3"),
    name(Attr::Surname, &["sn", "surname"], "2.5.4.4"),
    name(Attr::GivenName, &["givenName", "gn"], "2.5.4.42"),
    of(Attr::DisplayName, &["displayName"], "2.16.840.1.113730.3.1.241", Syntax::Text),
    of(Attr::Mail, &["mail", "rfc822Mailbox"], "0.9.2342.19200300.100.1.3", Syntax::Address),
    of(Attr::Uid, &["uid", "userid"], "0.9.2342.19200300.100.1.1", Syntax::Identifier),
    of(Attr::EmployeeNumber, &["employeeNumber"], "2.16.840.1.113730.3.1.3", Syntax::Identifier),
    of(Attr::EmployeeType, &["employeeType"], "2.16.840.1.113730.3.1.4", Syntax::Text),
    name(Attr::Title, &["title"], "2.5.4.12"),
    of(Attr::BusinessCategory, &["businessCategory"], "2.5.4.15", Syntax::Text),
    of(Attr::Description, &["description"], "2.5.4.13", Syntax::Text),
    name(Attr::Organisation, &["o", "organizationName"], "2.5.4.10"),
    name(Attr::Unit, &["ou", "organizationalUnitName"], "2.5.4.11"),
    name(Attr::Locality, &["l", "localityName"], "2.5.4.7"),
    name(Attr::State, &["st", "stateOrProvinceName"], "2.5.4.8"),
    of(Attr::PostalCode, &["postalCode"], "2.5.4.17", Syntax::Text),
    of(Attr::Street, &["street", "streetAddress"], "2.5.4.9", Syntax::Text),
    of(Attr::PostalAddress, &["postalAddress"], "2.5.4.16", Syntax::Text),
    of(Attr::Telephone, &["telephoneNumber"], "2.5.4.20", Syntax::Telephone),
    of(Attr::DomainComponent, &["dc", "domainComponent"], "0.9.2342.19200300.100.1.25", Syntax::Text),
    of(Attr::UserCertificate, &["userCertificate"], "2.5.4.36", Syntax::Octets),
    of(Attr::SmimeCertificate, &["userSMIMECertificate"], "2.16.840.1.113730.3.1.40", Syntax::Octets),
    of(Attr::MailboxType, &["mssMailboxType"], "1.1", Syntax::Text),
    of(Attr::ProfessionCode, &["professionCode"], "1.2", Syntax::Text),
    of(Attr::SpecialityCode, &["specialityCode"], "1.3", Syntax::Text),
    of(Attr::StructureId, &["structureIdentifier"], "1.4", Syntax::Identifier),
    of(Attr::PersonState, &["personState"], "1.5", Syntax::Text),
    operational(Attr::EntryDn, &["entryDN"], "1.3.6.1.1.20", Syntax::Name),
    operational(Attr::StructuralClass, &["structuralObjectClass"], "2.5.21.9", Syntax::Class),
    operational(Attr::Subschema, &["subschemaSubentry"], "2.5.18.10", Syntax::Name),
    operational(Attr::HasSubordinates, &["hasSubordinates"], "2.5.18.9", Syntax::Boolean),
    operational(Attr::Modified, &["modifyTimestamp"], "2.5.18.2", Syntax::Time),
    operational(Attr::Generation, &["directoryGeneration"], "1.6", Syntax::Text),
    operational(Attr::DataAsOf, &["directoryDataAsOf"], "1.7", Syntax::Time),
    operational(Attr::Match, &["directoryMatch"], "1.8", Syntax::Text),
    operational(Attr::NamingContexts, &["namingContexts"], "1.3.6.1.4.1.1466.101.120.5", Syntax::Name),
    operational(Attr::SupportedControl, &["supportedControl"], "1.3.6.1.4.1.1466.101.120.13", Syntax::Text),
    operational(Attr::SupportedExtension, &["supportedExtension"], "1.3.6.1.4.1.1466.101.120.7", Syntax::Text),
    operational(Attr::SupportedFeatures, &["supportedFeatures"], "1.3.6.1.4.1.4203.1.3.5", Syntax::Text),
    operational(Attr::SupportedSasl, &["supportedSASLMechanisms"], "1.3.6.1.4.1.1466.101.120.14", Syntax::Text),
    operational(Attr::SupportedVersion, &["supportedLDAPVersion"], "1.3.6.1.4.1.1466.101.120.15", Syntax::Text),
    operational(Attr::VendorName, &["vendorName"], "1.3.6.1.1.4", Syntax::Text),
    operational(Attr::VendorVersion, &["vendorVersion"], "1.3.6.1.1.5", Syntax::Text),
    operational(Attr::AttributeTypes, &["attributeTypes"], "2.5.21.5", Syntax::Text),
    operational(Attr::ObjectClasses, &["objectClasses"], "2.5.21.6", Syntax::Text),
    operational(Attr::Syntaxes, &["ldapSyntaxes"], "1.3.6.1.4.1.1466.101.120.16", Syntax::Text),
    operational(Attr::MatchingRules, &["matchingRules"], "2.5.21.4", Syntax::Text),
];

impl AttributeType {
    /// Its number.
    pub(super) fn oid(&self) -> String {
        // Ours are short: nothing of the world's begins with an arc `1` of one digit behind it.
        if self.oid.len() <= 4 { format!("{ARC}.{}", self.oid) } else { self.oid.to_owned() }
    }

    /// The name that entries show.
    pub(super) fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }

    fn definition(&self) -> String {
        let (equality, ordering, substrings, syntax) = match self.syntax {
            Syntax::Text | Syntax::Identifier => (
                "caseIgnoreMatch",
                "caseIgnoreOrderingMatch",
                "caseIgnoreSubstringsMatch",
                "1.3.6.1.4.1.1466.115.121.1.15",
            ),
            Syntax::Address => {
                ("caseIgnoreIA5Match", "", "caseIgnoreIA5SubstringsMatch", "1.3.6.1.4.1.1466.115.121.1.26")
            }
            Syntax::Telephone => {
                ("telephoneNumberMatch", "", "telephoneNumberSubstringsMatch", "1.3.6.1.4.1.1466.115.121.1.50")
            }
            Syntax::Class => ("objectIdentifierMatch", "", "", "1.3.6.1.4.1.1466.115.121.1.38"),
            Syntax::Name => ("distinguishedNameMatch", "", "", "1.3.6.1.4.1.1466.115.121.1.12"),
            Syntax::Time => {
                ("generalizedTimeMatch", "generalizedTimeOrderingMatch", "", "1.3.6.1.4.1.1466.115.121.1.24")
            }
            Syntax::Boolean => ("booleanMatch", "", "", "1.3.6.1.4.1.1466.115.121.1.7"),
            Syntax::Octets => ("", "", "", "1.3.6.1.4.1.1466.115.121.1.8"),
        };
        let mut text = format!("( {} NAME ( ", self.oid());
        self.names.iter().for_each(|name| text.push_str(&format!("'{name}' ")));
        text.push(')');
        for (word, rule) in [("EQUALITY", equality), ("ORDERING", ordering), ("SUBSTR", substrings)] {
            if !rule.is_empty() {
                text.push_str(&format!(" {word} {rule}"));
            }
        }
        text.push_str(&format!(" SYNTAX {syntax}"));
        if self.operational {
            text.push_str(" NO-USER-MODIFICATION USAGE directoryOperation");
        }
        text.push_str(" )");
        text
    }
}

/// The type of an attribute.
pub(super) fn type_of(attr: Attr) -> Option<&'static AttributeType> {
    TYPES.iter().find(|known| known.attr == attr)
}

/// The type that a client names: by name, letter case aside, or by number.
pub(super) fn by_name(text: &str) -> Option<&'static AttributeType> {
    let named = |known: &&AttributeType| {
        known.names.iter().any(|name| name.eq_ignore_ascii_case(text))
            || (text.starts_with(|c: char| c.is_ascii_digit()) && known.oid() == text)
    };
    TYPES.iter().find(named)
}

/// One class of entries.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) name: &'static str,
    oid: &'static str,
    form: &'static str,
    must: &'static [&'static str],
    may: &'static [&'static str],
}

/// The classes of our entries; the ones above come before the ones below.
pub(super) const CLASSES: &[Class] = &[
    Class { name: "top", oid: "2.5.6.0", form: "ABSTRACT", must: &["objectClass"], may: &[] },
    Class {
        name: "person",
        oid: "2.5.6.6",
        form: "SUP top STRUCTURAL",
        must: &["sn", "cn"],
        may: &["telephoneNumber", "description"],
    },
    Class {
        name: "organizationalPerson",
        oid: "2.5.6.7",
        form: "SUP person STRUCTURAL",
        must: &[],
        may: &["title", "street", "postalCode", "postalAddress", "ou", "st", "l"],
    },
    Class {
        name: "inetOrgPerson",
        oid: "2.16.840.1.113730.3.2.2",
        form: "SUP organizationalPerson STRUCTURAL",
        must: &[],
        may: &[
            "businessCategory",
            "displayName",
            "employeeNumber",
            "employeeType",
            "givenName",
            "mail",
            "o",
            "uid",
            "userCertificate",
            "userSMIMECertificate",
        ],
    },
    Class {
        name: "healthProfessional",
        oid: "2.1",
        form: "SUP top AUXILIARY",
        must: &["personState"],
        may: &["mssMailboxType", "professionCode", "specialityCode", "structureIdentifier"],
    },
    Class {
        name: "organization",
        oid: "2.5.6.4",
        form: "SUP top STRUCTURAL",
        must: &["o"],
        may: &[
            "businessCategory",
            "description",
            "street",
            "postalCode",
            "postalAddress",
            "st",
            "l",
            "telephoneNumber",
        ],
    },
    Class {
        name: "organizationalUnit",
        oid: "2.5.6.5",
        form: "SUP top STRUCTURAL",
        must: &["ou"],
        may: &["description"],
    },
    Class {
        name: "healthStructure",
        oid: "2.2",
        form: "SUP top AUXILIARY",
        must: &["cn", "structureIdentifier"],
        may: &["mail", "mssMailboxType", "ou", "displayName", "userCertificate", "userSMIMECertificate"],
    },
    Class { name: "dcObject", oid: "1.3.6.1.4.1.1466.344", form: "SUP top AUXILIARY", must: &["dc"], may: &[] },
    Class {
        name: "subschema",
        oid: "2.5.20.1",
        form: "AUXILIARY",
        must: &[],
        may: &["attributeTypes", "objectClasses", "ldapSyntaxes", "matchingRules"],
    },
    Class { name: "subentry", oid: "2.5.17.0", form: "SUP top STRUCTURAL", must: &["cn"], may: &[] },
];

impl Class {
    pub(super) fn oid(&self) -> String {
        if self.oid.len() <= 4 { format!("{ARC}.{}", self.oid) } else { self.oid.to_owned() }
    }

    fn definition(&self) -> String {
        let list = |word: &str, names: &[&str]| match names {
            [] => String::new(),
            names => format!(" {word} ( {} )", names.join(" $ ")),
        };
        format!(
            "( {} NAME '{}' {}{}{} )",
            self.oid(),
            self.name,
            self.form,
            list("MUST", self.must),
            list("MAY", self.may)
        )
    }
}

/// Values of `attributeTypes`.
pub(super) fn attribute_definitions() -> Vec<String> {
    TYPES.iter().map(AttributeType::definition).collect()
}

/// Values of `objectClasses`.
pub(super) fn class_definitions() -> Vec<String> {
    CLASSES.iter().map(Class::definition).collect()
}

/// Values of `ldapSyntaxes` (RFC 4517 §3.3).
pub(super) fn syntax_definitions() -> Vec<String> {
    [
        ("7", "Boolean"),
        ("8", "X.509 Certificate"),
        ("12", "DN"),
        ("15", "Directory String"),
        ("24", "Generalized Time"),
        ("26", "IA5 String"),
        ("38", "OID"),
        ("50", "Telephone Number"),
    ]
    .map(|(number, words)| format!("( 1.3.6.1.4.1.1466.115.121.1.{number} DESC '{words}' )"))
    .to_vec()
}

/// Matching rules, number and name (RFC 4517 §4.2).
pub(super) const RULES: &[(&str, &str, &str)] = &[
    ("2.5.13.0", "objectIdentifierMatch", "38"),
    ("2.5.13.1", "distinguishedNameMatch", "12"),
    ("2.5.13.2", "caseIgnoreMatch", "15"),
    ("2.5.13.3", "caseIgnoreOrderingMatch", "15"),
    ("2.5.13.4", "caseIgnoreSubstringsMatch", "58"),
    ("2.5.13.5", "caseExactMatch", "15"),
    ("2.5.13.13", "booleanMatch", "7"),
    ("2.5.13.20", "telephoneNumberMatch", "50"),
    ("2.5.13.21", "telephoneNumberSubstringsMatch", "58"),
    ("2.5.13.27", "generalizedTimeMatch", "24"),
    ("2.5.13.28", "generalizedTimeOrderingMatch", "24"),
    ("1.3.6.1.4.1.1466.109.114.2", "caseIgnoreIA5Match", "26"),
    ("1.3.6.1.4.1.1466.109.114.3", "caseIgnoreIA5SubstringsMatch", "58"),
];

/// Values of `matchingRules`.
pub(super) fn rule_definitions() -> Vec<String> {
    let of = |(number, name, syntax): &(&str, &str, &str)| {
        format!("( {number} NAME '{name}' SYNTAX 1.3.6.1.4.1.1466.115.121.1.{syntax} )")
    };
    RULES.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_speaks_of_attributes_that_are_defined() {
        for class in CLASSES {
            for name in class.must.iter().chain(class.may) {
                assert!(by_name(name).is_some(), "{}: {name}", class.name);
            }
        }
    }

    #[test]
    fn types_are_found_by_name_and_number_and_each_stands_once() {
        for known in TYPES {
            assert_eq!(type_of(known.attr).unwrap().name(), known.name());
            assert_eq!(by_name(&known.oid()).unwrap().attr, known.attr);
            for name in known.names {
                assert_eq!(by_name(&name.to_uppercase()).unwrap().attr, known.attr);
            }
        }
        assert!(by_name("mozillaNickname").is_none() && by_name("").is_none() && by_name("1.1").is_none());
    }
}
