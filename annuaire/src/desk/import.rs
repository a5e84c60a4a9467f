//! Many orders at once, from a table: one row an order, columns by name.

use ident::{Address, Bilingual, PersonId, StructureId};

use super::{
    Access, Changes, Objection, Order,
    table::{Table, TableError},
};
use crate::{MailboxType, RegisteredMailbox, life::end_of_rights};

/// What a table orders.
#[derive(Debug)]
pub struct Import {
    /// One a row.
    pub rows: Vec<Row>,
}

/// One row.
#[derive(Debug)]
pub struct Row {
    /// Its line in the file, header = 1.
    pub line: usize,
    /// What it orders, or what is wrong with it.
    pub orders: Result<Vec<Order>, Vec<Objection>>,
}

/// What each column may be called, in English and in French; the first is what reports say.
const COLUMNS: &[(&str, &[&str])] = &[
    ("action", &["ordre"]),
    ("address", &["adresse", "bal", "adresse_bal"]),
    ("type", &["type_de_bal", "type_bal"]),
    ("owner", &["titulaire", "rpps", "identifiant"]),
    ("structure", &["identifiant_structure", "finess"]),
    ("name", &["nom", "libelle", "description"]),
    ("service", &["service_de_rattachement"]),
    ("responsible", &["responsable"]),
    ("inner_address", &["adresse_interne"]),
    ("rank", &["rang"]),
    ("red_list", &["liste_rouge"]),
    ("redirect", &["renvoi"]),
    ("successor", &["successeur"]),
    ("members", &["membres"]),
    ("delegates", &["delegues"]),
    ("grants", &["cartes"]),
    ("readers", &["lecteurs"]),
    ("keep_unused", &["garder"]),
    ("to", &["beneficiaire", "delegataire"]),
    ("access", &["droit"]),
    ("until", &["jusqu_au", "fin"]),
];

/// Reads the orders of a table. Cells with several people separate them by blanks.
///
/// # Errors
/// [`TableError`] when the file is no table; what is wrong in a row is told there.
pub fn import(octets: &[u8]) -> Result<Import, TableError> {
    let table = Table::read(octets, column)?;
    if !table.columns.contains(&"address") {
        return Err(TableError::Header("the column `address` is missing".to_owned()));
    }
    let rows = table.rows.iter().map(|(line, cells)| Row {
        line: *line,
        orders: Cells { columns: &table.columns, cells, wrong: Vec::new() }.orders(),
    });
    Ok(Import { rows: rows.collect() })
}

fn column(name: &str) -> Option<&'static str> {
    let plain = |c: char| match c {
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'à' | 'â' => 'a',
        ' ' | '-' | '\'' | '’' => '_',
        c => c,
    };
    let name: String = name.trim().to_lowercase().chars().map(plain).collect();
    COLUMNS.iter().find(|(known, others)| *known == name || others.contains(&name.as_str())).map(|(known, _)| *known)
}

/// One row on its way to an order.
struct Cells<'a> {
    columns: &'a [&'static str],
    cells: &'a [String],
    wrong: Vec<Objection>,
}

impl Cells<'_> {
    fn orders(mut self) -> Result<Vec<Order>, Vec<Objection>> {
        if self.cells.len() > self.columns.len() {
            let (fr, en) = ("la ligne a plus de cellules que de colonnes", "the row has more cells than columns");
            return Err(vec![Objection::new("", fr, en)]);
        }
        let Some(address) = self.value("address", |text| Address::parse(text).map_err(|error| error.to_string()))
        else {
            if self.wrong.is_empty() {
                self.missing("address");
            }
            return Err(self.wrong);
        };
        let action = self.text("action").unwrap_or("create").to_lowercase();
        let orders = match action.as_str() {
            "create" | "creer" | "créer" | "ouvrir" => self.create(address),
            "change" | "modifier" => self.change(address),
            "close" | "fermer" => {
                let successor = self.address("successor");
                vec![Order::Close { address, successor }]
            }
            "reopen" | "rouvrir" => vec![Order::Reopen(address)],
            "red-list" | "unlist" => {
                let red_list = Some(action == "red-list");
                vec![Order::Change(address, Box::new(Changes { red_list, ..Changes::default() }))]
            }
            "delegate" | "deleguer" | "déléguer" => self.delegate(address).into_iter().collect(),
            "withdraw" | "retirer" => match self.person("to") {
                Some(from) => vec![Order::Withdraw(address, from)],
                None => {
                    self.missing("to");
                    Vec::new()
                }
            },
            _ => {
                let known = "create, change, close, reopen, red-list, unlist, delegate, withdraw";
                let (fr, en) = (format!("ordre inconnu : {known}"), format!("unknown order: one of {known}"));
                self.wrong.push(Objection::new("action", fr, en));
                Vec::new()
            }
        };
        if self.wrong.is_empty() { Ok(orders) } else { Err(self.wrong) }
    }

    fn create(&mut self, address: Address) -> Vec<Order> {
        let Some(kind) = self.kind() else {
            self.missing("type");
            return Vec::new();
        };
        let owner = self.person("owner");
        let mailbox = RegisteredMailbox {
            owner,
            structure: self.structure(),
            name: self.label("name"),
            service: self.label("service"),
            responsible: self.label("responsible"),
            members: self.people("members"),
            delegates: self.people("delegates"),
            grants: self.people("grants"),
            readers: self.people("readers"),
            inner_address: self.address("inner_address"),
            redirect: self.address("redirect"),
            rank: self.rank(),
            red_list: self.flag("red_list").unwrap_or(false),
            keep_unused: self.flag("keep_unused").unwrap_or(false),
            ..RegisteredMailbox::new(address, kind)
        };
        vec![Order::Create(Box::new(mailbox))]
    }

    /// An empty cell changes nothing; a lone `-` takes away.
    fn change(&mut self, address: Address) -> Vec<Order> {
        let away = |cells: &Self, column: &str| cells.text(column) == Some("-");
        let label = |cells: &mut Self, column| match away(cells, column) {
            true => Some(None),
            false => cells.label(column).map(Some),
        };
        let other = |cells: &mut Self, column| match away(cells, column) {
            true => Some(None),
            false => cells.address(column).map(Some),
        };
        for column in ["delegates", "grants", "readers", "successor"] {
            if self.text(column).is_some() {
                let fr = "cette colonne ne se change pas ainsi : utilisez delegate, withdraw ou close";
                let en = "this column is not changed like this: use delegate, withdraw or close";
                self.wrong.push(Objection::new(name_of(column), fr, en));
            }
        }
        let structure = match away(self, "structure") {
            true => Some(None),
            false => self.structure().map(Some),
        };
        let members = match away(self, "members") {
            true => Some(Vec::new()),
            false => self.text("members").is_some().then(|| self.people("members")),
        };
        let changes = Changes {
            name: label(self, "name"),
            service: label(self, "service"),
            responsible: label(self, "responsible"),
            inner_address: other(self, "inner_address"),
            redirect: other(self, "redirect"),
            structure,
            members,
            red_list: self.flag("red_list"),
            keep_unused: self.flag("keep_unused"),
            kind: self.kind(),
            owner: self.person("owner"),
        };
        let mut orders = Vec::new();
        if changes != Changes::default() {
            orders.push(Order::Change(address.clone(), Box::new(changes)));
        }
        if away(self, "rank") {
            orders.push(Order::Rank(address, None));
        } else if let Some(rank) = self.rank() {
            orders.push(Order::Rank(address, Some(rank)));
        }
        orders
    }

    fn delegate(&mut self, address: Address) -> Option<Order> {
        let access = match self.text("access").map(str::to_lowercase).as_deref() {
            None | Some("write" | "ecriture" | "écriture") => Access::Write,
            Some("read" | "lecture") => Access::Read,
            Some(_) => {
                self.wrong.push(Objection::new("access", "écrivez lecture ou écriture", "write `read` or `write`"));
                return None;
            }
        };
        let until =
            self.value("until", |text| end_of_rights(text).ok_or_else(|| "a day is written 2026-11-22".to_owned()));
        let Some(to) = self.person("to") else {
            self.missing("to");
            return None;
        };
        Some(Order::Delegate { address, to, access, until })
    }

    fn text(&self, column: &str) -> Option<&str> {
        let at = self.columns.iter().position(|known| *known == column)?;
        self.cells.get(at).map(|cell| cell.trim()).filter(|cell| !cell.is_empty())
    }

    /// What a cell says; what it says wrongly is noted.
    fn value<T>(&mut self, column: &'static str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let outcome = read(self.text(column)?);
        outcome.map_err(|what| self.wrong.push(unreadable(column, &what))).ok()
    }

    fn missing(&mut self, column: &'static str) {
        if !self.wrong.iter().any(|wrong| wrong.field == column) {
            let fr = format!("la colonne {column} doit être remplie");
            self.wrong.push(Objection::new(column, fr, format!("the column {column} must say something")));
        }
    }

    fn label(&self, column: &str) -> Option<String> {
        self.text(column).map(str::to_owned)
    }

    fn address(&mut self, column: &'static str) -> Option<Address> {
        self.value(column, |text| Address::parse(text).map_err(|error| error.to_string()))
    }

    fn kind(&mut self) -> Option<MailboxType> {
        self.value("type", |text| MailboxType::parse(text).ok_or_else(|| "PER, ORG, APP or CAB".to_owned()))
    }

    fn person(&mut self, column: &'static str) -> Option<PersonId> {
        self.value(column, person)
    }

    fn people(&mut self, column: &'static str) -> Vec<PersonId> {
        let read = |text: &str| text.split_whitespace().map(person).collect::<Result<Vec<_>, _>>();
        self.value(column, read).unwrap_or_default()
    }

    fn structure(&mut self) -> Option<StructureId> {
        self.value("structure", structure)
    }

    fn rank(&mut self) -> Option<u32> {
        self.value("rank", |text| text.parse().map_err(|_| "a whole number from 1 on".to_owned()))
    }

    fn flag(&mut self, column: &'static str) -> Option<bool> {
        self.value(column, |text| match text.to_lowercase().as_str() {
            "oui" | "yes" | "true" | "vrai" | "1" | "o" | "y" => Ok(true),
            "non" | "no" | "false" | "faux" | "0" | "n" => Ok(false),
            _ => Err("oui/yes or non/no".to_owned()),
        })
    }
}

fn name_of(column: &str) -> &'static str {
    COLUMNS.iter().find(|(known, _)| *known == column).map_or("", |(known, _)| known)
}

fn unreadable(column: &'static str, what: &str) -> Objection {
    let what = Bilingual::new(format!("illisible : {what}"), format!("cannot be read: {what}"));
    Objection { field: column, what, unknown: false }
}

/// A person as people write them: with the type digit, or the bare RPPS number.
///
/// # Errors
/// A sentence about the forms that there are.
pub fn person(text: &str) -> Result<PersonId, String> {
    PersonId::parse(text).or_else(|error| PersonId::from_rpps(text).map_err(|_| error.to_string()))
}

/// A structure: with the type digit, or a bare FINESS or SIRET number.
///
/// # Errors
/// A sentence about the forms that there are.
pub fn structure(text: &str) -> Result<StructureId, String> {
    let bare = match text.chars().count() {
        9 => format!("1{text}"),
        14 => format!("3{text}"),
        _ => text.to_owned(),
    };
    StructureId::parse(text).or_else(|_| StructureId::parse(&bare)).map_err(|error| error.to_string())
}
