//! Finding forms of secrets in a stream that arrives in pieces.

use std::borrow::Cow;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, Input, MatchKind};
use runspan_agent_protocol::Secret;

use super::forms::forms;
use crate::error::AgentError;

const STARS: &[u8] = b"***";

/// What to mask.
#[derive(Debug)]
pub(crate) struct Mask {
    finder: AhoCorasick,
    /// Sorted, to ask whether any begins with a given tail.
    forms: Vec<Vec<u8>>,
    first_bytes: [bool; 256],
    longest: usize,
}

impl Mask {
    /// A mask for all forms of these secrets, or nothing when there is nothing to mask.
    ///
    /// # Errors
    /// When the secrets are too large to look for: a build that shows them must not begin.
    pub(crate) fn new(secrets: &[Secret]) -> Result<Option<Self>, AgentError> {
        let forms: Vec<Vec<u8>> = forms(secrets.iter().map(Secret::reveal)).into_iter().collect();
        let Some(longest) = forms.iter().map(Vec::len).max() else { return Ok(None) };
        let finder = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&forms)
            .map_err(|error| AgentError::Mask { reason: error.to_string() })?;
        let mut first_bytes = [false; 256];
        for form in &forms {
            first_bytes[usize::from(form[0])] = true;
        }
        Ok(Some(Self { finder, forms, first_bytes, longest }))
    }

    /// A text of our own, masked.
    pub(crate) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.finder.is_match(text) {
            return Cow::Borrowed(text);
        }
        let mut masked = Vec::with_capacity(text.len());
        self.replace(text.as_bytes(), true, &mut masked);
        Cow::Owned(String::from_utf8_lossy(&masked).into_owned())
    }

    /// Appends `bytes` with secrets replaced; returns where the part begins that is kept back because more
    /// bytes could make it a secret. At the `end` of a stream nothing is.
    fn replace(&self, bytes: &[u8], end: bool, to: &mut Vec<u8>) -> usize {
        let mut done = 0;
        let mut open = if end { bytes.len() } else { self.open_from(bytes, 0) };
        // A match that begins before `open` cannot become longer, so it is final.
        while let Some(found) = self.finder.find(Input::new(bytes).span(done..bytes.len())) {
            if found.start() >= open {
                break;
            }
            to.extend_from_slice(&bytes[done..found.start()]);
            to.extend_from_slice(STARS);
            done = found.end();
            if open < done {
                open = self.open_from(bytes, done);
            }
        }
        to.extend_from_slice(&bytes[done..open]);
        open
    }

    /// The first position from `from` on whose rest begins a form and is shorter than it.
    fn open_from(&self, bytes: &[u8], from: usize) -> usize {
        let first = from.max(bytes.len().saturating_sub(self.longest - 1));
        (first..bytes.len()).find(|&at| self.begins(&bytes[at..])).unwrap_or(bytes.len())
    }

    fn begins(&self, tail: &[u8]) -> bool {
        self.first_bytes[usize::from(tail[0])] && {
            // Forms that extend `tail` sort directly behind it.
            let next = self.forms.partition_point(|form| form.as_slice() <= tail);
            self.forms.get(next).is_some_and(|form| form.starts_with(tail))
        }
    }
}

/// A stream under a [`Mask`].
#[derive(Debug)]
pub(crate) struct StreamMask {
    mask: Arc<Mask>,
    held: Vec<u8>,
}

impl StreamMask {
    /// A new stream.
    pub(crate) const fn new(mask: Arc<Mask>) -> Self {
        Self { mask, held: Vec::new() }
    }

    /// Goes on under another mask.
    pub(crate) fn replace_mask(&mut self, mask: Arc<Mask>) {
        self.mask = mask;
    }

    /// The mask.
    pub(crate) fn mask(&self) -> &Mask {
        &self.mask
    }

    /// Takes the next piece and appends what can be shown. Only a tail that could begin a secret is kept back.
    pub(crate) fn push(&mut self, piece: &[u8], to: &mut Vec<u8>) {
        if self.held.is_empty() {
            let open = self.mask.replace(piece, false, to);
            self.held.extend_from_slice(&piece[open..]);
        } else {
            self.held.extend_from_slice(piece);
            let open = self.mask.replace(&self.held, false, to);
            self.held.drain(..open);
        }
    }

    /// Appends what was kept back, because nothing can follow it directly.
    pub(crate) fn flush(&mut self, to: &mut Vec<u8>) {
        if !self.held.is_empty() {
            self.mask.replace(&self.held, true, to);
            self.held.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(secrets: &[&str], pieces: &[&[u8]]) -> Vec<u8> {
        let secrets: Vec<Secret> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
        let mut stream = StreamMask::new(Arc::new(Mask::new(&secrets).unwrap().unwrap()));
        let mut shown = Vec::new();
        for piece in pieces {
            stream.push(piece, &mut shown);
        }
        stream.flush(&mut shown);
        shown
    }

    #[test]
    fn a_secret_is_found_across_pieces_and_the_longest_wins() {
        assert_eq!(masked(&["hunter2"], &[b"a hun", b"te", b"r2 b"]), b"a *** b");
        assert_eq!(masked(&["abcd", "abcdef"], &[b"abcd", b"ef abcd", b"e"]), b"*** ***e");
        assert_eq!(masked(&["aaab"], &[b"aa", b"aaab"]), b"aa***");
        assert_eq!(masked(&["line one\nline two"], &[b"line one\nli", b"ne two"]), b"***");
    }

    #[test]
    fn only_a_tail_that_may_begin_a_secret_is_kept_back() {
        let mask = Arc::new(Mask::new(&[Secret::new("hunter2")]).unwrap().unwrap());
        let mut stream = StreamMask::new(mask);
        let mut shown = Vec::new();
        stream.push(b"Password: ", &mut shown);
        assert_eq!(shown, b"Password: ");
        stream.push(b"hun", &mut shown);
        assert_eq!(shown, b"Password: ");
        stream.push(b"g", &mut shown);
        assert_eq!(shown, b"Password: hung");
    }

    fn contains(hay: &[u8], needle: &[u8]) -> bool {
        hay.windows(needle.len()).any(|window| window == needle)
    }

    /// Cuts `text` at these fractions.
    fn pieces<'a>(text: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect()
    }

    proptest! {
        #[test]
        fn no_form_of_a_secret_appears_however_it_is_cut(
            secret in "[ -)+-~äß\n]{4,40}",
            noise in prop::collection::vec(any::<u8>(), 0..40),
            repeat in 1..4_usize,
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let wanted = forms([secret.as_str()]);
            prop_assume!(!wanted.is_empty());
            let mut text = Vec::new();
            for form in &wanted {
                for _ in 0..repeat {
                    text.extend_from_slice(&noise);
                    text.extend_from_slice(form);
                }
            }
            let shown = masked(&[&secret], &pieces(&text, &cuts));
            for form in &wanted {
                prop_assert!(!contains(&shown, form), "{:?} shows", String::from_utf8_lossy(form));
            }
            // Cutting changes nothing.
            prop_assert_eq!(shown, masked(&[&secret], &[&text]));
        }

        #[test]
        fn text_without_secrets_is_untouched(
            text in prop::collection::vec(0_u8..b'z', 0..300),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            // All forms of this secret hold a `z` or `7a7a` or `en` pairs that the text lacks.
            let text: Vec<u8> = text.into_iter().filter(|b| !b"zenpH7".contains(b)).collect();
            prop_assert_eq!(masked(&["zzzzzzzz"], &pieces(&text, &cuts)), text);
        }

        #[test]
        fn nothing_but_secrets_is_lost(
            parts in prop::collection::vec("[a-f ]{0,12}", 1..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let text = parts.join("S3CRET-x");
            let shown = masked(&["S3CRET-x"], &pieces(text.as_bytes(), &cuts));
            prop_assert_eq!(String::from_utf8(shown).unwrap(), parts.join("***"));
        }
    }
}
