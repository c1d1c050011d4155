use std::process::Command;

use super::*;

fn bash(text: &str) -> Script {
    Script { text: text.into(), interpreter: Interpreter::Bash("-e".into()), ..Script::default() }
}

fn commands(script: &Script) -> Vec<String> {
    script.commands(Shell::Bash)
}

#[test]
fn what_leaves_no_trace_stays_as_it_is() {
    for text in [
        "npm ci",
        "echo \"a # b\" > out.txt",
        "A=1 make all",
        "grep -q x file || echo none",
        "test -f a && echo yes",
        "echo $(cd sub && pwd)",
        "! grep x file",
        "printf '%s\\n' \"it's\"",
        "make \\\n  all",
        "a |\n  b",
        "docker run -e A=b image cd /",
    ] {
        assert_eq!(commands(&bash(text)), [text], "{text}");
    }
    assert_eq!(commands(&bash("npm ci\n\n# all of them\nnpm test\n")), ["npm ci", "# all of them\nnpm test"]);
    assert_eq!(commands(&bash("\n  \n")), Vec::<String>::new());
    assert_eq!(commands(&bash("# nothing")), Vec::<String>::new());
}

#[test]
fn what_leaves_a_trace_gets_a_subshell() {
    for text in [
        "cd app",
        "export A=b",
        "set -x",
        "trap 'echo bye' EXIT",
        "exit 0",
        "f() { echo; }",
        "for f in *; do echo $f; done",
        "echo a; echo b",
        "sleep 9 &",
        "cat <<EOF\na '\nEOF",
        "test -f a && echo yes\necho more",
        "! true\necho more",
        "false || echo $?\necho $?",
        ": ${A:=1}",
        "(cd x)",
        "source env.sh",
    ] {
        assert_eq!(commands(&bash(text)), [format!("(\nset -e\n{text}\n)")], "{text}");
    }
    assert_eq!(commands(&bash("A=1\nmake")), ["(\nset -e +a\nA=1\nmake\n)"]);
    let pipefail = Script { interpreter: Interpreter::Bash("-eo pipefail".into()), ..bash("a | b") };
    assert_eq!(commands(&pipefail), ["(\nset -eo pipefail\na | b\n)"]);
    let careless = Script { interpreter: Interpreter::Sh(String::new()), ..bash("false\ntrue") };
    assert_eq!(commands(&careless), ["(\nfalse\ntrue\n)"]);
}

#[test]
fn directory_variables_and_time_limit_belong_to_one_script() {
    let in_directory = |text: &str| Script { directory: Some("app".into()), ..bash(text) };
    assert_eq!(commands(&in_directory("npm ci")), ["(cd app && npm ci)"]);
    assert_eq!(commands(&in_directory("a || b")), ["(\nset -e\ncd app\na || b\n)"]);
    assert_eq!(commands(&in_directory("a\nb")), ["(\nset -e\ncd app\na\nb\n)"]);
    assert_eq!(commands(&in_directory("a # b")), ["(\nset -e\ncd app\na # b\n)"]);
    let with_variable = |text: &str| Script { env: vec![("A".into(), "\"$B\"".into())], ..bash(text) };
    assert_eq!(commands(&with_variable("make")), ["A=\"$B\" make"]);
    assert_eq!(commands(&with_variable("echo $A")), ["(\nset -e\nexport A=\"$B\"\necho $A\n)"]);
    let limited = |text: &str| Script { wrapper: Some("timeout 5m".into()), ..bash(text) };
    assert_eq!(commands(&limited("make")), ["timeout 5m make"]);
    assert_eq!(
        commands(&limited("a\nb")),
        ["cat > /tmp/script.sh <<'SCRIPT'\na\nb\nSCRIPT\ntimeout 5m bash -e /tmp/script.sh"]
    );
}

#[test]
fn other_programs_are_given_a_file() {
    let python = Interpreter::Program { template: "python {0}".into(), extension: "py".into() };
    let script = Script { interpreter: python, directory: Some("app".into()), ..bash("print(1)\nSCRIPT\n") };
    assert_eq!(
        commands(&script),
        [
            "cat > /tmp/script.py <<'SCRIPT_'\nprint(1)\nSCRIPT\nSCRIPT_\n(\ncd app || exit\npython /tmp/script.py\n)"
        ]
    );
    assert_eq!(
        bash("echo a").commands(Shell::Sh),
        ["cat > /tmp/script.sh <<'SCRIPT'\necho a\nSCRIPT\nbash -e /tmp/script.sh"]
    );
    for unfinished in ["echo 'a", "cat <<EOF\na", "echo $(", "echo a \\", ")", "echo \"${a"] {
        assert!(commands(&bash(unfinished))[0].starts_with("cat > /tmp/script.sh"), "{unfinished}");
    }
}

#[test]
fn one_command_has_the_status_of_the_script() {
    assert_eq!(bash("a\nb").command(Shell::Bash), "(\nset -e\na\nb\n)");
    assert_eq!(bash("a").command(Shell::Bash), "a");
    assert_eq!(bash("").command(Shell::Bash), ":");
}

/// Runs the commands as CodeBuild does, each in a shell of its own; output and whether all succeeded.
fn run(commands: &[String], directory: &std::path::Path) -> (String, bool) {
    let mut out = String::new();
    for command in commands {
        let script = format!("set -a\n{command}\nlast=$?\nexit $last");
        let output = Command::new("bash").arg("-c").arg(script).current_dir(directory).output().unwrap();
        out.push_str(&String::from_utf8_lossy(&output.stdout));
        if !output.status.success() {
            return (out, false);
        }
    }
    (out, true)
}

#[test]
fn commands_do_what_the_script_does() {
    let directory = std::env::temp_dir().join(format!("runspan-shell-{}", std::process::id()));
    std::fs::create_dir_all(directory.join("sub")).unwrap();
    for text in [
        "echo a\nfalse\necho b",
        "echo a\ntrue && false\necho b",
        "false || echo b\necho c",
        "! true\necho still",
        "! true",
        "echo a; false; echo b",
        "trap 'echo bye' EXIT\necho a\nexit 3",
        "A=1\nbash -c 'echo ${A-unset}'",
        "export A=1\nbash -c 'echo $A'",
        "f() { echo in f; return 1; }\nf\necho not here",
        "cat <<EOF\nit's ) a (\nEOF\necho after",
        "cat <<-'EOF'\n\ta\n\tEOF\necho \"$(echo \"b ) \" '(')\"",
        "cd sub\npwd | sed 's/.*[/]//'",
        "if true; then\n  exit 0\nfi\necho no",
        "for i in 1 2; do echo $i; done\n[ -f none ] && echo never\necho end",
        "x=(1 2)\necho ${#x[@]}",
        "echo ${A:-\"d } e\"} `echo b` $'it\\'s'",
        "case a in a) echo A;; esac",
        "echo \\\n  joined # comment",
        "false | cat\necho piped",
        "echo unfinished \\",
    ] {
        for options in ["-e", "-eo pipefail"] {
            let script = Script { interpreter: Interpreter::Bash(options.into()), ..bash(text) };
            let file = directory.join("whole.sh");
            std::fs::write(&file, text).unwrap();
            let whole =
                Command::new("bash").args(options.split(' ')).arg(&file).current_dir(&directory).output();
            let whole = whole.unwrap();
            let expected = (String::from_utf8_lossy(&whole.stdout).into_owned(), whole.status.success());
            assert_eq!(run(&script.commands(Shell::Bash), &directory), expected, "{options}: {text}");
            assert_eq!(run(&[script.command(Shell::Bash)], &directory), expected, "one, {options}: {text}");
        }
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn words_are_quoted_for_the_shell() {
    assert_eq!(
        (quoted("a-b/c"), quoted("a b"), quoted(""), quoted("it's")),
        ("a-b/c".into(), "'a b'".into(), "''".into(), r"'it'\''s'".into())
    );
    assert_eq!(double_quoted("a\"$b`\\"), "a\\\"\\$b\\`\\\\");
}
