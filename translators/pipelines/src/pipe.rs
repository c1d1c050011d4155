//! Pipes: calls of containers.

use runspan_buildspec::yaml::Value;

use crate::draft::Draft;
use crate::field::Field;
use crate::file::Translator;
use crate::shell_text::word;

/// Passes on every variable of Bitbucket's that the build has.
const PASS: &str = r"$(env | sed -n 's/^\(BITBUCKET_[A-Z_]*\)=.*/--env=\1/p')";
/// What pipes read of them.
const READ: &str = "$BITBUCKET_COMMIT $BITBUCKET_BRANCH $BITBUCKET_BUILD_NUMBER $BITBUCKET_CLONE_DIR \
    $BITBUCKET_REPO_SLUG $BITBUCKET_REPO_FULL_NAME $BITBUCKET_REPO_OWNER $BITBUCKET_WORKSPACE\n";

impl<'a> Translator<'a> {
    /// The command that runs a pipe.
    pub(crate) fn pipe(&mut self, call: &Field<'a>, draft: &mut Draft) -> String {
        let mut command = String::from(
            "docker run --rm --volume=\"$CODEBUILD_SRC_DIR:$CODEBUILD_SRC_DIR\" --workdir=\"$PWD\" --env=CI \\\n",
        );
        command.push_str(&format!("  {PASS} \\\n"));
        let mut image = String::new();
        for (key, field) in call.entries() {
            match key {
                "pipe" => image = self.image_of_pipe(&field, draft),
                "variables" => {
                    for (name, value) in field.entries() {
                        for (name, value) in variables_of(name, &value) {
                            draft.used.push_str(&format!("{value}\n"));
                            command.push_str(&format!("  --env={name}={} \\\n", word(&value)));
                        }
                    }
                    self.account.exact(&field, "variables of the pipe's container");
                }
                // What its maker calls it.
                "name" => self.account.exact(&field, "nothing: the pipe has a name of its own"),
                _ => self.unknown(&field, "a pipe"),
            }
        }
        draft.used.push_str(READ);
        draft.env.privileged_mode = Some(true);
        command.push_str(&format!("  {image}"));
        command
    }

    fn image_of_pipe(&mut self, field: &Field<'a>, draft: &mut Draft) -> String {
        let name = field.text().unwrap_or_default();
        draft.used.push_str(name);
        let (image, guessed) = match name.strip_prefix("docker://") {
            Some(image) => (image.to_owned(), false),
            None => match name.strip_prefix("atlassian/") {
                Some(pipe) => (format!("bitbucketpipelines/{pipe}"), false),
                None => (name.to_owned(), true),
            },
        };
        let mut difference = "the build needs Docker: privileged mode, and an image with `docker`".to_owned();
        if guessed {
            difference
                .push_str("; the image's name is guessed: `pipe.yml` of the pipe's repository tells it");
        }
        self.account.approximate(field, format!("`docker run {image}`"), difference);
        word(&image)
    }
}

/// A variable as the container gets it; a list is one variable an item, and their number.
fn variables_of(name: &str, value: &Field<'_>) -> Vec<(String, String)> {
    if !matches!(value.node.value, Value::List(_)) {
        return vec![(name.to_owned(), value.text().unwrap_or_default().to_owned())];
    }
    let items = value.texts();
    let mut all = vec![(format!("{name}_COUNT"), items.len().to_string())];
    all.extend(items.into_iter().enumerate().map(|(index, item)| (format!("{name}_{index}"), item)));
    all
}
