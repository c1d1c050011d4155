//! Users of the image, read from its own files: a static program has no name services.

use std::path::Path;

use rustix::fs::{Gid, Uid};

use crate::error::AgentError;

/// A user to run as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct User {
    /// User id.
    pub(crate) uid: Uid,
    /// Main group.
    pub(crate) gid: Gid,
    /// Other groups.
    pub(crate) groups: Vec<Gid>,
}

/// Finds a user by name, or by number, in `passwd` and `group` of this directory.
pub(crate) fn find(etc: &Path, name: &str) -> Result<User, AgentError> {
    let passwd = etc.join("passwd");
    let entries = std::fs::read(&passwd).unwrap_or_default();
    let entries = String::from_utf8_lossy(&entries);
    let number = name.parse::<u32>().ok();
    let entry = |line: &str| -> Option<(String, u32, u32)> {
        let mut fields = line.split(':');
        let login = fields.next()?.to_owned();
        Some((login, fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let by_name = entries.lines().filter_map(entry).find(|(login, ..)| login == name);
    let found =
        by_name.or_else(|| entries.lines().filter_map(entry).find(|(_, uid, _)| Some(*uid) == number));
    let (login, uid, gid) = match (found, number) {
        (Some(found), _) => found,
        // As in `docker run --user`, a number needs no entry.
        (None, Some(number)) => (name.to_owned(), number, 0),
        (None, None) => return Err(AgentError::NoUser { name: name.to_owned(), passwd }),
    };
    let groups = std::fs::read(etc.join("group")).unwrap_or_default();
    let groups = String::from_utf8_lossy(&groups);
    let member_of = |line: &str| {
        let mut fields = line.split(':');
        let gid = fields.nth(2)?.parse().ok()?;
        fields.next()?.split(',').any(|member| member.trim() == login).then_some(gid)
    };
    let mut groups: Vec<u32> = groups.lines().filter_map(member_of).filter(|group| *group != gid).collect();
    groups.dedup();
    Ok(User {
        uid: Uid::from_raw(uid),
        gid: Gid::from_raw(gid),
        groups: groups.into_iter().map(Gid::from_raw).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn etc() -> tempfile::TempDir {
        let etc = tempfile::tempdir().unwrap();
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\n# note\nbroken:x\ncodebuild-user:x:1001:1002::/home/c:/bin/sh\n";
        std::fs::write(etc.path().join("passwd"), passwd).unwrap();
        let group = "root:x:0:\ndocker:x:998:other,codebuild-user\nme:x:1002:codebuild-user\n";
        std::fs::write(etc.path().join("group"), group).unwrap();
        etc
    }

    #[test]
    fn a_user_has_the_groups_of_the_group_file() {
        let expected =
            User { uid: Uid::from_raw(1001), gid: Gid::from_raw(1002), groups: vec![Gid::from_raw(998)] };
        let etc = etc();
        assert_eq!(find(etc.path(), "codebuild-user").unwrap(), expected);
        assert_eq!(find(etc.path(), "1001").unwrap(), expected);
        assert_eq!(find(etc.path(), "4242").unwrap().gid, Gid::from_raw(0));
    }

    #[test]
    fn an_unknown_user_is_named() {
        let etc = etc();
        let error = find(etc.path(), "nope").unwrap_err().to_string();
        assert!(error.contains("`nope`") && error.contains("passwd"), "{error}");
        let none = tempfile::tempdir().unwrap();
        assert!(find(none.path(), "root").is_err());
    }
}
