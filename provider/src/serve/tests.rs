use std::cell::{Cell, RefCell};

use tokio::time::Instant;

use super::*;

#[tokio::test(start_paused = true)]
async fn errors_of_accept_neither_end_the_server_nor_make_it_spin() {
    const EMFILE: i32 = 24;
    let script = RefCell::new(vec![
        Ok(2),
        Err(io::Error::from_raw_os_error(EMFILE)),
        Err(io::Error::from_raw_os_error(EMFILE)),
        Err(io::ErrorKind::ConnectionAborted.into()),
        Ok(1),
    ]);
    let (served, room) = (RefCell::new(vec![]), Cell::new(0));
    let next = || {
        let next = script.borrow_mut().pop();
        async { if let Some(next) = next { next } else { std::future::pending().await } }
    };
    let started = Instant::now();
    let forever = accept(next, |it| served.borrow_mut().push(it), || room.set(room.get() + 1));
    assert!(timeout(Duration::from_secs(1), forever).await.is_err());
    assert_eq!((served.into_inner(), room.get()), (vec![1, 2], 2));
    assert_eq!(started.elapsed(), Duration::from_secs(1));
    assert!(script.borrow().is_empty());
}

#[test]
fn a_port_that_is_taken_is_named_with_its_remedy() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = bind(Some(address.ip()), address.port(), "PORT").unwrap_err().to_string();
    assert!(error.contains(&address.to_string()) && error.ends_with("with PORT"), "{error}");
}
