//! The output of a step on its way to the log: commands are carried out, everything else is shown.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::PathBuf;

use aho_corasick::AhoCorasick;
use runspan_agent_protocol::{Annotation, Event, Level, MatcherChange, Secret, StepId};

use super::command::Command;

/// A longer line is not waited for: it is shown as it comes.
const LONGEST_LINE: usize = 8 << 20;
/// Annotations of one level that a step may make; later ones are only in the log.
const MOST_ANNOTATIONS: usize = 10;
/// A larger file of problem matchers is none.
const LARGEST_MATCHER: u64 = 1 << 20;
/// Bytes of values that commands may set in one step.
const MOST_VALUES: usize = 4 << 20;
/// What may not end a pause of commands.
const NO_TOKENS: [&str; 22] = [
    "set-env",
    "add-path",
    "set-output",
    "save-state",
    "add-mask",
    "add-matcher",
    "remove-matcher",
    "debug",
    "notice",
    "warning",
    "error",
    "group",
    "endgroup",
    "echo",
    "stop-commands",
    "internal-set-repo-path",
    "pause-logging",
    "section",
    "endsection",
    "command",
    "set-secret",
    "",
];

/// Where what comes out goes.
pub(crate) trait Sink {
    /// Shows bytes of the output.
    fn show(&mut self, bytes: &[u8]);
    /// From now on, this is masked.
    fn mask(&mut self, secret: Secret) -> Result<(), String>;
    /// Tells an event.
    fn tell(&mut self, event: Event);
}

/// What a step's commands are held to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// Whose annotations they are.
    pub(crate) step: Option<StepId>,
    /// `set-env` and `add-path` are carried out (`ACTIONS_ALLOW_UNSECURE_COMMANDS`).
    pub(crate) unsecure: bool,
    /// Any word ends a pause (`ACTIONS_ALLOW_UNSECURE_STOPCOMMAND_TOKENS`).
    pub(crate) unsecure_tokens: bool,
    /// `debug` is shown.
    pub(crate) debug: bool,
    /// Where relative paths begin.
    pub(crate) directory: PathBuf,
}

/// What a step's commands set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// By `set-env`.
    pub(crate) environment: Vec<(String, String)>,
    /// By `add-path`.
    pub(crate) path: Vec<String>,
    /// By `set-output`.
    pub(crate) outputs: Vec<(String, String)>,
    /// By `save-state`.
    pub(crate) state: Vec<(String, String)>,
    /// By `add-matcher` and `remove-matcher`.
    pub(crate) matchers: Vec<MatcherChange>,
    /// Commands that could not be carried out.
    pub(crate) faults: Vec<String>,
}

/// The commands of one step.
#[derive(Debug)]
pub(crate) struct Filter {
    rules: Rules,
    effects: Effects,
    /// Finds lines that may be commands.
    marks: Option<AhoCorasick>,
    /// The beginning of a line that may become a command.
    held: Vec<u8>,
    /// The line's beginning was shown already.
    in_line: bool,
    /// The word that ends a pause.
    stopped: Option<String>,
    echo: bool,
    annotations: HashMap<Level, usize>,
    values: usize,
}

impl Filter {
    /// A filter for a step that begins.
    pub(crate) fn new(rules: Rules) -> Self {
        Self {
            echo: rules.debug,
            rules,
            effects: Effects::default(),
            // Two short words always make a finder; without one every line is looked at.
            marks: AhoCorasick::new(["::", "##["]).ok(),
            held: Vec::new(),
            in_line: false,
            stopped: None,
            annotations: HashMap::new(),
            values: 0,
        }
    }

    /// Takes the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8], sink: &mut dyn Sink) {
        if self.held.is_empty() {
            let plain = self.marks.as_ref().is_some_and(|marks| !marks.is_match(bytes));
            let tail = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let begins = tail > 0 || !self.in_line;
            if plain && !(begins && may_become_command(&bytes[tail..])) {
                self.in_line = if tail > 0 { tail < bytes.len() } else { self.in_line || !bytes.is_empty() };
                return sink.show(bytes);
            }
            return self.lines(bytes, sink);
        }
        let mut whole = std::mem::take(&mut self.held);
        whole.extend_from_slice(bytes);
        self.lines(&whole, sink);
    }

    /// The output is over for now; what was held is shown, and what was set is given.
    pub(crate) fn finish(mut self, sink: &mut dyn Sink) -> Effects {
        let held = std::mem::take(&mut self.held);
        if !held.is_empty() {
            // The last line of a process often has no end.
            self.line(&held, sink);
        }
        self.effects
    }

    fn lines(&mut self, bytes: &[u8], sink: &mut dyn Sink) {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if line.last() == Some(&b'\n') {
                if std::mem::take(&mut self.in_line) {
                    sink.show(line);
                } else {
                    self.line(line, sink);
                }
            } else if !self.in_line && may_become_command(line) && line.len() < LONGEST_LINE {
                self.held = line.to_vec();
            } else {
                self.in_line = true;
                sink.show(line);
            }
        }
    }

    /// A whole line.
    fn line(&mut self, line: &[u8], sink: &mut dyn Sink) {
        let command = std::str::from_utf8(line).ok().and_then(Command::parse);
        let shown = match command {
            None => true,
            Some(command) => match &self.stopped {
                Some(token) if command.name.eq_ignore_ascii_case(token) => {
                    self.stopped = None;
                    self.echo
                }
                Some(_) => true,
                None => match self.carry_out(&command, sink) {
                    Ok(Done::Silently) => self.echo,
                    Ok(Done::Shown) => false,
                    Ok(Done::Unknown) => true,
                    Err(fault) => {
                        let text = format!("Unable to process command '::{}::': {fault}", command.name);
                        sink.show(format!("##[error]{text}\n").as_bytes());
                        self.annotate(Annotation { message: text.clone(), ..Annotation::default() }, sink);
                        self.effects.faults.push(text);
                        self.echo
                    }
                },
            },
        };
        if shown {
            sink.show(line);
        }
    }

    fn carry_out(&mut self, command: &Command, sink: &mut dyn Sink) -> Result<Done, String> {
        let data = &command.data;
        let name = || {
            command
                .property("name")
                .map(str::to_owned)
                .ok_or_else(|| "the property `name` is missing".to_owned())
        };
        match command.name.as_str() {
            "set-output" => {
                let pair = (name()?, data.clone());
                self.charge(&pair.1)?;
                self.effects.outputs.push(pair);
            }
            "save-state" => {
                let pair = (name()?, data.clone());
                self.charge(&pair.1)?;
                self.effects.state.push(pair);
            }
            "set-env" | "add-path" if !self.rules.unsecure => {
                return Err("it is disabled, for anybody whose text is printed could use it; \
                     write to $GITHUB_ENV or $GITHUB_PATH"
                    .into());
            }
            "set-env" => {
                let name = name()?;
                if name.eq_ignore_ascii_case("NODE_OPTIONS") {
                    return Err("NODE_OPTIONS cannot be set".into());
                }
                self.charge(data)?;
                self.effects.environment.push((name, data.clone()));
            }
            "add-path" if data.is_empty() => return Err("the path is missing".into()),
            "add-path" => self.effects.path.push(data.clone()),
            "add-mask" => {
                if !data.trim().is_empty() {
                    sink.mask(Secret::new(data.clone()))?;
                }
                // Its own line would show it.
                return Ok(Done::Shown);
            }
            "add-matcher" => self.effects.matchers.push(MatcherChange::Add(self.matcher(data)?)),
            "remove-matcher" => {
                let owner = command.property("owner").unwrap_or(data);
                self.effects.matchers.push(MatcherChange::Remove(owner.to_owned()));
            }
            "debug" => {
                if self.rules.debug {
                    sink.show(format!("##[debug]{data}\n").as_bytes());
                }
                return Ok(Done::Shown);
            }
            "notice" => return Ok(self.issue(Level::Notice, command, sink)),
            "warning" => return Ok(self.issue(Level::Warning, command, sink)),
            "error" => return Ok(self.issue(Level::Error, command, sink)),
            "group" => {
                sink.show(format!("##[group]{data}\n").as_bytes());
                return Ok(Done::Shown);
            }
            "endgroup" => {
                sink.show(b"##[endgroup]\n");
                return Ok(Done::Shown);
            }
            "echo" => match data.trim().to_ascii_lowercase().as_str() {
                "on" => self.echo = true,
                "off" => self.echo = false,
                other => return Err(format!("it can be `on` or `off`, not `{other}`")),
            },
            "stop-commands" => {
                let token = data.trim().to_ascii_lowercase();
                if NO_TOKENS.contains(&token.as_str()) && !self.rules.unsecure_tokens {
                    return Err("the word that ends the pause must be a random one".into());
                }
                self.stopped = Some(token);
            }
            "internal-set-repo-path" => {}
            _ => return Ok(Done::Unknown),
        }
        Ok(Done::Silently)
    }

    fn charge(&mut self, value: &str) -> Result<(), String> {
        self.values += value.len();
        if self.values > MOST_VALUES {
            return Err(format!("the values set in this step are more than {MOST_VALUES} bytes"));
        }
        Ok(())
    }

    fn issue(&mut self, level: Level, command: &Command, sink: &mut dyn Sink) -> Done {
        sink.show(format!("##[{}]{}\n", level.name(), command.data).as_bytes());
        let mut annotation = Annotation {
            level,
            message: command.data.clone(),
            title: command.property("title").map(str::to_owned),
            file: command.property("file").map(str::to_owned),
            line: command.number("line"),
            end_line: command.number("endLine"),
            column: command.number("col").or_else(|| command.number("column")),
            end_column: command.number("endColumn"),
        };
        settle(&mut annotation);
        self.annotate(annotation, sink);
        Done::Shown
    }

    fn annotate(&mut self, annotation: Annotation, sink: &mut dyn Sink) {
        let count = self.annotations.entry(annotation.level).or_default();
        *count += 1;
        if let Some(step) = self.rules.step
            && *count <= MOST_ANNOTATIONS
        {
            sink.tell(Event::Annotated { step, annotation });
        }
    }

    /// The text of a file of problem matchers.
    fn matcher(&self, path: &str) -> Result<String, String> {
        let path = self.rules.directory.join(path.trim());
        let mut text = String::new();
        let file =
            std::fs::File::open(&path).map_err(|error| format!("cannot open {}: {error}", path.display()))?;
        file.take(LARGEST_MATCHER)
            .read_to_string(&mut text)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Ok(text)
    }
}

/// What became of a command.
enum Done {
    /// Nothing of it is shown, unless commands are echoed.
    Silently,
    /// What was to be shown is shown.
    Shown,
    /// It is none of ours.
    Unknown,
}

/// Places that make no sense together are dropped.
fn settle(annotation: &mut Annotation) {
    let a = annotation;
    if a.line.is_none() {
        (a.end_line, a.column, a.end_column) = (None, None, None);
    }
    if a.end_line.is_some() && a.end_line < a.line {
        a.end_line = None;
    }
    if a.end_line.is_some() && a.end_line != a.line {
        (a.column, a.end_column) = (None, None);
    }
    if a.column.is_none() || a.end_column < a.column {
        a.end_column = None;
    }
}

/// Whether more bytes could make this beginning of a line a command.
fn may_become_command(start: &[u8]) -> bool {
    let text = start.trim_ascii_start();
    b"::".starts_with(&text[..text.len().min(2)])
        || text.windows(3).any(|window| window == b"##[")
        || text.ends_with(b"#")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Seen {
        shown: Vec<u8>,
        masked: Vec<String>,
        told: Vec<Event>,
    }

    impl Sink for Seen {
        fn show(&mut self, bytes: &[u8]) {
            self.shown.extend_from_slice(bytes);
        }

        fn mask(&mut self, secret: Secret) -> Result<(), String> {
            self.masked.push(secret.reveal().to_owned());
            Ok(())
        }

        fn tell(&mut self, event: Event) {
            self.told.push(event);
        }
    }

    fn filtered(rules: Rules, pieces: &[&str]) -> (String, Seen, Effects) {
        let mut filter = Filter::new(rules);
        let mut seen = Seen::default();
        for piece in pieces {
            filter.push(piece.as_bytes(), &mut seen);
        }
        let effects = filter.finish(&mut seen);
        (String::from_utf8(std::mem::take(&mut seen.shown)).unwrap(), seen, effects)
    }

    fn step() -> Rules {
        Rules {
            step: Some(StepId { index: 0, stage: runspan_agent_protocol::Stage::Main }),
            ..Rules::default()
        }
    }

    #[test]
    fn commands_are_carried_out_and_the_rest_is_shown() {
        let (shown, seen, effects) = filtered(
            step(),
            &[
                "one\n::set-output name=a::1\ntwo\n::add-mask::hunter2\n::unknown::x\n::error file=f,line=2,col=3::bad\n::group::g\n::endgroup::\nlast",
            ],
        );
        assert_eq!(shown, "one\ntwo\n::unknown::x\n##[error]bad\n##[group]g\n##[endgroup]\nlast");
        assert_eq!(effects.outputs, [("a".to_owned(), "1".to_owned())]);
        assert_eq!(seen.masked, ["hunter2"]);
        let [Event::Annotated { annotation, .. }] = &seen.told[..] else { panic!("{:?}", seen.told) };
        assert_eq!(
            (annotation.line, annotation.column, annotation.message.as_str()),
            (Some(2), Some(3), "bad")
        );
    }

    #[test]
    fn however_the_output_is_cut_the_effect_is_the_same() {
        let text =
            "x\n  ::set-output name=k::v%0Aw\r\n ##[warning]w\n#: no\n##\n:\n::\n::save-state name=s::t";
        let whole = filtered(step(), &[text]);
        for cut in 0..=text.len() {
            let (first, second) = text.split_at(cut);
            let parts = filtered(step(), &[first, second]);
            assert_eq!((&parts.0, &parts.2), (&whole.0, &whole.2), "{first:?} {second:?}");
        }
        let single: Vec<String> = text.chars().map(String::from).collect();
        let single: Vec<&str> = single.iter().map(String::as_str).collect();
        assert_eq!(filtered(step(), &single).2, whole.2);
    }

    proptest! {
        #[test]
        fn cutting_the_output_changes_no_effect(
            lines in prop::collection::vec(
                prop_oneof![
                    "[ -~]{0,12}",
                    "::(set-output|save-state|error|warning|group|stop-commands|x)( name=[a-c])?::[ -~]{0,6}",
                    "  ::add-mask::[a-z]{4}",
                ],
                0..8,
            ),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            // A command in the old form is seen in the middle of a line only when the line comes at once.
            let text = lines.join("\n").replace("##[", "#");
            let whole = filtered(step(), &[&text]);
            let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            at.extend([0, text.len()]);
            at.sort_unstable();
            let pieces: Vec<&str> = at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let cut = filtered(step(), &pieces);
            prop_assert_eq!(cut.0, whole.0);
            prop_assert_eq!(cut.2, whole.2);
            prop_assert_eq!((cut.1.masked, cut.1.told), (whole.1.masked, whole.1.told));
        }
    }

    #[test]
    fn a_prompt_without_a_line_end_is_shown_at_once() {
        let mut filter = Filter::new(step());
        let mut seen = Seen::default();
        filter.push(b"Password: ", &mut seen);
        assert_eq!(seen.shown, b"Password: ");
        filter.push(b"::error::x\n::error::y\n", &mut seen);
        assert_eq!(seen.shown, b"Password: ::error::x\n##[error]y\n");
    }

    #[test]
    fn commands_pause_until_their_word() {
        let (shown, _, effects) = filtered(
            step(),
            &["::stop-commands::t0ken\n::set-output name=a::1\n::t0ken::\n::set-output name=b::2\n"],
        );
        assert_eq!(shown, "::set-output name=a::1\n");
        assert_eq!(effects.outputs, [("b".to_owned(), "2".to_owned())]);
    }

    #[test]
    fn what_is_refused_fails_the_step() {
        for line in
            ["::set-env name=A::b\n", "::add-path::/x\n", "::stop-commands::error\n", "::set-output::x\n"]
        {
            let (shown, _, effects) = filtered(step(), &[line]);
            assert_eq!(effects.faults.len(), 1, "{line}");
            assert!(shown.starts_with("##[error]Unable to process command"), "{shown}");
            assert!(effects.environment.is_empty() && effects.path.is_empty());
        }
        let unsecure = Rules { unsecure: true, ..step() };
        let (_, _, effects) = filtered(unsecure, &["::set-env name=A::b\n"]);
        assert_eq!(effects.environment, [("A".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn annotations_are_limited_and_their_places_make_sense() {
        let (_, seen, _) = filtered(step(), &["::warning::w\n".repeat(30).as_str(), "::error::e\n"]);
        assert_eq!(seen.told.len(), 11);
        let mut odd = Annotation { end_line: Some(3), column: Some(2), ..Annotation::default() };
        settle(&mut odd);
        assert_eq!((odd.end_line, odd.column), (None, None));
    }
}
