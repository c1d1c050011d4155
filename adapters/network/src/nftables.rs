//! Tables, chains and rules over nfnetlink.

use netlink_bindings::nftables::{self, Nfgenmsg};
use runspan_engine::NetworkError;

use crate::{
    encode,
    links::{Netlink, failed, is, refused},
    rules::{Chain, Hook, Purpose, Rule, TABLE, fingerprint, pass},
};

const INET: u8 = 1;
const IPV4: u8 = 2;
/// `NFNL_SUBSYS_NFTABLES`, in a batch's ends.
const SUBSYSTEM: u16 = 10;
const ACCEPT: u32 = 1;
/// `filter` and `srcnat`; `dstnat` before it.
const FILTER_PRIORITY: i32 = 0;
const SOURCE_PRIORITY: i32 = 100;
const DESTINATION_PRIORITY: i32 = -100;
/// More messages than any batch here has.
const MESSAGES: u32 = 256;

/// Where iptables has its filter, and Docker its policy of dropping what it does not know.
const FOREIGN_TABLE: &str = "filter";
const FOREIGN_CHAIN: &str = "FORWARD";
/// What our rules in there are known by.
const COMMENT: &str = "private networks of builds (runspan)";

/// A chain of somebody else at a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Foreign {
    pub(crate) family: u8,
    pub(crate) table: String,
    pub(crate) name: String,
    pub(crate) drops: bool,
}

impl Netlink {
    /// Sees to it that our table says just this, and that iptables' chain, where there is one, lets builds pass.
    pub(crate) fn ensure_rules(&mut self, chains: &[Chain]) -> Result<(), NetworkError> {
        let wanted = fingerprint(chains);
        let found = self.table_comment()?;
        let is_current = found.as_ref() == Some(&wanted);
        let must_pass = self.has_foreign_forward()? && self.passes()?.len() < pass().len();
        if is_current && !must_pass {
            return Ok(());
        }
        let mut batch = Batch::begin(self);
        if !is_current {
            if found.is_some() {
                batch.remove_table();
            }
            batch.add_table(&wanted);
            chains.iter().for_each(|chain| batch.add_chain(chain));
        }
        if must_pass {
            for rule in pass() {
                batch.insert_foreign(&rule);
            }
        }
        batch.commit(self, "making the rules of private networks")
    }

    /// Takes all rules of ours back.
    pub(crate) fn remove_rules(&mut self) -> Result<bool, NetworkError> {
        let has_table = self.table_comment()?.is_some();
        let passes = if self.has_foreign_forward()? { self.passes()? } else { Vec::new() };
        if !has_table && passes.is_empty() {
            return Ok(false);
        }
        let mut batch = Batch::begin(self);
        if has_table {
            batch.remove_table();
        }
        for handle in passes {
            batch.remove_foreign(handle);
        }
        batch.commit(self, "removing the rules of private networks")?;
        Ok(true)
    }

    /// The chains of others that packets of builds pass on their way.
    pub(crate) fn foreign_forward_chains(&mut self) -> Result<Vec<Foreign>, NetworkError> {
        let doing = "listing chains of nf_tables";
        let request = nftables::Request::new().op_getchain_dump(&Nfgenmsg::default());
        let mut reply = self.socket.request(&request).map_err(|error| refused(doing, &error))?;
        let mut chains = Vec::new();
        while let Some(found) = reply.recv() {
            let (header, chain) = found.map_err(|error| failed(doing, &error))?;
            let text = |value: &std::ffi::CStr| value.to_string_lossy().into_owned();
            let hook = chain.get_hook().and_then(|hook| hook.get_num());
            let chain = Foreign {
                family: header.nfgen_family,
                table: chain.get_table().map(text).unwrap_or_default(),
                name: chain.get_name().map(text).unwrap_or_default(),
                drops: chain.get_policy().is_ok_and(|policy| policy != ACCEPT),
            };
            let is_ip = [INET, IPV4].contains(&chain.family);
            if is_ip && hook.is_ok_and(|hook| hook == number(Hook::Forward)) && chain.table != TABLE {
                chains.push(chain);
            }
        }
        Ok(chains)
    }

    fn has_foreign_forward(&mut self) -> Result<bool, NetworkError> {
        Ok(self.foreign_forward_chains()?.iter().any(Foreign::is_iptables))
    }

    /// Our table's comment; `None` without a table.
    fn table_comment(&mut self) -> Result<Option<String>, NetworkError> {
        let doing = "looking for the table of private networks";
        let mut request = nftables::Request::new().op_gettable_do(&header(INET));
        request.encode().push_name_bytes(TABLE.as_bytes());
        let mut reply = self.socket.request(&request).map_err(|error| refused(doing, &error))?;
        match reply.recv_one() {
            Ok((_, table)) => Ok(Some(table.get_userdata().ok().and_then(comment_of).unwrap_or_default())),
            Err(error) if is(&error, rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(failed(doing, &error)),
        }
    }

    /// Handles of our rules in iptables' chain.
    fn passes(&mut self) -> Result<Vec<u64>, NetworkError> {
        let doing = "listing rules of iptables";
        let mut request = nftables::Request::new().op_getrule_dump(&header(IPV4));
        request
            .encode()
            .push_table_bytes(FOREIGN_TABLE.as_bytes())
            .push_chain_bytes(FOREIGN_CHAIN.as_bytes());
        let mut reply = self.socket.request(&request).map_err(|error| refused(doing, &error))?;
        let mut handles = Vec::new();
        while let Some(found) = reply.recv() {
            let (_, rule) = found.map_err(|error| failed(doing, &error))?;
            let comment = rule.get_userdata().ok().and_then(comment_of);
            if comment.as_deref() == Some(COMMENT) {
                handles.extend(rule.get_handle().ok());
            }
        }
        Ok(handles)
    }
}

impl Foreign {
    /// Whether it is the one that iptables and Docker use.
    pub(crate) fn is_iptables(&self) -> bool {
        self.family == IPV4 && self.table == FOREIGN_TABLE && self.name == FOREIGN_CHAIN
    }
}

/// Changes that happen together or not at all.
struct Batch {
    messages: nftables::Chained<'static>,
}

impl Batch {
    fn begin(netlink: &mut Netlink) -> Self {
        let mut messages = nftables::Chained::new(netlink.socket.reserve_seq(MESSAGES));
        messages.request().op_batch_begin_do(&batch_end());
        Self { messages }
    }

    fn add_table(&mut self, comment: &str) {
        let mut request = self.messages.request().set_create().op_newtable_do(&header(INET));
        request.encode().push_name_bytes(TABLE.as_bytes()).push_userdata(&comment_bytes(comment));
    }

    fn remove_table(&mut self) {
        let mut request = self.messages.request().op_deltable_do(&header(INET));
        request.encode().push_name_bytes(TABLE.as_bytes());
    }

    fn add_chain(&mut self, chain: &Chain) {
        let (kind, priority) = match (chain.purpose, chain.hook) {
            (Purpose::Filter, _) => (c"filter", FILTER_PRIORITY),
            (Purpose::Translate, Hook::Prerouting) => (c"nat", DESTINATION_PRIORITY),
            (Purpose::Translate, _) => (c"nat", SOURCE_PRIORITY),
        };
        let mut request = self.messages.request().set_create().op_newchain_do(&header(INET));
        request
            .encode()
            .push_table_bytes(TABLE.as_bytes())
            .push_name_bytes(chain.name.as_bytes())
            .nested_hook()
            .push_num(number(chain.hook))
            .push_priority(priority)
            .end_nested()
            .push_policy(ACCEPT)
            .push_type(kind);
        drop(request);
        for rule in &chain.rules {
            let mut request = self.messages.request().set_create().set_append().op_newrule_do(&header(INET));
            let attributes = request.encode();
            let attributes =
                attributes.push_table_bytes(TABLE.as_bytes()).push_chain_bytes(chain.name.as_bytes());
            encode::expressions(rule, false, attributes.nested_expressions());
        }
    }

    /// Before all other rules of iptables' chain.
    fn insert_foreign(&mut self, rule: &Rule) {
        let mut request = self.messages.request().set_create().op_newrule_do(&header(IPV4));
        let attributes = request.encode();
        let attributes =
            attributes.push_table_bytes(FOREIGN_TABLE.as_bytes()).push_chain_bytes(FOREIGN_CHAIN.as_bytes());
        encode::expressions(
            rule,
            true,
            attributes.push_userdata(&comment_bytes(COMMENT)).nested_expressions(),
        );
    }

    fn remove_foreign(&mut self, handle: u64) {
        let mut request = self.messages.request().op_delrule_do(&header(IPV4));
        request
            .encode()
            .push_table_bytes(FOREIGN_TABLE.as_bytes())
            .push_chain_bytes(FOREIGN_CHAIN.as_bytes())
            .push_handle(handle);
    }

    fn commit(mut self, netlink: &mut Netlink, doing: &str) -> Result<(), NetworkError> {
        self.messages.request().op_batch_end_do(&batch_end());
        let messages = self.messages.finalize();
        let mut reply = netlink.socket.request_chained(&messages).map_err(|error| refused(doing, &error))?;
        reply.recv_all().map_err(|error| failed(doing, &error))
    }
}

fn header(family: u8) -> Nfgenmsg {
    Nfgenmsg { nfgen_family: family, ..Nfgenmsg::default() }
}

fn batch_end() -> Nfgenmsg {
    let mut end = Nfgenmsg::default();
    end.set_res_id(SUBSYSTEM);
    end
}

const fn number(hook: Hook) -> u32 {
    match hook {
        Hook::Prerouting => 0,
        Hook::Input => 1,
        Hook::Forward => 2,
        Hook::Postrouting => 4,
    }
}

/// A comment as `nft` reads it: type 0, length, text with its end.
fn comment_bytes(text: &str) -> Vec<u8> {
    let mut bytes = vec![0, u8::try_from(text.len() + 1).unwrap_or(u8::MAX)];
    bytes.extend(text.bytes().take(usize::from(u8::MAX) - 1));
    bytes.push(0);
    bytes
}

fn comment_of(bytes: &[u8]) -> Option<String> {
    let [0, length, rest @ ..] = bytes else { return None };
    let text = rest.get(..usize::from(*length))?.strip_suffix(&[0])?;
    String::from_utf8(text.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_is_read_as_it_was_written() {
        assert_eq!(comment_bytes("ab"), [0, 3, b'a', b'b', 0]);
        assert_eq!(comment_of(&comment_bytes(COMMENT)).as_deref(), Some(COMMENT));
        for broken in [&[][..], &[0], &[0, 3, b'a'], &[1, 2, b'a', 0], &[0, 2, b'a', b'b']] {
            assert_eq!(comment_of(broken), None, "{broken:?}");
        }
    }
}
