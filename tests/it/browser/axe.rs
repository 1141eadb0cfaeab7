//! Asks axe-core what is wrong with a page for people who cannot see, hear or point.
//!
//! `tests/run` fetches it; it is injected by WebDriver and never part of the product.

use std::fs;
use std::sync::LazyLock;

use serde_json::json;

use crate::browser::driver::{Browser, target};

static SOURCE: LazyLock<Option<String>> =
    LazyLock::new(|| fs::read_to_string(target().join("axe-4.14.1/package/axe.min.js")).ok());

/// Everything that level AA of WCAG 2.2 asks and a machine can see.
const TAGS: [&str; 5] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

impl Browser {
    /// Whether axe-core is there.
    pub(crate) fn has_axe() -> bool {
        SOURCE.is_some()
    }

    /// What axe finds on the page that is shown, one line a fault.
    pub(crate) async fn faults(&self) -> Vec<String> {
        let Some(source) = SOURCE.as_deref() else {
            let must = std::env::var("MIMAMORI_REQUIRE_BROWSER").is_ok_and(|value| value == "1");
            assert!(!must, "axe-core is required: tests/run fetches it");
            return Vec::new();
        };
        self.execute(source, vec![]).await;
        let script = "const [tags, done] = arguments; \
            axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']}) \
               .then(result => done(result.violations.flatMap(rule => rule.nodes.map(node => \
                    `${rule.id}: ${node.target.join(' ')}: ${node.failureSummary}`)))) \
               .catch(error => done(['axe broke: ' + error]));";
        let faults = self.client.execute_async(script, vec![json!(TAGS)]).await;
        serde_json::from_value(faults.expect("axe runs")).expect("a list of texts")
    }

    /// Fails if the page has faults, or wrote errors into the console of the browser.
    pub(crate) async fn is_clean(&self) {
        let faults = self.faults().await;
        let complaints = self.complaints().await;
        let path = self.path().await;
        assert!(faults.is_empty(), "axe on {path}:\n{}", faults.join("\n"));
        assert!(complaints.is_empty(), "the browser on {path}:\n{}", complaints.join("\n"));
    }
}
