//! Workflow commands: lines of output that mean something.

/// A command as a line has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command {
    /// Its name, in lower case.
    pub(crate) name: String,
    properties: Vec<(String, String)>,
    /// What stands behind it.
    pub(crate) data: String,
}

impl Command {
    /// Reads a line, which is a command when it begins with `::name`, or has `##[name]` in it.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let line = line.strip_suffix('\n').unwrap_or(line);
        let line = line.strip_suffix('\r').unwrap_or(line);
        match line.trim_start().strip_prefix("::") {
            Some(rest) => {
                let (head, data) = rest.split_once("::")?;
                Self::read(head, ',', data, &[("%3A", ":"), ("%2C", ",")])
            }
            None => {
                let (_, rest) = line.split_once("##[")?;
                let (head, data) = rest.split_once(']')?;
                Self::read(head, ';', data, &[("%3B", ";"), ("%5D", "]")])
            }
        }
    }

    fn read(head: &str, separator: char, data: &str, escapes: &[(&str, &str)]) -> Option<Self> {
        let (name, rest) = head.split_once(' ').unwrap_or((head, ""));
        if name.is_empty() {
            return None;
        }
        let properties = rest
            .split(separator)
            .filter_map(|property| property.split_once('='))
            .map(|(key, value)| {
                let value =
                    escapes.iter().fold(value.to_owned(), |value, (from, to)| value.replace(from, to));
                (key.trim().to_ascii_lowercase(), unescape(&value))
            })
            .collect();
        Some(Self { name: name.to_ascii_lowercase(), properties, data: unescape(data) })
    }

    /// The value of a property that has one.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        let found = self.properties.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The number of a property that is one.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.property(name)?.trim().parse().ok().filter(|number| *number > 0)
    }
}

/// The escaped per cent sign comes last, or it would make new escapes.
fn unescape(text: &str) -> String {
    text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts = (String, Vec<(String, String)>, String);

    fn parsed(line: &str) -> Option<Parts> {
        Command::parse(line).map(|command| (command.name, command.properties, command.data))
    }

    fn command(name: &str, properties: &[(&str, &str)], data: &str) -> Option<Parts> {
        let properties = properties.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Some((name.to_owned(), properties, data.to_owned()))
    }

    #[test]
    fn both_forms_are_read() {
        for (line, expected) in [
            ("::set-output name=a::b\n", command("set-output", &[("name", "a")], "b")),
            ("  ::Group::x y\r\n", command("group", &[], "x y")),
            (
                "::error file=a%2Cb.c,line=3::x%0Ay%250A",
                command("error", &[("file", "a,b.c"), ("line", "3")], "x\ny%0A"),
            ),
            ("some ##[warning code=1;x=%5D]text", command("warning", &[("code", "1"), ("x", "]")], "text")),
            ("::endgroup::", command("endgroup", &[], "")),
            ("a ::error::b", None),
            ("::error", None),
            (":: ::x", None),
            ("##[error", None),
        ] {
            assert_eq!(parsed(line), expected, "{line:?}");
        }
    }
}
