//! The tree of names: the root, the subschema, two folders, and the entries in them; what lies in a search's scope.

use super::{
    SUBSCHEMA,
    dn::Dn,
    entry::{Boxes, Entry},
    message::{MANAGE_DSA_IT, Scope},
    page::PAGED,
    reach::is_about_entries,
    result::{Code, Ending},
    schema::{self, Attr},
    search::Run,
    spelling::nothing,
};
use crate::{Filter, Page, Question};

/// What a name stands for.
enum At {
    Root,
    Subschema,
    Base,
    People,
    Structures,
    Person(Box<Dn>),
    Structure(Box<Dn>),
}

/// What lies in the scope.
pub(super) struct Lies<'a> {
    pub(super) fixed: Vec<Entry<'a>>,
    pub(super) people: bool,
    pub(super) structures: bool,
}

pub(super) fn is_subschema(name: &Dn) -> bool {
    Dn::parse(SUBSCHEMA).is_some_and(|subschema| subschema.key() == name.key())
}

impl<'a> Run<'a> {
    /// What lies in the scope of the search, or why nothing does.
    pub(super) fn scope(&self) -> Result<Lies<'a>, Ending> {
        let asked = &self.search.asked;
        let base = &self.search.settings.base;
        // As most address books ask: nothing to take apart.
        if asked.scope == Scope::Subtree && asked.base == *base && !base.is_empty() && is_about_entries(&asked.filter) {
            return Ok(Lies { fixed: Vec::new(), people: true, structures: true });
        }
        let name = Dn::parse(&asked.base).ok_or_else(|| {
            Ending::new(
                Code::InvalidDnSyntax,
                "the search base is no name of an entry: write it like ou=people,dc=annuaire",
            )
        })?;
        let fixed = |entries: Vec<Entry<'a>>| Ok(Lies { fixed: entries, people: false, structures: false });
        match (self.at(&name)?, asked.scope) {
            (At::Root, Scope::Base) => fixed(vec![self.root()]),
            (At::Root, Scope::One) => fixed(vec![self.folder("")]),
            (At::Subschema, Scope::One | Scope::Children) => fixed(Vec::new()),
            (At::Subschema, Scope::Base | Scope::Subtree) => fixed(vec![self.subschema()]),
            (At::Base, Scope::Base) => fixed(vec![self.folder("")]),
            (At::Base, Scope::One) => fixed(vec![self.folder("people"), self.folder("structures")]),
            (at @ (At::Root | At::Base), Scope::Subtree | Scope::Children) => {
                let own = matches!(at, At::Root) || asked.scope == Scope::Subtree;
                let folders = own.then_some("").into_iter().chain(["people", "structures"]);
                let fixed = folders.map(|name| self.folder(name)).collect();
                Ok(Lies { fixed, people: true, structures: true })
            }
            (At::People, Scope::Base) => fixed(vec![self.folder("people")]),
            (At::Structures, Scope::Base) => fixed(vec![self.folder("structures")]),
            (At::People, scope) => {
                let own = (scope == Scope::Subtree).then(|| self.folder("people"));
                Ok(Lies { fixed: own.into_iter().collect(), people: true, structures: false })
            }
            (At::Structures, scope) => {
                let own = (scope == Scope::Subtree).then(|| self.folder("structures"));
                Ok(Lies { fixed: own.into_iter().collect(), people: false, structures: true })
            }
            (At::Person(name), scope) => self.named(&name, true, scope),
            (At::Structure(name), scope) => self.named(&name, false, scope),
        }
    }

    /// The one entry of this name.
    fn named(&self, name: &Dn, people: bool, scope: Scope) -> Result<Lies<'a>, Ending> {
        let attribute = if people { "uid" } else { "structureidentifier" };
        let first = name.0.first().and_then(|part| part.0.iter().find(|(known, _)| known == attribute));
        let text = first.map(|(_, value)| value.clone()).unwrap_or_default();
        let filter = if text.is_empty() { nothing() } else { Filter::Id { text, how: crate::How::Exact } };
        let found = self.chunk(people, &Question::filter(filter), Page::first(16));
        let key = name.key();
        let mail = |part: &super::dn::Rdn| {
            part.0.iter().find(|(known, _)| known == "mail").map(|(_, value)| value.to_lowercase())
        };
        let address: Vec<String> = name.0.first().and_then(mail).into_iter().collect();
        let boxes = if address.is_empty() { Boxes::None } else { Boxes::At(&address) };
        let entries = found.hits.into_iter().flat_map(|hit| self.entries_with(hit, boxes));
        let wanted = entries.into_iter().find(|entry| Dn::parse(&entry.name).is_some_and(|name| name.key() == key));
        match wanted {
            Some(_) if matches!(scope, Scope::One | Scope::Children) => {
                Ok(Lies { fixed: Vec::new(), people: false, structures: false })
            }
            Some(entry) => Ok(Lies { fixed: vec![entry], people: false, structures: false }),
            None => {
                let folder = if people { "people" } else { "structures" };
                Err(self.nobody(format!("ou={folder},{}", self.search.settings.base)))
            }
        }
    }

    fn nobody(&self, matched: String) -> Ending {
        let hint = format!("no entry has this name: search below {}", self.search.settings.base);
        Ending { matched, ..Ending::new(Code::NoSuchObject, hint) }
    }

    fn at(&self, name: &Dn) -> Result<At, Ending> {
        let base = Dn::parse(&self.search.settings.base).unwrap_or_default().key();
        let key = name.key();
        if key.is_empty() {
            return Ok(At::Root);
        }
        if is_subschema(name) {
            return Ok(At::Subschema);
        }
        let above = key.len().checked_sub(base.len()).and_then(|own| key.split_at_checked(own));
        let Some((own, _)) = above.filter(|(_, rest)| *rest == base.as_slice()) else {
            return Err(self.nobody(String::new()));
        };
        let folder = |part: &Vec<(String, String)>| match part.as_slice() {
            [(attribute, value)] if attribute == "ou" => Some(value.clone()),
            _ => None,
        };
        match own {
            [] => Ok(At::Base),
            [one] => match folder(one).as_deref() {
                Some("people") => Ok(At::People),
                Some("structures") => Ok(At::Structures),
                _ => Err(self.nobody(self.search.settings.base.clone())),
            },
            [_, above] => match folder(above).as_deref() {
                Some("people") => Ok(At::Person(Box::new(name.clone()))),
                Some("structures") => Ok(At::Structure(Box::new(name.clone()))),
                _ => Err(self.nobody(self.search.settings.base.clone())),
            },
            _ => Err(self.nobody(self.search.settings.base.clone())),
        }
    }

    fn entry(&self, name: String, classes: &[&str], mut values: Vec<(Attr, Vec<String>)>) -> Entry<'a> {
        values.insert(0, (Attr::ObjectClass, classes.iter().map(|class| (*class).to_owned()).collect()));
        Entry::fixed(self.world, name, values)
    }

    /// The folder of everything, or one of the two in it.
    fn folder(&self, name: &str) -> Entry<'a> {
        let settings = &self.search.settings;
        let mut values = vec![(Attr::HasSubordinates, vec!["TRUE".to_owned()])];
        if !name.is_empty() {
            values.push((Attr::Unit, vec![name.to_owned()]));
            values.push((Attr::StructuralClass, vec!["organizationalUnit".to_owned()]));
            return self.entry(format!("ou={name},{}", settings.base), &["top", "organizationalUnit"], values);
        }
        let own = Dn::parse(&settings.base).unwrap_or_default();
        let mut classes = vec!["top", "organization"];
        let mut organisation = vec![settings.organisation.clone()];
        for (attribute, value) in own.0.first().map(|part| part.0.as_slice()).unwrap_or_default() {
            match schema::by_name(attribute).map(|known| known.attr) {
                Some(Attr::DomainComponent) => {
                    classes.push("dcObject");
                    values.push((Attr::DomainComponent, vec![value.clone()]));
                }
                Some(Attr::Organisation) => organisation.push(value.clone()),
                _ => {}
            }
        }
        values.push((Attr::Organisation, organisation));
        values.push((Attr::StructuralClass, vec!["organization".to_owned()]));
        self.entry(settings.base.clone(), &classes, values)
    }

    /// What this server is and can (RFC 4512 §5.1).
    fn root(&self) -> Entry<'a> {
        let settings = &self.search.settings;
        let mut extensions = vec!["1.3.6.1.1.8", "1.3.6.1.4.1.4203.1.11.3"];
        if settings.starttls && !self.search.tls {
            extensions.push("1.3.6.1.4.1.1466.20037");
        }
        let sasl: &[&str] = if settings.external && self.search.tls { &["EXTERNAL"] } else { &[] };
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let values = vec![
            (Attr::NamingContexts, vec![settings.base.clone()]),
            (Attr::SupportedControl, texts(&[PAGED, MANAGE_DSA_IT])),
            (Attr::SupportedExtension, texts(&extensions)),
            // `+` and absolute filters (RFC 3673, RFC 4526).
            (Attr::SupportedFeatures, texts(&["1.3.6.1.4.1.4203.1.5.1", "1.3.6.1.4.1.4203.1.5.3"])),
            (Attr::SupportedSasl, texts(sasl)),
            (Attr::SupportedVersion, texts(&["3"])),
            (Attr::VendorName, texts(&["Sceau"])),
            (Attr::VendorVersion, texts(&[env!("CARGO_PKG_VERSION")])),
        ];
        self.entry(String::new(), &["top"], values)
    }

    fn subschema(&self) -> Entry<'a> {
        let values = vec![
            (Attr::CommonName, vec!["Subschema".to_owned()]),
            (Attr::StructuralClass, vec!["subentry".to_owned()]),
            (Attr::AttributeTypes, schema::attribute_definitions()),
            (Attr::ObjectClasses, schema::class_definitions()),
            (Attr::Syntaxes, schema::syntax_definitions()),
            (Attr::MatchingRules, schema::rule_definitions()),
        ];
        self.entry(SUBSCHEMA.to_owned(), &["top", "subentry", "subschema"], values)
    }
}
