//! The face as the listener knows it: what was refused before it was asked becomes an OperationOutcome, too.

use http::request::Parts;

use super::{
    Answered, EXPORT_ROWS, Fhir, MAX_INCLUDED, MAX_PAGE, PAGE,
    outcome::{Problem, outcome},
};
use crate::face::{Context, Face, Operator, Refused, Request, Response};

impl Face for Fhir {
    fn answer(&self, request: &Request, context: &Context<'_>) -> Response {
        Self::answer(self, request, context)
    }

    fn refuse(&self, refused: Refused, request: &Parts, _operator: Operator<'_>, _mount: &str) -> Response {
        let text = refused.text();
        let problem = Problem::with(refused.status(), code(refused), text.fr, text.en);
        let resource = outcome(std::slice::from_ref(&problem.issue));
        let head = request.method == http::Method::HEAD;
        Answered::resource(problem.status, resource).written(&request.headers, head, false)
    }

    fn most(&self, request: &Parts) -> usize {
        most(request.uri.path(), request.uri.query().unwrap_or_default())
    }
}

/// How many resources an address may show at most.
fn most(path: &str, query: &str) -> usize {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        [] | ["metadata" | "$export" | "$export-status"] | [_, "$export"] => 0,
        ["$export-file"] => EXPORT_ROWS,
        // Its versions are as many as the generations that are kept.
        [_, id] if !matches!(*id, "_history" | "_search") => 1,
        // What a form asks is not known before it is read, nor what the token of a page holds.
        [_, "_search"] => MAX_PAGE.saturating_add(MAX_INCLUDED),
        _ => {
            let of = |name: &str| query.split('&').filter_map(|pair| pair.split_once('=')).find(|(it, _)| *it == name);
            let count = of("_count").and_then(|(_, count)| count.parse().ok()).unwrap_or(PAGE);
            let count = if of("_page").is_some() { MAX_PAGE } else { count.min(MAX_PAGE) };
            let more = query.contains("include") || query.contains('%') || of("_page").is_some();
            count.saturating_add(if more { MAX_INCLUDED } else { 0 })
        }
    }
}

/// The code of the value set issue-type.
const fn code(refused: Refused) -> &'static str {
    match refused {
        Refused::TooMany { .. } => "throttled",
        Refused::NoData | Refused::Busy => "transient",
        Refused::TooLarge => "too-long",
        Refused::TooSlow => "timeout",
        Refused::NotKnown => "forbidden",
        Refused::Failed => "exception",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fhir::Settings;

    #[test]
    fn every_refusal_of_the_listener_is_an_operation_outcome() {
        let fhir = Fhir::new(Settings::default());
        let operator = Operator { name: "CH EXEMPLE-TEST", help: "dsi@ch-exemple.test", audit: None };
        let (parts, _) = http::Request::get("/Practitioner").body(()).unwrap().into_parts();
        for refused in Refused::ALL {
            let response = fhir.refuse(refused, &parts, operator, "/fhir");
            assert_eq!(response.status(), refused.status());
            let outcome: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!(outcome["resourceType"], "OperationOutcome");
            let issue = &outcome["issue"][0];
            assert_eq!((&issue["severity"], &issue["code"]), (&"error".into(), &code(refused).into()));
            assert_eq!(issue["details"]["text"], refused.text().fr.as_str());
            assert_eq!(issue["diagnostics"], refused.text().en.as_str());
        }
    }

    #[test]
    fn an_address_tells_how_much_it_may_show() {
        for (path, query, expected) in [
            ("/metadata", "", 0),
            ("/Practitioner/1", "", 1),
            ("/Practitioner", "", PAGE),
            ("/Practitioner", "family=a&_count=7", 7),
            ("/Practitioner", "_count=99999999", MAX_PAGE),
            ("/Practitioner", "_count=7&_revinclude=x", 7 + MAX_INCLUDED),
            ("/Practitioner", "_count=7&%5Finclude=x", 7 + MAX_INCLUDED),
            ("/Practitioner", "_page=abc", MAX_PAGE + MAX_INCLUDED),
            ("/Practitioner/_search", "", MAX_PAGE + MAX_INCLUDED),
            ("/$export-file", "f=x", EXPORT_ROWS),
        ] {
            assert_eq!(most(path, query), expected, "{path}?{query}");
        }
    }
}
