//! What is said of workflows that are wrong.

use proptest::prelude::*;
use runspan_actions::{Context, translate};
use runspan_expressions::{Contexts, Scope, Template, Value, evaluate, parse};

fn told(text: &str) -> Vec<String> {
    translate(text, &Context::ALONE).diagnostics.iter().map(ToString::to_string).collect()
}

/// One job, of these lines.
fn job(lines: &str) -> String {
    let lines = lines.lines().map(|line| format!("    {line}\n")).collect::<String>();
    format!("on: push\njobs:\n  a:\n{lines}")
}

#[test]
fn each_fault_is_told_where_it_stands() {
    for (text, expected) in [
        ("on: push\njobs: [", "2:7: error[yaml-syntax]"),
        ("- a", "1:1: error[wrong-type]: a workflow is a map"),
        ("on: push", "1:1: error[missing-key]: the workflow needs `jobs`"),
        ("jobs: {a: {runs-on: x, steps: []}}", "1:1: error[missing-key]: the workflow needs `on`"),
        ("on: push\njobs: {}", "2:1: error[wrong-type]: `jobs` must be a map of jobs"),
        (
            "on: pul_request\njobs: {a: {runs-on: x, steps: []}}",
            "1:1: error[invalid-value]: `pul_request` is not an event",
        ),
        (&job("steps: []"), "3:3: error[missing-key]: `jobs.a` needs `runs-on`"),
        (&job("runs-on: x"), "3:3: error[missing-key]: `jobs.a` needs `steps`"),
        (
            &job("runs-on: x\nsteps: echo"),
            "5:5: error[wrong-type]: `jobs.a.steps` must be a list of steps, not text",
        ),
        (
            &job("runs-on: x\nsteps: [{name: n}]"),
            "5:13: error[missing-key]: `jobs.a.steps[0]` needs `run` or `uses`",
        ),
        (
            &job("runs-on: x\nsteps: [{run: r, uses: u}]"),
            "error[conflicting-keys]: `jobs.a.steps[0]` has both",
        ),
        (
            &job("runs-on: x\nneeds: b\nsteps: []"),
            "5:12: error[unknown-reference]: job `a` needs `b`, which is not there",
        ),
        (
            &job("runs-on: x\nneeds: a\nsteps: []"),
            "error[dependency-cycle]: jobs need each other in a circle: `a` needs `a`",
        ),
        (
            &job("runs-on: x\nstepps: []\nsteps: []"),
            "5:5: warning[unknown-key]: `stepps` is not a key of `jobs.a`",
        ),
        (
            &job("runs-on: x\nsteps:\n  - run: echo ${{ github.sha || }}"),
            "6:34: error[expression]: Unexpected end of expression: '||'. Located at position 12",
        ),
        (
            &job("runs-on: x\nsteps:\n  - run: |\n      echo one\n      echo ${{ gitub.sha }}"),
            "8:20: error[expression]: Unrecognized named-value: 'gitub'. Located at position 1",
        ),
        (
            &job("runs-on: x\nif: sucess()\nsteps: []"),
            "5:9: error[expression]: Unrecognized function: 'sucess'",
        ),
        (
            &job("runs-on: x\nsteps:\n  - run: echo ${{ github.sha }"),
            "error[expression]: The expression is not closed",
        ),
    ] {
        let told = told(text);
        assert!(told.iter().any(|line| line.contains(expected)), "{text}\n{told:#?}\ninstead of {expected}");
    }
}

#[test]
fn circles_of_jobs_actions_and_workflows_end() {
    let circle = "on: push\njobs:\n  a: {needs: c, runs-on: x, steps: []}\n  b: {needs: a, runs-on: x, steps: []}\n  \
                  c: {needs: b, runs-on: x, steps: []}\n  d: {needs: c, runs-on: x, steps: []}";
    assert!(told(circle)[0].contains("in a circle: `a` needs `c` needs `b` needs `a`"), "{:?}", told(circle));
    let own = "on: workflow_call\njobs:\n  a:\n    uses: ./.github/workflows/own.yml\n";
    let itself = |path: &str| (path == ".github/workflows/own.yml").then(|| own.to_owned());
    let translation = translate(own, &Context { read: &itself });
    assert_eq!(translation.jobs.len(), 1);
    let action = "runs:\n  using: composite\n  steps:\n    - uses: ./act\n    - uses: ./act\n";
    let nested = |path: &str| (path == "act/action.yml").then(|| action.to_owned());
    let user = job("runs-on: ubuntu-latest\nsteps:\n  - uses: ./act");
    let translation = translate(&user, &Context { read: &nested });
    assert_eq!((translation.jobs.len(), translation.diagnostics.len()), (1, 0));
}

#[test]
fn no_input_is_too_much() {
    let deep = format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000));
    // A megabyte of stack is enough, in an unoptimised build too.
    let nested = format!("{}1{}", "(((!".repeat(45), ")))".repeat(45));
    let small = std::thread::Builder::new().stack_size(1 << 20);
    let parsed =
        small.spawn(move || parse(&nested, Scope::STEP).is_ok() && parse(&deep, Scope::STEP).is_ok());
    assert!(parsed.unwrap().join().unwrap());
    let long = format!("'{}'", "a".repeat(20_000));
    assert!(parse(&long, Scope::STEP).is_ok());
    assert!(parse(&"!".repeat(20_000), Scope::STEP).is_err());
    assert!(parse(&format!("'{}'", "a".repeat(21_000)), Scope::STEP).is_err());
    let many = vec!["a.b"; 3_000].join("||");
    let many = many.replace('a', "github");
    assert!(parse(&many[..20_998], Scope::STEP).is_ok());
    let big = "- ${{ matrix.a }}\n".repeat(1_000);
    let text = format!(
        "on: push\njobs:\n  a:\n    runs-on: x\n    strategy:\n      matrix:\n        a: [{}]\n        b: [{}]\n    steps:\n      - run: |\n          {}",
        "1,".repeat(300),
        "2,".repeat(300),
        big.replace('\n', "\n          ")
    );
    let translation = translate(&text, &Context::ALONE);
    assert_eq!(translation.jobs.len(), 1, "{:?}", translation.diagnostics);
}

struct None;

impl Contexts for None {
    fn context(&self, name: &str) -> Value {
        Value::from(name)
    }
}

#[test]
fn text_around_expressions_makes_text() {
    let value = |text: &str| Template::parse(text, Scope::STEP).unwrap().evaluate(&None).unwrap();
    assert_eq!(value("${{ 1 == 1 }}"), Value::Boolean(true));
    assert_eq!(value("a ${{ 1.50 }}${{ github }}!"), Value::from("a 1.5github!"));
    assert_eq!(value("${{ '}}' }}"), Value::from("}}"));
    assert_eq!(value("no { braces }}"), Value::from("no { braces }}"));
}

proptest! {
    #[test]
    fn no_expression_panics(text in "[a-z0-9.()\\[\\]'!&|<>=*, +-]{0,60}") {
        if let Ok(expr) = parse(&text, Scope::STEP) {
            drop(evaluate(&expr, &None));
            prop_assert!(expr.span.end <= text.len());
        }
    }

    #[test]
    fn no_workflow_panics(lines in proptest::collection::vec("( {0,4})(- )?(run|uses|if|env|with|name|needs|strategy|matrix|jobs|on|steps|runs-on): ?(\\[a, b\\]|\\$\\{\\{ github.sha \\}\\}|x|'[^']{0,9}'|\\|)?", 0..12)) {
        drop(translate(&lines.join("\n"), &Context::ALONE));
    }
}
