//! The pages as templates know them.

use askama::Template;

use ident::Timestamp;

use super::{
    audit::Audit,
    views::{PersonView, StructureView},
    words::{Lang, Words, day},
};

/// What stands around every page.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    pub(super) lang: Lang,
    pub(super) t: &'static Words,
    /// Where the face is mounted.
    pub(super) root: &'a str,
    /// `?lang=en` where the address said so.
    pub(super) suffix: &'a str,
    pub(super) title: String,
    /// This page in the other language.
    pub(super) other: String,
    pub(super) style: &'static str,
    pub(super) script: &'static str,
    pub(super) mark: &'static str,
    pub(super) operator: &'a str,
    pub(super) help: &'a str,
    /// Date of the data and name of the generation; nothing where there are none.
    pub(super) data: Option<(String, String)>,
    /// A warning that they are old; empty when they are not.
    pub(super) stale: String,
    /// What somebody else found out about these pages' accessibility.
    pub(super) audit: Option<&'a Audit>,
    pub(super) now: Timestamp,
    pub(super) form: Form,
}

impl Frame<'_> {
    /// Whether the page is in French.
    fn is_french(&self) -> bool {
        self.lang == Lang::Fr
    }

    /// In the line at the foot of every page.
    fn accessibility(&self) -> &'static str {
        Audit::state(self.audit, self.now).at_the_foot(self.lang)
    }

    /// How far the pages conform.
    fn state(&self) -> &'static str {
        Audit::state(self.audit, self.now).words(self.lang)
    }

    /// The day of the audit.
    fn audited(&self) -> String {
        self.audit.map(|audit| day(self.lang, audit.date.midnight())).unwrap_or_default()
    }

    fn audit_is_old(&self) -> bool {
        self.audit.is_some_and(|audit| audit.is_old(self.now))
    }

    /// `lang="fr"` around what the data say in French on a page in another language.
    fn french(&self) -> &'static str {
        match self.lang {
            Lang::Fr => "",
            Lang::En => "fr",
        }
    }
}

/// The form at the top of every page.
#[derive(Debug, Default)]
pub(super) struct Form {
    pub(super) q: String,
    pub(super) criteria: Vec<Input>,
    pub(super) department: String,
    /// Kinds of mailbox: code, label, whether it is the one that is asked for.
    pub(super) boxes: Vec<(&'static str, &'static str, bool)>,
    /// The criteria are unfolded.
    pub(super) open: bool,
    /// The cursor belongs in the field.
    pub(super) focus: bool,
    /// The language that the address named, to be kept.
    pub(super) lang: Option<&'static str>,
}

/// One criterion of the form.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    /// Which keyboard a telephone shows.
    pub(super) keyboard: &'static str,
    pub(super) value: String,
}

/// What answers a question: a part of the page, which the script puts in place by itself.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// Whether anything was asked.
    pub(super) asked: bool,
    pub(super) title: String,
    pub(super) count: String,
    pub(super) notes: Vec<String>,
    pub(super) people: Vec<PersonView>,
    pub(super) structures: Vec<StructureView>,
    /// Numbers of list items go on from page to page.
    pub(super) first: usize,
    pub(super) previous: Option<String>,
    pub(super) next: Option<String>,
    pub(super) last_page: bool,
    /// A word to leave out, where that leads, and to how many.
    pub(super) without: Vec<(String, String, String)>,
}

#[derive(Debug, Template)]
#[template(path = "search.html")]
pub(super) struct SearchPage<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) results: Results,
}

#[derive(Debug, Template)]
#[template(path = "results.html")]
pub(super) struct ResultsPart<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) results: Results,
}

#[derive(Debug, Template)]
#[template(path = "person.html")]
pub(super) struct PersonPage<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) person: PersonView,
    /// The national identifier as people read it.
    pub(super) number: String,
    pub(super) address: String,
}

#[derive(Debug, Template)]
#[template(path = "structure.html")]
pub(super) struct StructurePage<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) structure: StructureView,
    /// Which number, and the number.
    pub(super) numbers: Vec<(&'static str, String)>,
    pub(super) phone: String,
    pub(super) people: Vec<PersonView>,
    pub(super) count: String,
    pub(super) first: usize,
    pub(super) previous: Option<String>,
    pub(super) next: Option<String>,
    pub(super) last_page: bool,
    pub(super) address: String,
}

/// One message: not found, gone, refused.
#[derive(Debug, Template)]
#[template(path = "message.html")]
pub(super) struct MessagePage<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) heading: &'a str,
    /// The sentences, each in its language.
    pub(super) texts: Vec<(&'static str, String)>,
}

#[derive(Debug, Template)]
#[template(path = "accessibility.html")]
pub(super) struct AccessibilityPage<'a> {
    pub(super) frame: Frame<'a>,
}
