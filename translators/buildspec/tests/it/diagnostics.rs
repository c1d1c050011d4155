//! Small files and everything that is said of them: line, column, severity, code, message.

use runspan_buildspec::parse;

const CASES: &[(&str, &[&str])] = &[
    // A plain buildspec.
    ("version: 0.2\nphases:\n  build:\n    commands:\n      - make\n", &[]),
    // Nothing.
    ("", &["error[empty-file]: the file holds nothing"]),
    // Only a comment.
    ("# nothing\n", &["error[empty-file]: the file holds nothing"]),
    // A list.
    ("- a\n", &["1:1: error[wrong-type]: a buildspec is a map, this is a list"]),
    // Text.
    ("hello\n", &["1:1: error[wrong-type]: a buildspec is a map, this is text"]),
    // No version.
    ("phases:\n  build:\n    commands: [make]\n", &["1:1: error[missing-key]: `version` is missing"]),
    // An unknown version.
    (
        "version: 0.3\nphases: {}\n",
        &[
            "1:10: error[invalid-value]: there is no buildspec version `0.3`",
            "2:1: warning[empty-value]: `phases` holds nothing: nothing would run",
        ],
    ),
    // A quoted version.
    (
        "version: \"0.2\"\nphases: {}\n",
        &["2:1: warning[empty-value]: `phases` holds nothing: nothing would run"],
    ),
    // Version is a list.
    (
        "version: [0.2]\nphases: {}\n",
        &[
            "1:1: error[wrong-type]: `version` must be 0.1 or 0.2, this is a list",
            "2:1: warning[empty-value]: `phases` holds nothing: nothing would run",
        ],
    ),
    // Version is empty.
    (
        "version:\nphases: {}\n",
        &[
            "1:1: error[wrong-type]: `version` must be 0.1 or 0.2, this is nothing",
            "2:1: warning[empty-value]: `phases` holds nothing: nothing would run",
        ],
    ),
    // No phases.
    ("version: 0.2\n", &["1:1: error[missing-key]: `phases` is missing: nothing would run"]),
    // Empty phases.
    ("version: 0.2\nphases:\n", &["2:1: warning[empty-value]: `phases` holds nothing: it has no effect"]),
    // Phases is a list.
    (
        "version: 0.2\nphases:\n  - build\n",
        &["2:1: error[wrong-type]: `phases` must be a map, this is a list"],
    ),
    // An unknown key at the top.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nartefacts:\n  files: [a]\n",
        &["6:1: warning[unknown-key]: `artefacts` is not a key of a buildspec"],
    ),
    // A phase at the top.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\npost_build:\n  commands: [a]\n",
        &["6:1: warning[unknown-key]: `post_build` is not a key of a buildspec"],
    ),
    // An unknown phase.
    (
        "version: 0.2\nphases:\n  postbuild:\n    commands: [a]\n",
        &["3:3: error[unknown-phase]: there is no phase `postbuild`"],
    ),
    // An unknown phase far from all.
    (
        "version: 0.2\nphases:\n  deploy:\n    commands: [a]\n",
        &["3:3: error[unknown-phase]: there is no phase `deploy`"],
    ),
    // An upper-case phase.
    (
        "version: 0.2\nphases:\n  BUILD:\n    commands: [a]\n",
        &["3:3: error[unknown-phase]: there is no phase `BUILD`"],
    ),
    // Commands under phases.
    (
        "version: 0.2\nphases:\n  build:\n  commands:\n    - make\n",
        &[
            "3:3: warning[empty-phase]: `phases.build` has no `commands`",
            "4:3: error[unknown-phase]: there is no phase `commands`",
        ],
    ),
    // A top-level key under phases.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\n  artifacts:\n    files: [a]\n",
        &["6:3: error[unknown-phase]: there is no phase `artifacts`"],
    ),
    // A phase in a phase.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\n    post_build:\n",
        &["6:5: warning[unknown-key]: `post_build` is not a key of `phases.build`"],
    ),
    // A phase is a list.
    (
        "version: 0.2\nphases:\n  build:\n    - make\n",
        &["3:3: error[wrong-type]: `phases.build` must be a map, this is a list"],
    ),
    // A phase is text.
    (
        "version: 0.2\nphases:\n  build: make\n",
        &["3:10: error[wrong-type]: `phases.build` must be a map, this is text"],
    ),
    // An empty phase.
    ("version: 0.2\nphases:\n  build:\n", &["3:3: warning[empty-phase]: `phases.build` has no `commands`"]),
    // A phase with finally only.
    (
        "version: 0.2\nphases:\n  build:\n    finally: [a]\n",
        &["3:3: warning[empty-phase]: `phases.build` has no `commands`"],
    ),
    // Install with runtimes only.
    ("version: 0.2\nphases:\n  install:\n    runtime-versions:\n      nodejs: 22\n", &[]),
    // Runtimes outside install.
    (
        "version: 0.2\nphases:\n  build:\n    runtime-versions:\n      nodejs: 22\n    commands: [a]\n",
        &["4:5: warning[unknown-key]: `runtime-versions` is not a key of `phases.build`"],
    ),
    // A misspelt runtime-versions.
    (
        "version: 0.2\nphases:\n  install:\n    runtime-version:\n      nodejs: 22\n",
        &["4:5: warning[unknown-key]: `runtime-version` is not a key of `phases.install`"],
    ),
    // A runtime without version.
    (
        "version: 0.2\nphases:\n  install:\n    runtime-versions:\n      nodejs:\n",
        &[
            "5:7: error[wrong-type]: `phases.install.runtime-versions.nodejs` must be a version, such as 22, 3.x or latest, this is nothing",
        ],
    ),
    // Empty commands.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n",
        &["4:5: warning[empty-value]: `phases.build.commands` holds nothing: it has no effect"],
    ),
    // Commands is one text.
    (
        "version: 0.2\nphases:\n  build:\n    commands: make\n",
        &[
            "4:15: warning[scalar-for-list]: `phases.build.commands` is a list: the single value is taken as a list of one",
        ],
    ),
    // Commands is a map.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      make: all\n",
        &["4:5: error[wrong-type]: `phases.build.commands` must be a list, this is a map"],
    ),
    // The colon trap.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - echo \"a: b\"\n",
        &["5:9: error[command-is-map]: YAML reads this command as a map, because of its colon"],
    ),
    // The colon trap with quotes inside.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\n      - echo 'x: it''s'\n",
        &["6:9: error[command-is-map]: YAML reads this command as a map, because of its colon"],
    ),
    // The colon trap, a key without value.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - echo done:\n",
        &["5:9: error[command-is-map]: YAML reads this command as a map, because of its colon"],
    ),
    // A map of several keys for a command.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - name: x\n        run: y\n",
        &["5:9: error[command-is-map]: this is a map, a command is text"],
    ),
    // A list for a command.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - [ -f a ]\n",
        &["5:9: error[command-is-map]: this is a list, a command is text"],
    ),
    // An empty command.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      -\n      - make\n",
        &["5:8: warning[empty-value]: `phases.build.commands[0]` holds nothing: the command does nothing"],
    ),
    // Numbers and truth values are commands.
    ("version: 0.2\nphases:\n  build:\n    commands:\n      - true\n      - 1\n", &[]),
    // Commands and steps.
    (
        "version: 0.2\nphases:\n  build:\n    commands: [a]\n    steps:\n      - run: b\n",
        &["5:5: error[conflicting-keys]: `commands` and `steps` exclude each other"],
    ),
    // On-failure retry forms.
    ("version: 0.2\nphases:\n  build:\n    on-failure: RETRY-3-.*timed out.*\n    commands: [a]\n", &[]),
    // On-failure in lower case.
    (
        "version: 0.2\nphases:\n  build:\n    on-failure: abort\n    commands: [a]\n",
        &[
            "4:17: error[invalid-value]: `phases.build.on-failure` cannot be `abort`: it is none of ABORT, CONTINUE and RETRY",
        ],
    ),
    // On-failure unknown.
    (
        "version: 0.2\nphases:\n  build:\n    on-failure: maybe\n    commands: [a]\n",
        &[
            "4:17: error[invalid-value]: `phases.build.on-failure` cannot be `maybe`: it is none of ABORT, CONTINUE and RETRY",
        ],
    ),
    // On-failure with too many tries.
    (
        "version: 0.2\nphases:\n  build:\n    on-failure: RETRY-101\n    commands: [a]\n",
        &[
            "4:17: error[invalid-value]: `phases.build.on-failure` cannot be `RETRY-101`: 101 tries: the number goes from 0 to 100",
        ],
    ),
    // On-failure with a broken regex.
    (
        "version: 0.2\nphases:\n  build:\n    on-failure: RETRY-2-(oops\n    commands: [a]\n",
        &[
            "4:17: error[invalid-value]: `phases.build.on-failure` cannot be `RETRY-2-(oops`: its regular expression is not valid: unclosed group",
        ],
    ),
    // On-failure with an empty regex.
    (
        "version: 0.2\nphases:\n  build:\n    on-failure: RETRY-2-\n    commands: [a]\n",
        &[
            "4:17: error[invalid-value]: `phases.build.on-failure` cannot be `RETRY-2-`: the regular expression after the hyphen is empty",
        ],
    ),
    // A step with run and uses.
    (
        "version: 0.2\nphases:\n  build:\n    steps:\n      - run: a\n        uses: b/c@v1\n",
        &["6:9: error[conflicting-keys]: `run` and `uses` exclude each other"],
    ),
    // A step with neither.
    (
        "version: 0.2\nphases:\n  build:\n    steps:\n      - name: a\n",
        &["5:9: error[missing-key]: `run` is missing in `phases.build.steps[0]`: a step has `run` or `uses`"],
    ),
    // A step with shell for uses.
    (
        "version: 0.2\nphases:\n  build:\n    steps:\n      - uses: b/c@v1\n        shell: bash\n",
        &[
            "6:9: warning[ignored-key]: `phases.build.steps[0].shell` has no effect: it belongs to `run`, not to `uses`",
        ],
    ),
    // A step with with for run.
    (
        "version: 0.2\nphases:\n  build:\n    steps:\n      - run: a\n        with:\n          x: y\n",
        &[
            "6:9: warning[ignored-key]: `phases.build.steps[0].with` has no effect: it belongs to `uses`, not to `run`",
        ],
    ),
    // A step with an unknown key.
    (
        "version: 0.2\nphases:\n  build:\n    steps:\n      - run: a\n        working-dir: b\n",
        &["6:9: warning[unknown-key]: `working-dir` is not a key of `phases.build.steps[0]`"],
    ),
    // An unknown shell.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nenv:\n  shell: zsh\n",
        &["7:10: error[invalid-value]: `env.shell` cannot be `zsh`"],
    ),
    // A near shell.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nenv:\n  shell: powershell\n",
        &["7:10: error[invalid-value]: `env.shell` cannot be `powershell`"],
    ),
    // A reserved variable.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nenv:\n  variables:\n    CODEBUILD_X: a\n",
        &[
            "8:5: warning[reserved-variable]: `CODEBUILD_X` begins with CODEBUILD_, which CodeBuild keeps for itself",
        ],
    ),
    // A variable no shell can use.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nenv:\n  variables:\n    my-var: a\n",
        &["8:5: warning[variable-name]: `my-var` cannot be used as a variable by a shell"],
    ),
    // A variable without value.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nenv:\n  variables:\n    X:\n",
        &["8:5: warning[empty-value]: `env.variables.X` holds nothing: it is the empty text"],
    ),
    // A variable with a list.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nenv:\n  variables:\n    X: [a]\n",
        &["8:5: error[wrong-type]: `env.variables.X` must be text, this is a list"],
    ),
    // Variables is a list.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nenv:\n  variables:\n    - X: a\n",
        &["7:3: error[wrong-type]: `env.variables` must be a map, this is a list"],
    ),
    // A key of env at the top.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nparameter-store:\n  X: /a\n",
        &["6:1: warning[unknown-key]: `parameter-store` is not a key of a buildspec"],
    ),
    // Compute-type in env.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nenv:\n  compute-type: BUILD_GENERAL1_SMALL\n",
        &["7:3: warning[unknown-key]: `compute-type` is not a key of `env`"],
    ),
    // A good secret.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nenv:\n  secrets-manager:\n    A: id:key\n    B: arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-b1:key:AWSCURRENT\n    C: id:key::v1\n",
        &[],
    ),
    // A secret with too many parts.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nenv:\n  secrets-manager:\n    A: a:b:c::e\n",
        &["8:8: warning[secret-reference]: `env.secrets-manager.A`: it has more than four parts"],
    ),
    // A secret with stage and id.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nenv:\n  secrets-manager:\n    A: a:b:AWSCURRENT:v1\n",
        &[
            "8:8: warning[secret-reference]: `env.secrets-manager.A`: it gives a version stage and a version id, which exclude each other",
        ],
    ),
    // A secret without name.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nenv:\n  secrets-manager:\n    A: ':key'\n",
        &["8:8: warning[secret-reference]: `env.secrets-manager.A`: the secret's name is empty"],
    ),
    // A secret with a foreign ARN.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nenv:\n  secrets-manager:\n    A: arn:aws:ssm:eu-west-1:1:parameter/a\n",
        &[
            "8:8: warning[secret-reference]: `env.secrets-manager.A`: this is not the ARN of a secret (arn:aws:secretsmanager:region:account:secret:name)",
        ],
    ),
    // Exported AWS variable.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nenv:\n  exported-variables:\n    - AWS_REGION\n    - TAG\n",
        &["8:7: warning[reserved-variable]: `AWS_REGION` cannot be exported: its name begins with AWS_"],
    ),
    // Truth values.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nenv:\n  git-credential-helper: Yes\n",
        &[],
    ),
    // No truth value.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nenv:\n  git-credential-helper: maybe\n",
        &["7:26: error[invalid-value]: `env.git-credential-helper` cannot be `maybe`"],
    ),
    // Proxy.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nproxy:\n  upload-artifacts: yes\n  log: no\n",
        &["8:3: warning[unknown-key]: `log` is not a key of `proxy`"],
    ),
    // Six report groups.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nreports:\n  r1:\n    files: [a]\n  r2:\n    files: [a]\n  r3:\n    files: [a]\n  r4:\n    files: [a]\n  r5:\n    files: [a]\n  r6:\n    files: [a]\n",
        &["17:3: error[too-many]: 6 report groups: a buildspec has at most 5"],
    ),
    // A report without files.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nreports:\n  unit:\n    file-format: JUNITXML\n",
        &["7:3: error[missing-key]: `files` is missing in `reports.unit`: it says what to take"],
    ),
    // An empty report.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nreports:\n  unit:\n",
        &["7:3: error[wrong-type]: `reports.unit` must be a map with `files`, this is nothing"],
    ),
    // A report format in lower case.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nreports:\n  unit:\n    files: [a]\n    file-format: junitxml\n",
        &[],
    ),
    // A near report format.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nreports:\n  unit:\n    files: [a]\n    file-format: JUNIT_XML\n",
        &["9:18: error[invalid-value]: `reports.unit.file-format` cannot be `JUNIT_XML`"],
    ),
    // Artifacts without files.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nartifacts:\n  base-directory: dist\n",
        &["6:1: error[missing-key]: `files` is missing in `artifacts`: it says what to take"],
    ),
    // Artifacts with one file.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nartifacts:\n  files: dist/app\n",
        &[
            "7:10: warning[scalar-for-list]: `artifacts.files` is a list: the single value is taken as a list of one",
        ],
    ),
    // Only secondary artifacts.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nartifacts:\n  secondary-artifacts:\n    docs:\n      files: [a]\n",
        &["6:1: warning[empty-value]: `artifacts.files` is missing: there is no primary artifact"],
    ),
    // A secondary artifact without files.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nartifacts:\n  files: [a]\n  secondary-artifacts:\n    docs:\n      name: x\n",
        &[
            "9:5: error[missing-key]: `files` is missing in `artifacts.secondary-artifacts.docs`: it says what to take",
        ],
    ),
    // Artifact type in 0.2.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nartifacts:\n  type: zip\n  files: [a]\n",
        &[
            "7:3: warning[ignored-key]: `artifacts.type` has no effect: it was a key of version 0.1; the project says where artifacts go",
        ],
    ),
    // A misspelt artifact key.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nartifacts:\n  files: [a]\n  discard-path: yes\n",
        &["8:3: warning[unknown-key]: `discard-path` is not a key of `artifacts`"],
    ),
    // Empty artifacts.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nartifacts:\n",
        &["6:1: warning[empty-value]: `artifacts` holds nothing: it has no effect"],
    ),
    // Six fallback keys.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\ncache:\n  key: k\n  fallback-keys: [a, b, c, d, e, f]\n  paths: [p]\n",
        &["8:34: error[too-many]: 6 fallback keys: a cache has at most 5"],
    ),
    // Fallback keys without key.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\ncache:\n  fallback-keys: [a]\n  paths: [p]\n",
        &["7:3: warning[ignored-key]: `cache.fallback-keys` has no effect: there is no `key`"],
    ),
    // An unknown cache action.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\ncache:\n  paths: [p]\n  action: restor\n",
        &["8:11: error[invalid-value]: `cache.action` cannot be `restor`"],
    ),
    // An empty batch.
    (
        "version: 0.2\nbatch:\n",
        &[
            "1:1: error[missing-key]: `phases` is missing: nothing would run",
            "2:1: warning[empty-value]: `batch` holds nothing: it has no effect",
        ],
    ),
    // A batch without builds.
    (
        "version: 0.2\nbatch:\n  fast-fail: true\n",
        &["2:1: error[missing-key]: `batch` says nothing about its builds"],
    ),
    // A batch of two kinds.
    (
        "version: 0.2\nbatch:\n  build-list:\n    - identifier: a\n  build-fanout:\n    parallelism: 2\n",
        &["5:3: error[conflicting-keys]: `build-list` and `build-fanout` exclude each other"],
    ),
    // A build without identifier.
    (
        "version: 0.2\nbatch:\n  build-list:\n    - buildspec: a.yml\n",
        &[
            "4:7: error[missing-key]: `identifier` is missing in `batch.build-list[0]`: every build of a batch needs one",
        ],
    ),
    // The same identifier twice.
    (
        "version: 0.2\nbatch:\n  build-list:\n    - identifier: a\n    - identifier: a\n",
        &["5:19: error[duplicate-identifier]: two builds have the identifier `a`"],
    ),
    // Depend-on in a list.
    (
        "version: 0.2\nbatch:\n  build-list:\n    - identifier: a\n    - identifier: b\n      depend-on: [a]\n",
        &[
            "6:7: warning[ignored-key]: `batch.build-list[1].depend-on` has no effect: only builds of `build-graph` wait for others",
        ],
    ),
    // An unknown dependency.
    (
        "version: 0.2\nbatch:\n  build-graph:\n    - identifier: build\n    - identifier: test\n      depend-on:\n        - biuld\n",
        &["7:11: error[unknown-dependency]: `test` depends on `biuld`, which is no build of this batch"],
    ),
    // A circle.
    (
        "version: 0.2\nbatch:\n  build-graph:\n    - identifier: a\n      depend-on: [c]\n    - identifier: b\n      depend-on: [a]\n    - identifier: c\n      depend-on: [b]\n    - identifier: d\n      depend-on: [a]\n",
        &["4:19: error[dependency-cycle]: builds wait for each other: `a -> c -> b -> a`"],
    ),
    // A build that waits for itself.
    (
        "version: 0.2\nbatch:\n  build-graph:\n    - identifier: a\n      depend-on: [a]\n",
        &["4:19: error[dependency-cycle]: builds wait for each other: `a -> a`"],
    ),
    // Fleet and compute type.
    (
        "version: 0.2\nbatch:\n  build-list:\n    - identifier: a\n      env:\n        fleet: f\n        compute-type: BUILD_GENERAL1_SMALL\n",
        &["7:9: error[conflicting-keys]: `fleet` and `compute-type` exclude each other"],
    ),
    // A matrix without dynamic.
    (
        "version: 0.2\nbatch:\n  build-matrix:\n    static:\n      ignore-failure: no\n",
        &[
            "3:3: error[missing-key]: `dynamic` is missing in `batch.build-matrix`: it holds the lists that make up the matrix",
        ],
    ),
    // A matrix with one value.
    (
        "version: 0.2\nbatch:\n  build-matrix:\n    dynamic:\n      env:\n        image: a\n        variables:\n          X: [1, 2]\n",
        &[
            "6:16: warning[scalar-for-list]: `batch.build-matrix.dynamic.env.image` is a list: the single value is taken as a list of one",
        ],
    ),
    // A fanout of nothing.
    (
        "version: 0.2\nbatch:\n  build-fanout:\n    parallelism: 0\n",
        &[
            "4:18: error[invalid-value]: `batch.build-fanout.parallelism` must be a number from 1 up, this is `0`",
        ],
    ),
    // A fanout without number.
    (
        "version: 0.2\nbatch:\n  build-fanout:\n    ignore-failure: true\n",
        &[
            "3:3: error[missing-key]: `parallelism` is missing in `batch.build-fanout`: it says how many builds to make",
        ],
    ),
    // Version 0.1.
    (
        "version: 0.1\nenvironment_variables:\n  plaintext:\n    A: b\nphases:\n  build:\n    commands: [a]\nartifacts:\n  type: zip\n  files: [a]\n",
        &[],
    ),
    // A key of 0.1 in 0.2.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nenvironment_variables:\n  plaintext:\n    A: b\n",
        &["6:1: warning[unknown-key]: `environment_variables` is not a key of a buildspec"],
    ),
    // A CloudFormation tag.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nenv:\n  variables:\n    A: !Ref Bucket\n",
        &["8:13: warning[ignored-tag]: the tag `!Ref` is ignored"],
    ),
    // A duplicate key.
    (
        "version: 0.2\nphases:\n  build:\n    commands: [a]\n    commands: [b]\n",
        &["5:5: error[duplicate-key]: the key `commands` stands twice"],
    ),
    // A second document.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\n---\nversion: 0.2\n",
        &["7:1: error[several-documents]: the file holds more than one YAML document"],
    ),
    // A tab.
    ("version: 0.2\nphases:\n\tbuild:\n", &["3:1: error[yaml-syntax]: a tab cannot indent YAML"]),
    // An open list.
    (
        "version: 0.2\nphases:\n  build:\n    commands: [a, b\n",
        &["4:15: error[yaml-syntax]: not valid YAML: did not find expected ',' or ']'"],
    ),
    // A bad indentation.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - a\n   finally:\n      - b\n",
        &["6:4: error[yaml-syntax]: not valid YAML: did not find expected key"],
    ),
    // A missing colon.
    (
        "version: 0.2\nphases:\n  build\n    commands:\n      - a\n",
        &["4:13: error[yaml-syntax]: not valid YAML: mapping values are not allowed in this context"],
    ),
    // Two colons in a command.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - curl -H a: b: c\n",
        &["5:21: error[yaml-syntax]: not valid YAML: mapping values are not allowed in this context"],
    ),
    // A quoted word and more.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - \"$X/run\" --all\n",
        &["5:18: error[yaml-syntax]: not valid YAML: invalid trailing content after double-quoted scalar"],
    ),
    // A test in brackets.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - [ -f a ] && make\n",
        &["5:18: error[yaml-syntax]: not valid YAML: did not find expected '-' indicator"],
    ),
    // A command that begins with a star.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - *.sh\n",
        &["5:9: error[yaml-syntax]: this alias (`*name`) has no anchor (`&name`) before it"],
    ),
    // A command that begins with an at sign.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - @echo a\n",
        &["5:9: error[yaml-syntax]: not valid YAML: found character that cannot start any token"],
    ),
    // A list for a key.
    (
        "version: 0.2\n? [a]\n: b\nphases: {}\n",
        &["2:3: error[wrong-type]: a key must be text, not a list or a map"],
    ),
    // A control character.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - echo \x1b[0m\n",
        &["5:14: error[not-text]: control character U+001B in the file"],
    ),
    // An empty text for a name.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nartifacts:\n  files: [a]\n  name:\n",
        &["8:3: warning[empty-value]: `artifacts.name` holds nothing: it has no effect"],
    ),
    // Text is a map.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nrun-as:\n  user: a\n",
        &["6:1: error[wrong-type]: `run-as` must be text, this is a map"],
    ),
    // Anchors and merge keys.
    (
        "version: 0.2\nphases:\n  pre_build: &p\n    commands: [a]\n  build:\n    <<: *p\n    finally: [b]\n",
        &[],
    ),
    // A fault in an anchor is told where it stands.
    (
        "version: 0.2\nphases:\n  pre_build:\n    commands: &c\n      - a\n      - b: c\n  build:\n    commands:\n      - d\n",
        &["6:9: error[command-is-map]: YAML reads this command as a map, because of its colon"],
    ),
    // A file with Windows line ends.
    (
        "version: 0.2\r\nphases:\r\n  biuld:\r\n    commands: [a]\r\n",
        &["3:3: error[unknown-phase]: there is no phase `biuld`"],
    ),
    // A file with a byte order mark.
    (
        "\u{feff}version: 0.2\nphase:\n  build:\n",
        &[
            "1:1: error[missing-key]: `phases` is missing: nothing would run",
            "2:1: warning[unknown-key]: `phase` is not a key of a buildspec",
        ],
    ),
    // Wide characters before a fault.
    (
        "version: 0.2\nphases:\n  build:\n    commands:\n      - make\nartifacts: {name: größe, filez: [a], files: [b]}\n",
        &["6:26: warning[unknown-key]: `filez` is not a key of `artifacts`"],
    ),
];

#[test]
fn every_fault_is_told_in_its_place() {
    for (source, expected) in CASES {
        let parsed = parse(source);
        let told: Vec<String> = parsed.diagnostics.iter().map(ToString::to_string).collect();
        assert_eq!(told, *expected, "\n{source}");
        let failed = told.iter().any(|line| line.contains("error["));
        assert_eq!(parsed.buildspec.is_none(), failed, "\n{source}");
    }
}

/// CodeBuild's own words for the faults whose words are known.
#[test]
fn codebuild_says_it_so() {
    for (source, expected) in [
        (
            "version: 0.2\nphases:\n  build:\n    commands:\n      - a\n      - b\n      - c\n      - d\n      - echo \"a: b\"\n",
            "Expected Commands[4] to be of string type: found subkeys instead at line 9, \
             value of the key tag on line 8 might be empty",
        ),
        (
            "version: 0.2\nphases:\n  postbuild:\n    commands: [a]\n",
            "Invalid buildspec phase name: postbuild. Expecting: build,install,post_build,pre_build",
        ),
        ("phases:\n  build:\n    commands: [a]\n", "wrong number of container tags, expected 1"),
        ("version: 0.2\nphases:\n\tbuild:\n", "found character that cannot start any token at line 3"),
        ("version: 0.2\nx: [a, b\n", "did not find expected ',' or ']' at line 2"),
        ("version: 0.2\na: b: c\n", "mapping values are not allowed in this context at line 2"),
        ("version: 0.2\nx: \0\n", "control characters are not allowed"),
        ("version: 0.2\nphases: []\n", "`phases` must be a map, this is a list at line 2"),
    ] {
        let diagnostics = parse(source).diagnostics;
        let [diagnostic] = diagnostics.as_slice() else { panic!("{diagnostics:?}\n{source}") };
        assert_eq!(diagnostic.codebuild_message(), expected, "\n{source}");
        assert_eq!(diagnostic.status().map(|status| status.name()), Some("YAML_FILE_ERROR"));
    }
}

#[test]
fn help_says_what_to_write() {
    for (source, help) in [
        (
            "version: 0.2\nphases:\n  build:\n    commands:\n      - echo \"it's: b\"\n",
            "quote the whole command: - 'echo \"it''s: b\"'",
        ),
        ("version: 0.2\nphases:\n  biuld:\n    commands: [a]\n", "did you mean `build`?"),
        (
            "version: 0.2\nphases:\n  finally: [a]\n",
            "check the indentation: `finally` belongs in a phase, such as `phases.build`",
        ),
        (
            "version: 0.2\nphases: {build: {commands: [a]}}\npost_build: {commands: [a]}\n",
            "check the indentation: `post_build` belongs in `phases`",
        ),
        (
            "version: 0.2\nphases: {build: {commands: [a]}}\nreports: {r: {files: [a], file-format: CLOVER}}\n",
            "did you mean `CLOVERXML`? Allowed: `JUNITXML`, `CUCUMBERJSON`, `NUNITXML`, `NUNIT3XML`, \
             `TESTNGXML`, `VISUALSTUDIOTRX`, `CLOVERXML`, `COBERTURAXML`, `JACOCOXML`, `SIMPLECOV`",
        ),
        (
            "version: 0.2\nphases:\n  build:\n    commands:\n      - [ -f a ] && make\n",
            "quote the whole command: - '[ -f a ] && make'",
        ),
        ("version: 0.2\nphases:\n\tbuild:\n", "indent with spaces"),
    ] {
        let diagnostics = parse(source).diagnostics;
        let [diagnostic] = diagnostics.as_slice() else { panic!("{diagnostics:?}\n{source}") };
        assert_eq!(diagnostic.help.as_deref(), Some(help), "\n{source}");
    }
}
