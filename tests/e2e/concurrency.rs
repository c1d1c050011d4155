//! Builds side by side in one state directory.

use std::collections::BTreeSet;

use crate::harness::{BUSYBOX, home};

#[test]
fn eight_builds_share_one_cache() {
    const BUILDS: usize = 8;
    let Some(home) = home() else { return };
    let buildspec = r#"version: 0.2
cache:
  key: all-$(codebuild-hash-files lock)
  paths: ['deps/**/*']
phases:
  build:
    commands:
      - if [ -d deps ]; then echo "restored $(ls deps | wc -l)"; else echo "restored nothing"; fi
      - mkdir -p deps; for i in $(seq 1 200); do echo "$i" > "deps/$i"; done
      - test "$(cat deps/* | sort -n | md5sum)" = "$(seq 1 200 | md5sum)" && echo "deps are whole"
"#;
    let source = home.source("shared", [("buildspec.yml", buildspec), ("lock", "1\n")]);
    let cache = home.path("cache");
    let start = || home.run(&source, BUSYBOX).arg("--cache-dir").arg(&cache).start();
    let all: Vec<_> = std::iter::repeat_with(start).take(BUILDS).collect();
    for running in all {
        let ran = running.finish().exited(0).printed(&["\ndeps are whole\n"]);
        // Each found nothing or everything, never a part.
        let text = ran.text();
        assert!(text.contains("\nrestored nothing\n") || text.contains("\nrestored 200\n"), "{text}");
    }
    start().finish().exited(0).printed(&["\nrestored 200\n"]);
    let numbers: BTreeSet<_> =
        home.builds().iter().map(|build| home.record(build).0["buildNumber"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=BUILDS as u64 + 1).collect(), "every build has a number of its own");
    home.assert_nothing_left();
}
