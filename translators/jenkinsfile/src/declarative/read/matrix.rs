//! `matrix`: axes and what is left out of them.

use std::collections::HashSet;

use super::super::{Axis, Exclude, Key, Matrix};
use super::Reader;
use crate::groovy::{Arg, ExprKind, Stmt};

impl<'a> Reader<'_> {
    pub(super) fn matrix(&mut self, stmt: &'a Stmt) -> Matrix<'a> {
        let mut out = Matrix { span: stmt.span.clone(), ..Matrix::default() };
        let mut seen = HashSet::new();
        for stmt in self.block(stmt, "matrix") {
            let Some(call) = self.section(stmt) else { continue };
            let name = self.name_of(call, &stmt.span);
            self.first(&mut seen, name, &stmt.span);
            if self.directive(name, stmt, &mut out.directives) {
                continue;
            }
            match name {
                "axes" => {
                    let body = self.block(stmt, "axes");
                    out.axes = Some(body.iter().map(|stmt| self.axis(stmt, false)).collect());
                    out.axes_span = stmt.span.clone();
                }
                "excludes" => {
                    let body = self.block(stmt, "excludes");
                    out.excludes = Some(body.iter().map(|stmt| self.exclude(stmt)).collect());
                    out.excludes_span = stmt.span.clone();
                }
                "stages" => out.stages = Some(self.stages(stmt, "stages")),
                _ => self.fault(&stmt.span, format!("`{name}` is not a section of `matrix`")),
            }
        }
        out
    }

    fn exclude(&mut self, stmt: &'a Stmt) -> Exclude<'a> {
        let body = self.block(stmt, "exclude");
        Exclude { span: stmt.span.clone(), axes: body.iter().map(|stmt| self.axis(stmt, true)).collect() }
    }

    fn axis(&mut self, stmt: &'a Stmt, excluded: bool) -> Axis<'a> {
        let mut out = Axis { span: stmt.span.clone(), ..Axis::default() };
        let mut seen = HashSet::new();
        for stmt in self.block(stmt, "axis") {
            let Some(call) = self.section(stmt) else { continue };
            let name = self.name_of(call, &stmt.span);
            self.first(&mut seen, name, &stmt.span);
            let key = Key { text: name.to_owned(), span: call.name_span.clone() };
            match name {
                "name" => {
                    if let Some(value) = self.single(call, &key) {
                        out.name = Some(match &value.kind {
                            ExprKind::Text(text) if text.is_empty() => {
                                Key { text: String::new(), span: value.span.clone() }
                            }
                            _ => self.key(value),
                        });
                    }
                }
                "values" | "notValues" if name == "values" || excluded => {
                    if seen.contains("values") && seen.contains("notValues") {
                        self.fault(&stmt.span, "an excluded axis has either `values` or `notValues`");
                    }
                    out.inverse |= name == "notValues";
                    self.item_args(call);
                    out.values.extend(call.args.iter().filter_map(|arg| match arg {
                        Arg::Value(value) => Some(value),
                        Arg::Named(_) => None,
                    }));
                }
                _ => self.fault(&stmt.span, format!("`{name}` is not a section of `axis`")),
            }
        }
        out
    }
}
