//! Requests to a running supervisor.

use std::time::Instant;

use crate::core::child::{ChildKey, Shared, State};
use crate::core::input::{Request, RequestError, RequestId};
use crate::core::machine::{Machine, Pending, Task, Then, Why};
use crate::core::spec::ChildSpec;

impl<S> Machine<S> {
    /// Queues a request behind earlier events, or refuses it if the supervisor is ending.
    pub(super) fn requested(&mut self, id: RequestId, request: Request<S>) {
        let is_ending = matches!(
            self.task,
            Task::Ended
                | Task::Stop {
                    then: Then::End(_),
                    ..
                }
        );
        match is_ending {
            true => self.reply(id, Err(RequestError::ShuttingDown)),
            false => self.pending.push_back(Pending::Request(id, request)),
        }
    }

    pub(super) fn begin_request(&mut self, id: RequestId, request: Request<S>, now: Instant) {
        let begun = match request {
            Request::Add(spec) => self.add(id, spec),
            Request::AddFromTemplate(own_start) => self.add_from_template(id, own_start),
            Request::Restart(key) => self.restart_stopped(id, key),
            Request::Terminate(key) => self.terminate(id, key, now),
            Request::Delete(key) => self.delete(id, key),
        };
        if let Err(error) = begun {
            self.reply(id, Err(error));
        }
    }

    fn add(&mut self, id: RequestId, spec: ChildSpec<S>) -> Result<(), RequestError> {
        if self.template.is_some() {
            return Err(RequestError::WrongStrategy);
        }
        self.flags.check_child(&spec).map_err(RequestError::Spec)?;
        if let Some(key) = self.find(&spec.name) {
            let is_stopped = matches!(self.state(key)?, State::Stopped);
            return Err(match is_stopped {
                true => RequestError::AlreadyPresent,
                false => RequestError::AlreadyStarted(key),
            });
        }
        self.check_room().map_err(RequestError::Spec)?;
        let key = self.insert(Shared::new(spec), None);
        self.start_all(vec![key], Why::Added(id));
        Ok(())
    }

    fn add_from_template(
        &mut self,
        id: RequestId,
        own_start: Option<S>,
    ) -> Result<(), RequestError> {
        let template = self.template.clone().ok_or(RequestError::WrongStrategy)?;
        self.check_room().map_err(RequestError::Spec)?;
        let key = self.insert(template, own_start);
        self.start_all(vec![key], Why::Added(id));
        Ok(())
    }

    fn restart_stopped(&mut self, id: RequestId, key: ChildKey) -> Result<(), RequestError> {
        self.check_stopped(key)?;
        self.start_all(vec![key], Why::Requested(id));
        Ok(())
    }

    fn terminate(
        &mut self,
        id: RequestId,
        key: ChildKey,
        now: Instant,
    ) -> Result<(), RequestError> {
        self.state(key)?;
        self.stop_all(vec![key], Then::Reply(id, key), now);
        Ok(())
    }

    fn delete(&mut self, id: RequestId, key: ChildKey) -> Result<(), RequestError> {
        self.check_stopped(key)?;
        self.remove(key);
        self.reply(id, Ok(key));
        Ok(())
    }

    fn check_stopped(&self, key: ChildKey) -> Result<(), RequestError> {
        if self.template.is_some() {
            return Err(RequestError::WrongStrategy);
        }
        match self.state(key)? {
            State::Stopped => Ok(()),
            State::Dead(_) | State::Waiting(_) => Err(RequestError::Restarting),
            State::Starting | State::Running | State::Stopping(_) => Err(RequestError::Running),
        }
    }

    fn state(&self, key: ChildKey) -> Result<&State, RequestError> {
        let child = self.children.get(&key).ok_or(RequestError::NotFound)?;
        Ok(&child.state)
    }
}
