//! Shapes of secrets, as GitHub sends them with each job. The values of secrets are masked before, by the agent.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};
use runspan_agent_protocol::Secret;

const SHOWN: &str = "***";
/// Room for GitHub's patterns as a machine.
const SIZE_LIMIT: usize = 32 << 20;

/// Everything that is not to be seen.
#[derive(Debug)]
pub(super) struct Mask(Option<Regex>);

impl Mask {
    /// Of these patterns; those in a syntax that is not ours are left out.
    pub(super) fn new(patterns: &[Secret]) -> Self {
        let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(SIZE_LIMIT).build();
        let usable: Vec<String> = patterns
            .iter()
            .map(|pattern| format!("(?:{})", pattern.reveal()))
            .filter(|pattern| build(pattern).is_ok_and(|built| !built.is_match("")))
            .collect();
        Self(if usable.is_empty() { None } else { build(&usable.join("|")).ok() })
    }

    pub(super) fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match &self.0 {
            Some(regex) => regex.replace_all(text, SHOWN),
            None => Cow::Borrowed(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_hidden_and_foreign_syntax_is_left_out() {
        let patterns = [r"\bgh[pousr]_[A-Za-z0-9]{4}\b", r"(?i:\bBearer\s+)\w+", r"(?<=x)y", "", r"a\/b"];
        let mask = Mask::new(&patterns.map(Secret::new));
        assert_eq!(
            mask.hide("use ghp_abcd and bearer XYZ, not gh_a, a/b xy"),
            "use *** and ***, not gh_a, *** xy"
        );
        assert_eq!(Mask::new(&[]).hide("x"), "x");
    }
}
