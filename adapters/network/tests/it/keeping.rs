//! What is kept, found again, and removed.

use std::{collections::HashSet, thread, time::Duration};

use runspan_engine::NetworkError;

use crate::world::{INTERNET, Namespace, World};

#[test]
fn nothing_remains_after_the_last_build() {
    let Some(world) = World::new() else { return };
    let before = (world.rules(), world.host.shell("ip -o link; ip route show table all"));
    let (_one, first) = world.build("one");
    let (other, second) = world.build("other");
    assert_eq!(world.interfaces().len(), 2);
    world.detach("one");
    assert_eq!(world.interfaces(), std::slice::from_ref(&second.interface));
    assert!(other.ask(INTERNET, 80).is_ok());
    world.detach("one");
    world.detach("other");
    assert_eq!((world.rules(), world.host.shell("ip -o link; ip route show table all")), before, "{first:?}");
}

#[test]
fn an_interface_goes_with_its_namespace() {
    let Some(world) = World::new() else { return };
    let (build, _) = world.build("brief");
    drop(build);
    for _ in 0..100 {
        if world.interfaces().is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(world.interfaces(), Vec::<String>::new());
    assert_eq!(world.sweep(&[]), Vec::<String>::new());
    world.detach("brief");
    assert_eq!(world.rules(), "");
}

#[test]
fn a_sweep_takes_what_nobody_owns_and_no_more() {
    let Some(world) = World::new() else { return };
    let (_lost, lost) = world.build("lost");
    let (owned, attachment) = world.build("owned");
    // Left by one who was killed before it could say whose it is.
    world
        .host
        .shell("ip link add runspan99999 type veth peer name other; ip link add runspanner type bridge");
    let mut swept = world.sweep(&["owned"]);
    swept.sort();
    let expected = [
        "removed interface runspan99999 of nobody".into(),
        format!("removed interface {} of build lost", lost.interface),
    ];
    let mut expected: Vec<String> = expected.into();
    expected.sort();
    assert_eq!(swept, expected);
    let mut left = vec![attachment.interface, "runspanner".into()];
    left.sort();
    let mut found = world.interfaces();
    found.sort();
    assert_eq!(found, left);
    assert!(owned.ask(INTERNET, 80).is_ok());
    assert_eq!(world.sweep(&["owned"]), Vec::<String>::new());
    assert_eq!(world.sweep(&[]).len(), 2, "an interface and the rules");
    assert_eq!(world.rules(), "");
}

#[test]
fn fifty_at_once_get_fifty_networks() {
    let Some(world) = World::new() else { return };
    let namespaces: Vec<_> = (0..50).map(|_| Namespace::new()).collect();
    let attachments: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = namespaces
            .iter()
            .enumerate()
            .map(|(number, namespace)| {
                let world = &world;
                scope.spawn(move || world.attach(&format!("build-{number}"), namespace).unwrap())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let addresses: HashSet<_> = attachments.iter().flat_map(|one| [one.address, one.gateway]).collect();
    assert_eq!(addresses.len(), 100);
    for namespace in &namespaces {
        assert!(namespace.ask(INTERNET, 80).is_ok());
    }
    thread::scope(|scope| {
        for number in 0..50 {
            let world = &world;
            scope.spawn(move || world.detach(&format!("build-{number}")));
        }
    });
    assert_eq!(world.interfaces(), Vec::<String>::new());
    assert!(!world.rules().contains("runspan"), "{}", world.rules());
}

#[test]
fn a_small_range_is_used_to_the_last_address() {
    let Some(mut world) = World::new() else { return };
    world.settings.range = Some("10.99.0.0/29".parse().unwrap());
    let builds: Vec<_> = (0..4).map(|number| world.build(&format!("build-{number}"))).collect();
    for (build, attachment) in &builds {
        assert!(attachment.address.to_string().starts_with("10.99.0."));
        assert!(build.ask(INTERNET, 80).is_ok());
    }
    let error = world.attach("one too many", &Namespace::new()).unwrap_err().to_string();
    assert!(error.contains("all 4 of 10.99.0.0/29 are taken"), "{error}");
    world.detach("build-2");
    world.build("again");
}

#[test]
fn a_range_that_the_host_uses_is_not_taken() {
    let Some(mut world) = World::new() else { return };
    world.host.shell(&format!("ip route add 10.0.0.0/8 via {INTERNET}"));
    let (_build, attachment) = world.build("elsewhere");
    assert!(!attachment.address.to_string().starts_with("10."), "{attachment:?}");
    world.settings.range = Some("10.213.0.0/16".parse().unwrap());
    let error = world.network().unwrap_err();
    assert!(matches!(error, NetworkError::Unavailable { .. }), "{error}");
}

#[test]
fn a_failed_attachment_leaves_nothing() {
    let Some(world) = World::new() else { return };
    let before = world.rules();
    let taken = Namespace::new();
    taken.shell("ip link add eth0 type bridge");
    let error = world.attach("unlucky", &taken).unwrap_err().to_string();
    assert!(error.contains("interface"), "{error}");
    let routed = Namespace::new();
    routed.shell("ip link add other type bridge; ip address add 10.1.1.1/24 dev other; ip link set other up; ip route add default via 10.1.1.2");
    let error = world.attach("unlucky", &routed).unwrap_err().to_string();
    assert!(error.contains("default route"), "{error}");
    assert_eq!((world.interfaces(), world.rules()), (Vec::new(), before));
}
