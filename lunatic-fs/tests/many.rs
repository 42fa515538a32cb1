//! Many operations at once, and operations that nobody waits for any more.

use std::fs;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use async_executor::Executor;
use futures_lite::future::{block_on, poll_once};
use lunatic_blocking::Class;
use lunatic_fs::{Access, Dir, Node, OpenOptions};
use lunatic_testkit::wait_until;

const CREATE: OpenOptions = OpenOptions {
    read: true,
    write: true,
    append: false,
    create: true,
    create_new: false,
    truncate: false,
    directory: false,
    nofollow: false,
    durability: lunatic_fs::Durability::None,
};

#[test]
fn a_thousand_tasks_read_and_write_at_once() {
    let host = tempfile::tempdir().expect("a directory");
    let dir = block_on(Dir::open_host(host.path(), Access::ReadWrite)).expect("it exists");
    let executor = Executor::new();
    let tasks: Vec<_> = (0..1000)
        .map(|i| {
            let dir = dir.clone();
            executor.spawn(async move {
                let node = dir.open(format!("{}", i % 50), CREATE).await;
                let Ok(Node::File(file)) = node else {
                    panic!("{node:?}")
                };
                file.write_at(vec![7; 4096], 0).await.expect("room");
                let read = file.read_at(4096, 0).await.expect("data");
                assert_eq!(read, [7; 4096]);
                file.close().await;
            })
        })
        .collect();
    block_on(executor.run(async {
        for task in tasks {
            task.await;
        }
    }));
}

#[test]
fn dropped_operations_leave_the_others_their_turn() {
    let host = tempfile::tempdir().expect("a directory");
    let dir = block_on(Dir::open_host(host.path(), Access::ReadWrite)).expect("it exists");
    block_on(async {
        for i in 0..1000 {
            let mut creating = Box::pin(dir.create_dir(i.to_string()));
            let _ = poll_once(&mut creating).await;
        }
        dir.create_dir("last").await.expect("it is done in the end");
    });
    assert!(host.path().join("last").exists());
}

#[test]
fn files_that_are_dropped_are_closed() {
    let open_files = || fs::read_dir("/proc/self/fd").map(Iterator::count);
    let host = tempfile::tempdir().expect("a directory");
    let dir = block_on(Dir::open_host(host.path(), Access::ReadWrite)).expect("it exists");
    let path = host.path().join("watched");
    block_on(async {
        for _ in 0..100 {
            drop(dir.open("watched", CREATE).await.expect("a file"));
        }
    });
    if open_files().is_err() {
        return;
    }
    let is_open = || {
        let links = fs::read_dir("/proc/self/fd").expect("it exists");
        let mut targets = links.filter_map(|link| fs::read_link(link.ok()?.path()).ok());
        targets.any(|target| target == path)
    };
    wait_until("the file to be closed", || !is_open());
}

#[test]
fn whoever_opens_a_directory_waits_for_a_thread_and_blocks_none() {
    let host = tempfile::tempdir().expect("a directory");
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let queue = Class::Cache.queue();
    for _ in 0..queue.max_threads().get() {
        let released = released.clone();
        queue.run_detached(move || {
            let _ = released.lock().expect("no panic").recv();
        });
    }
    let mut opening = pin!(Dir::open_host(host.path(), Access::ReadWrite));
    // Other tests of this program use the same threads, but they do not free them.
    assert!(block_on(poll_once(&mut opening)).is_none());
    drop(release);
    let dir = block_on(opening).expect("it exists");
    assert!(block_on(dir.open_dir("missing")).is_err());
}

#[test]
fn others_do_not_wait_until_the_blocks_of_a_large_file_are_freed() {
    let host = tempfile::tempdir().expect("a directory");
    let dir = block_on(Dir::open_host(host.path(), Access::ReadWrite)).expect("it exists");
    let large = vec![1; 65 << 20];
    for name in ["removed", "open"] {
        fs::write(host.path().join(name), &large).expect("room");
    }
    let Ok(Node::File(open)) = block_on(dir.open("open", CREATE)) else {
        panic!("it is a file")
    };
    block_on(dir.remove_file("open")).expect("nobody frees anything yet");
    // No thread for the disk is left.
    let (go_on, goes_on) = mpsc::channel::<()>();
    let goes_on = Arc::new(Mutex::new(goes_on));
    let begun = Arc::new(AtomicUsize::new(0));
    let threads = Class::Disk.queue().max_threads().get();
    for _ in 0..threads {
        let (begun, goes_on) = (begun.clone(), goes_on.clone());
        Class::Disk.queue().run_detached(move || {
            begun.fetch_add(1, Ordering::SeqCst);
            goes_on.lock().expect("nobody panics").recv().ok();
        });
    }
    wait_until("the threads are taken", || {
        begun.load(Ordering::SeqCst) == threads
    });
    let mut removing = pin!(dir.remove_file("removed"));
    block_on(open.close());
    wait_until("the large file has no name", || {
        block_on(poll_once(&mut removing)).is_none() && !host.path().join("removed").exists()
    });
    wait_until("both are to be freed", || {
        assert!(block_on(poll_once(&mut removing)).is_none());
        Class::Disk.queue().waiting() == 2
    });
    let other = block_on(dir.open("other", CREATE));
    assert!(other.is_ok());
    drop(go_on);
    block_on(removing).expect("it was there");
}
