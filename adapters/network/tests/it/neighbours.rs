//! Others who have rules and bridges on the same host.

use std::net::IpAddr;

use runspan_engine::{CheckState, PrivateNetwork};

use crate::world::{INTERNET, Namespace, World};

/// As Docker leaves them: a policy of dropping, chains of its own, a bridge with a container.
const DOCKER: &str = "
    iptables -P FORWARD DROP
    iptables -N DOCKER-USER
    iptables -A DOCKER-USER -j RETURN
    iptables -A FORWARD -j DOCKER-USER
    ip link add docker0 type bridge
    ip address add 172.17.0.1/16 dev docker0
    ip link set docker0 up
    iptables -A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    iptables -A FORWARD -i docker0 ! -o docker0 -j ACCEPT
    iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
    echo 1 >/proc/sys/net/ipv4/ip_forward";

#[test]
fn builds_pass_dockers_rules_and_leave_them_as_they_were() {
    let Some(world) = World::new() else { return };
    world.host.shell(DOCKER);
    let container = Namespace::new();
    world.host.shell(&format!(
        "ip link add port type veth peer name eth0 netns {}; ip link set port master docker0 up",
        container.path()
    ));
    container.shell(
        "ip address add 172.17.0.2/16 dev eth0; ip link set eth0 up; ip route add default via 172.17.0.1",
    );
    container.serve(8080);
    let before = world.rules();
    let (build, attachment) = world.build("beside");
    assert!(build.ask(INTERNET, 80).is_ok());
    assert!(container.ask(INTERNET, 80).is_ok());
    let listed = world.host.shell("iptables -S FORWARD");
    let comment = r#"-m comment --comment "private networks of builds (runspan)" -j ACCEPT"#;
    let expected = ["-o", "-i"].map(|way| format!("-A FORWARD {way} runspan+ {comment}"));
    assert_eq!(listed.lines().skip(1).take(2).collect::<Vec<_>>(), expected, "{listed}");

    // Neither reaches the other, though Docker's port forwarding does.
    assert!(world.host.ask("172.17.0.2".parse::<IpAddr>().unwrap(), 8080).is_ok());
    assert!(build.ask("172.17.0.2".parse::<IpAddr>().unwrap(), 8080).is_err());
    build.serve(8080);
    assert!(container.ask(attachment.address, 8080).is_err());

    // As on a restart of Docker, or of a firewall.
    world.host.shell("iptables -D FORWARD 1; iptables -D FORWARD 1");
    assert!(build.ask(INTERNET, 80).is_err());
    let (second, _) = world.build("second");
    for build in [&build, &second] {
        build.ask(INTERNET, 80).unwrap_or_else(|error| panic!("{error}: {}", world.rules()));
    }

    world.detach("beside");
    world.detach("second");
    // Counters have counted meanwhile.
    let strip = |rules: String| {
        let words = rules.split_whitespace().filter(|word| word.parse::<u64>().is_err());
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(strip(world.rules()), strip(before));
}

#[test]
fn a_way_out_over_a_bridge_is_a_way_out() {
    let Some(world) = World::new() else { return };
    world.host.shell(&format!(
        "ip link add br0 type bridge
         ip address flush dev out0
         ip link set out0 master br0
         ip address add 192.0.2.2/24 dev br0
         ip link set br0 up
         ip route replace default via {INTERNET}"
    ));
    let (build, _) = world.build("bridged");
    assert!(build.ask(INTERNET, 80).is_ok(), "{}", world.rules());
}

#[test]
fn doctor_names_the_chains_that_would_drop() {
    let Some(world) = World::new() else { return };
    let network = world.network().unwrap();
    let good = world.host.run(|| network.check());
    assert!(good.iter().all(|check| check.state == CheckState::Good), "{good:?}");
    assert!(
        good[0].finding.contains("10.213.0.0/16") && good[0].finding.contains(&INTERNET.to_string()),
        "{good:?}"
    );
    world.host.shell(
        "nft add table inet own
         nft 'add chain inet own router { type filter hook forward priority 0; policy drop; }'",
    );
    let warned = world.host.run(|| network.check());
    assert!(warned[1].finding.contains("chain router of table own"), "{warned:?}");
}

#[test]
fn rules_that_were_changed_are_made_again() {
    let Some(world) = World::new() else { return };
    let (_first, _) = world.build("first");
    let rules = world.rules();
    for harm in [
        "nft delete table inet runspan",
        "nft add table inet runspan '{ comment \"else\" ; }'",
        "nft flush ruleset",
    ] {
        world.host.shell("nft delete table inet runspan 2>/dev/null || :");
        world.host.shell(&format!("{harm} 2>/dev/null || :"));
        let (build, _) = world.build(harm);
        assert_eq!(world.rules(), rules, "{harm}");
        assert!(build.ask(INTERNET, 80).is_ok());
    }
}

#[test]
fn the_old_iptables_is_not_guessed_at() {
    let Some(world) = World::new() else { return };
    let output = world.host.run(|| std::process::Command::new("iptables-legacy").args(["-L"]).output());
    if !output.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: iptables-legacy cannot be used here");
        return;
    }
    let error = world.network().unwrap_err().to_string();
    assert!(error.contains("old iptables") && error.contains("iptables-nft"), "{error}");
}
