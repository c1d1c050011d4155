//! What a build reaches, and what it does not.

use std::time::{Duration, Instant};

use runspan_engine::PrivateNetwork;

use crate::world::{HOST, INTERNET, METADATA, METADATA_6, World};

#[test]
fn a_build_reaches_the_internet_with_the_hosts_address() {
    let Some(world) = World::new() else { return };
    let started = Instant::now();
    let (build, attachment) = world.build("first");
    eprintln!("the first attachment took {:?}", started.elapsed());
    assert_eq!(build.ask(INTERNET, 80).unwrap(), HOST.to_string());
    let inside = build.shell("ip -o address; ip route; cat /proc/sys/net/ipv6/conf/eth0/disable_ipv6");
    assert!(inside.contains(&format!("{}/31", attachment.address)), "{inside}");
    assert!(inside.contains(&format!("default via {} dev eth0", attachment.gateway)), "{inside}");
    assert!(!inside.contains("fe80"), "{inside}");
    assert!(build.shell("ip link show eth0").contains("mtu 1400"));
    assert!(build.shell("ip link show lo").contains(",UP"));
}

#[test]
fn attaching_takes_a_moment() {
    let Some(world) = World::new() else { return };
    world.build("warm");
    let network = world.network().unwrap();
    let mut times: Vec<Duration> = (0..20)
        .map(|number| {
            let namespace = crate::world::Namespace::new();
            world.host.run(|| {
                let started = Instant::now();
                network.attach(&format!("timed-{number}"), namespace.as_fd()).unwrap();
                started.elapsed()
            })
        })
        .collect();
    times.sort();
    eprintln!("attaching took {:?} at the median, {:?} at most", times[10], times[19]);
    // Far more than it takes, so that a busy machine does not fail the test.
    assert!(times[10] < Duration::from_secs(1), "{times:?}");
}

#[test]
fn builds_do_not_reach_each_other() {
    let Some(world) = World::new() else { return };
    let (one, of_one) = world.build("one");
    let (other, of_other) = world.build("other");
    assert_ne!(of_one.address, of_other.address);
    for build in [&one, &other] {
        build.serve(8080);
        assert!(build.ask(INTERNET, 80).is_ok());
    }
    for (build, address) in [(&one, of_other.address), (&one, of_other.gateway), (&other, of_one.address)] {
        let error = build.ask(address, 8080).unwrap_err();
        assert!(
            one.ask(of_one.address, 8080).is_ok() && other.ask(of_other.address, 8080).is_ok(),
            "{error}"
        );
    }
    // The host itself may look.
    assert!(world.host.ask(of_one.address, 8080).is_ok());
}

#[test]
fn the_machines_identity_is_out_of_reach_and_says_so_at_once() {
    let Some(world) = World::new() else { return };
    world.internet.serve(53);
    world.internet.serve_datagrams(METADATA, 53);
    let (build, _) = world.build("curious");
    assert!(world.host.ask(METADATA, 80).is_ok(), "the test's own server does not answer");
    let started = Instant::now();
    for _ in 0..3 {
        let error = build.ask(METADATA, 80).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::HostUnreachable, "{error}");
    }
    assert!(started.elapsed() < Duration::from_millis(300), "{:?}", started.elapsed());
    // Some clouds have their name server at the same address.
    assert_eq!(build.ask_with_datagram(METADATA, 53).unwrap(), HOST.to_string());
    assert!(build.ask(METADATA, 53).is_ok());
}

#[test]
fn the_machines_identity_is_out_of_reach_by_ipv6_too() {
    let Some(world) = World::new() else { return };
    let host = &world.host;
    // As on a machine that forwards IPv6, with the service behind it.
    world.internet.shell(&format!(
        "ip address add {METADATA_6}/128 dev lo
         ip address add fd00:1::1/64 dev in0 nodad
         ip route add fd00:2::/64 via fd00:1::2"
    ));
    host.shell(&format!(
        "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
         ip address add fd00:1::2/64 dev out0 nodad
         ip route add {METADATA_6} via fd00:1::1"
    ));
    world.internet.serve_at(METADATA_6, 80);
    assert_eq!(host.ask(METADATA_6, 80).unwrap(), "fd00:1::2");
    let (build, _) = world.build("curious");
    assert!(build.ask(METADATA_6, 80).is_err(), "there is no IPv6 in a build");

    // Nor is there a way for one that makes itself an address, on a machine that would be its router.
    let ends = world.interfaces();
    host.shell(&format!(
        "echo 0 > /proc/sys/net/ipv6/conf/{0}/disable_ipv6
         ip address add fd00:2::1/64 dev {0} nodad",
        ends[0]
    ));
    let sly = "echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6
               ip address add fd00:2::2/64 dev eth0 nodad
               ip route add default via fd00:2::1";
    build.shell(sly);
    assert!(build.ask(METADATA_6, 80).is_err());
    // It is our rules that stand between: without them the same build is answered.
    let rules = world.rules();
    let table = rules.lines().find(|line| line.starts_with("table ")).unwrap().trim_end_matches(['{', ' ']);
    host.shell(&format!("nft delete {table}"));
    assert_eq!(build.ask(METADATA_6, 80).unwrap(), "fd00:2::2");
}

#[test]
fn the_hosts_own_services_are_out_of_reach() {
    let Some(world) = World::new() else { return };
    world.host.serve(8080);
    world.host.serve_datagrams("0.0.0.0".parse().unwrap(), 8081);
    let (build, attachment) = world.build("nosy");
    for address in [attachment.gateway, HOST] {
        assert!(world.host.ask(address, 8080).is_ok());
        assert!(build.ask(address, 8080).is_err());
        assert!(build.ask_with_datagram(address, 8081).is_err());
    }
    assert!(world.internet.ask(HOST, 8080).is_ok(), "others reach the host as before");
}

#[test]
fn nobody_outside_reaches_a_build() {
    let Some(world) = World::new() else { return };
    let (build, attachment) = world.build("shy");
    build.serve(8080);
    world.internet.shell(&format!("ip route add {} via {HOST}", attachment.address));
    assert!(build.ask(INTERNET, 80).is_ok(), "answers find the way back");
    assert!(world.internet.ask(attachment.address, 8080).is_err());
}

#[test]
fn a_name_server_on_loopback_is_relayed_to() {
    let Some(world) = World::new() else { return };
    std::fs::write(&world.settings.resolver, "nameserver 127.0.0.2\n").unwrap();
    let loopback = "127.0.0.2".parse().unwrap();
    world.host.serve_datagrams(loopback, 53);
    world.host.serve(53);
    world.host.serve(80);
    let (build, _) = world.build("asking");
    let resolver = world.network().unwrap().resolver().unwrap();
    let std::net::IpAddr::V4(server) = resolver.servers[0] else { panic!("{resolver}") };
    // Such servers answer only their own machine.
    assert_eq!(build.ask_with_datagram(server, 53).unwrap(), "127.0.0.1");
    assert_eq!(build.ask(server, 53).unwrap(), "127.0.0.1");
    assert!(build.ask(server, 80).is_err());
    assert!(build.ask(HOST, 53).is_err());
}
