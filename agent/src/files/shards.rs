//! `codebuild-tests-run`.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

use sha2::{Digest, Sha256};

const USAGE: &str = "usage: codebuild-tests-run --test-command COMMAND --files-search COMMAND \
                     [--sharding-strategy equal-distribution|stability]";
/// The files of this shard, one a line, for the test command.
const FILES_VARIABLE: &str = "CODEBUILD_CURRENT_SHARD_FILES";

/// How files are spread over shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Strategy {
    /// Sorted by name, in runs whose lengths differ by one at most.
    #[default]
    EqualDistribution,
    /// By the file's own name, so that it stays where it is when others come and go.
    Stability,
}

/// Which of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shard {
    index: usize,
    total: usize,
}

struct Request {
    test_command: String,
    files_search: String,
    strategy: Strategy,
}

/// `codebuild-tests-run`: finds test files, takes this shard's share and runs the test command on it, in the
/// directory and environment of the process. `env` looks up `RUNSPAN_SHARD_INDEX` and `RUNSPAN_SHARD_TOTAL`,
/// 0 and 1 when unset. Returns the exit status, which is the test command's own.
pub fn tests_run(
    args: &[String],
    env: &dyn Fn(&str) -> Option<String>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> i32 {
    match run(args, env, out) {
        Ok(code) => code,
        Err((code, message)) => {
            let _ = writeln!(err, "codebuild-tests-run: {message}");
            code
        }
    }
}

type Failure = (i32, String);

fn run(args: &[String], env: &dyn Fn(&str) -> Option<String>, out: &mut dyn Write) -> Result<i32, Failure> {
    let request = Request::parse(args)?;
    let shard = Shard::from_env(env)?;
    let files = search(&request.files_search)?;
    let found = files.len();
    let mine = share(files, request.strategy, shard);
    let Shard { index, total } = shard;
    let _ = writeln!(out, "Shard {} of {total}: {} of {found} test file(s)", index + 1, mine.len());
    let _ = out.flush();
    if found == 0 {
        return Err((1, format!("no test files: `{}` printed none", request.files_search)));
    }
    if mine.is_empty() {
        // Without files most test programs would run all tests.
        return Ok(0);
    }
    let mut script = request.test_command;
    if !script.contains(FILES_VARIABLE) {
        for file in &mine {
            script.push(' ');
            script.push_str(&quoted(file));
        }
    }
    let status = Command::new("sh").arg("-c").arg(&script).env(FILES_VARIABLE, mine.join("\n")).status();
    status.map(exit_code).map_err(|error| (127, format!("cannot start sh: {error}")))
}

impl Request {
    fn parse(args: &[String]) -> Result<Self, Failure> {
        let usage = |what: String| (2, format!("{what}\n{USAGE}"));
        let (mut test_command, mut files_search, mut strategy) = (None, None, Strategy::default());
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let (option, value) = match arg.split_once('=') {
                Some((option, value)) => (option, Some(value.to_owned())),
                None => (arg.as_str(), args.next().cloned()),
            };
            let value = value.ok_or_else(|| usage(format!("{option} wants a value")))?;
            match (option, value.as_str()) {
                ("--test-command", _) => test_command = Some(value),
                ("--files-search", _) => files_search = Some(value),
                ("--sharding-strategy", "equal-distribution") => strategy = Strategy::EqualDistribution,
                ("--sharding-strategy", "stability") => strategy = Strategy::Stability,
                ("--sharding-strategy", _) => {
                    return Err(usage(format!("unknown sharding strategy `{value}`")));
                }
                _ => return Err(usage(format!("unknown option `{option}`"))),
            }
        }
        let need =
            |name: &str, value: Option<String>| value.ok_or_else(|| usage(format!("{name} is missing")));
        Ok(Self {
            test_command: need("--test-command", test_command)?,
            files_search: need("--files-search", files_search)?,
            strategy,
        })
    }
}

impl Shard {
    fn from_env(env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Failure> {
        let number = |name: &str, absent: usize| match env(name) {
            None => Ok(absent),
            Some(text) => text.parse().map_err(|_| (2, format!("{name} is `{text}`, which is no number"))),
        };
        let shard =
            Self { index: number("RUNSPAN_SHARD_INDEX", 0)?, total: number("RUNSPAN_SHARD_TOTAL", 1)? };
        if shard.index >= shard.total {
            return Err((2, format!("there is no shard {} of {}", shard.index, shard.total)));
        }
        Ok(shard)
    }
}

fn search(command: &str) -> Result<Vec<String>, Failure> {
    let output = Command::new("sh").arg("-c").arg(command).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| (127, format!("cannot start sh: {error}")))?;
    if !output.status.success() {
        let code = exit_code(output.status);
        return Err((code, format!("files search `{command}` failed with exit status {code}")));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut files: Vec<_> =
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    files.sort_unstable();
    files.dedup();
    Ok(files)
}

/// What of the sorted files is this shard's.
fn share(mut files: Vec<String>, strategy: Strategy, Shard { index, total }: Shard) -> Vec<String> {
    match strategy {
        Strategy::EqualDistribution => {
            let (each, more) = (files.len() / total, files.len() % total);
            let start = index * each + index.min(more);
            let length = each + usize::from(index < more);
            files.drain(start..start + length).collect()
        }
        Strategy::Stability => {
            // Of all shards a file goes to the one it has the highest digest with.
            let home = |file: &String| (0..total).max_by_key(|shard| weight(file, *shard));
            files.retain(|file| home(file) == Some(index));
            files
        }
    }
}

fn weight(file: &str, shard: usize) -> [u8; 32] {
    Sha256::new().chain_update(shard.to_string()).chain_update([0]).chain_update(file).finalize().into()
}

fn quoted(file: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@%+,=".contains(&byte);
    if file.bytes().all(plain) { file.to_owned() } else { format!("'{}'", file.replace('\'', r"'\''")) }
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("test_{n:04}.py")).collect()
    }

    #[test]
    fn equal_distribution_cuts_the_sorted_list_into_even_runs() {
        for count in 0..30 {
            for total in 1..8 {
                let shares: Vec<_> = (0..total)
                    .map(|index| share(names(count), Strategy::EqualDistribution, Shard { index, total }))
                    .collect();
                let (least, most) =
                    shares.iter().fold((usize::MAX, 0), |(l, m), s| (l.min(s.len()), m.max(s.len())));
                assert!(most - least <= 1, "{count} over {total}");
                assert_eq!(shares.concat(), names(count), "{count} over {total}");
            }
        }
    }

    #[test]
    fn stability_keeps_files_where_they_are() {
        let place = |count: usize, total: usize| -> HashMap<String, usize> {
            (0..total)
                .flat_map(|index| {
                    share(names(count), Strategy::Stability, Shard { index, total })
                        .into_iter()
                        .map(move |f| (f, index))
                })
                .collect()
        };
        let (few, many) = (place(200, 4), place(300, 4));
        assert_eq!((few.len(), many.len()), (200, 300), "every file has one shard");
        assert!(few.iter().all(|(file, shard)| many[file] == *shard), "more files move none");
        let five = place(300, 5);
        let moved = many.iter().filter(|(file, shard)| five[*file] != **shard).count();
        assert!(
            many.iter().all(|(file, shard)| five[file] == *shard || five[file] == 4),
            "only to the new one"
        );
        assert!((20..120).contains(&moved), "{moved}");
    }

    fn tests(args: &[&str], shard: Option<(&str, &str)>) -> (i32, String, String) {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let env = |name: &str| {
            let (index, total) = shard?;
            Some(if name == "RUNSPAN_SHARD_INDEX" { index } else { total }.to_owned())
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = tests_run(&args, &env, &mut out, &mut err);
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    #[test]
    fn the_test_command_gets_its_files() {
        let dir = tempfile::tempdir().unwrap();
        let seen = dir.path().join("seen");
        let test = format!("printf '%s|' > {}", seen.display());
        let search = "--files-search=printf 'c.py\\na b.py\\n\\nd.py\\n'";
        let (code, out, err) = tests(&["--test-command", &test, search], Some(("0", "2")));
        assert_eq!((code, err.as_str()), (0, ""));
        assert_eq!(out, "Shard 1 of 2: 2 of 3 test file(s)\n");
        assert_eq!(std::fs::read_to_string(&seen).unwrap(), "a b.py|c.py|");

        let test = format!("printf %s \"$CODEBUILD_CURRENT_SHARD_FILES\" > {}; exit 7", seen.display());
        let (code, ..) = tests(&["--test-command", &test, search, "--sharding-strategy", "stability"], None);
        assert_eq!(code, 7, "the status is the test command's");
        assert_eq!(std::fs::read_to_string(&seen).unwrap(), "a b.py\nc.py\nd.py");
    }

    #[test]
    fn a_shard_without_files_runs_nothing() {
        let (code, out, _) = tests(&["--test-command=exit 9", "--files-search=echo a"], Some(("1", "2")));
        assert_eq!((code, out.as_str()), (0, "Shard 2 of 2: 0 of 1 test file(s)\n"));
        let (code, _, err) = tests(&["--test-command=exit 9", "--files-search=true"], None);
        assert_eq!(code, 1);
        assert!(err.contains("no test files"), "{err}");
    }

    #[test]
    fn wrong_use_is_told() {
        for (args, shard, part) in [
            (&["--test-command", "x"][..], None, "--files-search is missing"),
            (&["--test-command"][..], None, "wants a value"),
            (&["--shards", "2"][..], None, "unknown option"),
            (&["--sharding-strategy=best"][..], None, "unknown sharding strategy"),
            (&["--test-command=x", "--files-search=echo a"][..], Some(("2", "2")), "no shard 2 of 2"),
            (&["--test-command=x", "--files-search=echo a"][..], Some(("x", "2")), "no number"),
        ] {
            let (code, _, err) = tests(args, shard);
            assert_eq!(code, 2, "{args:?}");
            assert!(err.contains(part), "{err}");
        }
        let (code, _, err) = tests(&["--test-command=x", "--files-search=exit 3"], None);
        assert_eq!(code, 3);
        assert!(err.contains("files search `exit 3` failed"), "{err}");
    }
}
