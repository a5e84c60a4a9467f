//! The clinicians' page: one field, results as they type, one page for each search, person and structure.
//!
//! Nothing here decides who is found: the page asks the same question as every other face ([`crate::Question`]) and
//! shows the answer. It works without script; the script only shortens the way.

mod assets;
mod audit;
mod pages;
mod query;
mod record;
mod vcard;
mod views;
mod words;

pub use audit::Audit;

use askama::Template;
use http::{HeaderValue, Method, StatusCode, header, request::Parts};
use ident::Timestamp;

use self::{
    assets::ASSETS,
    pages::{AccessibilityPage, Form, Frame, Input, MessagePage, Results, ResultsPart, SearchPage},
    query::{Criterion, LAST_PAGE, PAGE, Search},
    views::{Views, has_homonyms, near_miss},
    words::{Lang, counted, dated, kind_of_box, moved, stale, vanished},
};
use crate::{
    MailboxType, MatchKind, Page, Question, Similar, StructureAnswer, Total,
    answer::Shown,
    face::{Asked, Context, Face, Named, Operator, Refused, Request, Response, response},
    find,
};

const HTML: &str = "text/html; charset=utf-8";

/// The clinicians' page.
#[derive(Debug, Clone, Copy, Default)]
pub struct Web;

impl Face for Web {
    fn answer(&self, request: &Request, context: &Context<'_>) -> Response {
        let search = Search::read(request.uri().query().unwrap_or_default());
        let visit = Visit::new(context, search, request);
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            let mut refusal = visit.message(
                StatusCode::METHOD_NOT_ALLOWED,
                visit.lang.words().refused,
                vec![visit.lang.words().wrong_method.to_owned()],
            );
            refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refusal;
        }
        let path = request.uri().path();
        match path {
            "/" => visit.search_page(),
            "/results" => visit.results_part(),
            "/accessibility" => visit.page("page", Vec::new(), &AccessibilityPage { frame: visit.frame("") }),
            _ => visit.below(path).unwrap_or_else(|| visit.not_found()),
        }
    }

    fn refuse(&self, refused: Refused, request: &Parts, operator: Operator<'_>, mount: &str) -> Response {
        let lang = Lang::preferred(&request.headers);
        let text = refused.text();
        let both = match lang {
            Lang::Fr => vec![("fr", text.fr), ("en", text.en)],
            Lang::En => vec![("en", text.en), ("fr", text.fr)],
        };
        let frame =
            Frame { root: mount, operator: operator.name, help: operator.help, audit: operator.audit, ..bare(lang) };
        html(&MessagePage { frame, heading: lang.words().refused, texts: both })
    }

    fn most(&self, request: &Parts) -> usize {
        let query = request.uri.query().unwrap_or_default();
        match request.uri.path() {
            "/" | "/results" if query.is_empty() => 0,
            "/" | "/results" => PAGE.saturating_mul(2),
            path if path.starts_with("/person/") => 1,
            path if path.starts_with("/structure/") => PAGE.saturating_add(1),
            _ => 0,
        }
    }

    fn file(&self, request: &Parts) -> Option<Response> {
        assets::serve(request.uri.path().strip_prefix("/assets/")?)
    }
}

/// One request, understood.
struct Visit<'a> {
    context: &'a Context<'a>,
    search: Search,
    lang: Lang,
    /// `?lang=en` where the address said so.
    suffix: String,
    /// Path of the request below the mount.
    path: String,
}

impl<'a> Visit<'a> {
    fn new(context: &'a Context<'a>, search: Search, request: &Request) -> Self {
        let lang = search.lang.unwrap_or_else(|| Lang::preferred(request.headers()));
        let suffix = search.lang.map(|lang| format!("?lang={}", lang.code())).unwrap_or_default();
        Self { context, search, lang, suffix, path: request.uri().path().to_owned() }
    }

    fn views(&self) -> Views<'_> {
        let context = self.context;
        Views { generation: context.generation, lang: self.lang, root: context.mount, suffix: &self.suffix }
    }

    fn shown(&self) -> Shown<'_> {
        Shown { generation: self.context.generation, registry: self.context.registry }
    }

    fn frame(&self, title: &str) -> Frame<'_> {
        let (context, t) = (self.context, self.lang.words());
        let generation = context.generation;
        let other = Search { lang: Lang::parse(t.other_language_code), ..self.search.clone() };
        Frame {
            root: context.mount,
            suffix: &self.suffix,
            title: titled(title, t.directory, context.operator.name),
            other: format!("{}{}{}", context.mount, self.shared_path(), other.address()),
            operator: context.operator.name,
            help: context.operator.help,
            audit: context.operator.audit,
            now: context.now,
            data: Some((dated(self.lang, generation), generation.id().to_owned())),
            stale: if generation.is_stale(context.now) {
                stale(self.lang, generation, context.now)
            } else {
                String::new()
            },
            form: self.form(),
            ..bare(self.lang)
        }
    }

    /// The path of a page that can be linked to: what is not ours to name becomes the first page.
    fn shared_path(&self) -> &str {
        let kinds = ["/person/", "/structure/", "/accessibility"];
        if kinds.iter().any(|kind| self.path.starts_with(kind)) { &self.path } else { "/" }
    }

    fn form(&self) -> Form {
        let search = &self.search;
        let input = |it: Criterion| Input {
            name: it.name(),
            label: it.label(self.lang),
            keyboard: it.keyboard(),
            value: search.criterion(it).to_owned(),
        };
        Form {
            q: search.q.clone(),
            criteria: Criterion::ALL.into_iter().map(input).collect(),
            department: search.department.clone(),
            boxes: self.boxes(),
            open: search.has_criteria(),
            focus: search.is_empty() && self.path == "/",
            lang: search.lang.map(Lang::code),
        }
    }

    /// What may be asked about mailboxes.
    fn boxes(&self) -> Vec<(&'static str, &'static str, bool)> {
        let any = ("any", self.lang.words().has_mailbox);
        let kinds = MailboxType::ALL.into_iter().zip(["per", "cab", "org", "app"]);
        let all = [any].into_iter().chain(kinds.map(|(kind, code)| (code, kind_of_box(self.lang, kind))));
        all.map(|(code, label)| (code, label, self.search.mailbox == code)).collect()
    }

    /// A page that shows these people and structures.
    fn page(&self, kind: &'static str, shown: Vec<String>, page: &impl Template) -> Response {
        let mut response = html(page);
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept-Language"));
        response.extensions_mut().insert(Asked { kind, answers: shown.len() });
        response.extensions_mut().insert(Named(shown));
        response
    }

    fn message(&self, status: StatusCode, heading: &str, texts: Vec<String>) -> Response {
        let texts = texts.into_iter().map(|text| (self.lang.code(), text)).collect();
        let mut response =
            self.page("message", Vec::new(), &MessagePage { frame: self.frame(heading), heading, texts });
        *response.status_mut() = status;
        response
    }

    fn not_found(&self) -> Response {
        let t = self.lang.words();
        self.message(StatusCode::NOT_FOUND, t.not_found, vec![t.not_found_help.to_owned()])
    }

    fn search_page(&self) -> Response {
        let (results, shown) = self.results();
        let frame = self.frame(&results.title);
        self.page("search", shown, &SearchPage { frame, results })
    }

    fn results_part(&self) -> Response {
        let (results, shown) = self.results();
        let frame = self.frame(&results.title);
        self.page("typing", shown, &ResultsPart { frame, results })
    }

    /// What answers the question, and which people and structures are shown.
    fn results(&self) -> (Results, Vec<String>) {
        let (search, lang, t) = (&self.search, self.lang, self.lang.words());
        if search.is_empty() {
            return (Results::default(), Vec::new());
        }
        let (context, question) = (self.context, search.question());
        let skip = PAGE.saturating_mul(search.page.saturating_sub(1));
        // Structures stand on the first page only.
        let found =
            find(context.generation, context.registry, &question, Page { skip, limit: PAGE }, Page::first(PAGE));
        let (people, mut structures) = (found.answer.people, found.answer.structures);
        if search.page > 1 {
            structures.clear();
        }
        let shown: Vec<String> =
            people.iter().map(|it| it.id.clone()).chain(structures.iter().map(structure_name)).collect();
        let mut notes = Vec::new();
        if search.shortened {
            notes.push(t.long_question.to_owned());
        }
        let kinds = people.iter().map(|it| it.r#match).chain(structures.iter().map(|it| it.r#match));
        match near_miss(kinds) {
            Some(MatchKind::Phonetic) => notes.push(t.near_phonetic.to_owned()),
            Some(_) => notes.push(t.near_fuzzy.to_owned()),
            None => {}
        }
        if has_homonyms(&people) {
            notes.push(t.homonyms_in_list.to_owned());
        }
        if found.answer.cut {
            notes.push(t.cut.to_owned());
        }
        if shown.is_empty() {
            let named = [search.q.as_str(), search.criterion(Criterion::Mail), search.criterion(Criterion::Identifier)];
            let mut named = named.iter().filter(|text| !text.is_empty());
            let gone = named.find_map(|text| Some((self.shown().gone_text(text)?, self.shown().successor_text(text))));
            notes.extend(gone.map(|(since, next)| match next {
                Some(next) => moved(lang, since, &next),
                None => vanished(lang, since),
            }));
        }
        let address = |page: usize| format!("{}/{}", context.mount, search.at_page(page).address());
        let more = match found.people {
            Total::Exactly(all) => all > u64::try_from(skip.saturating_add(PAGE)).unwrap_or(u64::MAX),
            Total::AtLeast(_) => people.len() == PAGE,
        };
        let views = self.views();
        let results = Results {
            asked: true,
            title: asked_for(search),
            count: match shown.is_empty() && found.answer.cut {
                true => t.too_wide.to_owned(),
                false => counted(lang, found.people, found.structures),
            },
            notes,
            // A question that was cut has cost enough already.
            without: if shown.is_empty() && !found.answer.cut { self.without_one_word() } else { Vec::new() },
            people: people.iter().map(|person| views.listed(person)).collect(),
            structures: structures.iter().map(|structure| views.listed_structure(structure)).collect(),
            first: skip.saturating_add(1),
            previous: (search.page > 1).then(|| address(search.page.saturating_sub(1))),
            next: (more && search.page < LAST_PAGE).then(|| address(search.page.saturating_add(1))),
            last_page: more && search.page >= LAST_PAGE,
        };
        (results, shown)
    }

    /// Which word excluded everybody.
    fn without_one_word(&self) -> Vec<(String, String, String)> {
        let context = self.context;
        let ask = |(word, search): (String, Search)| {
            let question = Question { similar: Similar::Never, ..search.question() };
            let one = Page::first(1);
            let found = find(context.generation, context.registry, &question, one, one);
            let none = found.answer.people.is_empty() && found.answer.structures.is_empty();
            let count = counted(self.lang, found.people, found.structures);
            (!none).then(|| (word, format!("{}/{}", context.mount, search.address()), count))
        };
        self.search.without_one_word().into_iter().filter_map(ask).collect()
    }

    /// Whatever has a longer path.
    fn below(&self, path: &str) -> Option<Response> {
        let (kind, rest) = path.strip_prefix('/')?.split_once('/')?;
        match kind {
            "person" => match rest.strip_suffix(".vcf") {
                Some(id) => self.contact_card(&views::unsegmented(id)?),
                None => Some(self.person_page(&views::unsegmented(rest)?)),
            },
            "structure" => Some(self.structure_page(&views::unsegmented(rest)?)),
            _ => None,
        }
    }
}

/// What tells a structure from others, also where it has no number.
fn structure_name(structure: &StructureAnswer) -> String {
    structure.id.clone().unwrap_or_else(|| format!("{}, {}", structure.name, structure.street))
}

/// What a question is called in the title of the window.
fn asked_for(search: &Search) -> String {
    let parts = [search.q.as_str()].into_iter().chain(search.criteria.iter().map(String::as_str));
    let parts = parts.chain([search.department.as_str()]).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(", ").chars().take(80).collect()
}

fn titled(title: &str, directory: &str, operator: &str) -> String {
    [title, directory, operator].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(" – ")
}

/// A frame without data.
fn bare<'a>(lang: Lang) -> Frame<'a> {
    let t = lang.words();
    Frame {
        lang,
        t,
        root: "",
        suffix: "",
        title: t.directory.to_owned(),
        other: String::new(),
        style: &ASSETS.style.name,
        script: &ASSETS.script.name,
        mark: &ASSETS.mark.name,
        operator: "",
        help: "",
        data: None,
        stale: String::new(),
        audit: None,
        now: Timestamp::EPOCH,
        form: Form::default(),
    }
}

fn html(page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => response(HTML, text.into_bytes()),
        // A template that writes to memory does not fail.
        Err(_) => {
            let mut failed = response(HTML, Vec::new());
            *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            failed
        }
    }
}

#[cfg(test)]
mod tests;
