//! axe-core, the checker of accessibility that auditors use. It is not in this repository, and needs no network: Debian's
//! Chromium carries it inside the Lighthouse of its developer tools, from where the browser itself hands it out.
//! `SCEAU_AXE` names a file with another version of it.

use crate::browser::Browser;

/// Where Chromium has it.
const TOOLS: &str = "devtools://devtools/bundled/third_party/lighthouse/lighthouse-dt-bundle.js";

/// The library's text; nothing where this browser was built without it.
#[must_use]
#[track_caller]
pub fn axe(browser: &Browser) -> Option<String> {
    if let Some(given) = std::env::var_os("SCEAU_AXE") {
        return Some(std::fs::read_to_string(given).unwrap());
    }
    browser.go(TOOLS);
    let tools = browser.run("return document.body ? document.body.textContent : '';");
    let literal = template(tools.as_str().unwrap_or_default())?.to_owned();
    // The browser reads its own notation: a template literal without anything to be filled in.
    browser.go("about:blank");
    let text = browser.run(&format!("return {literal};"));
    text.as_str().filter(|text| text.contains("axe.run")).map(str::to_owned)
}

/// The template literal that begins as the library's licence does, with its quotes.
fn template(tools: &str) -> Option<&str> {
    let start = tools.find("`/*! axe v")?;
    let mut escaped = false;
    let end = tools[start + 1..].char_indices().find(|(_, c)| {
        let ends = *c == '`' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    })?;
    let literal = &tools[start..=start + 1 + end.0];
    (!literal.replace("\\$", "").contains("${")).then_some(literal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_cut_out_of_the_tools() {
        let tools = r"var a=1;j8=`/*! axe v4.13.0\n\`x\` \${y} \\`;var b=`z`";
        assert_eq!(template(tools), Some(r"`/*! axe v4.13.0\n\`x\` \${y} \\`"));
        assert_eq!(template("`/*! axe v4.13.0 ${x}`"), None, "nothing of theirs is run on the way");
        assert_eq!(template("`/*! axe v4"), None);
    }
}
