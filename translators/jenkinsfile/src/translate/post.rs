//! `post`: what happens after the steps, by how they ended.

use super::{Translator, block::Block, flow::guarded_lines, value::RESULT};
use crate::declarative::{POST_ORDER, Post};

/// How the steps before are asked for their end.
#[derive(Clone, Copy)]
pub(super) enum Ended<'s> {
    /// The build as a whole.
    Build,
    /// A status in a variable.
    Status(&'s str),
}

impl<'a> Translator<'a> {
    /// What `post` does, in the order in which Jenkins does it; `cleanup` apart.
    pub(super) fn post(&mut self, post: &Post<'a>, ended: Ended<'_>, path: &str) -> (Block, Block) {
        let path = format!("{path}.post");
        let (mut block, mut cleanup) = (Block::default(), Block::default());
        for &name in POST_ORDER {
            for condition in post.conditions.iter().filter(|condition| condition.name == name) {
                let construct = format!("{path}.{name}");
                let span = &condition.span;
                let test = match self.post_test(name, ended) {
                    Ok(test) => test,
                    Err(reason) => {
                        let steps = self.notes.quote(span, 20);
                        let suggestion = format!(
                            "# keep the result of the build before in a parameter, and compare\n# {}",
                            steps.replace('\n', "\n# ")
                        );
                        block.append(self.by_hand(span, &construct, reason, Some(suggestion), false));
                        continue;
                    }
                };
                let steps = self.statements(condition.branch.body, &construct);
                match name {
                    "unstable" => self.notes.approximate(
                        span,
                        &construct,
                        format!("a test of {RESULT}"),
                        "only what the pipeline itself calls unstable is",
                    ),
                    _ if steps.is_empty() => self.notes.exact(span, &construct, "see its steps"),
                    "always" => self.notes.exact(span, &construct, "commands that run in any case"),
                    "cleanup" => self.notes.exact(span, &construct, "commands that run last in any case"),
                    _ => self.notes.exact(span, &construct, "commands behind a test of the result"),
                }
                let into = if name == "cleanup" { &mut cleanup } else { &mut block };
                match test {
                    None => into.append(steps),
                    Some(_) if steps.is_empty() => {
                        // What is to be done by hand stays as a comment.
                        into.append(steps);
                    }
                    Some(test) => {
                        into.append(Block {
                            sets: steps.sets,
                            ..Block::of(format!("if {test}; then\n{}fi", guarded_lines(&steps)))
                        });
                    }
                }
            }
        }
        self.notes.exact(&post.span, &path, "see each condition");
        (block, cleanup)
    }

    fn post_test(&self, name: &str, ended: Ended<'_>) -> Result<Option<String>, &'static str> {
        let (good, bad) = match ended {
            Ended::Build => (
                "[ \"$CODEBUILD_BUILD_SUCCEEDING\" = 1 ]".to_owned(),
                "[ \"$CODEBUILD_BUILD_SUCCEEDING\" = 0 ]".to_owned(),
            ),
            Ended::Status(status) => (format!("[ \"${status}\" = 0 ]"), format!("[ \"${status}\" != 0 ]")),
        };
        Ok(Some(match name {
            "always" | "cleanup" => return Ok(None),
            "success" if self.results => format!("{good} && [ -z \"${RESULT}\" ]"),
            "success" => good,
            "failure" => bad,
            "unsuccessful" if self.results => format!("{bad} || [ -n \"${RESULT}\" ]"),
            "unsuccessful" => bad,
            "unstable" => format!("{good} && [ \"${RESULT}\" = UNSTABLE ]"),
            "aborted" => return Err("a build that is stopped runs nothing more"),
            "notBuilt" => return Err("a build of CodeBuild is always built"),
            _ => return Err("the result of the build before is not known"),
        }))
    }
}
