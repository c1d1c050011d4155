//! Rules as nf_tables has them: expressions that load into a register and compare it.
//!
//! They are written as `nft` writes them, so that `nft list` and `iptables -S` show them in words.

use netlink_bindings::nftables::{
    CmpOps, CtKeys, MetaKeys, PayloadBase, PushExprListAttrs, Registers, RejectInetCode, RejectTypes,
    VerdictCode,
};
use netlink_bindings::traits::Pusher;

use crate::{
    range::PREFIX,
    rules::{Match, Rule, Verdict},
};

const REGISTER: u32 = Registers::Reg1 as u32;
/// An interface's name, or kind, is compared with all its padding, unless only its beginning counts.
const NAME_LENGTH: usize = 16;
const IPV4: u8 = 2;
const IPV6: u8 = 10;
/// Where an IPv4 header has the destination, and a TCP or UDP header the destination's port.
const DESTINATION: u32 = 16;
const PORT: u32 = 2;
/// Bits of `established` and `related` in a connection's state.
const ANSWERS: u32 = 0b110;
/// `NFT_NAT_SNAT` and `NFT_NAT_DNAT`.
const SOURCE_NAT: u32 = 0;
const DESTINATION_NAT: u32 = 1;

/// Writes a rule's expressions. `family` tells whether a table of IPv4 alone is written to, which needs no question
/// of the protocol.
pub(crate) fn expressions<P: Pusher>(rule: &Rule, is_ipv4_table: bool, list: PushExprListAttrs<P>) {
    let mut writer = Writer { list: Some(list) };
    for one in &rule.matches {
        writer.condition(one, is_ipv4_table);
    }
    writer.verdict(rule.verdict);
}

struct Writer<P: Pusher> {
    list: Option<PushExprListAttrs<P>>,
}

impl<P: Pusher> Writer<P> {
    fn condition(&mut self, one: &Match, is_ipv4_table: bool) {
        match one {
            Match::FromBuild => self.meta(MetaKeys::Iifname, CmpOps::Eq, PREFIX.as_bytes()),
            Match::ToBuild => self.meta(MetaKeys::Oifname, CmpOps::Eq, PREFIX.as_bytes()),
            Match::ToInterface(name) => self.meta(MetaKeys::Oifname, CmpOps::Eq, &padded(name)),
            Match::ToKind(kind) => self.meta(MetaKeys::Oifkind, CmpOps::Eq, &padded(kind)),
            Match::IsIpv6 => self.meta(MetaKeys::Nfproto, CmpOps::Eq, &[IPV6]),
            Match::Answers => self.answers(),
            Match::To(bytes) => {
                if !is_ipv4_table {
                    self.meta(MetaKeys::Nfproto, CmpOps::Eq, &[IPV4]);
                }
                self.payload(PayloadBase::NetworkHeader, DESTINATION, bytes);
            }
            Match::Port(protocol, port) => {
                self.meta(MetaKeys::L4Proto, CmpOps::Eq, &[*protocol]);
                self.payload(PayloadBase::TransportHeader, PORT, &port.to_be_bytes());
            }
        }
    }

    fn verdict(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Accept => self.end_with(VerdictCode::Accept),
            Verdict::Drop => self.end_with(VerdictCode::Drop),
            Verdict::Reject => self.push(|list| {
                list.nested_elem()
                    .nested_data_reject()
                    .push_type(RejectTypes::IcmpxUnreach as u32)
                    .push_icmp_code(RejectInetCode::IcmpxAdminProhibited as u8)
                    .end_nested()
                    .end_nested()
            }),
            Verdict::Masquerade => self.push(|list| list.nested_elem().push_name(c"masq").end_nested()),
            Verdict::SendTo(address) => self.translate(DESTINATION_NAT, &address.octets()),
            Verdict::ComeFrom(address) => self.translate(SOURCE_NAT, &address.octets()),
        }
    }

    fn meta(&mut self, key: MetaKeys, op: CmpOps, value: &[u8]) {
        self.push(|list| {
            list.nested_elem()
                .nested_data_meta()
                .push_key(key as u32)
                .push_dreg(REGISTER)
                .end_nested()
                .end_nested()
        });
        self.compare(op, value);
    }

    fn payload(&mut self, base: PayloadBase, offset: u32, value: &[u8]) {
        self.push(|list| {
            list.nested_elem()
                .nested_data_payload()
                .push_dreg(REGISTER)
                .push_base(base as u32)
                .push_offset(offset)
                .push_len(value.len() as u32)
                .end_nested()
                .end_nested()
        });
        self.compare(CmpOps::Eq, value);
    }

    fn answers(&mut self) {
        self.push(|list| {
            list.nested_elem()
                .nested_data_ct()
                .push_dreg(REGISTER)
                .push_key(CtKeys::State as u32)
                .end_nested()
                .end_nested()
                .nested_elem()
                .nested_data_bitwise()
                .push_sreg(REGISTER)
                .push_dreg(REGISTER)
                .push_len(4)
                .nested_mask()
                .push_value(&ANSWERS.to_ne_bytes())
                .end_nested()
                .nested_xor()
                .push_value(&[0; 4])
                .end_nested()
                .end_nested()
                .end_nested()
        });
        self.compare(CmpOps::Neq, &[0; 4]);
    }

    fn compare(&mut self, op: CmpOps, value: &[u8]) {
        self.push(|list| {
            list.nested_elem()
                .nested_data_cmp()
                .push_sreg(REGISTER)
                .push_op(op as u32)
                .nested_data()
                .push_value(value)
                .end_nested()
                .end_nested()
                .end_nested()
        });
    }

    fn translate(&mut self, kind: u32, address: &[u8]) {
        self.push(|list| {
            list.nested_elem()
                .nested_data_immediate()
                .push_dreg(REGISTER)
                .nested_data()
                .push_value(address)
                .end_nested()
                .end_nested()
                .end_nested()
                .nested_elem()
                .nested_data_nat()
                .push_type(kind)
                .push_family(IPV4.into())
                .push_reg_addr_min(REGISTER)
                .end_nested()
                .end_nested()
        });
    }

    fn end_with(&mut self, code: VerdictCode) {
        self.push(|list| {
            list.nested_elem()
                .nested_data_immediate()
                .push_dreg(Registers::RegVerdict as u32)
                .nested_data()
                .nested_verdict()
                .push_code(code as u32)
                .end_nested()
                .end_nested()
                .end_nested()
                .end_nested()
        });
    }

    fn push(&mut self, add: impl FnOnce(PushExprListAttrs<P>) -> PushExprListAttrs<P>) {
        self.list = self.list.take().map(add);
    }
}

fn padded(name: &str) -> [u8; NAME_LENGTH] {
    let mut bytes = [0; NAME_LENGTH];
    let length = name.len().min(NAME_LENGTH - 1);
    bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
    bytes
}
