//! The account as a page that stands by itself: nothing is loaded, and it can be read without scripts.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use runspan_buildspec::{Coverage, Fidelity, Note, Translation, write};

use super::organisation::{Translated, coverage};
use crate::translators::{FileFormat, SourceFile};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page of one file.
pub(super) fn of_file(file: &SourceFile, translation: &Translation, buildspec: &str) -> String {
    let body = html! {
        (head(&file.name))
        (section(0, file, translation, buildspec, true))
    };
    page(&file.name, &body)
}

/// The page of every file below a directory.
pub(super) fn of_tree(tree: &str, all: &[Translated]) -> String {
    let body = html! {
        (head(tree))
        (totals(all))
        (formats(all))
        (files(all))
        h2 { "Files" }
        @for (index, each) in all.iter().enumerate() {
            (section(index, &each.file, &each.translation, &each.buildspec, false))
        }
    };
    page(tree, &body)
}

fn page(title: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
                title { (visible(title)) " – translated to buildspecs" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main { (body) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

fn head(title: &str) -> Markup {
    html! {
        header {
            p.kicker { "runspan translate" }
            h1 { bdi { (visible(title)) } }
        }
    }
}

fn totals(all: &[Translated]) -> Markup {
    let sum = coverage(all);
    let jobs: usize = all.iter().map(|each| each.translation.jobs.len()).sum();
    let faulty = all.iter().filter(|each| each.translation.has_errors()).count();
    html! {
        dl.totals {
            div { dt { "Files" } dd { (all.len()) } }
            div { dt { "Jobs" } dd { (jobs) } }
            div { dt { "Done" } dd { (percent(sum)) } }
            div { dt { "Exact" } dd.exact { (sum.exact) } }
            div { dt { "Approximate" } dd.approximate { (sum.approximate) } }
            div { dt { "By hand" } dd.manual { (sum.manual) } }
            @if faulty > 0 { div { dt { "Faulty files" } dd.manual { (faulty) } } }
        }
        (bar(sum))
    }
}

fn formats(all: &[Translated]) -> Markup {
    html! {
        table {
            thead { tr { th { "Format" } th.n { "Files" } th.n { "Jobs" } th.n { "Exact" } th.n { "Approximate" } th.n { "By hand" } th { "Done" } } }
            tbody {
                @for format in FileFormat::ALL {
                    @let of_format: Vec<&Translated> = all.iter().filter(|each| each.file.format == format).collect();
                    @let sum = coverage(of_format.iter().copied());
                    @if !of_format.is_empty() {
                        tr {
                            td { (format.name()) }
                            td.n { (of_format.len()) }
                            td.n { (of_format.iter().map(|each| each.translation.jobs.len()).sum::<usize>()) }
                            td.n { (sum.exact) }
                            td.n { (sum.approximate) }
                            td.n { (sum.manual) }
                            td { (percent(sum)) (bar(sum)) }
                        }
                    }
                }
            }
        }
    }
}

fn files(all: &[Translated]) -> Markup {
    html! {
        div.filter hidden {
            input #search type="search" placeholder="Search names, sources and notes" aria-label="Search";
            label { input type="checkbox" name="format" value="workflow" checked; "Workflows" }
            label { input type="checkbox" name="format" value="jenkinsfile" checked; "Jenkinsfiles" }
            label { input type="checkbox" name="format" value="pipelines" checked; "Bitbucket" }
            label { input #work type="checkbox"; "Only what needs work" }
            output #shown {}
        }
        table.files {
            thead { tr { th { "File" } th { "Format" } th.n { "Jobs" } th.n { "Approximate" } th.n { "By hand" } th { "Done" } } }
            tbody {
                @for (index, each) in all.iter().enumerate() {
                    @let sum = each.translation.coverage();
                    tr data-file=(index) {
                        td.name { a href={ "#f" (index) } { bdi { (visible(&each.file.name)) } } }
                        td { (each.file.format.name()) }
                        @if each.translation.has_errors() {
                            td.manual colspan="4" { "cannot be read: see the file" }
                        } @else {
                            td.n { (each.translation.jobs.len()) }
                            td.n { (sum.approximate) }
                            td.n .manual[sum.manual > 0] { (sum.manual) }
                            td { (percent(sum)) (bar(sum)) }
                        }
                    }
                }
            }
        }
    }
}

/// One file: what is not exact, then source and buildspec side by side.
fn section(
    index: usize,
    file: &SourceFile,
    translation: &Translation,
    buildspec: &str,
    open: bool,
) -> Markup {
    let sum = translation.coverage();
    html! {
        details.file #{ "f" (index) } open[open] data-file=(index) data-format=(file.format.id())
            data-work=(usize::from(sum.manual > 0 || translation.has_errors()))
        {
            summary {
                bdi { (visible(&file.name)) }
                @if translation.has_errors() {
                    span.badge.manual { "cannot be read" }
                } @else {
                    span.badge { (percent(sum)) }
                    @if sum.manual > 0 { span.badge.manual { (sum.manual) " by hand" } }
                }
            }
            @if !translation.diagnostics.is_empty() {
                ul.notes {
                    @for fault in &translation.diagnostics {
                        li.manual { (visible(&fault.to_string())) @if let Some(help) = &fault.help { p { (visible(help)) } } }
                    }
                }
            }
            (notes(index, &translation.notes))
            div.sides {
                figure { figcaption { (file.format.name()) } (source(index, &file.text, &translation.notes)) }
                figure { figcaption { "buildspec" } (buildspecs(translation, buildspec)) }
            }
        }
    }
}

/// What is not exact; what is said of several places is said once.
fn notes(index: usize, notes: &[Note]) -> Markup {
    let mut said: IndexMap<&Fidelity, Vec<&Note>> = IndexMap::new();
    for name in ["manual", "approximate"] {
        for note in notes.iter().filter(|note| note.fidelity.name() == name) {
            said.entry(&note.fidelity).or_default().push(note);
        }
    }
    html! {
        ul.notes {
            @for (fidelity, notes) in said {
                li class=(fidelity.name()) {
                    @for note in &notes {
                        a.place href={ "#f" (index) "l" (note.span.line) } title=(visible(&note.construct)) {
                            (note.span.line) ":" (note.span.column)
                        }
                        " "
                    }
                    @if let [note] = notes.as_slice() { code { (visible(&note.construct)) } " " }
                    @match fidelity {
                        Fidelity::Exact { became } => { (prose(became)) }
                        Fidelity::Approximate { became, difference } => {
                            (prose(became)) "; " em { (prose(difference)) }
                        }
                        Fidelity::Manual { reason, suggestion } => {
                            (prose(reason))
                            @if let Some(suggestion) = suggestion { pre { (visible(suggestion)) } }
                        }
                    }
                }
            }
        }
    }
}

/// Text in which what stands in backticks is code.
fn prose(text: &str) -> Markup {
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (visible(part)) } } @else { (visible(part)) }
        }
    }
}

/// Numbered lines; each shows the worst of what is noted on it.
fn source(index: usize, text: &str, notes: &[Note]) -> Markup {
    let mut worst: BTreeMap<usize, (&'static str, String)> = BTreeMap::new();
    for note in notes {
        let name = note.fidelity.name();
        let rank = |name: &str| ["exact", "approximate", "manual"].iter().position(|known| *known == name);
        let entry = worst.entry(note.span.line).or_insert_with(|| (name, String::new()));
        if rank(name) > rank(entry.0) {
            entry.0 = name;
        }
        if !entry.1.is_empty() {
            entry.1.push('\n');
        }
        entry.1.push_str(&said(note));
    }
    html! {
        pre.code.numbered {
            @for (number, line) in (1..).zip(text.lines()) {
                @match worst.get(&number) {
                    Some((name, said)) => {
                        span class={ "l " (name) } id={ "f" (index) "l" (number) } title=(visible(said)) { (visible(line)) "\n" }
                    }
                    None => { span.l id={ "f" (index) "l" (number) } { (visible(line)) "\n" } }
                }
            }
        }
    }
}

fn said(note: &Note) -> String {
    match &note.fidelity {
        Fidelity::Exact { became } => format!("{}: {became}", note.construct),
        Fidelity::Approximate { became, difference } => format!("{}: {became}; {difference}", note.construct),
        Fidelity::Manual { reason, .. } => format!("{}: {reason}", note.construct),
    }
}

/// The buildspec of each job; of a single one, the whole file's.
fn buildspecs(translation: &Translation, whole: &str) -> Markup {
    html! {
        @if translation.jobs.len() > 1 {
            @for job in &translation.jobs {
                h4 {
                    (visible(&job.name))
                    @if let Some(image) = &job.env.image { " " span.quiet { "in " (visible(image)) } }
                    @if !job.depends_on.is_empty() { " " span.quiet { "after " (job.depends_on.join(", ")) } }
                    @if job.on_demand { " " span.quiet { "when somebody asks for it" } }
                }
                (code(&write(&job.buildspec, &job.comments)))
            }
        } @else {
            (code(whole))
        }
    }
}

fn code(text: &str) -> Markup {
    html! {
        pre.code {
            @for line in text.lines() {
                @let trimmed = line.trim_start();
                @if trimmed.starts_with('#') {
                    span .l .comment .todo[trimmed.starts_with("# TO DO")] { (visible(line)) "\n" }
                } @else {
                    span.l { (visible(line)) "\n" }
                }
            }
        }
    }
}

fn percent(coverage: Coverage) -> String {
    format!("{:.1} %", coverage.ratio() * 100.0)
}

fn bar(coverage: Coverage) -> Markup {
    let Coverage { exact, approximate, manual } = coverage;
    html! {
        span.bar aria-hidden="true" {
            @for (name, count) in [("exact", exact), ("approximate", approximate), ("manual", manual)] {
                @if count > 0 { span class=(name) style={ "flex-grow:" (count) } {} }
            }
        }
    }
}

/// Control characters, also those that turn the direction of text, are shown as such.
fn visible(text: &str) -> String {
    let is_hidden = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use runspan_pipelines::Selection;

    use super::*;

    fn translated(name: &str, text: &str) -> Translated {
        let file = SourceFile {
            name: name.into(),
            path: PathBuf::from("/nowhere/bitbucket-pipelines.yml"),
            format: FileFormat::Pipelines,
            text: text.into(),
        };
        let translation = file.translate(&Selection::default());
        Translated::of(file, translation)
    }

    #[test]
    fn hostile_names_and_contents_are_text() {
        let bad = "</pre><script>alert(1)</script>\u{202e}\u{1b}\"'";
        let text = "image: \"</pre><script>alert(1)</script>\"\npipelines:\n  default:\n    - step:\n        name: '<img src=x onerror=alert(1)>'\n        script: ['<b>']\n        '<i>': 1\n";
        let page = of_tree(bad, &[translated(bad, text), translated("broken", "pipelines: [<script>")]);
        assert_eq!(page.matches("<script").count(), 1, "{page}");
        assert!(!page.contains("<img") && !page.contains("<i>") && !page.contains('\u{202e}'));
        assert!(page.contains("&lt;script&gt;") && !page.contains('\u{1b}'));
    }

    #[test]
    fn the_page_loads_nothing_and_tells_everything() {
        let text = "pipelines:\n  default:\n    - step:\n        size: 2x\n        nonsense: 1\n        script: [make]\n";
        let page = of_tree("org", &[translated("a/bitbucket-pipelines.yml", text)]);
        assert!(
            !page.contains("src=")
                && !page.contains("http:")
                && !page.contains("https:")
                && !page.contains("url(")
        );
        for part in ["class=\"l manual\" id=\"f0l5\"", "class=\"l approximate\" id=\"f0l4\"", "- make", "5:9"]
        {
            assert!(page.contains(part), "{part} in {page}");
        }
    }
}
