//! Steps: their files, their commands, their shells.

use runspan_agent_protocol::{
    Event, Exit, PhaseEnd, PrepareSteps, Reply, RunStep, Script, Secret, Stage, StepId, StepReport,
    StopReason, Variable, Verb,
};

use crate::supervisor::Rig;

const STEP: StepId = StepId { index: 0, stage: Stage::Main };

fn script(text: &str) -> RunStep {
    RunStep {
        tell: vec![Event::StepStarted { step: STEP, name: "one".into() }],
        step: Some(STEP),
        title: "Run one".into(),
        commands: vec![vec!["no-such-shell".into()], vec!["sh".into(), "-e".into(), "{0}".into()]],
        script: Some(Script { text: text.into(), extension: ".sh".into() }),
        environment: Vec::new(),
        defaults: Vec::new(),
        working_directory: None,
        run_as: None,
        timeout_seconds: None,
        may_fail: false,
    }
}

fn report(rig: &mut Rig, order: RunStep) -> StepReport {
    match rig.ask(Verb::RunStep(Box::new(order))) {
        Ok(Reply::Step(report)) => *report,
        other => panic!("{other:?}\n{}", rig.log()),
    }
}

fn run(rig: &mut Rig, text: &str) -> StepReport {
    report(rig, script(text))
}

#[test]
fn what_a_step_sets_reaches_steps_and_commands_behind_it() {
    let mut rig = Rig::configured(|_| {});
    rig.run(&["export CARRIED=yes; mkdir -p bin; cd bin"]);
    let first = run(
        &mut rig,
        "echo $CARRIED in ${PWD##*/}; echo SET=1 >> $GITHUB_ENV; echo out=2 >> $GITHUB_OUTPUT; echo s=3 >> $GITHUB_STATE\n\
         printf 'LONG<<E\\na\\nb\\nE\\n' >> $GITHUB_ENV; echo $PWD/bin >> $GITHUB_PATH; echo '::set-output name=old::4'\n\
         printf '#!/bin/sh\\necho tool ran' > bin/tool; chmod +x bin/tool; export LOST=1",
    );
    assert!(first.exit.is_success() && first.faults.is_empty(), "{first:?}\n{}", rig.log());
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(first.outputs, [pair("old", "4"), pair("out", "2")]);
    assert_eq!(first.state, [pair("s", "3")]);
    assert_eq!(first.environment, [pair("SET", "1"), pair("LONG", "a\nb")]);
    run(&mut rig, "echo \"<$SET $LONG ${LOST-gone}>\"; tool");
    assert_eq!(
        rig.prints(&["echo \"[$SET $LONG]\"; tool; pwd"]),
        format!("[1 a\nb]\ntool ran\n{}/bin", rig.source_dir().display())
    );
    let log = rig.log();
    assert!(log.contains("\nyes in src\n") && log.contains("\n<1 a\nb gone>\ntool ran\n"), "{log}");
    assert!(!log.contains("set-output"), "{log}");
    assert!(rig.events().iter().any(|event| matches!(event, Event::StepStarted { .. })));
}

#[test]
fn a_mask_holds_from_its_line_on_everywhere() {
    let mut rig = Rig::configured(|_| {});
    let end = run(
        &mut rig,
        "echo '::add-mask::hunter2'; echo hunter2; printf hun; printf 'ter2\\n'; echo '::error file=a.c,line=3::hunter2 leaks'\n\
         echo '# hunter2' >> $GITHUB_STEP_SUMMARY; echo x=hunter2 >> $GITHUB_OUTPUT; exit 3",
    );
    assert_eq!(end.exit, Exit::Status(3));
    let told = format!("{:?}", rig.events());
    let [annotated] = rig
        .events()
        .into_iter()
        .filter_map(|event| match event {
            Event::Annotated { annotation, .. } => Some(annotation),
            _ => None,
        })
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert_eq!((annotated.message.as_str(), annotated.line), ("*** leaks", Some(3)));
    assert!(told.contains("Summarised") && told.contains("# ***"), "{told}");
    assert!(!rig.log().contains("hunter2"), "{}", rig.log());
    assert_eq!(rig.ask(Verb::Mask(vec![Secret::new("a hunter2")])), Ok(Reply::Texts(vec!["a ***".into()])));
}

#[test]
fn a_step_has_its_own_variables_directory_and_time() {
    let mut rig = Rig::configured(|_| {});
    rig.run(&["mkdir sub; export KEPT=old"]);
    let order = RunStep {
        environment: vec![Variable::new("A", "1")],
        defaults: vec![Variable::new("KEPT", "new"), Variable::new("FRESH", "2")],
        working_directory: Some("sub".into()),
        ..script("echo $A $KEPT $FRESH ${PWD##*/}")
    };
    assert!(report(&mut rig, order).exit.is_success());
    assert!(rig.log().contains("\n1 old 2 sub\n"), "{}", rig.log());
    let slow = RunStep {
        timeout_seconds: Some(1),
        ..script("trap 'echo got TERM; exit 1' TERM; while :; do sleep 0.05; done")
    };
    assert_eq!(report(&mut rig, slow).exit, Exit::Ended(StopReason::TimedOut));
    assert!(
        rig.log().contains("got TERM") && rig.log().contains("the step's 1 seconds are over"),
        "{}",
        rig.log()
    );
    let nowhere = RunStep { working_directory: Some("none".into()), ..script("true") };
    assert!(
        matches!(report(&mut rig, nowhere).exit, Exit::NotStarted(reason) if reason.contains("/none does not exist"))
    );
    let nothing = RunStep { commands: vec![vec!["pwsh".into()]], ..script("true") };
    assert!(
        matches!(report(&mut rig, nothing).exit, Exit::NotStarted(reason) if reason.contains("pwsh is not in the image"))
    );
    assert_eq!(rig.run(&["true"]), PhaseEnd::Succeeded);
}

#[test]
fn broken_files_and_commands_are_faults_of_the_step() {
    let mut rig = Rig::configured(|_| {});
    let end = run(
        &mut rig,
        "echo word >> $GITHUB_ENV; echo NODE_OPTIONS=x >> $GITHUB_OUTPUT; head -c 5000000 /dev/zero > $GITHUB_STATE; echo '::set-env name=A::b'",
    );
    assert!(end.exit.is_success());
    let faults = end.faults.join("\n");
    for text in ["Invalid format 'word'", "$GITHUB_STATE has 5000000 bytes", "'::set-env::'"] {
        assert!(faults.contains(text), "{faults}");
    }
    let quiet = run(&mut rig, "echo NODE_OPTIONS=x >> $GITHUB_ENV");
    assert!(quiet.faults.is_empty() && quiet.environment.is_empty(), "{quiet:?}");
}

#[test]
fn files_are_hashed_and_directories_prepared() {
    let mut rig = Rig::configured(|_| {});
    let order = PrepareSteps {
        directories: vec!["/codebuild/output/runner/temp".into()],
        files: vec![("/codebuild/output/runner/temp/_github_workflow/event.json".into(), "{}".into())],
        mask: vec![Secret::new("s3cret-mask")],
    };
    assert_eq!(rig.ask(Verb::PrepareSteps(order)), Ok(Reply::Nothing));
    assert_eq!(
        std::fs::read_to_string(rig.path("codebuild/output/runner/temp/_github_workflow/event.json"))
            .unwrap(),
        "{}"
    );
    run(&mut rig, "printf one > a.lock; echo s3cret-mask");
    assert!(rig.log().contains("\n***\n"), "{}", rig.log());
    let digest = rig.ask(Verb::HashFiles(vec!["*.lock".into()])).unwrap();
    // The SHA-256 of the SHA-256 of `one`.
    assert!(matches!(digest, Reply::Texts(texts) if texts[0].len() == 64));
}
