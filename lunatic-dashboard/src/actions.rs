//! The actions of a page: ending processes, and reloading modules.

use lunatic_admin::{
    Answer, Answering, Exit, Others, RefusalKind, Reload, Request as Asked, Response as Told,
    Target,
};
use lunatic_http::{Request, Response};

/// The largest module that is reloaded, in bytes.
pub(crate) const MAX_MODULE_BYTES: u64 = 64 << 20;

/// The path to which modules are sent.
pub(crate) const RELOAD: &str = "/api/reload";

/// Does what an admitted request asks for.
pub(crate) async fn act(answering: &impl Answering, request: Request) -> Response {
    let Some(asked) = asked(&request) else {
        return Response::text(400, "that cannot be done");
    };
    let told = answering.answer(asked, request.into_body()).await;
    let Answer::One(told) = told else {
        return Response::text(500, "that is no answer");
    };
    let status = match &told {
        Told::Error(refusal) if refusal.kind == RefusalKind::NoProcess => 404,
        Told::Error(_) => 400,
        _ => 200,
    };
    let json = serde_json::to_string(&told).unwrap_or_default();
    Response::new(status, "application/json", json)
}

fn asked(request: &Request) -> Option<Asked> {
    let target = || {
        let pid = request.parameter("pid")?.parse().ok()?;
        Some(Target::new(pid))
    };
    match request.path() {
        "/api/kill" => Some(Asked::Kill(target()?)),
        "/api/exit" => Some(Asked::Exit(Exit {
            process: target()?,
            reason: request.parameter("reason"),
        })),
        RELOAD => Some(Asked::Reload(Reload {
            modules: vec![request.parameter("module")?],
            strict: true,
            timeout_ms: 10_000,
            trial_ms: 0,
            keep_going: false,
            dry_run: request.parameter("dry_run").is_some(),
            purge: false,
            others: Others::Keep,
            drain_ms: 10_000,
        })),
        _ => None,
    }
}
