//! The stream of what a page shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_io::Timer;
use futures_lite::stream::{self, Boxed};
use futures_lite::{Stream, StreamExt, future};
use lunatic_admin::{Answer, Answering, Request as Asked, Response as Told};
use serde::Serialize;

use crate::view::View;

/// The highest number of pages that are open at once.
const MAX_STREAMS: usize = 32;

/// How often what is counted is asked.
const MEASURED_EVERY: Duration = Duration::from_secs(1);

/// A page that is shown, until this is dropped.
#[derive(Debug)]
pub(crate) struct Showing(Arc<AtomicUsize>);

impl Showing {
    /// Registers an open page; `None` if the limit is reached.
    pub(crate) fn begin(count: &Arc<AtomicUsize>) -> Option<Showing> {
        let one_more = |count| (count < MAX_STREAMS).then_some(count + 1);
        let relaxed = Ordering::Relaxed;
        count.fetch_update(relaxed, relaxed, one_more).ok()?;
        Some(Showing(count.clone()))
    }
}

impl Drop for Showing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The state of a stream.
struct State<A> {
    answering: Arc<A>,
    view: View,
    measure_at: Instant,
    view_at: Instant,
    /// The last content that was sent; the view is sent again only if it has changed.
    last: String,
    /// Whether what the view subscribes to was asked for.
    is_subscribed: bool,
    /// The events of the subscription.
    subscription: Option<Boxed<Told>>,
    _showing: Showing,
}

/// The events of a page.
pub(crate) fn stream<A: Answering>(
    answering: Arc<A>,
    view: View,
    showing: Showing,
) -> impl Stream<Item = Vec<u8>> + Send {
    let now = Instant::now();
    let state = State {
        answering,
        view,
        measure_at: now,
        view_at: now,
        last: String::new(),
        is_subscribed: false,
        subscription: None,
        _showing: showing,
    };
    stream::unfold(state, |mut state| async {
        let event = state.next().await;
        Some((event.into_bytes(), state))
    })
}

impl<A: Answering> State<A> {
    /// The next event, or a comment that lets the server see whether the page is still there.
    async fn next(&mut self) -> String {
        if let Some(refused) = self.subscribe().await {
            return event(&refused);
        }
        let Some(mut subscription) = self.subscription.take() else {
            return self.ask_when_due().await;
        };
        let told = async { Some(subscription.next().await) };
        let due = async {
            Timer::at(self.measure_at).await;
            None
        };
        let told = future::or(told, due).await;
        match told {
            Some(Some(told)) => {
                self.subscription = Some(subscription);
                event(&told)
            }
            // It is over.
            Some(None) => ":\n\n".to_owned(),
            None => {
                self.subscription = Some(subscription);
                self.ask_when_due().await
            }
        }
    }

    /// Subscribes to what the view wants, once; what the runtime says to that, if it refuses.
    async fn subscribe(&mut self) -> Option<Told> {
        if std::mem::replace(&mut self.is_subscribed, true) {
            return None;
        }
        match self
            .answering
            .answer(self.view.subscription()?, Vec::new())
            .await
        {
            Answer::One(refused) => return Some(refused),
            Answer::Many(told) => self.subscription = Some(Box::pin(told)),
            Answer::Stream(told) => self.subscription = Some(told),
        }
        None
    }

    /// Repeats the requests of the view when they are due.
    async fn ask_when_due(&mut self) -> String {
        let has_view = self.view.request().is_some();
        let is_view = has_view && self.view_at <= self.measure_at;
        let at = match is_view {
            true => self.view_at,
            false => self.measure_at,
        };
        Timer::at(at).await;
        let (request, interval, due) = match self.view.request() {
            Some(request) if is_view => (request, self.view.interval(), &mut self.view_at),
            _ => (Asked::Measurements, MEASURED_EVERY, &mut self.measure_at),
        };
        let told = ask(&*self.answering, request).await;
        // A slow runtime is not asked again at once.
        *due = Instant::now() + interval;
        let event = event(&told);
        if !is_view {
            return event;
        }
        match event == self.last {
            true => ":\n\n".to_owned(),
            false => {
                self.last.clone_from(&event);
                event
            }
        }
    }
}

/// Asks the runtime; a subscription is not asked for here.
pub(crate) async fn ask(answering: &impl Answering, request: Asked) -> Told {
    match answering.answer(request, Vec::new()).await {
        Answer::One(told) => told,
        Answer::Many(_) | Answer::Stream(_) => Told::End,
    }
}

/// An event with an answer, whose type is in the JSON.
fn event(told: &impl Serialize) -> String {
    // Nothing in it can fail to be written to a text; there are no line ends in it.
    let json = serde_json::to_string(told).unwrap_or_default();
    format!("data: {json}\n\n")
}
