//! The global variable `docker`, and images.

use std::ops::Range;

use runspan_buildspec::shell::quoted;

use super::{
    Translator,
    block::Block,
    scope::{Meaning, first},
    word::Word,
};
use crate::groovy::{Arg, Call, Expr, ExprKind, Name, Stmt};

impl<'a> Translator<'a> {
    /// `docker.build(…)` or `docker.image(…)` as a value: the image, and the commands that make it.
    pub(super) fn built_image(
        &mut self,
        value: &Expr,
        span: &Range<usize>,
        construct: &str,
    ) -> Option<(Word, Block)> {
        let ExprKind::Call(call) = &value.bare().kind else { return None };
        let (Some(ExprKind::Var(owner)), Name::Fixed(method)) =
            (call.object.as_ref().map(|it| &it.kind), &call.name)
        else {
            return None;
        };
        if owner != "docker" {
            return None;
        }
        let image = self.value(first(call)?)?;
        match method.as_str() {
            "image" => {
                self.notes.exact(span, construct, "its name where it is used");
                Some((image, Block::default()))
            }
            "build" => {
                let args = match call.args.get(1) {
                    Some(Arg::Value(args)) => self.value(args)?.script(),
                    _ => ".".into(),
                };
                self.privileged = true;
                self.notes.exact(span, construct, "`docker build`, in a privileged build");
                let block = Block::of(format!("docker build -t {} {args}", image.argument()));
                Some((image, block))
            }
            _ => None,
        }
    }

    /// A method of `docker` or of an image, as a statement.
    pub(super) fn docker(
        &mut self,
        object: &'a Expr,
        name: &str,
        call: &'a Call,
        span: &Range<usize>,
        path: &str,
    ) -> Option<Block> {
        let construct = format!("{path}.docker.{name}");
        if let ExprKind::Var(owner) = &object.kind
            && owner == "docker"
        {
            return match name {
                "build" => {
                    let image = self.value(first(call)?)?;
                    let args = match call.args.get(1) {
                        Some(Arg::Value(args)) if !matches!(args.kind, ExprKind::Closure(_)) => {
                            self.value(args)?.script()
                        }
                        _ => ".".into(),
                    };
                    self.privileged = true;
                    self.notes.exact(span, &construct, "`docker build`, in a privileged build");
                    Some(Block::of(format!("docker build -t {} {args}", image.argument())))
                }
                "withRegistry" | "withServer" => {
                    let body = &call.block()?.body;
                    let registry = first(call).and_then(|it| self.value(it));
                    let login = call.args.len() > 2;
                    let block = self.statements(body, &construct);
                    self.privileged = true;
                    let host = registry
                        .and_then(|it| it.constant())
                        .map(|url| url.trim_start_matches("https://").trim_end_matches('/').to_owned());
                    let mut out = Block::default();
                    if login && name == "withRegistry" {
                        let host = host
                            .filter(|host| !host.is_empty())
                            .map(|host| format!(" {}", quoted(&host)))
                            .unwrap_or_default();
                        out.append(Block::of(format!(
                            "printf %s \"$REGISTRY_PASSWORD\" | docker login --username \"$REGISTRY_USERNAME\" --password-stdin{host}"
                        )));
                        self.secret("REGISTRY_USERNAME", "the registry's");
                        self.secret("REGISTRY_PASSWORD", "the registry's");
                    }
                    self.notes.approximate(
                        span,
                        &construct,
                        "`docker login`",
                        "user and password must be given as variables; names of images must hold the registry",
                    );
                    out.append(block);
                    Some(out)
                }
                _ => None,
            };
        }
        let image = match &object.kind {
            ExprKind::Var(owner) => match self.scope.get(owner) {
                Some(Meaning::Image(image)) => image.clone(),
                _ => return None,
            },
            ExprKind::Call(_) => {
                let (image, block) =
                    self.built_image(object, &object.span, &format!("{path}.docker.image"))?;
                if !block.is_empty() {
                    let mut out = block;
                    out.append(self.of_image(&image, name, call, span, &construct)?);
                    return Some(out);
                }
                image
            }
            _ => return None,
        };
        self.of_image(&image, name, call, span, &construct)
    }

    fn of_image(
        &mut self,
        image: &Word,
        name: &str,
        call: &'a Call,
        span: &Range<usize>,
        construct: &str,
    ) -> Option<Block> {
        match name {
            "inside" => {
                let body = &call.block()?.body;
                let args = match call.args.first() {
                    Some(Arg::Value(args)) if !matches!(args.kind, ExprKind::Closure(_)) => {
                        Some(self.value(args)?)
                    }
                    _ => None,
                };
                Some(self.inside(image, args.as_ref(), body, span, construct))
            }
            "push" => {
                self.privileged = true;
                self.notes.exact(span, construct, "`docker push`");
                let Some(tag) = first(call) else {
                    return Some(Block::of(format!("docker push {}", image.argument())));
                };
                let tag = self.value(tag)?;
                let tagged = without_tag(image).then(Word::literal(":")).then(tag);
                Some(Block::all([
                    format!("docker tag {} {}", image.argument(), tagged.argument()),
                    format!("docker push {}", tagged.argument()),
                ]))
            }
            "pull" => {
                self.privileged = true;
                self.notes.exact(span, construct, "`docker pull`");
                Some(Block::of(format!("docker pull {}", image.argument())))
            }
            "tag" => {
                let tag = self.value(first(call)?)?;
                let tagged = without_tag(image).then(Word::literal(":")).then(tag);
                self.notes.exact(span, construct, "`docker tag`");
                Some(Block::of(format!("docker tag {} {}", image.argument(), tagged.argument())))
            }
            "withRun" => None,
            _ => None,
        }
    }

    /// Commands in a container beside the build.
    pub(super) fn inside(
        &mut self,
        image: &Word,
        args: Option<&Word>,
        body: &'a [Stmt],
        span: &Range<usize>,
        construct: &str,
    ) -> Block {
        let block = self.statements(body, construct);
        self.privileged = true;
        self.notes.approximate(
            span,
            construct,
            "`docker run` with the working directory, in a privileged build",
            "of the variables, those that the commands name are passed on",
        );
        let script = block.lines();
        if script.len() > super::value::LONGEST {
            return block;
        }
        let passed: String = names_in(&script).iter().map(|name| format!(" -e {name}")).collect();
        let args = args.map(|args| format!(" {}", args.script().trim())).unwrap_or_default();
        Block::of(format!(
            "docker run --rm -v \"$PWD:$PWD\" -w \"$PWD\"{passed}{args} {} sh -ec {}",
            image.argument(),
            quoted(script.trim_end())
        ))
    }
}

/// Variables that a script names.
fn names_in(script: &str) -> std::collections::BTreeSet<&str> {
    let mut names = std::collections::BTreeSet::new();
    for (at, _) in script.match_indices('$') {
        let name = script[at + 1..].strip_prefix('{').unwrap_or(&script[at + 1..]);
        let end = name.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(name.len());
        if super::word::is_name(&name[..end]) {
            names.insert(&name[..end]);
        }
    }
    names
}

/// `repository` of `repository:tag`.
fn without_tag(image: &Word) -> Word {
    let mut parts = image.0.clone();
    // The last colon behind the last slash begins the tag.
    for at in (0..parts.len()).rev() {
        let super::word::Part::Literal(text) = &parts[at] else { continue };
        if let Some(colon) = text.rfind(':') {
            if !text[colon..].contains('/') {
                let kept = text[..colon].to_owned();
                parts.truncate(at);
                parts.push(super::word::Part::Literal(kept));
            }
            break;
        }
        if text.contains('/') {
            break;
        }
    }
    Word(parts)
}
